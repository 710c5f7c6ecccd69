//! What the repository says about its gates, read from the protected branch only: a change must
//! not be able to choose how it is judged.

use crate::settings::{GateSettings, Suppression};
use bailiwick_git::{Git, GitError, RepoPath};
use bailiwick_model::id::{Oid, Person};
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::Digest;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Where the gates' settings stand.
const GATES_PATH: &str = ".bailiwick/gates.toml";
/// Where ignored secrets stand.
const IGNORES_PATH: &str = ".bailiwick/secrets-ignore.toml";
/// Longest time that a repository can give its tests.
const MAX_TIMEOUT_SECONDS: u64 = 6 * 3600;
/// Longest time that a repository can give its other gates.
const MAX_GATE_SECONDS: u64 = 3600;

/// The repository's own rules for its gates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProtectedRules {
    /// How to run the tests; `None` to detect it.
    pub tests: Option<TestSettings>,
    /// What is off, what is suppressed, how much time there is, and each gate's own settings.
    pub gates: GateSettings,
}

/// `[tests]` in `.bailiwick/gates.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSettings {
    /// The command line, run by `/bin/sh -c`.
    pub command: String,
    /// Longest time for one run, in seconds: 1 to 21600. Default 1800.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
    /// The directory to run it in, relative to the root. Default `.`.
    #[serde(default = "WorkPath::root")]
    pub directory: WorkPath,
}

/// The rules on the protected branch cannot be used. Gates that depend on them are inconclusive.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Git could not read them.
    #[error("cannot read `{path}` from the protected branch")]
    Unreadable {
        /// The file.
        path: &'static str,
        /// The cause.
        #[source]
        source: Box<GitError>,
    },
    /// The file is not what it should be.
    #[error("`{path}` on the protected branch is not valid: {message}")]
    Invalid {
        /// The file.
        path: &'static str,
        /// What is wrong, with line and column where that is known.
        message: String,
    },
}

impl RulesError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the repository with `git fsck`",
            Self::Invalid { .. } => {
                "mend the file on the protected branch; nothing else is read in its place"
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatesFile {
    tests: Option<TestSettings>,
    #[serde(default)]
    gates: GatesTable,
    #[serde(default)]
    suppress: Vec<SuppressionEntry>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Table>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct GatesTable {
    #[serde(default)]
    off: BTreeSet<String>,
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoresFile {
    #[serde(default)]
    ignore: Vec<SuppressionEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressionEntry {
    fingerprint: Digest,
    person: Person,
    reason: String,
    expires: jiff::civil::Date,
}

impl SuppressionEntry {
    fn read(self) -> Result<(Digest, Suppression), String> {
        if self.reason.trim().is_empty() {
            return Err(format!("the suppression of `{}` has no reason", self.fingerprint));
        }
        let expires_at = self
            .expires
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|error| error.to_string())?
            .timestamp();
        let suppression = Suppression { person: self.person, reason: self.reason, expires_at };
        Ok((self.fingerprint, suppression))
    }
}

fn default_timeout_seconds() -> u64 {
    1800
}

impl ProtectedRules {
    /// Reads both files at a commit of the protected branch; a file that is not there is empty.
    /// Blocks.
    pub fn read(git: &Git, protected: &Oid) -> Result<Self, RulesError> {
        let gates = read_text(git, protected, GATES_PATH)?;
        let ignores = read_text(git, protected, IGNORES_PATH)?;
        Self::parse(gates.as_deref().unwrap_or(""), ignores.as_deref().unwrap_or(""))
    }

    /// Parses the contents of `gates.toml` and `secrets-ignore.toml`.
    pub fn parse(gates: &str, ignores: &str) -> Result<Self, RulesError> {
        let invalid = |path: &'static str, message: String| RulesError::Invalid { path, message };
        let gates: GatesFile = toml::from_str(gates)
            .map_err(|error| invalid(GATES_PATH, one_line(&error.to_string())))?;
        if let Some(tests) = &gates.tests {
            let seconds = tests.timeout_seconds;
            if !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
                let message =
                    format!("`timeout_seconds` is `{seconds}`, not 1 to {MAX_TIMEOUT_SECONDS}");
                return Err(invalid(GATES_PATH, message));
            }
            if tests.command.trim().is_empty() {
                return Err(invalid(GATES_PATH, "`command` is empty".to_owned()));
            }
        }
        let ignores: IgnoresFile = toml::from_str(ignores)
            .map_err(|error| invalid(IGNORES_PATH, one_line(&error.to_string())))?;
        let timeout = gates.gates.timeout_seconds.unwrap_or(GateSettings::TIMEOUT_SECONDS);
        if !(1..=MAX_GATE_SECONDS).contains(&timeout) {
            let message = format!(
                "`timeout_seconds` of `[gates]` is `{timeout}`, not 1 to {MAX_GATE_SECONDS}"
            );
            return Err(invalid(GATES_PATH, message));
        }
        let mut settings = GateSettings {
            off: gates.gates.off,
            timeout: Duration::from_secs(timeout),
            tables: gates.settings,
            ..GateSettings::default()
        };
        let entries = gates
            .suppress
            .into_iter()
            .map(|entry| (GATES_PATH, entry))
            .chain(ignores.ignore.into_iter().map(|entry| (IGNORES_PATH, entry)));
        for (path, entry) in entries {
            let (fingerprint, suppression) =
                entry.read().map_err(|message| invalid(path, message))?;
            settings.suppressions.insert(fingerprint, suppression);
        }
        Ok(Self { tests: gates.tests, gates: settings })
    }
}

fn read_text(git: &Git, commit: &Oid, path: &'static str) -> Result<Option<String>, RulesError> {
    let unreadable = |source: GitError| RulesError::Unreadable { path, source: Box::new(source) };
    let invalid = |message: &str| RulesError::Invalid { path, message: message.to_owned() };
    let repo_path = RepoPath::parse(path).map_err(|error| invalid(&error.to_string()))?;
    if git.entry(commit, &repo_path).map_err(unreadable)?.is_none() {
        return Ok(None);
    }
    // a symbolic link or directory of that name is refused by `read_file`
    let bytes = git.read_file(commit, &repo_path).map_err(unreadable)?;
    String::from_utf8(bytes).map(Some).map_err(|_| invalid("it is not UTF-8"))
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_no_unknown_keys() {
        let rules = ProtectedRules::parse("[tests]\ncommand = 'make check'\n", "").unwrap();
        let tests = rules.tests.unwrap();
        assert_eq!((tests.timeout_seconds, tests.directory.as_str()), (1800, "."));
        for (gates, wanted) in [
            ("[tests]\ncommand = 'a'\ntimeout = 3\n", "unknown field `timeout`"),
            ("[test]\ncommand = 'a'\n", "unknown field `test`"),
            ("[tests]\ncommand = ' '\n", "`command` is empty"),
            ("[tests]\ncommand = 'a'\ntimeout_seconds = 0\n", "`timeout_seconds` is `0`"),
            ("[tests]\ncommand = 'a'\ndirectory = '../x'\n", "`../x`"),
            ("[tests\n", "line 1"),
        ] {
            let message = ProtectedRules::parse(gates, "").unwrap_err().to_string();
            assert!(message.contains(wanted), "{gates}: {message}");
        }
    }

    #[test]
    fn an_ignore_needs_fingerprint_reason_and_expiry() {
        let fingerprint = Digest::of(b"x");
        let good = format!(
            "[[ignore]]\nfingerprint = '{fingerprint}'\nperson = 'ada'\nreason = 'test key'\nexpires = '2027-01-31'\n"
        );
        let rules = ProtectedRules::parse("", &good).unwrap();
        let suppression = rules.gates.suppression(&fingerprint).unwrap();
        assert_eq!(suppression.expires_at.to_string(), "2027-01-31T00:00:00Z");
        for without in ["fingerprint", "person", "reason", "expires"] {
            let bad: Vec<&str> = good.lines().filter(|line| !line.starts_with(without)).collect();
            let message = ProtectedRules::parse("", &bad.join("\n")).unwrap_err().to_string();
            assert!(message.contains(without), "{message}");
        }
        let empty = good.replace("test key", " ");
        assert!(ProtectedRules::parse("", &empty).unwrap_err().to_string().contains("no reason"));
    }
}
