//! The ledger directory as the store keeps it: always a prefix of the event log.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use bailiwick_ledger::{
    Checkpoint, Hash, LedgerDir, LedgerError, LedgerFile, Record, Salt, TreeHead, put_blob,
};
use bailiwick_model::payload::Digest;
use rusqlite::Connection;

use crate::error::StoreError;
use crate::fault::crash_point;
use crate::row::to_sql;
use crate::store::{OpenLedger, Store, hold};

/// How many records are read from the database at once.
const PAGE: u64 = 512;

/// How many records an events file holds (C2SP tlog-tiles).
const RECORDS_PER_FILE: u64 = 256;

pub(crate) struct LedgerFiles {
    dir: PathBuf,
    open: OpenLedger,
    /// Nothing after a write that failed half way: it is opened again for the next one.
    ledger: Mutex<Option<LedgerDir>>,
    /// Held for reading by who writes a blob: opening the ledger removes unfinished ones.
    blobs: RwLock<()>,
}

impl LedgerFiles {
    pub(crate) fn open(dir: PathBuf, open: OpenLedger) -> Result<Self, StoreError> {
        let ledger = Mutex::new(Some(open_at(&dir, &open)?));
        Ok(Self { dir, open, ledger, blobs: RwLock::new(()) })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The head of the checkpoint that was published last.
    pub(crate) fn published(&self) -> Result<TreeHead, StoreError> {
        let mut slot = hold(&self.ledger);
        let ledger = match slot.as_mut() {
            Some(ledger) => ledger,
            None => slot.insert(self.reopen()?),
        };
        Ok(ledger.checkpoint().head())
    }

    /// Writes the records that the files lack, up to `size`, and publishes a checkpoint over them.
    pub(crate) fn catch_up(
        &self,
        connection: &Connection,
        size: u64,
    ) -> Result<Checkpoint, StoreError> {
        let mut slot = hold(&self.ledger);
        let mut ledger = match slot.take() {
            Some(ledger) => ledger,
            None => self.reopen()?,
        };
        let done = write_up_to(&mut ledger, connection, size);
        // After a failed file operation the directory must be opened again, which drops what was
        // written beyond its checkpoint.
        if !matches!(done, Err(StoreError::Ledger { .. })) {
            *slot = Some(ledger);
        }
        done
    }

    fn reopen(&self) -> Result<LedgerDir, StoreError> {
        let _nobody_else = self.blobs.write().unwrap_or_else(PoisonError::into_inner);
        open_at(&self.dir, &self.open)
    }

    /// Stores a blob, durably.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let _others_too = self.blobs.read().unwrap_or_else(PoisonError::into_inner);
        put_blob(&self.dir, bytes).map(|_| ()).map_err(|source| StoreError::Blob { source })
    }

    pub(crate) fn blob_path(&self, digest: Digest) -> PathBuf {
        let file = LedgerFile::Blob { hash: Hash::from_bytes(*digest.as_bytes()) };
        self.dir.join(file.path())
    }

    /// Reads one record of the published part; nothing when it is not there or not readable.
    pub(crate) fn record(&self, seq: u64) -> Option<Record> {
        let path = LedgerFile::Events { index: seq / RECORDS_PER_FILE }.path();
        let mut lines = BufReader::new(File::open(self.dir.join(path)).ok()?);
        for _ in 0..seq % RECORDS_PER_FILE {
            lines.skip_until(b'\n').ok()?;
        }
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).ok()?;
        Record::from_line(line.strip_suffix(b"\n")?).ok()
    }
}

fn open_at(dir: &Path, open: &OpenLedger) -> Result<LedgerDir, StoreError> {
    open(dir).map_err(|source| StoreError::OpenLedger { dir: dir.to_owned(), source })
}

fn write_up_to(
    ledger: &mut LedgerDir,
    connection: &Connection,
    size: u64,
) -> Result<Checkpoint, StoreError> {
    let failed = |source: LedgerError| StoreError::Ledger { source };
    while ledger.size_on_disk() < size {
        let first = ledger.size_on_disk();
        let records = records(connection, first, (first + PAGE).min(size))
            .map_err(StoreError::database("read from"))?;
        if records.is_empty() {
            return Err(StoreError::Lost { seq: first });
        }
        ledger.write(first, &records).map_err(failed)?;
    }
    crash_point("store.records_written");
    let checkpoint = ledger.publish_checkpoint().map_err(failed)?;
    crash_point("store.published");
    Ok(checkpoint)
}

fn records(connection: &Connection, from: u64, to: u64) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(
        "SELECT salt, payload FROM event WHERE seq >= ?1 AND seq < ?2 ORDER BY seq",
    )?;
    let rows = statement.query_map([to_sql(from), to_sql(to)], |row| {
        let payload = row.get_ref(1)?.as_bytes()?.to_vec();
        Ok(Record { salt: Salt::from_bytes(row.get(0)?), payload })
    })?;
    rows.collect()
}

impl Store {
    /// Brings the ledger directory up to the current head and publishes a signed checkpoint over
    /// it. Costs in proportion to what is new since the last one.
    ///
    /// # Errors
    /// The directory cannot be written. The events are safe, and a later call makes up for it.
    pub async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        let ledger = std::sync::Arc::clone(&self.inner.ledger);
        let size = self.head().size;
        self.inner
            .readers
            .run(move |readers| readers.with(|connection| ledger.catch_up(connection, size)))
            .await
    }
}
