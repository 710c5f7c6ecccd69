//! What a client of the gateway speaks: reading its requests, and answering in its own protocol.
//!
//! Pure functions of bytes and values. A request that goes to a server of its own family is passed
//! on as it came and only looked at here; one that crosses families becomes a
//! [`ChatRequest`](bailiwick_model::chat::ChatRequest), and what that can't carry is refused or
//! named, never lost in silence.

mod anthropic;
mod chat;
mod failure;
mod reading;
mod responses;

pub use failure::ClientError;
pub use reading::{Asked, Carried, read};

use bailiwick_model::chat::ChatReply;
use serde_json::Value;

use crate::config::ProviderKind;

/// A protocol that clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Anthropic, Self::Chat, Self::Responses];

    /// The name in records and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic-messages",
            Self::Chat => "openai-chat",
            Self::Responses => "openai-responses",
        }
    }

    /// Where calls are posted to.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
        }
    }

    /// The protocol whose calls are posted to `path`.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.path() == path)
    }

    /// The kind of provider that is of the same family.
    #[must_use]
    pub const fn family(self) -> ProviderKind {
        match self {
            Self::Anthropic => ProviderKind::Anthropic,
            Self::Chat | Self::Responses => ProviderKind::Openai,
        }
    }

    /// A whole reply, as a client that does not stream wants it.
    #[must_use]
    pub fn whole(self, reply: &ChatReply, carried: &Carried, number: u32) -> Value {
        match self {
            Self::Anthropic => anthropic::whole(reply, number),
            Self::Chat => chat::whole(reply, number),
            Self::Responses => responses::whole(reply, carried, number),
        }
    }

    /// A reply as a stream of events.
    #[must_use]
    pub fn stream(self, reply: &ChatReply, carried: &Carried, number: u32) -> String {
        match self {
            Self::Anthropic => anthropic::stream(reply, number),
            Self::Chat => chat::stream(reply, carried, number),
            Self::Responses => responses::stream(reply, carried, number),
        }
    }
}

/// One server-sent event.
fn event(out: &mut String, name: Option<&str>, data: &Value) {
    if let Some(name) = name {
        out.push_str(&format!("event: {name}\n"));
    }
    out.push_str(&format!("data: {data}\n\n"));
}
