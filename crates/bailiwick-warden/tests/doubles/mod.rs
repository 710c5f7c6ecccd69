//! What a warden is put between in these tests: a ledger in memory, a purse, a token.

#![allow(dead_code, reason = "each test file uses the part that it needs")]

use std::sync::Mutex;

use async_trait::async_trait;
use bailiwick_model::Timestamp;
use bailiwick_model::event::Event;
use bailiwick_model::id::{SessionId, TaskId};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::{
    Bounds, BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden,
};

/// A ledger in memory.
#[derive(Default)]
pub(crate) struct Book(pub(crate) Mutex<Vec<Event>>);

#[async_trait]
impl Journal for Book {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        self.0.lock().unwrap().extend(events);
        Ok(0)
    }
}

/// A purse that has this much left, whatever is taken from it.
pub(crate) struct Purse(pub(crate) u64);

impl BudgetBook for Purse {
    fn left(&self, _task: TaskId) -> MicroUsd {
        MicroUsd(self.0)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Ok(Reservation { task, amount })
    }

    fn settle(&self, _reservation: Reservation, _cost: MicroUsd) {}
}

/// An agent does nothing without a token: here one that allows everything.
pub(crate) fn hold(warden: &Warden) {
    let now = Timestamp::now();
    let token = warden.tokens().grant(&Bounds::lasting(86_400, now), now).unwrap();
    warden.tokens().hold(session(), token);
}

/// The run that acts.
pub(crate) fn session() -> SessionId {
    "01980000-0000-7000-8000-0000000000aa".parse().unwrap()
}
