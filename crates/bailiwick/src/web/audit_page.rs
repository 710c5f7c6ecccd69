//! The ledger: a query, an entry, and its proof, which the reader's own browser checks.

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use bailiwick_model::event::{Entry, Event};
use bailiwick_model::verdict::Verdict;
use maud::{Markup, html};
use serde::Deserialize;

use super::extract::{Path, Query};
use super::failure::Failure;
use super::layout::{self, Page};
use super::text::{log, shown, time};
use super::trace_view::{outcome, resolved};
use super::visitor::Visitor;
use crate::api::Shared;
use crate::progress::line_of;

const PAGE: usize = 100;

#[derive(Deserialize)]
pub(super) struct ListParams {
    from: Option<u64>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    task: String,
    #[serde(default)]
    refused: Option<String>,
}

/// `GET /audit`.
pub(super) async fn list(
    State(shared): State<Shared>,
    visitor: Visitor,
    Query(params): Query<ListParams>,
) -> Result<Html<String>, Failure> {
    let store = &shared.engine.parts().store;
    let head = store.head();
    let task = params.task.trim();
    let mut query = bailiwick_store::Query { limit: Some(PAGE), ..Default::default() };
    if !task.is_empty() {
        query.task = Some(crate::operations::find_task(&shared.engine, task).await?);
    }
    if !params.name.is_empty() {
        query.names = vec![params.name.clone()];
    }
    let narrowed = query.task.is_some() || !query.names.is_empty();
    let last_page = if narrowed { 0 } else { head.size.saturating_sub(PAGE as u64) };
    let from = params.from.unwrap_or(last_page);
    query.after_seq = from.checked_sub(1);
    let mut entries = store.entries(query).await?;
    let next = (entries.len() == PAGE).then(|| entries.last().map(|entry| entry.seq + 1)).flatten();
    if params.refused.is_some() {
        entries.retain(is_refusal);
    }
    let body = html! {
        h1 { "Audit" }
        section.panel aria-label="The ledger" {
            dl.facts {
                dt { "Entries" } dd { (head.size) }
                dt { "Root" } dd { code { (head.root) } }
                dt { "Key" } dd { code { (shared.ledger_key) } }
                dt { "Check it yourself" } dd { code { "bailiwick ledger verify " (shared.data_ledger) " --key '…'" } " with the key that you were given on the first day, not the one above." }
            }
        }
        form.filter method="get" action="/audit" role="search" {
            div { label for="from" { "From entry" } input #from name="from" inputmode="numeric" value=(from) size="8"; }
            div { label for="task" { "Task" } input #task name="task" value=(params.task); }
            div { label for="name" { "Kind" }
                select #name name="name" {
                    option value="" { "any" }
                    @for name in NAMES { option value=(name) selected[name == params.name] { (name.replace('_', " ")) } }
                }
            }
            label { input type="checkbox" name="refused" value="1" checked[params.refused.is_some()]; " refused only" }
            button type="submit" { "Show" }
        }
        @if entries.is_empty() { div.empty { p { "No entry fits." } } }
        @else { (table(&entries)) }
        nav.row aria-label="Pages" {
            @if from > 0 { a rel="prev" href={"/audit?from=" (from.saturating_sub(PAGE as u64)) "&name=" (params.name) "&task=" (params.task)} { "Earlier" } }
            @if let Some(next) = next { a rel="next" href={"/audit?from=" (next) "&name=" (params.name) "&task=" (params.task)} { "Later" } }
        }
    };
    let page = Page::new("/audit", "Audit").json("/api/v1/ledger");
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}

const NAMES: [&str; 20] = [
    "decided",
    "finished",
    "task_submitted",
    "plan_accepted",
    "session_started",
    "step_taken",
    "candidate_committed",
    "gate_reported",
    "verified",
    "risk_scored",
    "change_published",
    "reviewed",
    "commented",
    "steered",
    "steering_heard",
    "merged",
    "reverted",
    "task_ended",
    "policy_loaded",
    "repository_imported",
];

fn is_refusal(entry: &Entry) -> bool {
    matches!(&entry.event, Event::Decided(decided) if matches!(decided.decision, Verdict::Deny(_)))
}

fn table(entries: &[Entry]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th.num scope="col" { "Entry" } th scope="col" { "When" } th scope="col" { "Kind" } th scope="col" { "What" } } }
            tbody {
                @for entry in entries {
                    tr.rowlink {
                        td.num { a href={"/audit/" (entry.seq)} { (entry.seq) } }
                        td { (time(entry.at)) }
                        td { (entry.event.name().replace('_', " ")) }
                        td { (what(entry)) }
                    }
                }
            }
        } }
    }
}

fn what(entry: &Entry) -> Markup {
    match &entry.event {
        Event::Decided(decided) => html! {
            @match &decided.decision {
                Verdict::Permit { .. } => { span.tag.good { "permit" } }
                Verdict::Deny(denial) => { span.tag.bad { (denial.code) } }
                Verdict::NeedsApproval { .. } => { span.tag.warn { "needs approval" } }
            }
            " " (decided.subject.role.name()) " " (decided.action.kind().replace('_', " ")) " "
            code { (super::text::line(&decided.action.summary(), 160)) }
        },
        Event::Finished(finished) => outcome(Some(&finished.result)),
        Event::Fact(_) => html! { (shown(&line_of(entry).unwrap_or_default())) },
    }
}

/// `GET /audit/{seq}`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(seq): Path<u64>,
) -> Result<Html<String>, Failure> {
    let store = &shared.engine.parts().store;
    let entry = store.entry(seq).await?.ok_or_else(Failure::not_found)?;
    let json = serde_json::to_string_pretty(&entry).map_err(anyhow::Error::from)?;
    let mut payloads = Vec::new();
    for payload in entry.event.payloads() {
        payloads.push((payload.blob(), resolved(store, Some(payload)).await.unwrap_or_default()));
    }
    let explained = match &entry.event {
        Event::Decided(decided) => explain(&shared, decided),
        _ => html! {},
    };
    let body = html! {
        h1 { "Entry " (seq) ": " (entry.event.name().replace('_', " ")) }
        p { (time(entry.at)) @if let Some(task) = entry.event.task() { ", task " a href={"/tasks/" (task)} { (task) } } }
        p { (what(&entry)) }
        (explained)
        section.panel aria-label="Proof" {
            h2 { "Proof" }
            p.quiet { "Your browser computes the path from this entry to the signed root by itself." }
            ledger-proof src={"/audit/" (seq) "/proof"} {
                p { a href={"/audit/" (seq) "/proof"} { "The proof as JSON" } ", for " code { "bailiwick-ledger" } "'s verifier." }
            }
        }
        h2 { "What was recorded" }
        (log(&json))
        @for (blob, text) in &payloads {
            @if let Some(digest) = blob { h3 { "Payload " code { (digest) } } (log(text)) }
        }
        nav.row aria-label="Entries" {
            @if let Some(before) = seq.checked_sub(1) { a rel="prev" href={"/audit/" (before)} { "Entry " (before) } }
            @if seq + 1 < store.head().size { a rel="next" href={"/audit/" (seq + 1)} { "Entry " (seq + 1) } }
        }
    };
    let page = Page::new("/audit", format!("Entry {seq}")).json(format!("/audit/{seq}/proof"));
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}

fn explain(shared: &Shared, decided: &bailiwick_model::event::Decided) -> Markup {
    let policy = shared.engine.parts().warden.policy();
    let rules: &[String] = match &decided.decision {
        Verdict::Permit { rules } | Verdict::NeedsApproval { rules, .. } => rules,
        Verdict::Deny(denial) => &denial.rules,
    };
    html! {
        section.panel aria-label="Why" {
            h2 { "Why" }
            @if let Verdict::Deny(denial) = &decided.decision {
                p { strong { (shown(&denial.reason)) } } p { (shown(&denial.hint)) }
            }
            @if rules.is_empty() { p { "No rule permits it, and what no rule permits is refused." } }
            @for rule in policy.rules().filter(|rule| rules.contains(&rule.id)) {
                h3 { code { (rule.id) } }
                pre.log tabindex="0" { (shown(&super::policy_page::rule_text(&policy, rule))) }
            }
            p.quiet.small { "Decided by policy " code { (decided.policy) } @if decided.policy != policy.digest() { " (not the one in force today)" } }
        }
    }
}

/// `GET /audit/{seq}/proof`.
pub(super) async fn proof(
    State(shared): State<Shared>,
    _visitor: Visitor,
    Path(seq): Path<u64>,
) -> Result<Json<serde_json::Value>, Failure> {
    let store = &shared.engine.parts().store;
    if seq >= store.head().size {
        return Err(Failure::not_found());
    }
    store.checkpoint().await?;
    let dir = store.ledger_dir().to_owned();
    let proof = tokio::task::spawn_blocking(move || bailiwick_ledger::prove_entry(&dir, seq))
        .await
        .map_err(anyhow::Error::from)?
        .map_err(anyhow::Error::from)?;
    Ok(Json(serde_json::to_value(proof).map_err(anyhow::Error::from)?))
}
