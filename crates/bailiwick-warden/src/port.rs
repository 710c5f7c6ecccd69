//! What the warden needs from a store.

use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::Timestamp;
use bailiwick_model::action::{Action, Command};
use bailiwick_model::emergency::Alert;
use bailiwick_model::event::Event;
use bailiwick_model::freeze::Freeze;
use bailiwick_model::id::{ApprovalId, EmergencyId, Person, RepoName, TaskId};
use bailiwick_model::identity::RepoRight;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, InstallFacts, SessionFacts, Subject};
use bailiwick_model::task::{MicroUsd, PolicyText};
use bailiwick_model::verdict::Denial;

/// The ledger cannot be written. Nothing that depends on the record may be done.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written: {message}")]
pub struct JournalError {
    /// What happened, for the operator.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The append-only log.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends events in this order, all or none, blobs of their payloads first. When it returns
    /// `Ok` they are durable. Gives the index of the first.
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError>;
}

/// An amount set aside for an action that is under way. Dropping it without settling keeps the
/// amount set aside until the process ends, which errs on the side of spending less.
#[derive(Debug)]
pub struct Reservation {
    /// The task that pays.
    pub task: TaskId,
    /// How much.
    pub amount: MicroUsd,
}

/// The budget has less left than the action may cost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the action may cost {asked}, and the task has {left} of its budget left")]
pub struct BudgetExceeded {
    /// What the action may cost.
    pub asked: MicroUsd,
    /// What is left.
    pub left: MicroUsd,
}

/// What tasks may still spend.
pub trait BudgetBook: Send + Sync {
    /// What is left for a task, reservations taken off; nothing for a task that is not known.
    fn left(&self, task: TaskId) -> MicroUsd;

    /// Sets an amount aside, or says that it is not there.
    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded>;

    /// Replaces a reservation by what the action really cost.
    fn settle(&self, reservation: Reservation, cost: MicroUsd);
}

/// What people said can't be looked at. What depends on it is refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SafeguardError {
    /// What happened, for the operator.
    pub message: String,
}

/// A freeze that stops an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The freeze.
    pub freeze: Freeze,
    /// Whether it is still to be recorded: it was ordered beside the process that has the ledger.
    pub unrecorded: bool,
}

/// What stands of approvals for exactly one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody was asked, or what they said was used up.
    Unasked,
    /// Somebody is being asked.
    Open(ApprovalId),
    /// These groups agreed.
    Granted {
        /// The request.
        approval: ApprovalId,
        /// The groups.
        groups: Vec<String>,
        /// Whether it may be used one time only.
        once: bool,
    },
    /// Somebody said no, or nobody answered in time.
    Refused(Denial),
}

/// What people said: freezes, approvals, emergencies; and what is known of who acts. The store
/// implements it.
pub trait Safeguards: Send + Sync {
    /// The freeze that stops an action, if one does.
    fn frozen(
        &self,
        subject: &Subject,
        context: &Context,
        action: &Action,
    ) -> Result<Option<Stopped>, SafeguardError>;

    /// Adds what is known of who acts and of the session.
    fn facts(
        &self,
        subject: &Subject,
        facts: &mut SessionFacts,
        now: Timestamp,
    ) -> Result<(), SafeguardError>;

    /// What stands of approvals for the action with this digest.
    fn standing(
        &self,
        subject: &Subject,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Standing, SafeguardError>;

    /// Takes an approval that may be used one time; says whether it is there to be taken. Of two
    /// actions at once, one gets it.
    fn claim(&self, approval: ApprovalId) -> Result<Claim, SafeguardError>;

    /// Gives an approval back that was taken and not used.
    fn release(&self, approval: ApprovalId);

    /// The emergency in which gates stand open for this person and repository.
    fn emergency(
        &self,
        person: &Person,
        repo: &RepoName,
        now: Timestamp,
    ) -> Result<Option<EmergencyId>, SafeguardError>;

    /// The rules that came with a task, which only narrow what is done for it. None where nobody
    /// keeps any.
    fn narrowing(&self, _task: TaskId) -> Result<Option<Arc<[PolicyText]>>, SafeguardError> {
        Ok(None)
    }

    /// Whether one more denial is a storm that somebody should look at.
    fn storm(&self, subject: &Subject, now: Timestamp) -> Option<Alert>;
}

/// Looks up the packages that a command would install by name, before it is decided.
#[async_trait]
pub trait InstallScreen: Send + Sync {
    /// What is to be said of them. What can't be found out is doubtful, never fine.
    async fn look_at(&self, command: &Command) -> InstallFacts;
}

/// The forge that has a repository gives no answer. What depends on it is refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RightsError {
    /// What happened, for the operator.
    pub message: String,
}

/// What people may do in repositories, as the forge says that has them. The store answers for the
/// embedded forge.
#[async_trait]
pub trait ForgeRights: Send + Sync {
    /// What a person may do in a repository, now.
    async fn right_of(&self, person: &Person, repo: &RepoName) -> Result<RepoRight, RightsError>;
}

/// Whether an approval was there to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is taken now.
    Taken,
    /// Somebody else has it.
    Gone,
}
