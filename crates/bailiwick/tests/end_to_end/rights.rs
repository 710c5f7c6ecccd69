//! Who may do what in which repository: policy lets nobody do more than they may on the forge.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::http::{self, Answer};
use crate::harness::{PERSON, Serve, Site};

fn send(serve: &Serve, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers =
        [format!("authorization: Bearer {token}"), "content-type: application/json".to_owned()];
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    http::send(&serve.address, method, path, &headers, &body)
}

fn get(serve: &Serve, token: &str, path: &str) -> Answer {
    send(serve, token, "GET", &format!("/api/v1{path}"), &Value::Null)
}

/// A token of a new requester, with every scope.
fn requester(serve: &Serve, name: &str) -> String {
    let account = json!({"name": name, "kind": "human", "roles": ["requester"]});
    let change = json!({"change": "account_added", "account": account});
    serve.api("POST", "/identity/changes", &change).expect(200);
    let params = json!({"person": name, "scopes": ["read", "tasks", "git"]});
    let created = serve.api("POST", "/tokens", &params);
    created.expect(201).json()["secret"].as_str().unwrap().to_owned()
}

fn set(serve: &Serve, repo: &str, people: &Value) {
    let access = json!({"everybody": "nothing", "people": people});
    let change = json!({"change": "repo_access_set", "repo": repo, "access": access});
    serve.api("POST", "/identity/changes", &change).expect(200);
}

#[track_caller]
fn missing(answer: &Answer) {
    let error = &answer.expect(403).json()["error"];
    assert_eq!(error["code"], "forge.right_missing", "{error}");
}

#[test]
fn a_task_does_what_its_requester_may_and_stops_where_that_ends() {
    let site = Site::new(false);
    let serve = site.serve();
    site.import(&serve);
    let repo = site.generated.name.as_str();
    let (bob, carol, dan) =
        (requester(&serve, "bob"), requester(&serve, "carol"), requester(&serve, "dan"));
    let task = json!({"text": site.generated.task, "repo": repo});
    let create = |token: &str| send(&serve, token, "POST", "/api/v1/tasks", &task);
    let (refs, pulls) =
        (format!("/git/{repo}.git/info/refs"), format!("/repositories/{repo}/pulls"));
    let fetch = |token: &str| {
        send(&serve, token, "GET", &format!("{refs}?service=git-upload-pack"), &Value::Null)
    };

    // The control: while nothing is said of the repository, whoever has an account may.
    for token in [&bob, &carol, &dan] {
        assert_eq!(get(&serve, token, "/repositories").expect(200).json()[0]["name"], repo);
        fetch(token).expect(200);
        get(&serve, token, &pulls).expect(200);
    }
    let all = json!({PERSON: "write", "bob": "write", "carol": "read"});
    set(&serve, repo, &all);

    // To write includes to read; to read is no more than that; dan has nothing.
    let created = create(&bob).expect(201).json();
    let id = created["id"].as_str().unwrap().to_owned();
    serve.events(&id).until("change_published");
    fetch(&carol).expect(200);
    get(&serve, &carol, &pulls).expect(200);
    assert_eq!(get(&serve, &carol, "/tasks").expect(200).json()[0]["id"], *id);
    missing(&create(&carol));
    missing(&fetch(&dan));
    missing(&get(&serve, &dan, &pulls));
    missing(&get(&serve, &dan, &format!("/tasks/{id}")));
    missing(&get(&serve, &dan, &format!("/tasks/{id}/events")));
    missing(&create(&dan));
    for list in ["/repositories", "/tasks", "/approvals"] {
        assert_eq!(get(&serve, &dan, list).expect(200).json(), json!([]), "{list}");
    }

    // Bob's right ends while his change waits: it is not merged on his behalf, whoever approves.
    set(&serve, repo, &json!({PERSON: "write", "bob": "read"}));
    let change = serve.get(&format!("{pulls}/1")).expect(200).json();
    let head = change["head"].clone();
    let review = json!({"verdict": "approve", "head": head});
    serve.api("POST", &format!("{pulls}/1/reviews"), &review).expect(200);
    serve.api("POST", &format!("{pulls}/1/merge"), &Value::Null).expect(200);
    serve.events(&id).until("human_asked");
    let asked = serve.get(&format!("/tasks/{id}")).expect(200).json();
    let question = asked["subtasks"].as_object().unwrap().values().next().unwrap();
    assert_eq!(question["question"]["code"], "forge.right_missing", "{question}");

    // The control: with it back, the same merge is done.
    set(&serve, repo, &all);
    serve.api("POST", &format!("/tasks/{id}/retry"), &Value::Null).expect(200);
    let end = Instant::now() + Duration::from_secs(120);
    while serve.get(&format!("{pulls}/1")).expect(200).json()["state"] != "merged" {
        assert!(Instant::now() < end, "{}", serve.get(&format!("/tasks/{id}")).json());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let merges = ledger.permitted("pull_request_merge");
    assert_eq!(merges.len(), 1);
    let refused: Vec<&Value> = ledger
        .events()
        .filter(|event| event["decision"]["code"] == "forge.right_missing")
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["action"]["kind"], "pull_request_merge");
}

#[test]
fn an_operator_says_who_may_do_what() {
    let site = Site::new(false);
    let bailiwick = |arguments: &[&str]| site.bench.bailiwick(arguments);
    bailiwick(&["user", "add", "bob", "--role", "requester"]).expect(0);
    let shown = bailiwick(&["repo", "access", "shop"]);
    assert!(shown.expect(0).stdout.contains("whoever has an account may write"), "{shown:?}");
    let set = bailiwick(&["repo", "access", "shop", "--everybody", "read", "--write", "bob"]);
    assert_eq!(set.expect(0).stdout, "everybody: read\nbob: write\n");
    let unknown = bailiwick(&["repo", "access", "shop", "--write", "nobody"]);
    assert_eq!(unknown.expect(1).error_code(), "user.unknown");
    let shown = bailiwick(&["repo", "access", "shop", "--json"]).expect(0).json();
    assert_eq!(shown, json!({"everybody": "read", "people": {"bob": "write"}}));
}
