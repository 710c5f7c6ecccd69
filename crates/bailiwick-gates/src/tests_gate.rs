//! Gate `tests`: the repository's own tests, before and after the change.

pub(crate) mod detect;
pub(crate) mod judge;

use crate::checkout::{Checkout, CommandRefusal};
use crate::gate::{Gate, GateContext, worst};
use crate::rule::Rule;
use async_trait::async_trait;
use bailiwick_model::evidence::{Evidence, Finding, GateReport, GateState, Severity};
use detect::{Detection, TestCommand, detect};
use judge::{RunResult, judge};

/// Time for a detected test command, in milliseconds.
const DETECTED_TIMEOUT_MS: u64 = 1_800_000;

/// Runs the tests that the protected branch configures, or those that are detected: on the base,
/// if the base has any, so that a change cannot swap the command it is judged by.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestsGate;

#[async_trait]
impl Gate for TestsGate {
    fn name(&self) -> &'static str {
        "tests"
    }

    fn purpose(&self) -> &'static str {
        "the repository's own tests, before and after the change"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::blocks(
                judge::FAILED,
                "test that fails after the change",
                Severity::High,
                None,
                [
                    "what the test holds is not so any more",
                    "mend the code; where the test asks for what is no longer wanted, say so in the change",
                ],
            ),
            Rule::blocks(
                judge::FAILED_BEFORE,
                "test that fails after the change, and failed before",
                Severity::Medium,
                None,
                [
                    "nobody can tell what the change does to what the test holds",
                    "mend it, or have it mended on the protected branch first",
                ],
            ),
            Rule::informs(
                judge::MENDED,
                "test that failed before the change and passes now",
                ["it shows what the change mends", "nothing need be done"],
            ),
        ]
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        let (commands, origin) = match choose(context) {
            Ok(chosen) => chosen,
            Err(summary) => {
                return GateReport {
                    gate: self.name().to_owned(),
                    state: GateState::Inconclusive,
                    summary,
                    findings: Vec::new(),
                    evidence: Vec::new(),
                };
            }
        };
        let (mut states, mut summaries) = (Vec::new(), Vec::new());
        let (mut findings, mut evidence): (Vec<Finding>, Vec<Evidence>) = (Vec::new(), Vec::new());
        for command in &commands {
            let before = run_once(context.base, command, "tests before", &mut evidence).await;
            let after = run_once(context.head, command, "tests after", &mut evidence).await;
            let judged = judge(command, &before, &after);
            states.push(judged.state);
            summaries.push(judged.summary);
            findings.extend(judged.findings);
        }
        GateReport {
            gate: self.name().to_owned(),
            state: worst(states.into_iter()).unwrap_or(GateState::Inconclusive),
            summary: format!("{} ({origin})", summaries.join("; ")),
            findings,
            evidence,
        }
    }
}

/// The commands to run and where they come from, or why there are none and what to do.
fn choose(context: &GateContext<'_>) -> Result<(Vec<TestCommand>, &'static str), String> {
    if let Some(settings) = &context.rules.tests {
        let command = TestCommand {
            command: settings.command.clone(),
            directory: settings.directory.clone(),
            timeout_ms: settings.timeout_seconds.saturating_mul(1000),
            because: "`.bailiwick/gates.toml` on the protected branch".to_owned(),
        };
        return Ok((vec![command], "configured"));
    }
    match (detect(context.base.files()), detect(context.head.files())) {
        (Detection::Found(commands), _) => Ok((commands, "detected on the base")),
        // a project that gets its first tests: there is nothing older to go by
        (Detection::Nothing, Detection::Found(commands)) => Ok((commands, "detected on the change")),
        (Detection::Nothing, Detection::Nothing) => Err(
            "no tests were found: name the command in `.bailiwick/gates.toml` on the protected branch, as \
             `[tests]` with `command = \"...\"`"
                .to_owned(),
        ),
        (Detection::TooMany { directories }, _) | (_, Detection::TooMany { directories }) => Err(format!(
            "{directories} directories look like projects of their own: name one command for all in \
             `.bailiwick/gates.toml` on the protected branch"
        )),
    }
}

async fn run_once(
    checkout: &Checkout,
    command: &TestCommand,
    name: &str,
    evidence: &mut Vec<Evidence>,
) -> Result<RunResult, CommandRefusal> {
    let result = checkout.run(&command.command, &command.directory, command.timeout_ms).await?;
    let read = RunResult::new(&result);
    evidence.push(checkout.evidence(name, &command.command, &result, read.output.counts));
    Ok(read)
}
