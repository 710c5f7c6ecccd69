//! What can go wrong with the store, and what to do next.

use std::io;
use std::path::PathBuf;

use bailiwick_ledger::{BlobError, LedgerError};
use bailiwick_model::payload::Digest;

/// The store cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error("the data directory `{dir}` is in use{by}", dir = dir.display(),
        by = pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other process, when it left its number.
        pid: Option<u32>,
    },
    /// A newer program wrote the database.
    #[error("the database `{path}` has version {found}, and this program knows versions up to {known}",
        path = path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A migration failed; the database is as it was before it.
    #[error("the database cannot be brought to version {version}")]
    Migration {
        /// The version that was not reached.
        version: i64,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A file or folder cannot be made, read or written.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot {action} the database")]
    Database {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// The system has no random bytes for a salt.
    #[error("the system gives no random bytes")]
    Random {
        /// Why not.
        #[source]
        source: getrandom::Error,
    },
    /// A blob cannot be stored.
    #[error("cannot store what an event refers to")]
    Blob {
        /// Why not.
        #[source]
        source: BlobError,
    },
    /// A blob is not there.
    #[error("the blob `{digest}` is missing")]
    BlobMissing {
        /// Which.
        digest: Digest,
    },
    /// A blob has other bytes than its name says.
    #[error("the blob `{digest}` is damaged")]
    BlobDamaged {
        /// Which.
        digest: Digest,
    },
    /// An event cannot be written as JSON.
    #[error("the event cannot be written as JSON")]
    Json {
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// An event is longer than the ledger takes.
    #[error("the event has {bytes} bytes, more than {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// No events were given.
    #[error("there is nothing to append")]
    Empty,
    /// The ledger directory cannot be opened.
    #[error("cannot open the ledger `{dir}`", dir = dir.display())]
    OpenLedger {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The ledger directory cannot be brought up to date. The events themselves are safe.
    #[error("cannot bring the ledger's files up to date")]
    Ledger {
        /// Why not.
        #[source]
        source: LedgerError,
    },
    /// The database and the signed ledger tell different stories.
    #[error("the database and the ledger `{dir}` differ within the first {size} entries", dir = dir.display())]
    Diverged {
        /// The ledger.
        dir: PathBuf,
        /// The size of its checkpoint.
        size: u64,
    },
    /// An entry is in neither the database nor the ledger's files, though later ones are.
    #[error("entry {seq} is lost")]
    Lost {
        /// Which.
        seq: u64,
    },
    /// The writer is gone.
    #[error("the store is closed")]
    Closed,
    /// A test asked for this failure.
    #[error("append {number} was made to fail")]
    Injected {
        /// The event's number since the process started.
        number: u64,
    },
}

impl StoreError {
    /// A stable code such as `store.in_use`.
    pub fn code(&self) -> &'static str {
        if self.is_disk_full() {
            return "store.disk_full";
        }
        match self {
            Self::InUse { .. } => "store.in_use",
            Self::Newer { .. } => "store.newer",
            Self::Migration { .. } => "store.migration",
            Self::Io { .. } => "store.io",
            Self::Database { .. } => "store.database",
            Self::Random { .. } => "store.random",
            Self::Blob { .. } => "store.blob_unwritable",
            Self::BlobMissing { .. } => "store.blob_missing",
            Self::BlobDamaged { .. } => "store.blob_damaged",
            Self::Json { .. } | Self::TooLong { .. } | Self::Empty => "store.bad_event",
            Self::OpenLedger { .. } | Self::Ledger { .. } => "store.ledger_unwritable",
            Self::Diverged { .. } => "store.diverged",
            Self::Lost { .. } => "store.entry_lost",
            Self::Closed => "store.closed",
            Self::Injected { .. } => "store.injected",
        }
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        if self.is_disk_full() {
            return Some("make room on the disk of the data directory, then try again".to_owned());
        }
        let hint = match self {
            Self::InUse { pid: Some(pid), .. } => {
                return Some(format!("stop process {pid}, or use another data directory"));
            }
            Self::InUse { pid: None, .. } => {
                "stop the other process, or use another data directory"
            }
            Self::Newer { .. } => "use the program that wrote it, or a newer one",
            Self::Io { .. } | Self::Blob { .. } => {
                "check that the data directory exists, belongs to you and is writable"
            }
            Self::Migration { .. } | Self::Database { .. } => {
                "check the disk and the permissions of the data directory; if the database is damaged, move it away: every published entry is taken back from the ledger's files"
            }
            Self::BlobMissing { .. } | Self::BlobDamaged { .. } => {
                "run `bailiwick ledger verify` to see what else is damaged, and restore the file from a backup"
            }
            Self::TooLong { .. } => "put large content into a payload, which is kept as a blob",
            Self::Ledger { source } => return source.hint().map(str::to_owned),
            Self::Diverged { .. } | Self::Lost { .. } => {
                "keep both as evidence, run `bailiwick ledger verify`, and restore the one that is damaged from a backup"
            }
            Self::Closed => "restart the program",
            Self::OpenLedger { .. }
            | Self::Random { .. }
            | Self::Json { .. }
            | Self::Empty
            | Self::Injected { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the cause is that no room is left on the disk.
    pub fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                );
            }
            if let Some(error) = error.downcast_ref::<rusqlite::Error>() {
                return error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
            }
            cause = error.source();
        }
        false
    }

    /// The error with everything that caused it, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    pub(crate) fn database(action: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Database { action, source }
    }
}
