//! The rules, each with what it means and what to do.

/// What a finding does to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// Stops it.
    Block,
    /// A person has to look at it.
    Ask,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// The worst.
    Critical,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each one is described by its `RuleText`, which users see")]
pub enum Rule {
    LockMismatch,
    LockRemoved,
    Unreachable,
    Dangling,
    Repeated,
    IntegrityMissing,
    IntegrityMalformed,
    IntegrityWeaker,
    IntegrityChanged,
    IntegrityAdded,
    IntegrityConflict,
    ResolvedChanged,
    ResolvedOther,
    ForeignHost,
    InsecureTransport,
    RegistrySetting,
    SourceSwitched,
    SourceUnusual,
    GitUnpinned,
    PathEscapes,
    NameInvalid,
    Aliased,
    Override,
    InstallScript,
    Unbounded,
    Vulnerable,
    VulnerableMinor,
    LicenceDenied,
    LicenceUnknown,
    NameAbsent,
    NameNew,
    NameUnused,
    NameNear,
    NamePattern,
}

/// What a rule means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleText {
    /// The stable name, such as `dependencies/integrity-changed`.
    pub id: &'static str,
    /// What it does.
    pub decides: Decides,
    /// How bad it is.
    pub severity: Severity,
    /// The weakness in the Common Weakness Enumeration.
    pub cwe: u16,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const fn block(
    id: &'static str,
    severity: Severity,
    cwe: u16,
    why: &'static str,
    fix: &'static str,
) -> RuleText {
    RuleText { id, decides: Decides::Block, severity, cwe, why, fix }
}

const fn ask(
    id: &'static str,
    severity: Severity,
    cwe: u16,
    why: &'static str,
    fix: &'static str,
) -> RuleText {
    RuleText { id, decides: Decides::Ask, severity, cwe, why, fix }
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 34] = [
        Self::LockMismatch,
        Self::LockRemoved,
        Self::Unreachable,
        Self::Dangling,
        Self::Repeated,
        Self::IntegrityMissing,
        Self::IntegrityMalformed,
        Self::IntegrityWeaker,
        Self::IntegrityChanged,
        Self::IntegrityAdded,
        Self::IntegrityConflict,
        Self::ResolvedChanged,
        Self::ResolvedOther,
        Self::ForeignHost,
        Self::InsecureTransport,
        Self::RegistrySetting,
        Self::SourceSwitched,
        Self::SourceUnusual,
        Self::GitUnpinned,
        Self::PathEscapes,
        Self::NameInvalid,
        Self::Aliased,
        Self::Override,
        Self::InstallScript,
        Self::Unbounded,
        Self::Vulnerable,
        Self::VulnerableMinor,
        Self::LicenceDenied,
        Self::LicenceUnknown,
        Self::NameAbsent,
        Self::NameNew,
        Self::NameUnused,
        Self::NameNear,
        Self::NamePattern,
    ];

    /// Whether it is about names, and so of the gate `slopsquat`.
    pub fn is_about_names(self) -> bool {
        self.text().id.starts_with("slopsquat/")
    }

    /// What it means.
    pub fn text(self) -> &'static RuleText {
        use Severity::{Critical, High, Low, Medium};
        match self {
            Self::LockMismatch => {
                const {
                    &block(
                        "dependencies/lock-mismatch",
                        High,
                        345,
                        "manifest and lock file disagree: what is reviewed in one is not what the other installs",
                        "let the package manager write the lock file anew from the manifest, and commit both",
                    )
                }
            }
            Self::LockRemoved => {
                const {
                    &block(
                        "dependencies/lock-removed",
                        High,
                        1357,
                        "without the lock file every installation may bring other versions than those that were tested",
                        "put the lock file back; if the project changes its package manager, bring the new lock file in the same change",
                    )
                }
            }
            Self::Unreachable => {
                const {
                    &block(
                        "dependencies/unreachable-entry",
                        High,
                        829,
                        "the entry is in the lock file, yet nothing in the project asks for it: a place to hide a package",
                        "let the package manager prune the lock file; add the package to the manifest if it is needed",
                    )
                }
            }
            Self::Dangling => {
                const {
                    &block(
                        "dependencies/dangling-entry",
                        Medium,
                        345,
                        "an entry depends on one that is not in the lock file, so installing takes whatever is newest",
                        "let the package manager write the lock file anew",
                    )
                }
            }
            Self::Repeated => {
                const {
                    &block(
                        "dependencies/repeated-entry",
                        High,
                        694,
                        "an entry stands twice, and clients differ in which of the two they take",
                        "let the package manager write the lock file anew",
                    )
                }
            }
            Self::IntegrityMissing => {
                const {
                    &block(
                        "dependencies/integrity-missing",
                        High,
                        353,
                        "without its hash, nothing notices when other content is delivered",
                        "let the package manager write the hash: it comes from the registry",
                    )
                }
            }
            Self::IntegrityMalformed => {
                const {
                    &block(
                        "dependencies/integrity-malformed",
                        High,
                        354,
                        "a hash that is none is ignored by some clients, so nothing is checked",
                        "let the package manager write the hash anew",
                    )
                }
            }
            Self::IntegrityWeaker => {
                const {
                    &block(
                        "dependencies/integrity-weaker",
                        High,
                        328,
                        "a hash was replaced by one under which other content can be delivered",
                        "restore the stronger hash",
                    )
                }
            }
            Self::IntegrityChanged => {
                const {
                    &block(
                        "dependencies/integrity-changed",
                        Critical,
                        494,
                        "the same version now means other content; registries never do that",
                        "restore the hash; if the registry really delivers other content, treat it as an incident",
                    )
                }
            }
            Self::IntegrityAdded => {
                const {
                    &ask(
                        "dependencies/integrity-added",
                        Medium,
                        494,
                        "another file is now accepted for the same version; it may be a file that was published later, or somebody's own",
                        "compare the added hash with what the index shows for this version",
                    )
                }
            }
            Self::IntegrityConflict => {
                const {
                    &block(
                        "dependencies/integrity-conflict",
                        High,
                        354,
                        "one version of one package has two different contents in one lock file",
                        "let the package manager write the lock file anew",
                    )
                }
            }
            Self::ResolvedChanged => {
                const {
                    &block(
                        "dependencies/resolved-changed",
                        High,
                        494,
                        "the same version is now fetched from another address",
                        "restore the address",
                    )
                }
            }
            Self::ResolvedOther => {
                const {
                    &block(
                        "dependencies/resolved-other-package",
                        Critical,
                        345,
                        "the address leads to another package or version than the entry says",
                        "let the package manager write the lock file anew",
                    )
                }
            }
            Self::ForeignHost => {
                const {
                    &block(
                        "dependencies/foreign-host",
                        High,
                        829,
                        "the package comes from a host that is no registry of this project",
                        "take it from the registry; a host that is right is named in `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch",
                    )
                }
            }
            Self::InsecureTransport => {
                const {
                    &block(
                        "dependencies/insecure-transport",
                        High,
                        319,
                        "what is fetched without encryption can be exchanged under way",
                        "use https or ssh",
                    )
                }
            }
            Self::RegistrySetting => {
                const {
                    &block(
                        "dependencies/registry-setting",
                        High,
                        427,
                        "packages may now come from another place: a package of the same name there wins over the intended one",
                        "take the setting out; a registry that is right is named in `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch",
                    )
                }
            }
            Self::SourceSwitched => {
                const {
                    &block(
                        "dependencies/source-switched",
                        High,
                        829,
                        "a known package now comes from elsewhere, under the same name",
                        "take it from where it came; a fork that is right is allowed in `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch",
                    )
                }
            }
            Self::SourceUnusual => {
                const {
                    &ask(
                        "dependencies/source-unusual",
                        Medium,
                        829,
                        "a new dependency comes from outside the registries, where no one else uses or watches it",
                        "look at the source; prefer a published version",
                    )
                }
            }
            Self::GitUnpinned => {
                const {
                    &block(
                        "dependencies/git-unpinned",
                        High,
                        1357,
                        "a branch or tag can be moved to other content at any time",
                        "name the full commit",
                    )
                }
            }
            Self::PathEscapes => {
                const {
                    &block(
                        "dependencies/path-escapes",
                        High,
                        22,
                        "the path leads out of the repository, to whatever lies there on the machine that installs",
                        "keep the dependency within the repository, or publish it",
                    )
                }
            }
            Self::NameInvalid => {
                const {
                    &block(
                        "dependencies/name-invalid",
                        High,
                        1007,
                        "no registry has a package of this name: it has characters that look like others, or none at all",
                        "write the name in plain letters",
                    )
                }
            }
            Self::Aliased => {
                const {
                    &ask(
                        "dependencies/aliased",
                        Medium,
                        1007,
                        "the code speaks of one package and gets another",
                        "depend on the package by its own name, or say why not",
                    )
                }
            }
            Self::Override => {
                const {
                    &ask(
                        "dependencies/override",
                        Medium,
                        829,
                        "the change decides which version or source the dependencies of others get",
                        "say why; prefer an update of the dependency itself",
                    )
                }
            }
            Self::InstallScript => {
                const {
                    &ask(
                        "dependencies/install-script",
                        Medium,
                        829,
                        "code of the package runs when it is installed, on every machine, before any test",
                        "read the script; install with scripts switched off where it is not needed",
                    )
                }
            }
            Self::Unbounded => {
                const {
                    &ask(
                        "dependencies/unbounded",
                        Low,
                        1357,
                        "any version that is ever published meets the requirement",
                        "name the version that was tested as the lower bound, and an upper bound",
                    )
                }
            }
            Self::Vulnerable => {
                const {
                    &block(
                        "dependencies/vulnerable",
                        High,
                        1395,
                        "the version has a published vulnerability",
                        "take a version that has the fix; the finding names it where one is known",
                    )
                }
            }
            Self::VulnerableMinor => {
                const {
                    &ask(
                        "dependencies/vulnerable-minor",
                        Low,
                        1395,
                        "the version has a published vulnerability, of less weight than what stops a change here",
                        "take a version that has the fix; the finding names it where one is known",
                    )
                }
            }
            Self::LicenceDenied => {
                const {
                    &block(
                        "dependencies/licence-denied",
                        Medium,
                        1357,
                        "the licence is not among those that the organisation allows",
                        "take another package, or have the licence allowed in `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch",
                    )
                }
            }
            Self::LicenceUnknown => {
                const {
                    &ask(
                        "dependencies/licence-unknown",
                        Low,
                        1357,
                        "nothing here says under which licence the package may be used",
                        "look it up, and record it in `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch",
                    )
                }
            }
            Self::NameAbsent => {
                const {
                    &block(
                        "slopsquat/absent",
                        Critical,
                        829,
                        "the index has no package of this name: models make such names up, and attackers register them",
                        "look up what the package is really called",
                    )
                }
            }
            Self::NameNew => {
                const {
                    &ask(
                        "slopsquat/new",
                        Medium,
                        829,
                        "the package is so young that nobody has had time to look at it",
                        "look at the package and its owner; wait, or take an established one",
                    )
                }
            }
            Self::NameUnused => {
                const {
                    &ask(
                        "slopsquat/unused",
                        Medium,
                        829,
                        "hardly anybody uses the package, so hardly anybody would notice what it does",
                        "look at the package and its owner; take an established one",
                    )
                }
            }
            Self::NameNear => {
                const {
                    &ask(
                        "slopsquat/near",
                        High,
                        1007,
                        "the name is almost that of a well-known package",
                        "make sure that it is the package you mean",
                    )
                }
            }
            Self::NamePattern => {
                const {
                    &ask(
                        "slopsquat/pattern",
                        High,
                        1007,
                        "the name is put together from a well-known one in a way that models invent names",
                        "make sure that it is the package you mean, and from whom it is",
                    )
                }
            }
        }
    }

    /// The rule of a stable name.
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.text().id == id)
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The rule.
    pub rule: Rule,
    /// The file.
    pub path: String,
    /// The line, counted from 1, where known.
    pub line: Option<u32>,
    /// What it is about, the same at every commit; told apart by this and rule and path.
    pub subject: String,
    /// What was found, in a sentence.
    pub message: String,
}

impl Found {
    pub(crate) fn new(rule: Rule, path: &str, subject: &str, message: String) -> Self {
        Self { rule, path: path.to_owned(), line: None, subject: subject.to_owned(), message }
    }

    /// What tells it apart from others.
    pub(crate) fn identity(&self) -> (Rule, &str, &str) {
        (self.rule, &self.path, &self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_a_way_out() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.text().id).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            let text = rule.text();
            assert!(!text.why.is_empty() && !text.fix.is_empty() && text.cwe > 0, "{rule:?}");
            assert_eq!(Rule::of(text.id), Some(rule));
        }
    }
}
