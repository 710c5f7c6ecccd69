//! Actions as people type them: `command: cargo test`, `file_write: src/lib.rs`.

use bailiwick_model::action::Action;
use serde_json::{Value, json};

use crate::schema::ACTION_KINDS;

const COMMIT: &str = "0000000000000000000000000000000000000000";

/// Reads an action: JSON as the ledger has it, or `KIND: OPERAND` with everything else as usual.
///
/// | kind | operand |
/// |---|---|
/// | `model_call` | `PROVIDER/MODEL` |
/// | `tool_call` | the tool |
/// | `command` | the command line |
/// | `file_read`, `file_write` | the path |
/// | `secret_use` | `NAME for PURPOSE` |
/// | `request` | `METHOD https://HOST/PATH`; `GET` when no method is given |
/// | `repo_read` | `check-out`, or `import from PATH` |
/// | `branch_push` | the branch |
/// | `pull_request_open` | the branch with the change |
/// | `review_submit` | `approve`, `request_changes` or `reject` |
/// | `pull_request_merge` | the number |
/// | `agent_start` | `ROLE` or `ROLE in TIER` |
/// | `task_raise` | `budget to MICRO-DOLLARS`, or `tier to TIER` |
///
/// `repo` and `person` are those of the question.
pub fn parse_action(text: &str, repo: &str, person: &str) -> Result<Action, String> {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("it is not an action: {error}"));
    }
    let (kind, operand) = text.split_once(':').ok_or_else(|| usage(text))?;
    let (kind, operand) = (kind.trim(), operand.trim());
    let mut value = operands(kind, operand, repo, person).ok_or_else(|| usage(text))?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("kind".to_owned(), kind.into());
    }
    serde_json::from_value(value).map_err(|error| format!("`{text}`: {error}"))
}

fn usage(text: &str) -> String {
    format!(
        "`{}` is not an action: write `KIND: OPERAND`, such as `command: cargo test`, with one of {}; or JSON",
        text.chars().take(80).collect::<String>(),
        ACTION_KINDS.join(", ")
    )
}

fn operands(kind: &str, operand: &str, repo: &str, person: &str) -> Option<Value> {
    let nothing = json!({ "inline": "" });
    Some(match kind {
        "model_call" => {
            let (provider, model) = operand.split_once('/')?;
            json!({
                "provider": provider, "model": model, "role": "implementor", "round": 0, "step": 1,
                "prompt": nothing, "request_digest": "0".repeat(64), "estimate": 10_000,
            })
        }
        "tool_call" => json!({ "tool": operand, "arguments": { "inline": "{}" } }),
        "command" => json!({
            "argv": ["/bin/sh", "-c", operand], "cwd": ".", "env": {}, "purpose": "tool",
            "network": false, "timeout_ms": 60_000,
        }),
        "file_read" => {
            json!({ "path": operand, "mode": { "how": "lines", "first": 1, "count": 100 } })
        }
        "file_write" => json!({ "path": operand, "mode": { "how": "whole", "content": nothing } }),
        "secret_use" => {
            let (name, purpose) = operand.split_once(" for ").unwrap_or((operand, "model call"));
            json!({ "name": name, "purpose": purpose })
        }
        "request" => request(operand)?,
        "repo_read" => match operand.strip_prefix("import from ") {
            Some(source) => json!({ "repo": repo, "source": source, "branch": "main" }),
            None => json!({ "repo": repo, "object": COMMIT, "branch": "main" }),
        },
        "branch_push" => json!({
            "repo": repo, "branch": operand, "commit": COMMIT, "protected": operand == "main",
        }),
        "pull_request_open" => json!({
            "repo": repo, "head": operand, "head_commit": COMMIT, "base": "main", "title": "a change",
            "body": nothing, "author": person,
        }),
        "review_submit" => json!({
            "repo": repo, "number": 1, "reviewer": person, "head": COMMIT, "verdict": operand,
            "body": nothing, "own_request": false, "simulated": false,
        }),
        "pull_request_merge" => json!({
            "repo": repo, "number": operand.trim_start_matches('#').parse::<u64>().ok()?, "head": COMMIT,
            "base": "main", "expected_base": COMMIT, "method": "merge", "gates_passed": true,
            "verified": true, "approved_by": ["bo"], "independent_approval": true, "trailers": [],
            "size": { "files": 1, "lines": 10, "areas": 1, "tests": true },
        }),
        "agent_start" => {
            let (role, tier) = operand.split_once(" in ").unwrap_or((operand, "process"));
            json!({
                "role": role, "agent": "builtin", "provider": "anthropic", "model": "any", "tier": tier,
                "instructions": nothing,
            })
        }
        "task_raise" => {
            let mut raise = json!({
                "task": "01890000-0000-7000-8000-000000000001", "repo": repo, "reason": "it needs more",
            });
            let (what, change) = match operand.split_once(" to ")? {
                ("budget", to) => ("budget", json!({ "from": 0, "to": to.parse::<u64>().ok()? })),
                ("tier", to) => ("tier", json!({ "from": "process", "to": to })),
                _ => return None,
            };
            raise.as_object_mut()?.insert(what.to_owned(), change);
            raise
        }
        _ => return None,
    })
}

/// `GET https://host:8443/path`.
fn request(operand: &str) -> Option<Value> {
    let (method, place) = operand.split_once(' ').unwrap_or(("GET", operand));
    let (scheme, rest) = place.trim().split_once("://")?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "/"),
    };
    let usual = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok()?),
        _ => (host, usual),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(json!({ "scheme": scheme, "host": host, "port": port, "method": method, "path": path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_short_form() {
        for (text, kind) in [
            ("model_call: anthropic/claude", "model_call"),
            ("tool_call: finish", "tool_call"),
            ("command: cargo test -- a: b", "command"),
            ("file_read: src/lib.rs", "file_read"),
            ("file_write: src/lib.rs", "file_write"),
            ("secret_use: provider/a for model call", "secret_use"),
            ("request: https://api.example.com/v1?x=y", "request"),
            ("request: POST http://localhost:8080", "request"),
            ("request: GET https://[::1]/", "request"),
            ("repo_read: check-out", "repo_read"),
            ("repo_read: import from /srv/shop", "repo_read"),
            ("branch_push: bailiwick/x", "branch_push"),
            ("pull_request_open: bailiwick/x", "pull_request_open"),
            ("review_submit: approve", "review_submit"),
            ("pull_request_merge: #7", "pull_request_merge"),
            ("agent_start: verifier in gvisor", "agent_start"),
            ("task_raise: budget to 5000000", "task_raise"),
            ("task_raise: tier to gvisor", "task_raise"),
        ] {
            let action =
                parse_action(text, "shop", "ana").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(action.kind(), kind);
            let json = serde_json::to_string(&action).unwrap();
            assert_eq!(parse_action(&json, "shop", "ana").unwrap(), action);
        }
        for text in ["", "run: ls", "command", "file_write: ../x", "pull_request_merge: x", "{}"] {
            assert!(parse_action(text, "shop", "ana").is_err(), "{text}");
        }
    }
}
