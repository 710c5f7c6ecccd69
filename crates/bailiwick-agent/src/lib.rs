#![forbid(unsafe_code)]
//! Agents. The built-in loop ([`BuiltIn`]): it asks a model, does what the model's tool calls say through the
//! warden, tells the model what came of it, and records each step so that a run can be taken up
//! again from its events alone.
//!
//! The loop runs in the control plane and holds no authority: a model call, a file access, a
//! command, even the words "I am finished" are actions that the warden decides. What a model, a
//! file or a command says is data here; only the [`Session`] that the engine made says what may
//! be done.
//!
//! Beside it there are programs that others wrote ([`Program`]): they run wholly inside the
//! session's cage, and reach a model, and nothing else, through the door that the gateway serves.
//!
//! Deliberately absent: git, the forge, the store, the gates, the detectors. What the loop needs
//! of them comes in as [`Snapshots`] and a [`Labeller`].

pub mod prompts;

mod agents;
mod arguments;
mod effect;
mod ending;
mod hearing;
mod port;
mod program;
mod replay;
mod run;
mod schema;
mod session;
mod submission;
mod telling;
mod tool;
mod transcript;
mod turn;

pub use agents::{Agent, AgentInfo, Agents, BuiltIn};
pub use hearing::{Hearing, HearingError};
pub use port::ModelPort;
pub use program::{
    About, Adapter, Assignment, ClaudeCode, Codex, Located, OpenCode, Program, ProgramError,
    QwenCode, Report, ReportedStep, program, program_kinds,
};
pub use replay::HistoryError;
pub use run::{Deps, RunError, run};
pub use session::{Labeller, Limits, Opening, Session, SnapshotError, Snapshots};
pub use submission::{
    FindingLevel, FinishSubmission, ReviewSubmission, Submission, SubmissionCheck,
    SubmittedFinding, SubmittedVerdict, VerdictSubmission,
};
pub use tool::Tool;
