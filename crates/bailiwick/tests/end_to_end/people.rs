//! Several people on one platform: provably distinct, each with what their role may do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::http::Answer;
use crate::harness::{PERSON, Serve, Workbench, git, http};

const ROLES: [&str; 6] =
    ["operator", "policy_author", "reviewer", "approver", "requester", "auditor"];

/// Each route with who may use it, as the program's own table has it.
const TABLE: &str = include_str!("roles.toml");

fn bearer(serve: &Serve, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    raw(serve, token, method, &format!("/api/v1{path}"), &body)
}

fn raw(serve: &Serve, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
    let headers =
        [format!("authorization: Bearer {token}"), "content-type: application/json".to_owned()];
    http::send(&serve.address, method, path, &headers, body)
}

fn scopes() -> Value {
    json!(["read", "tasks", "git", "review", "policy", "audit", "operate"])
}

/// A token of a new account with this role, with every scope.
fn add(serve: &Serve, person: &str, role: &str) -> String {
    let account = json!({"name": person, "kind": "human", "roles": [role]});
    let change = json!({"change": "account_added", "account": account});
    serve.api("POST", "/identity/changes", &change).expect(200);
    let params = json!({"person": person, "scopes": scopes(), "days": 7});
    let created = serve.api("POST", "/tokens", &params);
    created.expect(201).json()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_is_for_its_roles_and_for_nobody_else() {
    let bench = Workbench::new();
    let source = bench.path("shop");
    git::make_repository(&source, &[("README.md".to_owned(), "shop\n".to_owned())]);
    let serve = Serve::start(&bench, &[]);
    serve.api("POST", "/repositories", &json!({"path": source})).expect(201);
    let tokens: BTreeMap<&str, String> =
        ROLES.iter().map(|role| (*role, add(&serve, &format!("the-{role}"), role))).collect();
    let table: toml::Table = TABLE.parse().unwrap();
    let mut asked = 0;
    for row in table["route"].as_array().unwrap() {
        let text = |key: &str| row.get(key).map_or("", |value| value.as_str().unwrap());
        let (method, body) = (text("method"), text("body"));
        let path = text("path").replace("{repo}", "shop").replace("{task}", "ffffffff");
        let path = match path.strip_prefix("git:") {
            Some(path) => format!("/git{path}"),
            None => format!("/api/v1{path}"),
        };
        let may: Vec<&str> =
            row["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect();
        for role in ROLES {
            let answer = raw(&serve, &tokens[role], method, &path, body.as_bytes());
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            let refused = answer.status == 403 && said.contains("identity.role_missing");
            assert_eq!(
                refused,
                !may.contains(&role),
                "{role} {method} {path}: {} {said}",
                answer.status
            );
            assert_ne!(answer.status, 401, "{role} {method} {path}: {said}");
            asked += 1;
        }
    }
    assert!(asked >= 6 * 22, "{asked}");
}

#[test]
fn a_token_is_worth_what_its_scopes_its_time_and_its_account_say() {
    let bench = Workbench::new();
    let serve = Serve::start(&bench, &[]);
    let whole = add(&serve, "grace", "operator");
    bearer(&serve, &whole, "GET", "/identity", &Value::Null).expect(200);

    // Scope: the same person with a narrower token. The control is the line above.
    let narrow = bearer(
        &serve,
        &whole,
        "POST",
        "/tokens",
        &json!({"scopes": ["read", "operate"], "label": "looks"}),
    );
    let narrow = narrow.expect(201).json();
    let secret = narrow["secret"].as_str().unwrap();
    let refused = bearer(&serve, secret, "GET", "/identity", &Value::Null);
    assert_eq!(refused.expect(403).json()["error"]["code"], "identity.scope_missing");
    // And it makes none that is wider than itself.
    let wider = json!({"scopes": ["read", "audit"]});
    let refused = bearer(&serve, secret, "POST", "/tokens", &wider);
    assert_eq!(refused.expect(409).json()["error"]["code"], "token.wider");

    // Time and form.
    for (params, code) in [
        (json!({"scopes": ["read"], "days": 0}), "token.bad_expiry"),
        (json!({"scopes": ["read"], "days": 4000}), "token.bad_expiry"),
        (json!({"scopes": ["read"], "person": "nobody"}), "user.unknown"),
    ] {
        let refused = serve.api("POST", "/tokens", &params);
        assert_eq!(refused.json()["error"]["code"], code, "{params}");
    }
    let id = narrow["token"]["id"].as_str().unwrap();
    let tail = secret.get(secret.len() - 8..).unwrap();
    let other = secret.replace(tail, "00000000");
    for (token, code) in [
        ("nothing", "auth.token_required"),
        ("bwt_nothing_at-all", "auth.token_required"),
        (other.as_str(), "auth.token_unknown"),
    ] {
        let refused = bearer(&serve, token, "GET", "/tasks", &Value::Null);
        assert_eq!(refused.expect(401).json()["error"]["code"], code, "{token}");
    }

    // Revoked, it is worth nothing with the very next request.
    bearer(&serve, secret, "GET", "/tasks", &Value::Null).expect(200);
    serve.api("POST", &format!("/tokens/{id}/revoke"), &json!({})).expect(200);
    let refused = bearer(&serve, secret, "GET", "/tasks", &Value::Null);
    assert_eq!(refused.expect(401).json()["error"]["code"], "auth.token_revoked");
    // A closed account takes its tokens along, and they stay ended when it is opened again.
    let closed = json!({"change": "account_disabled", "person": "grace"});
    serve.api("POST", "/identity/changes", &closed).expect(200);
    bearer(&serve, &whole, "GET", "/tasks", &Value::Null).expect(401);
    let open = json!({"change": "account_enabled", "person": "grace"});
    serve.api("POST", "/identity/changes", &open).expect(200);
    let refused = bearer(&serve, &whole, "GET", "/tasks", &Value::Null);
    assert_eq!(refused.expect(401).json()["error"]["code"], "auth.token_revoked");

    // The last operator stays one; a program never judges.
    let roles = json!({"change": "roles_set", "person": "grace", "roles": ["auditor"]});
    serve.api("POST", "/identity/changes", &roles).expect(200);
    let last = json!({"change": "account_disabled", "person": PERSON});
    let refused = serve.api("POST", "/identity/changes", &last);
    assert_eq!(refused.expect(409).json()["error"]["code"], "user.last_operator");
    let robot = json!({"change": "account_added",
        "account": {"name": "robot", "kind": "service", "roles": ["approver"]}});
    let refused = serve.api("POST", "/identity/changes", &robot);
    assert_eq!(refused.expect(403).json()["error"]["code"], "identity.service");

    assert_eq!(serve.stop(), Some(0));
    // All of it is in the ledger, and no secret is.
    let ledger = bench.verified_ledger();
    let changes = ledger.facts("identity_changed");
    let of = |kind: &str| changes.iter().filter(|fact| fact["change"]["change"] == kind).count();
    assert_eq!((of("account_added"), of("token_issued"), of("token_revoked")), (2, 2, 1));
    let text = serde_json::to_string(&ledger.entries).unwrap();
    for secret in [whole.as_str(), secret] {
        assert!(!text.contains(secret.rsplit('_').next().unwrap()));
    }
}

#[test]
fn the_command_line_believes_a_name_only_while_nobody_has_an_account() {
    let bench = Workbench::new();
    let me = bench.bailiwick(&["whoami", "--json", "--as", "grace"]);
    assert_eq!(me.expect(0).json()["person"], "grace");
    assert_eq!(me.json()["roles"].as_array().unwrap().len(), 6);

    bench.bailiwick(&["user", "add", "grace", "--role", "auditor"]).expect(0);
    let claimed = bench.bailiwick(&["whoami", "--as", "grace"]);
    claimed.expect(1);
    assert_eq!(claimed.error_code(), "identity.unproven");
    let me = bench.bailiwick(&["whoami", "--json"]);
    assert_eq!(me.expect(0).json()["person"], PERSON);

    let token = bench.bailiwick(&[
        "token", "create", "--for", "grace", "--scope", "read", "--scope", "audit", "--json",
    ]);
    let token = token.expect(0).json()["secret"].as_str().unwrap().to_owned();
    let as_grace = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env("BAILIWICK_TOKEN", &token);
        crate::harness::Ran::of(arguments, command.output().unwrap())
    };
    let me = as_grace(&["whoami", "--json", "--as", "grace"]);
    assert_eq!(me.expect(0).json()["person"], "grace");
    as_grace(&["user", "list"]).expect(0);
    let refused = as_grace(&["user", "disable", PERSON]);
    refused.expect(1);
    assert_eq!(refused.error_code(), "identity.role_missing");
    // The same through a server, from elsewhere.
    let serve = Serve::start(&bench, &[]);
    let url = format!("http://{}", serve.address);
    let me = as_grace(&["whoami", "--json", "--server", &url]);
    assert_eq!(me.expect(0).json()["proof"]["by"], "token");
    let refused = as_grace(&["group", "add", "release", "--server", &url]);
    refused.expect(1);
    assert_eq!(refused.error_code(), "identity.role_missing");
}
