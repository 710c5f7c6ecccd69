//! Messages to agents, pauses, and remarks on lines of a change.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bailiwick_engine::{ChangeView, SinceView};
use bailiwick_model::id::CommentId;
use bailiwick_model::identity::Caller;
use bailiwick_model::remark::Message;
use bailiwick_model::workflow::TaskState;
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use super::routes::{Answered, parse, repo};
use crate::operations::{self, CommentParams, CommentResponse, SteerParams, ThreadParams};

pub(super) async fn steer_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(task): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Message>), ApiError> {
    let params: SteerParams = parse(&body)?;
    let id = operations::find_task(&shared.engine, &task).await?;
    let message = operations::steer(&shared.engine, &caller.person, id, params).await?;
    Ok((StatusCode::CREATED, Json(message)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseParams {
    #[serde(default)]
    reason: String,
}

pub(super) async fn pause_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(task): Path<String>,
    body: Bytes,
) -> Answered<TaskState> {
    let params: PauseParams = if body.is_empty() { PauseParams::default() } else { parse(&body)? };
    let id = operations::find_task(&shared.engine, &task).await?;
    shared.engine.pause(id, &caller.person, &params.reason).await?;
    Ok(Json(shared.engine.state(id).await?))
}

pub(super) async fn resume_task(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(task): Path<String>,
) -> Answered<TaskState> {
    let id = operations::find_task(&shared.engine, &task).await?;
    shared.engine.unpause(id, &caller.person).await?;
    shared.enqueue(id);
    Ok(Json(shared.engine.state(id).await?))
}

pub(super) async fn comment_change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((name, number)): Path<(String, u64)>,
    body: Bytes,
) -> Result<(StatusCode, Json<CommentResponse>), ApiError> {
    let params: CommentParams = parse(&body)?;
    let name = repo(&name)?;
    let made = operations::comment(&shared.engine, &caller.person, &name, number, params).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn mark_thread(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((name, number, comment)): Path<(String, u64, String)>,
    body: Bytes,
) -> Answered<ChangeView> {
    let params: ThreadParams = parse(&body)?;
    let name = repo(&name)?;
    let comment = comment_id(&comment)?;
    shared.engine.mark_thread(&name, number, &caller.person, comment, params.state).await?;
    Ok(Json(operations::change(&shared.engine, &name, number).await?))
}

/// The id of a remark in an address.
pub(crate) fn comment_id(text: &str) -> Result<CommentId, ApiError> {
    text.parse().map_err(|error: bailiwick_model::id::IdError| {
        ApiError::bad_request(
            "comment.unknown",
            &error.to_string(),
            "the pull request lists its threads with their ids",
        )
    })
}

pub(super) async fn since_review(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((name, number)): Path<(String, u64)>,
) -> Answered<SinceView> {
    let name = repo(&name)?;
    Ok(Json(operations::since(&shared.engine, &caller.person, &name, number).await?))
}
