//! `bailiwick run` on repositories that nobody has seen before, against a model server.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::generate::{self, Generated};
use crate::harness::{Ledger, ModelServer, Protocol, Ran, Seed, Workbench, git};

/// A run with `--yes`: the repository at its begin, and what came of it.
struct Done {
    bench: Workbench,
    server: ModelServer,
    source: PathBuf,
    base: String,
    ran: Ran,
}

fn run(generated: &Generated, protocol: Protocol) -> Done {
    let bench = Workbench::new();
    let source = bench.path(&generated.name);
    git::make_repository(&source, &generated.files);
    let base = git::git(&source, &["rev-parse", "main"]);
    let server = ModelServer::start(protocol, generated.scenario.clone().brain());
    let model = server.arguments("made-up-model");
    let mut arguments =
        vec!["run", &generated.task, "--repo", source.to_str().unwrap(), "--yes", "--json"];
    arguments.extend(model.iter().map(String::as_str));
    let ran = bench.bailiwick(&arguments);
    Done { bench, server, source, base, ran }
}

/// Judges a merged run from git and the ledger alone, and gives the ledger for more.
fn judge(done: &Done, generated: &Generated) -> Ledger {
    done.ran.expect(0);
    assert_eq!(done.ran.json()["standing"], "merged");
    let ledger = done.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let bare = done.bench.bare(&generated.name);
    assert_eq!(git::git(&done.source, &["rev-parse", "main"]), done.base, "the source was touched");

    // One pull request and one merge for each work, and nothing else on the forge.
    let works = generated.scenario.works.len();
    assert_eq!(ledger.facts("merged").len(), works);
    assert_eq!(ledger.permitted("pull_request_merge").len(), works);
    let pulls = std::fs::read_dir(bare.with_extension("pulls")).unwrap().count();
    assert_eq!(pulls, works);

    // Everything on main since then is signed by one key and says where it comes from.
    let commits = git::commits(&bare, &done.base, "main");
    assert_eq!(commits.len(), 2 * works, "{commits:?}");
    let task = ledger.facts("task_submitted")[0]["task"]["id"].as_str().unwrap().to_owned();
    let signer = git::signer(&bare, &commits[0]);
    let mut keys = Vec::new();
    for commit in &commits {
        assert_eq!(git::signer(&bare, commit), signer);
        assert_eq!(git::trailer(&bare, commit, "Bailiwick-Task"), [task.as_str()]);
        if git::parents(&bare, commit).len() == 1 {
            assert_eq!(
                git::trailer(&bare, commit, "Bailiwick-Model"),
                ["command-line/made-up-model"]
            );
            assert_eq!(git::trailer(&bare, commit, "On-behalf-of"), ["ada"]);
            assert!(git::trailer(&bare, commit, "Bailiwick-Scripted").is_empty(), "{commit}");
            keys.extend(git::trailer(&bare, commit, "Bailiwick-Subtask"));
        } else {
            assert_eq!(
                git::trailer(&bare, commit, "Approved-by"),
                ["simulated-approver (simulated approver)"]
            );
        }
    }
    keys.sort();
    let mut expected: Vec<String> =
        generated.scenario.works.iter().map(|work| work.key.clone()).collect();
    expected.sort();
    assert_eq!(keys, expected);

    // Every model call was decided before it was made, and the other way round.
    assert_eq!(ledger.permitted("model_call").len(), done.server.calls().len());
    assert!(done.server.calls().iter().all(|call| call.model == "made-up-model"));
    ledger
}

/// The tests of the repository: they fail at its begin and pass on main.
fn judge_cargo(done: &Done, generated: &Generated) {
    let bare = done.bench.bare(&generated.name);
    let (before, after) = (done.bench.path("before"), done.bench.path("after"));
    git::check_out(&bare, &done.base, &before);
    git::check_out(&bare, "main", &after);
    // Tests that came with the change are held against the code before it.
    for (path, text) in generated.scenario.works.iter().flat_map(|work| &work.writes) {
        std::fs::write(before.join(path), text).unwrap();
    }
    let (passed, text) = git::cargo_test(&before, &["--no-fail-fast"]);
    assert!(!passed, "nothing was to be mended: {text}");
    for work in &generated.scenario.works {
        let function = work.title.rsplit(' ').next().unwrap();
        assert!(
            text.contains(&format!("{function}_is_right")),
            "{function} was right before: {text}"
        );
    }
    let (passed, text) = git::cargo_test(&after, &[]);
    assert!(passed, "{text}");
}

#[test]
fn a_defect_in_a_generated_crate_is_mended_and_merged() {
    let generated = generate::mend(&mut Seed::new(), 0);
    let done = run(&generated, Protocol::Anthropic);
    let ledger = judge(&done, &generated);
    judge_cargo(&done, &generated);
    let reports = ledger.facts("gate_reported");
    assert!(reports.iter().all(|fact| fact["report"]["state"] == "pass"), "{reports:?}");
    let tests = reports.iter().find(|fact| fact["report"]["gate"] == "tests").unwrap();
    assert!(tests["report"]["summary"].as_str().unwrap().contains("mended"), "{tests}");
    assert!(ledger.facts("repair_asked").is_empty());
    assert_eq!(done.ran.json()["model"], "made-up-model");
}

#[test]
fn a_plan_of_three_works_is_stacked_where_one_needs_the_other() {
    let generated = generate::stacked(&mut Seed::new());
    let done = run(&generated, Protocol::Openai);
    let ledger = judge(&done, &generated);
    judge_cargo(&done, &generated);
    let [first, second, third] = [0, 1, 2].map(|at| generated.scenario.works[at].key.as_str());
    let of = |name: &str, key: &str| -> Vec<Value> {
        ledger.facts(name).into_iter().filter(|fact| fact["subtask"] == key).cloned().collect()
    };
    let published = |key: &str| of("change_published", key);
    // The second began on the first one's branch, at the commit of its pull request.
    let branch = &published(first)[0]["branch"];
    let prepared = &of("subtask_prepared", second)[0];
    assert_eq!(&prepared["base_branch"], branch, "{prepared}");
    assert_eq!(prepared["base"], published(first)[0]["head"], "{prepared}");
    // When the first was merged, it moved to main, and was gated on the commit that was merged.
    assert_eq!(published(second).last().unwrap()["base_branch"], "main");
    assert!(!of("base_moved", second).is_empty());
    for key in [first, second, third] {
        let head = published(key).last().unwrap()["head"].clone();
        let gated = of("gate_reported", key);
        assert!(
            gated.iter().any(|fact| fact["commit"] == head && fact["report"]["gate"] == "tests")
        );
        let reviewed = of("reviewed", key);
        assert_eq!(reviewed.last().unwrap()["head"], head, "{reviewed:?}");
    }
    // The independent one started from main, before the first was merged.
    assert_eq!(of("subtask_prepared", third)[0]["base"], done.base.as_str());
    let place = |name: &str, key: &str| {
        ledger.events().position(|event| event["fact"] == name && event["subtask"] == key).unwrap()
    };
    assert!(place("subtask_prepared", third) < place("merged", first));
    assert!(place("merged", first) < place("merged", second));
}

#[test]
fn a_wrong_mend_is_refused_by_the_gates_and_repaired() {
    let generated = generate::mend(&mut Seed::new(), 1);
    let done = run(&generated, Protocol::Openai);
    let ledger = judge(&done, &generated);
    judge_cargo(&done, &generated);
    let [repair] = ledger.facts("repair_asked")[..] else {
        panic!("{:?}", ledger.facts("repair_asked"))
    };
    assert_eq!((&repair["by"], &repair["round"]), (&json!("gate"), &json!(1)), "{repair}");
    let [wrong, right] = ledger.facts("candidate_committed")[..] else { panic!("two candidates") };
    let (wrong, right) = (&wrong["candidate"]["commit"], &right["candidate"]["commit"]);
    let failed = |commit: &Value| {
        let reports = ledger.facts("gate_reported");
        reports.iter().any(|fact| fact["commit"] == *commit && fact["report"]["state"] == "fail")
    };
    assert!(failed(wrong) && !failed(right));
    // The wrong one never got as far as the verifier, nor onto the forge's branch.
    assert!(ledger.facts("verified").iter().all(|fact| fact["commit"] == *right));
    assert!(ledger.facts("change_published").iter().all(|fact| fact["head"] == *right));
    let commits = git::commits(&done.bench.bare(&generated.name), &done.base, "main");
    assert!(
        commits.iter().any(|commit| right == commit)
            && commits.iter().all(|commit| wrong != commit)
    );
    // The implementor was told what was wrong.
    let told = done.server.calls();
    let told = told.iter().find(|call| call.is_repair()).unwrap();
    assert!(told.opening.contains("_is_right"), "{}", told.opening);
}

#[test]
fn a_wrong_mend_that_no_test_shows_is_refused_by_the_verifier_and_repaired() {
    let generated = generate::mend_for_verifier(&mut Seed::new());
    let done = run(&generated, Protocol::Anthropic);
    let ledger = judge(&done, &generated);
    let [repair] = ledger.facts("repair_asked")[..] else {
        panic!("{:?}", ledger.facts("repair_asked"))
    };
    assert_eq!(repair["by"], "verifier", "{repair}");
    let verdicts: Vec<&Value> =
        ledger.facts("verified").iter().map(|fact| &fact["verification"]).collect();
    assert_eq!(verdicts, ["refused", "accepted"]);
    let work = &generated.scenario.works[0];
    let text =
        git::git(&done.bench.bare(&generated.name), &["show", &format!("main:{}", work.path)]);
    assert!(text.contains(work.chain.last().unwrap().new.trim()), "{text}");
}

#[test]
fn after_two_repairs_a_person_is_asked_and_nothing_is_merged_until_then() {
    let generated = generate::mend(&mut Seed::new(), 3);
    let done = run(&generated, Protocol::Anthropic);
    done.ran.expect(3);
    let outcome = done.ran.json();
    assert_eq!(outcome["questions"][0]["code"], "review.rounds_used", "{outcome}");
    assert!(outcome["questions"][0]["hint"].as_str().unwrap().contains("bailiwick task retry"));
    let ledger = done.bench.verified_ledger();
    assert_eq!(ledger.facts("repair_asked").len(), 2);
    assert_eq!(ledger.facts("candidate_committed").len(), 3);
    assert_eq!(ledger.decisions("pull_request_merge").len(), 0);
    assert_eq!(ledger.decisions("branch_push").len(), 0);
    let bare = done.bench.bare(&generated.name);
    assert_eq!(
        git::git(&bare, &["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads"]),
        format!("refs/heads/main {}", done.base)
    );

    // A person gives it another two rounds; the first of them is right.
    let task = outcome["task"].as_str().unwrap();
    let config = format!(
        "[task]\nprovider = \"command-line\"\nmodel = \"made-up-model\"\n[[provider]]\nname = \"command-line\"\nkind = \"anthropic\"\nbase_url = \"{}\"\nprice = \"free\"\n",
        done.server.url()
    );
    let config = done.bench.write("bailiwick.toml", &config);
    let retried = done.bench.bailiwick(&[
        "task",
        "retry",
        task,
        "--json",
        "--config",
        config.to_str().unwrap(),
    ]);
    retried.expect(0);
    assert_eq!(retried.json()["standing"], "merged");
    let ledger = done.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    assert_eq!(ledger.facts("merged").len(), 1);
    judge_cargo(&done, &generated);
}

#[test]
fn a_repository_in_another_language_goes_the_same_way() {
    let found = std::process::Command::new("make").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        println!("there is no `make` on this machine: nothing to show");
        return;
    }
    let generated = generate::shell(&mut Seed::new());
    let done = run(&generated, Protocol::Openai);
    judge(&done, &generated);
    let bare = done.bench.bare(&generated.name);
    for (commit, expected) in [(done.base.as_str(), false), ("main", true)] {
        let at = done.bench.path(&format!("out-{expected}"));
        git::check_out(&bare, commit, &at);
        let output =
            std::process::Command::new("make").arg("test").current_dir(&at).output().unwrap();
        assert_eq!(output.status.success(), expected, "{commit}: {output:?}");
    }
}
