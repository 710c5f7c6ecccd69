//! What an operator writes about a provider: where it is, whose key, what it costs, how long to
//! wait. Keys are references, never values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::price::ModelPrice;
use crate::sse::SseLimits;

/// One model provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// The name that routes, policies and the ledger use for it.
    pub name: String,
    /// Which wire format it speaks.
    pub kind: ProviderKind,
    /// Where it is, `https://…` or `http://…`. For `anthropic` without `/v1` (default
    /// `https://api.anthropic.com`); for `openai` with `/v1` (default `https://api.openai.com/v1`;
    /// an address without a path gets `/v1`). Not allowed for `scripted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the key is. Without it no key is sent, which suits a local server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<KeyRef>,
    /// The file that a `scripted` provider answers from (TOML, or JSON when it ends in `.json`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<PathBuf>,
    /// An HTTP proxy that all calls to this provider go through. Proxy variables of the
    /// environment are ignored, so that where a prompt goes is decided here alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Set to `free` for a server that costs nothing per token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<FlatPrice>,
    /// Prices of this provider's models by name; they go before the built-in table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelPrice>,
    /// How the `openai` format names its output limit; by default `max_completion_tokens` for
    /// OpenAI's own address and `max_tokens` for every other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_limit_field: Option<OutputLimitField>,
    /// Whether an `openai` server has the Responses API; by default OpenAI's own address has, and
    /// no other. A server without it is asked in the chat format instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses: Option<bool>,
    /// The longest wait for a connection, in milliseconds.
    #[serde(default = "defaults::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// The longest silence, in milliseconds: until the first byte, and between any two chunks.
    #[serde(default = "defaults::idle_timeout_ms")]
    pub idle_timeout_ms: u64,
    /// The longest a call may take with all its retries, in milliseconds.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
    /// How often a call that was certainly not billed is tried again.
    #[serde(default = "defaults::max_retries")]
    pub max_retries: u32,
    /// The first pause before a retry, in milliseconds; it doubles with every further one.
    #[serde(default = "defaults::retry_pause_ms")]
    pub retry_pause_ms: u64,
    /// The longest pause before a retry, in milliseconds. A server that asks for more is not
    /// waited for: the call fails and says how long it asked for.
    #[serde(default = "defaults::max_retry_pause_ms")]
    pub max_retry_pause_ms: u64,
    /// The most bytes of a whole reply as it comes over the wire.
    #[serde(default = "defaults::max_reply_bytes")]
    pub max_reply_bytes: u64,
    /// The most bytes of one event of a reply.
    #[serde(default = "defaults::max_event_bytes")]
    pub max_event_bytes: u32,
}

mod defaults {
    pub(super) const fn connect_timeout_ms() -> u64 {
        10_000
    }
    // Reasoning models of the OpenAI family are silent until they have thought.
    pub(super) const fn idle_timeout_ms() -> u64 {
        120_000
    }
    pub(super) const fn call_timeout_ms() -> u64 {
        900_000
    }
    pub(super) const fn max_retries() -> u32 {
        4
    }
    pub(super) const fn retry_pause_ms() -> u64 {
        500
    }
    pub(super) const fn max_retry_pause_ms() -> u64 {
        60_000
    }
    pub(super) const fn max_reply_bytes() -> u64 {
        16 * 1024 * 1024
    }
    pub(super) const fn max_event_bytes() -> u32 {
        1024 * 1024
    }
}

/// The wire format that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI chat completions, and whatever is compatible with them.
    Openai,
    /// No model at all: answers from a file.
    Scripted,
}

impl ProviderKind {
    /// Returns the name as configured.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
            Self::Scripted => "scripted",
        }
    }
}

/// Where a key is kept. The value itself can't be written in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyRef {
    /// In this environment variable of the program.
    Env(String),
    /// In this file, alone; white space round it is dropped.
    File(PathBuf),
}

impl std::fmt::Display for KeyRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
        }
    }
}

/// A price that holds for every model of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlatPrice {
    /// Nothing is charged per token.
    Free,
}

/// How an OpenAI-compatible server names the output limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimitField {
    /// `max_tokens`, which most servers know.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models insist on.
    MaxCompletionTokens,
}

/// Why a provider's configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Two providers have one name.
    #[error("provider `{provider}` is configured twice")]
    Duplicate {
        /// The name.
        provider: String,
    },
    /// A field has a value that can't be used.
    #[error("provider `{provider}`: `{field}` {problem}")]
    Field {
        /// The provider's name.
        provider: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The script of a scripted provider can't be used.
    #[error("provider `{provider}`: its script can't be used")]
    Script {
        /// The provider's name.
        provider: String,
        /// What is wrong with it, with file and line.
        #[source]
        source: Box<crate::scripted::ScriptError>,
    },
    /// The client for this provider can't be made.
    #[error("provider `{provider}`: no secure connections can be made on this machine")]
    Client {
        /// The provider's name.
        provider: String,
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ConfigError {
    /// Returns what to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Duplicate { .. } => "give each provider a name of its own",
            Self::Field { .. } => "correct this field of the provider in the configuration",
            Self::Script { .. } => "correct the script at the place that is named",
            Self::Client { .. } => {
                "install the system's certificates (often a package named `ca-certificates`)"
            }
        }
    }
}

impl ProviderConfig {
    /// Makes a configuration with the default limits and nothing optional set.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ProviderKind) -> Self {
        Self {
            name: name.into(),
            kind,
            base_url: None,
            api_key: None,
            script: None,
            proxy: None,
            price: None,
            models: BTreeMap::new(),
            output_limit_field: None,
            responses: None,
            connect_timeout_ms: defaults::connect_timeout_ms(),
            idle_timeout_ms: defaults::idle_timeout_ms(),
            call_timeout_ms: defaults::call_timeout_ms(),
            max_retries: defaults::max_retries(),
            retry_pause_ms: defaults::retry_pause_ms(),
            max_retry_pause_ms: defaults::max_retry_pause_ms(),
            max_reply_bytes: defaults::max_reply_bytes(),
            max_event_bytes: defaults::max_event_bytes(),
        }
    }

    pub(crate) fn field_error(
        &self,
        field: &'static str,
        problem: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Field { provider: self.name.clone(), field, problem: problem.into() }
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(crate) fn sse_limits(&self) -> SseLimits {
        SseLimits {
            max_event_bytes: usize::try_from(self.max_event_bytes).unwrap_or(usize::MAX),
            max_stream_bytes: self.max_reply_bytes,
        }
    }

    /// Checks what the types can't say.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.name.is_empty()
            || self.name.len() > 64
            || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err(self.field_error(
                "name",
                "must be 1 to 64 ASCII letters, digits, dots, hyphens or underscores",
            ));
        }
        for (field, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("call_timeout_ms", self.call_timeout_ms),
            ("max_reply_bytes", self.max_reply_bytes),
            ("max_event_bytes", u64::from(self.max_event_bytes)),
        ] {
            if value == 0 {
                return Err(self.field_error(field, "must be more than 0"));
            }
        }
        if self.max_retries > 20 {
            return Err(self.field_error("max_retries", "must be at most 20"));
        }
        match self.kind {
            ProviderKind::Scripted => self.validate_scripted(),
            ProviderKind::Anthropic | ProviderKind::Openai => match self.script {
                Some(_) => Err(self.field_error("script", "is only for kind `scripted`")),
                None => Ok(()),
            },
        }
    }

    fn validate_scripted(&self) -> Result<(), ConfigError> {
        let set = [
            ("base_url", self.base_url.is_some()),
            ("api_key", self.api_key.is_some()),
            ("proxy", self.proxy.is_some()),
            ("models", !self.models.is_empty()),
        ];
        match set.into_iter().find(|(_, is_set)| *is_set) {
            Some((field, _)) => Err(self.field_error(field, "has no meaning for kind `scripted`")),
            None => Ok(()),
        }
    }
}
