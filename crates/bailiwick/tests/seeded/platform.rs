//! Every seeded change as the work of an agent: a task, a plan, a sandbox, a candidate, the stage of
//! the gates, and for those that pass a verifier and an open pull request.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use base64::Engine as _;
use serde_json::{Value, json};

use super::change::{Change, Mirrors, Seeded};
use crate::harness::{Conversation, ModelServer, Protocol, Reply, Serve, Workbench, git};

/// How many tasks are under way at a time.
const AT_ONCE: usize = 3;
/// Gates each of which has a change that nothing else stops. What `configuration` finds is off limits
/// to agents altogether, so that `scope` stops it as well, or the cage before both.
const CONTENT_GATES: [&str; 8] = [
    "secrets",
    "hidden-text",
    "test-integrity",
    "quality",
    "sast",
    "dependencies",
    "slopsquat",
    "tests",
];
/// What the base's tests are: quick, and red when the code says that it is broken.
const CHECK: &str = "#!/bin/sh\nset -e\ntest -d src\nif grep -rq BROKEN src; then exit 1; fi\n";

/// The shell text that makes a change. Coded, so that no tool reads what is in it: here only the
/// gates have a word.
fn script(seeded: &Seeded, change: &Change) -> String {
    let coder = base64::engine::general_purpose::STANDARD;
    let mut text = String::from("set -e\n");
    for (path, content) in seeded.written(change) {
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        text.push_str(&format!("mkdir -p '{folder}'\n"));
        let coded = coder.encode(content);
        text.push_str(&format!("base64 -d > '{path}' <<'END'\n{coded}\nEND\n"));
    }
    for path in &change.gone {
        text.push_str(&format!("rm '{path}'\n"));
    }
    text + "rm make-change\n"
}

fn number(asked: &Conversation) -> usize {
    let (_, digits) = asked.opening.split_once("Seeded change ").unwrap();
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn answer(scripts: &[String], asked: &Conversation) -> Reply {
    let at = number(asked);
    match (asked.role, asked.turns) {
        ("coordinator", _) => Reply::text("One piece.").call(
            "submit_plan",
            json!({"summary": "as asked", "subtasks": [{
                "key": format!("seeded-{at}"),
                "title": format!("Seeded change {at}."),
                "description": "As asked.",
                "depends_on": [],
                "scope": {"paths": ["**"]},
                "acceptance": [],
            }]}),
        ),
        ("implementor", 0) => Reply::text("So be it.")
            .call("write", json!({"path": "make-change", "content": scripts[at]}))
            .call("run", json!({"command": "sh make-change"})),
        ("implementor", _) => Reply::text("Done.").call("finish", json!({"summary": "done"})),
        ("verifier", _) => Reply::text("It is as asked.")
            .call("submit_verdict", json!({"verdict": "accepted", "summary": "as asked"})),
        _ => Reply::text("Nothing.").call("submit_review", json!({"summary": "fine"})),
    }
}

/// What became of a change: the reports of the gates, and whether it came to a pull request.
struct Judged {
    reports: Vec<(String, String, String)>,
    published: bool,
    /// Whether the cage kept a file as it was.
    kept: bool,
    last: String,
}

impl Judged {
    fn stopped(&self) -> Vec<&(String, String, String)> {
        self.reports.iter().filter(|(_, state, _)| state != "pass").collect()
    }
}

fn run(serve: &Serve, at: usize) -> Judged {
    let params = json!({"text": format!("Seeded change {at}."), "repo": "repo"});
    let created = serve.api("POST", "/tasks", &params);
    let id = created.expect(201).json()["id"].as_str().unwrap().to_owned();
    let mut judged =
        Judged { reports: Vec::new(), published: false, kept: false, last: String::new() };
    let mut after = 0;
    loop {
        let page = serve.get(&format!("/tasks/{id}/events?limit=2000&after={after}"));
        for entry in page.expect(200).json().as_array().unwrap() {
            after = entry["seq"].as_u64().unwrap();
            let event = &entry["event"];
            judged.kept |= event.to_string().contains("Read-only file system");
            let fact = event["fact"].as_str().unwrap_or_default();
            match fact {
                "gate_reported" => {
                    let report = &event["report"];
                    let word = |name: &str| report[name].as_str().unwrap().to_owned();
                    judged.reports.push((word("gate"), word("state"), word("summary")));
                }
                "change_published" => judged.published = true,
                _ => {}
            }
            let ends = ["change_published", "repair_asked", "human_asked", "task_ended"];
            if ends.contains(&fact) {
                judged.last = event.to_string();
                if fact != "task_ended" {
                    let reason = json!({"reason": "seen"});
                    serve.api("POST", &format!("/tasks/{id}/cancel"), &reason);
                }
                return judged;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
}

fn wrong(change: &Change, judged: &Judged) -> Option<String> {
    let state = |wanted: &str| {
        judged
            .reports
            .iter()
            .find(|(gate, _, _)| gate == wanted)
            .map(|(_, state, _)| state.as_str())
    };
    let right = match &change.gate {
        // What is there and steers a pipeline no command can write: no gate gets to see it.
        _ if change.kept || judged.kept => {
            change.kept && judged.kept && state("configuration") == Some("pass")
        }
        // What a heuristic says leads to a pull request that a person has to look at.
        Some(gate) => match state(gate) {
            Some("fail" | "inconclusive") => !judged.published,
            Some("needs_approval") => true,
            _ => false,
        },
        None => {
            judged.published
                && !judged.reports.is_empty()
                && judged.reports.iter().all(|(_, state, _)| state == "pass")
        }
    };
    (!right).then(|| format!("{}: {:#?}\n{}", change.name, judged.reports, judged.last))
}

#[test]
fn the_platform_stops_every_seeded_bad_change_and_no_good_one() {
    let bench = Workbench::new();
    let seeded = Seeded::read();
    let changes: Vec<Change> = seeded.all().cloned().collect();
    let scripts: Vec<String> = changes.iter().map(|change| script(&seeded, change)).collect();
    let mut files: Vec<(String, String)> = seeded.base.clone().into_iter().collect();
    // what runs as tests here knows nothing of the tests that a change brings
    files.push((
        ".bailiwick/gates.toml".to_owned(),
        "[tests]\ncommand = 'sh ./check.sh && echo passed'\n\n[gates]\noff = ['new-tests']\n"
            .to_owned(),
    ));
    files.push(("check.sh".to_owned(), CHECK.to_owned()));
    git::make_repository(&bench.path("repo"), &files);
    let mirrors = Mirrors::make(bench.root());
    let model = ModelServer::start(Protocol::Openai, move |asked| answer(&scripts, asked));
    let config = toml::to_string(&json!({
        "task": {"running_tasks": AT_ONCE, "model": "seeded"},
        "setup": {"fetch_dependencies": false},
        "dependencies": {"advisories": mirrors.advisories, "index": mirrors.index},
        "provider": [{
            "name": "seeded", "kind": "openai", "base_url": model.url(), "price": "free",
        }],
    }));
    let config = bench.write("site.toml", &config.unwrap());
    let serve = Serve::start(&bench, &["--config", config.to_str().unwrap()]);
    let imported = serve.api("POST", "/repositories", &json!({"path": bench.path("repo")}));
    assert_eq!(imported.expect(201).json()["name"], Value::from("repo"));

    let waiting: Mutex<VecDeque<usize>> = Mutex::new((0..changes.len()).collect());
    let found: Mutex<Vec<String>> = Mutex::default();
    // The gates by which alone a change is stopped: without one of them, that change would pass.
    let alone: Mutex<BTreeSet<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().pop_front();
                    let Some(at) = next else { return };
                    let judged = run(&serve, at);
                    if let [(gate, _, _)] = judged.stopped()[..] {
                        alone.lock().unwrap().insert(gate.clone());
                    }
                    found.lock().unwrap().extend(wrong(&changes[at], &judged));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let alone = alone.into_inner().unwrap();
    for gate in CONTENT_GATES {
        assert!(alone.contains(gate), "no change is stopped by `{gate}` alone: {alone:?}");
    }
    assert!(found.is_empty(), "{} of {} wrong\n{}", found.len(), changes.len(), found.join("\n"));
}
