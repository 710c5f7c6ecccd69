#![forbid(unsafe_code)]
//! The seven stages as durable workflows.
//!
//! The engine decides what comes next and asks others to do it: every effect is an action that the
//! warden decides, every state is folded from events. It keeps nothing that a killed process would
//! miss: [`Engine::drive`] folds a task's events and goes on from there.
//!
//! Deliberately absent: SQL, HTTP, provider formats, git itself.

mod actor;
mod approvals;
mod calibrate;
mod comments;
mod damage;
mod describe;
mod drive;
mod engine;
mod error;
mod estimate;
mod freezes;
mod gate_runner;
mod human;
mod identity;
mod implement;
mod intake;
mod judge;
mod merge;
mod parts;
mod plan;
mod prepare;
mod publish;
mod raise;
mod rebase;
mod session;
mod setup;
mod since;
mod size;
mod steer;
mod view;
mod workspace;

pub use approvals::ApprovalWord;
pub use comments::{CommentNote, CommentPlace, NewComment, ThreadView};
pub use drive::Standing;
pub use engine::Engine;
pub use error::EngineError;
pub use estimate::Estimate;
pub use freezes::NewEmergency;
pub use human::Answer;
pub use intake::NewTask;
pub use parts::{Escalation, Parts, Settings};
pub use since::SinceView;
pub use view::{ChangeView, FileView, HunkView, LineView, ReviewNote, StepNote};
