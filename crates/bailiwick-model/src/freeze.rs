//! Freezes: what is stopped at once, in every process, until somebody thaws it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::action::Action;
use crate::event::{Entry, Event, Fact};
use crate::id::{FreezeId, Person, RepoName, TaskId};
use crate::subject::{Context, Role, Subject};

/// What is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Frozen {
    /// No agent starts.
    Dispatch,
    /// No branch moves and no pull request is opened.
    Push,
    /// Nothing is merged.
    Merge,
    /// A model is not asked.
    Model {
        /// The model.
        model: String,
    },
    /// A tool is not used.
    Tool {
        /// The tool, such as `run`.
        tool: String,
    },
    /// Nothing is done to a repository.
    Repo {
        /// The repository.
        repo: RepoName,
    },
    /// One task is paused: nothing is done for it but what people do themselves.
    Task {
        /// The task.
        task: TaskId,
    },
    /// Nothing is done at all.
    All,
}

impl Frozen {
    /// The task, when one is paused.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Task { task } => Some(*task),
            Self::Dispatch
            | Self::Push
            | Self::Merge
            | Self::Model { .. }
            | Self::Tool { .. }
            | Self::Repo { .. }
            | Self::All => None,
        }
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatch => f.write_str("dispatch"),
            Self::Push => f.write_str("push"),
            Self::Merge => f.write_str("merge"),
            Self::Model { model } => write!(f, "model {model}"),
            Self::Tool { tool } => write!(f, "tool {tool}"),
            Self::Repo { repo } => write!(f, "repository {repo}"),
            Self::Task { task } => write!(f, "task {task}"),
            Self::All => f.write_str("all"),
        }
    }
}

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its id.
    pub id: FreezeId,
    /// What it stops.
    pub frozen: Frozen,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

impl Freeze {
    /// Whether it stops an action.
    pub fn stops(&self, subject: &Subject, context: &Context, action: &Action) -> bool {
        match &self.frozen {
            Frozen::All => true,
            Frozen::Dispatch => matches!(action, Action::AgentStart(_)),
            Frozen::Push => matches!(action, Action::BranchPush(_) | Action::PullRequestOpen(_)),
            Frozen::Merge => matches!(action, Action::PullRequestMerge(_)),
            Frozen::Model { model } => match action {
                Action::ModelCall(call) => call.model == *model,
                Action::AgentStart(start) => start.model == *model,
                _ => false,
            },
            Frozen::Tool { tool } => tools_of(subject, action).contains(&tool.as_str()),
            Frozen::Task { task } => {
                subject.task == Some(*task) && !matches!(subject.role, Role::Human)
            }
            Frozen::Repo { repo } => context.repo == *repo || repo_of(action) == Some(repo),
        }
    }
}

/// The tools that an action may come from. Only agents have tools.
fn tools_of<'a>(subject: &Subject, action: &'a Action) -> Vec<&'a str> {
    match action {
        Action::ToolCall(call) => vec![&call.tool],
        Action::Command(_) if is_agent(subject.role) => vec!["run"],
        Action::FileRead(_) if is_agent(subject.role) => vec!["read", "list", "search"],
        Action::FileWrite(_) if is_agent(subject.role) => vec!["write", "edit"],
        _ => Vec::new(),
    }
}

fn is_agent(role: Role) -> bool {
    matches!(role, Role::Coordinator | Role::Implementor | Role::Verifier | Role::Reviewer)
}

fn repo_of(action: &Action) -> Option<&RepoName> {
    match action {
        Action::RepoRead(read) => Some(&read.repo),
        Action::TaskRaise(raise) => Some(&raise.repo),
        Action::BranchPush(push) => Some(&push.repo),
        Action::PullRequestOpen(open) => Some(&open.repo),
        Action::ReviewSubmit(review) => Some(&review.repo),
        Action::PullRequestMerge(merge) => Some(&merge.repo),
        _ => None,
    }
}

/// That a freeze is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thaw {
    /// The freeze.
    pub freeze: FreezeId,
    /// Who thawed it: not who froze it, unless it is a pause of one task.
    pub by: Person,
    /// Whether one person may be both, which is a setting of the organisation.
    pub single_user: bool,
    /// The task that goes on, when one was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// The freezes in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freezes {
    /// Those in force, by id.
    pub in_force: BTreeMap<FreezeId, Freeze>,
    /// Those that were thawed.
    pub thawed: BTreeSet<FreezeId>,
}

impl Freezes {
    /// Takes one more entry into account.
    pub fn apply(&mut self, entry: &Entry) {
        let Event::Fact(fact) = &entry.event else { return };
        match fact.as_ref() {
            Fact::Frozen(freeze) if !self.thawed.contains(&freeze.id) => {
                self.in_force.insert(freeze.id, freeze.clone());
            }
            Fact::Thawed(thaw) => {
                self.in_force.remove(&thaw.freeze);
                self.thawed.insert(thaw.freeze);
            }
            _ => {}
        }
    }
}
