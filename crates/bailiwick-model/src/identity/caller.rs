//! Who makes a request, and what they may do with it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Operation, PersonRole, Scope};
use crate::id::{GroupName, Person, TokenId};

/// How it is known who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Proof {
    /// They hold the data directory: its owner, or whoever has its token.
    Owner,
    /// They hold the data directory, on which nobody has an account, and give this name. Believed,
    /// since whoever holds the directory can do everything with it anyway.
    Claimed,
    /// They have the secret of this token.
    Token {
        /// Which.
        id: TokenId,
    },
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub person: Person,
    /// How that is known.
    pub proof: Proof,
    /// What they may do.
    pub roles: BTreeSet<PersonRole>,
    /// The groups they belong to; nothing where there are no accounts and one person is everybody.
    pub groups: Option<BTreeSet<GroupName>>,
    /// What the token may be used for; nothing when no token limits it.
    pub scopes: Option<BTreeSet<Scope>>,
    /// Whether a program stands behind it.
    pub service: bool,
}

/// A person may not do what they asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotAllowed {
    /// `identity.role_missing` or `identity.scope_missing`.
    pub code: &'static str,
    /// What is missing.
    pub message: String,
    /// Whom to ask.
    pub hint: String,
}

impl Caller {
    /// Whoever holds a data directory on which nobody has an account: every role at once.
    pub fn alone(person: Person, proof: Proof) -> Self {
        Self {
            person,
            proof,
            roles: PersonRole::ALL.into(),
            groups: None,
            scopes: None,
            service: false,
        }
    }

    /// Gives the role that allows `operation`, or says what is missing.
    pub fn check(&self, operation: Operation) -> Result<PersonRole, NotAllowed> {
        let needed = operation.roles();
        let Some(role) = needed.iter().copied().find(|role| self.roles.contains(role)) else {
            let names: Vec<&str> = needed.iter().map(|role| role.name()).collect();
            return Err(NotAllowed {
                code: "identity.role_missing",
                message: format!(
                    "`{}` may not do this (`{}`): it needs the role {}",
                    self.person,
                    operation.name(),
                    names.join(" or ")
                ),
                hint: format!(
                    "ask an operator: `bailiwick user roles {} --role {}`",
                    self.person,
                    names.first().copied().unwrap_or_default()
                ),
            });
        };
        let scope = operation.scope();
        match &self.scopes {
            Some(scopes) if !scopes.contains(&scope) => Err(NotAllowed {
                code: "identity.scope_missing",
                message: format!(
                    "this token may not be used for `{}`: it lacks the scope `{}`",
                    operation.name(),
                    scope.name()
                ),
                hint: format!(
                    "make one with it: `bailiwick token create --scope {}`",
                    scope.name()
                ),
            }),
            _ => Ok(role),
        }
    }

    /// Whether they belong to a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.iter().any(|name| name.as_str() == group))
    }
}
