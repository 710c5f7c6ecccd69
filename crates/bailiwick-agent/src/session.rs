//! What one agent run is told: everything the loop knows comes from here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::chat::{SystemBlock, ToolSpec};
use bailiwick_model::id::{Oid, Person, SessionId, SubtaskKey, TaskId};
use bailiwick_model::subject::{Context, Role, Subject, Taint};
use bailiwick_sandbox::Sandbox;
use tokio_util::sync::CancellationToken;

use crate::hearing::Hearing;
use crate::submission::Submission;
use crate::tool::Tool;

/// Names the taint of a text that a model is about to read: `Instructions`, `Secret`. Wired to
/// the detectors by the program, so that this crate does not judge what it reads.
pub type Labeller = Arc<dyn Fn(&str) -> BTreeSet<Taint> + Send + Sync>;

/// One agent run.
#[derive(Clone)]
pub struct Session {
    /// The task.
    pub task: TaskId,
    /// The subtask, when there is one.
    pub subtask: Option<SubtaskKey>,
    /// The run's own id.
    pub id: SessionId,
    /// The role.
    pub role: Role,
    /// The repair round, counted from 0.
    pub round: u32,
    /// The human for whom it is done.
    pub on_behalf_of: Person,
    /// What policy may speak of. Taint and denials are added to it as the run goes on.
    pub context: Context,
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model.
    pub model: String,
    /// What the model is told first.
    pub opening: Opening,
    /// The tools it is offered. Without a sandbox none is.
    pub tools: Vec<Tool>,
    /// How it says that it is done, and what counts as such.
    pub submission: Submission,
    /// Hard caps.
    pub limits: Limits,
    /// The tree that its workspace starts from; when absent, a snapshot is taken at the start.
    pub start_tree: Option<Oid>,
    /// Where its tools work.
    pub sandbox: Option<Arc<dyn Sandbox>>,
    /// How its workspace is recorded and taken back. Without it steps have no tree, and a run
    /// that is taken up again finds its workspace as it was left.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// Names the taint of what is read.
    pub labeller: Labeller,
    /// Where it hears what people say to it. Without it nobody can.
    pub hearing: Option<Arc<dyn Hearing>>,
    /// Ends the run between two actions, or in the middle of a model call or a command.
    pub cancel: CancellationToken,
}

impl Session {
    /// Who acts.
    pub fn subject(&self) -> Subject {
        Subject {
            role: self.role,
            on_behalf_of: self.on_behalf_of.clone(),
            task: Some(self.task),
            subtask: self.subtask.clone(),
            session: Some(self.id),
        }
    }

    /// Every tool that the model is offered: those of the sandbox, and the one that ends the run.
    pub(crate) fn offered(&self) -> Vec<ToolSpec> {
        let tools = if self.sandbox.is_some() { self.tools.as_slice() } else { &[] };
        tools.iter().map(|tool| tool.spec()).chain([self.submission.tool.clone()]).collect()
    }

    /// The tier of its commands; `none` when it has no sandbox.
    pub(crate) fn tier(&self) -> &'static str {
        self.sandbox.as_ref().map_or("none", |sandbox| sandbox.tier().name())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("round", &self.round)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// What a model is told before anything else. Never compacted away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Instructions of the platform.
    pub system: Vec<SystemBlock>,
    /// The first message: what is to be done, and the data that goes with it.
    pub user: String,
    /// The taint that comes with the data in it.
    pub taint: BTreeSet<Taint>,
    /// The texts in it whose author may be anybody, for the labeller.
    pub untrusted: Vec<String>,
}

/// Hard caps of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most turns.
    pub max_steps: u32,
    /// The most tokens of a request, estimated from its bytes on the high side.
    pub context_tokens: u64,
    /// The most tokens of a reply.
    pub max_output_tokens: u32,
    /// The most bytes of one tool result that the model is told.
    pub max_tool_result_bytes: usize,
    /// The most tool calls of one reply; those beyond are not run.
    pub max_calls_per_step: usize,
    /// With so many denied actions the run ends.
    pub max_denials: u32,
    /// How often in a row a reply without a tool call is answered with a reminder.
    pub max_nudges: u32,
    /// With so many invalid submissions the run ends.
    pub max_submission_attempts: u32,
    /// The wall-clock limit of a command that asks for none, in milliseconds.
    pub command_timeout_ms: u64,
    /// The longest wall-clock limit that a command may ask for, in milliseconds.
    pub max_command_timeout_ms: u64,
}

impl Limits {
    /// What suits current models with a context of 128,000 tokens or more.
    pub const STANDARD: Self = Self {
        max_steps: 60,
        context_tokens: 100_000,
        max_output_tokens: 8_192,
        max_tool_result_bytes: 16 * 1024,
        max_calls_per_step: 16,
        max_denials: 6,
        max_nudges: 2,
        max_submission_attempts: 4,
        command_timeout_ms: 120_000,
        max_command_timeout_ms: 900_000,
    };
}

/// A workspace that could not be recorded or taken back.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SnapshotError {
    /// What happened.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Records a workspace as a git tree and takes it back to one.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Writes the workspace as a tree and gives its id. The same content gives the same id.
    async fn snapshot(&self) -> Result<Oid, SnapshotError>;

    /// Makes the workspace exactly what `tree` says, whatever it is now.
    async fn restore(&self, tree: &Oid) -> Result<(), SnapshotError>;
}
