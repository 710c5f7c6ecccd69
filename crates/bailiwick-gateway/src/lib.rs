#![forbid(unsafe_code)]
//! The only way out: to model providers with their wire formats, keys, prices, limits and retries,
//! and to hosts that are only read from ([`HostClient`]).
//!
//! [`Gateway::call`] takes a [`Permit`](bailiwick_warden::Permit) by value and every operand from
//! it; nothing else here sends anything to a model. The decoder ([`sse`]) and the assemblers
//! ([`assemble`]) are public because they read untrusted bytes and are fuzzed; they do no input or
//! output.
//!
//! Deliberately absent: the sandbox, the store, the forge, any decision of policy, and a key in
//! any form that can be printed.

mod anthropic;
pub mod assemble;
mod check;
mod config;
pub mod door;
mod endpoint;
mod error;
mod fetch;
mod gateway;
mod http;
pub mod inbound;
mod key;
mod openai;
mod price;
mod relay;
mod responses;
mod retry;
pub mod rewrite;
mod scripted;
pub mod sse;

pub use anthropic::AnthropicAssembler;
pub use check::{ConnectionCheck, KeyCheck, ProviderCheck};
pub use config::{ConfigError, FlatPrice, KeyRef, OutputLimitField, ProviderConfig, ProviderKind};
pub use error::{Billing, ModelError, Phase};
pub use fetch::{HostAnswer, HostClient, HostClientError, HostError};
pub use gateway::{Gateway, ModelAnswer};
pub use key::KeyGrant;
pub use openai::OpenAiAssembler;
pub use price::{
    Estimate, ModelPrice, PriceList, PriceTable, PriceTableError, Rate, cost, estimate,
};
pub use relay::{Relay, RelayHead, RelaySink};
pub use responses::ResponsesAssembler;
pub use scripted::{Labels, SCRIPTED_MODEL, ScriptError, ScriptMismatch, Scripted};
