//! A step whole: beside a difference, inside a timeline, or as a page of its own.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Html;
use maud::{Markup, html};

use super::extract::Path;
use super::failure::Failure;
use super::layout::{self, Page};
use super::trace::{Trace, What};
use super::trace_view;
use super::visitor::Visitor;
use crate::api::Shared;
use crate::operations;

/// The step that an entry belongs to: the one that it began or ended. None when it is no step.
pub(super) async fn step(shared: &Shared, seq: u64) -> Result<Option<Markup>, Failure> {
    let store = &shared.engine.parts().store;
    let Some(entry) = store.entry(seq).await? else { return Ok(None) };
    let Some(task) = entry.event.task() else { return Ok(None) };
    let entries = operations::events(&shared.engine, task, None, usize::MAX).await?;
    let mut trace = Trace::default();
    let mut begun = None;
    for entry in &entries {
        let item = trace.apply(entry).map(|item| item.seq);
        if entry.seq == seq {
            begun = item;
        }
    }
    let item = trace.items().iter().find(|item| Some(item.seq) == begun);
    let Some((item, What::Step(step))) = item.map(|item| (item, &item.what)) else {
        return Ok(None);
    };
    let whole = trace_view::step_whole(store, item, step).await;
    Ok(Some(html! {
        (whole)
        p.small { a href={"/tasks/" (task) "#e" (item.seq)} { "In the trace of the task" } }
    }))
}

/// `GET /parts/steps/{seq}`: without the frame for scripts, with it for people.
pub(super) async fn show_step(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(seq): Path<u64>,
    headers: HeaderMap,
) -> Result<Html<String>, Failure> {
    let part = step(&shared, seq).await?.ok_or_else(Failure::not_found)?;
    if headers.contains_key("x-part") {
        return Ok(Html(part.into_string()));
    }
    let body = html! { h1 { "A step" } (part) };
    Ok(Html(layout::page(&Page::new("/tasks", "A step"), &visitor, &body).into_string()))
}
