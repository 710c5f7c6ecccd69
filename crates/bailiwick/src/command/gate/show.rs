//! What is shown of gates, rules and reports.

use anyhow::Result;
use bailiwick_gates::{
    AnalysersGate, Rule, SCOPE_GATE, Sources, content_gates, sandbox_gates, scope_rules,
};
use bailiwick_model::evidence::{GateReport, GateState, Level};
use serde_json::json;

use super::{Runs, no_such};
use crate::arguments::Common;
use crate::command::Done;
use crate::terminal;

pub(super) fn text(reports: &[GateReport], state: GateState) -> String {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!(
            "{:<14} {}: {}",
            report.gate,
            word(report.state),
            terminal::safe(&report.summary)
        ));
        for finding in &report.findings {
            let place = match (&finding.path, finding.line) {
                (Some(path), Some(line)) => format!("{}:{line}: ", terminal::safe(path)),
                (Some(path), None) => format!("{}: ", terminal::safe(path)),
                (None, _) => String::new(),
            };
            let level = match finding.level {
                Level::Note => "note",
                Level::Warning => "look",
                Level::Error => "stop",
            };
            lines.push(format!(
                "  {level} {place}{} [{}]",
                terminal::safe(&finding.message),
                finding.rule
            ));
            if finding.level > Level::Note {
                if let Some(explanation) = &finding.explanation {
                    lines.push(format!("       {}", terminal::safe(&explanation.fix)));
                }
                lines.push(format!("       fingerprint {}", finding.fingerprint));
            }
        }
    }
    lines.push(format!("together: {}", word(state)));
    lines.join("\n")
}

fn word(state: GateState) -> &'static str {
    match state {
        GateState::Pass => "pass",
        GateState::NeedsApproval => "a person has to look",
        GateState::Fail => "FAIL",
        GateState::Inconclusive => "INCONCLUSIVE",
    }
}

/// The one gate that is of neither kind: it needs a subtask.
const SCOPE: (&str, &str) =
    (SCOPE_GATE, "the change stays in its subtask's scope, and off what only people change");
/// What is to be said of tools whose rules are known when they ran.
const RULES_OF_TOOLS: &str =
    "its rules are those of the tools: each finding carries what the tool says of its own";

/// What is listed of a gate.
struct Listed {
    name: &'static str,
    purpose: &'static str,
    runs: Runs,
    rules: Vec<Rule>,
}

fn gates() -> Vec<Listed> {
    let sources = Sources::default();
    let mut all: Vec<Listed> = content_gates(&sources)
        .iter()
        .map(|gate| Listed {
            name: gate.name(),
            purpose: gate.purpose(),
            runs: Runs::Always,
            rules: gate.rules(),
        })
        .collect();
    let mut running = sandbox_gates(&sources);
    running.push(Box::new(AnalysersGate::of_organisation(Vec::new())));
    all.extend(running.iter().map(|gate| Listed {
        name: gate.name(),
        purpose: gate.purpose(),
        runs: Runs::of(&**gate),
        rules: gate.rules(),
    }));
    all.push(Listed {
        name: SCOPE.0,
        purpose: SCOPE.1,
        runs: Runs::OnPlatform,
        rules: scope_rules(),
    });
    all
}

pub(super) fn list(common: &Common) {
    let gates = gates();
    if common.json {
        let listed: Vec<_> = gates
            .iter()
            .map(|gate| {
                json!({
                    "name": gate.name,
                    "purpose": gate.purpose,
                    "runs_here": gate.runs != Runs::OnPlatform,
                    "only_when_named": gate.runs == Runs::WhenNamed,
                    "rules": gate.rules.iter().map(rule_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        terminal::out_json(&listed);
        return;
    }
    let mut lines = Vec::new();
    for (runs, heading) in [
        (Runs::Always, None),
        (Runs::WhenNamed, Some("\nin a sandbox, when named with `--gate`:")),
        (Runs::OnPlatform, Some("\nonly on the platform:")),
    ] {
        lines.extend(heading.map(str::to_owned));
        for gate in gates.iter().filter(|gate| gate.runs == runs) {
            lines.push(format!("{:<14} {}", gate.name, gate.purpose));
            lines.extend(gate.rules.iter().map(|rule| {
                format!("  {:<38} {:<13} {}", rule.id, rule.effect.as_str(), rule.title)
            }));
        }
    }
    terminal::out(&lines.join("\n"));
}

fn rule_json(rule: &Rule) -> serde_json::Value {
    json!({
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "cwe": rule.cwe,
        "effect": rule.effect.as_str(),
        "why": rule.why,
        "fix": rule.fix,
    })
}

pub(super) fn explain(common: &Common, name: &str) -> Result<Done> {
    let gate_name = name.split('/').next().unwrap_or(name);
    let all = gates();
    let gate = all.iter().find(|gate| gate.name == gate_name).ok_or_else(|| no_such(name))?;
    let rules: Vec<&Rule> =
        gate.rules.iter().filter(|rule| rule.id == name || name == gate_name).collect();
    let of_tools = gate.rules.is_empty();
    if rules.is_empty() && !of_tools {
        return Err(no_such(name).into());
    }
    if common.json {
        terminal::out_json(&rules.iter().map(|rule| rule_json(rule)).collect::<Vec<_>>());
        return Ok(Done::Yes);
    }
    let mut lines: Vec<String> = rules
        .iter()
        .map(|rule| {
            let cwe = rule.cwe.map_or_else(String::new, |cwe| format!(", CWE-{cwe}"));
            format!(
                "{}: {}\n  {}{cwe}; {}\n  why: {}\n  fix: {}",
                rule.id,
                rule.title,
                format!("{:?}", rule.severity).to_lowercase(),
                rule.effect.as_str(),
                rule.why,
                rule.fix
            )
        })
        .collect();
    if of_tools {
        lines.push(format!("{}: {}\n  {RULES_OF_TOOLS}", gate.name, gate.purpose));
    }
    terminal::out(&lines.join("\n"));
    Ok(Done::Yes)
}
