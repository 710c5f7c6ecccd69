//! What a person is asked about by default, and the rules that come with a task.

use serde_json::{Value, json};

use super::approvals::{Site, answer, approver_in, open, refused};
use crate::harness::Serve;

const PIPELINE: &str = "on: push\njobs: {}\n";
const RULES: &str = "Be brief.\n";

/// Three questions, each tried, and called again after the answer.
fn calls() -> Vec<(&'static str, Value)> {
    let pipeline = ("write", json!({"path": ".github/workflows/ci.yml", "content": PIPELINE}));
    let rules = ("write", json!({"path": "AGENTS.md", "content": RULES}));
    let dependency = ("run", json!({"command": "cargo add --offline serde"}));
    [pipeline, rules, dependency].into_iter().flat_map(|call| [call.clone(), call]).collect()
}

const GROUPS: [&str; 3] = ["pipeline-owners", "agent-rule-owners", "dependency-approvers"];

/// Plays the three questions with one answer to all; gives how they were decided.
fn play(verdict: &str) -> (Site, Vec<String>, Value) {
    let site = Site::scripted(1, "", &["**"], &calls());
    let serve = site.serve();
    let tokens: Vec<String> = ["bob", "carol", "dan"]
        .iter()
        .zip(GROUPS)
        .map(|(name, group)| approver_in(&serve, name, &[group]))
        .collect();
    let id = site.start(&serve, &json!({}));
    let mut live = serve.events(&id);
    for (at, group) in GROUPS.iter().enumerate() {
        live.until("approval_asked");
        let request = open(&serve);
        assert_eq!(request["needs"], json!([{"group": group, "quorum": 1}]));
        // Nobody of another group has a say in it.
        let other = answer(&serve, &tokens[(at + 1) % 3], &request, verdict, "once");
        refused(other.expect(403), "approval.not_in_group");
        // What would stand there is shown whole, and the answer is bound to it.
        let shown = serve.get(&format!("/approvals/{}", request["id"].as_str().unwrap())).json();
        match *group {
            "pipeline-owners" => assert_eq!(shown["texts"], json!({"content": PIPELINE})),
            "agent-rule-owners" => assert_eq!(shown["texts"], json!({"content": RULES})),
            _ => assert_eq!(shown["action"]["argv"][2], "cargo add --offline serde"),
        }
        let mut forged = request.clone();
        forged["digest"] = json!("0".repeat(64));
        refused(
            answer(&serve, &tokens[at], &forged, verdict, "once").expect(409),
            "approval.changed",
        );
        answer(&serve, &tokens[at], &request, verdict, "once").expect(200);
    }
    live.until("change_published");
    let state = serve.get(&format!("/tasks/{id}")).json();
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    // Once it is scored, policy can speak of the risk of the change.
    let push = ledger.decisions("branch_push")[0];
    assert!(push["context"]["facts"]["risk"].is_u64(), "{push}");
    let decided = ledger
        .events()
        .filter(|event| event["event"] == "decided" && event["subject"]["role"] == "implementor")
        .filter(|event| {
            let path = &event["action"]["path"];
            path == ".github/workflows/ci.yml"
                || path == "AGENTS.md"
                || event["action"]["argv"][2] == "cargo add --offline serde"
        })
        .map(|event| {
            let code = event["decision"]["code"].as_str();
            code.unwrap_or_else(|| event["decision"]["verdict"].as_str().unwrap()).to_owned()
        })
        .collect();
    (site, decided, state)
}

fn gate<'a>(state: &'a Value, name: &str) -> &'a Value {
    let gates = state["subtasks"]["mend"]["gates"].as_array().unwrap();
    gates.iter().find(|report| report["gate"] == name).unwrap()
}

#[test]
fn pipelines_rules_of_agents_and_dependencies_are_questions_and_a_yes_lets_them_through() {
    let (_site, decided, state) = play("grant");
    assert_eq!(decided, ["needs_approval", "permit"].repeat(3));
    // As approved they are in scope; their owners are asked all the same about the change itself.
    assert_eq!(gate(&state, "scope")["state"], "pass", "{state}");
    let configuration = gate(&state, "configuration");
    assert_eq!(configuration["state"], "needs_approval");
    let text = configuration.to_string();
    for rule in ["configuration/pipeline", "configuration/agent-instructions"] {
        assert!(text.contains(rule), "{rule}: {text}");
    }
}

#[test]
fn a_no_leaves_them_as_they_were() {
    let (site, decided, state) = play("deny");
    assert_eq!(decided, ["needs_approval", "approval.denied"].repeat(3));
    assert_eq!(gate(&state, "scope")["state"], "pass");
    assert_eq!(gate(&state, "configuration")["state"], "pass");
    assert!(site.bench.verified_ledger().facts("approval_used").is_empty());
}

fn raises(serve: &Serve) -> Vec<Value> {
    let list = serve.get("/approvals").expect(200).json();
    let raise = |one: &&Value| one["kind"] == "task_raise";
    list.as_array().unwrap().iter().filter(raise).cloned().collect()
}

#[test]
fn a_larger_budget_and_another_tier_are_questions() {
    // The task itself waits for something else, so that it is not over meanwhile.
    let site = Site::scripted(
        1,
        "",
        &["total.sh"],
        &[
            ("run", json!({"command": "echo people-decide"})),
            ("run", json!({"command": "echo people-decide"})),
        ],
    );
    let serve = site.serve();
    let bob = approver_in(&serve, "bob", &["budget-owners"]);
    let carol = approver_in(&serve, "carol", &["tier-owners"]);
    let id = site.ask(&serve);
    let raise = |body: Value| serve.api("POST", &format!("/tasks/{id}/raise"), &body);
    let task = || serve.get(&format!("/tasks/{id}")).json();
    let budget = task()["task"]["budget"].as_u64().unwrap();
    // What is no raise is none, and changes nothing.
    for (body, code) in [
        (json!({"budget_micro_usd": budget, "reason": "r"}), "raise.not_more"),
        (json!({"budget_micro_usd": budget - 1, "reason": "r"}), "raise.not_more"),
        (json!({"budget_micro_usd": budget + 1, "reason": " "}), "raise.no_reason"),
        (json!({"tier": "process", "reason": "r"}), "raise.nothing"),
        (json!({"tier": "none", "reason": "r"}), "sandbox.tier_unknown"),
    ] {
        refused(raise(body).expect(409), code);
    }
    let more = json!({"budget_micro_usd": budget + 5, "reason": "the tests are slow"});
    let other = json!({"tier": "container", "reason": "it needs a container"});

    // No: it stays as it is, and asking again asks anew.
    refused(raise(more.clone()).expect(403), "policy.needs_approval");
    let [request] = &raises(&serve)[..] else { panic!() };
    refused(answer(&serve, &carol, request, "grant", "once").expect(403), "approval.not_in_group");
    answer(&serve, &bob, request, "deny", "once").expect(200);
    refused(raise(more.clone()).expect(403), "policy.needs_approval");
    assert_eq!(task()["task"]["budget"], budget);

    // Yes: it holds at once and for what was shown, once.
    let [request] = &raises(&serve)[..] else { panic!() };
    answer(&serve, &bob, request, "grant", "once").expect(200);
    let larger = json!({"budget_micro_usd": budget + 6, "reason": "the tests are slow"});
    refused(raise(larger).expect(403), "policy.needs_approval");
    assert_eq!(raise(more).expect(200).json()["task"]["budget"], budget + 5);
    refused(raise(other.clone()).expect(403), "policy.needs_approval");
    let tier = raises(&serve).into_iter().find(|one| one["needs"][0]["group"] == "tier-owners");
    answer(&serve, &carol, &tier.unwrap(), "grant", "once").expect(200);
    assert_eq!(raise(other).expect(200).json()["tier"], "container");

    // It is still so after a restart, and the budget that is drawn on is the new one.
    drop(serve);
    let serve = site.serve();
    let state = serve.get(&format!("/tasks/{id}")).json();
    assert_eq!(
        (&state["task"]["budget"], &state["tier"]),
        (&json!(budget + 5), &json!("container"))
    );
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    assert_eq!(ledger.permitted("task_raise").len(), 2);
}

#[test]
fn the_rules_that_come_with_a_task_narrow_it_through_a_restart_and_nothing_else() {
    let calls = [
        ("run", json!({"command": "echo people-decide"})),
        ("run", json!({"command": "echo people-decide"})),
        ("run", json!({"command": "ls -a"})),
    ];
    let narrow =
        json!({"narrow": [{"name": "mine.toml", "text": "[commands]\ndeny = [\"ls\"]\n"}]});
    for (fields, expected) in [(json!({}), "permit"), (narrow, "deny")] {
        let site = Site::scripted(1, "", &["total.sh"], &calls);
        let serve = site.serve();
        approver_in(&serve, "bob", &["release"]);
        let id = site.start(&serve, &fields);
        let mut live = serve.events(&id);
        live.until("approval_asked");
        live.until("step_taken");
        drop(live);
        let request = open(&serve);
        drop(serve);
        let serve = site.serve();
        let token = json!({"person": "bob", "scopes": ["read", "review"]});
        let bob = serve.api("POST", "/tokens", &token).expect(201).json();
        answer(&serve, bob["secret"].as_str().unwrap(), &request, "grant", "once").expect(200);
        serve.events(&id).until("change_published");
        assert_eq!(serve.stop(), Some(0));
        let ledger = site.bench.verified_ledger();
        let listed: Vec<&Value> = ledger
            .decisions("command")
            .into_iter()
            .filter(|run| run["action"]["argv"][2] == "ls -a")
            .collect();
        assert_eq!(listed[0]["decision"]["verdict"], expected);
        if expected == "deny" {
            let rule = format!("task:{id}/mine.commands-deny");
            assert_eq!(listed[0]["decision"]["rules"], json!([rule]));
        }
    }
}

#[test]
fn rules_that_come_with_a_task_and_try_to_widen_are_refused_and_nothing_is_accepted() {
    let site = Site::scripted(1, "", &["total.sh"], &[]);
    let serve = site.serve();
    let path = site.bench.path("shop");
    serve.api("POST", "/repositories", &json!({"path": path})).expect(201);
    let attempts: toml::Table =
        include_str!("../../../bailiwick-policy/tests/widening.toml").parse().unwrap();
    let attempts = attempts["attempt"].as_array().unwrap();
    assert!(attempts.len() >= 30);
    let submit = |name: &str, text: &str| {
        let narrow = json!([{"name": name, "text": text}]);
        let task = json!({"text": "Mend total.sh.", "repo": "shop", "narrow": narrow});
        serve.api("POST", "/tasks", &task)
    };
    for attempt in attempts {
        let text = |key: &str| attempt[key].as_str().unwrap();
        let said = submit(text("file"), text("text"));
        refused(said.expect(409), "policy.layer_refused");
        let message = said.json()["error"]["message"].as_str().unwrap().to_owned();
        // A fault of the file as a whole has no line.
        let line = attempt["line"].as_integer().filter(|line| *line > 0);
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        let place = format!("{}{line}", text("file"));
        assert!(message.contains(&place), "{}: {message}", text("name"));
    }
    for (name, text) in [
        ("notes.txt", "[commands]\ndeny = [\"ls\"]\n".to_owned()),
        ("../x.toml", "[commands]\ndeny = [\"ls\"]\n".to_owned()),
        ("x.toml", format!("# {}\n", "x".repeat(70_000))),
        ("x.toml", "[commands\n".to_owned()),
    ] {
        refused(submit(name, &text).expect(409), "policy.layer_refused");
    }
    assert_eq!(serve.get("/tasks").json(), json!([]));
    // The control: one that narrows is accepted.
    submit("mine.toml", "[commands]\ndeny = [\"ls\"]\n").expect(201);
}
