//! A ledger in memory, which can be told to fail, and a budget.

use std::sync::Mutex;

use async_trait::async_trait;
use bailiwick_model::event::{Entry, Event};
use bailiwick_model::id::TaskId;
use bailiwick_model::payload::Payload;
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::{BudgetBook, BudgetExceeded, Journal, JournalError, Reservation};

#[derive(Debug, Default)]
pub(crate) struct MemoryJournal {
    entries: Mutex<Vec<Entry>>,
    appends: Mutex<usize>,
    fails_at: Option<usize>,
}

impl MemoryJournal {
    /// A ledger that has `entries` already.
    pub(crate) fn with(entries: &[Entry]) -> Self {
        Self { entries: Mutex::new(entries.to_vec()), ..Self::default() }
    }

    /// A ledger whose append number `append` fails, counted from 0, and all after it.
    pub(crate) fn failing_at(append: usize) -> Self {
        Self { fails_at: Some(append), ..Self::default() }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    pub(crate) fn appends(&self) -> usize {
        *self.appends.lock().unwrap()
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        let mut appends = self.appends.lock().unwrap();
        let this = *appends;
        *appends += 1;
        if self.fails_at.is_some_and(|at| this >= at) {
            return Err(JournalError { message: "no space left".into(), source: None });
        }
        let mut entries = self.entries.lock().unwrap();
        let first = entries.len() as u64;
        for event in events {
            // What is read back later is what was stored, not what was in memory.
            let text = serde_json::to_string(&event).unwrap();
            let stored: Event = serde_json::from_str(&text).unwrap();
            let event = with_bytes(stored, &event);
            let seq = entries.len() as u64;
            entries.push(Entry { seq, at: jiff::Timestamp::UNIX_EPOCH, event });
        }
        Ok(first)
    }
}

/// The event as a store hands it out: from its JSON, with the bytes of its blobs at hand.
fn with_bytes(stored: Event, original: &Event) -> Event {
    let blobs: Vec<&Payload> = original.payloads();
    assert_eq!(stored.payloads().len(), blobs.len());
    if blobs.iter().all(|payload| payload.blob().is_none()) {
        return stored;
    }
    original.clone()
}

#[derive(Debug)]
pub(crate) struct Purse(pub(crate) Mutex<MicroUsd>);

impl BudgetBook for Purse {
    fn left(&self, _task: TaskId) -> MicroUsd {
        *self.0.lock().unwrap()
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        let mut left = self.0.lock().unwrap();
        if amount > *left {
            return Err(BudgetExceeded { asked: amount, left: *left });
        }
        *left = left.minus(amount);
        Ok(Reservation { task, amount })
    }

    fn settle(&self, reservation: Reservation, cost: MicroUsd) {
        let mut left = self.0.lock().unwrap();
        *left = left.plus(reservation.amount).minus(cost);
    }
}
