//! The store as a whole: what it is opened with, what it consists of, in which order it starts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_ledger::{LedgerDir, TreeHead};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

use crate::budget::Budgets;
use crate::error::StoreError;
use crate::fault::{FaultPlan, installed};
use crate::integrity::{self, Problem};
use crate::ledger_files::LedgerFiles;
use crate::lock::Lock;
use crate::migrate::migrate;
use crate::people::PeopleBook;
use crate::read::Readers;
use crate::writer::Writer;

/// Opens the ledger directory at a path with the key that belongs to it.
pub type OpenLedger =
    Box<dyn Fn(&Path) -> Result<LedgerDir, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// What a store is opened with.
pub struct StoreConfig {
    /// The data directory: database and lock file. Made with mode 0700 when it is not there.
    pub dir: PathBuf,
    /// The ledger's directory, blobs included; it may lie in the data directory.
    pub ledger_dir: PathBuf,
    /// How the ledger is opened: once at the start, under the data directory's lock, and again
    /// after a write to it failed half way. The key stays with the caller.
    pub open_ledger: OpenLedger,
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("dir", &self.dir)
            .field("ledger_dir", &self.ledger_dir)
            .finish_non_exhaustive()
    }
}

/// The store. A handle: clones share one database, one writer and one lock, which are given up
/// with the last of them.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    // Dropped in this order: the writer ends before the lock is given up.
    pub(crate) writer: Writer,
    pub(crate) readers: Arc<Readers>,
    pub(crate) ledger: Arc<LedgerFiles>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) people: Arc<PeopleBook>,
    pub(crate) head: watch::Receiver<TreeHead>,
    pub(crate) faults: FaultPlan,
    dir: PathBuf,
    _lock: Lock,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.inner.dir).field("head", &self.head()).finish()
    }
}

impl Store {
    /// Opens the store, or makes an empty one, and brings database and ledger directory into
    /// agreement. Blocks; call it before the server starts or on a blocking thread.
    ///
    /// What the database has and the ledger's files lack is written and a checkpoint published.
    /// What the signed ledger has and the database lost is taken back. Rows that cannot be used are
    /// quarantined and reported by [`problems`](Self::problems).
    ///
    /// # Errors
    /// Another process has the directory, the database is newer than the program, a file cannot be
    /// written, or database and ledger contradict each other.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_on(config, installed().unwrap_or_default())
    }

    /// Opens a store in which these faults happen, whatever [`install`](crate::fault::install) says.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "test-support")]
    pub fn open_with_faults(config: StoreConfig, faults: FaultPlan) -> Result<Self, StoreError> {
        Self::open_on(config, faults)
    }

    fn open_on(config: StoreConfig, faults: FaultPlan) -> Result<Self, StoreError> {
        let StoreConfig { dir, ledger_dir, open_ledger } = config;
        let lock = Lock::take(&dir)?;
        let path = dir.join("store.sqlite");
        let mut connection = connect(&path)?;
        migrate(&mut connection, &path)?;
        let ledger = LedgerFiles::open(ledger_dir, open_ledger)?;
        let checked = integrity::check(&mut connection, &ledger)?;
        for problem in checked.problems.values() {
            tracing::warn!(seq = problem.seq, reason = problem.reason, "an event is quarantined");
        }
        let readers = Arc::new(Readers::new(path, checked.problems));
        readers.with(|connection| ledger.catch_up(connection, checked.tree.size()))?;
        let budgets = Arc::new(readers.with(Budgets::rebuild)?);
        let people = Arc::new(readers.with(PeopleBook::rebuild)?);
        let (head_sender, head) = watch::channel(checked.tree.head());
        let writer = Writer::start(
            connection,
            checked.tree,
            checked.last_at,
            head_sender,
            Arc::clone(&budgets),
            Arc::clone(&people),
            faults.clone(),
        )?;
        let ledger = Arc::new(ledger);
        let inner =
            Inner { writer, readers, ledger, budgets, people, head, faults, dir, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many events are committed, and the root over them.
    pub fn head(&self) -> TreeHead {
        *self.inner.head.borrow()
    }

    /// The events that cannot be used, found at the start or since, the oldest first.
    pub fn problems(&self) -> Vec<Problem> {
        self.inner.readers.problems().into_values().collect()
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The ledger's directory.
    pub fn ledger_dir(&self) -> &Path {
        self.inner.ledger.dir()
    }
}

/// What is known of bad events, by their index.
pub(crate) type Problems = BTreeMap<u64, Problem>;

/// Locks a mutex whose content stays whole even if a thread that held it panicked.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(StoreError::database("open"))?;
    let pragmas = || {
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))
    };
    pragmas().map_err(StoreError::database("open"))?;
    Ok(connection)
}
