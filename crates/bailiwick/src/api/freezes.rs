//! Freezes and emergencies.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bailiwick_engine::EngineError;
use bailiwick_model::emergency::EmergencyState;
use bailiwick_model::freeze::{Freeze, Thaw};
use bailiwick_model::id::{EmergencyId, FreezeId};
use bailiwick_model::identity::Caller;

use super::Shared;
use super::error::ApiError;
use super::routes::{Answered, parse};
use crate::approvals::{DeclareParams, FreezeParams};

pub(super) async fn list(State(shared): State<Shared>) -> Answered<Vec<Freeze>> {
    Ok(Json(shared.engine.freezes().await?))
}

pub(super) async fn freeze(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<Freeze>), ApiError> {
    let params: FreezeParams = parse(&body)?;
    let freeze = shared.engine.freeze(&caller, params.frozen, &params.reason).await?;
    Ok((StatusCode::CREATED, Json(freeze)))
}

pub(super) async fn thaw(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(freeze): Path<String>,
) -> Answered<Thaw> {
    let id: FreezeId = freeze.parse().map_err(EngineError::from)?;
    let single_user = shared.config.platform.single_user;
    Ok(Json(shared.engine.thaw(&caller, id, single_user).await?))
}

pub(super) async fn emergencies(State(shared): State<Shared>) -> Json<Vec<EmergencyState>> {
    Json(shared.engine.emergencies())
}

pub(super) async fn declare(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<EmergencyState>), ApiError> {
    let params: DeclareParams = parse(&body)?;
    let state = shared
        .engine
        .declare_emergency(
            &caller,
            bailiwick_engine::NewEmergency {
                name: params.name,
                repo: params.repo,
                reason: params.reason,
                minutes: params.minutes,
                single_user: shared.config.platform.single_user,
            },
        )
        .await?;
    Ok((StatusCode::CREATED, Json(state)))
}

pub(super) async fn confirm(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(emergency): Path<String>,
) -> Answered<EmergencyState> {
    let id: EmergencyId = emergency.parse().map_err(EngineError::from)?;
    Ok(Json(shared.engine.confirm_emergency(&caller, id).await?))
}

pub(super) async fn end(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(emergency): Path<String>,
) -> Answered<EmergencyState> {
    let id: EmergencyId = emergency.parse().map_err(EngineError::from)?;
    Ok(Json(shared.engine.end_emergency(&caller, id).await?))
}
