//! How a task comes in: text, a task file, a specification with checks; and what is refused.

use serde_json::{Value, json};

use crate::harness::generate::{self, Generated};
use crate::harness::{ModelServer, Protocol, Ran, Seed, Workbench, git};

struct Intake {
    bench: Workbench,
    server: ModelServer,
    generated: Generated,
}

impl Intake {
    fn new() -> Self {
        let bench = Workbench::new();
        let generated = generate::shell(&mut Seed::new());
        git::make_repository(&bench.path(&generated.name), &generated.files);
        let server = ModelServer::start(Protocol::Openai, generated.scenario.clone().brain());
        Self { bench, server, generated }
    }

    fn run(&self, task: &[&str]) -> Ran {
        let source = self.bench.path(&self.generated.name);
        let model = self.server.arguments("made-up-model");
        let mut arguments = vec!["run", "--repo", source.to_str().unwrap(), "--yes", "--json"];
        arguments.extend(model.iter().map(String::as_str));
        arguments.extend(task);
        self.bench.bailiwick(&arguments)
    }
}

#[test]
fn a_task_file_is_a_task() {
    let intake = Intake::new();
    let text = format!("# From a file\n\n{}\n", intake.generated.task);
    let file = intake.bench.write("task.md", &text);
    intake.run(&["--file", file.to_str().unwrap(), "--untrusted"]).expect(0);
    let ledger = intake.bench.verified_ledger();
    let task = &ledger.facts("task_submitted")[0]["task"];
    assert_eq!(task["title"], "From a file", "{task}");
    assert!(task["taint"].as_array().unwrap().contains(&json!("task_text")), "{task}");
    assert!(intake.server.calls()[0].opening.contains(&intake.generated.task));
}

#[test]
fn a_specification_s_checks_are_run_on_the_result_and_block_it() {
    let intake = Intake::new();
    let spec = |command: &str| {
        let task = &intake.generated.task;
        format!(
            "task = '''{task}'''\n\n[[check]]\nname = \"the notes are there\"\ncommand = \"{command}\"\n"
        )
    };
    // The model writes no notes, so the check of the specification can't be met.
    let file = intake.bench.write("bad.toml", &spec("test -f NOTES.md"));
    let ran = intake.run(&["--spec", file.to_str().unwrap()]);
    ran.expect(3);
    let outcome = ran.json();
    let asked = outcome["questions"][0]["reason"].as_str().unwrap();
    let found: Vec<&Value> = outcome["gates"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|gate| gate["gate"] == "acceptance")
        .collect();
    assert_eq!(found[0]["state"], "fail", "{outcome}");
    assert!(!asked.is_empty() && intake.bench.ledger().facts("merged").is_empty());

    // The control: a check that the mend meets.
    let file = intake.bench.write("good.toml", &spec("make test"));
    let ran = intake.run(&["--spec", file.to_str().unwrap()]);
    ran.expect(0);
    let ledger = intake.bench.verified_ledger();
    let task = &ledger.facts("task_submitted")[1]["task"];
    assert_eq!(task["form"]["checks"][0]["command"], "make test", "{task}");
    assert_eq!(ledger.facts("merged").len(), 1);
}

#[test]
fn a_task_that_can_not_be_one_is_refused_before_anything_is_done() {
    let intake = Intake::new();
    let huge = intake.bench.write("huge.md", &"x".repeat(64 * 1024 + 1));
    let fits = intake
        .bench
        .write("spec.toml", "task = \"x\"\n[[check]]\nname = \"a\"\ncommando = \"true\"\n");
    for (task, code) in [
        (vec![""], "task.text"),
        (vec![" \n\t"], "task.text"),
        (vec!["--file", huge.to_str().unwrap()], "task.text"),
        (vec!["--file", "/nowhere/at/all"], "task.unreadable"),
        (vec!["--spec", fits.to_str().unwrap()], "task.bad_specification"),
        (vec![], "task.missing"),
        (vec!["x", "--budget", "0"], "task.bad_budget"),
    ] {
        let ran = intake.run(&task);
        ran.expect(1);
        assert_eq!(ran.error_code(), code, "{ran:?}");
        let told = ran.json();
        assert_eq!(told["error"]["code"], code, "{told}");
        assert!(told["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{told}");
    }
    assert!(intake.server.calls().is_empty());
    let tasks = intake.bench.bailiwick(&["task", "list", "--json"]);
    assert_eq!(tasks.expect(0).json(), json!([]));
    // The control: the largest task that fits is taken.
    let text = format!("{}\n{}", intake.generated.task, "x".repeat(60 * 1024));
    let file = intake.bench.write("large.md", &text);
    intake.run(&["--file", file.to_str().unwrap()]).expect(0);
}

#[test]
fn what_is_no_repository_is_refused_with_what_to_give_instead() {
    let intake = Intake::new();
    let model = intake.server.arguments("made-up-model");
    std::fs::create_dir(intake.bench.path("plain")).unwrap();
    for (repo, code) in
        [("plain", "forge.not_a_repository"), ("never-heard-of", "repository.unknown")]
    {
        let mut arguments = vec!["run", "mend it", "--repo", repo, "--yes", "--json"];
        arguments.extend(model.iter().map(String::as_str));
        let ran = intake.bench.bailiwick(&arguments);
        ran.expect(1);
        assert_eq!(ran.error_code(), code, "{ran:?}");
        assert!(ran.stderr.contains(" hint: "), "{}", ran.stderr);
    }
    assert!(intake.server.calls().is_empty());
}
