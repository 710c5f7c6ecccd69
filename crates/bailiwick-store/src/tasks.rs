//! Lists of tasks.

use bailiwick_model::Timestamp;
use bailiwick_model::event::{Entry, Event, Fact, Stage, TaskEnd};
use bailiwick_model::id::TaskId;
use bailiwick_model::task::{MicroUsd, Task};
use bailiwick_model::workflow::TaskState;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::StoreError;
use crate::read::Query;
use crate::row::{entry_of, from_sql, to_sql};
use crate::store::Store;

/// A task in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSummary {
    /// The index of the entry that submitted it.
    pub seq: u64,
    /// The task.
    pub task: Task,
    /// The stage that began last.
    pub stage: Option<Stage>,
    /// How it ended, if it did and was not taken up again.
    pub end: Option<TaskEnd>,
    /// When something last happened.
    pub updated_at: Timestamp,
    /// What it cost so far.
    pub spent: MicroUsd,
}

/// Some of the tasks, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<TaskSummary>,
    /// The cursor of the next page; nothing when this is the last.
    pub next: Option<u64>,
}

impl Store {
    /// What is known of a task, from all its entries; nothing for a task that is not known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        self.read(move |readers, connection| {
            let entries = readers.entries(connection, &Query::task(task))?;
            Ok(TaskState::fold(&entries))
        })
        .await
    }

    /// Lists tasks, the newest first: those before `cursor`, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tasks(&self, cursor: Option<u64>, limit: usize) -> Result<TaskPage, StoreError> {
        let budgets = std::sync::Arc::clone(&self.inner.budgets);
        self.read(move |_, connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, payload FROM event WHERE name = 'task_submitted' AND seq < ?1
                 ORDER BY seq DESC LIMIT ?2",
            )?;
            let before = cursor.map_or(i64::MAX, to_sql);
            let rows_asked = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![before, rows_asked])?;
            let mut page = TaskPage { tasks: Vec::new(), next: None };
            let mut count = 0;
            while let Some(row) = rows.next()? {
                let seq = from_sql(row.get(0)?);
                count += 1;
                page.next = Some(seq);
                let Ok(entry) = entry_of(seq, row.get_ref(1)?.as_bytes()?) else { continue };
                if let Some(task) = submitted(entry.event) {
                    let spent = budgets.spent(task.id);
                    page.tasks.push(summary(connection, seq, task, entry.at, spent)?);
                }
            }
            if count < limit {
                page.next = None;
            }
            Ok(page)
        })
        .await
    }

    /// The tasks that did not end, or were taken up again after it; the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn open_tasks(&self) -> Result<Vec<TaskId>, StoreError> {
        self.read(|_, connection| {
            let mut statement = connection.prepare_cached(
                "SELECT task FROM event AS submitted WHERE name = 'task_submitted'
                 AND ifnull((SELECT max(seq) FROM event WHERE task = submitted.task AND name = 'task_ended'), -1)
                  <= ifnull((SELECT max(seq) FROM event WHERE task = submitted.task AND name = 'task_retried'), -1)
                 ORDER BY seq",
            )?;
            let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
            let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
        })
        .await
    }

    /// Finds tasks by their id or by its last characters, as people type it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn find_tasks(&self, ending: &str) -> Result<Vec<TaskId>, StoreError> {
        let ending = ending.to_ascii_lowercase();
        self.read(move |_, connection| {
            let mut statement = connection.prepare_cached(
                "SELECT task FROM event WHERE name = 'task_submitted' AND task IS NOT NULL
                 AND substr(task, -length(?1)) = ?1 ORDER BY seq",
            )?;
            let ids = statement.query_map([ending], |row| row.get::<_, String>(0))?;
            let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
        })
        .await
    }
}

fn submitted(event: Event) -> Option<Task> {
    match event {
        Event::Fact(fact) => match *fact {
            Fact::TaskSubmitted { task } => Some(task),
            _ => None,
        },
        Event::Decided(_) | Event::Finished(_) => None,
    }
}

fn summary(
    connection: &Connection,
    seq: u64,
    task: Task,
    submitted_at: Timestamp,
    spent: MicroUsd,
) -> rusqlite::Result<TaskSummary> {
    let mut summary =
        TaskSummary { seq, task, stage: None, end: None, updated_at: submitted_at, spent };
    let id = summary.task.id;
    if let Some(entry) = last(connection, id, "'stage_started'")?
        && let Event::Fact(fact) = &entry.event
        && let Fact::StageStarted { stage, .. } = fact.as_ref()
    {
        summary.stage = Some(*stage);
    }
    if let Some(entry) = last(connection, id, "'task_ended', 'task_retried'")?
        && let Event::Fact(fact) = &entry.event
        && let Fact::TaskEnded { end, .. } = fact.as_ref()
    {
        summary.end = Some(*end);
    }
    let updated_at: Option<String> = connection
        .prepare_cached("SELECT at FROM event WHERE task = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?;
    if let Some(at) = updated_at.and_then(|text| text.parse().ok()) {
        summary.updated_at = at;
    }
    Ok(summary)
}

/// The last entry of a task with one of these names.
fn last(connection: &Connection, task: TaskId, names: &str) -> rusqlite::Result<Option<Entry>> {
    let sql = format!(
        "SELECT seq, payload FROM event WHERE task = ?1 AND name IN ({names}) ORDER BY seq DESC LIMIT 1"
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([task.to_string()], |row| {
            Ok((from_sql(row.get(0)?), row.get_ref(1)?.as_bytes()?.to_vec()))
        })
        .optional()?;
    Ok(found.and_then(|(seq, payload)| entry_of(seq, &payload).ok()))
}
