//! Without scripts: signing in, giving a task, reviewing, merging, looking it up in the ledger.

use serde_json::json;

use super::visit::{Visit, field, give_task};
use crate::harness::{Site, git, http};

#[test]
fn a_link_signs_in_once_and_only_from_our_own_page() {
    let site = Site::new(true);
    let serve = site.serve();
    // Looking at the link does not use it up: what previews links may look.
    let html = ["accept: text/html".to_owned()];
    for _ in 0..2 {
        http::send(&serve.address, "GET", &serve.sign_in, &html, b"").expect(200);
    }
    let code = serve.sign_in.split_once("code=").unwrap().1;
    let form = [
        "content-type: application/x-www-form-urlencoded".to_owned(),
        "origin: http://elsewhere.example".to_owned(),
    ];
    let body = format!("code={code}");
    http::send(&serve.address, "POST", "/sign-in", &form, body.as_bytes()).expect(403);
    let visit = Visit::sign_in(&serve);
    assert!(visit.page("/tasks").contains("No task yet"));
    let again = http::send(&serve.address, "POST", "/sign-in", &form[..1], body.as_bytes());
    assert!(String::from_utf8_lossy(&again.expect(403).body).contains("used already"));
    // A link from the command line is as good.
    let made = site.bench.bailiwick(&["sign-in", "--json"]);
    assert!(made.expect(0).json()["url"].as_str().unwrap().contains("/sign-in?code="));
}

#[test]
fn without_a_session_a_page_leads_to_the_sign_in_and_a_client_is_told_what_to_send() {
    let site = Site::new(true);
    let serve = site.serve();
    for path in [
        "/",
        "/tasks",
        "/tasks/new",
        "/changes",
        "/policy",
        "/audit",
        "/audit/0",
        "/platform",
        "/parts/steps/1",
    ] {
        let page = http::send(&serve.address, "GET", path, &["accept: text/html".to_owned()], b"");
        assert!(
            page.expect(303).header("location").unwrap().starts_with("/sign-in?next="),
            "{path}"
        );
        http::send(&serve.address, "GET", path, &[], b"").expect(401);
        let forged = [
            "accept: text/html".to_owned(),
            format!("cookie: bailiwick_session={}", "a".repeat(64)),
        ];
        http::send(&serve.address, "GET", path, &forged, b"").expect(303);
    }
    // Never to another site.
    let visit = Visit::sign_in(&serve);
    let link = visit.page("/sign-in?next=//elsewhere.example/");
    assert!(!link.contains("elsewhere.example"));
}

#[test]
fn a_form_needs_its_own_page_and_its_own_site() {
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let csrf = field(&visit.page("/tasks/new"), "csrf");
    let task = site.generated.task.as_str();
    let fields = |csrf| {
        [
            ("csrf", csrf),
            ("text", task),
            ("repo", site.generated.name.as_str()),
            ("budget", "1"),
            ("route", "from-file"),
        ]
    };
    visit.post("/tasks/new", &fields("")).expect(403);
    let guess = "0".repeat(64);
    visit.post("/tasks/new", &fields(&guess)).expect(403);
    for header in [
        "origin: http://elsewhere.example",
        "origin: null",
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
    ] {
        visit.post_with("/tasks/new", &fields(&csrf), &[header.to_owned()]).expect(403);
    }
    assert_eq!(serve.get("/tasks").json(), json!([]), "nothing was done");
    // The control.
    visit.post("/tasks/new", &fields(&csrf)).expect(303);
    assert_eq!(serve.get("/tasks").json().as_array().unwrap().len(), 1);
}

#[test]
fn bad_input_comes_back_with_the_form_and_what_is_wrong() {
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let csrf = field(&visit.page("/tasks/new"), "csrf");
    let name = site.generated.name.as_str();
    for (text, repo, budget, route, told) in [
        ("", name, "1", "from-file", "task is empty"),
        ("do it", "../x", "1", "from-file", "repositor"),
        ("do it", "nowhere", "1", "from-file", "nowhere"),
        ("do it", name, "-1", "from-file", "budget"),
        ("do it", name, "1", "nobody/x", "nobody"),
    ] {
        let answer = visit.post(
            "/tasks/new",
            &[
                ("csrf", &csrf),
                ("text", text),
                ("repo", repo),
                ("budget", budget),
                ("route", route),
            ],
        );
        let page = String::from_utf8_lossy(&answer.expect(422).body).into_owned();
        assert!(page.contains(told), "{told}: {page}");
        assert!(page.contains("<form"), "the form is there again");
    }
    assert_eq!(serve.get("/tasks").json(), json!([]));
}

#[test]
fn a_task_goes_from_a_form_to_the_merge_without_scripts() {
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let name = site.generated.name.clone();
    let id = give_task(&site, &visit);
    visit.until(&id, "change_published");
    let change = format!("/changes/{name}/1");
    let page = visit.page(&change);
    assert!(page.contains("scripted model") && page.contains("single-user mode"));
    // A hunk leads to the step that made it, and the step to its call.
    let step = page.split("data-step=\"").nth(1).unwrap().split('"').next().unwrap();
    let part = visit.page(&format!("{change}?step={step}"));
    assert!(part.contains("file write") && part.contains("as in the script"), "{part}");
    for view in ["?view=split", "?space=ignore", "?view=split&space=ignore"] {
        assert!(visit.page(&format!("{change}{view}")).contains("class=\"hunk\""));
    }
    let (csrf, head) = (field(&page, "csrf"), field(&page, "head"));
    let stale = "0".repeat(40);
    visit
        .post(
            &format!("{change}/review"),
            &[("csrf", &csrf), ("head", &stale), ("verdict", "approve")],
        )
        .expect(409);
    visit.post(&format!("{change}/merge"), &[("csrf", &csrf)]).expect(409);
    visit
        .post(
            &format!("{change}/review"),
            &[("csrf", &csrf), ("head", &head), ("verdict", "approve")],
        )
        .expect(303);
    assert!(visit.page(&change).contains("Approved by"));
    visit.post(&format!("{change}/merge"), &[("csrf", &csrf)]).expect(303);
    visit.until(&id, "task_ended");
    let task = visit.page(&format!("/tasks/{id}"));
    assert!(task.contains("every subtask is merged"), "{task}");
    let merged = serve.get("/repositories").json()[0]["head"].clone();
    let main = git::git(&site.bench.bare(&name), &["rev-parse", "main"]);
    assert_eq!(merged, main.as_str());

    // The ledger, an entry, and its proof.
    let audit = visit.page(&format!("/audit?task={id}&name=merged"));
    let seq = audit.split("href=\"/audit/").nth(1).unwrap().split('"').next().unwrap();
    assert!(visit.page(&format!("/audit/{seq}")).contains(&main));
    let proof = visit.get(&format!("/audit/{seq}/proof"));
    assert_eq!(proof.expect(200).json()["index"].to_string(), seq);
    visit.get("/audit/99999999").expect(404);

    // Signing out ends the session, here and everywhere.
    let csrf = field(&visit.page("/platform"), "csrf");
    visit.post("/sign-out", &[("csrf", &csrf), ("everywhere", "1")]).expect(303);
    visit.get("/tasks").expect(303);
}

#[test]
fn a_session_outlives_a_restart_and_a_stream_goes_on_where_it_was() {
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let (id, cookie, last);
    {
        let visit = Visit::sign_in(&serve);
        cookie = visit.cookie.clone();
        id = give_task(&site, &visit);
        visit.until(&id, "change_published");
        let page = visit.page(&format!("/tasks/{id}"));
        let after = page.split("live?after=").nth(1).unwrap().split('"').next().unwrap();
        last = after.parse::<u64>().unwrap();
    }
    assert_eq!(serve.stop(), Some(0));
    let serve = site.serve();
    let headers = vec![format!("cookie: {cookie}"), "accept: text/html".to_owned()];
    http::send(&serve.address, "GET", "/tasks", &headers, b"").expect(200);
    // What was recorded before the page was made is not sent again; what came after it is.
    let behind = vec![format!("cookie: {cookie}"), format!("last-event-id: {}", last - 5)];
    let mut stream = http::Events::open(&serve.address, &format!("/tasks/{id}/live"), &behind);
    let events = stream.until("");
    assert!(events.iter().all(|event| event.id > last - 5), "{events:?}");
    assert!(events[0].data["html"].as_str().unwrap().contains("<li"), "{events:?}");
}

#[test]
fn every_page_forbids_what_it_does_not_need() {
    let site = Site::new(true);
    let serve = site.serve();
    let visit = Visit::sign_in(&serve);
    for path in [
        "/",
        "/tasks",
        "/tasks/new",
        "/changes",
        "/policy",
        "/audit",
        "/platform",
        "/sign-in",
        "/nothing-here",
        "/assets/app.js",
    ] {
        let answer = visit.get(path);
        if answer.header("content-type").is_some_and(|kind| kind.contains("json")) {
            continue;
        }
        let policy = answer
            .header("content-security-policy")
            .unwrap_or_else(|| panic!("{path}: {}", answer.head));
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let page = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            !page.contains("<style")
                && !page.contains(" style=\"")
                && !page.contains("javascript:"),
            "{path}"
        );
    }
}
