//! `bailiwick serve`: the API as a client sees it, and git with the stock client.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Site, git, http};

#[test]
fn a_task_goes_from_the_api_to_the_merge() {
    let site = Site::new(true);
    let serve = site.serve();
    let name = &site.generated.name;
    let imported = site.import(&serve);
    assert_eq!(imported["name"], name.as_str());
    let id = site.create(&serve);
    let mut live = serve.events(&id);
    let events = live.until("change_published");
    let pulls = format!("/repositories/{name}/pulls");
    let list = serve.get(&pulls).expect(200).json();
    assert_eq!((&list[0]["number"], &list[0]["state"]), (&json!(1), &json!("open")));
    let view = serve.get(&format!("{pulls}/1")).expect(200).json();
    assert_eq!((&view["scripted"], &view["single_user"]), (&json!(true), &json!(true)));
    assert!(view["body"].as_str().unwrap().contains("The model is scripted"));

    // Live and as a page, the same events; a client that comes again gets what it missed.
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
    let page = serve.get(&format!("/tasks/{id}/events?limit=2000")).expect(200).json();
    let page: Vec<Value> = page.as_array().unwrap().clone();
    let streamed: Vec<Value> = events.iter().map(|event| event.data.clone()).collect();
    assert_eq!(page[..streamed.len()], streamed[..]);
    let middle = events[events.len() / 2].id;
    let after = serve.get(&format!("/tasks/{id}/events?after={middle}&limit=1")).json();
    assert!(after[0]["seq"].as_u64().unwrap() > middle);

    // A person at the command line is a client of the same server.
    let shown = site.bench.bailiwick(&["task", "show", &id, "--json", "--config", &site.config]);
    assert_eq!(shown.expect(0).json()["task"]["id"], id.as_str());
    let second = site.bench.bailiwick(&["demo", "--yes", "--keep"]);
    assert_ne!(second.code, Some(0), "two processes on one data directory: {second:?}");

    let review = |head: &Value| json!({"verdict": "approve", "head": head, "body": "fine"});
    let early = serve.api("POST", &format!("{pulls}/1/merge"), &json!({"method": "squash"}));
    assert_eq!(early.expect(409).json()["error"]["code"], "merge.not_approved");
    let stale = serve.api("POST", &format!("{pulls}/1/reviews"), &review(&imported["head"]));
    assert_eq!(stale.expect(409).json()["error"]["code"], "review.stale");
    serve.api("POST", &format!("{pulls}/1/reviews"), &review(&view["head"])).expect(200);
    serve.api("POST", &format!("{pulls}/1/merge"), &json!({"method": "squash"})).expect(200);
    let ended = live.until("task_ended");
    assert_eq!(ended.last().unwrap().data["event"]["end"], "merged");
    let view = serve.get(&format!("{pulls}/1")).expect(200).json();
    let head = serve.get("/repositories").expect(200).json();
    assert_eq!(view["merged"], head[0]["head"]);
    assert_eq!(serve.get(&format!("/tasks/{id}")).json()["ending"]["end"], "merged");
    assert_eq!(serve.get("/tasks").json()[0]["standing"], "merged");

    let size = serve.get("/ledger").expect(200).json()["entries"].clone();
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    assert_eq!(ledger.entries.len(), size);
    let main = git::git(&site.bench.bare(name), &["rev-parse", "main"]);
    assert_eq!(ledger.facts("merged")[0]["commit"], main.as_str());
    assert_eq!(git::parents(&site.bench.bare(name), &main).len(), 1);
}

#[test]
fn the_api_refuses_in_one_shape_with_a_code_and_what_to_do() {
    let site = Site::new(false);
    let serve = site.serve();
    site.import(&serve);
    let name = site.generated.name.clone();
    for (headers, status) in [
        (vec![], 401),
        (vec!["authorization: Bearer wrong".to_owned()], 401),
        (vec![format!("authorization: Bearer {}x", serve.token)], 401),
        (vec![format!("authorization: Bearer {}", serve.token)], 200),
    ] {
        let answer = http::send(&serve.address, "GET", "/api/v1/tasks", &headers, b"");
        answer.expect(status);
        if status == 401 {
            assert_eq!(answer.json()["error"]["code"], "auth.token_required");
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    http::send(&serve.address, "GET", "/healthz", &[], b"").expect(200);

    let id = site.create(&serve);
    serve.events(&id).until("change_published");
    let view = serve.get(&format!("/repositories/{name}/pulls/1")).json();
    let approve = json!({"verdict": "approve", "head": view["head"]});
    let huge = "x".repeat(64 * 1024 + 1);
    for (method, path, body, status, code) in [
        ("GET", "/nothing".to_owned(), Value::Null, 404, "http.not_found"),
        ("GET", "/repositories/never-heard-of/pulls/1".to_owned(), Value::Null, 404, ""),
        ("GET", format!("/repositories/{name}/pulls/99"), Value::Null, 404, ""),
        ("POST", "/tasks".to_owned(), json!({"text": "x"}), 400, "http.bad_body"),
        (
            "POST",
            "/tasks".to_owned(),
            json!({"text": "x", "repo": name, "single_user": true}),
            400,
            "http.bad_body",
        ),
        ("POST", "/tasks".to_owned(), json!({"text": " ", "repo": name}), 422, "task.text"),
        ("POST", "/tasks".to_owned(), json!({"text": huge, "repo": name}), 422, "task.text"),
        ("POST", "/tasks".to_owned(), json!({"text": "x", "repo": "never-heard-of"}), 404, ""),
        (
            "POST",
            "/tasks".to_owned(),
            json!({"text": "x", "repo": name, "provider": "nobody"}),
            400,
            "config.unknown_provider",
        ),
        // The requester, without single-user mode.
        ("POST", format!("/repositories/{name}/pulls/1/reviews"), approve, 403, "policy.forbidden"),
    ] {
        let answer = serve.api(method, &path, &body);
        answer.expect(status);
        let error = &answer.json()["error"];
        for field in ["code", "message", "hint"] {
            assert!(!error[field].as_str().unwrap().is_empty(), "{path}: {error}");
        }
        assert!(error["rules"].is_array(), "{path}: {error}");
        if !code.is_empty() {
            assert_eq!(error["code"], code, "{path}: {error}");
        }
        if status == 403 {
            assert_eq!(error["rules"], json!(["no-own-approval"]));
        }
    }
    assert_eq!(serve.get("/tasks").json().as_array().unwrap().len(), 1);
}

/// A clone made by the stock client.
fn clone(at: &Path, url: &str) {
    git::git(at.parent().unwrap(), &["clone", "--quiet", url, at.to_str().unwrap()]);
}

#[test]
fn the_stock_git_client_clones_and_pushes_but_not_to_the_protected_branch() {
    let site = Site::new(false);
    let serve = site.serve();
    site.import(&serve);
    let name = &site.generated.name;
    let url = serve.git_url(name, &serve.token);
    let at = site.bench.path("clone");
    clone(&at, &url);
    let main = git::git(&at, &["rev-parse", "origin/main"]);
    assert_eq!(main, git::git(&site.bench.path(name), &["rev-parse", "main"]));
    let refused =
        git::try_git(site.bench.root(), &["clone", &serve.git_url(name, "wrong"), "other"]);
    assert!(!refused.status.success() && !site.bench.path("other").exists());

    git::commit(&at, &[("NOTES.txt".to_owned(), "mine\n".to_owned())], "Mine");
    let bare = site.bench.bare(name);
    let push = git::try_git(&at, &["push", "origin", "HEAD:main"]);
    let said = String::from_utf8_lossy(&push.stderr).into_owned();
    assert!(!push.status.success(), "{said}");
    assert!(
        said.contains("nobody pushes to a protected branch") && said.contains("protected-branch"),
        "{said}"
    );
    assert!(said.contains("open a pull request"), "what to do is not said: {said}");
    let other = git::git(&at, &["commit-tree", "HEAD^{tree}", "-m", "Another history"]);
    for arguments in [
        &["push", "--force", "origin", &format!("{other}:main")][..],
        &["push", "origin", ":main"],
        &["push", "origin", "HEAD:refs/heads/feature/a", "HEAD:main"],
    ] {
        let push = git::try_git(&at, arguments);
        assert!(!push.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&push.stderr));
    }
    assert_eq!(git::git(&bare, &["rev-parse", "main"]), main);

    // The control: the same commit to a branch of one's own.
    git::git(&at, &["push", "--quiet", "origin", "HEAD:refs/heads/feature/b"]);
    let mine = git::git(&at, &["rev-parse", "HEAD"]);
    assert_eq!(git::git(&bare, &["rev-parse", "feature/b"]), mine);
    let again = site.bench.path("again");
    clone(&again, &url);
    assert_eq!(git::git(&again, &["show", "origin/feature/b:NOTES.txt"]), "mine");
    git::git(&at, &["push", "--quiet", "origin", ":feature/b"]);
    assert!(!git::try_git(&bare, &["rev-parse", "--verify", "feature/b"]).status.success());

    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let pushes = ledger.decisions("branch_push");
    let denied = pushes.iter().filter(|push| push["decision"]["verdict"] == "deny").count();
    assert!(denied >= 3, "{pushes:?}");
    assert_eq!(ledger.permitted("branch_push").len(), 2);
}

#[test]
fn a_server_that_is_started_again_goes_on_where_it_was() {
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let id = site.create(&serve);
    serve.events(&id).until("change_published");
    assert_eq!(serve.stop(), Some(0));
    assert!(!site.bench.data().join("server.json").exists());

    let serve = site.serve();
    let name = &site.generated.name;
    let pulls = format!("/repositories/{name}/pulls/1");
    let head = serve.get(&pulls).expect(200).json()["head"].clone();
    serve
        .api("POST", &format!("{pulls}/reviews"), &json!({"verdict": "approve", "head": head}))
        .expect(200);
    serve.api("POST", &format!("{pulls}/merge"), &Value::Null).expect(200);
    serve.events(&id).until("task_ended");
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    assert_eq!(ledger.facts("merged").len(), 1);
}
