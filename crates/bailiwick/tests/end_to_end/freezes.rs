//! Freezing: at once, in whichever process works, recorded, and thawed by somebody else.

use serde_json::{Value, json};

use crate::harness::generate;
use crate::harness::{ModelServer, Protocol, Ran, Seed, Serve, Workbench, git, http};

fn send(serve: &Serve, token: &str, path: &str, body: &Value) -> http::Answer {
    let headers =
        [format!("authorization: Bearer {token}"), "content-type: application/json".to_owned()];
    let body = serde_json::to_vec(body).unwrap();
    http::send(&serve.address, "POST", &format!("/api/v1{path}"), &headers, &body)
}

#[test]
fn what_is_frozen_waits_and_goes_on_when_somebody_else_thaws_it() {
    let generated = generate::shell(&mut Seed::new());
    let bench = Workbench::new();
    git::make_repository(&bench.path(&generated.name), &generated.files);
    let server = ModelServer::start(Protocol::Anthropic, generated.scenario.clone().brain());
    let config = format!(
        "[task]\nmodel = \"made-up-model\"\n[[provider]]\nname = \"made-up\"\nkind = \"anthropic\"\nbase_url = \"{}\"\nprice = \"free\"\n",
        server.url()
    );
    let config = bench.write("settings.toml", &config).to_str().unwrap().to_owned();
    let serve = Serve::start(&bench, &["--config", &config]);
    let ask = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        bench.bailiwick(&all)
    };
    let account = json!({"name": "grace", "kind": "human", "roles": ["operator", "approver"]});
    let change = json!({"change": "account_added", "account": account});
    serve.api("POST", "/identity/changes", &change).expect(200);
    let token = json!({"person": "grace", "scopes": ["read", "review", "operate"]});
    let grace = serve.api("POST", "/tokens", &token).expect(201).json();
    let grace = grace["secret"].as_str().unwrap().to_owned();

    // From another process, with a reason; without one nothing is frozen.
    let bare = ask(&["freeze", "merge", "--reason", " "]);
    bare.expect(1);
    assert_eq!(bare.error_code(), "reason.missing");
    let frozen = ask(&["freeze", "merge", "--reason", "a bad release is out", "--json"]);
    let freeze = frozen.expect(0).json();
    assert_eq!(freeze["frozen"], json!({"what": "merge"}));

    // All before the merge goes on as ever; that is the control for what a freeze leaves alone.
    let path = bench.path(&generated.name);
    serve.api("POST", "/repositories", &json!({"path": path})).expect(201);
    let params = json!({"text": generated.task, "repo": generated.name});
    let id = serve.api("POST", "/tasks", &params).expect(201).json()["id"].clone();
    let id = id.as_str().unwrap();
    let mut live = serve.events(id);
    live.until("change_published");
    let pulls = format!("/repositories/{}/pulls/1", generated.name);
    let head = serve.get(&pulls).expect(200).json()["head"].clone();
    let review = json!({"verdict": "approve", "head": head});
    send(&serve, &grace, &format!("{pulls}/reviews"), &review).expect(200);
    send(&serve, &grace, &format!("{pulls}/merge"), &json!({})).expect(200);
    let denied = loop {
        let seen = live.until("decided");
        let last = seen.last().unwrap().data["event"].clone();
        if last["action"]["kind"] == "pull_request_merge" {
            break last;
        }
    };
    assert_eq!(denied["decision"]["code"], "freeze.in_force", "{denied}");
    assert!(denied["decision"]["reason"].as_str().unwrap().contains("a bad release is out"));
    assert_eq!(serve.get(&pulls).json()["state"], "open");

    // Whoever froze it does not thaw it.
    let freeze = freeze["id"].as_str().unwrap();
    let own = ask(&["thaw", freeze]);
    own.expect(1);
    assert_eq!(own.error_code(), "freeze.second_person");
    send(&serve, &grace, &format!("/freezes/{freeze}/thaw"), &json!({})).expect(200);
    let ended = live.until("task_ended");
    assert_eq!(ended.last().unwrap().data["event"]["end"], "merged");
    assert_eq!(ask(&["freeze", "list", "--json"]).expect(0).json(), json!([]));
    assert_eq!(serve.stop(), Some(0));
    let ledger = bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let [frozen] = ledger.facts("frozen")[..] else { panic!() };
    assert_eq!((&frozen["by"], &frozen["reason"]), (&json!("ada"), &json!("a bad release is out")));
    let [thawed] = ledger.facts("thawed")[..] else { panic!() };
    assert_eq!((&thawed["by"], &thawed["single_user"]), (&json!("grace"), &json!(false)));
}

#[test]
fn each_kind_of_freeze_stops_its_own_and_nothing_else() {
    let generated = generate::shell(&mut Seed::new());
    // What is frozen; the kind of action that is refused first, if any is.
    for (what, refused) in [
        (vec!["dispatch"], Some("agent_start")),
        (vec!["push"], Some("branch_push")),
        (vec!["model", "scripted"], Some("agent_start")),
        (vec!["model", "another-model"], None),
        (vec!["tool", "edit"], Some("file_write")),
        (vec!["tool", "nothing"], None),
        (vec!["repo", &generated.name], Some("repo_read")),
        (vec!["repo", "another"], None),
        (vec!["all"], Some("repo_read")),
    ] {
        let bench = Workbench::new();
        git::make_repository(&bench.path(&generated.name), &generated.files);
        let mut arguments = vec!["freeze"];
        arguments.extend(&what);
        arguments.extend(["--reason", "trying it"]);
        bench.bailiwick(&arguments).expect(0);
        let server = ModelServer::start(Protocol::Anthropic, generated.scenario.clone().brain());
        let model =
            if what[0] == "model" && what[1] == "scripted" { "scripted" } else { "made-up" };
        let source = bench.path(&generated.name);
        let url = server.url();
        let ran = bench.bailiwick(&[
            "run",
            &generated.task,
            "--repo",
            source.to_str().unwrap(),
            "--no-wait",
            "--model-url",
            &url,
            "--protocol",
            "anthropic",
            "--model",
            model,
        ]);
        // A start brings the ledger's files up to date with what a refused command left.
        bench.bailiwick(&["freeze", "list"]).expect(0);
        let ledger = bench.verified_ledger();
        let stopped: Vec<&Value> = ledger
            .events()
            .filter(|event| event["decision"]["code"] == "freeze.in_force")
            .collect();
        match refused {
            None => {
                assert!(stopped.is_empty(), "{what:?}: {stopped:?}");
                assert!(!ledger.facts("change_published").is_empty(), "{what:?}: {ran:?}");
            }
            Some(kind) => {
                assert_eq!(stopped[0]["action"]["kind"], kind, "{what:?}: {ran:?}");
                assert_eq!(ledger.permitted(kind).len(), 0, "{what:?}");
                assert!(ledger.facts("change_published").is_empty(), "{what:?}");
            }
        }
    }
}

#[test]
fn a_freeze_reaches_a_process_that_serves_nobody_while_it_works() {
    let generated = generate::shell(&mut Seed::new());
    let bench = std::sync::Arc::new(Workbench::new());
    git::make_repository(&bench.path(&generated.name), &generated.files);
    let brain = generated.scenario.clone().brain();
    let other = std::sync::Arc::clone(&bench);
    let ordered = std::sync::Mutex::new(None::<Ran>);
    let ordered = std::sync::Arc::new(ordered);
    let seen = std::sync::Arc::clone(&ordered);
    // In the middle of the run, while the model is asked, somebody freezes pushes elsewhere.
    let server = ModelServer::start(Protocol::Anthropic, move |conversation| {
        let mut order = seen.lock().unwrap();
        if order.is_none() {
            *order = Some(other.bailiwick(&[
                "freeze",
                "push",
                "--reason",
                "stop right there",
                "--as",
                "grace",
                "--json",
            ]));
        }
        drop(order);
        brain(conversation)
    });
    let source = bench.path(&generated.name);
    let url = server.url();
    let ran = bench.bailiwick(&[
        "run",
        &generated.task,
        "--repo",
        source.to_str().unwrap(),
        "--no-wait",
        "--model-url",
        &url,
        "--protocol",
        "anthropic",
        "--model",
        "made-up",
    ]);
    let order = ordered.lock().unwrap().take().unwrap();
    order.expect(0);
    assert!(order.stderr.contains("ordered"), "{order:?}");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let ledger = bench.verified_ledger();
    assert_eq!(ledger.permitted("branch_push").len(), 0);
    let [frozen] = ledger.facts("frozen")[..] else { panic!("{:?}", ledger.facts("frozen")) };
    assert_eq!(frozen["id"], order.json()["id"]);
    assert_eq!(frozen["by"], "grace");
    // Thawed by somebody else, the work goes on where it was.
    let freeze = frozen["id"].as_str().unwrap().to_owned();
    let own = bench.bailiwick(&["thaw", &freeze, "--as", "grace"]);
    assert_eq!(own.error_code(), "freeze.second_person");
    bench.bailiwick(&["thaw", &freeze, "--as", "alan"]).expect(0);
    assert_eq!(bench.bailiwick(&["freeze", "list", "--json"]).json(), json!([]));
}

#[test]
fn an_order_that_can_not_be_read_stops_everything() {
    let generated = generate::shell(&mut Seed::new());
    let bench = Workbench::new();
    let source = bench.path(&generated.name);
    git::make_repository(&source, &generated.files);
    let import = || bench.bailiwick(&["repo", "import", source.to_str().unwrap()]);
    // The control: without the order the same is done.
    import().expect(0);
    let orders = bench.data().join("store/freeze");
    std::fs::create_dir_all(&orders).unwrap();
    for text in ["", "{}", "not an order"] {
        std::fs::write(orders.join("order.json"), text).unwrap();
        let refused = import();
        refused.expect(1);
        assert_eq!(refused.error_code(), "safeguards.unreadable", "{text}");
    }
    // One that is being written does not count yet.
    std::fs::rename(orders.join("order.json"), orders.join("order.new")).unwrap();
    import().expect(0);
}
