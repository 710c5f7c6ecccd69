#![forbid(unsafe_code)]
//! Pure detectors on bytes, shared by the gates (may this change go out?) and the gateway (may
//! this text go to a model, and what does it do to a session's taint?).
//!
//! Three questions, one module each: [`secret`] (does it hold a credential?), [`hidden`] (does it
//! hold text that a person does not see?) and [`instruction`] (does it talk to the agent?). Only
//! the first is precise enough to block on; the other two yield signals for taint and for a
//! human.
//!
//! **Invariants.** No IO, no clock, no randomness: the same bytes give the same answer. Time is
//! linear in the input (finite automata, bounded look-around). No result ever contains a secret:
//! excerpts are cut from the redacted text.

pub mod hidden;
pub mod instruction;
pub mod secret;

mod position;

pub use hidden::{HiddenKind, HiddenMatch, find_hidden, reveal};
pub use instruction::{InstructionMatch, InstructionStrength, find_instructions};
pub use secret::{
    RedactedText, RuleSet, RuleSetError, SecretMatch, Validity, find_secrets, find_secrets_in,
    fingerprint, redact,
};

use serde::Serialize;

/// Everything the three detectors say about one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Credentials, by position.
    pub secrets: Vec<SecretMatch>,
    /// Characters that are not visible or reorder what is, by position.
    pub hidden: Vec<HiddenMatch>,
    /// Text that reads like an order to an agent, by position. Heuristic.
    pub instructions: Vec<InstructionMatch>,
}

/// Runs all three detectors over the same bytes.
pub fn inspect(bytes: &[u8]) -> Inspection {
    let text = String::from_utf8_lossy(bytes);
    Inspection {
        secrets: find_secrets(bytes),
        hidden: find_hidden(&text),
        instructions: find_instructions(&text),
    }
}
