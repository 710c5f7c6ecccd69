//! Appending: what an event refers to first, then the event.

use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::event::Event;
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_warden::{Journal, JournalError};

use crate::error::StoreError;
use crate::fault::crash_point;
use crate::row::Draft;
use crate::store::Store;

impl Store {
    /// Appends events in this order, all or none. When it returns `Ok` they are durable, and so is
    /// everything their payloads refer to. Gives the index of the first.
    ///
    /// Dropping the future does not undo anything: the events may or may not be appended then.
    ///
    /// # Errors
    /// A blob or the database cannot be written, or an event is not one that the ledger keeps. None
    /// of the events is in the log then, with one exception: if the disk failed in the very moment
    /// of the commit, a crash right after it may bring them back, as a decision without an effect.
    pub async fn append_events(&self, events: Vec<Event>) -> Result<u64, StoreError> {
        if events.is_empty() {
            return Err(StoreError::Empty);
        }
        let drafts = events.iter().map(Draft::of).collect::<Result<Vec<_>, _>>()?;
        let blobs = Blobs::of(&events);
        if !blobs.is_empty() {
            self.store_blobs(blobs).await?;
            crash_point("store.blobs_stored");
        }
        self.inner.writer.append(drafts).await
    }

    async fn store_blobs(&self, blobs: Blobs) -> Result<(), StoreError> {
        let ledger = Arc::clone(&self.inner.ledger);
        let faults = self.inner.faults.clone();
        self.inner
            .readers
            .run(move |_| {
                for (digest, bytes) in blobs.given {
                    faults.take_room(bytes.len()).map_err(|source| {
                        let path = ledger.blob_path(digest);
                        StoreError::Io { action: "write", path, source }
                    })?;
                    ledger.put_blob(&bytes)?;
                }
                // What is referred to by name alone was stored with an earlier event.
                match blobs.named.into_iter().find(|digest| !ledger.blob_path(*digest).is_file()) {
                    Some(digest) => Err(StoreError::BlobMissing { digest }),
                    None => Ok(()),
                }
            })
            .await
    }
}

/// What events refer to.
struct Blobs {
    given: Vec<(Digest, Arc<[u8]>)>,
    named: Vec<Digest>,
}

impl Blobs {
    fn of(events: &[Event]) -> Self {
        let payloads: Vec<&Payload> = events.iter().flat_map(Event::payloads).collect();
        Self {
            given: payloads.iter().filter_map(|payload| payload.to_store()).collect(),
            named: payloads
                .iter()
                .filter(|payload| payload.to_store().is_none())
                .filter_map(|payload| payload.blob())
                .collect(),
        }
    }

    const fn is_empty(&self) -> bool {
        self.given.is_empty() && self.named.is_empty()
    }
}

#[async_trait]
impl Journal for Store {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        self.append_events(events)
            .await
            .map_err(|error| JournalError { message: error.chain(), source: Some(Box::new(error)) })
    }
}
