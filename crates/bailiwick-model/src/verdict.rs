//! What a decision can say. Never a `bool`.

use serde::{Deserialize, Serialize};

/// Why an action was refused, in a form that a person and a model can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// A stable code such as `policy.no_rule_permits`.
    pub code: String,
    /// The rules that decided; empty when none permits.
    pub rules: Vec<String>,
    /// What was refused and why, in a sentence.
    pub reason: String,
    /// What to do instead; after [`FOR_PEOPLE`] what a rule looks for, or the narrowest change that
    /// would allow it.
    pub hint: String,
}

/// Where the part of a hint begins that no agent is told: whoever tries to get round a rule learns
/// nothing of what it looks for.
pub const FOR_PEOPLE: &str = " For people: ";

impl Denial {
    /// The part of the hint that whoever was refused may read, an agent as well.
    pub fn advice(&self) -> &str {
        self.hint.split(FOR_PEOPLE.trim_end()).next().unwrap_or_default().trim_end()
    }
}

/// The outcome of one policy decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The action may be done.
    Permit {
        /// The rules that permit it.
        rules: Vec<String>,
    },
    /// The action must not be done.
    Deny(Denial),
    /// The action may be done once these groups have approved exactly it.
    NeedsApproval {
        /// Every group whose approval is missing.
        groups: Vec<String>,
        /// The gates that ask.
        rules: Vec<String>,
    },
}
