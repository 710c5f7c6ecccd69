//! What a gate is, and what several say together.

use crate::change::Change;
use crate::checkout::Checkout;
use crate::protected_rules::ProtectedRules;
use crate::rule::Rule;
use crate::workbench::Workbench;
use async_trait::async_trait;
use bailiwick_model::Timestamp;
use bailiwick_model::evidence::{Finding, GateReport, GateState, Level};
use bailiwick_model::payload::Digest;
use bailiwick_model::plan::Check;

/// Everything a gate may go by.
#[derive(Clone, Copy)]
pub struct GateContext<'a> {
    /// A clean checkout of the commit that the change starts from.
    pub base: &'a Checkout,
    /// A clean checkout of the change itself.
    pub head: &'a Checkout,
    /// Makes checkouts of what neither commit has.
    pub bench: &'a dyn Workbench,
    /// What the change touches.
    pub change: &'a Change,
    /// Settings and ignores, read from the protected branch.
    pub rules: &'a ProtectedRules,
    /// The subtask's acceptance checks.
    pub acceptance: &'a [Check],
    /// When the gates run: ignores expire.
    pub now: Timestamp,
}

impl std::fmt::Debug for GateContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateContext")
            .field("base", self.base)
            .field("head", self.head)
            .finish_non_exhaustive()
    }
}

/// A deterministic check of a change.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Its stable name, such as `tests`.
    fn name(&self) -> &'static str;

    /// What it does, in a sentence.
    fn purpose(&self) -> &'static str;

    /// The rules that it has by itself.
    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    /// Judges the change. What keeps the gate from running is part of the report, as
    /// [`GateState::Inconclusive`] with a reason and what to do.
    async fn run(&self, context: &GateContext<'_>) -> GateReport;
}

/// Runs gates one after another, since they share the checkouts.
pub async fn run_all(gates: &[Box<dyn Gate>], context: &GateContext<'_>) -> Vec<GateReport> {
    let mut reports = Vec::with_capacity(gates.len());
    for gate in gates {
        reports.push(gate.run(context).await);
    }
    reports
}

/// What several reports say together: any failure fails, then anything inconclusive is
/// inconclusive. No report at all is inconclusive, too: nothing was shown.
pub fn verdict(reports: &[GateReport]) -> GateState {
    worst(reports.iter().map(|report| report.state)).unwrap_or(GateState::Inconclusive)
}

/// The report of a gate that the protected branch has switched off.
pub(crate) fn switched_off(gate: &dyn Gate, context: &GateContext<'_>) -> Option<GateReport> {
    context.rules.gates.is_off(gate.name()).then(|| GateReport {
        gate: gate.name().to_owned(),
        state: GateState::Pass,
        summary: "switched off on the protected branch".to_owned(),
        findings: Vec::new(),
        evidence: Vec::new(),
    })
}

/// The worst of several states.
pub(crate) fn worst(states: impl Iterator<Item = GateState>) -> Option<GateState> {
    states.max_by_key(|state| match state {
        GateState::Pass => 0,
        GateState::NeedsApproval => 1,
        GateState::Inconclusive => 2,
        GateState::Fail => 3,
    })
}

/// A finding without a place in a file, told apart by rule and key.
pub(crate) fn finding(rule: &str, level: Level, key: &str, message: String) -> Finding {
    Finding {
        rule: rule.to_owned(),
        level,
        message,
        path: None,
        line: None,
        fingerprint: Digest::of(format!("{rule}\0{key}").as_bytes()),
        explanation: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_outweighs_doubt_and_doubt_a_pass() {
        use GateState::{Fail, Inconclusive, Pass};
        let report = |state| GateReport {
            gate: "g".to_owned(),
            state,
            summary: String::new(),
            findings: Vec::new(),
            evidence: Vec::new(),
        };
        for (states, expected) in [
            (vec![], Inconclusive),
            (vec![Pass, Pass], Pass),
            (vec![Pass, Inconclusive], Inconclusive),
            (vec![Inconclusive, Pass], Inconclusive),
            (vec![Fail, Inconclusive, Pass], Fail),
        ] {
            let reports: Vec<_> = states.into_iter().map(report).collect();
            assert_eq!(verdict(&reports), expected);
        }
    }
}
