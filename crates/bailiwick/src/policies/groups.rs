//! Gates ask groups; a gate that asks a group which does not exist asks nobody.

use std::collections::BTreeSet;

use bailiwick_policy::{Layer, PolicyError, PolicySet, RuleEffect, STARTERS, Starter};
use bailiwick_store::Store;

use super::Refused;

/// The code of a policy that asks a group which does not exist.
pub(super) const CODE: &str = "policy.group_unknown";

/// Who agrees by reviewing a pull request: whoever has the role, not a group that people join.
const REVIEWERS: &str = "reviewers";

/// Whether a source is one that comes with the program. Its gates ask groups that an organisation
/// may or may not have: until it has them, what they ask about lapses.
fn comes_with_the_program(set: &PolicySet, name: &str) -> bool {
    let text = set.source_text(name);
    let mut starters = STARTERS.iter().flat_map(Starter::sources);
    text.is_some() && starters.any(|own| own.name == name && Some(own.text.as_str()) == text)
}

/// The groups that there are; nothing where nobody has an account and one person is everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Groups(Option<BTreeSet<String>>);

impl Groups {
    /// Those of a platform, as of the newest commit.
    pub(super) fn of(store: &Store) -> Self {
        store.people(|people| {
            let directory = &people.directory;
            let names = || {
                let names = directory.groups.keys().map(ToString::to_string);
                names.chain([REVIEWERS.to_owned()]).collect()
            };
            Self((!directory.is_open()).then(names))
        })
    }

    /// Any group, for what is in force for want of a better one.
    pub(super) fn any() -> Self {
        Self(None)
    }

    /// Refuses a layer whose gates ask a group that does not exist.
    pub(super) fn check(&self, set: &PolicySet, layer: &Layer) -> Result<(), Refused> {
        let Some(known) = &self.0 else { return Ok(()) };
        let mut errors = Vec::new();
        for rule in set.rules().filter(|rule| rule.layer == *layer) {
            let RuleEffect::Gate { group } = &rule.effect else { continue };
            if !known.contains(group) && !comes_with_the_program(set, &rule.source) {
                errors.push(PolicyError {
                    file: rule.source.clone(),
                    line: rule.line,
                    column: rule.column,
                    policy: Some(rule.id.clone()),
                    what: format!("there is no group `{group}`"),
                    why: "nobody could approve what this gate asks about",
                    fix: format!("add it: `bailiwick group add {group}`; or name one that exists"),
                });
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(Refused::new(&layer.to_string(), CODE, &errors))
    }
}
