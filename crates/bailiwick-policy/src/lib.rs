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

mod advice;
mod bundle;
mod compare;
mod constants;
mod error;
mod example;
mod explain;
mod form;
mod formula;
mod host;
mod index;
mod invariant;
mod known;
mod layer;
mod lint;
mod load;
mod narrow;
mod path;
mod request;
mod schema;
mod set;
mod shorthand;
mod tier;

pub mod command;

pub use advice::{Advice, advise};
pub use bundle::{
    BUNDLE_CODES, Bundle, BundleError, EXAMPLES, Heading, MAX_BUNDLE_BYTES, MAX_BUNDLE_FILES,
    STARTERS, Starter, manifest, resolve, write,
};
pub use compare::{Answer, Difference, Recorded, Replay, Replayer, Shift, difference};
pub use error::{PolicyError, PolicyErrors};
pub use example::{Example, Expected, Missed, examples, usual_context};
pub use explain::CODES;
pub use invariant::{INVARIANTS, Invariant, Proof, certain, prove};
pub use layer::{Layer, LayerSource, Proved, rights};
pub use lint::{Lint, LintKind, lint_set, may_fail};
pub use load::{
    MAX_DEPTH, MAX_NODES, MAX_POLICIES, MAX_SOURCE_BYTES, PolicySource, Rule, RuleEffect,
};
pub use schema::{ACTION_KINDS, SCHEMA_TEXT};
pub use set::{PolicySet, STANDARD_TEXT};
pub use shorthand::parse_action;
