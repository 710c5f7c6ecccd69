//! The one thread that writes: everything that waits goes into one transaction.

use std::thread::JoinHandle;

use bailiwick_ledger::{Tree, TreeHead};
use bailiwick_model::Timestamp;
use bailiwick_model::event::Entry;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

use crate::budget::Budgets;
use crate::error::StoreError;
use crate::fault::FaultPlan;
use crate::people::PeopleBook;
use crate::row::{Draft, insert};

/// How many appends may wait; who comes after waits to be let in.
const WAITING: usize = 1024;

/// How many events are committed in one transaction at most.
const GROUP_EVENTS: usize = 2048;

/// The handle to the writing thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: Option<mpsc::Sender<Append>>,
    thread: Option<JoinHandle<()>>,
}

/// Events to be appended together, and who waits for it.
#[derive(Debug)]
struct Append {
    drafts: Vec<Draft>,
    reply: oneshot::Sender<Result<u64, StoreError>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        tree: Tree,
        last_at: Timestamp,
        head: watch::Sender<TreeHead>,
        budgets: Arc<Budgets>,
        people: Arc<PeopleBook>,
        faults: FaultPlan,
    ) -> Result<Self, StoreError> {
        let (sender, waiting) = mpsc::channel(WAITING);
        let log = Log { connection, tree, last_at, head, budgets, people };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(log, waiting, &faults))
            .map_err(|source| StoreError::Io {
                action: "start the writing thread of",
                path: "store.sqlite".into(),
                source,
            })?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Appends events; waits until they are durable. Once it is let in, the events are appended
    /// even if the caller no longer waits.
    pub(crate) async fn append(&self, drafts: Vec<Draft>) -> Result<u64, StoreError> {
        let (reply, done) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        sender.send(Append { drafts, reply }).await.map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more; what waits is still committed.
        drop(self.sender.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writing thread panicked");
        }
    }
}

/// The log as its one writer has it.
struct Log {
    connection: Connection,
    tree: Tree,
    last_at: Timestamp,
    head: watch::Sender<TreeHead>,
    budgets: Arc<Budgets>,
    people: Arc<PeopleBook>,
}

fn run(mut log: Log, mut waiting: mpsc::Receiver<Append>, faults: &FaultPlan) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = Group::default();
        group.admit(first, faults);
        while group.events < GROUP_EVENTS && !group.closed {
            let Ok(next) = waiting.try_recv() else { break };
            group.admit(next, faults);
        }
        log.commit_group(group);
    }
}

/// Appends that are committed in one transaction.
#[derive(Default)]
struct Group {
    appends: Vec<Append>,
    events: usize,
    /// Whether nobody else may join, because a test wants something to happen here.
    closed: bool,
    #[cfg(feature = "test-support")]
    crash: Option<Crash>,
}

#[cfg(feature = "test-support")]
#[derive(Clone, Copy)]
enum Crash {
    /// Before the last append of the group, when those before it are committed.
    BeforeLast,
    /// When the group is committed and nobody knows yet.
    Committed,
    /// The same, and its last event reads as something else.
    Damaged,
}

impl Group {
    #[cfg(not(feature = "test-support"))]
    fn admit(&mut self, append: Append, _faults: &FaultPlan) {
        self.push(append);
    }

    #[cfg(feature = "test-support")]
    fn admit(&mut self, append: Append, faults: &FaultPlan) {
        use crate::fault::Injection;
        match faults.inject(u64::try_from(append.drafts.len()).unwrap_or(u64::MAX)) {
            Injection::Fail { number } => {
                return answer(append.reply, Err(StoreError::Injected { number }));
            }
            Injection::CrashBefore => self.crash = Some(Crash::BeforeLast),
            Injection::CrashAfter => self.crash = Some(Crash::Committed),
            Injection::DamageAfter => self.crash = Some(Crash::Damaged),
            Injection::Nothing => {}
        }
        self.closed = self.crash.is_some();
        let bytes = append.drafts.iter().map(Draft::bytes).sum();
        if let Err(source) = faults.take_room(bytes) {
            let error = StoreError::Io { action: "write", path: "store.sqlite".into(), source };
            return answer(append.reply, Err(error));
        }
        self.push(append);
    }

    fn push(&mut self, append: Append) {
        self.events += append.drafts.len();
        self.appends.push(append);
    }
}

impl Log {
    fn commit_group(&mut self, group: Group) {
        #[cfg(feature = "test-support")]
        let Some(group) = self.crash_before(group) else { return };
        if group.appends.is_empty() {
            return;
        }
        match self.commit(&group.appends) {
            Ok(firsts) => {
                #[cfg(feature = "test-support")]
                if let Some(crash) = group.crash {
                    self.crash_after(crash);
                }
                for (append, first) in group.appends.into_iter().zip(firsts) {
                    answer(append.reply, Ok(first));
                }
            }
            Err(source) if group.appends.len() == 1 => {
                let error = StoreError::Database { action: "write to", source };
                if let Some(append) = group.appends.into_iter().next() {
                    answer(append.reply, Err(error));
                }
            }
            // What one append cannot have must not take the others with it: each for itself.
            Err(_) => {
                for append in group.appends {
                    let done = self.commit(std::slice::from_ref(&append));
                    let done = done.map(|firsts| firsts.first().copied().unwrap_or_default());
                    let done = done.map_err(StoreError::database("write to"));
                    answer(append.reply, done);
                }
            }
        }
    }

    /// Commits appends in one transaction and gives the index of the first event of each. When it
    /// fails nothing has changed, in the database or here.
    fn commit(&mut self, appends: &[Append]) -> rusqlite::Result<Vec<u64>> {
        let mut tree = self.tree.clone();
        // INVARIANT: times never decrease, even when the clock is set back.
        let at = now().max(self.last_at);
        let mut firsts = Vec::with_capacity(appends.len());
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for append in appends {
            firsts.push(tree.size());
            for draft in &append.drafts {
                let seq = tree.size();
                let record = draft.record(seq, at);
                tree.push(insert(&transaction, seq, at, &record, &draft.columns)?);
            }
        }
        transaction.commit()?;
        let head = tree.head();
        self.tree = tree;
        self.last_at = at;
        for (append, first) in appends.iter().zip(&firsts) {
            for (seq, draft) in (*first..).zip(&append.drafts) {
                self.budgets.note(draft.money);
                if let Some(event) = &draft.people {
                    self.people.note(&Entry { seq, at, event: event.clone() });
                }
            }
        }
        self.head.send_replace(head);
        Ok(firsts)
    }

    #[cfg(feature = "test-support")]
    fn crash_after(&self, crash: Crash) {
        if matches!(crash, Crash::Damaged) {
            let damage = "UPDATE event SET payload = replace(payload, '\"', '!') \
                          WHERE seq = (SELECT max(seq) FROM event)";
            drop(self.connection.execute_batch(damage));
        }
        crate::fault::crash();
    }

    #[cfg(feature = "test-support")]
    fn crash_before(&mut self, mut group: Group) -> Option<Group> {
        if !matches!(group.crash, Some(Crash::BeforeLast)) {
            return Some(group);
        }
        group.appends.pop();
        group.crash = None;
        self.commit_group(group);
        crate::fault::crash();
        None
    }
}

/// The time, to the microsecond.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Answers who waits; it is no error when nobody does any more.
fn answer(reply: oneshot::Sender<Result<u64, StoreError>>, done: Result<u64, StoreError>) {
    drop(reply.send(done));
}
