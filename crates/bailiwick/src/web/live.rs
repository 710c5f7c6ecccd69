//! Live timelines: one fold and one rendering for each task, however many people watch it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use bailiwick_model::id::TaskId;
use bailiwick_model::workflow::TaskState;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::extract::{Path, Query};
use super::failure::Failure;
use super::task_page;
use super::trace::Trace;
use super::trace_view;
use super::visitor::Visitor;
use crate::api::Shared;
use crate::operations;

/// How many changes a viewer may be behind before they are sent to the page again.
const BEHIND: usize = 512;

/// One change of a timeline, as it goes over the wire.
#[derive(Debug, Clone)]
struct Change {
    /// The entry that caused it.
    seq: u64,
    /// JSON: the item's name on the page and its HTML, and the head of the page.
    data: Arc<str>,
}

/// The timelines that somebody watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveTraces {
    tasks: Arc<Mutex<HashMap<TaskId, broadcast::Sender<Change>>>>,
}

impl LiveTraces {
    /// The changes of a task from now on.
    fn watch(&self, shared: &Shared, id: TaskId) -> broadcast::Receiver<Change> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|_, sender| sender.receiver_count() > 0);
        if let Some(sender) = tasks.get(&id) {
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(BEHIND);
        tasks.insert(id, sender.clone());
        let (shared, stop) = (shared.clone(), shared.stop.clone());
        shared.background.clone().spawn(follow(shared, id, sender, stop));
        receiver
    }
}

/// Folds a task's entries as they come, and sends what changed, until nobody watches.
async fn follow(
    shared: Shared,
    id: TaskId,
    sender: broadcast::Sender<Change>,
    stop: CancellationToken,
) {
    let store = &shared.engine.parts().store;
    let Ok(known) = operations::events(&shared.engine, id, None, usize::MAX).await else { return };
    let mut trace = Trace::fold(&known);
    let mut state = TaskState::fold(&known);
    let mut entries = store.subscribe(bailiwick_store::Query {
        after_seq: trace.last_seq(),
        ..bailiwick_store::Query::task(id)
    });
    loop {
        let entry = tokio::select! {
            () = stop.cancelled() => return,
            entry = entries.next() => entry,
            () = tokio::time::sleep(std::time::Duration::from_secs(20)) => {
                if sender.receiver_count() == 0 { return }
                continue;
            }
        };
        let Ok(Some(entry)) = entry else { return };
        if let Some(state) = &mut state {
            state.apply(&entry);
        }
        let head = state.as_ref().map(|state| task_page::head(state).into_string());
        let item = match trace.apply(&entry).cloned() {
            Some(item) => {
                let html = trace_view::item(store, &item).await.into_string();
                Some((format!("e{}", item.seq), html))
            }
            None => None,
        };
        let (name, html) = item.unzip();
        let data = json!({"id": name, "html": html, "head": head}).to_string();
        // Nobody listening is no error: the next one who comes gets the page.
        if sender.send(Change { seq: entry.seq, data: data.into() }).is_err()
            && sender.receiver_count() == 0
        {
            return;
        }
    }
}

#[derive(Deserialize)]
pub(super) struct LiveParams {
    after: Option<u64>,
}

/// `GET /tasks/{task}/live?after=SEQ`: every change after an entry, then those to come. The id of
/// each event is its entry, so a browser that reconnects gets exactly what it missed.
pub(super) async fn live(
    State(shared): State<Shared>,
    _visitor: Visitor,
    Path(task): Path<String>,
    Query(params): Query<LiveParams>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = operations::find_task(&shared.engine, &task).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = last.or(params.after);
    // Watched first and read then: nothing falls between the two.
    let receiver = shared.live.watch(&shared, id);
    let missed = missed(&shared, id, after).await?;
    let from = missed.last().map(|change| change.seq).or(after);
    let begin = missed.into_iter().collect::<std::collections::VecDeque<_>>();
    let events =
        stream::unfold((begin, receiver, from), |(mut begin, mut receiver, from)| async move {
            if let Some(change) = begin.pop_front() {
                return Some((Ok::<_, Infallible>(sse(&change)), (begin, receiver, from)));
            }
            loop {
                match receiver.recv().await {
                    Ok(change) if from.is_some_and(|from| change.seq <= from) => {}
                    Ok(change) => return Some((Ok(sse(&change)), (begin, receiver, from))),
                    // Too far behind: the browser connects again and gets what it missed.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
                }
            }
        });
    let events = futures_util::StreamExt::take_until(events, shared.stop.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn sse(change: &Change) -> SseEvent {
    SseEvent::default().id(change.seq.to_string()).data(change.data.as_ref())
}

/// What a viewer missed, each item once in its newest form.
async fn missed(shared: &Shared, id: TaskId, after: Option<u64>) -> Result<Vec<Change>, Failure> {
    let entries = operations::events(&shared.engine, id, None, usize::MAX).await?;
    let state = TaskState::fold(&entries);
    let mut trace = Trace::default();
    let mut changed = std::collections::BTreeSet::new();
    for entry in &entries {
        let item = trace.apply(entry).map(|item| item.seq);
        if after.is_none_or(|after| entry.seq > after) {
            changed.extend(item);
        }
    }
    let Some(last) = trace.last_seq().filter(|last| after.is_none_or(|after| *last > after)) else {
        return Ok(Vec::new());
    };
    let head = state.as_ref().map(|state| task_page::head(state).into_string());
    let mut changes = Vec::new();
    for item in trace.items().iter().filter(|item| changed.contains(&item.seq)) {
        let html = trace_view::item(&shared.engine.parts().store, item).await.into_string();
        let data = json!({"id": format!("e{}", item.seq), "html": html, "head": head});
        changes.push(Change { seq: last, data: data.to_string().into() });
    }
    Ok(changes)
}
