//! The inside of the only way out: what an agent's program reaches when it connects to the one
//! port of its cage.
//!
//! A door belongs to one session. It speaks the protocols that agents' programs speak, and every
//! call becomes an action of that session: decided, recorded, paid from its budget, with the
//! session's own model whatever the program wishes, and with the provider's key, which no cage ever
//! sees. Anything else is answered with an error in the client's own protocol.
//!
//! Deliberately absent: the sandbox (it hands in the listening socket), names and addresses (a
//! program can't say where a call goes), and anything that looks into a session from outside.

mod answer;
mod call;
mod count;
mod record;
mod serve;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_model::id::{ApprovalId, SubtaskKey};
use bailiwick_model::outcome::Traffic;
use bailiwick_model::subject::{Context, Role, Subject, Taint};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::{JournalError, Warden};
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use record::Said;

/// Names the taint of what an agent reads.
pub type Labeller = Arc<dyn Fn(&str) -> BTreeSet<Taint> + Send + Sync>;

/// Whose door it is.
#[derive(Clone)]
pub struct DoorSession {
    /// The one decision point.
    pub warden: Arc<Warden>,
    /// The way to models.
    pub gateway: Arc<Gateway>,
    /// Who acts.
    pub subject: Subject,
    /// The circumstances at the beginning.
    pub context: Context,
    /// In which role.
    pub role: Role,
    /// For which subtask.
    pub subtask: Option<SubtaskKey>,
    /// The repair round.
    pub round: u32,
    /// The provider of its model.
    pub provider: String,
    /// Its model, whatever the program wishes.
    pub model: String,
    /// What the program shows for a key. It opens nothing but this door.
    pub token: String,
    /// How many calls of the session there were before.
    pub calls_before: u32,
    /// The most calls.
    pub max_calls: u32,
    /// With so many denied calls the session ends.
    pub max_denials: u32,
    /// Names the taint of what the agent reads.
    pub labeller: Labeller,
}

impl std::fmt::Debug for DoorSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DoorSession")
            .field("subject", &self.subject)
            .field("provider", &self.provider)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// Why a door was shut before its program ended.
#[derive(Debug)]
pub enum Shut {
    /// The ledger can't be written.
    Ledger(JournalError),
    /// People have to approve something first.
    WaitsForApproval {
        /// The request.
        approval: ApprovalId,
        /// Who is asked.
        groups: Vec<String>,
    },
    /// What the session does is frozen.
    Frozen {
        /// By whom and why.
        reason: String,
    },
    /// A limit of the session is reached.
    Limit {
        /// A stable code.
        code: &'static str,
        /// In words.
        reason: String,
        /// What to do next.
        hint: &'static str,
    },
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU32,
    requests: AtomicU32,
    refused: AtomicU32,
    bytes_out: Arc<AtomicU64>,
    bytes_in: Arc<AtomicU64>,
    body_bytes_out: AtomicU64,
    body_bytes_in: AtomicU64,
}

/// What changes in the course of a session.
#[derive(Debug, Default)]
struct Course {
    taint: BTreeSet<Taint>,
    denials: u32,
    spent: MicroUsd,
    calls: u32,
    answered: u32,
    said: Said,
    shut: Option<Shut>,
}

/// The door of one session.
#[derive(Debug)]
pub struct Door {
    session: DoorSession,
    counters: Counters,
    course: Mutex<Course>,
    /// Cancelled when the session must not go on.
    halt: CancellationToken,
}

impl Door {
    /// Makes the door of a session. Nothing is served yet.
    #[must_use]
    pub fn new(session: DoorSession) -> Arc<Self> {
        let course = Course { taint: session.context.taint.clone(), ..Course::default() };
        Arc::new(Self {
            session,
            counters: Counters::default(),
            course: Mutex::new(course),
            halt: CancellationToken::new(),
        })
    }

    /// Is cancelled when the session must not go on: [`Door::shut`] says why.
    #[must_use]
    pub fn halt(&self) -> CancellationToken {
        self.halt.clone()
    }

    /// Why the door was shut, if it was.
    pub fn shut(&self) -> Option<Shut> {
        self.course().shut.take()
    }

    /// How many calls a model answered.
    #[must_use]
    pub fn answered(&self) -> u32 {
        self.course().answered
    }

    /// How many calls were denied.
    #[must_use]
    pub fn denials(&self) -> u32 {
        self.course().denials
    }

    /// What the session has read so far.
    #[must_use]
    pub fn taint(&self) -> BTreeSet<Taint> {
        self.course().taint.clone()
    }

    /// What went through so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let counters = &self.counters;
        Traffic {
            connections: counters.connections.load(Ordering::Relaxed),
            requests: counters.requests.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            bytes_out: counters.bytes_out.load(Ordering::Relaxed),
            bytes_in: counters.bytes_in.load(Ordering::Relaxed),
            body_bytes_out: counters.body_bytes_out.load(Ordering::Relaxed),
            body_bytes_in: counters.body_bytes_in.load(Ordering::Relaxed),
        }
    }

    fn course(&self) -> std::sync::MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shuts the door for good. The first reason is the one that counts.
    fn close(&self, why: Shut) {
        self.course().shut.get_or_insert(why);
        self.halt.cancel();
    }
}
