//! What is done at the start: the tree is rebuilt from the leaves, every row is held against its
//! leaf, and database and signed ledger are brought into agreement.
//!
//! What can be taken back from the ledger's files is taken back. A row that was damaged before it
//! was published has no such copy: a mark takes its place in the log, and what was found is kept in
//! the table `quarantine`. Nothing that a checkpoint covers is ever replaced by a mark.

use bailiwick_ledger::{Hash, Record, Salt, Tree, TreeHead};
use bailiwick_model::Timestamp;
use bailiwick_model::event::Entry;
use bailiwick_model::payload::Digest;
use rusqlite::{Connection, Row, Rows, TransactionBehavior, params};

use crate::error::StoreError;
use crate::ledger_files::LedgerFiles;
use crate::people::DAMAGED;
use crate::row::{Columns, entry_of, from_sql, insert, insert_leaf, to_sql};
use crate::store::Problems;

/// An event that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its index.
    pub seq: u64,
    /// What is wrong with it, in a sentence for the operator.
    pub reason: String,
}

/// The state of a log that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) tree: Tree,
    pub(crate) last_at: Timestamp,
    pub(crate) problems: Problems,
}

/// What has to be written into the database after the check.
enum Mend {
    /// The record as the signed ledger has it.
    Restore(u64, Record),
    /// The leaf as the record gives it.
    Leaf(u64, Hash),
    /// A mark in place of a damaged row, of which this is left.
    Mark(u64, Record, Option<Found>),
}

/// A row of the log as it was found.
struct Found {
    salt: Vec<u8>,
    payload: Vec<u8>,
    /// What the columns say that no leaf commits to; none where one is not what it should be.
    columns: Option<Said>,
}

/// The searchable columns of a row.
#[derive(PartialEq, Eq)]
struct Said {
    name: String,
    task: Option<String>,
    session: Option<String>,
    action: Option<String>,
    verdict: Option<String>,
    reserved: Option<i64>,
    cost: Option<i64>,
}

impl Said {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(3)?,
            task: row.get(4)?,
            session: row.get(5)?,
            action: row.get(6)?,
            verdict: row.get(7)?,
            reserved: row.get(8)?,
            cost: row.get(9)?,
        })
    }

    fn of(columns: &Columns) -> Self {
        Self {
            name: columns.name.to_owned(),
            task: columns.task.clone(),
            session: columns.session.clone(),
            action: columns.action.clone(),
            verdict: columns.verdict.map(str::to_owned),
            reserved: columns.reserved,
            cost: columns.cost,
        }
    }
}

impl Found {
    fn record(&self) -> Option<Record> {
        let salt = <[u8; 16]>::try_from(self.salt.as_slice()).ok()?;
        Some(Record { salt: Salt::from_bytes(salt), payload: self.payload.clone() })
    }
}

/// Checks the log and mends it where that is possible without contradicting a checkpoint.
pub(crate) fn check(
    connection: &mut Connection,
    ledger: &LedgerFiles,
) -> Result<Checked, StoreError> {
    let reading = StoreError::database("check");
    let published = ledger.published()?;
    let mut check = Check {
        ledger,
        published,
        tree: Tree::new(),
        last_at: Timestamp::UNIX_EPOCH,
        problems: Problems::new(),
        mends: Vec::new(),
    };
    let count = count(connection).map_err(&reading)?;
    {
        let mut events = connection
            .prepare(
                "SELECT seq, salt, payload, name, task, session, action, verdict, reserved, cost
                 FROM event ORDER BY seq",
            )
            .map_err(&reading)?;
        let mut leaves =
            connection.prepare("SELECT seq, hash FROM leaf ORDER BY seq").map_err(&reading)?;
        let mut events = Stream::new(events.query([]).map_err(&reading)?, |row| {
            let salt = row.get_ref(1)?.as_bytes()?.to_vec();
            let payload = row.get_ref(2)?.as_bytes()?.to_vec();
            Ok(Found { salt, payload, columns: Said::read(row).ok() })
        });
        let mut leaves = Stream::new(leaves.query([]).map_err(&reading)?, |row| {
            let hash = <[u8; 32]>::try_from(row.get_ref(1)?.as_bytes()?);
            Ok(hash.ok().map(Hash::from_bytes))
        });
        check.compare_root()?;
        for seq in 0..count.max(published.size) {
            let found = events.take(seq).map_err(&reading)?;
            let leaf = leaves.take(seq).map_err(&reading)?.flatten();
            check.entry(seq, found, leaf)?;
            check.compare_root()?;
        }
    }
    let Check { tree, last_at, problems, mends, .. } = check;
    write(connection, &mends, &problems).map_err(StoreError::database("mend"))?;
    Ok(Checked { tree, last_at, problems })
}

struct Check<'a> {
    ledger: &'a LedgerFiles,
    published: TreeHead,
    tree: Tree,
    last_at: Timestamp,
    problems: Problems,
    mends: Vec<Mend>,
}

impl Check<'_> {
    fn entry(
        &mut self,
        seq: u64,
        found: Option<Found>,
        leaf: Option<Hash>,
    ) -> Result<(), StoreError> {
        let record = found.as_ref().and_then(Found::record);
        let computed = record.as_ref().map(|record| record.leaf().hash());
        if let (Some(record), Some(computed)) = (&record, computed)
            && leaf == Some(computed)
        {
            self.tree.push(computed);
            let entry = self.read(seq, &record.payload);
            // No leaf commits to the columns, and what is asked of the log is asked by them.
            let right = entry.map(|entry| Said::of(&Columns::of(&entry.event)));
            let said = found.as_ref().and_then(|found| found.columns.as_ref());
            if right.is_some() && right.as_ref() != said {
                tracing::warn!(seq, "the columns of an event were not what it says");
                self.mends.push(Mend::Restore(seq, record.clone()));
            }
            return Ok(());
        }
        if seq >= self.published.size {
            return self.mark(seq, found);
        }
        let copy = self.ledger.record(seq);
        let copied = copy.as_ref().map(|record| record.leaf().hash());
        match (copy, copied) {
            (Some(copy), Some(hash)) if leaf.is_none_or(|leaf| leaf == hash) => {
                self.tree.push(hash);
                let _known = self.read(seq, &copy.payload);
                tracing::warn!(seq, "an event was taken back from the ledger's files");
                self.mends.push(Mend::Restore(seq, copy));
            }
            (_, Some(hash)) if computed == Some(hash) => {
                self.tree.push(hash);
                self.mends.push(Mend::Leaf(seq, hash));
                if let Some(record) = &record {
                    let _known = self.read(seq, &record.payload);
                }
            }
            _ => {
                self.tree.push(leaf.or(computed).ok_or(StoreError::Lost { seq })?);
                self.problem(seq, "the row was damaged, and so is its copy in the ledger's files");
            }
        }
        Ok(())
    }

    /// Reads the entry, to know whether that is possible and when it was.
    fn read(&mut self, seq: u64, payload: &[u8]) -> Option<Entry> {
        match entry_of(seq, payload) {
            Ok(entry) => {
                self.last_at = self.last_at.max(entry.at);
                Some(entry)
            }
            Err(reason) => {
                self.problem(seq, &format!("the event cannot be read: {reason}"));
                None
            }
        }
    }

    fn problem(&mut self, seq: u64, reason: &str) {
        self.problems.insert(seq, Problem { seq, reason: reason.to_owned() });
    }

    /// Puts a mark in the place of a row that no checkpoint covers yet.
    fn mark(&mut self, seq: u64, found: Option<Found>) -> Result<(), StoreError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|source| StoreError::Random { source })?;
        let what = found.as_ref().map_or_else(
            || "null".to_owned(),
            |found| format!("\"{}\"", Digest::of(&found.payload)),
        );
        let payload = format!(r#"{{"seq":{seq},"at":"{}","damaged":{what}}}"#, self.last_at);
        let record = Record { salt: Salt::from_bytes(salt), payload: payload.into_bytes() };
        self.tree.push(record.leaf().hash());
        self.problem(seq, "the row was damaged before it was published; a mark took its place");
        self.mends.push(Mend::Mark(seq, record, found));
        Ok(())
    }

    /// Where the checkpoint ends, the leaves must add up to its root.
    fn compare_root(&self) -> Result<(), StoreError> {
        if self.tree.size() == self.published.size && self.tree.root() != self.published.root {
            let (dir, size) = (self.ledger.dir().to_owned(), self.published.size);
            return Err(StoreError::Diverged { dir, size });
        }
        Ok(())
    }
}

/// One more than the highest index in use.
fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT max(ifnull((SELECT max(seq) FROM event), -1), ifnull((SELECT max(seq) FROM leaf), -1)) + 1",
        [],
        |row| row.get(0).map(from_sql),
    )
}

fn write(connection: &mut Connection, mends: &[Mend], problems: &Problems) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = Timestamp::now();
    for mend in mends {
        match mend {
            Mend::Restore(seq, record) => {
                let entry = entry_of(*seq, &record.payload).ok();
                let at = entry.as_ref().map_or(now, |entry| entry.at);
                let columns = entry.map(|entry| Columns::of(&entry.event)).unwrap_or_default();
                insert(&transaction, *seq, at, record, &columns)?;
            }
            Mend::Leaf(seq, hash) => insert_leaf(&transaction, *seq, *hash)?,
            Mend::Mark(seq, record, found) => {
                let columns = Columns { name: DAMAGED, ..Columns::default() };
                insert(&transaction, *seq, now, record, &columns)?;
                transaction.execute(
                    "INSERT OR REPLACE INTO quarantine (seq, found_at, reason, salt, payload, name)
                     VALUES (?1, ?2, '', ?3, ?4, ?5)",
                    params![
                        to_sql(*seq),
                        now.to_string(),
                        found.as_ref().map(|found| &found.salt),
                        found.as_ref().map(|found| &found.payload),
                        found.as_ref().and_then(|found| Some(&found.columns.as_ref()?.name)),
                    ],
                )?;
            }
        }
    }
    forget_solved(&transaction, problems)?;
    for problem in problems.values() {
        quarantine(&transaction, problem)?;
    }
    transaction.commit()
}

/// Takes events out of the quarantine that can be read by now, as after an update of the program.
fn forget_solved(connection: &Connection, problems: &Problems) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT seq FROM quarantine")?;
    let known = statement.query_map([], |row| row.get(0).map(from_sql))?;
    for seq in known.collect::<rusqlite::Result<Vec<u64>>>()? {
        if !problems.contains_key(&seq) {
            connection.execute("DELETE FROM quarantine WHERE seq = ?1", [to_sql(seq)])?;
        }
    }
    Ok(())
}

/// Notes a problem; what was kept of the event before stays.
fn quarantine(connection: &Connection, problem: &Problem) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO quarantine (seq, found_at, reason) VALUES (?1, ?2, ?3)
             ON CONFLICT (seq) DO UPDATE SET reason = excluded.reason",
            params![to_sql(problem.seq), Timestamp::now().to_string(), problem.reason],
        )
        .map(|_| ())
}

/// Rows in the order of their index, some of which may be missing.
struct Stream<'a, T> {
    rows: Rows<'a>,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    /// The next row, which was not asked for yet.
    ahead: Option<(u64, T)>,
}

impl<'a, T> Stream<'a, T> {
    const fn new(rows: Rows<'a>, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> Self {
        Self { rows, read, ahead: None }
    }

    fn take(&mut self, seq: u64) -> rusqlite::Result<Option<T>> {
        if self.ahead.is_none()
            && let Some(row) = self.rows.next()?
        {
            self.ahead = Some((from_sql(row.get(0)?), (self.read)(row)?));
        }
        Ok(self.ahead.take_if(|(ahead, _)| *ahead == seq).map(|(_, row)| row))
    }
}
