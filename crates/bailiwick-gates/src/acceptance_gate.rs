//! Gate `acceptance`: the subtask's own checks succeed.

use crate::checkout::Meaning;
use crate::gate::{Gate, GateContext, finding, worst};
use crate::rule::Rule;
use async_trait::async_trait;
use bailiwick_model::evidence::{GateReport, GateState, Level, Severity};
use bailiwick_model::path::WorkPath;

/// Longest time for one check, in milliseconds.
const TIMEOUT_MS: u64 = 1_800_000;

/// A check is not met.
const FAILED: &str = "acceptance/failed";

/// Runs each acceptance check on the clean checkout of the change. A plan without checks asked for
/// nothing, so there is nothing to fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptanceGate;

#[async_trait]
impl Gate for AcceptanceGate {
    fn name(&self) -> &'static str {
        "acceptance"
    }

    fn purpose(&self) -> &'static str {
        "the task's acceptance checks"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::blocks(
            FAILED,
            "acceptance check that is not met",
            Severity::High,
            None,
            [
                "the change does not do what was asked for",
                "do what the check asks for; a check that asks for the wrong thing is changed by the people who wrote it",
            ],
        )]
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        let mut findings = Vec::new();
        let mut evidence = Vec::new();
        let mut states = Vec::new();
        let mut doubts = Vec::new();
        for check in context.acceptance {
            let name = format!("acceptance: {}", check.name);
            match context.head.run(&check.command, &WorkPath::root(), TIMEOUT_MS).await {
                Ok(result) => {
                    evidence.push(context.head.evidence(&name, &check.command, &result, None));
                    match result.meaning() {
                        Meaning::Succeeded => states.push(GateState::Pass),
                        Meaning::Failed { code } => {
                            states.push(GateState::Fail);
                            let message = format!(
                                "`{}` is not met: `{}` ended with exit code {code}",
                                check.name, check.command
                            );
                            findings.push(finding(FAILED, Level::Error, &check.name, message));
                        }
                        Meaning::Nothing { reason } => {
                            states.push(GateState::Inconclusive);
                            doubts.push(format!("`{}`: {reason}", check.name));
                        }
                    }
                }
                Err(refusal) => {
                    states.push(GateState::Inconclusive);
                    doubts.push(format!("`{}`: {refusal}", check.name));
                }
            }
        }
        let state = worst(states.iter().copied()).unwrap_or(GateState::Pass);
        let met = states.iter().filter(|state| **state == GateState::Pass).count();
        let total = context.acceptance.len();
        let summary = match state {
            _ if total == 0 => "no acceptance checks were asked for".to_owned(),
            GateState::Pass | GateState::NeedsApproval => {
                format!("all {total} acceptance checks are met")
            }
            GateState::Fail => format!("{met} of {total} acceptance checks are met"),
            GateState::Inconclusive => {
                format!(
                    "{met} of {total} acceptance checks are met; could not be run: {}",
                    doubts.join("; ")
                )
            }
        };
        GateReport { gate: self.name().to_owned(), state, summary, findings, evidence }
    }
}
