//! Gate `secrets`: the change brings no new credential.

use crate::change::{Change, all_paths};
use crate::gate::{Gate, GateContext};
use crate::protected_rules::SecretIgnore;
use async_trait::async_trait;
use bailiwick_model::Timestamp;
use bailiwick_model::evidence::{Finding, GateReport, GateState, Level};
use bailiwick_model::payload::Digest;
use bailiwick_scan::{SecretMatch, find_secrets};
use std::collections::BTreeSet;

/// Scans the touched files of every commit of the change, their names, the commit messages and
/// the pull request's text for credentials that the base does not have.
#[derive(Debug, Clone, Copy, Default)]
pub struct SecretsGate;

#[async_trait]
impl Gate for SecretsGate {
    fn name(&self) -> &'static str {
        "secrets"
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        let change = context.change;
        let findings = new_secrets(change, &context.rules.secret_ignores, context.now);
        let blocking = findings.iter().filter(|finding| finding.level == Level::Error).count();
        let (state, summary) = if blocking > 0 {
            let summary = format!(
                "{blocking} new secret{}: take it out of every commit of the change and revoke it; what is no \
                 secret can be ignored in `.bailiwick/secrets-ignore.toml` on the protected branch",
                plural(blocking)
            );
            (GateState::Fail, summary)
        } else if let Some(reason) = change.unread.first() {
            let summary = format!(
                "{} file{} could not be scanned ({reason}): leave it out of the change, or keep it elsewhere",
                change.unread.len(),
                plural(change.unread.len())
            );
            (GateState::Inconclusive, summary)
        } else {
            let summary = format!(
                "no new secret in {} file version{} and {} text{}",
                change.after.len(),
                plural(change.after.len()),
                change.texts.len(),
                plural(change.texts.len())
            );
            (GateState::Pass, summary)
        };
        GateReport { gate: self.name().to_owned(), state, summary, findings, evidence: Vec::new() }
    }
}

/// The secrets that a change brings. One that stands in a touched file on the base is not new, in
/// whatever touched file it stands afterwards. Ignored ones become notes; an ignore that has
/// expired does not count.
pub fn new_secrets(change: &Change, ignores: &[SecretIgnore], now: Timestamp) -> Vec<Finding> {
    let known: BTreeSet<String> = change
        .before
        .iter()
        .flat_map(|content| find_secrets(&content.bytes))
        .map(|found| found.fingerprint)
        .collect();
    let mut findings: Vec<Finding> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |found: &SecretMatch, place: &str, path: Option<&str>| {
        // the same secret in the same file of several commits is one finding
        if seen.insert((found.fingerprint.clone(), path.unwrap_or(place).to_owned())) {
            findings.push(describe(found, place, path, ignores, now));
        }
    };
    for content in &change.after {
        for found in find_secrets(&content.bytes) {
            if !known.contains(&found.fingerprint) {
                add(&found, "file content", Some(&content.path));
            }
        }
    }
    for path in all_paths(change) {
        for found in find_secrets(path.as_bytes()) {
            // the path would show the secret, so it is left out
            add(&found, "file name", None);
        }
    }
    for text in &change.texts {
        for found in find_secrets(text.text.as_bytes()) {
            add(&found, &text.place, None);
        }
    }
    findings
}

fn describe(
    found: &SecretMatch,
    place: &str,
    path: Option<&str>,
    ignores: &[SecretIgnore],
    now: Timestamp,
) -> Finding {
    let fingerprint =
        found.fingerprint.parse().unwrap_or_else(|_| Digest::of(found.fingerprint.as_bytes()));
    let ignore = ignores.iter().find(|ignore| ignore.fingerprint == fingerprint);
    let (level, note) = match ignore {
        Some(ignore) if now < ignore.expires_at => {
            (Level::Note, format!("; ignored until {}: {}", ignore.expires_at, ignore.reason))
        }
        Some(ignore) => (Level::Error, format!("; its ignore expired at {}", ignore.expires_at)),
        None => (Level::Error, String::new()),
    };
    // a file name can hold a secret itself
    let path = path.map(|path| bailiwick_scan::redact(path).text.into_owned());
    Finding {
        rule: format!("secrets/{}", found.rule),
        level,
        message: format!("{} in {place}: `{}`{note}", found.rule, found.excerpt),
        line: path.is_some().then_some(found.line),
        path,
        fingerprint,
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
