//! The web pages: give work, watch it, review it, answer for it.
//!
//! Server-rendered HTML; every page can be read and every decision taken without scripts. Three
//! small first-party scripts add what a browser does better: live timelines, keys, and a proof
//! that is checked on the reader's own machine. Deliberately absent: styles or scripts inside a
//! page (the content security policy forbids both), anything from another host, and any way to
//! act that the API does not have.
//!
//! Suggested reading order: [`visitor`] (who looks), [`trace`] (the fold), then the pages.

mod assets;
mod extract;
mod failure;
mod layout;
mod sessions;
mod sign_in;
mod text;
mod visitor;

mod folds;
mod live;
mod parts;
mod trace;
mod trace_view;

mod approval_page;
mod audit_page;
mod change_page;
mod diff_view;
mod freeze_part;
mod highlight;
mod home;
mod new_task;
mod platform_page;
mod policy_page;
mod remarks;
mod since_page;
mod task_page;

use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};

pub(crate) use folds::Folds;
pub(crate) use live::LiveTraces;
pub(crate) use sessions::{BrowserSessions, LINK_SECONDS};
pub(crate) use visitor::session;

use crate::api::Shared;

/// The largest form, in bytes: a task's text, percent-encoded.
const MAX_FORM: usize = 256 * 1024;

/// All pages.
pub(crate) fn router(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/", get(home::show))
        .route("/tasks", get(task_page::list))
        .route("/tasks/new", get(new_task::show).post(new_task::create))
        .route("/tasks/{task}", get(task_page::show))
        .route("/tasks/{task}/live", get(live::live))
        .route("/tasks/{task}/cancel", post(task_page::cancel))
        .route("/tasks/{task}/retry", post(task_page::retry))
        .route("/tasks/{task}/steer", post(task_page::steer))
        .route("/tasks/{task}/pause", post(task_page::pause))
        .route("/tasks/{task}/resume", post(task_page::resume))
        .route("/parts/steps/{seq}", get(parts::show_step))
        .route("/changes", get(change_page::list))
        .route("/changes/{repo}/{number}", get(change_page::show))
        .route("/changes/{repo}/{number}/since", get(since_page::show))
        .route("/changes/{repo}/{number}/comments", post(remarks::comment))
        .route("/changes/{repo}/{number}/comments/{comment}/state", post(remarks::mark))
        .route("/changes/{repo}/{number}/review", post(change_page::review))
        .route("/changes/{repo}/{number}/merge", post(change_page::merge))
        .route("/approvals", get(approval_page::list))
        .route("/approvals/{approval}", get(approval_page::show))
        .route("/approvals/{approval}/answer", post(approval_page::answer))
        .route("/freezes", post(freeze_part::freeze))
        .route("/freezes/{freeze}/thaw", post(freeze_part::thaw))
        .route("/policy", get(policy_page::show))
        .route("/audit", get(audit_page::list))
        .route("/audit/{seq}", get(audit_page::show))
        .route("/audit/{seq}/proof", get(audit_page::proof))
        .route("/platform", get(platform_page::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/csp-reports", post(csp_report))
        .route("/assets/{file}", get(assets::show))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(middleware::from_fn_with_state(shared.clone(), visitor::recognise))
}

/// Counts what browsers refused to load or run because of our policy: on an honest page, nothing.
async fn csp_report(State(shared): State<Shared>) -> StatusCode {
    shared.csp_reports.fetch_add(1, Ordering::Relaxed);
    tracing::warn!("a browser reports that a page tried what the content security policy forbids");
    StatusCode::NO_CONTENT
}
