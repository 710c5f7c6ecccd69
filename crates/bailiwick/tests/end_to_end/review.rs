//! Review and merge from the command line, by people: nobody is simulated here.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::generate::{self, Generated};
use crate::harness::{Edit, Means, ModelServer, Protocol, Ran, Seed, Workbench, git};

/// A repository with a task, and a model that does it.
struct Desk {
    bench: Workbench,
    server: ModelServer,
    source: PathBuf,
    generated: Generated,
    config: String,
}

impl Desk {
    fn new(generated: Generated) -> Self {
        let bench = Workbench::new();
        let source = bench.path(&generated.name);
        git::make_repository(&source, &generated.files);
        let server = ModelServer::start(Protocol::Anthropic, generated.scenario.clone().brain());
        let config = format!(
            "[task]\nmodel = \"made-up-model\"\n[[provider]]\nname = \"made-up\"\nkind = \"anthropic\"\nbase_url = \"{}\"\nprice = \"free\"\n",
            server.url()
        );
        let config = bench.write("settings.toml", &config).to_str().unwrap().to_owned();
        Self { bench, server, source, generated, config }
    }

    fn shell() -> Self {
        Self::new(generate::shell(&mut Seed::new()))
    }

    /// Runs a command with the configuration.
    fn ask(&self, arguments: &[&str]) -> Ran {
        let mut all = arguments.to_vec();
        all.extend(["--config", &self.config]);
        self.bench.bailiwick(&all)
    }

    /// Runs the task up to the open pull request.
    fn open(&self, more: &[&str]) -> Value {
        let task = self.generated.task.clone();
        let source = self.source.to_str().unwrap();
        let mut arguments = vec!["run", task.as_str(), "--repo", source, "--no-wait", "--json"];
        arguments.extend(more);
        let ran = self.ask(&arguments);
        ran.expect(3);
        let outcome = ran.json();
        assert_eq!(outcome["pull_request"]["state"], "open", "{outcome}");
        outcome
    }

    fn show(&self) -> Value {
        let ran = self.ask(&["pr", "show", "1", "--json"]);
        ran.expect(0);
        ran.json()
    }

    fn bare(&self) -> PathBuf {
        self.bench.bare(&self.generated.name)
    }

    fn main(&self) -> String {
        git::git(&self.bare(), &["rev-parse", "main"])
    }

    /// Whether main has the right line.
    fn is_mended(&self) -> bool {
        let work = &self.generated.scenario.works[0];
        let text = git::git(&self.bare(), &["show", &format!("main:{}", work.path)]);
        text.contains(work.chain.last().unwrap().new.trim())
    }

    /// A commit on the source's main that touches another file, imported.
    fn move_base(&self) -> String {
        git::commit(
            &self.source,
            &[("NOTES.txt".to_owned(), "meanwhile\n".to_owned())],
            "Meanwhile",
        );
        let source = self.source.to_str().unwrap();
        self.ask(&["repo", "import", source]).expect(0);
        let head = git::git(&self.source, &["rev-parse", "main"]);
        assert_eq!(self.main(), head, "the import did not move the forge's main");
        head
    }
}

#[test]
fn each_hunk_is_shown_with_the_step_that_made_it_a_command_or_an_edit() {
    for means in [Means::Edit, Means::Command] {
        let mut generated = generate::shell(&mut Seed::new());
        let work = &mut generated.scenario.works[0];
        work.chain[0].means = means;
        work.scope.push("NOTES.md".to_owned());
        work.writes.push(("NOTES.md".to_owned(), "What was wrong.\n".to_owned()));
        let path = work.path.clone();
        let desk = Desk::new(generated);
        let outcome = desk.open(&[]);

        let list = desk.ask(&["pr", "list", "--json"]);
        list.expect(0);
        let list = list.json();
        assert_eq!((&list[0]["number"], &list[0]["state"]), (&json!(1), &json!("open")), "{list}");
        assert_eq!(list[0]["head"], outcome["pull_request"]["commit"]);

        let view = desk.show();
        let tool = if means == Means::Edit { "edit" } else { "run" };
        for file in view["files"].as_array().unwrap() {
            let hunks = file["hunks"].as_array().unwrap();
            assert!(!hunks.is_empty(), "{file}");
            for hunk in hunks {
                assert_eq!(hunk["steps"], json!(["r0.2"]), "{means:?}: {hunk}");
            }
        }
        let paths: Vec<&Value> =
            view["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
        assert!(paths.contains(&&json!(path)) && paths.contains(&&json!("NOTES.md")), "{paths:?}");
        // The step has the tool, and its entry in the ledger is that step.
        let steps = view["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == "r0.2").unwrap();
        assert_eq!(step["tools"], json!([tool, "write"]));
        let ledger = desk.bench.verified_ledger();
        let entry =
            &ledger.entries[usize::try_from(step["entry"].as_u64().unwrap()).unwrap()]["event"];
        assert_eq!((&entry["fact"], &entry["step"]), (&json!("step_taken"), &json!(2)), "{entry}");
        // For people it is beside the diff.
        let shown = desk.ask(&["pr", "show", "1"]);
        assert!(shown.expect(0).stdout.contains("r0.2"), "{}", shown.stdout);
    }
}

#[test]
fn the_requester_does_not_approve_unless_the_machine_has_one_user() {
    let desk = Desk::shell();
    desk.open(&[]);
    let before = desk.main();
    let merge = desk.ask(&["pr", "merge", "1"]);
    merge.expect(1);
    assert_eq!(merge.error_code(), "merge.not_approved");
    let own = desk.ask(&["pr", "approve", "1"]);
    own.expect(1);
    assert_eq!(own.error_code(), "policy.forbidden");
    assert!(
        own.stderr.contains("no-own-approval") && own.stderr.contains("single_user"),
        "{}",
        own.stderr
    );
    assert_eq!(desk.show()["approvals"], json!([]));
    assert_eq!(desk.main(), before);
    // The control: somebody else does, and it is merged.
    desk.ask(&["approve", "1", "--as", "grace", "-m", "well done"]).expect(0);
    desk.ask(&["pr", "merge", "1", "--as", "grace"]).expect(0);
    assert!(desk.is_mended());
    let approved = git::trailer(&desk.bare(), "main", "Approved-by");
    assert_eq!(approved, ["grace"]);
    let ledger = desk.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let reviews = ledger.decisions("review_submit");
    let verdicts: Vec<&Value> =
        reviews.iter().map(|review| &review["decision"]["verdict"]).collect();
    assert_eq!(verdicts, ["deny", "permit"]);
    assert_eq!(ledger.facts("reviewed").len(), 1);

    // The other control: with the setting, the requester may; it is recorded and shown.
    let desk = Desk::shell();
    let outcome = desk.open(&["--single-user"]);
    assert_eq!(outcome["single_user"], true);
    assert!(desk.show()["body"].as_str().unwrap().contains("Single-user mode"));
    desk.ask(&["pr", "approve", "1"]).expect(0);
    desk.ask(&["pr", "merge", "1"]).expect(0);
    assert!(desk.is_mended());
    assert_eq!(
        desk.bench.verified_ledger().facts("task_submitted")[0]["task"]["single_user"],
        true
    );
}

#[test]
fn requested_changes_make_a_new_head_and_void_the_old_approval() {
    let mut generated = generate::shell(&mut Seed::new());
    let work = &mut generated.scenario.works[0];
    let right = work.chain[0].new.clone();
    work.chain.push(Edit::new(&right, &format!("{right} # sum")));
    let desk = Desk::new(generated);
    let outcome = desk.open(&[]);
    let first = outcome["pull_request"]["commit"].as_str().unwrap().to_owned();
    desk.ask(&["pr", "approve", "1", "--as", "grace", "--head", &first]).expect(0);
    assert_eq!(desk.show()["approvals"].as_array().unwrap().len(), 1);

    let empty = desk.ask(&["pr", "request-changes", "1", "--as", "barbara"]);
    empty.expect(1);
    assert_eq!(empty.error_code(), "review.empty");
    let wish = "please say what the line computes";
    desk.ask(&["pr", "request-changes", "1", "--as", "barbara", "-m", wish]).expect(0);
    let view = desk.show();
    let second = view["head"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(view["approvals"], json!([]), "the approval of the old head still counts");
    assert!(desk.server.calls().iter().any(|call| call.is_repair() && call.opening.contains(wish)));
    let branch = view["branch"].as_str().unwrap();
    assert_eq!(git::git(&desk.bare(), &["rev-parse", branch]), second);

    // Neither the old approval nor a new one of the old commit lets it through.
    let merge = desk.ask(&["pr", "merge", "1", "--as", "grace"]);
    merge.expect(1);
    assert_eq!(merge.error_code(), "merge.not_approved");
    let stale = desk.ask(&["pr", "approve", "1", "--as", "grace", "--head", &first]);
    stale.expect(1);
    assert_eq!(stale.error_code(), "review.stale");
    assert!(!desk.is_mended());
    desk.ask(&["pr", "approve", "1", "--as", "grace", "--head", second]).expect(0);
    desk.ask(&["pr", "merge", "1", "--as", "grace"]).expect(0);
    assert!(desk.is_mended());
    desk.bench.verified_ledger().assert_every_action_is_closed();
}

#[test]
fn each_way_of_merging_leaves_the_history_that_it_promises() {
    for (method, expected_parents, expected_commits) in
        [("merge", 2, 2), ("squash", 1, 1), ("rebase", 1, 1)]
    {
        let desk = Desk::shell();
        desk.open(&[]);
        let base = desk.main();
        desk.ask(&["pr", "approve", "1", "--as", "grace"]).expect(0);
        let merged = desk.ask(&["pr", "merge", "1", "--as", "grace", "--method", method, "--json"]);
        merged.expect(0);
        let bare = desk.bare();
        let tip = desk.main();
        assert_eq!(merged.json()["merged"], tip.as_str(), "{method}");
        assert_eq!(git::parents(&bare, &tip).len(), expected_parents, "{method}");
        let commits = git::commits(&bare, &base, "main");
        assert_eq!(commits.len(), expected_commits, "{method}");
        assert_eq!(git::parents(&bare, &commits[0]), [base.as_str()], "{method}");
        assert!(desk.is_mended(), "{method}");
        for commit in &commits {
            git::signer(&bare, commit);
            assert!(
                !git::trailer(&bare, commit, "Bailiwick-Task").is_empty(),
                "{method}: {commit}"
            );
        }
        let ledger = desk.bench.verified_ledger();
        assert_eq!(ledger.facts("merged")[0]["method"], method);
        assert_eq!(ledger.facts("merged")[0]["commit"], tip.as_str(), "{method}");
    }
}

#[test]
fn when_the_base_moves_the_change_is_gated_again_and_its_approval_is_void() {
    let desk = Desk::shell();
    let outcome = desk.open(&[]);
    let first = outcome["pull_request"]["commit"].as_str().unwrap().to_owned();
    desk.ask(&["pr", "approve", "1", "--as", "grace"]).expect(0);
    let moved = desk.move_base();

    let merge = desk.ask(&["pr", "merge", "1", "--as", "grace", "--json"]);
    merge.expect(3);
    assert!(merge.stderr.contains("base branch moved"), "{}", merge.stderr);
    assert_eq!(desk.main(), moved, "it was merged all the same");
    let view = desk.show();
    let second = view["head"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(git::parents(&desk.bare(), second), [moved.as_str()]);
    assert_eq!(view["approvals"], json!([]));
    let ledger = desk.bench.ledger();
    let [base_moved] = ledger.facts("base_moved")[..] else {
        panic!("{:?}", ledger.facts("base_moved"))
    };
    assert_eq!((&base_moved["to"], &base_moved["void_approvals"]), (&json!(moved), &json!(1)));
    let gated: Vec<&Value> =
        ledger.facts("gate_reported").into_iter().filter(|fact| fact["commit"] == second).collect();
    assert!(gated.iter().any(|fact| fact["report"]["gate"] == "tests"), "it was not gated again");
    let again = desk.ask(&["pr", "merge", "1", "--as", "grace"]);
    again.expect(1);
    assert_eq!(again.error_code(), "merge.not_approved");

    desk.ask(&["pr", "approve", "1", "--as", "grace"]).expect(0);
    desk.ask(&["pr", "merge", "1", "--as", "grace"]).expect(0);
    assert!(desk.is_mended());
    assert_eq!(git::git(&desk.bare(), &["show", "main:NOTES.txt"]), "meanwhile");
    desk.bench.verified_ledger().assert_every_action_is_closed();
}

#[test]
fn a_rejected_change_is_closed_and_never_merged() {
    let desk = Desk::shell();
    desk.open(&[]);
    let base = desk.main();
    desk.ask(&["pr", "reject", "1", "--as", "grace", "-m", "not wanted"]).expect(0);
    let view = desk.show();
    assert_eq!(view["state"], "closed");
    let merge = desk.ask(&["pr", "merge", "1", "--as", "grace"]);
    merge.expect(1);
    assert_eq!(merge.error_code(), "pull_request.closed");
    assert_eq!(desk.main(), base);
    let tasks = desk.ask(&["task", "list", "--json"]).json();
    assert_eq!(tasks[0]["standing"], "rejected", "{tasks}");
}

#[test]
fn tasks_can_be_listed_shown_followed_cancelled_and_taken_up_again() {
    let desk = Desk::shell();
    let outcome = desk.open(&[]);
    let id = outcome["task"].as_str().unwrap();
    let end = id.get(id.len() - 8..).unwrap();

    let list = desk.ask(&["task", "list", "--json"]);
    list.expect(0);
    assert_eq!(list.json()[0]["id"], id);
    assert_eq!(list.json()[0]["standing"], "waits for review");
    let shown = desk.ask(&["task", "show", end, "--json"]);
    shown.expect(0);
    assert_eq!(shown.json()["task"]["id"], id);
    let people = desk.ask(&["task", "show", end]);
    assert!(
        people.expect(0).stdout.contains(&desk.generated.scenario.works[0].key),
        "{}",
        people.stdout
    );
    let logs = desk.ask(&["task", "logs", end, "--json"]);
    logs.expect(0);
    let entries: Vec<Value> =
        logs.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recorded = desk.bench.ledger();
    let recorded: Vec<&Value> = recorded
        .entries
        .iter()
        .filter(|entry| entry["event"]["task"] == id || entry["event"]["subject"]["task"] == id)
        .collect();
    assert!(entries.len() >= recorded.len(), "{} of {}", entries.len(), recorded.len());
    assert!(desk.ask(&["task", "logs", end]).expect(0).stdout.contains("pull request #1"));

    let early = desk.ask(&["task", "retry", id]);
    early.expect(1);
    assert_eq!(early.error_code(), "task.nothing_to_retry");
    let cancelled = desk.ask(&["task", "cancel", end, "--reason", "not now", "--json"]);
    cancelled.expect(0);
    assert_eq!(cancelled.json()["ending"]["end"], "cancelled");
    let twice = desk.ask(&["task", "cancel", end]);
    twice.expect(1);
    assert_eq!(twice.error_code(), "task.over");
    let approve = desk.ask(&["pr", "approve", "1", "--as", "grace"]);
    approve.expect(1);
    assert_eq!(approve.error_code(), "pull_request.closed");

    // Taken up again, it stands where it stood: the pull request waits, and no work is done twice.
    let calls = desk.server.calls().len();
    desk.ask(&["task", "retry", end]).expect(3);
    assert_eq!(desk.server.calls().len(), calls);
    desk.ask(&["pr", "approve", "1", "--as", "grace"]).expect(0);
    desk.ask(&["pr", "merge", "1", "--as", "grace"]).expect(0);
    assert!(desk.is_mended());
    let unknown = desk.ask(&["task", "show", "ffffffff"]);
    unknown.expect(1);
    assert_eq!(unknown.error_code(), "task.unclear");
}

/// What the risk asks for is asked for: two people, not one twice, and not one fewer.
#[test]
fn a_risky_change_needs_two_people() {
    let mut generated = generate::shell(&mut Seed::new());
    let work = generated.scenario.works.first_mut().unwrap();
    work.scope = vec!["**".to_owned()];
    let long: String = (0..1_100).map(|n| format!("row {n} of it\n")).collect();
    work.writes.push(("notes/rows.md".to_owned(), long));
    work.writes.push(("migrations/0001.sql".to_owned(), "select 1;\n".to_owned()));
    work.writes.push(("deploy/site.tf".to_owned(), "# nothing yet\n".to_owned()));
    let desk = Desk::new(generated);
    desk.open(&[]);
    let risk = desk.show()["risk"].clone();
    assert_eq!((&risk["band"], &risk["autonomy"]), (&json!("high"), &json!("joint")), "{risk}");
    let before = desk.main();
    for _ in 0..2 {
        desk.ask(&["pr", "approve", "1", "--as", "grace"]).expect(0);
        let merge = desk.ask(&["pr", "merge", "1", "--as", "grace"]);
        merge.expect(1);
        assert_eq!(merge.error_code(), "merge.more_reviewers");
    }
    assert_eq!(desk.main(), before);
    // the control: a second person is all that was missing
    desk.ask(&["pr", "approve", "1", "--as", "barbara"]).expect(0);
    desk.ask(&["pr", "merge", "1", "--as", "grace"]).expect(0);
    assert!(desk.is_mended());
    let ledger = desk.bench.verified_ledger();
    let merge = ledger.permitted("pull_request_merge");
    assert_eq!(merge[0]["action"]["required_reviewers"], 2);

    // What was merged is taken back, and the score is held against that.
    let told = desk.ask(&["pr", "calibration", "--json"]).expect(0).json();
    assert_eq!(told["bands"]["high"], json!({"merged": 1, "reverted": 0}), "{told}");
    let bare = desk.bare();
    git::git(&desk.source, &["pull", "--quiet", bare.to_str().unwrap(), "main"]);
    git::git(&desk.source, &["revert", "--no-edit", "-m", "1", "HEAD"]);
    let source = desk.source.to_str().unwrap();
    desk.ask(&["repo", "import", source]).expect(0);
    let told = desk.ask(&["pr", "calibration", "--json"]).expect(0).json();
    assert_eq!(told["bands"]["high"], json!({"merged": 1, "reverted": 1}), "{told}");
    assert_eq!(desk.bench.verified_ledger().facts("reverted").len(), 1);
}
