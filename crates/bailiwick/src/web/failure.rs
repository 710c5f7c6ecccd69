//! Errors as pages: what happened, what to do next, and a way back.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use bailiwick_engine::EngineError;
use maud::html;

use super::layout;
use super::text::shown;
use crate::api::ApiError;

/// Why a page could not be given, or a form was not obeyed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: String,
    message: String,
    hint: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &str, message: &str, hint: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), hint: hint.to_owned() }
    }

    /// Status, message and hint.
    pub(crate) fn parts(&self) -> (StatusCode, &str, &str) {
        (self.status, &self.message, &self.hint)
    }

    /// A form that one of our pages did not send, or from before the last sign-in.
    pub(crate) fn forged() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "web.form_refused",
            "this form did not come from a page that you have open, so nothing was done",
            "go back, load the page again, and send the form once more",
        )
    }

    /// A form from somebody who is not signed in.
    pub(crate) fn signed_out() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "web.signed_out",
            "you are not signed in any more, so nothing was done",
            "sign in, and send it again",
        )
    }

    /// Nothing is here.
    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "web.not_found",
            "there is nothing at this address",
            "start from the home page",
        )
    }

    /// A field of a form, or a part of an address, is not usable.
    pub(crate) fn bad(message: &str, hint: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "web.bad_input", message, hint)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let (status, code, message, hint) = error.parts();
        Self::new(status, code, message, hint)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        tracing::error!(error = %format!("{error:#}"), "a page failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "web.failed",
            "the page could not be made",
            "the server's log says why",
        )
    }
}

impl From<bailiwick_store::StoreError> for Failure {
    fn from(error: bailiwick_store::StoreError) -> Self {
        EngineError::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = html! {
            h1 { (shown(&sentence(&self.message))) }
            div.note.bad { p { (shown(&sentence(&self.hint))) } }
            p { a href="/" { "Home" } }
            p.quiet.small { "Code " code { (self.code) } ", status " (self.status.as_u16()) "." }
        };
        (self.status, Html(layout::outside("Error", &body).into_string())).into_response()
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
