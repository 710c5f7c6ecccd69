//! From two runs of the tests to a judgement. Pure.

use super::detect::TestCommand;
use crate::checkout::{CommandRefusal, CommandResult, Meaning};
use crate::gate::finding;
use crate::runner::TestOutput;
use bailiwick_model::evidence::{Finding, GateState, Level, TestCounts};
use bailiwick_model::outcome::Ended;

/// One run of the tests, read.
#[derive(Debug, Clone)]
pub struct RunResult {
    pub(crate) output: TestOutput,
    meaning: Meaning,
    text: String,
    out_of_time: bool,
}

impl RunResult {
    /// Reads a command's result.
    pub fn new(result: &CommandResult) -> Self {
        let text = result.text();
        let out_of_time = matches!(&result.ended, Ended::Limit { limit } if limit == "wall_clock");
        Self { meaning: result.meaning(), output: TestOutput::parse(&text), text, out_of_time }
    }

    /// Whether it was stopped because its time was up.
    pub(crate) fn ran_out_of_time(&self) -> bool {
        self.out_of_time
    }
}

/// A gate's judgement of one test command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Pass, fail or inconclusive.
    pub state: GateState,
    /// Why, in a sentence.
    pub summary: String,
    /// An error for each test that the change broke, a warning for each that failed before as
    /// well, a note for each that the change mended.
    pub findings: Vec<Finding>,
}

/// What one run says by itself.
#[derive(Debug)]
pub(crate) enum Said {
    /// The tests ran, and all passed.
    Passed,
    /// They ran, and not all passed; or what they test does not build.
    Failed {
        /// The command's exit code.
        code: i32,
    },
    /// It shows nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// A test fails after the change.
pub(crate) const FAILED: &str = "tests/failed";
/// It failed before the change as well.
pub(crate) const FAILED_BEFORE: &str = "tests/failed-before";
/// It failed before the change, and passes now.
pub(crate) const MENDED: &str = "tests/mended";

/// Signs in the output of a run that could not start for a lack of something on the machine, with
/// what is lacking. Only looked for if no test ran.
const MISSING: &[(&str, &str)] = &[
    ("No module named pytest", "pytest is not installed"),
    ("No module named 'pytest'", "pytest is not installed"),
    ("npm error Missing script", "there is no such script in `package.json`"),
    ("No rule to make target", "there is no such make target"),
    (
        "attempting to make an HTTP request, but --offline was specified",
        "a dependency was not fetched in the set-up phase",
    ),
    (
        "you may wish to retry without `--offline`",
        "a dependency was not fetched in the set-up phase",
    ),
    ("without the offline flag", "a dependency was not fetched in the set-up phase"),
    ("Could not resolve host", "a dependency was not fetched in the set-up phase"),
    ("EAI_AGAIN", "a dependency was not fetched in the set-up phase"),
    ("in offline mode", "a dependency was not fetched in the set-up phase"),
    ("No space left on device", "the disk is full"),
];

/// Judges a change by its tests. The exit code decides; counts and names explain.
///
/// After the change the tests must run and pass. Before it they may fail or not run at all: that
/// is reported, and is what shows that a change mends something.
pub fn judge(
    command: &TestCommand,
    before: &Result<RunResult, CommandRefusal>,
    after: &Result<RunResult, CommandRefusal>,
) -> Judgement {
    let name = &command.command;
    let after_said = said(after);
    let before_said = said(before);
    let nothing = TestOutput::default();
    let output_before = before.as_ref().map_or(&nothing, |run| &run.output);
    let output_after = after.as_ref().map_or(&nothing, |run| &run.output);
    let (failed_before, failed_after) = (&output_before.failed, &output_after.failed);
    let passed_after = &output_after.passed;

    let mut findings = Vec::new();
    for test in failed_after {
        findings.push(if failed_before.contains(test) {
            let message = format!("test `{test}` fails, and failed before the change as well");
            finding(FAILED_BEFORE, Level::Warning, test, message)
        } else {
            finding(FAILED, Level::Error, test, format!("test `{test}` fails"))
        });
    }
    // a test that is gone is not mended; where the runner lists what passed, it must be there
    let mended: Vec<&String> = failed_before
        .difference(failed_after)
        .filter(|test| passed_after.is_empty() || passed_after.contains(*test))
        .collect();

    match after_said {
        Said::Passed => {
            for test in &mended {
                let message = format!("test `{test}` failed before the change and passes now");
                findings.push(finding(MENDED, Level::Note, test, message));
            }
            let counts = counted(after);
            let before = match before_said {
                Said::Passed => "passed before as well".to_owned(),
                Said::Failed { .. } if mended.is_empty() => "failed before the change".to_owned(),
                Said::Failed { .. } => format!("failed before the change: {} mended", mended.len()),
                Said::Nothing { reason } => format!("before the change: {reason}"),
            };
            Judgement {
                state: GateState::Pass,
                summary: format!("`{name}` passes{counts}; {before}"),
                findings,
            }
        }
        Said::Failed { code } => {
            if findings.is_empty() {
                let message = match before_said {
                    Said::Failed { .. } => {
                        format!("`{name}` fails with exit code {code}, and failed before as well")
                    }
                    Said::Passed | Said::Nothing { .. } => {
                        format!("`{name}` fails with exit code {code}")
                    }
                };
                findings.push(finding(FAILED, Level::Error, name, message));
            }
            let old = failed_after.intersection(failed_before).count();
            let old = if old > 0 {
                format!(", {old} of them before the change as well")
            } else {
                String::new()
            };
            let summary = format!("`{name}` fails with exit code {code}{}{old}", counted(after));
            Judgement { state: GateState::Fail, summary, findings }
        }
        Said::Nothing { reason } => {
            let summary = format!("`{name}` shows nothing: {reason}");
            Judgement { state: GateState::Inconclusive, summary, findings: Vec::new() }
        }
    }
}

/// What a run of tests says by itself.
pub(crate) fn said(run: &Result<RunResult, CommandRefusal>) -> Said {
    let run = match run {
        Ok(run) => run,
        Err(refusal) => return Said::Nothing { reason: refusal.to_string() },
    };
    let nothing = |reason: &str| Said::Nothing { reason: reason.to_owned() };
    let ran_any = !run.output.failed.is_empty()
        || run.output.counts.is_some_and(|counts| counts.passed > 0 || counts.failed > 0);
    match &run.meaning {
        Meaning::Nothing { reason } => nothing(reason),
        Meaning::Succeeded if run.output.ran_nothing() => nothing("not one test ran"),
        Meaning::Succeeded => match run.output.counts {
            // `cargo test || true`, or a runner whose exit code is lost in a pipe
            Some(TestCounts { failed: failed @ 1.., .. }) => Said::Nothing {
                reason: format!(
                    "the exit code is 0, but {failed} tests failed; the command must end with the tests' exit code"
                ),
            },
            _ => Said::Passed,
        },
        Meaning::Failed { code } if !ran_any => {
            let missing = MISSING.iter().find(|(sign, _)| run.text.contains(sign));
            match missing {
                Some((_, what)) => nothing(what),
                // pytest (5) and nextest (4) have exit codes for "no tests"
                None if run.output.ran_nothing() && matches!(code, 4 | 5) => {
                    nothing("not one test ran")
                }
                None => Said::Failed { code: *code },
            }
        }
        Meaning::Failed { code } => Said::Failed { code: *code },
    }
}

fn counted(run: &Result<RunResult, CommandRefusal>) -> String {
    match run.as_ref().ok().and_then(|run| run.output.counts) {
        Some(TestCounts { passed, failed, ignored }) => {
            format!(" ({passed} passed, {failed} failed, {ignored} ignored)")
        }
        None => " (the number of tests is not known)".to_owned(),
    }
}
