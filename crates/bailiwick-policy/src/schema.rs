//! The embedded Cedar schema and the names that Rust and the schema share.

use std::sync::LazyLock;

use bailiwick_model::subject::Role;
use cedar_policy::{Schema, SchemaFragment};

/// The text of the schema, as a policy author reads it.
pub const SCHEMA_TEXT: &str = include_str!("../schema/bailiwick.cedarschema");

/// Every kind of action, by the name it has in policies.
pub const ACTION_KINDS: [&str; 14] = [
    "model_call",
    "tool_call",
    "command",
    "file_read",
    "file_write",
    "secret_use",
    "request",
    "repo_read",
    "branch_push",
    "pull_request_open",
    "review_submit",
    "pull_request_merge",
    "agent_start",
    "task_raise",
];

/// Every role a principal can have.
pub(crate) const ROLES: [Role; 8] = [
    Role::Coordinator,
    Role::Implementor,
    Role::Verifier,
    Role::Reviewer,
    Role::Setup,
    Role::Gate,
    Role::Publisher,
    Role::Human,
];

/// The entity type of a role's principals.
pub(crate) fn principal_type(role: Role) -> &'static str {
    match role {
        Role::Coordinator | Role::Implementor | Role::Verifier | Role::Reviewer => "Agent",
        Role::Setup | Role::Gate | Role::Publisher => "Service",
        Role::Human => "Human",
    }
}

static SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    Schema::from_cedarschema_str(SCHEMA_TEXT)
        .map(|(schema, _warnings)| schema)
        .map_err(|error| error.to_string())
});

/// The schema, or why the embedded text is not one (which a test rules out).
pub(crate) fn schema() -> Result<&'static Schema, &'static str> {
    SCHEMA.as_ref().map_err(String::as_str)
}

static JSON: LazyLock<serde_json::Value> = LazyLock::new(|| {
    SchemaFragment::from_cedarschema_str(SCHEMA_TEXT)
        .ok()
        .and_then(|(fragment, _warnings)| fragment.to_json_value().ok())
        .unwrap_or_default()
});

/// The one type of a kind's resources.
pub(crate) fn resource_type(kind: &str) -> &'static str {
    JSON.get("")
        .and_then(|space| {
            space
                .get("actions")?
                .get(kind)?
                .get("appliesTo")?
                .get("resourceTypes")?
                .get(0)?
                .as_str()
        })
        .unwrap_or_default()
}

/// Whether an attribute of a kind's context is a record, whose own attributes are always there.
pub(crate) fn is_record(kind: &str, attribute: &str) -> bool {
    let found = || {
        let space = JSON.get("")?;
        let context = space.get("actions")?.get(kind)?.get("appliesTo")?.get("context")?;
        let found = context.get("attributes")?.get(attribute)?;
        let named =
            found.get("name").and_then(|name| space.get("commonTypes")?.get(name.as_str()?));
        named.unwrap_or(found).get("type")?.as_str()
    };
    found() == Some("Record")
}
