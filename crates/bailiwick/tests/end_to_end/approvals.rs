//! What needs people: asked, waited for at no cost, answered by the right ones, used as answered.

use std::thread;

use serde_json::{Value, json};

use crate::harness::http::{self, Answer};
use crate::harness::{Ledger, Serve, Workbench, git};

/// The standard policy, with a gate on commands that say so.
const STANDARD: &str = include_str!("../../../bailiwick-policy/policies/standard.cedar");

fn gate(quorum: u32) -> String {
    format!(
        r#"
@id("asks-people")
@gate("release")
@quorum("{quorum}")
@reason("people decide about this")
@hint("Ask the release group.")
forbid (principal is Agent, action == Action::"command", resource)
when {{ context.text like "*people-decide*" }}
unless {{ context.approvals.contains("release") }};
"#
    )
}

/// A bench whose implementor makes these calls, mends the file and finishes.
pub(super) struct Site {
    pub(super) bench: Workbench,
    config: String,
}

impl Site {
    fn new(quorum: u32, settings: &str, commands: &[&str]) -> Self {
        let calls: Vec<(&str, Value)> =
            commands.iter().map(|command| ("run", json!({"command": command}))).collect();
        Self::scripted(quorum, settings, &["total.sh"], &calls)
    }

    pub(super) fn scripted(
        quorum: u32,
        settings: &str,
        scope: &[&str],
        calls: &[(&str, Value)],
    ) -> Self {
        let bench = Workbench::new();
        let files = [
            ("total.sh".to_owned(), "echo wrong\n".to_owned()),
            (
                "Makefile".to_owned(),
                ".PHONY: test\ntest:\n\tsh ./total.sh | grep right\n".to_owned(),
            ),
        ];
        git::make_repository(&bench.path("shop"), &files);
        bench.write("org.cedar", &format!("{STANDARD}{}", gate(quorum)));
        bench.write("script.toml", &script(scope, calls));
        let site = Self { bench, config: String::new() };
        site.configured(settings)
    }

    /// The same with other settings.
    pub(super) fn configured(self, settings: &str) -> Self {
        let bench = self.bench;
        let config = format!(
            "{settings}\n[policy]\nfiles = [\"org.cedar\"]\n[[provider]]\nname = \"from-file\"\nkind = \"scripted\"\nscript = \"script.toml\"\n"
        );
        let config = bench.write("site.toml", &config).to_str().unwrap().to_owned();
        Self { bench, config }
    }

    pub(super) fn serve(&self) -> Serve {
        Serve::start(&self.bench, &["--config", &self.config])
    }

    /// Starts a task and waits until it asks for the first time.
    pub(super) fn ask(&self, serve: &Serve) -> String {
        let id = self.start(serve, &json!({}));
        let mut live = serve.events(&id);
        live.until("approval_asked");
        // What is cut off before its step stands in the ledger is done again, and asked again.
        live.until("step_taken");
        id
    }

    /// Starts a task with these fields beside the usual ones.
    pub(super) fn start(&self, serve: &Serve, fields: &Value) -> String {
        let path = self.bench.path("shop");
        serve.api("POST", "/repositories", &json!({"path": path})).expect(201);
        let mut task = json!({"text": "Mend total.sh.", "repo": "shop"});
        for (name, value) in fields.as_object().unwrap() {
            task[name] = value.clone();
        }
        let id = serve.api("POST", "/tasks", &task).expect(201).json()["id"].clone();
        id.as_str().unwrap().to_owned()
    }
}

fn script(scope: &[&str], calls: &[(&str, Value)]) -> String {
    let reply = |role: &str, step: usize, tool: &str, input: &Value| json!({"role": role, "step": step, "text": "as in the script", "tool": [{"name": tool, "input": input}]});
    let plan = json!({"summary": "mend it", "subtasks": [{
        "key": "mend", "title": "Mend total.sh", "description": "Make it say right.",
        "depends_on": [], "scope": {"paths": scope},
        "acceptance": [{"name": "right", "command": "make test"}],
    }]});
    let mut replies = vec![reply("coordinator", 1, "submit_plan", &plan)];
    for (at, (tool, input)) in calls.iter().enumerate() {
        replies.push(reply("implementor", at + 1, tool, input));
    }
    let next = calls.len() + 1;
    let edit = json!({"path": "total.sh", "old": "echo wrong", "new": "echo right"});
    replies.push(reply("implementor", next, "edit", &edit));
    replies.push(reply("implementor", next + 1, "finish", &json!({"summary": "mended"})));
    let verdict = json!({"verdict": "accepted", "summary": "right"});
    replies.push(reply("verifier", 1, "submit_verdict", &verdict));
    replies.push(reply("reviewer", 1, "submit_review", &json!({"summary": "fine"})));
    toml::to_string(&json!({"reply": replies})).unwrap()
}

pub(super) fn send(serve: &Serve, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers =
        [format!("authorization: Bearer {token}"), "content-type: application/json".to_owned()];
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    http::send(&serve.address, method, &format!("/api/v1{path}"), &headers, &body)
}

/// A new approver, in the group or not, with a token.
fn approver(serve: &Serve, name: &str, member: bool) -> String {
    approver_in(serve, name, if member { &["release"] } else { &[] })
}

/// A new approver in these groups, with a token.
pub(super) fn approver_in(serve: &Serve, name: &str, groups: &[&str]) -> String {
    let change = |change: Value| serve.api("POST", "/identity/changes", &change);
    let account = json!({"name": name, "kind": "human", "roles": ["approver"]});
    change(json!({"change": "account_added", "account": account})).expect(200);
    for group in groups {
        // There already for all but the first.
        change(json!({"change": "group_added", "group": group}));
        change(json!({"change": "member_added", "group": group, "person": name})).expect(200);
    }
    let token = json!({"person": name, "scopes": ["read", "review"]});
    let created = serve.api("POST", "/tokens", &token);
    created.expect(201).json()["secret"].as_str().unwrap().to_owned()
}

pub(super) fn open(serve: &Serve) -> Value {
    let list = serve.get("/approvals").expect(200).json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].clone()
}

pub(super) fn answer(
    serve: &Serve,
    token: &str,
    request: &Value,
    verdict: &str,
    usage: &str,
) -> Answer {
    let path = format!("/approvals/{}/answer", request["id"].as_str().unwrap());
    let body = json!({"verdict": verdict, "usage": usage, "digest": request["digest"]});
    send(serve, token, "POST", &path, &body)
}

#[track_caller]
pub(super) fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.json()["error"]["code"], code, "{}", answer.status);
}

/// What was decided of the command that people are asked about, each time.
fn people_decided(ledger: &Ledger) -> Vec<String> {
    ledger
        .decisions("command")
        .into_iter()
        .filter(|run| run["action"]["argv"][2].as_str().unwrap().contains("people-decide"))
        .map(|run| {
            let code = run["decision"]["code"].as_str();
            code.unwrap_or_else(|| run["decision"]["verdict"].as_str().unwrap()).to_owned()
        })
        .collect()
}

#[test]
fn a_task_waits_through_a_kill_and_goes_on_once_enough_of_the_right_people_agreed() {
    let site = Site::new(2, "", &["echo people-decide", "echo people-decide"]);
    let serve = site.serve();
    // The requester has every role, and is in the group as well: own requests stay refused.
    let bob = approver(&serve, "bob", true);
    let carol = approver(&serve, "carol", true);
    let eve = approver(&serve, "eve", false);
    let me = json!({"change": "member_added", "group": "release", "person": "ada"});
    serve.api("POST", "/identity/changes", &me).expect(200);
    let id = site.ask(&serve);
    // The whole question, and what each kind of grant would allow.
    let request = open(&serve);
    assert_eq!(request["needs"], json!([{"group": "release", "quorum": 2}]));
    assert_eq!(request["action"]["argv"][2], "echo people-decide", "{request}");
    assert_ne!(request["once_means"], request["repeated_means"]);
    assert_eq!((&request["requester"], &request["status"]), (&json!("ada"), &json!("open")));
    assert!(request["tree"].is_string(), "{request}");
    assert_eq!(serve.get("/tasks").json()[0]["standing"], "waits for approval");

    // Killed in the middle of the wait; the question stands, and nothing was asked twice.
    drop(serve);
    let serve = site.serve();
    assert_eq!(open(&serve), request);

    // Not the requester, not somebody outside the group, not for something else, not twice.
    let own = serve.api(
        "POST",
        &format!("/approvals/{}/answer", request["id"].as_str().unwrap()),
        &json!({"verdict": "grant", "digest": request["digest"]}),
    );
    refused(own.expect(403), "approval.own_request");
    refused(answer(&serve, &eve, &request, "grant", "once").expect(403), "approval.not_in_group");
    let mut other = request.clone();
    other["digest"] = json!("0".repeat(64));
    refused(answer(&serve, &bob, &other, "grant", "once").expect(409), "approval.changed");
    let one = answer(&serve, &bob, &request, "grant", "once").expect(200).json();
    assert_eq!(one["status"], "open", "one of two is not enough");
    refused(answer(&serve, &bob, &request, "grant", "once").expect(409), "approval.answered");
    assert_eq!(serve.get("/tasks").json()[0]["standing"], "waits for approval");

    let two = answer(&serve, &carol, &request, "grant", "once").expect(200).json();
    assert_ne!(two["status"], "open", "{two}");
    serve.events(&id).until("change_published");
    let view = serve.get(&format!("/approvals/{}", request["id"].as_str().unwrap())).json();
    assert_eq!((&view["status"], &view["uses"]), (&json!("spent"), &json!(1)));
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let names: Vec<&Value> =
        ledger.facts("approval_answered").into_iter().map(|fact| &fact["by"]).collect();
    assert_eq!(names, ["bob", "carol"]);
    assert_eq!(ledger.facts("approval_asked").len(), 1);
    let [used] = ledger.facts("approval_used")[..] else { panic!() };
    let runs = ledger.permitted("command");
    let asked: Vec<&&Value> =
        runs.iter().filter(|run| run["action"]["argv"][2] == "echo people-decide").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["id"], used["action"]);
    assert_eq!(asked[0]["context"]["approvals"], json!(["release"]));
}

#[test]
fn a_grant_holds_for_what_was_shown_as_often_as_was_said() {
    let commands = [
        "echo people-decide one", // asks
        "echo people-decide one", // granted once: runs
        "echo people-decide one", // used up: asks again
        "echo people-decide one", // refused
        "echo people-decide two", // something else: asks
        "echo people-decide two", // granted repeatedly: runs
        "echo people-decide two", // and again
    ];
    let site = Site::new(1, "", &commands);
    let serve = site.serve();
    let bob = approver(&serve, "bob", true);
    let id = site.ask(&serve);
    let mut live = serve.events(&id);
    live.until("approval_asked");
    let first = open(&serve);
    answer(&serve, &bob, &first, "grant", "once").expect(200);
    live.until("approval_asked");
    let second = open(&serve);
    assert_eq!(second["digest"], first["digest"], "the same command");
    assert_ne!(second["id"], first["id"]);
    answer(&serve, &bob, &second, "deny", "once").expect(200);
    live.until("approval_asked");
    let third = open(&serve);
    assert_ne!(third["digest"], first["digest"], "another command");
    answer(&serve, &bob, &third, "grant", "repeated").expect(200);
    live.until("change_published");
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    let verdicts = people_decided(&ledger);
    let expected = [
        "needs_approval",
        "permit",
        "needs_approval",
        "approval.denied",
        "needs_approval",
        "permit",
        "permit",
    ];
    assert_eq!(verdicts, expected);
    let uses = ledger.facts("approval_used");
    let of = |request: &Value| uses.iter().filter(|used| used["approval"] == request["id"]).count();
    assert_eq!((of(&first), of(&second), of(&third)), (1, 0, 2));
}

#[test]
fn of_two_who_answer_at_once_one_is_told_that_it_is_done() {
    let site = Site::new(1, "", &["echo people-decide", "echo people-decide"]);
    let serve = site.serve();
    let tokens = [approver(&serve, "bob", true), approver(&serve, "carol", true)];
    let id = site.ask(&serve);
    let request = open(&serve);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let at_once: Vec<_> = tokens
            .iter()
            .zip(["grant", "deny"])
            .map(|(token, verdict)| {
                let (serve, request) = (&serve, &request);
                scope.spawn(move || answer(serve, token, request, verdict, "once"))
            })
            .collect();
        at_once.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let late = answers.iter().find(|answer| answer.status == 409).unwrap();
    refused(late, "approval.closed");
    serve.events(&id).until("change_published");
    assert_eq!(serve.stop(), Some(0));
    assert_eq!(site.bench.verified_ledger().facts("approval_answered").len(), 1);
}

#[test]
fn what_nobody_answers_lapses_and_the_agent_is_told() {
    let site =
        Site::new(1, "[approval]\nwait_minutes = 0", &["echo people-decide", "echo people-decide"]);
    let serve = site.serve();
    let bob = approver(&serve, "bob", true);
    let id = site.ask(&serve);
    // Too late, whether or not the platform has noticed yet.
    let all = serve.get("/approvals?all=true").json();
    let request = &all[0];
    assert_eq!(request["status"], "expired", "{all}");
    refused(answer(&serve, &bob, request, "grant", "once").expect(409), "approval.expired");
    serve.events(&id).until("change_published");
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    let denied: Vec<&Value> = ledger
        .decisions("command")
        .into_iter()
        .filter(|run| run["decision"]["code"] == "approval.expired")
        .collect();
    assert_eq!(denied.len(), 1);
    assert_eq!(ledger.facts("approval_voided").len(), 1);
    assert!(ledger.facts("approval_used").is_empty());
}

#[test]
fn whoever_is_away_lets_somebody_else_answer_and_it_is_one_voice() {
    let site = Site::new(2, "", &["echo people-decide", "echo people-decide"]);
    let serve = site.serve();
    let bob = approver(&serve, "bob", true);
    let dan = approver(&serve, "dan", false);
    let carol = approver(&serve, "carol", true);
    site.ask(&serve);
    let request = open(&serve);
    refused(answer(&serve, &dan, &request, "grant", "once").expect(403), "approval.not_in_group");
    let delegation = json!({"to": "dan", "days": 3});
    send(&serve, &bob, "POST", "/delegations", &delegation).expect(200);
    let view = answer(&serve, &dan, &request, "grant", "once").expect(200).json();
    assert_eq!(view["answers"][0]["for_person"], "bob");
    // Bob himself adds nothing to it.
    let view = answer(&serve, &bob, &request, "grant", "once");
    if view.status == 200 {
        assert_eq!(view.json()["status"], "open", "one voice counted twice");
    }
    let view = answer(&serve, &carol, &request, "grant", "once").expect(200).json();
    assert_ne!(view["status"], "open");
}

#[test]
fn an_emergency_opens_gates_for_a_time_because_two_people_said_so_and_no_hard_rule() {
    let site = Site::new(1, "", &["echo people-decide", "curl http://example.invalid/"]);
    let serve = site.serve();
    let path = site.bench.path("shop");
    serve.api("POST", "/repositories", &json!({"path": path})).expect(201);
    let operator = json!({"name": "olga", "kind": "human", "roles": ["operator"]});
    let change = json!({"change": "account_added", "account": operator});
    serve.api("POST", "/identity/changes", &change).expect(200);
    let token = json!({"person": "olga", "scopes": ["read", "operate"]});
    let olga = serve.api("POST", "/tokens", &token).expect(201).json();
    let olga = olga["secret"].as_str().unwrap().to_owned();
    let declare = json!({
        "name": "payments-down", "repo": "shop", "reason": "nobody can pay", "minutes": 30,
    });
    let endless = json!({
        "name": "payments-down", "repo": "shop", "reason": "nobody can pay", "minutes": 3000,
    });
    refused(serve.api("POST", "/emergencies", &endless).expect(409), "break_glass.bad_time");
    let declared = serve.api("POST", "/emergencies", &declare).expect(201).json();
    let confirm = format!("/emergencies/{}/confirm", declared["emergency"]["id"].as_str().unwrap());
    refused(serve.api("POST", &confirm, &Value::Null).expect(403), "break_glass.second_person");
    // Declared alone it opens nothing: that is the control, in the other tests. Confirmed it does.
    send(&serve, &olga, "POST", &confirm, &Value::Null).expect(200);
    let task = json!({"text": "Mend total.sh.", "repo": "shop"});
    let id = serve.api("POST", "/tasks", &task).expect(201).json()["id"].clone();
    serve.events(id.as_str().unwrap()).until("change_published");
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    assert_eq!(ledger.facts("approval_asked").len(), 0);
    let used = ledger.facts("emergency_used");
    assert_eq!(used.len(), 1);
    assert_eq!(used[0]["rules"], json!(["asks-people"]));
    let codes: Vec<&Value> =
        ledger.facts("alert_raised").into_iter().map(|alert| &alert["code"]).collect();
    assert_eq!(codes, ["alert.break_glass_declared", "alert.break_glass"]);
    let curl: Vec<&Value> = ledger
        .decisions("command")
        .into_iter()
        .filter(|run| run["action"]["argv"][2].as_str().unwrap().starts_with("curl"))
        .collect();
    assert_eq!(curl[0]["decision"]["verdict"], "deny", "an emergency lifted a hard rule");
}

#[test]
fn what_is_refused_again_and_again_is_closed_in_other_forms_and_raises_an_alert() {
    let commands = [
        "./run-me || true", // the control: a script of the workspace may run
        "curl http://one.example/",
        "wget http://two.example/",
        "curl -X POST http://three.example/",
        "./run-me || true", // closed by now
        "nc four.example 80",
    ];
    let site = Site::new(1, "", &commands);
    let serve = site.serve();
    let path = site.bench.path("shop");
    serve.api("POST", "/repositories", &json!({"path": path})).expect(201);
    let task = json!({"text": "Mend total.sh.", "repo": "shop"});
    let id = serve.api("POST", "/tasks", &task).expect(201).json()["id"].clone();
    serve.events(id.as_str().unwrap()).until("change_published");
    // Whoever follows all events sees the alert, and the pages of it too.
    http::Events::open(
        &serve.address,
        "/api/v1/events",
        &[format!("authorization: Bearer {}", serve.token)],
    )
    .until("alert_raised");
    let page = serve.get("/events?limit=2000").expect(200).json();
    let alerts = page.as_array().unwrap().iter().filter(|e| e["event"]["fact"] == "alert_raised");
    assert_eq!(alerts.count(), 1);
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    // People are told what would allow it, the agent is not.
    let told: Vec<&str> = ledger
        .facts("step_taken")
        .into_iter()
        .flat_map(|step| step["results"].as_array().unwrap())
        .filter_map(|result| result["content"]["inline"].as_str())
        .filter(|text| text.contains("\"denied\""))
        .collect();
    assert_eq!(told.len(), 5);
    for text in told {
        assert!(text.contains("policy."), "{text}");
        for pattern in ["permit(", "@id(", "For people", "context.", "[["] {
            assert!(!text.contains(pattern), "{pattern}: {text}");
        }
    }
    let decided: Vec<&Value> = ledger
        .decisions("command")
        .into_iter()
        .filter(|run| run["action"]["purpose"] == "tool")
        .collect();
    let verdicts: Vec<&str> =
        decided.iter().map(|run| run["decision"]["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["permit", "deny", "deny", "deny", "deny", "deny"]);
    assert_eq!(decided[4]["decision"]["rules"], json!(["closed-for-this-session"]));
    assert_eq!(decided[4]["context"]["facts"]["denied_by"]["agents-no-network"], 3);
    let [alert] = ledger.facts("alert_raised")[..] else { panic!() };
    assert_eq!(alert["code"], "alert.denial_storm");
    assert!(alert["session"].is_string());
}

/// Everybody who is asked is away: somebody stands in, then others are asked, then it lapses.
#[test]
fn with_approvers_away_somebody_stands_in_or_others_are_asked_or_it_lapses() {
    let commands = [
        "echo people-decide one", // asks: dan stands in for bob
        "echo people-decide one",
        "echo people-decide two", // asks: nobody answers, so the chiefs are asked
        "echo people-decide two",
        "echo people-decide three", // asks: nobody answers at all
        "echo people-decide three",
    ];
    // The control: without escalation a chief has no say.
    let control = Site::new(1, "", &commands);
    let serve = control.serve();
    let carol = approver_in(&serve, "carol", &["chiefs"]);
    approver(&serve, "bob", true);
    control.ask(&serve);
    let request = open(&serve);
    refused(answer(&serve, &carol, &request, "grant", "once").expect(403), "approval.not_in_group");
    drop(serve);

    let site = Site::new(1, "", &commands);
    let serve = site.serve();
    let bob = approver(&serve, "bob", true);
    let dan = approver(&serve, "dan", false);
    let carol = approver_in(&serve, "carol", &["chiefs"]);
    let id = site.ask(&serve);
    let first = open(&serve);
    send(&serve, &bob, "POST", "/delegations", &json!({"to": "dan", "days": 3})).expect(200);
    let view = answer(&serve, &dan, &first, "grant", "once").expect(200).json();
    assert_eq!(view["answers"][0]["for_person"], "bob");
    let mut live = serve.events(&id);
    live.until("approval_used");
    live.until("approval_asked");
    live.until("step_taken");
    drop(live);
    assert_eq!(serve.stop(), Some(0));

    // Dan is gone as well, and nobody answers for so long that the chiefs are asked. What is asked
    // from here on lapses at once.
    let site = site
        .configured("[approval]\nwait_minutes = 0\nescalate_to = \"chiefs\"\nescalate_minutes = 0");
    let serve = site.serve();
    let gone = json!({"change": "account_disabled", "person": "dan"});
    serve.api("POST", "/identity/changes", &gone).expect(200);
    let second = open(&serve);
    let lost = answer(&serve, &dan, &second, "grant", "once");
    refused(lost.expect(401), "auth.token_revoked");
    let mut live = serve.events(&id);
    live.until("approval_escalated");
    let view = answer(&serve, &carol, &second, "grant", "once").expect(200).json();
    assert_eq!(view["answers"][0]["groups"], json!(["release"]), "it speaks for who was asked");

    // The third nobody answers in time: the agent is told, and goes on without.
    live.until("change_published");
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    let by: Vec<&Value> =
        ledger.facts("approval_answered").into_iter().map(|fact| &fact["by"]).collect();
    assert_eq!(by, ["dan", "carol"]);
    let decided = people_decided(&ledger);
    let granted = ["needs_approval", "permit"];
    assert_eq!(decided, [&granted[..], &granted, &["needs_approval", "approval.expired"]].concat());
}
