//! The one table: which role may do what, and which scope a token needs for it.

use serde::{Deserialize, Serialize};

use super::PersonRole;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Looking at tasks, repositories, pull requests, approvals and policy.
    Read,
    /// Asking for work, and steering it.
    Tasks,
    /// Fetching and pushing over git.
    Git,
    /// Reviewing, merging, answering approval requests.
    Review,
    /// Writing policy.
    Policy,
    /// Reading the ledger, accounts and configuration.
    Audit,
    /// Repositories, accounts, freezes, break-glass.
    Operate,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Tasks,
        Self::Git,
        Self::Review,
        Self::Policy,
        Self::Audit,
        Self::Operate,
    ];

    /// The scope's name as it stands in events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Tasks => "tasks",
            Self::Git => "git",
            Self::Review => "review",
            Self::Policy => "policy",
            Self::Audit => "audit",
            Self::Operate => "operate",
        }
    }

    /// The scope of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text)
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $scope:ident, [$($role:ident),*];)*) => {
        /// Something that can be asked of the platform, over the API or on the command line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The operation's name in messages and documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Who may do it. A person needs one of these roles.
            pub fn roles(self) -> &'static [PersonRole] {
                use PersonRole::{Approver, Auditor, Operator, PolicyAuthor, Requester, Reviewer};
                match self { $(Self::$name => &[$($role),*],)* }
            }

            /// The scope that a token needs for it.
            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

operations! {
    /// Asking who one is.
    WhoAmI = "whoami": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Looking at tasks and what is recorded of them.
    TaskRead = "task.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Asking for work.
    TaskCreate = "task.create": Tasks, [Operator, Requester];
    /// Cancelling a task or taking it up again.
    TaskControl = "task.control": Tasks, [Operator, Requester];
    /// Asking for a larger budget or another tier for a task.
    TaskRaise = "task.raise": Tasks, [Operator, Requester];
    /// Looking at repositories.
    RepoRead = "repository.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Importing a repository.
    RepoImport = "repository.import": Operate, [Operator];
    /// Looking at pull requests.
    ChangeRead = "pull_request.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Reviewing a pull request.
    ChangeReview = "pull_request.review": Review, [Reviewer, Approver];
    /// Asking for the merge of an approved pull request.
    ChangeMerge = "pull_request.merge": Review, [Operator, Reviewer, Approver];
    /// Fetching over git.
    GitFetch = "git.fetch": Git, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Pushing over git.
    GitPush = "git.push": Git, [Operator, Requester];
    /// Reading the ledger.
    LedgerRead = "ledger.read": Audit, [Operator, PolicyAuthor, Auditor];
    /// Going on without entries about people that are damaged.
    DamageAccept = "ledger.accept_damage": Operate, [Operator];
    /// Reading the policy in force.
    PolicyRead = "policy.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Publishing policy.
    PolicyWrite = "policy.write": Policy, [PolicyAuthor];
    /// Looking at accounts, groups and tokens.
    IdentityRead = "identity.read": Audit, [Operator, Auditor];
    /// Changing accounts and groups, and tokens of others.
    IdentityWrite = "identity.write": Operate, [Operator];
    /// Looking at one's own tokens, making and revoking them.
    OwnTokens = "token.own": Operate, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Looking at approval requests.
    ApprovalRead = "approval.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Answering approval requests.
    ApprovalAnswer = "approval.answer": Review, [Approver];
    /// Letting somebody else answer in one's place for a time.
    Delegate = "approval.delegate": Review, [Approver];
    /// Looking at freezes.
    FreezeRead = "freeze.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Freezing: stopping something at once.
    Freeze = "freeze": Operate, [Operator, PolicyAuthor, Approver];
    /// Thawing what was frozen.
    Thaw = "thaw": Operate, [Operator, Approver];
    /// Looking at emergencies.
    BreakGlassRead = "break_glass.read": Read, [Operator, PolicyAuthor, Reviewer, Approver, Requester, Auditor];
    /// Asking for emergency rights, or being the second person.
    BreakGlass = "break_glass": Operate, [Operator, Approver];
    /// Following alerts and events of the whole platform.
    EventsRead = "events.read": Audit, [Operator, Auditor];
}
