//! Gate `secrets`: the change brings no new credential.

use crate::change::{Change, all_paths};
use crate::content_gate::{ContentGate, Hit, Input, Inspected};
use crate::rule::{Effect, Rule};
use bailiwick_model::evidence::Severity;
use bailiwick_model::payload::Digest;
use bailiwick_scan::{RuleSet, SecretMatch, Validity, find_secrets, find_secrets_in};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Where a repository's own rules stand, in the form of gitleaks.
const OWN_RULES: &str = ".bailiwick/secrets.toml";
/// The rule that findings of a repository's own rules stand under.
const OTHER: &str = "secrets/own-rule";

/// Scans the touched files of every commit of the change, their names, the commit messages and
/// the pull request's text for credentials that the base does not have.
#[derive(Debug, Clone, Copy, Default)]
pub struct SecretsGate;

impl ContentGate for SecretsGate {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn purpose(&self) -> &'static str {
        "credentials in files, file names, commit messages and descriptions, in every commit"
    }

    fn rules(&self) -> Vec<Rule> {
        bailiwick_scan::secret::rule_catalogue()
            .chain([("own-rule", "what a rule of the repository finds, from `.bailiwick/secrets.toml`")])
            .map(|(id, description)| Rule {
                id: Cow::Owned(format!("secrets/{id}")),
                title: Cow::Borrowed(description),
                severity: Severity::Critical,
                cwe: Some(798),
                effect: Effect::Blocks,
                why: Cow::Borrowed(
                    "whoever can read the repository, now or later, can use the credential; history keeps \
                     it even when a later commit takes it out",
                ),
                fix: Cow::Borrowed(
                    "take it out of every commit of the change, revoke it, and read it from the \
                     environment or a vault; what is no secret can be accepted for a while in \
                     `.bailiwick/secrets-ignore.toml` on the protected branch",
                ),
            })
            .collect()
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let change = &input.change;
        // more rules than ours, from the base: those of the change judge nothing
        let set = input.base.read(OWN_RULES).and_then(|text| {
            let text = text.unwrap_or_default();
            RuleSet::with_own(&String::from_utf8_lossy(&text)).map_err(|error| error.to_string())
        });
        let set = match set {
            Ok(set) => set,
            Err(error) => {
                return Inspected {
                    doubts: vec![format!(
                        "by `{OWN_RULES}` of the base, which is not valid: {error}"
                    )],
                    ..Inspected::default()
                };
            }
        };
        Inspected {
            hits: new_secrets(change, &set),
            doubts: change.unread.clone(),
            looked_at: format!(
                "{} file version{} and {} text{}",
                change.after.len(),
                plural(change.after.len()),
                change.texts.len(),
                plural(change.texts.len())
            ),
        }
    }
}

/// The secrets that a change brings. One that stands in a touched file on the base is not new, in
/// whatever touched file it stands afterwards.
pub fn new_secrets(change: &Change, set: &RuleSet) -> Vec<Hit> {
    let known: BTreeSet<String> = change
        .before
        .iter()
        .flat_map(|content| find_secrets_in(set, &content.path, &content.bytes))
        .map(|found| found.fingerprint)
        .collect();
    let mut hits: Vec<Hit> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |found: &SecretMatch, place: &str, path: Option<&str>| {
        // the same secret in the same file of several commits is one finding
        if seen.insert((found.fingerprint.clone(), path.unwrap_or(place).to_owned())) {
            hits.push(describe(found, place, path));
        }
    };
    for content in &change.after {
        for found in find_secrets_in(set, &content.path, &content.bytes) {
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
    hits
}

fn describe(found: &SecretMatch, place: &str, path: Option<&str>) -> Hit {
    let fingerprint =
        found.fingerprint.parse().unwrap_or_else(|_| Digest::of(found.fingerprint.as_bytes()));
    Hit {
        rule: if bailiwick_scan::secret::rule_catalogue().any(|(id, _)| id == found.rule) {
            Cow::Owned(format!("secrets/{}", found.rule))
        } else {
            Cow::Borrowed(OTHER)
        },
        message: format!("{} in {place}: `{}`{}", found.rule, found.excerpt, said(found.validity)),
        // a file name can hold a secret itself
        path: path.map(|path| bailiwick_scan::redact(path).text.into_owned()),
        line: path.is_some().then_some(found.line),
        anchor: String::new(),
        fingerprint: Some(fingerprint),
    }
}

/// What the secret's own structure says of it.
fn said(validity: Validity) -> &'static str {
    match validity {
        Validity::Unknown => "",
        Validity::Holds => ", whose checksum or structure holds",
        Validity::Broken => ", whose checksum or structure does not hold",
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
