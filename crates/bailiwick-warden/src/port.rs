//! What the warden needs from a store.

use async_trait::async_trait;
use bailiwick_model::event::Event;
use bailiwick_model::id::TaskId;
use bailiwick_model::task::MicroUsd;

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
