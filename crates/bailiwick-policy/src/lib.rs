#![forbid(unsafe_code)]
//! Policy: what may be done, by whom, in which circumstances, and why.
//!
//! A decision is a pure function of a set of policies, a subject, an action and its context. It
//! has three outcomes (permit, deny, needs approval) and errs to one side only: what cannot be
//! computed, evaluated or understood is denied. This crate does no input or output; it decides,
//! the warden records and does.
//!
//! Policies are Cedar, validated strictly against an embedded schema. Commands are judged by their
//! *effects*, which the [`command`] module reads from the shell text.

mod error;
mod explain;
mod load;
mod path;
mod request;
mod schema;
mod set;

pub mod command;

pub use error::{PolicyError, PolicyErrors};
pub use explain::CODES;
pub use load::{MAX_SOURCE_BYTES, PolicySource, Rule, RuleEffect};
pub use schema::{ACTION_KINDS, SCHEMA_TEXT};
pub use set::{PolicySet, STANDARD_TEXT};
