//! Who one is, accounts and groups, tokens.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bailiwick_model::id::TokenId;
use bailiwick_model::identity::{Caller, IdentityChange, TokenRecord};

use super::Shared;
use super::error::ApiError;
use super::routes::{Answered, parse};
use crate::identity::{self, CreateTokenParams, CreateTokenResponse, DirectoryView, WhoAmI};

pub(super) async fn whoami(Extension(caller): Extension<Caller>) -> Json<WhoAmI> {
    Json(WhoAmI::from(&caller))
}

pub(super) async fn show(State(shared): State<Shared>) -> Json<DirectoryView> {
    Json(identity::directory(&shared.engine.parts().store))
}

pub(super) async fn change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answered<DirectoryView> {
    let change: IdentityChange = parse(&body)?;
    identity::change(&shared.engine, &caller, change).await?;
    Ok(Json(identity::directory(&shared.engine.parts().store)))
}

pub(super) async fn list_tokens(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Json<Vec<TokenRecord>> {
    Json(identity::tokens(&shared.engine.parts().store, &caller))
}

pub(super) async fn create_token(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<CreateTokenResponse>), ApiError> {
    let params: CreateTokenParams = parse(&body)?;
    let created = identity::create_token(&shared.engine, &caller, params).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn revoke_token(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(token): Path<String>,
) -> Answered<Vec<TokenRecord>> {
    let token: TokenId = token.parse().map_err(bailiwick_engine::EngineError::from)?;
    identity::revoke_token(&shared.engine, &caller, token).await?;
    Ok(Json(identity::tokens(&shared.engine.parts().store, &caller)))
}
