//! Each page is for its roles and for nobody else; and a session ends with what it was signed in by.

use serde_json::json;

use super::visit::Visit;
use crate::harness::{Serve, Site, http};

const ALL: [&str; 6] =
    ["operator", "policy_author", "reviewer", "approver", "requester", "auditor"];

/// A page, how it is asked for, and who may: written here anew, not taken from the program.
const PAGES: [(&str, &str, &[&str]); 29] = [
    ("GET", "/", &ALL),
    ("GET", "/tasks", &ALL),
    ("GET", "/tasks/new", &["operator", "requester"]),
    ("POST", "/tasks/new", &["operator", "requester"]),
    ("GET", "/tasks/ffffffff", &ALL),
    ("GET", "/tasks/ffffffff/live", &ALL),
    ("POST", "/tasks/ffffffff/cancel", &["operator", "requester"]),
    ("POST", "/tasks/ffffffff/retry", &["operator", "requester"]),
    ("POST", "/tasks/ffffffff/steer", &["operator", "requester"]),
    ("POST", "/tasks/ffffffff/pause", &["operator", "requester"]),
    ("POST", "/tasks/ffffffff/resume", &["operator", "requester"]),
    ("GET", "/parts/steps/1", &ALL),
    ("GET", "/changes", &ALL),
    ("GET", "/changes/shop/1", &ALL),
    ("GET", "/changes/shop/1/since", &ALL),
    ("POST", "/changes/shop/1/comments", &["reviewer", "approver"]),
    ("POST", "/changes/shop/1/comments/x/state", &["reviewer", "approver"]),
    ("POST", "/changes/shop/1/review", &["reviewer", "approver"]),
    ("POST", "/changes/shop/1/merge", &["operator", "reviewer", "approver"]),
    ("GET", "/approvals", &ALL),
    ("GET", "/approvals/x", &ALL),
    ("POST", "/approvals/x/answer", &["approver"]),
    ("POST", "/freezes", &["operator", "policy_author", "approver"]),
    ("POST", "/freezes/x/thaw", &["operator", "approver"]),
    ("GET", "/policy", &ALL),
    ("GET", "/audit", &["operator", "policy_author", "auditor"]),
    ("GET", "/audit/0", &["operator", "policy_author", "auditor"]),
    ("GET", "/audit/0/proof", &["operator", "policy_author", "auditor"]),
    ("GET", "/platform", &ALL),
];

/// A new account with one role, its token and the token's id.
fn account(serve: &Serve, name: &str, role: &str) -> (String, String) {
    let account = json!({"name": name, "kind": "human", "roles": [role]});
    let change = json!({"change": "account_added", "account": account});
    serve.api("POST", "/identity/changes", &change).expect(200);
    let scopes = ["read", "tasks", "git", "review", "policy", "audit", "operate"];
    let made = serve.api("POST", "/tokens", &json!({"person": name, "scopes": scopes, "days": 7}));
    let made = made.expect(201).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (text(&made["secret"]), text(&made["token"]["id"]))
}

/// A link that a token asked for.
fn link(serve: &Serve, token: &str) -> String {
    let headers = [format!("authorization: Bearer {token}")];
    let answer = http::send(&serve.address, "POST", "/api/v1/sign-in-links", &headers, b"{}");
    answer.expect(200).json()["path"].as_str().unwrap().to_owned()
}

#[test]
fn every_page_is_for_its_roles_and_for_nobody_else() {
    let site = Site::new(false);
    let serve = site.serve();
    for role in ALL {
        let (token, _) = account(&serve, &format!("the-{role}"), role);
        let visit = Visit::with_link(&serve, &link(&serve, &token));
        for (method, path, may) in PAGES {
            let answer =
                if method == "GET" { visit.get(path) } else { visit.post(path, &[("csrf", "")]) };
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            let refused = answer.status == 403 && page.contains("identity.role_missing");
            assert_eq!(
                refused,
                !may.contains(&role),
                "{role} {method} {path}: {} {page}",
                answer.status
            );
            assert!(answer.status != 303, "{role} {method} {path} is signed in");
        }
        // The bar shows what one may see, and nothing else.
        let home = visit.page("/");
        assert_eq!(
            home.contains("href=\"/audit\""),
            ["operator", "policy_author", "auditor"].contains(&role),
            "{role}"
        );
        assert_eq!(
            home.contains("href=\"/tasks/new\""),
            ["operator", "requester"].contains(&role),
            "{role}"
        );
    }
}

#[test]
fn a_session_ends_with_its_token_and_never_has_more_than_that() {
    let site = Site::new(false);
    let serve = site.serve();
    let (whole, id) = account(&serve, "grace", "operator");
    let visit = Visit::with_link(&serve, &link(&serve, &whole));
    visit.get("/audit").expect(200);
    visit.get("/api/v1/ledger").expect(200);
    // Reading only: a form elsewhere could send the cookie along.
    let written = visit.post("/api/v1/repositories", &[("path", "/")]);
    assert_eq!(written.expect(401).json()["error"]["code"], "auth.token_required");

    // A narrower token gives a narrower session.
    let headers =
        [format!("authorization: Bearer {whole}"), "content-type: application/json".to_owned()];
    let body = br#"{"scopes": ["read"]}"#;
    let made = http::send(&serve.address, "POST", "/api/v1/tokens", &headers, body);
    let narrow = made.expect(201).json()["secret"].as_str().unwrap().to_owned();
    let looks = Visit::with_link(&serve, &link(&serve, &narrow));
    looks.get("/tasks").expect(200);
    let refused = looks.get("/audit");
    assert!(String::from_utf8_lossy(&refused.expect(403).body).contains("identity.scope_missing"));
    looks.get("/api/v1/ledger").expect(403);

    serve.api("POST", &format!("/tokens/{id}/revoke"), &json!({})).expect(200);
    visit.get("/audit").expect(303);
    visit.get("/api/v1/ledger").expect(401);
}
