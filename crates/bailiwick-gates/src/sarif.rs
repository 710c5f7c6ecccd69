//! Findings as SARIF 2.1.0 (OASIS standard), for code hosts and editors; and those of other tools.

pub mod read;

use crate::rule::{Effect, Rule};
use bailiwick_model::evidence::{Finding, GateReport, GateState, Level, Severity};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One SARIF log with a run for each gate.
///
/// An inconclusive gate is a run whose invocation was not successful, with its reason as a
/// notification: an empty list of results would read as "nothing found".
///
/// `rules` says what the rules are; one that is not among them stands with what goes with its
/// findings.
pub fn to_sarif(reports: &[GateReport], rules: &[Rule]) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": reports.iter().map(|report| run(report, rules)).collect::<Vec<_>>(),
    })
}

fn run(report: &GateReport, known: &[Rule]) -> Value {
    let rules: BTreeSet<&str> =
        report.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let rules: Vec<&str> = rules.into_iter().collect();
    let describe = |id: &&str| match known.iter().find(|rule| rule.id == **id) {
        Some(rule) => descriptor(rule),
        None => told_of(id, &report.findings),
    };
    let mut invocation = json!({ "executionSuccessful": report.state != GateState::Inconclusive });
    if report.state == GateState::Inconclusive
        && let Some(fields) = invocation.as_object_mut()
    {
        let notification = json!({ "level": "error", "message": { "text": report.summary } });
        fields.insert("toolExecutionNotifications".to_owned(), json!([notification]));
    }
    json!({
        "tool": {
            "driver": {
                "name": format!("bailiwick/{}", report.gate),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(describe).collect::<Vec<_>>(),
            },
        },
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": report.findings.iter().map(|finding| result(finding, &rules)).collect::<Vec<_>>(),
        "properties": { "state": report.state, "summary": report.summary },
    })
}

/// A rule, in the form that code hosts show: severity as a number, weakness as a tag.
fn descriptor(rule: &Rule) -> Value {
    let severity = match rule.severity {
        Severity::Info => "0.0",
        Severity::Low => "3.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    };
    let tags: Vec<String> =
        rule.cwe.iter().map(|cwe| format!("external/cwe/cwe-{cwe:03}")).collect();
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.why },
        "help": { "text": rule.fix },
        "defaultConfiguration": { "level": level_word(rule.level()) },
        "properties": {
            "tags": tags,
            "security-severity": severity,
            "precision": if rule.effect == Effect::Blocks { "very-high" } else { "medium" },
        },
    })
}

/// The rule of another tool, by what goes with one of its findings.
fn told_of(id: &str, findings: &[Finding]) -> Value {
    let first = findings.iter().find(|finding| finding.rule == id);
    let explanation = first.and_then(|finding| finding.explanation.as_deref());
    let Some((first, explanation)) = first.zip(explanation) else { return json!({ "id": id }) };
    let mut rule = descriptor(&Rule {
        id: Cow::Owned(id.to_owned()),
        title: Cow::Owned(explanation.why.clone()),
        severity: explanation.severity,
        cwe: explanation.cwe,
        effect: if explanation.heuristic { Effect::AsksPerson } else { Effect::Blocks },
        why: Cow::Owned(explanation.why.clone()),
        fix: Cow::Owned(explanation.fix.clone()),
    });
    if let Some(level) = rule.pointer_mut("/defaultConfiguration/level") {
        *level = json!(level_word(first.level));
    }
    rule
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

fn result(finding: &Finding, rules: &[&str]) -> Value {
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.binary_search(&finding.rule.as_str()).ok(),
        "level": level_word(finding.level),
        "message": { "text": finding.message },
        "partialFingerprints": { "bailiwick/v1": finding.fingerprint },
    });
    if let (Some(path), Some(fields)) = (&finding.path, result.as_object_mut()) {
        let mut location =
            json!({ "artifactLocation": { "uri": uri(path), "uriBaseId": "%SRCROOT%" } });
        // a region counts from 1
        if let (Some(line @ 1..), Some(location)) = (finding.line, location.as_object_mut()) {
            location.insert("region".to_owned(), json!({ "startLine": line }));
        }
        fields.insert("locations".to_owned(), json!([{ "physicalLocation": location }]));
    }
    result
}

/// A path as a relative URI reference (RFC 3986): everything unusual percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            uri.push(char::from(byte));
        } else {
            // writing to a String does not fail
            write!(uri, "%{byte:02X}").unwrap_or_default();
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_model::payload::Digest;

    #[test]
    fn findings_become_results_with_rule_place_and_fingerprint() {
        let fingerprint = Digest::of(b"x");
        let report = GateReport {
            gate: "secrets".to_owned(),
            state: GateState::Fail,
            summary: "1 new secret".to_owned(),
            findings: vec![
                Finding {
                    rule: "secrets/jwt".to_owned(),
                    level: Level::Error,
                    message: "jwt".to_owned(),
                    path: Some("src/a b#ü.rs".to_owned()),
                    line: Some(7),
                    fingerprint,
                    explanation: None,
                },
                Finding {
                    rule: "secrets/aws".to_owned(),
                    level: Level::Note,
                    message: "aws".to_owned(),
                    path: None,
                    line: None,
                    fingerprint,
                    explanation: None,
                },
            ],
            evidence: Vec::new(),
        };
        let expected = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "bailiwick/secrets",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": [{ "id": "secrets/aws" }, { "id": "secrets/jwt" }],
                }},
                "invocations": [{ "executionSuccessful": true }],
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": "secrets/jwt", "ruleIndex": 1, "level": "error",
                        "message": { "text": "jwt" },
                        "partialFingerprints": { "bailiwick/v1": fingerprint },
                        "locations": [{ "physicalLocation": {
                            "artifactLocation": { "uri": "src/a%20b%23%C3%BC.rs", "uriBaseId": "%SRCROOT%" },
                            "region": { "startLine": 7 },
                        }}],
                    },
                    {
                        "ruleId": "secrets/aws", "ruleIndex": 0, "level": "note",
                        "message": { "text": "aws" },
                        "partialFingerprints": { "bailiwick/v1": fingerprint },
                    },
                ],
                "properties": { "state": "fail", "summary": "1 new secret" },
            }],
        });
        assert_eq!(to_sarif(&[report], &[]), expected);
    }

    #[test]
    fn an_inconclusive_gate_does_not_look_like_a_clean_one() {
        let report = GateReport {
            gate: "tests".to_owned(),
            state: GateState::Inconclusive,
            summary: "no tests were found".to_owned(),
            findings: Vec::new(),
            evidence: Vec::new(),
        };
        let run = &to_sarif(&[report], &[])["runs"][0];
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        let notification = &run["invocations"][0]["toolExecutionNotifications"][0];
        assert_eq!(notification["message"]["text"], "no tests were found");
    }
}
