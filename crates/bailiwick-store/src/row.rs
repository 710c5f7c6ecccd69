//! Between an event and its row: the bytes that the leaf commits to, and the searchable columns.

use bailiwick_ledger::{Hash, MAX_PAYLOAD_BYTES, Record, Salt};
use bailiwick_model::Timestamp;
use bailiwick_model::action::Action;
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::id::{ActionId, TaskId};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::task::MicroUsd;
use bailiwick_model::verdict::Verdict;
use rusqlite::{Connection, params};

use crate::error::StoreError;

/// What the columns of a row say, taken from its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) name: &'static str,
    pub(crate) task: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) verdict: Option<&'static str>,
    pub(crate) reserved: Option<i64>,
    pub(crate) cost: Option<i64>,
}

/// What an event means for the budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Money {
    /// A task with this budget.
    Granted(TaskId, MicroUsd),
    /// An action is over and cost this much; nothing when all that was set aside counts.
    Spent(ActionId, Option<MicroUsd>),
    /// Nothing.
    Nothing,
}

impl Columns {
    pub(crate) fn of(event: &Event) -> Self {
        let mut columns = Self {
            name: event.name(),
            task: event.task().map(|id| id.to_string()),
            session: event.session().map(|id| id.to_string()),
            ..Self::default()
        };
        match event {
            Event::Decided(decided) => {
                columns.action = Some(decided.id.to_string());
                columns.verdict = Some(match &decided.decision {
                    Verdict::Permit { .. } => "permit",
                    Verdict::Deny(_) => "deny",
                    Verdict::NeedsApproval { .. } => "needs_approval",
                });
                if let (Verdict::Permit { .. }, Action::ModelCall(call)) =
                    (&decided.decision, &decided.action)
                {
                    columns.reserved = Some(to_sql(call.estimate.0));
                }
            }
            Event::Finished(finished) => {
                columns.action = Some(finished.id.to_string());
                columns.cost = cost_of(&finished.result).map(|cost| to_sql(cost.0));
            }
            Event::Fact(_) => {}
        }
        columns
    }
}

impl Money {
    pub(crate) fn of(event: &Event) -> Self {
        match event {
            Event::Fact(fact) => match fact.as_ref() {
                Fact::TaskSubmitted { task } => Self::Granted(task.id, task.budget),
                _ => Self::Nothing,
            },
            Event::Finished(finished) => Self::Spent(finished.id, cost_of(&finished.result)),
            Event::Decided(decided) => match (&decided.action, &decided.decision) {
                (Action::TaskRaise(raise), Verdict::Permit { .. }) => raise
                    .budget
                    .map_or(Self::Nothing, |budget| Self::Granted(raise.task, budget.to)),
                _ => Self::Nothing,
            },
        }
    }
}

/// What an action cost; nothing when it may have been billed and nobody knows how much.
fn cost_of(outcome: &Outcome) -> Option<MicroUsd> {
    match outcome {
        Outcome::Failed { possibly_done: true, .. } => None,
        other => Some(other.cost().unwrap_or(MicroUsd(0))),
    }
}

/// An event on its way into the log, all but its place there.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) columns: Columns,
    pub(crate) money: Money,
    /// The event, when it is about what people said.
    pub(crate) people: Option<Event>,
    salt: Salt,
    json: String,
}

impl Draft {
    /// Room for what stands around the event in a payload: index and time.
    const AROUND_BYTES: usize = 96;

    /// Writes an event as JSON and draws its salt.
    pub(crate) fn of(event: &Event) -> Result<Self, StoreError> {
        let json = serde_json::to_string(event).map_err(|source| StoreError::Json { source })?;
        let max = MAX_PAYLOAD_BYTES - Self::AROUND_BYTES;
        if json.len() > max {
            return Err(StoreError::TooLong { bytes: json.len(), max });
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|source| StoreError::Random { source })?;
        Ok(Self {
            columns: Columns::of(event),
            money: Money::of(event),
            people: crate::people::concerns(event).then(|| event.clone()),
            salt: Salt::from_bytes(salt),
            json,
        })
    }

    /// The length of the event's JSON in bytes.
    #[cfg_attr(
        not(feature = "test-support"),
        expect(dead_code, reason = "a simulated disk counts")
    )]
    pub(crate) const fn bytes(&self) -> usize {
        self.json.len()
    }

    /// The ledger record of the event at its place: an [`Entry`] as JSON.
    pub(crate) fn record(&self, seq: u64, at: Timestamp) -> Record {
        let payload = format!(r#"{{"seq":{seq},"at":"{at}","event":{}}}"#, self.json);
        Record { salt: self.salt, payload: payload.into_bytes() }
    }
}

/// Reads an entry from a payload; the reason when that is not possible.
pub(crate) fn entry_of(seq: u64, payload: &[u8]) -> Result<Entry, String> {
    let entry: Entry = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    if entry.seq == seq {
        Ok(entry)
    } else {
        Err(format!("it says of itself that it is entry {}", entry.seq))
    }
}

/// Writes an event's row and its leaf; replaces what is there.
pub(crate) fn insert(
    connection: &Connection,
    seq: u64,
    at: Timestamp,
    record: &Record,
    columns: &Columns,
) -> rusqlite::Result<Hash> {
    let hash = record.leaf().hash();
    let payload = std::str::from_utf8(&record.payload)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO event
             (seq, salt, payload, at, name, task, session, action, verdict, reserved, cost)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            to_sql(seq),
            record.salt.as_bytes(),
            payload,
            at.to_string(),
            columns.name,
            columns.task,
            columns.session,
            columns.action,
            columns.verdict,
            columns.reserved,
            columns.cost,
        ])?;
    insert_leaf(connection, seq, hash)?;
    Ok(hash)
}

/// Writes a leaf; replaces what is there.
pub(crate) fn insert_leaf(connection: &Connection, seq: u64, hash: Hash) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO leaf (seq, hash) VALUES (?1, ?2)")?
        .execute(params![to_sql(seq), hash.as_bytes()])
        .map(|_| ())
}

/// A number as `SQLite` keeps it; what is too large becomes the largest.
pub(crate) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as `SQLite` kept it; what is negative becomes 0.
pub(crate) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
