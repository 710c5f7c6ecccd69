//! Gate `coverage`: the lines that a change brings are run by tests.
//!
//! Only where the protected branch says how a report is made. The settings of the tool that
//! measures are those of the base: a change can't leave its own lines out.

use crate::checkout::Meaning;
use crate::content_gate::{FilePair, Hit, Inspected, conclude};
use crate::coverage::Coverage;
use crate::gate::{Gate, GateContext, switched_off};
use crate::integrity_gate::is_settings;
use crate::path_class::{PathClass, classify};
use crate::rule::Rule;
use crate::workbench::{Keeps, Overlaid, Side, side_of};
use async_trait::async_trait;
use bailiwick_git::Overlay;
use bailiwick_model::evidence::{Evidence, GateReport, Severity};
use bailiwick_model::path::WorkPath;
use bailiwick_sast::Language;
use serde::Deserialize;

/// Where a checkout lies inside a cage.
const ROOT: &str = "/workspace";
const UNCOVERED: &str = "coverage/uncovered";
const NOT_MEASURED: &str = "coverage/not-measured";

/// Holds changed lines against a report of coverage.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoverageGate;

/// `[settings.coverage]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The command line that makes the report.
    command: Option<String>,
    /// The file that it writes; standard output when absent.
    report: Option<WorkPath>,
    /// Where it is run, and where the report's file lies.
    directory: WorkPath,
    /// How many in a hundred changed lines must run.
    minimum: u32,
    /// Longest time, in seconds.
    timeout_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            command: None,
            report: None,
            directory: WorkPath::root(),
            minimum: 80,
            timeout_seconds: 1800,
        }
    }
}

#[async_trait]
impl Gate for CoverageGate {
    fn name(&self) -> &'static str {
        "coverage"
    }

    fn purpose(&self) -> &'static str {
        "changed lines that no test runs, where the protected branch says how that is measured"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::blocks(
                UNCOVERED,
                "changed lines that no test runs",
                Severity::Medium,
                Some(1164),
                [
                    "nobody knows what they do, least of all when the next change breaks them",
                    "test them, or take out what is not needed",
                ],
            ),
            Rule::asks(
                NOT_MEASURED,
                "changed source file that the report does not name",
                Severity::Medium,
                Some(1164),
                [
                    "no test loads it, or it is kept out of the report",
                    "test it; if it can't be measured, a person looks at it",
                ],
            ),
        ]
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        if let Some(report) = switched_off(self, context) {
            return report;
        }
        let mut evidence = Vec::new();
        let inspected = match context.rules.gates.of::<Settings>(self.name()) {
            Ok(settings) => inspect(context, &settings, &mut evidence).await,
            Err(reason) => Inspected::doubt(reason),
        };
        let by = (&context.rules.gates, context.now);
        conclude(self.name(), self.rules(), inspected, evidence, by)
    }
}

async fn inspect(
    context: &GateContext<'_>,
    settings: &Settings,
    evidence: &mut Vec<Evidence>,
) -> Inspected {
    let mut inspected = Inspected::default();
    let Some(command) = &settings.command else {
        inspected.looked_at = "nothing: no command is named".to_owned();
        return inspected;
    };
    if settings.minimum > 100 || settings.timeout_seconds == 0 || command.trim().is_empty() {
        inspected.doubts.push(
            "`[settings.coverage]`: `minimum` is 0 to 100, `timeout_seconds` at least 1, `command` not empty"
                .to_owned(),
        );
        return inspected;
    }
    let touched: Vec<&FilePair> = context.change.pairs.iter().filter(|pair| counts(pair)).collect();
    if touched.is_empty() {
        inspected.looked_at = "nothing: the change adds to no source file".to_owned();
        return inspected;
    }
    match measure(context, settings, command, evidence).await {
        Ok(coverage) => judge(&touched, &coverage, settings, &mut inspected),
        Err(reason) => inspected.doubts.push(format!("what the tests run: {reason}")),
    }
    inspected
}

/// Whether lines of a file are expected to run in tests.
fn counts(pair: &FilePair) -> bool {
    !pair.binary
        && !pair.added.is_empty()
        && Language::of_path(&pair.path).is_some()
        && classify(&pair.path).contains(&PathClass::Source)
}

async fn measure(
    context: &GateContext<'_>,
    settings: &Settings,
    command: &str,
    evidence: &mut Vec<Evidence>,
) -> Result<Coverage, String> {
    let mut files = side_of(context.change, Side::Before, is_settings);
    // a report that the change brings along is none
    if let Some(report) = &settings.report {
        let path = match settings.directory.as_str() {
            "." => report.as_str().to_owned(),
            directory => format!("{directory}/{report}"),
        };
        files.push(Overlaid { path, content: Overlay::Gone });
    }
    let commit = context.head.commit();
    let checkout = context
        .bench
        .compose("gate-coverage", commit, files, Keeps::Reports)
        .await
        .map_err(|refusal| refusal.to_string())?;
    let timeout_ms = settings.timeout_seconds.saturating_mul(1000);
    let reported = checkout
        .run_for_report(command, &settings.directory, settings.report.as_ref(), timeout_ms)
        .await
        .map_err(|refusal| refusal.to_string())?;
    evidence.push(checkout.evidence("coverage", command, &reported.result, None));
    match reported.result.meaning() {
        Meaning::Succeeded => {}
        Meaning::Failed { code } => {
            return Err(format!("`{command}` ended with exit code {code}"));
        }
        Meaning::Nothing { reason } => return Err(reason),
    }
    Coverage::read(&reported.report?).map_err(|error| error.to_string())
}

fn judge(touched: &[&FilePair], coverage: &Coverage, settings: &Settings, into: &mut Inspected) {
    let (mut ran, mut all) = (0_usize, 0_usize);
    let mut uncovered = Vec::new();
    for pair in touched {
        let lines = coverage.lines_of(&pair.path, settings.directory.as_str(), ROOT);
        let Some(lines) = lines else {
            if pair.text_after().is_some_and(|text| brings_code(pair, &text)) {
                let message = format!("`{}` changed, and the report does not name it", pair.path);
                into.hits.push(Hit::in_file(NOT_MEASURED, &pair.path, "", message));
            }
            continue;
        };
        let mut missed: Vec<u32> = Vec::new();
        for (line, hits) in lines.iter().filter(|(line, _)| pair.adds_line(**line)) {
            all += 1;
            if *hits > 0 {
                ran += 1;
            } else {
                missed.push(*line);
            }
        }
        uncovered.extend(ranges(&missed).into_iter().map(|range| (pair, range)));
    }
    let percent = ran.saturating_mul(100).checked_div(all).unwrap_or(100);
    into.looked_at = format!(
        "{all} changed lines, of which tests run {ran}: {percent} %, wanted are {} %",
        settings.minimum
    );
    if percent >= usize::try_from(settings.minimum).unwrap_or(100) {
        return;
    }
    for (pair, (first, last)) in uncovered {
        let place = if first == last {
            format!("line {first}")
        } else {
            format!("lines {first} to {last}")
        };
        let text = pair.text_after().unwrap_or_default();
        let at = usize::try_from(first).unwrap_or(usize::MAX).saturating_sub(1);
        let line = text.lines().nth(at).unwrap_or_default();
        let message = format!(
            "no test runs {place}; {percent} % of the changed lines run, wanted are {} %",
            settings.minimum
        );
        into.hits.push(Hit::at(UNCOVERED, &pair.path, first, line, message));
    }
}

/// Whether some line that the change brings looks like code.
fn brings_code(pair: &FilePair, text: &str) -> bool {
    (1..).zip(text.lines()).any(|(number, line)| {
        let line = line.trim();
        pair.adds_line(number)
            && line.chars().any(char::is_alphanumeric)
            && !["//", "#", "*", "/*", "\"\"\""].iter().any(|start| line.starts_with(start))
    })
}

/// Numbers that follow each other, as first and last.
fn ranges(lines: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if last.saturating_add(1) == *line => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    ranges
}
