//! Identifiers. Parsed once at the edge; the pure core never makes one up, since it has neither
//! clock nor randomness: callers hand in a `UUIDv7` (RFC 9562).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not a valid identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: {rule}")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// Which identifier was expected.
    pub kind: &'static str,
    /// What a valid one looks like.
    pub rule: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a `UUIDv7` made by the caller.
            pub fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The last eight hexadecimal digits: short enough to type, random enough to be unique here.
            pub fn short(&self) -> String {
                let text = self.0.simple().to_string();
                text.chars().skip(24).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError {
                    text: text.chars().take(80).collect(),
                    kind: $kind,
                    rule: "a UUID such as 0192f0c1-2f3a-7b4c-8d5e-6f708192a3b4",
                })
            }
        }
    };
}

uuid_id!(
    /// Identifies a task.
    TaskId, "task id"
);
uuid_id!(
    /// Identifies one agent run.
    SessionId, "session id"
);
uuid_id!(
    /// Identifies one action, from its decision to its outcome.
    ActionId, "action id"
);
uuid_id!(
    /// Identifies an API token.
    TokenId, "token id"
);
uuid_id!(
    /// Identifies a request for approval.
    ApprovalId, "approval id"
);
uuid_id!(
    /// Identifies a freeze.
    FreezeId, "freeze id"
);
uuid_id!(
    /// Identifies an emergency.
    EmergencyId, "emergency id"
);
uuid_id!(
    /// Identifies a remark on a line of a change.
    CommentId, "comment id"
);
uuid_id!(
    /// Identifies a message to an agent at work.
    MessageId, "message id"
);

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $max:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a name, refusing what the rule does not allow.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let ok: fn(&str) -> bool = $ok;
                if !text.is_empty() && text.len() <= $max && ok(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { text: text.chars().take(80).collect(), kind: $kind, rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

fn plain(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !text.contains("..")
        && !text.ends_with('.')
        && !text.ends_with(".git")
        && !text.ends_with(".lock")
}

name_id!(
    /// The name of a repository on the platform's forge.
    RepoName,
    "repository name",
    "1 to 64 letters, digits, `-`, `_` or `.`, starting with a letter or digit, not ending in `.git`",
    64,
    plain
);
name_id!(
    /// The key of a subtask within its plan; also the last part of its branch name.
    SubtaskKey,
    "subtask key",
    "1 to 40 lower-case letters, digits or `-`, starting with a letter or digit",
    40,
    |text| {
        !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }
);
name_id!(
    /// A human known to the platform.
    Person,
    "person",
    "1 to 64 letters, digits, `-`, `_`, `.` or `@`, starting with a letter or digit",
    64,
    |text| {
        text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'))
    }
);
name_id!(
    /// A group of people, as gates of a policy name it.
    GroupName,
    "group name",
    "1 to 64 lower-case letters, digits, `-` or `_`, starting with a letter or digit",
    64,
    |text| {
        text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
    }
);
name_id!(
    /// A git object id, 40 or 64 lower-case hexadecimal digits.
    Oid,
    "git object id",
    "40 or 64 lower-case hexadecimal digits",
    64,
    |text| {
        matches!(text.len(), 40 | 64)
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
);
name_id!(
    /// A branch name without `refs/heads/`, as `git check-ref-format --branch` allows it.
    BranchName,
    "branch name",
    "what `git check-ref-format --branch` accepts, without spaces, `..`, `@{`, `~^:?*[\\` or a leading dash",
    200,
    |text| {
        !text.starts_with(['-', '/', '.'])
            && !text.ends_with(['/', '.'])
            && text != "@"
            && !text.contains("..")
            && !text.contains("//")
            && !text.contains("/.")
            && !text.contains("@{")
            && text.split('/').all(|part| !part.ends_with(".lock"))
            && text.chars().all(|c| {
                !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c) && c.is_ascii()
            })
    }
);
