//! The handlers: each parses, asks the platform, answers.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bailiwick_engine::ChangeView;
use bailiwick_model::calibration::Calibration;
use bailiwick_model::id::RepoName;
use bailiwick_model::identity::Caller;
use bailiwick_model::task::{ApproverMode, Source};
use bailiwick_model::workflow::TaskState;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Shared;
use super::error::ApiError;
use crate::operations::{
    self, ChangeLine, CreateTaskParams, CreateTaskResponse, ImportParams, MergeParams, RaiseParams,
    RepositoryLine, ReviewParams, TaskDefaults, TaskLine,
};
use crate::readable;

pub(super) type Answered<T> = Result<Json<T>, ApiError>;

/// Parses a body, so that a mistake in it gets our error shape and names the field.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request(
            "http.bad_body",
            &format!("the body is not valid: {error}"),
            "send a JSON object as docs/api.md describes it",
        )
    })
}

pub(crate) fn repo(text: &str) -> Result<RepoName, ApiError> {
    RepoName::parse(text).map_err(|error| {
        ApiError::bad_request(
            "name.invalid",
            &error.to_string(),
            "`GET /api/v1/repositories` lists the names",
        )
    })
}

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
}

pub(super) async fn list_tasks(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(page): Query<Page>,
) -> Answered<Vec<TaskLine>> {
    let limit = page.limit.unwrap_or(50).min(500);
    let reads = readable::reads(&shared.engine, &caller.person);
    let fits = |state: &TaskState| reads(&state.task.repo);
    Ok(Json(operations::search_tasks(&shared.engine, None, limit, fits).await?.tasks))
}

pub(super) async fn create_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<CreateTaskResponse>), ApiError> {
    let params: CreateTaskParams = parse(&body)?;
    let (provider, model) = shared
        .config
        .route(params.provider.as_deref(), params.model.as_deref())
        .map_err(|error| ApiError::bad_request(error.code(), &error.to_string(), error.hint()))?;
    let defaults = TaskDefaults {
        single_user: shared.config.platform.single_user,
        approver: ApproverMode::Human,
        source: Source::Api,
        budget: shared.config.task.budget_micro_usd,
        scripted: provider.kind == bailiwick_gateway::ProviderKind::Scripted,
        provider: provider.name,
        model,
        agent: shared.config.task.agent.clone(),
    };
    let created = operations::create_task(&shared.engine, &caller.person, params, defaults).await?;
    shared.enqueue(created.id);
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn show_task(
    State(shared): State<Shared>,
    Path(task): Path<String>,
) -> Answered<TaskState> {
    let id = operations::find_task(&shared.engine, &task).await?;
    Ok(Json(shared.engine.state(id).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelParams {
    #[serde(default)]
    reason: String,
}

pub(super) async fn cancel_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(task): Path<String>,
    body: Bytes,
) -> Answered<TaskState> {
    let params: CancelParams =
        if body.is_empty() { CancelParams::default() } else { parse(&body)? };
    let id = operations::find_task(&shared.engine, &task).await?;
    shared.engine.cancel(id, &caller.person, &params.reason).await?;
    Ok(Json(shared.engine.state(id).await?))
}

pub(super) async fn retry_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(task): Path<String>,
) -> Answered<TaskState> {
    let id = operations::find_task(&shared.engine, &task).await?;
    shared.engine.retry(id, &caller.person).await?;
    shared.enqueue(id);
    Ok(Json(shared.engine.state(id).await?))
}

pub(super) async fn raise_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(task): Path<String>,
    body: Bytes,
) -> Answered<TaskState> {
    let params: RaiseParams = parse(&body)?;
    let id = operations::find_task(&shared.engine, &task).await?;
    Ok(Json(operations::raise(&shared.engine, &caller.person, id, &params).await?))
}

pub(super) async fn list_repositories(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answered<Vec<RepositoryLine>> {
    Ok(Json(operations::repositories_of(&shared.engine, &caller.person).await?))
}

pub(super) async fn import_repository(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<RepositoryLine>), ApiError> {
    let params: ImportParams = parse(&body)?;
    let line = operations::import(&shared.engine, &caller.person, params).await?;
    shared.refresh_policy().await;
    Ok((StatusCode::CREATED, Json(line)))
}

pub(super) async fn list_changes(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Answered<Vec<ChangeLine>> {
    Ok(Json(operations::changes(&shared.engine, &repo(&name)?).await?))
}

pub(super) async fn show_change(
    State(shared): State<Shared>,
    Path((name, number)): Path<(String, u64)>,
) -> Answered<ChangeView> {
    Ok(Json(operations::change(&shared.engine, &repo(&name)?, number).await?))
}

pub(super) async fn review_change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((name, number)): Path<(String, u64)>,
    body: Bytes,
) -> Answered<ChangeView> {
    let params: ReviewParams = parse(&body)?;
    let name = repo(&name)?;
    operations::review(&shared.engine, &caller.person, &name, number, params).await?;
    Ok(Json(operations::change(&shared.engine, &name, number).await?))
}

pub(super) async fn merge_change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((name, number)): Path<(String, u64)>,
    body: Bytes,
) -> Answered<TaskState> {
    let params: MergeParams = if body.is_empty() { MergeParams::default() } else { parse(&body)? };
    let id =
        shared.engine.request_merge(&repo(&name)?, number, &caller.person, params.method).await?;
    shared.enqueue(id);
    Ok(Json(shared.engine.state(id).await?))
}

pub(super) async fn calibration(State(shared): State<Shared>) -> Answered<Calibration> {
    Ok(Json(operations::calibration(&shared.engine).await?))
}

/// A link that signs the caller in once in a browser.
pub(super) async fn sign_in_link(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Answered<Value> {
    let now = bailiwick_model::Timestamp::now();
    let code = shared.sessions.link(&caller.person, caller.proof, now).map_err(|error| {
        tracing::error!(%error, "no sign-in link could be made");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "web.no_link",
            "no sign-in link could be made",
            "the server's log says why",
        )
    })?;
    Ok(Json(json!({
        "path": format!("/sign-in?code={code}"),
        "person": caller.person,
        "seconds": crate::web::LINK_SECONDS,
    })))
}

pub(super) async fn ledger(State(shared): State<Shared>) -> Answered<Value> {
    let store = &shared.engine.parts().store;
    let checkpoint = store.checkpoint().await.map_err(bailiwick_engine::EngineError::from)?;
    let head = store.head();
    Ok(Json(json!({
        "entries": head.size,
        "root": head.root.to_string(),
        "origin": checkpoint.origin.to_string(),
    })))
}

/// What is in force, and what was refused.
pub(super) async fn policy(State(shared): State<Shared>) -> Answered<Value> {
    let set = shared.engine.parts().warden.policy();
    let status = shared.policies.status(&set).await;
    let text = |cedar| crate::command::policy_text(&set, cedar).unwrap_or_default();
    let (cedar, written) = (text(true), text(false));
    Ok(Json(json!({
        "digest": status.digest, "organisation": status.organisation, "layers": status.layers,
        "alerts": status.alerts, "text": written, "cedar": cedar,
    })))
}
