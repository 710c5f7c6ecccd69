//! The one error shape.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bailiwick_engine::EngineError;
use serde_json::json;

use crate::command::Told;

/// An error as a client sees it: a safe sentence and a stable code.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: String,
    message: String,
    hint: String,
    rules: Vec<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, message: &str, hint: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
            rules: Vec::new(),
        }
    }

    /// Status, code, message and hint, for whoever shows it in another shape.
    pub(crate) fn parts(&self) -> (StatusCode, &str, &str, &str) {
        (self.status, &self.code, &self.message, &self.hint)
    }

    pub(super) fn bad_request(code: &str, message: &str, hint: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message, hint)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "rules": self.rules,
        }});
        (self.status, Json(body)).into_response()
    }
}

impl From<Told> for ApiError {
    fn from(told: Told) -> Self {
        let status = match told.code.as_str() {
            code if code.starts_with("identity.") || code.starts_with("freeze.") => {
                StatusCode::FORBIDDEN
            }
            code if code.ends_with(".unknown") => StatusCode::NOT_FOUND,
            "ledger.unwritable" => StatusCode::SERVICE_UNAVAILABLE,
            "machine.failed" | "store.unreadable" => StatusCode::INTERNAL_SERVER_ERROR,
            "name.invalid" => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, &told.code, &told.message, &told.hint)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let status = match &error {
            EngineError::Task(_) | EngineError::Name(_) => StatusCode::UNPROCESSABLE_ENTITY,
            EngineError::NoTask { .. }
            | EngineError::NoRepository { .. }
            | EngineError::NoChange { .. } => StatusCode::NOT_FOUND,
            EngineError::State { code, .. }
                if code.starts_with("identity.")
                    || matches!(
                        *code,
                        "approval.own_request"
                            | "approval.not_in_group"
                            | "freeze.second_person"
                            | "break_glass.second_person"
                    ) =>
            {
                StatusCode::FORBIDDEN
            }
            EngineError::State { code, .. } if code.ends_with(".unknown") => StatusCode::NOT_FOUND,
            EngineError::WaitsForApproval { .. } | EngineError::Frozen { .. } => {
                StatusCode::FORBIDDEN
            }
            EngineError::State { .. } | EngineError::Cancelled => StatusCode::CONFLICT,
            EngineError::Action { code, .. }
                if code.starts_with("policy.") || code.starts_with("forge.right") =>
            {
                StatusCode::FORBIDDEN
            }
            EngineError::Action { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            EngineError::Ledger { .. } => StatusCode::SERVICE_UNAVAILABLE,
            EngineError::Store { .. } | EngineError::Machine { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        if status.is_server_error() {
            tracing::error!(code = %error.code(), %error, "a request failed");
        }
        let rules = match &error {
            EngineError::Action { rules, .. } => rules.clone(),
            _ => Vec::new(),
        };
        Self { status, code: error.code(), message: error.to_string(), hint: error.hint(), rules }
    }
}

pub(super) async fn not_found() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "http.not_found",
        "there is nothing at this address",
        "the API is below /api/v1, repositories are at /git/NAME.git",
    )
}
