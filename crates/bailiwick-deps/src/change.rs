//! What a change does: packages added, removed and changed, and what must not change silently.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ecosystem::Ecosystem;
use crate::package::{Hash, Package, Source, shown};
use crate::policy::Policy;
use crate::rule::{Found, Rule};
use crate::snapshot::{Snapshot, Unit};
use crate::version::compare;

/// How a package changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is no longer there.
    Removed,
    /// Its versions or sources are others.
    Changed,
}

/// One package that a change touches, within one lock file or manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyChange {
    /// The file.
    pub path: String,
    /// The ecosystem.
    pub ecosystem: Ecosystem,
    /// The package.
    pub name: String,
    /// How it changed.
    pub kind: ChangeKind,
    /// Versions before.
    pub before: BTreeSet<String>,
    /// Versions after.
    pub after: BTreeSet<String>,
    /// Sources before, where they are others than after.
    pub sources_before: BTreeSet<Source>,
    /// Sources after.
    pub sources_after: BTreeSet<Source>,
    /// The way from what the project itself asks for, both ends included.
    pub through: Vec<String>,
}

impl DependencyChange {
    /// Whether the project itself asks for it.
    pub fn is_direct(&self) -> bool {
        self.through.len() <= 1
    }

    /// Versions that are new.
    pub fn new_versions(&self) -> impl Iterator<Item = &str> {
        self.after.difference(&self.before).map(String::as_str)
    }
}

/// Most names of a way that are told.
const LONGEST_WAY: usize = 40;

type ByName<'a> = BTreeMap<String, Vec<(usize, &'a Package)>>;

fn by_name<'a>(unit: Option<&'a Unit<'_>>) -> ByName<'a> {
    let mut all: ByName<'a> = BTreeMap::new();
    if let Some(unit) = unit {
        for (at, package) in unit.lock.packages.iter().enumerate() {
            if package.is_foreign() {
                all.entry(unit.ecosystem.canonical(&package.name)).or_default().push((at, package));
            }
        }
    }
    all
}

/// The shortest way from the project to each entry.
fn ways(unit: Option<&Unit<'_>>) -> BTreeMap<usize, Option<usize>> {
    let mut before: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    let Some(unit) = unit else { return before };
    let mut waiting: VecDeque<usize> = VecDeque::new();
    for root in &unit.roots {
        before.insert(*root, None);
        waiting.push_back(*root);
    }
    while let Some(at) = waiting.pop_front() {
        let edges = unit.lock.packages.get(at).map(|package| package.edges.as_slice());
        for to in edges.into_iter().flatten().flat_map(|edge| &edge.to) {
            if !before.contains_key(to) {
                before.insert(*to, Some(at));
                waiting.push_back(*to);
            }
        }
    }
    before
}

fn way(unit: &Unit<'_>, ways: &BTreeMap<usize, Option<usize>>, to: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut here = Some(to);
    while let Some(at) = here {
        // a chain as long as the file would make the whole as long as its square
        if names.len() >= LONGEST_WAY {
            names.push("…".to_owned());
            break;
        }
        if let Some(package) = unit.lock.packages.get(at) {
            names.push(package.name.clone());
        }
        here = ways.get(&at).copied().flatten();
    }
    // what nothing leads to does not count as asked for
    if !ways.contains_key(&to) && unit.lock.has_graph {
        names.push("(nothing asks for it)".to_owned());
    }
    names.reverse();
    names
}

/// Units of both sides that belong together: same file, or the lock file's successor.
fn pairs<'a, 'b>(
    base: &'a [Unit<'b>],
    head: &'a [Unit<'b>],
) -> Vec<(Option<&'a Unit<'b>>, Option<&'a Unit<'b>>)> {
    let paths: BTreeSet<&str> = base.iter().chain(head).map(|unit| unit.path).collect();
    paths
        .into_iter()
        .map(|path| {
            let on = |side: &'a [Unit<'b>]| side.iter().find(|unit| unit.path == path);
            (on(base), on(head))
        })
        .collect()
}

/// What changed, by file and name.
pub(crate) fn changes(base: &[Unit<'_>], head: &[Unit<'_>]) -> Vec<DependencyChange> {
    let mut all = Vec::new();
    for (before, after) in pairs(base, head) {
        let Some(unit) = after.or(before) else { continue };
        let (old, new) = (by_name(before), by_name(after));
        let (old_ways, new_ways) = (ways(before), ways(after));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let side = |all: &ByName<'_>| -> (BTreeSet<String>, BTreeSet<Source>) {
                let here = all.get(name).into_iter().flatten();
                here.map(|(_, one)| (one.version.clone(), one.source.clone())).unzip()
            };
            let ((versions_before, sources_before), (versions_after, sources_after)) =
                (side(&old), side(&new));
            let kind = match (old.contains_key(name), new.contains_key(name)) {
                (false, _) => ChangeKind::Added,
                (true, false) => ChangeKind::Removed,
                (true, true)
                    if versions_before == versions_after && sources_before == sources_after =>
                {
                    continue;
                }
                (true, true) => ChangeKind::Changed,
            };
            let through = match (new.get(name), after, old.get(name), before) {
                (Some(there), Some(unit), ..) => nearest(unit, &new_ways, there),
                (_, _, Some(there), Some(unit)) => nearest(unit, &old_ways, there),
                _ => Vec::new(),
            };
            let shown_name = new.get(name).or_else(|| old.get(name)).and_then(|all| all.first());
            all.push(DependencyChange {
                path: unit.path.to_owned(),
                ecosystem: unit.ecosystem,
                name: shown_name.map_or_else(|| name.clone(), |(_, one)| one.name.clone()),
                kind,
                before: versions_before,
                after: versions_after,
                sources_before,
                sources_after,
                through,
            });
        }
    }
    all
}

fn nearest(
    unit: &Unit<'_>,
    ways: &BTreeMap<usize, Option<usize>>,
    there: &[(usize, &Package)],
) -> Vec<String> {
    there.iter().map(|(at, _)| way(unit, ways, *at)).min_by_key(Vec::len).unwrap_or_default()
}

/// What must not change without a new version, or not without being asked about.
pub(crate) fn findings(
    base: &Snapshot<'_>,
    head: &Snapshot<'_>,
    policy: &Policy,
    found: &mut Vec<Found>,
) {
    let (base_units, head_units) = (base.units(), head.units());
    for (before, after) in pairs(&base_units, &head_units) {
        match (before, after) {
            (Some(before), Some(after)) => compare_units(before, after, policy, head, found),
            (None, Some(after)) => {
                for package in after.lock.packages.iter().filter(|one| one.is_foreign()) {
                    unusual(after, package, policy, head, found);
                }
            }
            _ => {}
        }
    }
    for (path, kind, lock) in base.locks() {
        if head.locks().any(|(other, ..)| other == path) || head.unreadable.contains_key(path) {
            // the hashes of Go stand apart from its units
            if kind == crate::kind::FileKind::GoSum
                && let Some((_, _, after)) = head.locks().find(|(other, ..)| *other == path)
            {
                for package in &after.packages {
                    let same = lock.packages.iter().find(|one| one.key == package.key);
                    if same.is_some_and(|one| one.hashes != package.hashes) {
                        push_changed(path, package, head, found);
                    }
                }
            }
            continue;
        }
        let here = crate::snapshot::directory(path);
        let manifest_left = head.manifests().any(|(other, other_kind, manifest)| {
            crate::snapshot::directory(other) == here
                && kind.locks().contains(&other_kind)
                && (!manifest.declared.is_empty() || manifest.workspace)
        });
        let successor = head.locks().any(|(other, other_kind, _)| {
            other_kind.ecosystem() == kind.ecosystem() && crate::snapshot::directory(other) == here
        });
        if manifest_left && !successor {
            let message = format!("`{path}` is gone, and its manifest is not");
            found.push(Found::new(Rule::LockRemoved, path, path, message));
        }
    }
}

fn push_changed(path: &str, package: &Package, head: &Snapshot<'_>, found: &mut Vec<Found>) {
    let message = format!(
        "`{}` {} has another hash than before",
        shown(&package.name),
        shown(&package.version)
    );
    let mut one = Found::new(Rule::IntegrityChanged, path, &package.key, message);
    one.line = head.line(path, &package.key);
    found.push(one);
}

/// The usual registries of npm are one registry under two names.
fn same_place(ecosystem: Ecosystem, one: &str, other: &str) -> bool {
    let split = |url: &str| {
        let bare = url.split('#').next().unwrap_or(url);
        (crate::address::host(bare), crate::address::path(bare))
    };
    let ((host, path), (other_host, other_path)) = (split(one), split(other));
    let usual = |host: &Option<String>| {
        host.as_deref().is_some_and(|host| ecosystem.usual_hosts().contains(&host))
    };
    // the two spellings of the index of crates.io
    let is_index = |url: &str| {
        url.contains("github.com/rust-lang/crates.io-index") || url.contains("index.crates.io")
    };
    one == other
        || path == other_path && (host == other_host || usual(&host) && usual(&other_host))
        || ecosystem == Ecosystem::Cargo && is_index(one) && is_index(other)
}

fn compare_units(
    before: &Unit<'_>,
    after: &Unit<'_>,
    policy: &Policy,
    head: &Snapshot<'_>,
    found: &mut Vec<Found>,
) {
    let mut add = |rule: Rule, package: &Package, subject: String, message: String| {
        let mut one = Found::new(rule, after.path, &subject, message);
        one.line = head.line(after.path, &package.key);
        found.push(one);
    };
    let (old, new) = (by_name(Some(before)), by_name(Some(after)));
    let mut fresh: Vec<&Package> = Vec::new();
    for (name, packages) in &new {
        let Some(known) = old.get(name) else {
            fresh.extend(packages.iter().map(|(_, package)| *package));
            continue;
        };
        for (_, package) in packages {
            let title = format!("`{}` {}", shown(&package.name), shown(&package.version));
            let mut same =
                known.iter().filter(|(_, one)| one.version == package.version).peekable();
            if let Some((_, first)) = same.peek().copied() {
                let twin = known
                    .iter()
                    .find(|(_, one)| one.version == package.version && one.key == package.key)
                    .map_or(*first, |(_, one)| *one);
                match hash_change(&twin.hashes, &package.hashes) {
                    HashChange::Same => {}
                    HashChange::Other => push_changed_in(&mut add, package, &title),
                    HashChange::More => add(
                        Rule::IntegrityAdded,
                        package,
                        format!("{} {}", package.key, package.hashes.len()),
                        format!("{title} has one more hash than before"),
                    ),
                }
                let moved = package.resolved.iter().any(|url| {
                    !twin.resolved.is_empty()
                        && !twin.resolved.iter().any(|one| same_place(after.ecosystem, one, url))
                });
                let is_archive = matches!(
                    (&twin.source, &package.source),
                    (Source::Registry { .. }, Source::Registry { .. })
                        | (Source::Url { .. }, Source::Url { .. })
                );
                let more = after.kind == crate::kind::FileKind::UvLock
                    && twin.resolved.iter().all(|url| package.resolved.contains(url));
                if moved && is_archive && !more {
                    add(
                        Rule::ResolvedChanged,
                        package,
                        package.key.clone(),
                        format!("{title} is fetched from another address than before"),
                    );
                }
            }
            let strong = |one: &Package| one.hashes.iter().any(|hash| !hash.is_weak());
            let weak = !package.hashes.is_empty() && !strong(package);
            if weak && known.iter().any(|(_, one)| strong(one)) {
                add(
                    Rule::IntegrityWeaker,
                    package,
                    package.key.clone(),
                    format!(
                        "{title} has only a {} hash, and had a stronger one",
                        algorithms(package)
                    ),
                );
            }
            switched(after, known, package, &title, policy, &mut add);
        }
    }
    for package in fresh {
        unusual(after, package, policy, head, found);
    }
}

fn push_changed_in(
    add: &mut impl FnMut(Rule, &Package, String, String),
    package: &Package,
    title: &str,
) {
    let message = format!("{title} has another hash than before");
    add(Rule::IntegrityChanged, package, package.key.clone(), message);
}

fn algorithms(package: &Package) -> String {
    let all: BTreeSet<&str> = package.hashes.iter().map(|hash| hash.algorithm.as_str()).collect();
    shown(&all.into_iter().collect::<Vec<_>>().join(", "))
}

enum HashChange {
    Same,
    Other,
    More,
}

/// Hashes of an algorithm that both sides use must be the same; a file that is no longer listed
/// is no harm, one more is a question.
fn hash_change(before: &[Hash], after: &[Hash]) -> HashChange {
    let common = |hash: &&Hash| before.iter().any(|one| one.algorithm == hash.algorithm);
    let mut comparable = after.iter().filter(common).peekable();
    if comparable.peek().is_none() {
        return HashChange::Same;
    }
    let known: Vec<&Hash> = comparable.clone().filter(|hash| before.contains(hash)).collect();
    let fresh = comparable.filter(|hash| !before.contains(hash)).count();
    match (known.len(), fresh) {
        (_, 0) => HashChange::Same,
        (0, _) => HashChange::Other,
        // an exchanged file: some are gone and some are new
        _ if before.iter().any(|hash| !after.contains(hash) && !hash.is_weak()) => {
            HashChange::Other
        }
        _ => HashChange::More,
    }
}

fn switched(
    unit: &Unit<'_>,
    known: &[(usize, &Package)],
    package: &Package,
    title: &str,
    policy: &Policy,
    add: &mut impl FnMut(Rule, &Package, String, String),
) {
    let place = |one: &Package| match &one.source {
        Source::Registry { host } => {
            let usual =
                host.as_deref().is_none_or(|host| unit.ecosystem.usual_hosts().contains(&host));
            Source::Registry { host: host.clone().filter(|_| !usual) }
        }
        Source::Git { url, .. } => Source::Git { url: url.clone(), commit: None },
        Source::Url { url } => Source::Url { url: crate::address::host(url).unwrap_or_default() },
        other => other.clone(),
    };
    let here = place(package);
    if known.iter().any(|(_, one)| place(one) == here) {
        return;
    }
    if let Source::Git { url, .. } = &package.source
        && policy.allows_git(url)
    {
        return;
    }
    // a manifest without a lock file often leaves the registry open
    let Some((_, first)) = known.first() else { return };
    if matches!(here, Source::Project)
        || matches!(first.source, Source::Path { .. }) && matches!(here, Source::Registry { .. })
    {
        return;
    }
    add(
        Rule::SourceSwitched,
        package,
        format!("{} {here:?}", package.name),
        format!(
            "{title} came from {} and now comes from {}",
            first.source.describe(),
            package.source.describe()
        ),
    );
}

/// A new package that is in no registry.
fn unusual(
    unit: &Unit<'_>,
    package: &Package,
    policy: &Policy,
    head: &Snapshot<'_>,
    found: &mut Vec<Found>,
) {
    let right = match &package.source {
        Source::Git { url, .. } => policy.allows_git(url),
        Source::Url { .. } => false,
        // what lies in the repository is reviewed with it
        Source::Path { .. } | Source::Project | Source::Registry { .. } => true,
    };
    if !right {
        let message = format!(
            "`{}` is new and comes from {}",
            shown(&package.name),
            package.source.describe()
        );
        let mut one = Found::new(Rule::SourceUnusual, unit.path, &package.name, message);
        one.line = head.line(unit.path, &package.key);
        found.push(one);
    }
}

/// Whether the latest version afterwards is earlier than the latest before.
pub fn is_downgrade(change: &DependencyChange) -> bool {
    let latest = |versions: &BTreeSet<String>| -> Option<String> {
        versions
            .iter()
            .max_by(|one, other| {
                compare(change.ecosystem, one, other).unwrap_or(std::cmp::Ordering::Equal)
            })
            .cloned()
    };
    match (latest(&change.before), latest(&change.after)) {
        (Some(before), Some(after)) => {
            compare(change.ecosystem, &after, &before) == Some(std::cmp::Ordering::Less)
        }
        _ => false,
    }
}
