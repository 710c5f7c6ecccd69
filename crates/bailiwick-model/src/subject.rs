//! Who acts, and in what circumstances: the inputs of a decision besides the action itself.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{BranchName, Person, RepoName, SessionId, SubtaskKey, TaskId};
use crate::task::MicroUsd;

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
}
