//! The events of a task: a JSON page, or live as server-sent events.

use std::convert::Infallible;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bailiwick_model::id::Person;
use bailiwick_model::identity::Caller;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use crate::{operations, readable};

#[derive(Deserialize)]
pub(super) struct EventsParams {
    /// Only entries after this one.
    after: Option<u64>,
    limit: Option<usize>,
}

/// `Accept: text/event-stream` gives each entry as an event named by its kind, with its index as
/// the id, so that a client that reconnects sends `Last-Event-ID` and misses nothing.
pub(super) async fn events(
    State(shared): State<Shared>,
    Path(task): Path<String>,
    Query(params): Query<EventsParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = operations::find_task(&shared.engine, &task).await?;
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let live = text(header::ACCEPT).is_some_and(|accept| accept.contains("text/event-stream"));
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = last.or(params.after);
    if !live {
        let limit = params.limit.unwrap_or(200).min(2_000);
        return Ok(
            Json(operations::events(&shared.engine, id, after, limit).await?).into_response()
        );
    }
    let query = bailiwick_store::Query { task: Some(id), after_seq: after, ..Default::default() };
    Ok(live_stream(&shared, query, None))
}

/// What happens to requests for approval: a JSON page, or live.
pub(super) async fn approval_events(
    state: State<Shared>,
    Extension(caller): Extension<Caller>,
    params: Query<EventsParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    named(state, params, headers, &APPROVAL_NAMES, Some(caller.person)).await
}

/// Everything that is recorded: a JSON page, or live.
pub(super) async fn all_events(
    state: State<Shared>,
    params: Query<EventsParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    named(state, params, headers, &[], None).await
}

/// The facts of a request for approval.
const APPROVAL_NAMES: [&str; 5] = [
    "approval_asked",
    "approval_answered",
    "approval_used",
    "approval_voided",
    "approval_escalated",
];

async fn named(
    State(shared): State<Shared>,
    Query(params): Query<EventsParams>,
    headers: HeaderMap,
    names: &[&str],
    whose: Option<Person>,
) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut query = bailiwick_store::Query::default().named(names);
    query.after_seq = last.or(params.after);
    if accept.is_some_and(|accept| accept.contains("text/event-stream")) {
        return Ok(live_stream(&shared, query, whose));
    }
    query.limit = Some(params.limit.unwrap_or(200).min(2_000));
    let entries = shared.engine.parts().store.entries(query).await;
    let mut entries = entries.map_err(bailiwick_engine::EngineError::from)?;
    if let Some(person) = &whose {
        entries.retain(|entry| readable::reads_approval(&shared.engine, person, entry));
    }
    Ok(Json(entries).into_response())
}

/// `whose` leaves out what is about repositories that this person may not look at.
fn live_stream(shared: &Shared, query: bailiwick_store::Query, whose: Option<Person>) -> Response {
    let subscription = shared.engine.parts().store.subscribe(query);
    let start = (subscription, shared.engine.clone(), whose);
    let events = stream::unfold(start, |(mut subscription, engine, whose)| async move {
        let entry = loop {
            let entry = subscription.next().await.ok()??;
            if whose.as_ref().is_none_or(|who| readable::reads_approval(&engine, who, &entry)) {
                break entry;
            }
        };
        let event = SseEvent::default().id(entry.seq.to_string()).event(entry.event.name());
        let event = event.json_data(&entry).unwrap_or_default();
        Some((Ok::<_, Infallible>(event), (subscription, engine, whose)))
    });
    // A server that ends would wait for this stream, and this stream for the task.
    let events = events.take_until(shared.stop.clone().cancelled_owned());
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
