//! The whole check of a change: everything that the two gates say.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_model::Timestamp;

use crate::advisory::Advisories;
use crate::change::{self, ChangeKind, DependencyChange};
use crate::error::ReadError;
use crate::index::{Lookup, PackageIndex};
use crate::kind::FileKind;
use crate::licence::{self, LicenceVerdict};
use crate::names;
use crate::package::{InstallScript, Package, PackageName, Source, shown};
use crate::policy::{Need, OnUnknown, Policy};
use crate::rule::{Found, Rule};
use crate::snapshot::{Files, Snapshot, Unit, directory};
use crate::state;
use crate::version::compare;

/// What the check goes by.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The files that speak of dependencies, at the commit that the change starts from.
    pub base: &'a Files,
    /// The same at the change.
    pub head: &'a Files,
    /// The rules of the protected branch.
    pub policy: &'a Policy,
    /// Known vulnerabilities, if there is a mirror.
    pub advisories: Option<&'a Advisories>,
    /// Who knows which names exist.
    pub index: Option<&'a dyn PackageIndex>,
    /// Now.
    pub now: Timestamp,
    /// Rules that are switched off.
    pub off: &'a BTreeSet<Rule>,
}

impl std::fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} files before, {} after", self.base.len(), self.head.len())
    }
}

/// Which gate a statement belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// `dependencies`.
    Dependencies,
    /// `slopsquat`.
    Names,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the change does, by file and package.
    pub changes: Vec<DependencyChange>,
    /// New findings.
    pub findings: Vec<Found>,
    /// What could not be found out, and so blocks.
    pub inconclusive: Vec<(Topic, String)>,
    /// What a reader should know besides: what was not checked, and how old a mirror is.
    pub notes: Vec<(Topic, String)>,
}

/// Checks a change. Blocks as long as the index does.
pub fn check(inputs: &Inputs<'_>) -> Report {
    let mut report = Report::default();
    let touched: BTreeSet<&str> = inputs
        .base
        .keys()
        .chain(inputs.head.keys())
        .filter(|path| FileKind::of(path).is_some())
        .filter(|path| inputs.base.get(*path) != inputs.head.get(*path))
        .map(String::as_str)
        .collect();
    if touched.is_empty() {
        return report;
    }
    let (base, head) = (Snapshot::read(inputs.base), Snapshot::read(inputs.head));
    unreadable(&head, &touched, &mut report);
    let (base_units, head_units) = (base.units(), head.units());
    report.changes = change::changes(&base_units, &head_units);

    let old = state::findings(&base, inputs.policy);
    let known: BTreeSet<_> = old.iter().map(Found::identity).collect();
    let new = state::findings(&head, inputs.policy);
    let mut found: Vec<Found> =
        new.iter().filter(|one| !known.contains(&one.identity())).cloned().collect();
    change::findings(&base, &head, inputs.policy, &mut found);
    let fresh = fresh(&report.changes, &head_units);
    vulnerabilities(inputs, &fresh, &mut report, &mut found);
    licences(inputs.policy, &fresh, &mut found);
    scripts(&report.changes, &base_units, &fresh, &mut found);
    slopsquats(inputs, &mut report, &mut found);

    found.retain(|one| !inputs.off.contains(&one.rule));
    found.sort_by(|one, other| one.identity().cmp(&other.identity()));
    found.dedup_by(|one, other| one.identity() == other.identity());
    report.findings = found;
    report
}

/// A file that can't be read blocks if the change touches it, or something beside it.
fn unreadable(head: &Snapshot<'_>, touched: &BTreeSet<&str>, report: &mut Report) {
    for (path, error) in &head.unreadable {
        let near = touched.iter().any(|other| directory(other) == directory(path));
        if touched.contains(path) || near {
            report.inconclusive.push((Topic::Dependencies, cannot_read(path, error)));
            report.inconclusive.push((Topic::Names, cannot_read(path, error)));
        }
    }
}

fn cannot_read(path: &str, error: &ReadError) -> String {
    format!("`{}` can't be judged: {error}; {}", shown(path), error.hint())
}

/// A package that the change brings, with the unit that it is in.
struct Fresh<'a> {
    unit: &'a Unit<'a>,
    package: &'a Package,
}

/// The packages that are new, or have a version that is.
fn fresh<'a>(changes: &[DependencyChange], head: &'a [Unit<'a>]) -> Vec<Fresh<'a>> {
    let mut all = Vec::new();
    for unit in head {
        let mine: BTreeMap<String, &DependencyChange> = changes
            .iter()
            .filter(|change| change.path == unit.path && change.kind != ChangeKind::Removed)
            .map(|change| (unit.ecosystem.canonical(&change.name), change))
            .collect();
        for package in unit.lock.packages.iter().filter(|one| one.is_foreign()) {
            let change = mine.get(&unit.ecosystem.canonical(&package.name));
            if change.is_some_and(|change| !change.before.contains(&package.version)) {
                all.push(Fresh { unit, package });
            }
        }
    }
    all
}

fn add(found: &mut Vec<Found>, rule: Rule, fresh: &Fresh<'_>, subject: String, message: String) {
    found.push(Found::new(rule, fresh.unit.path, &subject, message));
}

fn vulnerabilities(
    inputs: &Inputs<'_>,
    fresh: &[Fresh<'_>],
    report: &mut Report,
    found: &mut Vec<Found>,
) {
    let policy = &inputs.policy.advisories;
    let from_registry: Vec<&Fresh<'_>> =
        fresh.iter().filter(|one| matches!(one.package.source, Source::Registry { .. })).collect();
    if from_registry.is_empty() {
        return;
    }
    if policy.check == Need::Off {
        let note = "known vulnerabilities were not checked: the protected branch says `advisories.check = \"off\"`";
        report.notes.push((Topic::Dependencies, note.to_owned()));
        return;
    }
    let Some(advisories) = inputs.advisories else {
        let reason = "known vulnerabilities were not checked: there is no mirror of advisories; name one with \
             `dependencies.advisories` in the configuration or `--advisories DIR`, or say \
             `[advisories] check = \"off\"` in `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch";
        report.inconclusive.push((Topic::Dependencies, reason.to_owned()));
        return;
    };
    match advisories.age_days(inputs.now) {
        None => {
            let reason = "the mirror of advisories is empty; fetch it anew".to_owned();
            report.inconclusive.push((Topic::Dependencies, reason));
        }
        Some(days) if days > i64::from(policy.max_age_days) => {
            let reason = format!(
                "the mirror of advisories is {days} days old, more than {}; fetch it anew",
                policy.max_age_days
            );
            report.inconclusive.push((Topic::Dependencies, reason));
        }
        Some(days) => {
            let note = format!("{} advisories, {days} days old", advisories.count);
            report.notes.push((Topic::Dependencies, note));
        }
    }
    let today = inputs.now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut open = 0_usize;
    for one in from_registry {
        let package = one.package;
        let ecosystem = one.unit.ecosystem;
        if compare(ecosystem, &package.version, &package.version).is_none() {
            open += 1;
            continue;
        }
        for advisory in advisories.about(ecosystem, &package.name, &package.version) {
            let ignored = std::iter::once(&advisory.id)
                .chain(&advisory.aliases)
                .any(|id| policy.ignore.get(id).is_some_and(|ignore| today < ignore.expires));
            if ignored {
                continue;
            }
            let fixed = advisory.fixed_in();
            let fix = if advisory.malicious {
                "the package itself is the attack".to_owned()
            } else if fixed.is_empty() {
                "no fixed version is known".to_owned()
            } else {
                format!("fixed in {}", shown(&fixed.join(", ")))
            };
            let message = format!(
                "`{}` {} has {}: {} ({fix})",
                shown(&package.name),
                shown(&package.version),
                shown(&advisory.id),
                shown(&advisory.summary)
            );
            let subject = format!("{} {} {}", package.name, package.version, advisory.id);
            let rule = if advisory.threat < policy.block_at {
                Rule::VulnerableMinor
            } else {
                Rule::Vulnerable
            };
            add(found, rule, one, subject, message);
        }
    }
    if open > 0 {
        let note = format!(
            "{open} requirements name no exact version and have no lock file, so advisories were not held against them"
        );
        report.notes.push((Topic::Dependencies, note));
    }
}

fn licences(policy: &Policy, fresh: &[Fresh<'_>], found: &mut Vec<Found>) {
    let licences = &policy.licences;
    let is_used = !licences.allow.is_empty() || !licences.deny.is_empty();
    if !is_used && licences.unknown == OnUnknown::Allow {
        return;
    }
    for one in fresh {
        let package = one.package;
        let name = one.unit.ecosystem.canonical(&package.name);
        let key = format!("{}:{name}", one.unit.ecosystem);
        let licence = licences.known.get(&key).or(package.licence.as_ref());
        let subject = format!("{} {}", package.name, package.version);
        let title = format!("`{}` {}", shown(&package.name), shown(&package.version));
        match licence.map(|text| (text, licence::judge(text, licences))) {
            Some((_, LicenceVerdict::Allowed)) => {}
            Some((text, LicenceVerdict::Denied)) => {
                let message = format!("{title} has the licence `{}`", shown(text));
                add(found, Rule::LicenceDenied, one, subject, message);
            }
            Some((_, LicenceVerdict::Unknown)) | None => {
                let rule = match licences.unknown {
                    OnUnknown::Allow => continue,
                    OnUnknown::Ask => Rule::LicenceUnknown,
                    OnUnknown::Block => Rule::LicenceDenied,
                };
                let what = licence.map_or_else(
                    || "is not known here".to_owned(),
                    |text| format!("is `{}`, which is no SPDX expression", shown(text)),
                );
                let message = format!("the licence of {title} {what}");
                add(found, rule, one, subject, message);
            }
        }
    }
}

/// A script that an earlier version did not have yet.
fn scripts(
    changes: &[DependencyChange],
    base: &[Unit<'_>],
    fresh: &[Fresh<'_>],
    found: &mut Vec<Found>,
) {
    for one in fresh {
        let package = one.package;
        if package.script != InstallScript::Yes {
            continue;
        }
        let had = base.iter().filter(|unit| unit.path == one.unit.path).any(|unit| {
            unit.lock
                .packages
                .iter()
                .any(|old| old.name == package.name && old.script == InstallScript::Yes)
        });
        if had {
            continue;
        }
        let through = changes
            .iter()
            .find(|change| change.path == one.unit.path && change.name == package.name)
            .map(|change| change.through.join(" → "))
            .unwrap_or_default();
        let message = format!(
            "`{}` {} runs code when it is installed (through {})",
            shown(&package.name),
            shown(&package.version),
            shown(&through)
        );
        add(found, Rule::InstallScript, one, package.name.clone(), message);
    }
}

/// The names that the change adds, against what exists and what is well known.
fn slopsquats(inputs: &Inputs<'_>, report: &mut Report, found: &mut Vec<Found>) {
    let mut asked: BTreeSet<(PackageName, &str)> = BTreeSet::new();
    let mut unasked: BTreeSet<String> = BTreeSet::new();
    let before: BTreeSet<PackageName> = report
        .changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Added)
        .map(|change| PackageName::new(change.ecosystem, &change.name))
        .collect();
    let mut out = Vec::new();
    for change in report.changes.iter().filter(|change| change.kind == ChangeKind::Added) {
        let in_registry =
            change.sources_after.iter().any(|source| matches!(source, Source::Registry { .. }));
        let name = PackageName::new(change.ecosystem, &change.name);
        if !in_registry || before.contains(&name) || !asked.insert((name.clone(), &change.path)) {
            continue;
        }
        let verdict = judge_name(inputs, &name, change.is_direct());
        for (rule, message) in verdict.found {
            out.push(Found::new(rule, &change.path, &name.name, message));
        }
        unasked.extend(verdict.unknown);
    }
    found.extend(out);
    let (mut reasons, more) = (unasked.into_iter(), asked.len());
    if let Some(first) = reasons.next() {
        report.inconclusive.push((Topic::Names, first));
    } else if more > 0 {
        report.notes.push((Topic::Names, format!("{more} added names were looked at")));
    }
}

/// What is said of one name.
#[derive(Default)]
pub(crate) struct NameVerdict {
    /// What stands against it.
    pub(crate) found: Vec<(Rule, String)>,
    /// Why it could not be found out whether it exists.
    pub(crate) unknown: Option<String>,
}

pub(crate) fn judge_name(inputs: &Inputs<'_>, name: &PackageName, direct: bool) -> NameVerdict {
    let policy = &inputs.policy.index;
    if policy.knows(name.ecosystem, &name.name) || names::is_popular(name.ecosystem, &name.name) {
        return NameVerdict::default();
    }
    // what can't be a name at all has a rule of its own
    if !name.ecosystem.accepts(&name.name) {
        return NameVerdict::default();
    }
    let shown_name = shown(&name.name);
    let mut all = Vec::new();
    let lookup = match (policy.check, inputs.index) {
        (Need::Off, _) => None,
        (Need::Required, Some(index)) => Some(match index.look_up(name, inputs.now) {
            // that a name was there is still true in an old index, that it was not is not
            Lookup::Absent { index_age_days }
                if index_age_days > i64::from(policy.max_age_days) =>
            {
                Lookup::Unavailable {
                    reason: format!(
                        "the index of {} is {index_age_days} days old, more than {}",
                        name.ecosystem, policy.max_age_days
                    ),
                }
            }
            answer => answer,
        }),
        (Need::Required, None) => {
            Some(Lookup::Unavailable { reason: format!("there is no index of {}", name.ecosystem) })
        }
    };
    let facts = match &lookup {
        Some(Lookup::Absent { .. }) => {
            let message = format!("there is no package `{shown_name}` in {}", name.ecosystem);
            let near = names::likenesses(name.ecosystem, &name.name);
            let hint =
                near.first().map_or_else(String::new, |one| format!("; is `{}` meant?", one.of));
            let found = vec![(Rule::NameAbsent, format!("{message}{hint}"))];
            return NameVerdict { found, unknown: None };
        }
        Some(Lookup::Known(facts)) => Some(*facts),
        Some(Lookup::Unavailable { .. }) | None => None,
    };
    if let Some(facts) = facts {
        if let Some(days) = facts.age_days(inputs.now)
            && days < i64::from(policy.min_age_days)
        {
            let message = format!("`{shown_name}` was first published {days} days ago");
            all.push((Rule::NameNew, message));
        }
        if let Some(downloads) = facts.downloads
            && downloads < policy.min_downloads
            && direct
        {
            let message = format!("`{shown_name}` was downloaded {downloads} times in a month");
            all.push((Rule::NameUnused, message));
        }
    }
    // a name that many use, or have used for long, is its own
    let old = facts.and_then(|facts| facts.age_days(inputs.now)).is_none_or(|days| days >= 365);
    let used = facts.is_some_and(|facts| match facts.downloads {
        Some(downloads) => downloads >= 20_000 && old,
        None => facts.age_days(inputs.now).is_some_and(|days| days >= 3 * 365),
    });
    if !used && direct {
        for one in names::likenesses(name.ecosystem, &name.name) {
            all.push((one.rule, format!("`{shown_name}` is {} `{}`", one.how, one.of)));
        }
    }
    let unknown = match lookup {
        Some(Lookup::Unavailable { reason }) => Some(format!(
            "whether `{shown_name}` exists is not known: {reason}; make one with `bailiwick index \
             build` and name its directory with `dependencies.index` in the configuration or \
             `--index DIR`, or name what is right under `[index] known` in \
             `[settings.dependencies]` of `.bailiwick/gates.toml` on the protected branch"
        )),
        Some(Lookup::Known(_) | Lookup::Absent { .. }) | None => None,
    };
    NameVerdict { found: all, unknown }
}
