//! How gates are set, as the protected branch says.

use bailiwick_model::Timestamp;
use bailiwick_model::id::Person;
use bailiwick_model::payload::Digest;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A finding that a person has accepted for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Who accepted it.
    pub person: Person,
    /// Why.
    pub reason: String,
    /// The first instant at which it is no longer accepted.
    pub expires_at: Timestamp,
}

/// Settings of the gates, read from the protected branch and never from the change.
#[derive(Debug, Clone, PartialEq)]
pub struct GateSettings {
    /// Rules and whole gates that are off.
    pub off: BTreeSet<String>,
    /// Accepted findings, by fingerprint.
    pub suppressions: BTreeMap<Digest, Suppression>,
    /// The most time that all gates that run nothing may take.
    pub timeout: Duration,
    /// Each gate's own settings, by its name.
    pub tables: BTreeMap<String, toml::Table>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            off: BTreeSet::new(),
            suppressions: BTreeMap::new(),
            timeout: Duration::from_secs(Self::TIMEOUT_SECONDS),
            tables: BTreeMap::new(),
        }
    }
}

impl GateSettings {
    /// The time that gates have unless it is said otherwise.
    pub(crate) const TIMEOUT_SECONDS: u64 = 120;

    /// Whether a rule, or the gate that it belongs to, is off.
    pub fn is_off(&self, rule: &str) -> bool {
        let gate = rule.split_once('/').map_or(rule, |(gate, _)| gate);
        self.off.contains(rule) || self.off.contains(gate)
    }

    /// The suppression of a finding, whether it has expired or not.
    pub fn suppression(&self, fingerprint: &Digest) -> Option<&Suppression> {
        self.suppressions.get(fingerprint)
    }

    /// The settings of one gate, `[settings.NAME]`. Unknown keys are for `T` to refuse.
    pub fn of<T: DeserializeOwned + Default>(&self, gate: &str) -> Result<T, String> {
        match self.tables.get(gate) {
            None => Ok(T::default()),
            Some(table) => table.clone().try_into().map_err(|error: toml::de::Error| {
                let text = error.to_string();
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                format!("`[settings.{gate}]` in `.bailiwick/gates.toml` is not valid: {text}")
            }),
        }
    }
}
