//! Who acts, and in what circumstances: the inputs of a decision besides the action itself.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{BranchName, Person, RepoName, SessionId, SubtaskKey, TaskId};
use crate::task::MicroUsd;
use crate::tier::TierChoice;

/// What part an actor plays.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Splits a task into a plan.
    Coordinator,
    /// Writes the change.
    Implementor,
    /// Checks the change on a clean checkout, with read-only rights.
    Verifier,
    /// Gives advice on the change.
    Reviewer,
    /// Fetches a repository's dependencies before any agent starts.
    Setup,
    /// Runs deterministic checks outside the agents.
    Gate,
    /// Pushes commits and opens pull requests; not an agent.
    Publisher,
    /// A person.
    Human,
}

impl Role {
    /// The role's name as it stands in policies, events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Implementor => "implementor",
            Self::Verifier => "verifier",
            Self::Reviewer => "reviewer",
            Self::Setup => "setup",
            Self::Gate => "gate",
            Self::Publisher => "publisher",
            Self::Human => "human",
        }
    }
}

/// A label on text that came from outside the trust boundary.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Taint {
    /// The task's text may have been written by anybody (an issue, a comment).
    TaskText,
    /// Content of the repository was read.
    Repository,
    /// Output of a command was read.
    CommandOutput,
    /// Text addressed to an agent was found in what was read (a heuristic).
    Instructions,
    /// A secret was read (a heuristic on its format).
    Secret,
}

impl Taint {
    /// Every label.
    pub const ALL: [Self; 5] =
        [Self::TaskText, Self::Repository, Self::CommandOutput, Self::Instructions, Self::Secret];

    /// The label's name as it stands in policies and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskText => "task_text",
            Self::Repository => "repository",
            Self::CommandOutput => "command_output",
            Self::Instructions => "instructions",
            Self::Secret => "secret",
        }
    }
}

/// Who acts, on behalf of which human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The part played.
    pub role: Role,
    /// The human who acts, or for whom it is done.
    pub on_behalf_of: Person,
    /// The task, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The subtask, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtask: Option<SubtaskKey>,
    /// The agent run, when an agent acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// The facts that policy may speak of, computed by the platform and never by an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The repository.
    pub repo: RepoName,
    /// Its protected branch.
    pub protected_branch: BranchName,
    /// What the session has read.
    pub taint: BTreeSet<Taint>,
    /// Globs of the paths that the subtask may touch.
    pub scope: Vec<String>,
    /// What is left of the subtask's budget; the warden lowers it to what the task has left.
    pub budget_left: MicroUsd,
    /// How many actions were denied in this session so far.
    pub denials: u32,
    /// Whether requester and approver may be one person.
    pub single_user: bool,
    /// Approvals in force for exactly this action, by group.
    pub approvals: BTreeSet<String>,
    /// What is known of the session and its circumstances beyond that.
    #[serde(default, skip_serializing_if = "SessionFacts::is_empty")]
    pub facts: SessionFacts,
}

/// Where a label of a session came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaintOrigin {
    /// The label.
    pub taint: Taint,
    /// What was read, such as `read src/lib.rs` or `task text`.
    pub from: String,
}

/// Facts of a session, computed by the platform. Empty where there is no session to speak of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionFacts {
    /// The groups of the human for whom it is done.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Where the labels came from, the first of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<TaintOrigin>,
    /// The hosts that the session connected to before.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub hosts: BTreeSet<String>,
    /// How many branches were pushed in the last hour on behalf of the same human.
    #[serde(skip_serializing_if = "is_zero")]
    pub pushes_last_hour: u32,
    /// How often each rule denied something in this session.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub denied_by: BTreeMap<String, u32>,
    /// The risk of the change, once it is scored: 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<u32>,
    /// How many approvals were granted for this task before.
    #[serde(skip_serializing_if = "is_zero")]
    pub approvals_before: u32,
    /// When it is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<crate::Timestamp>,
    /// The tree of the workspace that commands run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<crate::id::Oid>,
    /// Whether the workspace was changed since that tree was taken.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tree_changed: bool,
    /// What is to be said of the packages that a command installs by name.
    #[serde(skip_serializing_if = "InstallFacts::is_empty")]
    pub installs: InstallFacts,
    /// The sandbox tier that a command runs in: what the session begins with as the caller says
    /// it, and what rules made of it in a recorded decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierChoice>,
    /// What kind of task it is: its form (`text`, `specification`), where it came in (`cli`,
    /// `api`, `demo`) and the kind of agent that implements it (`builtin`, …).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<String>,
}

/// What is to be said of the packages that a command installs by name. Empty when it installs none,
/// or when nothing stands against them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstallFacts {
    /// What stands against them for certain: no such package, a name that passes for another.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<String>,
    /// What a person should look at: new, hardly used, near a known name, or not found out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub doubtful: BTreeSet<String>,
}

impl InstallFacts {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.doubtful.is_empty()
    }
}

impl SessionFacts {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
