#![forbid(unsafe_code)]
//! The vocabulary of Bailiwick: ids, tasks, plans, actions, verdicts, events and the pure
//! transitions between states.
//!
//! Deliberately absent: input and output, the clock, randomness, async, SQL. Everything here can
//! be recomputed from a recorded event, which is what makes figures and proofs repeatable.

pub mod action;
pub mod approval;
pub mod calibration;
pub mod chat;
pub mod emergency;
pub mod event;
pub mod evidence;
pub mod freeze;
pub mod id;
pub mod identity;
pub mod outcome;
pub mod path;
pub mod payload;
pub mod plan;
pub mod remark;
pub mod steering;
pub mod subject;
pub mod task;
pub mod text;
pub mod tier;
pub mod verdict;
pub mod workflow;

/// A point in time, UTC, written as RFC 3339.
pub type Timestamp = jiff::Timestamp;
