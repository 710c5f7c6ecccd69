//! The HTTP API, git over HTTP, and below the same address the pages of [`crate::web`].
//!
//! Everything but `/healthz` needs a token: `Authorization: Bearer …`, or for git the password
//! of basic authentication. Whose token it is says who asks, and their roles say what they may. Errors have one shape:
//! `{"error": {"code", "message", "hint", "rules"}}`.

mod approvals;
mod auth;
mod error;
mod freezes;
mod git;
mod identity;
mod routes;
mod say;
mod stream;

pub(crate) use auth::{named, refuse};
pub(crate) use error::ApiError;
pub(crate) use routes::repo as repo_name;
pub(crate) use say::comment_id;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use bailiwick_engine::Engine;
use bailiwick_model::id::Person;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::web::{self, BrowserSessions, Folds, LiveTraces};

/// The largest body of an API request, in bytes. A task has up to 64 KiB; JSON may double it.
const MAX_BODY: usize = 512 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<Config>,
    /// The token of whoever holds the data directory.
    pub(crate) token: Arc<str>,
    /// The name they go by while nobody has an account. Who makes a request is its [`Caller`].
    ///
    /// [`Caller`]: bailiwick_model::identity::Caller
    pub(crate) person: Person,
    /// Tasks for the workers to take up.
    pub(crate) queue: UnboundedSender<bailiwick_model::id::TaskId>,
    /// Who is signed in with a browser.
    pub(crate) sessions: Arc<BrowserSessions>,
    /// The timelines that somebody watches.
    pub(crate) live: LiveTraces,
    /// The timelines that were looked at last.
    pub(crate) folds: Folds,
    /// Where work of the pages runs; waited for at the end.
    pub(crate) background: TaskTracker,
    /// What browsers reported that a page tried and must not.
    pub(crate) csp_reports: Arc<AtomicU64>,
    /// The key that the ledger is verified with.
    pub(crate) ledger_key: Arc<str>,
    /// Where the ledger's files are.
    pub(crate) data_ledger: Arc<str>,
    /// Tells that the server ends, so that no stream keeps it.
    pub(crate) stop: CancellationToken,
    /// The policy in force.
    pub(crate) policies: Arc<crate::policies::Policies>,
}

impl Shared {
    /// Looks at the policy's sources now: a repository that was just imported may have one.
    async fn refresh_policy(&self) {
        let parts = self.engine.parts();
        let refreshed = self.policies.refresh(&parts.forge, &parts.warden, &parts.store);
        if let Err(error) = refreshed.await {
            tracing::error!(%error, "the policy could not be brought up to date");
        }
    }

    /// Gives a task to the workers.
    pub(crate) fn enqueue(&self, id: bailiwick_model::id::TaskId) {
        if self.queue.send(id).is_err() {
            tracing::info!(task = %id, "the server is stopping; the task is recorded and waits");
        }
    }
}

/// All routes.
pub(crate) fn router(shared: Shared) -> Router {
    let api = Router::new()
        .route("/tasks", get(routes::list_tasks).post(routes::create_task))
        .route("/tasks/{task}", get(routes::show_task))
        .route("/tasks/{task}/events", get(stream::events))
        .route("/tasks/{task}/cancel", post(routes::cancel_task))
        .route("/tasks/{task}/retry", post(routes::retry_task))
        .route("/tasks/{task}/messages", post(say::steer_task))
        .route("/tasks/{task}/pause", post(say::pause_task))
        .route("/tasks/{task}/resume", post(say::resume_task))
        .route("/tasks/{task}/raise", post(routes::raise_task))
        .route("/repositories", get(routes::list_repositories).post(routes::import_repository))
        .route("/repositories/{repo}/pulls", get(routes::list_changes))
        .route("/repositories/{repo}/pulls/{number}", get(routes::show_change))
        .route("/repositories/{repo}/pulls/{number}/reviews", post(routes::review_change))
        .route("/repositories/{repo}/pulls/{number}/comments", post(say::comment_change))
        .route(
            "/repositories/{repo}/pulls/{number}/comments/{comment}/state",
            post(say::mark_thread),
        )
        .route("/repositories/{repo}/pulls/{number}/since-review", get(say::since_review))
        .route("/repositories/{repo}/pulls/{number}/merge", post(routes::merge_change))
        .route("/risk/calibration", get(routes::calibration))
        .route("/ledger", get(routes::ledger))
        .route("/approvals", get(approvals::list))
        .route("/approvals/events", get(stream::approval_events))
        .route("/approvals/{approval}", get(approvals::show))
        .route("/approvals/{approval}/answer", post(approvals::answer))
        .route("/delegations", post(approvals::delegate))
        .route("/freezes", get(freezes::list).post(freezes::freeze))
        .route("/freezes/{freeze}/thaw", post(freezes::thaw))
        .route("/emergencies", get(freezes::emergencies).post(freezes::declare))
        .route("/emergencies/{emergency}/confirm", post(freezes::confirm))
        .route("/emergencies/{emergency}/end", post(freezes::end))
        .route("/events", get(stream::all_events))
        .route("/whoami", get(identity::whoami))
        .route("/identity", get(identity::show))
        .route("/identity/changes", post(identity::change))
        .route("/tokens", get(identity::list_tokens).post(identity::create_token))
        .route("/tokens/{token}/revoke", post(identity::revoke_token))
        .route("/sign-in-links", post(routes::sign_in_link))
        .route("/policy", get(routes::policy))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let git = Router::new()
        .route("/{repo}/info/refs", get(git::advertise))
        .route("/{repo}/git-upload-pack", post(git::upload_pack))
        .route("/{repo}/git-receive-pack", post(git::receive_pack))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .nest("/api/v1", api)
        .nest("/git", git)
        .fallback(error::not_found)
        .layer(middleware::from_fn_with_state(shared.clone(), auth::require_caller))
        .merge(web::router(&shared))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(shared)
}
