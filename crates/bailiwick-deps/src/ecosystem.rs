//! Where packages come from, and what is the same package there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A world of packages with names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// crates.io.
    Cargo,
    /// The npm registry, whichever client is used.
    Npm,
    /// The Python Package Index.
    Pypi,
    /// Go modules.
    Go,
    /// Maven Central, also for Gradle.
    Maven,
}

/// A name that is no ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no ecosystem; there are cargo, npm, pypi, go and maven")]
pub struct EcosystemError {
    /// The name.
    pub name: String,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cargo, Self::Npm, Self::Pypi, Self::Go, Self::Maven];

    /// Its name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Go => "go",
            Self::Maven => "maven",
        }
    }

    /// Its name in advisories of the OSV form.
    pub fn osv(self) -> &'static str {
        match self {
            Self::Cargo => "crates.io",
            Self::Npm => "npm",
            Self::Pypi => "PyPI",
            Self::Go => "Go",
            Self::Maven => "Maven",
        }
    }

    /// Its type in a package URL.
    pub fn purl_type(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Go => "golang",
            Self::Maven => "maven",
        }
    }

    /// The one spelling of names that the ecosystem takes for the same.
    pub fn canonical(self, name: &str) -> String {
        match self {
            // PEP 503
            Self::Pypi => {
                let mut out = String::with_capacity(name.len());
                for c in name.trim().chars() {
                    let c = if matches!(c, '_' | '.' | '-') { '-' } else { c.to_ascii_lowercase() };
                    if c != '-' || !out.ends_with('-') {
                        out.push(c);
                    }
                }
                out
            }
            // crates.io has no two names that differ in these only
            Self::Cargo => name.trim().to_ascii_lowercase().replace('_', "-"),
            Self::Npm | Self::Go | Self::Maven => name.trim().to_owned(),
        }
    }

    /// Hosts that packages of this ecosystem come from unless a policy says otherwise.
    pub fn usual_hosts(self) -> &'static [&'static str] {
        match self {
            Self::Cargo => &["index.crates.io", "crates.io", "static.crates.io"],
            Self::Npm => &["registry.npmjs.org", "registry.yarnpkg.com"],
            Self::Pypi => &["pypi.org", "files.pythonhosted.org", "pypi.python.org"],
            Self::Go => &["proxy.golang.org", "sum.golang.org"],
            Self::Maven => &[
                "repo.maven.apache.org",
                "repo1.maven.org",
                "maven.google.com",
                "dl.google.com",
                "plugins.gradle.org",
            ],
        }
    }

    /// Whether a name can be one of this ecosystem at all.
    pub fn accepts(self, name: &str) -> bool {
        let plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if name.len() > 300 || name.contains("..") {
            return false;
        }
        match self {
            Self::Cargo => plain(name, "-_"),
            Self::Pypi => {
                plain(name, "-_.")
                    && !name.starts_with(['-', '.', '_'])
                    && !name.ends_with(['-', '.', '_'])
            }
            Self::Npm => match name.strip_prefix('@') {
                Some(rest) => rest.split_once('/').is_some_and(|(scope, name)| {
                    plain(scope, "-_.~") && plain(name, "-_.~!'()*") && !name.starts_with('.')
                }),
                None => plain(name, "-_.~!'()*") && !name.starts_with('.'),
            },
            Self::Go => {
                name.split('/').all(|part| plain(part, "-_.~!$&+")) && !name.starts_with('-')
            }
            Self::Maven => name
                .split_once(':')
                .is_some_and(|(group, artifact)| plain(group, "-_.") && plain(artifact, "-_.")),
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Ecosystem {
    type Err = EcosystemError;

    fn from_str(text: &str) -> Result<Self, EcosystemError> {
        Self::ALL
            .into_iter()
            .find(|one| one.name() == text || one.osv().eq_ignore_ascii_case(text))
            .ok_or_else(|| EcosystemError { name: text.chars().take(80).collect() })
    }
}
