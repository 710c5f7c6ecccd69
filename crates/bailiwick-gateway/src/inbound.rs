//! What a client of the gateway speaks: reading its requests, and answering in its own protocol.
//!
//! Pure functions of bytes and values. A request that goes to a server of its own family is passed
//! on as it came and only looked at here; one that crosses families becomes a
//! [`ChatRequest`](bailiwick_model::chat::ChatRequest), and what that can't carry is refused or
//! named, never lost in silence.

mod anthropic;
mod chat;
mod failure;
pub(crate) mod gemini;
mod reading;
mod responses;

pub use failure::ClientError;
pub use reading::{Asked, Carried, read};

use bailiwick_model::chat::ChatReply;
use serde_json::Value;

use self::gemini::{Address, Method};
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
    /// Gemini's `generateContent` and `streamGenerateContent`.
    Gemini,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Anthropic, Self::Chat, Self::Responses, Self::Gemini];

    /// The name in records and on screens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic-messages",
            Self::Chat => "openai-chat",
            Self::Responses => "openai-responses",
            Self::Gemini => "gemini",
        }
    }

    /// Where calls are posted to, for people.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Gemini => "/v1beta/models/MODEL:generateContent",
        }
    }

    /// The protocol whose calls are posted to `path`.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        match gemini::address(path) {
            Some(Address::Model(_, Method::Generate | Method::Stream)) => Some(Self::Gemini),
            Some(Address::Model(_, Method::Count) | Address::Models(_)) => None,
            None => Self::ALL.into_iter().find(|protocol| protocol.path() == path),
        }
    }

    /// The kind of provider that is of the same family. None is of Gemini's: its calls always
    /// cross to another.
    #[must_use]
    pub const fn family(self) -> Option<ProviderKind> {
        match self {
            Self::Anthropic => Some(ProviderKind::Anthropic),
            Self::Chat | Self::Responses => Some(ProviderKind::Openai),
            Self::Gemini => None,
        }
    }

    /// A whole reply, as a client that does not stream wants it.
    #[must_use]
    pub fn whole(self, reply: &ChatReply, carried: &Carried, number: u32) -> Value {
        match self {
            Self::Anthropic => anthropic::whole(reply, number),
            Self::Chat => chat::whole(reply, number),
            Self::Responses => responses::whole(reply, carried, number),
            Self::Gemini => gemini::whole(reply, carried, number),
        }
    }

    /// A reply as a stream of events.
    #[must_use]
    pub fn stream(self, reply: &ChatReply, carried: &Carried, number: u32) -> String {
        match self {
            Self::Anthropic => anthropic::stream(reply, number),
            Self::Chat => chat::stream(reply, carried, number),
            Self::Responses => responses::stream(reply, carried, number),
            Self::Gemini => gemini::stream(reply, number),
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
