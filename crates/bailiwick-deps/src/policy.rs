//! What the protected branch says of dependencies: `[settings.dependencies]` in
//! `.bailiwick/gates.toml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::advisory::Threat;
use crate::ecosystem::Ecosystem;

/// What is to be done when something that a check needs is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The gate is inconclusive.
    #[default]
    Required,
    /// The check is left out, and the gate says so.
    Off,
}

/// What to do about something unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// Nothing.
    #[default]
    Allow,
    /// A person looks.
    Ask,
    /// It stops the change.
    Block,
}

/// The rules for dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Known vulnerabilities.
    pub advisories: AdvisoryPolicy,
    /// Licences.
    pub licences: LicencePolicy,
    /// The index of names.
    pub index: IndexPolicy,
    /// Hosts of registries beside the usual ones, by ecosystem.
    pub registries: BTreeMap<Ecosystem, BTreeSet<String>>,
    /// Sources outside the registries that are right.
    pub sources: SourcePolicy,
}

/// `[advisories]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvisoryPolicy {
    /// Whether they have to be there. Default `required`.
    pub check: Need,
    /// The oldest mirror that still counts, in days. Default 14.
    pub max_age_days: u32,
    /// From which severity on a vulnerability stops a change; others ask. Default `medium`.
    pub block_at: Threat,
    /// Advisories that do not concern this project, with the reason.
    pub ignore: BTreeMap<String, Ignore>,
}

/// An advisory that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// Why.
    pub reason: String,
    /// The first day on which it counts again.
    pub expires: jiff::civil::Date,
}

impl Default for AdvisoryPolicy {
    fn default() -> Self {
        Self {
            check: Need::Required,
            max_age_days: 14,
            block_at: Threat::Medium,
            ignore: BTreeMap::new(),
        }
    }
}

/// `[licences]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LicencePolicy {
    /// SPDX identifiers that may be used; empty for all that are not denied.
    pub allow: BTreeSet<String>,
    /// SPDX identifiers that may not.
    pub deny: BTreeSet<String>,
    /// What to do when a licence is not known. Default `allow`.
    pub unknown: OnUnknown,
    /// Licences of packages whose lock file does not say, as `ecosystem:name`.
    pub known: BTreeMap<String, String>,
}

/// `[index]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexPolicy {
    /// Whether names have to be looked up. Default `required`.
    pub check: Need,
    /// A package younger than this asks a person, in days. Default 30.
    pub min_age_days: u32,
    /// A package with fewer downloads in a month asks a person, where the index knows. Default 200.
    pub min_downloads: u64,
    /// The oldest snapshot of an index that still counts, in days. Default 90.
    pub max_age_days: u32,
    /// Names of the project's own or known to be right, as `ecosystem:name`; a `*` at the end
    /// stands for the rest.
    pub known: BTreeSet<String>,
}

impl Default for IndexPolicy {
    fn default() -> Self {
        Self {
            check: Need::Required,
            min_age_days: 30,
            min_downloads: 200,
            max_age_days: 90,
            known: BTreeSet::new(),
        }
    }
}

impl IndexPolicy {
    /// Whether a name is one of the project's own.
    pub fn knows(&self, ecosystem: Ecosystem, name: &str) -> bool {
        let full = format!("{ecosystem}:{name}");
        self.known.iter().any(|known| match known.strip_suffix('*') {
            Some(prefix) => full.starts_with(prefix),
            None => *known == full,
        })
    }
}

/// `[sources]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourcePolicy {
    /// Beginnings of git addresses that may be used, such as `https://github.com/example/`.
    pub git: BTreeSet<String>,
}

/// The file is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings of dependencies on the protected branch are not valid: {message}")]
pub struct PolicyError {
    /// What is wrong.
    pub message: String,
}

impl Policy {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError {
            message: error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        })?;
        policy.checked()
    }

    /// Refuses what can be written and means nothing.
    pub fn checked(self) -> Result<Self, PolicyError> {
        for (id, ignore) in &self.advisories.ignore {
            if ignore.reason.trim().is_empty() {
                return Err(PolicyError { message: format!("the ignore of `{id}` has no reason") });
            }
        }
        for id in self.licences.allow.iter().chain(&self.licences.deny) {
            if spdx::license_id(id).is_none() {
                return Err(PolicyError {
                    message: format!("`{id}` is no identifier of the SPDX licence list"),
                });
            }
        }
        Ok(self)
    }

    /// Whether a host is a registry of an ecosystem.
    pub(crate) fn allows_host(&self, ecosystem: Ecosystem, host: &str) -> bool {
        ecosystem.usual_hosts().contains(&host)
            || self.registries.get(&ecosystem).is_some_and(|hosts| hosts.contains(host))
    }

    /// Whether a git address is right.
    pub(crate) fn allows_git(&self, url: &str) -> bool {
        self.sources.git.iter().any(|allowed| {
            url.starts_with(allowed.as_str())
                && (allowed.ends_with('/')
                    || url.len() == allowed.len()
                    || url.get(allowed.len()..).is_some_and(|rest| rest.starts_with(['/', '.'])))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_no_unknown_keys() {
        assert_eq!(Policy::parse("").unwrap(), Policy::default());
        let policy = Policy::parse(
            "[advisories]\nmax_age_days = 3\nblock_at = 'critical'\n[licences]\ndeny = ['GPL-3.0-only']\n[registries]\nnpm = ['npm.example']\n[sources]\ngit = ['https://github.com/example']\n",
        )
        .unwrap();
        assert!(policy.allows_host(Ecosystem::Npm, "npm.example"));
        assert!(!policy.allows_host(Ecosystem::Pypi, "npm.example"));
        assert!(policy.allows_git("https://github.com/example/x"));
        assert!(!policy.allows_git("https://github.com/example-evil/x"));
        for bad in [
            "[advisories]\nmax_age = 3\n",
            "[licences]\nallow = ['My own']\n",
            "[registries]\nrubygems = []\n",
            "[advisories.ignore.X]\nreason = ' '\nexpires = '2027-01-01'\n",
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
    }
}
