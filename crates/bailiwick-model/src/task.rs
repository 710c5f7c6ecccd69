//! A task: what a person asked for.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{BranchName, Person, RepoName, TaskId};
use crate::plan::Check;
use crate::subject::Taint;

/// The longest task text that is accepted, in bytes.
pub const MAX_TASK_BYTES: usize = 64 * 1024;

/// An amount of money in millionths of a US dollar.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// Adds, stopping at the largest value.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts, stopping at zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest % 10_000 == 0 {
            write!(f, "${dollars}.{:02}", rest / 10_000)
        } else {
            write!(f, "${dollars}.{:04}", rest / 100)
        }
    }
}

/// Where a task came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The command line.
    Cli,
    /// The REST API.
    Api,
    /// The bundled demonstration.
    Demo,
}

/// What form a task has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "form", rename_all = "snake_case", deny_unknown_fields)]
pub enum Form {
    /// Natural language.
    Text,
    /// A specification with its own acceptance checks, which become the verifier's checks.
    Specification {
        /// The checks that every subtask's result must pass.
        checks: Vec<Check>,
    },
}

/// A task as it was accepted. It never changes; what becomes of it is in later events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// One line for lists: the first line of the text, shortened.
    pub title: String,
    /// What was asked, as it was written.
    pub text: String,
    /// The form of the text.
    pub form: Form,
    /// Where it came in.
    pub source: Source,
    /// Labels of the text: who may have written it.
    pub taint: BTreeSet<Taint>,
    /// The repository it is about.
    pub repo: RepoName,
    /// The branch that its pull requests are for.
    pub base_branch: BranchName,
    /// The human who asked.
    pub requester: Person,
    /// The most it may cost.
    pub budget: MicroUsd,
    /// The provider whose models do the work, by its name in the configuration.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// The kind of agent that implements.
    #[serde(default = "builtin", skip_serializing_if = "is_builtin")]
    pub agent: String,
    /// Whether the model is scripted, which is shown wherever the task is.
    pub scripted: bool,
    /// Whether requester and approver may be one person (single-user mode).
    pub single_user: bool,
    /// Who answers for the human, when nobody is asked.
    pub approver: ApproverMode,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// The kind of agent whose loop is the platform's own.
pub const BUILTIN_AGENT: &str = "builtin";

fn builtin() -> String {
    BUILTIN_AGENT.to_owned()
}

fn is_builtin(agent: &str) -> bool {
    agent == BUILTIN_AGENT
}

/// A file of policy that comes with a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// Its name: `….toml` for the short form, `….cedar` for Cedar.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Who gives the human approval that a merge needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApproverMode {
    /// A person, asked and waited for.
    Human,
    /// A simulated approver (`--yes`), labelled as such everywhere.
    Simulated,
}

/// Why a task text was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskTextError {
    /// Nothing but white space.
    #[error("the task is empty")]
    Empty,
    /// More than [`MAX_TASK_BYTES`].
    #[error("the task has {bytes} bytes, more than the {MAX_TASK_BYTES} that are accepted")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// Contains NUL.
    #[error("the task contains a NUL character")]
    Binary,
}

/// Checks a task text and gives its title: the first line that is not empty, at most 100 characters.
pub fn title_of(text: &str) -> Result<String, TaskTextError> {
    if text.len() > MAX_TASK_BYTES {
        return Err(TaskTextError::TooLong { bytes: text.len() });
    }
    if text.contains('\0') {
        return Err(TaskTextError::Binary);
    }
    let line = text
        .lines()
        .map(|line| line.trim().trim_start_matches('#').trim())
        .find(|line| !line.is_empty())
        .ok_or(TaskTextError::Empty)?;
    let title: String = line.chars().filter(|c| !c.is_control()).take(100).collect();
    Ok(title)
}
