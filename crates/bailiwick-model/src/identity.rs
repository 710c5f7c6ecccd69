//! Who may use the platform: accounts, groups, roles of people, and the tokens they prove
//! themselves with. Recorded as facts; the [`Directory`] is the fold over them.
//!
//! Deliberately absent: secrets (of a token only its hash is recorded), and how a request proves
//! who makes it. What a role may do is one table, [`Operation::roles`].

mod access;
mod caller;
mod directory;
mod operation;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{GroupName, Person, RepoName, TokenId};
use crate::payload::Digest;

pub use access::{RepoAccess, RepoRight, repo_of};
pub use caller::{Caller, NotAllowed, Proof};
pub use directory::{Directory, IdentityError, MAX_TOKEN_DAYS, SIMULATED_APPROVER, TokenRefused};
pub use operation::{Operation, Scope};

/// What a person may do on the platform. Not to be confused with the part that an actor plays in
/// a task ([`crate::subject::Role`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonRole {
    /// Runs the platform: repositories, accounts, freezes.
    Operator,
    /// Writes policy.
    PolicyAuthor,
    /// Reviews pull requests.
    Reviewer,
    /// Answers approval requests.
    Approver,
    /// Asks for work.
    Requester,
    /// Reads everything and changes nothing.
    Auditor,
}

impl PersonRole {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Operator,
        Self::PolicyAuthor,
        Self::Reviewer,
        Self::Approver,
        Self::Requester,
        Self::Auditor,
    ];

    /// The role's name as it stands in events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::PolicyAuthor => "policy_author",
            Self::Reviewer => "reviewer",
            Self::Approver => "approver",
            Self::Requester => "requester",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this name.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('-', "_");
        Self::ALL.into_iter().find(|role| role.name() == text)
    }
}

/// Who stands behind an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A person.
    Human,
    /// A program. It never reviews and never approves.
    Service,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name: the person in tasks, reviews and the ledger.
    pub name: Person,
    /// Who stands behind it.
    pub kind: AccountKind,
    /// What it may do.
    pub roles: BTreeSet<PersonRole>,
    /// Whether it is that of whoever owns the data directory. There is one.
    #[serde(default)]
    pub owner: bool,
    /// Whether it is closed.
    #[serde(default)]
    pub disabled: bool,
}

/// What is recorded of an API token: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its id, which is part of the token.
    pub id: TokenId,
    /// Whose it is.
    pub person: Person,
    /// What it is for, in its owner's words.
    pub label: String,
    /// SHA-256 of its secret, which has 256 random bits.
    pub digest: Digest,
    /// What it may be used for; a subset of what its owner may do.
    pub scopes: BTreeSet<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A change of who may use the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum IdentityChange {
    /// An account is there from now on.
    AccountAdded {
        /// The account.
        account: Account,
    },
    /// An account may do this, and nothing else, from now on.
    RolesSet {
        /// Whose.
        person: Person,
        /// What.
        roles: BTreeSet<PersonRole>,
    },
    /// An account is closed; its tokens end with it.
    AccountDisabled {
        /// Whose.
        person: Person,
    },
    /// A closed account is open again; its old tokens stay ended.
    AccountEnabled {
        /// Whose.
        person: Person,
    },
    /// A group is there from now on.
    GroupAdded {
        /// The group.
        group: GroupName,
    },
    /// A group is gone.
    GroupRemoved {
        /// The group.
        group: GroupName,
    },
    /// An account belongs to a group.
    MemberAdded {
        /// The group.
        group: GroupName,
        /// The account.
        person: Person,
    },
    /// An account does not belong to a group any more.
    MemberRemoved {
        /// The group.
        group: GroupName,
        /// The account.
        person: Person,
    },
    /// Who may do what in a repository of the embedded forge, from now on and nothing else.
    RepoAccessSet {
        /// The repository.
        repo: RepoName,
        /// Who may do what.
        access: RepoAccess,
    },
    /// A token was made.
    TokenIssued {
        /// What is known of it.
        token: TokenRecord,
    },
    /// A token is worth nothing from now on.
    TokenRevoked {
        /// Which.
        token: TokenId,
    },
}
