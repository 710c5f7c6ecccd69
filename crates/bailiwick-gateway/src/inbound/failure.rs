//! What went wrong, told in the client's own protocol.

use serde_json::{Value, json};

use super::gemini::status_name;
use super::{Protocol, event};
use crate::error::ModelError;

/// A call that is not answered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// The HTTP status.
    pub status: u16,
    /// Our stable code.
    pub code: String,
    /// In words, with what to do next.
    pub message: String,
    /// Whether the same again may help.
    pub retry: bool,
}

impl ClientError {
    /// Makes an error that the same again does not help.
    #[must_use]
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry: false }
    }

    /// The request is not what the protocol says.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "request.invalid", message)
    }

    /// The request has something that can't go to a model of another family.
    pub(crate) fn not_carried(what: &str) -> Self {
        Self::new(
            400,
            "request.not_carried",
            format!(
                "{what} can't be carried to the model that answers here, which speaks another protocol"
            ),
        )
    }

    /// The answer as JSON.
    #[must_use]
    pub fn body(&self, protocol: Protocol) -> Value {
        let message = format!("{} [{}]", self.message, self.code);
        match protocol {
            Protocol::Anthropic => json!({
                "type": "error",
                "error": { "type": self.anthropic_type(), "message": message },
            }),
            Protocol::Chat | Protocol::Responses => json!({
                "error": {
                    "message": message,
                    "type": self.openai_type(),
                    "param": null,
                    "code": self.code,
                },
            }),
            Protocol::Gemini => json!({
                "error": {
                    "code": self.status,
                    "message": message,
                    "status": status_name(self.status),
                    "details": [{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": self.code,
                        "domain": "bailiwick",
                    }],
                },
            }),
        }
    }

    /// The error in the middle of a stream. It begins with an empty line: an event may have been
    /// cut off before it.
    #[must_use]
    pub fn event(&self, protocol: Protocol) -> String {
        let mut out = "\n\n".to_owned();
        match protocol {
            Protocol::Anthropic => event(&mut out, Some("error"), &self.body(protocol)),
            Protocol::Chat | Protocol::Gemini => {
                event(&mut out, None, &self.body(protocol));
            }
            Protocol::Responses => event(
                &mut out,
                Some("error"),
                &json!({
                    "type": "error",
                    "code": self.code,
                    "message": self.message,
                    "param": null,
                }),
            ),
        }
        out
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    fn openai_type(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl From<&ModelError> for ClientError {
    fn from(error: &ModelError) -> Self {
        let (status, retry) = match error {
            ModelError::RateLimited { .. } => (429, true),
            ModelError::Unavailable { .. } | ModelError::Unreachable { .. } => (503, true),
            ModelError::Timeout { .. } => (504, true),
            ModelError::Rejected { status: status @ (400 | 404 | 413 | 422), .. } => {
                (*status, false)
            }
            ModelError::Rejected { .. }
            | ModelError::Unsendable { .. }
            | ModelError::ScriptMismatch(_) => (400, false),
            ModelError::UnknownProvider { .. }
            | ModelError::Unpriced { .. }
            | ModelError::MissingKey { .. }
            // The provider does not accept our key: nothing that the client could mend.
            | ModelError::Auth { .. } => (500, false),
            ModelError::Broken { .. }
            | ModelError::WrongContentType { .. }
            | ModelError::ErrorInReply { .. }
            | ModelError::Malformed { .. }
            | ModelError::Truncated { .. }
            | ModelError::TooLarge { .. }
            | ModelError::Empty { .. }
            | ModelError::Refused { .. }
            | ModelError::ClientGone { .. } => (502, true),
        };
        Self { status, code: error.code().to_owned(), message: error.to_string(), retry }
    }
}
