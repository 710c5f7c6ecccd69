//! The engine itself: its parts, the folded states, and the wake-up of waiting tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_model::event::{Entry, Fact, Stage, StageEnd};
use bailiwick_model::id::{SessionId, SubtaskKey, TaskId};
use bailiwick_model::workflow::{SubtaskState, TaskState};
use bailiwick_store::Query;
use tokio::sync::{Notify, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::EngineError;
use crate::parts::{Parts, Settings};

/// The seven stages over one store, one warden, one forge.
///
/// Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    settings: Settings,
    states: Mutex<HashMap<TaskId, TaskState>>,
    driven: Mutex<BTreeSet<TaskId>>,
    cancels: Mutex<HashMap<TaskId, CancellationToken>>,
    changed: Notify,
    freed: Notify,
    /// Held for reading while a person acts on a task beside whoever drives it.
    people: RwLock<()>,
    /// Held from looking at what people said to recording what is said to it.
    words: tokio::sync::Mutex<()>,
    /// Held from the last look at a base branch to the merge into it.
    merging: tokio::sync::Mutex<()>,
    slots: Semaphore,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let slots = Semaphore::new(settings.running_tasks.max(1));
        Self {
            inner: Arc::new(Inner {
                parts,
                settings,
                states: Mutex::default(),
                driven: Mutex::default(),
                cancels: Mutex::default(),
                changed: Notify::new(),
                freed: Notify::new(),
                people: RwLock::new(()),
                words: tokio::sync::Mutex::new(()),
                merging: tokio::sync::Mutex::new(()),
                slots,
            }),
        }
    }

    /// One merge at a time, so that no base moves between the last look at it and the merge.
    pub(crate) async fn merging(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.merging.lock().await
    }

    /// The parts.
    pub fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The state of a task, folded up to the newest event.
    pub async fn state(&self, id: TaskId) -> Result<TaskState, EngineError> {
        // INVARIANT: the lock is not held across an await. The steps of a task share one future,
        // and one of them that waits to be polled again must not keep the others from the states.
        let known = locked(&self.inner.states).get(&id).map(|state| state.last_seq);
        let query = Query { task: Some(id), after_seq: known, ..Query::default() };
        let entries = self.parts().store.entries(query).await?;
        let mut states = locked(&self.inner.states);
        if let Some(state) = states.get_mut(&id) {
            // Entries that somebody else has folded in meanwhile change nothing.
            entries.iter().for_each(|entry| state.apply(entry));
            return Ok(state.clone());
        }
        let state = TaskState::fold(&entries).ok_or(EngineError::NoTask { id })?;
        states.insert(id, state.clone());
        Ok(state)
    }

    pub(crate) async fn subtask(
        &self,
        id: TaskId,
        key: &SubtaskKey,
    ) -> Result<(TaskState, SubtaskState), EngineError> {
        let state = self.state(id).await?;
        let subtask = state.subtasks.get(key).cloned().ok_or(EngineError::NoTask { id })?;
        Ok((state, subtask))
    }

    /// Records facts, durable when it returns, and wakes whoever waits.
    pub(crate) async fn record(&self, facts: Vec<Fact>) -> Result<(), EngineError> {
        if !facts.is_empty() {
            self.parts().warden.record(facts).await?;
            self.inner.changed.notify_waiters();
        }
        Ok(())
    }

    /// Waits until something was recorded through this engine.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.inner.changed.notified()
    }

    /// Waits until somebody who drove a task is done with it. Not the same as [`Self::changed`]:
    /// whoever drives in vain would wake themselves, again and again.
    pub(crate) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.inner.freed.notified()
    }

    /// The entries of one agent run, with the bytes of their payloads at hand.
    pub(crate) async fn history(&self, session: SessionId) -> Result<Vec<Entry>, EngineError> {
        let query = Query { session: Some(session), ..Query::default() };
        let store = &self.parts().store;
        let mut entries = store.entries(query).await?;
        for entry in &mut entries {
            for payload in entry.event.payloads_mut() {
                *payload = store.resolve(payload).await?;
            }
        }
        Ok(entries)
    }

    pub(crate) fn new_session() -> SessionId {
        SessionId::new(Uuid::now_v7())
    }

    /// The facts that enter a stage, none when a subtask is in it already.
    pub(crate) fn enter(task: TaskId, subtask: Option<&SubtaskState>, stage: Stage) -> Vec<Fact> {
        if subtask.is_some_and(|state| state.is_in(stage)) {
            return Vec::new();
        }
        let subtask = subtask.map(|state| state.subtask.key.clone());
        vec![Fact::StageStarted { task, subtask, stage }]
    }

    /// The facts that leave a stage, none when the subtask is not in it.
    pub(crate) fn leave(
        task: TaskId,
        subtask: &SubtaskState,
        stage: Stage,
        ok: StageEnd,
    ) -> Vec<Fact> {
        if !subtask.is_in(stage) {
            return Vec::new();
        }
        vec![Fact::StageEnded { task, subtask: Some(subtask.subtask.key.clone()), stage, ok }]
    }

    /// Waits until fewer tasks are worked on than may be. Waiting for a person takes no place.
    pub(crate) async fn take_place(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.inner.slots.acquire().await.ok()
    }

    /// Takes the exclusive right to drive a task in this process; none when somebody has it.
    pub(crate) fn take_driver(&self, id: TaskId) -> Option<Driver> {
        locked(&self.inner.driven).insert(id).then(|| Driver { engine: self.clone(), id })
    }

    /// Held while a person acts: what is under way is not what a crash left.
    pub(crate) async fn person_acts(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.people.read().await
    }

    /// Held from looking at what people said to recording what is said to it: of two answers at
    /// once, the second sees the first.
    pub(crate) async fn one_at_a_time(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.words.lock().await
    }

    /// Held while no person acts.
    pub(crate) async fn nobody_acts(&self) -> RwLockWriteGuard<'_, ()> {
        self.inner.people.write().await
    }

    /// The token that ends a task's work.
    pub(crate) fn cancel_token(&self, id: TaskId) -> CancellationToken {
        locked(&self.inner.cancels).entry(id).or_default().clone()
    }

    pub(crate) fn fire_cancel(&self, id: TaskId) {
        if let Some(token) = locked(&self.inner.cancels).remove(&id) {
            token.cancel();
        }
    }
}

/// The right to drive a task, given back when dropped.
pub(crate) struct Driver {
    engine: Engine,
    id: TaskId,
}

impl Drop for Driver {
    fn drop(&mut self) {
        locked(&self.engine.inner.driven).remove(&self.id);
        self.engine.inner.freed.notify_waiters();
    }
}
