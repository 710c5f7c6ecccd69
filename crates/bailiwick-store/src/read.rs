//! Reading: connections of their own, on the blocking pool, never waiting for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bailiwick_model::event::{Decided, Entry, Event};
use bailiwick_model::id::{SessionId, TaskId};
use bailiwick_model::payload::{Digest, Payload};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::integrity::Problem;
use crate::row::{entry_of, from_sql, to_sql};
use crate::store::{Problems, Store, hold};

/// How many readers work at the same time.
const READERS: usize = 8;

/// How many connections are kept open for the next reader.
const IDLE: usize = 4;

/// How many entries are read at once.
const PAGE: usize = 500;

/// Which entries are asked for; what is not given does not restrict them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this task.
    pub task: Option<TaskId>,
    /// Of this agent run.
    pub session: Option<SessionId>,
    /// After this index, which itself is left out.
    pub after_seq: Option<u64>,
    /// With one of these names ([`Event::name`]).
    pub names: Vec<String>,
    /// At most so many; all when it is not given.
    pub limit: Option<usize>,
}

impl Query {
    /// All entries of a task.
    pub fn task(task: TaskId) -> Self {
        Self { task: Some(task), ..Self::default() }
    }

    /// The same, with these names only.
    #[must_use]
    pub fn named(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The same, after an index.
    #[must_use]
    pub const fn after(mut self, seq: u64) -> Self {
        self.after_seq = Some(seq);
        self
    }

    fn sql(&self, from: u64, rows: usize) -> (String, Vec<Value>) {
        let mut values = vec![Value::Integer(to_sql(from))];
        let mut sql = "SELECT seq, payload FROM event WHERE seq >= ?".to_owned();
        for (column, value) in [
            ("task", self.task.map(|id| id.to_string())),
            ("session", self.session.map(|id| id.to_string())),
        ] {
            if let Some(value) = value {
                sql.push_str(&format!(" AND {column} = ?"));
                values.push(Value::Text(value));
            }
        }
        if !self.names.is_empty() {
            let places = vec!["?"; self.names.len()].join(", ");
            sql.push_str(&format!(" AND name IN ({places})"));
            values.extend(self.names.iter().cloned().map(Value::Text));
        }
        sql.push_str(" ORDER BY seq LIMIT ?");
        values.push(Value::Integer(i64::try_from(rows).unwrap_or(i64::MAX)));
        (sql, values)
    }
}

/// The connections for reading, and what they found to be bad.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
    problems: Mutex<Problems>,
}

/// Some of the entries that a query asks for.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// Where to read on; nothing when there is no more.
    pub(crate) next: Option<u64>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, problems: Problems) -> Self {
        Self {
            path,
            idle: Mutex::default(),
            places: Semaphore::new(READERS),
            problems: Mutex::new(problems),
        }
    }

    pub(crate) fn problems(&self) -> Problems {
        hold(&self.problems).clone()
    }

    /// Runs work that blocks, on the blocking pool.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(move || work(&readers)).await.map_err(|_| StoreError::Closed)?
    }

    /// Lends a connection.
    pub(crate) fn with<T, E: Into<ReadError>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let idle = hold(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().map_err(StoreError::database("open"))?,
        };
        let done = read(&connection).map_err(|error| error.into().0);
        let mut idle = hold(&self.idle);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        done
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(connection)
    }

    /// Reads some of the entries that a query asks for, from an index on. Entries that cannot be
    /// read are left out and noted.
    pub(crate) fn page(
        &self,
        connection: &Connection,
        query: &Query,
        from: u64,
        rows: usize,
    ) -> rusqlite::Result<Page> {
        let (sql, values) = query.sql(from, rows);
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        let mut page = Page::default();
        let mut count = 0;
        while let Some(row) = found.next()? {
            let seq = from_sql(row.get(0)?);
            count += 1;
            page.next = Some(seq + 1);
            match entry_of(seq, row.get_ref(1)?.as_bytes()?) {
                Ok(entry) => page.entries.push(entry),
                Err(reason) => self.note(seq, &reason),
            }
        }
        if count < rows {
            page.next = None;
        }
        Ok(page)
    }

    fn note(&self, seq: u64, reason: &str) {
        hold(&self.problems).entry(seq).or_insert_with(|| {
            tracing::warn!(seq, reason, "an event cannot be read");
            Problem { seq, reason: format!("the event cannot be read: {reason}") }
        });
    }

    /// Reads all entries that a query asks for.
    pub(crate) fn entries(
        &self,
        connection: &Connection,
        query: &Query,
    ) -> rusqlite::Result<Vec<Entry>> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut next = Some(query.after_seq.map_or(0, |seq| seq.saturating_add(1)));
        while let Some(from) = next {
            let rows = PAGE.min(limit - entries.len());
            if rows == 0 {
                break;
            }
            let page = self.page(connection, query, from, rows)?;
            entries.extend(page.entries);
            next = page.next;
        }
        Ok(entries)
    }
}

/// Whatever reading failed with, as an error of the store.
pub(crate) struct ReadError(StoreError);

impl From<rusqlite::Error> for ReadError {
    fn from(source: rusqlite::Error) -> Self {
        Self(StoreError::Database { action: "read from", source })
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl Store {
    /// Reads entries, in order. Entries that cannot be read are left out and reported by
    /// [`problems`](Self::problems).
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn entries(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        self.read(move |readers, connection| readers.entries(connection, &query)).await
    }

    /// Reads one entry; nothing when there is none or it cannot be read.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        let page = self
            .read(move |readers, connection| readers.page(connection, &Query::default(), seq, 1))
            .await?;
        Ok(page.entries.into_iter().find(|entry| entry.seq == seq))
    }

    /// Reads a blob and holds it against its name.
    ///
    /// # Errors
    /// It is missing, damaged or not readable.
    pub async fn blob(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.inner.ledger.blob_path(digest);
        self.inner
            .readers
            .run(move |_| {
                let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
                    std::io::ErrorKind::NotFound => StoreError::BlobMissing { digest },
                    _ => StoreError::Io { action: "read", path, source },
                })?;
                if Digest::of(&bytes) == digest {
                    Ok(bytes)
                } else {
                    Err(StoreError::BlobDamaged { digest })
                }
            })
            .await
    }

    /// Gives the same payload with its bytes at hand.
    ///
    /// # Errors
    /// They are in a blob, and that is missing, damaged or not readable.
    pub async fn resolve(&self, payload: &Payload) -> Result<Payload, StoreError> {
        match payload.blob() {
            Some(digest) if payload.bytes().is_none() => {
                let bytes = self.blob(digest).await?;
                payload.with_bytes(bytes).ok_or(StoreError::BlobDamaged { digest })
            }
            _ => Ok(payload.clone()),
        }
    }

    /// The permitted actions of a task of which nobody recorded what came of them, the oldest
    /// first: they may have been done or not.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn dangling(&self, task: TaskId) -> Result<Vec<Decided>, StoreError> {
        self.read(move |readers, connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, payload FROM event AS decided
                 WHERE task = ?1 AND verdict = 'permit' AND NOT EXISTS (
                     SELECT 1 FROM event AS finished
                     WHERE finished.action = decided.action AND finished.name = 'finished')
                 ORDER BY seq",
            )?;
            let mut rows = statement.query([task.to_string()])?;
            let mut dangling = Vec::new();
            while let Some(row) = rows.next()? {
                let seq = from_sql(row.get(0)?);
                match entry_of(seq, row.get_ref(1)?.as_bytes()?) {
                    Ok(Entry { event: Event::Decided(decided), .. }) => dangling.push(*decided),
                    Ok(_) => {}
                    Err(reason) => readers.note(seq, &reason),
                }
            }
            Ok(dangling)
        })
        .await
    }

    /// Reads from the database on the blocking pool.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Readers, &Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner
            .readers
            .run(move |readers| readers.with(|connection| read(readers, connection)))
            .await
    }
}
