//! Whether a lock file is that of its manifests.

use std::collections::{BTreeMap, BTreeSet};

use super::push;
use crate::ecosystem::Ecosystem;
use crate::kind::FileKind;
use crate::package::{Contents, Declared, Group, Manifest, Package, Source, shown};
use crate::requirement::{Meets, check as meets};
use crate::rule::{Found, Rule};
use crate::snapshot::{Snapshot, Unit, directory, find};

pub(super) fn check(unit: &Unit<'_>, snapshot: &Snapshot<'_>, found: &mut Vec<Found>) {
    for (path, manifest) in &unit.manifests {
        let mut problems: Vec<(String, String)> = Vec::new();
        match unit.kind {
            FileKind::CargoLock => cargo(unit, path, manifest, &mut problems),
            FileKind::NpmLock | FileKind::PnpmLock if unit.lock.has_project => {
                importer(unit, path, manifest, &mut problems);
            }
            FileKind::YarnLock if unit.lock.has_project => {
                importer(unit, path, manifest, &mut problems);
            }
            FileKind::UvLock => uv(unit, manifest, &mut problems),
            _ => by_name(unit, manifest, &mut problems),
        }
        for (subject, message) in problems {
            let needle = subject.split(' ').next().unwrap_or_default().to_owned();
            let subject = format!("{path} {subject}");
            push(
                found,
                snapshot,
                Found::new(Rule::LockMismatch, unit.path, &subject, message),
                &needle,
            );
        }
    }
    let expects = matches!(unit.kind, FileKind::CargoLock | FileKind::UvLock);
    if expects && unit.manifests.is_empty() && has_manifest_beside(unit, snapshot) {
        let message = "the lock file has no entry for the manifest beside it".to_owned();
        push(found, snapshot, Found::new(Rule::LockMismatch, unit.path, "manifest", message), "");
    }
}

fn has_manifest_beside(unit: &Unit<'_>, snapshot: &Snapshot<'_>) -> bool {
    snapshot.manifests().any(|(path, kind, manifest)| {
        unit.kind.locks().contains(&kind)
            && directory(path) == directory(unit.path)
            && manifest.name.is_some()
    })
}

type Problems = Vec<(String, String)>;

fn missing(one: &Declared) -> (String, String) {
    let name = shown(one.used_name());
    (one.used_name().to_owned(), format!("`{name}` is in the manifest and not in the lock file"))
}

fn unmet(one: &Declared, version: &str) -> (String, String) {
    let message = format!(
        "the manifest asks for `{}` `{}`, and the lock file has {}",
        shown(one.used_name()),
        shown(&one.requirement),
        shown(version)
    );
    (format!("{} {} {version}", one.used_name(), one.requirement), message)
}

fn extra(name: &str) -> (String, String) {
    (
        name.to_owned(),
        format!(
            "the lock file says that the project asks for `{}`, and the manifest does not",
            shown(name)
        ),
    )
}

/// A manifest of Cargo against the entry of its package.
fn cargo(unit: &Unit<'_>, path: &str, manifest: &Manifest, problems: &mut Problems) {
    let Some(name) = &manifest.name else { return };
    let own = unit
        .lock
        .packages
        .iter()
        .find(|package| package.source == Source::Project && package.name == *name);
    let Some(own) = own else {
        if directory(path) == directory(unit.path) {
            problems
                .push((name.clone(), format!("`{}` has no entry in the lock file", shown(name))));
        }
        return;
    };
    let offered: BTreeMap<&str, &Declared> = unit
        .manifests
        .iter()
        .flat_map(|(_, manifest)| &manifest.offered)
        .map(|one| (one.used_name(), one))
        .collect();
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for one in &manifest.declared {
        let meant = if one.inherited {
            match offered.get(one.used_name()) {
                Some(offered) => *offered,
                None => continue,
            }
        } else {
            one
        };
        asked.insert(&meant.name);
        let targets: Vec<&Package> = own
            .edges
            .iter()
            .flat_map(|edge| &edge.to)
            .filter_map(|at| unit.lock.packages.get(*at))
            .filter(|package| package.name == meant.name)
            .collect();
        if targets.is_empty() {
            problems.push(missing(meant));
            continue;
        }
        let met = |package: &&Package| {
            meets(Ecosystem::Cargo, &meant.requirement, &package.version) != Meets::No
        };
        if !targets.iter().any(met) {
            let versions: Vec<&str> = targets.iter().map(|one| one.version.as_str()).collect();
            problems.push(unmet(meant, &versions.join(", ")));
        }
        if let Some(target) =
            targets.iter().find(|target| !same_source(unit, &meant.source, &target.source))
        {
            problems.push((
                meant.name.clone(),
                format!(
                    "the manifest takes `{}` from {}, and the lock file from {}",
                    shown(&meant.name),
                    meant.source.describe(),
                    target.source.describe()
                ),
            ));
        }
    }
    for edge in &own.edges {
        let name = edge.wanted.split(' ').next().unwrap_or_default();
        if !asked.contains(name) {
            problems.push(extra(name));
        }
    }
}

/// Sources of one kind; a patched dependency may come from elsewhere.
fn same_source(unit: &Unit<'_>, wish: &Source, entry: &Source) -> bool {
    let patched = unit.manifests.iter().any(|(_, manifest)| !manifest.overrides.is_empty());
    patched
        || match (wish, entry) {
            (Source::Git { url: wish, .. }, Source::Git { url: entry, .. }) => {
                let plain =
                    |url: &str| url.trim_end_matches('/').trim_end_matches(".git").to_owned();
                plain(wish) == plain(entry)
            }
            (Source::Git { .. }, _) | (_, Source::Git { .. }) => false,
            (Source::Path { .. } | Source::Project, Source::Registry { .. }) => false,
            (Source::Registry { .. }, Source::Path { .. } | Source::Project) => false,
            _ => true,
        }
}

/// What the lock file recorded of a manifest, against the manifest.
fn importer(unit: &Unit<'_>, path: &str, manifest: &Manifest, problems: &mut Problems) {
    let here = directory(unit.path);
    let relative = directory(path).strip_prefix(here).unwrap_or("").trim_start_matches('/');
    let own = unit
        .lock
        .packages
        .iter()
        .find(|package| package.source == Source::Project && package.key == relative);
    let Some(own) = own else {
        if !manifest.declared.is_empty() {
            problems.push((
                path.to_owned(),
                format!("`{}` has no entry in the lock file", shown(path)),
            ));
        }
        return;
    };
    // berry merges all groups, and writes its own protocol before ranges
    let is_berry = unit.kind == FileKind::YarnLock;
    let plain = |text: &str| match text.strip_prefix("npm:") {
        Some(range) if is_berry => range.to_owned(),
        _ => text.to_owned(),
    };
    let recorded: BTreeMap<&str, &Declared> =
        own.declared.iter().map(|one| (one.used_name(), one)).collect();
    let mut asked: BTreeMap<&str, &Declared> = BTreeMap::new();
    for one in &manifest.declared {
        let counts = one.group != Group::Peer || recorded.contains_key(one.used_name());
        if counts && (one.group != Group::Peer || !asked.contains_key(one.used_name())) {
            asked.insert(one.used_name(), one);
        }
    }
    for (name, one) in &asked {
        match recorded.get(name) {
            None => problems.push(missing(one)),
            Some(there) if there.name != one.name || there.source != one.source && !is_berry => {
                problems.push((
                    (*name).to_owned(),
                    format!(
                        "the manifest means `{}` from {}, and the lock file `{}` from {}",
                        shown(&one.name),
                        one.source.describe(),
                        shown(&there.name),
                        there.source.describe()
                    ),
                ));
            }
            Some(there) => {
                let catalog = one.requirement.starts_with("catalog:");
                let overridden = unit.lock.overridden.iter().any(|over| over.contains(name))
                    || manifest.overrides.iter().any(|over| over.used_name() == *name);
                if plain(&there.requirement) != plain(&one.requirement) && !catalog && !overridden {
                    let mut problem = unmet(one, &there.requirement);
                    problem.1 = format!(
                        "the manifest asks for `{}` `{}`, and the lock file was made for `{}`",
                        shown(name),
                        shown(&one.requirement),
                        shown(&there.requirement)
                    );
                    problems.push(problem);
                }
            }
        }
    }
    for name in recorded.keys() {
        if !asked.contains_key(name) {
            problems.push(extra(name));
        }
    }
    for edge in own.edges.iter().filter(|edge| edge.to.is_empty() && !edge.optional) {
        let is_local = edge.wanted.contains("@workspace:")
            || edge.wanted.contains("@link:")
            || edge.wanted.contains("@portal:");
        if !is_local {
            problems.push((edge.wanted.clone(), format!("`{}` has no entry", shown(&edge.wanted))));
        }
    }
}

/// A `pyproject.toml` against what `uv.lock` recorded of it.
fn uv(unit: &Unit<'_>, manifest: &Manifest, problems: &mut Problems) {
    let Some(name) = &manifest.name else { return };
    let canonical = |name: &str| Ecosystem::Pypi.canonical(name);
    let own = unit.lock.packages.iter().find(|package| {
        package.source == Source::Project && canonical(&package.name) == canonical(name)
    });
    let Some(own) = own else {
        problems.push((name.clone(), format!("`{}` has no entry in the lock file", shown(name))));
        return;
    };
    let bounds = |text: &str| -> BTreeSet<String> {
        text.split(',').map(|one| one.replace(' ', "")).filter(|one| !one.is_empty()).collect()
    };
    let set = |all: &[Declared]| -> BTreeSet<(String, BTreeSet<String>)> {
        all.iter()
            .filter(|one| one.group != Group::Constraint)
            .map(|one| (canonical(&one.name), bounds(&one.requirement)))
            .collect()
    };
    let (asked, recorded) = (set(&manifest.declared), set(&own.declared));
    for (name, bounds) in asked.difference(&recorded) {
        let bounds: Vec<&str> = bounds.iter().map(String::as_str).collect();
        problems.push((
            format!("{name} {}", bounds.join(",")),
            format!("the lock file was not made for `{}{}`", shown(name), shown(&bounds.join(","))),
        ));
    }
    for (name, _) in recorded.difference(&asked) {
        if !asked.iter().any(|(one, _)| one == name) {
            problems.push(extra(name));
        }
    }
    let targets: Vec<&Package> = own
        .edges
        .iter()
        .flat_map(|edge| &edge.to)
        .filter_map(|at| unit.lock.packages.get(*at))
        .collect();
    let names: BTreeSet<String> = asked.iter().map(|(name, _)| name.clone()).collect();
    for target in &targets {
        if !names.contains(&canonical(&target.name)) {
            problems.push(extra(&target.name));
        }
    }
    for one in manifest.declared.iter().filter(|one| one.group != Group::Constraint) {
        let mut mine = targets
            .iter()
            .filter(|target| canonical(&target.name) == canonical(&one.name))
            .peekable();
        let Some(first) = mine.peek().map(|first| first.version.clone()) else {
            if canonical(&one.name) != canonical(name) {
                problems.push(missing(one));
            }
            continue;
        };
        if mine.all(|target| meets(Ecosystem::Pypi, &one.requirement, &target.version) == Meets::No)
        {
            problems.push(unmet(one, &first));
        }
    }
}

/// Lock files that record nothing of the manifest: every wish needs an entry that meets it.
fn by_name(unit: &Unit<'_>, manifest: &Manifest, problems: &mut Problems) {
    for one in &manifest.declared {
        let skipped = one.inherited
            || one.source == Source::Project
            || matches!(one.group, Group::Peer | Group::Constraint)
            || one.name.ends_with(".gradle.plugin")
            || one.name.contains('$')
            || unit.kind == FileKind::GradleLock && one.group == Group::Dev;
        if skipped {
            continue;
        }
        let targets: Vec<&Package> = find(unit.ecosystem, &unit.lock, one)
            .into_iter()
            .filter_map(|at| unit.lock.packages.get(at))
            .collect();
        let Some(first) = targets.first() else {
            if one.group != Group::Optional && !matches!(one.source, Source::Path { .. }) {
                problems.push(missing(one));
            }
            continue;
        };
        let forced = manifest.overrides.iter().any(|over| over.used_name() == one.used_name());
        let no = |target: &&Package| {
            matches!(target.source, Source::Registry { .. })
                && meets(unit.ecosystem, &one.requirement, &target.version) == Meets::No
        };
        if !forced && targets.iter().all(no) {
            problems.push(unmet(one, &first.version));
        }
    }
    // Pipenv has no graph in its lock file, but whatever is there must come from somewhere
    for package in &unit.lock.packages {
        if let (FileKind::YarnLock, Source::Registry { .. }) = (unit.kind, &package.source) {
            for key in &package.declared {
                let bare = key
                    .requirement
                    .rsplit_once('@')
                    .map_or(key.requirement.as_str(), |(_, range)| range);
                let bare = bare.strip_prefix("npm:").unwrap_or(bare);
                if meets(Ecosystem::Npm, bare, &package.version) == Meets::No {
                    let message = format!(
                        "the entry `{}@{}` has the version {}",
                        shown(&key.name),
                        shown(&key.requirement),
                        shown(&package.version)
                    );
                    problems.push((format!("{} {}", key.name, key.requirement), message));
                }
            }
        }
    }
}

/// Every module that `go.mod` asks for has its hashes in `go.sum`.
pub(super) fn go_sums(snapshot: &Snapshot<'_>, found: &mut Vec<Found>) {
    for (path, kind, manifest) in snapshot.manifests() {
        if kind != FileKind::GoMod || manifest.declared.is_empty() {
            continue;
        }
        let sum = match directory(path) {
            "" => "go.sum".to_owned(),
            directory => format!("{directory}/go.sum"),
        };
        let lock = match snapshot.files.get(sum.as_str()) {
            Some((_, Contents::Lock(lock))) => Some(lock),
            _ => None,
        };
        if lock.is_none() && snapshot.unreadable.contains_key(sum.as_str()) {
            continue;
        }
        let there: BTreeSet<(&str, &str)> = lock
            .into_iter()
            .flat_map(|lock| &lock.packages)
            .map(|package| (package.name.as_str(), package.version.as_str()))
            .collect();
        let local: BTreeSet<&str> = manifest
            .overrides
            .iter()
            .filter(|one| matches!(one.source, Source::Path { .. }))
            .map(|one| one.name.as_str())
            .collect();
        let replaced: BTreeSet<&str> = manifest.overrides.iter().map(Declared::used_name).collect();
        let wishes = manifest
            .declared
            .iter()
            .filter(|one| !replaced.contains(one.name.as_str()))
            .chain(manifest.overrides.iter().filter(|one| !local.contains(one.name.as_str())));
        for one in wishes {
            let mod_file = format!("{}/go.mod", one.requirement);
            let has = there.contains(&(one.name.as_str(), one.requirement.as_str()))
                || one.group == Group::Optional
                    && there.contains(&(one.name.as_str(), mod_file.as_str()));
            if !has {
                let message = format!(
                    "`{}` {} has no hash in `{sum}`",
                    shown(&one.name),
                    shown(&one.requirement)
                );
                let subject = format!("{} {}", one.name, one.requirement);
                push(
                    found,
                    snapshot,
                    Found::new(Rule::IntegrityMissing, path, &subject, message),
                    &one.name,
                );
            }
        }
    }
    sums(snapshot, found);
}

fn sums(snapshot: &Snapshot<'_>, found: &mut Vec<Found>) {
    for (path, kind, lock) in snapshot.locks() {
        if kind != FileKind::GoSum {
            continue;
        }
        for name in &lock.repeated {
            let message = format!("`{}` has two different hashes", shown(name));
            push(found, snapshot, Found::new(Rule::Repeated, path, name, message), name);
        }
        for package in &lock.packages {
            let bad = package.hashes.iter().find(|hash| {
                hash.algorithm != "h1" || hash.value.len() != 44 || !hash.value.ends_with('=')
            });
            if let Some(hash) = bad {
                let message = format!(
                    "`{}` {} has the hash `{}`, which is none",
                    shown(&package.name),
                    shown(&package.version),
                    shown(&hash.value)
                );
                push(
                    found,
                    snapshot,
                    Found::new(Rule::IntegrityMalformed, path, &package.key, message),
                    &package.key,
                );
            }
        }
    }
}
