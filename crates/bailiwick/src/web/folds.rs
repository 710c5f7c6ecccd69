//! Timelines that were folded already, so that a page of a long task reads only what came since.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_engine::{Engine, EngineError};
use bailiwick_model::id::TaskId;
use bailiwick_store::Query;

use super::trace::Trace;

/// How many are kept, those that were looked at last.
const KEPT: usize = 16;

type Fold = (TaskId, Arc<Trace>);

/// The timelines of the tasks that were looked at last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folds {
    kept: Arc<Mutex<VecDeque<Fold>>>,
}

impl Folds {
    /// The timeline of a task as it is now.
    pub(crate) async fn of(&self, engine: &Engine, id: TaskId) -> Result<Arc<Trace>, EngineError> {
        let mut trace = self.known(id).unwrap_or_default();
        let query = Query { after_seq: trace.last_seq(), ..Query::task(id) };
        let entries = engine.parts().store.entries(query).await?;
        if !entries.is_empty() {
            let trace = Arc::make_mut(&mut trace);
            for entry in &entries {
                trace.apply(entry);
            }
        }
        self.keep(id, &trace);
        Ok(trace)
    }

    fn known(&self, id: TaskId) -> Option<Arc<Trace>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == id).map(|(_, trace)| Arc::clone(trace))
    }

    fn keep(&self, id: TaskId, trace: &Arc<Trace>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest = Arc::clone(trace);
        if let Some(at) = kept.iter().position(|(of, _)| *of == id)
            && let Some((_, other)) = kept.remove(at)
            // Somebody else looked at the same time, and a little later.
            && other.last_seq() > newest.last_seq()
        {
            newest = other;
        }
        kept.push_front((id, newest));
        kept.truncate(KEPT);
    }
}
