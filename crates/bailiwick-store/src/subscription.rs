//! Following the log as it grows.

use std::collections::VecDeque;
use std::sync::Arc;

use bailiwick_ledger::TreeHead;
use bailiwick_model::event::Entry;
use tokio::sync::watch;

use crate::error::StoreError;
use crate::read::{Query, Readers};
use crate::store::Store;

/// How many entries are read ahead.
const AHEAD: usize = 256;

/// The entries that a query asks for: those that are there, then those to come.
///
/// It only keeps an index and reads from the log, so nothing is missed however slow the reader is,
/// and a slow reader costs no memory.
pub struct Subscription {
    readers: Arc<Readers>,
    query: Query,
    /// Everything before this index was looked at.
    next: u64,
    ahead: VecDeque<Entry>,
    head: watch::Receiver<TreeHead>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("query", &self.query)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Follows the log: the entries that the query asks for, now and from now on. Its `limit` is
    /// not looked at. [`Query::after_seq`] takes up a subscription that was cut off; with
    /// `store.head().size.checked_sub(1)` it begins with what is to come.
    pub fn subscribe(&self, query: Query) -> Subscription {
        Subscription {
            readers: Arc::clone(&self.inner.readers),
            next: query.after_seq.map_or(0, |seq| seq.saturating_add(1)),
            query,
            ahead: VecDeque::new(),
            head: self.inner.head.clone(),
        }
    }
}

impl Subscription {
    /// Waits for the next entry; nothing when the store is closed and everything was handed out.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The database cannot be read. It may be tried again.
    pub async fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            if let Some(entry) = self.ahead.pop_front() {
                return Ok(Some(entry));
            }
            let size = self.head.borrow_and_update().size;
            if self.next < size {
                self.read_ahead(size).await?;
            } else if self.head.changed().await.is_err() {
                // The last head may have come together with the end.
                if self.next >= self.head.borrow().size {
                    return Ok(None);
                }
            }
        }
    }

    async fn read_ahead(&mut self, size: u64) -> Result<(), StoreError> {
        let (query, from) = (self.query.clone(), self.next);
        let page = self
            .readers
            .run(move |readers| {
                readers.with(|connection| readers.page(connection, &query, from, AHEAD))
            })
            .await?;
        // INVARIANT: nothing is changed before the wait is over, so that it can be dropped.
        let last = page.entries.last().map_or(0, |entry| entry.seq + 1);
        self.next = page.next.unwrap_or_else(|| size.max(last));
        self.ahead.extend(page.entries);
        Ok(())
    }
}
