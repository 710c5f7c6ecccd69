//! What came of an action.

use serde::{Deserialize, Serialize};

use crate::chat::Usage;
use crate::id::Oid;
use crate::payload::{Digest, Payload};
use crate::task::MicroUsd;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ended {
    /// It exited.
    Exit {
        /// With this code.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Which.
        signal: i32,
    },
    /// A limit ended it.
    Limit {
        /// Which, such as `wall_clock`, `memory` or `pids`.
        limit: String,
    },
}

impl Ended {
    /// The exit code, when it exited.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Exit { code } => Some(*code),
            Self::Signal { .. } | Self::Limit { .. } => None,
        }
    }
}

/// What went through the door of a session, counted at its socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections that were accepted.
    pub connections: u32,
    /// Requests that were read.
    pub requests: u32,
    /// Requests that were answered with an error of the platform's own.
    pub refused: u32,
    /// Bytes that came out of the cage.
    pub bytes_out: u64,
    /// Bytes that went into it.
    pub bytes_in: u64,
    /// Bytes of those that came out which were bodies of requests.
    pub body_bytes_out: u64,
    /// Bytes of those that went in which were bodies of answers.
    pub body_bytes_in: u64,
}

/// What came of an action, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A model replied.
    Model {
        /// The reply, as JSON.
        reply: Payload,
        /// The tokens.
        usage: Usage,
        /// What it cost.
        cost: MicroUsd,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
    /// A command ended.
    Command {
        /// How.
        ended: Ended,
        /// Standard output and error, as far as they were kept.
        output: Payload,
        /// How many bytes were dropped.
        dropped_bytes: u64,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// What the cage could not apply on this machine.
        not_applied: Vec<String>,
    },
    /// An agent's program ended.
    Agent {
        /// How.
        ended: Ended,
        /// Standard output and error, as far as they were kept.
        output: Payload,
        /// How many bytes were dropped.
        dropped_bytes: u64,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// What the cage could not apply on this machine.
        not_applied: Vec<String>,
        /// What went through its door, which was its only way out.
        traffic: Traffic,
    },
    /// Something was read.
    Read {
        /// SHA-256 of what was handed out.
        digest: Digest,
        /// How many bytes.
        bytes: u64,
    },
    /// A file was written.
    Written {
        /// SHA-256 before; none when there was no file.
        before: Option<Digest>,
        /// SHA-256 after.
        after: Digest,
        /// How many bytes it has now.
        bytes: u64,
    },
    /// A git object or branch came to be.
    Git {
        /// Which.
        oid: Option<Oid>,
    },
    /// A pull request is open.
    PullRequest {
        /// Its number.
        number: u64,
    },
    /// It is done, and there is no more to say.
    Done,
    /// It failed, or it is unknown whether it was done.
    Failed {
        /// A stable code.
        code: String,
        /// What happened.
        message: String,
        /// Whether it may have had its effect all the same (a model call that was cut off).
        possibly_done: bool,
    },
}

impl Outcome {
    /// Every payload in it.
    pub fn payloads(&self) -> Vec<&Payload> {
        match self {
            Self::Model { reply, .. } => vec![reply],
            Self::Command { output, .. } | Self::Agent { output, .. } => vec![output],
            Self::Read { .. }
            | Self::Written { .. }
            | Self::Git { .. }
            | Self::PullRequest { .. }
            | Self::Done
            | Self::Failed { .. } => Vec::new(),
        }
    }

    /// What it cost, when that is known.
    pub fn cost(&self) -> Option<MicroUsd> {
        match self {
            Self::Model { cost, .. } => Some(*cost),
            _ => None,
        }
    }
}

/// A result of an effect that knows how it is recorded.
pub trait Recorded {
    /// What came of the action.
    fn outcome(&self) -> Outcome;
}

impl Recorded for () {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

/// An error of an effect that knows how it is recorded.
pub trait EffectError: std::error::Error + Send + Sync + 'static {
    /// A stable code such as `model.unreachable`.
    fn code(&self) -> String;

    /// What to do next.
    fn hint(&self) -> Option<String>;

    /// Whether the effect may have taken place all the same.
    fn possibly_done(&self) -> bool {
        false
    }
}

/// The error of an action that has no effect of its own, or is its decision and nothing more: there
/// is none.
#[derive(Debug, thiserror::Error)]
pub enum NoEffect {}

impl EffectError for NoEffect {
    fn code(&self) -> String {
        match *self {}
    }

    fn hint(&self) -> Option<String> {
        match *self {}
    }
}
