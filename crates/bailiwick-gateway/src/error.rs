//! What can go wrong with a model call. Text that came from a server is redacted and cut before it
//! gets here; errors that quote it are kept as text for that reason.

use bailiwick_model::chat::Usage;
use bailiwick_model::outcome::EffectError;
use thiserror::Error;

use crate::scripted::ScriptMismatch;

/// Why a model call brought no reply.
#[derive(Debug, Error)]
pub enum ModelError {
    /// No provider of this name is configured.
    #[error("no model provider `{provider}` is configured (there are: {known})")]
    UnknownProvider {
        /// The name asked for.
        provider: String,
        /// The names there are.
        known: String,
    },
    /// The model has no price, so its cost can be neither estimated nor limited.
    #[error("model `{model}` of provider `{provider}` has no price")]
    Unpriced {
        /// The provider.
        provider: String,
        /// The model.
        model: String,
    },
    /// The call can't be sent as it is.
    #[error("the call to provider `{provider}` can't be sent: {problem}")]
    Unsendable {
        /// The provider.
        provider: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The key is configured but can't be had.
    #[error("the key of provider `{provider}` is missing: {reference} {problem}")]
    MissingKey {
        /// The provider.
        provider: String,
        /// Where it should be.
        reference: String,
        /// Why it can't be used.
        problem: String,
    },
    /// No connection came about.
    #[error("provider `{provider}` can't be reached at {address} (attempts: {attempts})")]
    Unreachable {
        /// The provider.
        provider: String,
        /// Where it should be.
        address: String,
        /// How often it was tried.
        attempts: u32,
        /// What failed.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke after the request was sent and before an answer came.
    #[error(
        "the connection to provider `{provider}` broke before an answer came (possibly billed)"
    )]
    Broken {
        /// The provider.
        provider: String,
        /// What failed.
        #[source]
        source: reqwest::Error,
    },
    /// The provider does not accept the key.
    #[error("provider `{provider}` refused the key (http {status}): {message}")]
    Auth {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// What the provider says.
        message: String,
    },
    /// The provider is asked too much or is overloaded, retries included.
    #[error(
        "provider `{provider}` takes no more calls now (http {status}, attempts: {attempts}): {message}"
    )]
    RateLimited {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// How often it was tried.
        attempts: u32,
        /// How long it asked to wait, in milliseconds.
        retry_after_ms: Option<u64>,
        /// What the provider says.
        message: String,
    },
    /// The provider has a fault of its own, retries included.
    #[error("provider `{provider}` failed (http {status}, attempts: {attempts}): {message}")]
    Unavailable {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// How often it was tried.
        attempts: u32,
        /// What the provider says.
        message: String,
    },
    /// The provider does not accept the request.
    #[error("provider `{provider}` rejected the request (http {status}): {message}")]
    Rejected {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// What the provider says.
        message: String,
    },
    /// A deadline passed.
    #[error("provider `{provider}`: {phase} took longer than {limit_ms} ms{}", billed(*.possibly_billed))]
    Timeout {
        /// The provider.
        provider: String,
        /// What took too long.
        phase: Phase,
        /// The limit in milliseconds.
        limit_ms: u64,
        /// Whether the request had been sent.
        possibly_billed: bool,
    },
    /// A success that is not an event stream.
    #[error(
        "provider `{provider}` answered with content type `{content_type}` instead of `text/event-stream` (possibly billed)"
    )]
    WrongContentType {
        /// The provider.
        provider: String,
        /// What it sent.
        content_type: String,
    },
    /// A success with an error inside.
    #[error(
        "provider `{provider}` reported `{kind}` inside its reply (possibly billed): {message}"
    )]
    ErrorInReply {
        /// The provider.
        provider: String,
        /// The provider's name for it.
        kind: String,
        /// What it says.
        message: String,
    },
    /// The reply is not what the protocol says.
    #[error("the reply of provider `{provider}` is malformed (possibly billed): {problem}")]
    Malformed {
        /// The provider.
        provider: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The reply ended too early.
    #[error("the reply of provider `{provider}` broke off (possibly billed): {problem}")]
    Truncated {
        /// The provider.
        provider: String,
        /// What was missing.
        problem: String,
    },
    /// The reply is larger than allowed.
    #[error("the reply of provider `{provider}` is too large (possibly billed): {problem}")]
    TooLarge {
        /// The provider.
        provider: String,
        /// Which limit it passed.
        problem: String,
    },
    /// The reply holds nothing.
    #[error("provider `{provider}` sent an empty reply (billed)")]
    Empty {
        /// The provider.
        provider: String,
        /// What the call consumed.
        usage: Usage,
    },
    /// The model or the provider's filter declined to answer.
    #[error("the model of provider `{provider}` declined to answer (billed): {message}")]
    Refused {
        /// The provider.
        provider: String,
        /// What it says.
        message: String,
        /// What the call consumed.
        usage: Usage,
    },
    /// Whoever asked through the gateway went away before the answer was over.
    #[error(
        "the agent hung up before the answer of provider `{provider}` was over (possibly billed)"
    )]
    ClientGone {
        /// The provider.
        provider: String,
    },
    /// The scripted provider was asked something that its script does not foresee.
    #[error(transparent)]
    ScriptMismatch(Box<ScriptMismatch>),
}

/// A part of a call that has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Making a connection.
    Connect,
    /// Silence before the answer began or between two pieces of it.
    Silence,
    /// All of it, retries included.
    Call,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Silence => "waiting for the next byte",
            Self::Call => "the whole call",
        })
    }
}

const fn billed(possibly: bool) -> &'static str {
    if possibly { " (possibly billed)" } else { "" }
}

/// What a failed call may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billing {
    /// Nothing: the provider did not take it.
    None,
    /// Unknown: count the estimate.
    Possibly,
    /// This much.
    Reported(Usage),
}

impl ModelError {
    /// Returns the stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownProvider { .. } => "model.unknown_provider",
            Self::Unpriced { .. } => "model.unpriced",
            Self::Unsendable { .. } => "model.unsendable",
            Self::MissingKey { .. } | Self::Auth { .. } => "model.auth",
            Self::Unreachable { .. } => "model.unreachable",
            Self::Broken { .. } => "model.connection_lost",
            Self::RateLimited { .. } => "model.rate_limited",
            Self::Unavailable { .. } => "model.unavailable",
            Self::Rejected { .. } => "model.rejected",
            Self::Timeout { .. } => "model.timeout",
            Self::WrongContentType { .. } => "model.content_type",
            Self::ErrorInReply { .. } => "model.error_in_reply",
            Self::Malformed { .. } => "model.malformed",
            Self::Truncated { .. } => "model.truncated",
            Self::TooLarge { .. } => "model.too_large",
            Self::Empty { .. } => "model.empty",
            Self::Refused { .. } => "model.refused",
            Self::ClientGone { .. } => "model.client_gone",
            Self::ScriptMismatch(_) => "model.script_mismatch",
        }
    }

    /// Returns what the call may have cost.
    #[must_use]
    pub const fn billing(&self) -> Billing {
        match self {
            Self::UnknownProvider { .. }
            | Self::Unpriced { .. }
            | Self::Unsendable { .. }
            | Self::MissingKey { .. }
            | Self::Auth { .. }
            | Self::Unreachable { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Rejected { .. }
            | Self::ScriptMismatch(_) => Billing::None,
            Self::Timeout { possibly_billed, .. } => {
                if *possibly_billed {
                    Billing::Possibly
                } else {
                    Billing::None
                }
            }
            Self::Broken { .. }
            | Self::WrongContentType { .. }
            | Self::ErrorInReply { .. }
            | Self::Malformed { .. }
            | Self::Truncated { .. }
            | Self::TooLarge { .. }
            | Self::ClientGone { .. } => Billing::Possibly,
            Self::Empty { usage, .. } | Self::Refused { usage, .. } => Billing::Reported(*usage),
        }
    }

    /// Returns what to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownProvider { .. } => {
                "name one of these providers, or add it under `[[provider]]` in the configuration"
                    .to_owned()
            }
            Self::Unpriced { model, .. } => format!(
                "set `models.\"{model}\"` with its prices on the provider, or `price = \"free\"` for a server that costs nothing"
            ),
            Self::Unsendable { .. } => {
                "this is a fault of the caller, not of the provider: report it with the session's log"
                    .to_owned()
            }
            Self::MissingKey { reference, .. } => {
                format!("put the key into {reference} and start again")
            }
            Self::Unreachable { .. } => {
                "check that the server runs and that `base_url` and `proxy` are right; `bailiwick doctor` tests the connection"
                    .to_owned()
            }
            Self::Broken { .. } => {
                "it was not tried again because it may have been charged; retry the task when the network is stable"
                    .to_owned()
            }
            Self::Auth { .. } => {
                "check that `api_key` of this provider leads to a valid key that may use this model"
                    .to_owned()
            }
            Self::RateLimited { retry_after_ms: Some(wait), .. } => {
                format!("retry the task in {} s, or raise the limit with the provider", wait.div_ceil(1000))
            }
            Self::RateLimited { retry_after_ms: None, .. } => {
                "retry the task later, or check quota and credit with the provider".to_owned()
            }
            Self::Unavailable { .. } => {
                "retry the task later; the provider's status page may say more".to_owned()
            }
            Self::Rejected { status: 404, .. } => {
                "check the model's name and `base_url` (for kind `openai` it usually ends in `/v1`)"
                    .to_owned()
            }
            Self::Rejected { status: 413, .. } => {
                "the conversation is too long for this model: make the task smaller or choose another model"
                    .to_owned()
            }
            Self::Rejected { status: 300..=399, .. } => {
                "redirects are not followed, so that no key goes astray: set `base_url` to the final address"
                    .to_owned()
            }
            Self::Rejected { .. } => {
                "check the model's name and that `kind` is the format which this server speaks".to_owned()
            }
            Self::Timeout { phase: Phase::Connect, .. } => {
                "check the network and `base_url`, or raise `connect_timeout_ms`".to_owned()
            }
            Self::Timeout { phase: Phase::Silence, .. } => {
                "retry the task, or raise `idle_timeout_ms` for a model that thinks long".to_owned()
            }
            Self::Timeout { phase: Phase::Call, .. } => {
                "retry the task, or raise `call_timeout_ms`".to_owned()
            }
            Self::WrongContentType { .. } => {
                "check that `base_url` leads to a model server that can stream".to_owned()
            }
            Self::ErrorInReply { .. } => {
                "retry the task; when it comes again, the provider's words say what is wrong".to_owned()
            }
            Self::Malformed { .. } => {
                "check that `kind` is the format which this server speaks; a server that breaks it can't be used"
                    .to_owned()
            }
            Self::Truncated { .. } => {
                "it was not tried again because it may have been charged; retry the task".to_owned()
            }
            Self::TooLarge { .. } => {
                "retry the task, or raise `max_reply_bytes` and `max_event_bytes` if such replies are expected"
                    .to_owned()
            }
            Self::Empty { .. } => {
                "retry the task; a reasoning model may need a larger output limit, or choose another"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "read the task for what the provider's rules forbid, reword it, or choose another model"
                    .to_owned()
            }
            Self::ClientGone { .. } => {
                "nothing is wrong with the provider: the agent gave the call up".to_owned()
            }
            Self::ScriptMismatch(mismatch) => mismatch.hint(),
        }
    }
}

impl EffectError for ModelError {
    fn code(&self) -> String {
        Self::code(self).to_owned()
    }

    fn hint(&self) -> Option<String> {
        Some(Self::hint(self))
    }

    fn possibly_done(&self) -> bool {
        !matches!(self.billing(), Billing::None)
    }
}
