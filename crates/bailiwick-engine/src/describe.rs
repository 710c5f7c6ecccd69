//! The description of a pull request, generated from recorded facts and from nothing else.
//!
//! What a model said appears only where it is marked as its words. Text that an agent or a user
//! wrote is fenced or escaped, so that it can't pass for a line of the platform's.

use std::fmt::Write as _;

use bailiwick_model::evidence::{Evidence, Finding, GateReport, GateState, Level, RiskBand};
use bailiwick_model::task::{ApproverMode, Task};
use bailiwick_model::text::is_hidden;
use bailiwick_model::workflow::SubtaskState;

/// Makes text safe inside a line of Markdown.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if is_hidden(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Quotes text, line by line.
fn quote(text: &str) -> String {
    text.lines().map(|line| format!("> {}\n", inline(line))).collect()
}

/// A code span that its content can't close.
fn code(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut longest = 0;
    let mut run = 0;
    for c in flat.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    if longest > 0 { format!("{fence} {flat} {fence}") } else { format!("{fence}{flat}{fence}") }
}

fn state_word(state: GateState) -> &'static str {
    match state {
        GateState::Pass => "pass",
        GateState::NeedsApproval => "NEEDS A PERSON",
        GateState::Fail => "FAIL",
        GateState::Inconclusive => "INCONCLUSIVE",
    }
}

fn evidence_row(evidence: &Evidence) -> String {
    let exit = evidence.exit_code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    let counts = evidence.counts.map_or_else(String::new, |counts| {
        format!("{} passed, {} failed, {} ignored", counts.passed, counts.failed, counts.ignored)
    });
    let commit: String = evidence.commit.as_str().chars().take(12).collect();
    let log: String = evidence.log.digest().to_string().chars().take(16).collect();
    format!(
        "| {} | {} | {exit} | {counts} | `{commit}` | {} ms | `{log}` |\n",
        inline(&evidence.name),
        code(&evidence.command).replace('|', "\\|"),
        evidence.duration_ms
    )
}

/// Writes the description of a subtask's pull request.
pub(crate) fn body(task: &Task, state: &SubtaskState, ledger: &str) -> String {
    let mut out = String::new();
    if task.scripted {
        out.push_str(
            "**The model is scripted.** It answered from a file; everything else here is real.\n\n",
        );
    }
    if task.single_user {
        out.push_str("**Single-user mode.** Requester and approver may be one person.\n\n");
    }
    if task.approver == ApproverMode::Simulated {
        out.push_str("**Simulated approver.** No human is asked before the merge.\n\n");
    }
    writing(&mut out, task, state);
    judging(&mut out, state);
    packages(&mut out, &state.gates);
    provenance(&mut out, task, state, ledger);
    out
}

/// The rule that tells of each package that a change adds, removes or changes.
const PACKAGE: &str = "dependencies/changed";
/// Most packages that a description lists.
const PACKAGES_SHOWN: usize = 200;

/// What the change does to the bill of materials, a line for each package.
fn packages(out: &mut String, gates: &[GateReport]) {
    let changes: Vec<&Finding> = gates
        .iter()
        .flat_map(|report| &report.findings)
        .filter(|finding| finding.rule == PACKAGE)
        .collect();
    if changes.is_empty() {
        return;
    }
    out.push_str("\n## Packages\n\n");
    for change in changes.iter().take(PACKAGES_SHOWN) {
        push(out, format_args!("- {}\n", code(&change.message)));
    }
    if let Some(more @ 1..) = changes.len().checked_sub(PACKAGES_SHOWN) {
        push(out, format_args!("- and {more} more\n"));
    }
}

/// Most findings of one gate that a description lists.
const FINDINGS_SHOWN: usize = 20;

fn finding_line(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let place = match (&finding.path, finding.line) {
        (Some(path), Some(line)) => format!(" ({}:{line})", inline(path)),
        (Some(path), None) => format!(" ({})", inline(path)),
        _ => String::new(),
    };
    let advice = finding.explanation.as_ref().map_or_else(String::new, |explanation| {
        format!(" [{}] {}", inline(&finding.rule), inline(&explanation.fix))
    });
    format!("{level}: {}{place}{advice}", inline(&finding.message))
}

fn writing(out: &mut String, task: &Task, state: &SubtaskState) {
    out.push_str("## What was asked\n\n");
    out.push_str(&quote(&task.title));
    out.push('\n');
    out.push_str(&quote(&state.subtask.description));
    let scope: Vec<String> = state.subtask.scope.paths.iter().map(|path| code(path)).collect();
    push(out, format_args!("\nScope: {}\n\n", scope.join(", ")));
}

fn judging(out: &mut String, state: &SubtaskState) {
    out.push_str("## Test evidence\n\n");
    out.push_str("| what | command | exit | tests | commit | took | log SHA-256 |\n|---|---|---|---|---|---|---|\n");
    for evidence in state.gates.iter().flat_map(|report| &report.evidence) {
        out.push_str(&evidence_row(evidence));
    }
    out.push_str("\n## Gates\n\n");
    for report in &state.gates {
        push(
            out,
            format_args!(
                "- {}: **{}**. {}\n",
                inline(&report.gate),
                state_word(report.state),
                inline(&report.summary)
            ),
        );
        let findings: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.rule != PACKAGE).collect();
        for finding in findings.iter().take(FINDINGS_SHOWN) {
            push(out, format_args!("  - {}\n", finding_line(finding)));
        }
        if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS_SHOWN) {
            push(out, format_args!("  - and {more} more\n"));
        }
    }
    if let Some((verification, summary, _)) = &state.verification {
        push(
            out,
            format_args!("\nVerifier ({verification:?}), in its own words:\n\n{}", quote(summary)),
        );
    }
    if let Some((summary, findings)) = &state.advice {
        push(out, format_args!("\nReviewer (advice), in its own words:\n\n{}", quote(summary)));
        for finding in findings {
            push(out, format_args!("> - {}\n", finding_line(finding)));
        }
    }
    if let Some(risk) = &state.risk {
        let band = match risk.band {
            RiskBand::Low => "low",
            RiskBand::Medium => "medium",
            RiskBand::High => "high",
        };
        push(out, format_args!("\n## Risk: {} of 100 ({band})\n\n", risk.score));
        push(out, format_args!("It {}.\n\n", risk.autonomy.as_str()));
        if !risk.owners.is_empty() {
            push(out, format_args!("Owners: {}\n\n", inline(&risk.owners.join(", "))));
        }
        for signal in &risk.signals {
            push(
                out,
                format_args!(
                    "- {} (+{}): {}\n",
                    inline(&signal.name),
                    signal.points,
                    inline(&signal.reason)
                ),
            );
        }
        if risk.signals.is_empty() {
            out.push_str("- no signal\n");
        }
    }
}

fn provenance(out: &mut String, task: &Task, state: &SubtaskState, ledger: &str) {
    out.push_str("\n## Provenance\n\n");
    push(
        out,
        format_args!(
            "- task `{}`, subtask `{}`, asked for by {}\n",
            task.id,
            state.subtask.key,
            inline(task.requester.as_str())
        ),
    );
    push(out, format_args!("- model {} of provider {}\n", code(&task.model), code(&task.provider)));
    if let Some(candidate) = &state.candidate {
        push(
            out,
            format_args!(
                "- commit `{}` on base `{}`, repair round {}\n",
                candidate.commit, candidate.base, candidate.round
            ),
        );
    }
    for run in &state.sessions {
        push(
            out,
            format_args!(
                "- {} session `{}`: {} steps, {} denied actions\n",
                run.role.name(),
                run.id,
                run.steps,
                run.denials
            ),
        );
    }
    for (tier, used) in &state.tiers {
        push(
            out,
            format_args!(
                "- sandbox tier {tier} ({}): {}\n",
                tier.isolation(),
                inline(&used.describe())
            ),
        );
    }
    push(out, format_args!("- ledger {}\n", code(ledger)));
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    if out.write_fmt(arguments).is_err() {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_pass_for_the_platforms_words() {
        assert_eq!(
            quote("a\n## Gates\n- tests: **pass**"),
            "> a\n> \\#\\# Gates\n> - tests: \\*\\*pass\\*\\*\n"
        );
        assert_eq!(code("echo `x` ``y``"), "``` echo `x` ``y`` ```");
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(inline("x\n\n# h <img src=x>"), "x  \\# h \\<img src=x\\>");
    }

    #[test]
    fn every_package_that_changes_stands_in_the_description() {
        let change = |message: &str| Finding {
            rule: PACKAGE.to_owned(),
            level: Level::Note,
            message: message.to_owned(),
            path: Some("package-lock.json".to_owned()),
            line: None,
            fingerprint: bailiwick_model::payload::Digest::of(message.as_bytes()),
            explanation: None,
        };
        let report = |findings| GateReport {
            gate: "dependencies".to_owned(),
            state: GateState::Pass,
            summary: "nothing new".to_owned(),
            findings,
            evidence: Vec::new(),
        };
        let mut out = String::new();
        packages(&mut out, &[report(Vec::new())]);
        assert_eq!(out, "");
        let changes = vec![
            change("~ debug 4.3.4 → 4.3.5 (npm, direct; package-lock.json)"),
            change("+ `ms`\n## Gates 2.1.3 (npm, through debug; package-lock.json)"),
        ];
        packages(&mut out, &[report(changes)]);
        assert_eq!(
            out,
            "\n## Packages\n\n- `~ debug 4.3.4 → 4.3.5 (npm, direct; package-lock.json)`\n- `` + `ms` ## Gates 2.1.3 (npm, through debug; package-lock.json) ``\n"
        );
        let mut many = String::new();
        packages(&mut many, &[report((0..250).map(|n| change(&format!("+ p{n}"))).collect())]);
        assert_eq!(many.lines().filter(|line| line.starts_with("- ")).count(), 201);
        assert!(many.ends_with("- and 50 more\n"));
    }
}
