//! Requests for approval.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use bailiwick_model::approval::Delegation;
use bailiwick_model::id::ApprovalId;
use bailiwick_model::identity::Caller;
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use super::routes::{Answered, parse};
use crate::approvals::{self, AnswerParams, ApprovalView, DelegateParams};

#[derive(Deserialize)]
pub(super) struct Which {
    /// Those that are closed as well.
    #[serde(default)]
    all: bool,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(which): Query<Which>,
) -> Json<Vec<ApprovalView>> {
    Json(approvals::list_of(&shared.engine, &caller.person, which.all))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path(approval): Path<String>,
) -> Answered<ApprovalView> {
    Ok(Json(approvals::show(&shared.engine, id(&approval)?).await?))
}

pub(super) async fn answer(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(approval): Path<String>,
    body: Bytes,
) -> Answered<ApprovalView> {
    let params: AnswerParams = parse(&body)?;
    let view = approvals::answer(&shared.engine, &caller, id(&approval)?, params).await?;
    if let Some(task) = view.task {
        shared.enqueue(task);
    }
    Ok(Json(view))
}

pub(super) async fn delegate(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answered<Delegation> {
    let params: DelegateParams = parse(&body)?;
    Ok(Json(approvals::delegate(&shared.engine, &caller, params).await?))
}

fn id(text: &str) -> Result<ApprovalId, ApiError> {
    Ok(text.parse().map_err(bailiwick_engine::EngineError::from)?)
}
