//! Entries in their relation: what nothing asks for, and what is asked for and missing.

use super::push;
use crate::ecosystem::Ecosystem;
use crate::kind::FileKind;
use crate::package::{Source, shown};
use crate::requirement::{Meets, check as meets};
use crate::rule::{Found, Rule};
use crate::snapshot::{Snapshot, Unit};

pub(super) fn check(unit: &Unit<'_>, snapshot: &Snapshot<'_>, found: &mut Vec<Found>) {
    if !unit.lock.has_graph {
        return;
    }
    let packages = &unit.lock.packages;
    for package in packages {
        for edge in &package.edges {
            if edge.to.is_empty() && !edge.optional && package.is_foreign() {
                let message = format!(
                    "`{}` {} depends on `{}`, which has no entry",
                    shown(&package.name),
                    shown(&package.version),
                    shown(&edge.wanted)
                );
                let subject = format!("{} {}", package.key, edge.wanted);
                push(
                    found,
                    snapshot,
                    Found::new(Rule::Dangling, unit.path, &subject, message),
                    &package.key,
                );
            }
            unmet(unit, package.is_foreign(), &package.name, edge, snapshot, found);
        }
    }
    // without a manifest or an entry of the project nothing says where to begin
    if !unit.lock.has_project && unit.manifests.is_empty() {
        return;
    }
    let reached = reached(unit);
    for (at, package) in packages.iter().enumerate() {
        if package.is_foreign() && !reached.get(at).copied().unwrap_or(false) {
            let message = format!(
                "nothing in the project asks for `{}` {}",
                shown(&package.name),
                shown(&package.version)
            );
            push(
                found,
                snapshot,
                Found::new(Rule::Unreachable, unit.path, &package.key, message),
                &package.key,
            );
        }
    }
}

/// Which entries the project reaches.
pub(crate) fn reached(unit: &Unit<'_>) -> Vec<bool> {
    let packages = &unit.lock.packages;
    let mut reached = vec![false; packages.len()];
    let mut waiting: Vec<usize> = unit.roots.clone();
    while let Some(at) = waiting.pop() {
        match reached.get_mut(at) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        let edges = packages.get(at).map(|package| package.edges.as_slice());
        waiting.extend(edges.into_iter().flatten().flat_map(|edge| &edge.to));
    }
    reached
}

/// An entry that is not in the bounds that another one asks for.
fn unmet(
    unit: &Unit<'_>,
    foreign: bool,
    owner: &str,
    edge: &crate::package::Edge,
    snapshot: &Snapshot<'_>,
    found: &mut Vec<Found>,
) {
    let Some(requirement) = &edge.requirement else { return };
    let overridden = |name: &str| {
        unit.lock.overridden.iter().any(|one| one.contains(name))
            || unit.manifests.iter().any(|(_, manifest)| {
                manifest.overrides.iter().any(|one| one.used_name() == name || one.name == name)
            })
    };
    for target in edge.to.iter().filter_map(|at| unit.lock.packages.get(*at)) {
        if !matches!(target.source, Source::Registry { .. }) || overridden(&target.name) {
            continue;
        }
        let bare = match requirement.strip_prefix("npm:") {
            Some(alias) => alias.rsplit_once('@').map_or(alias, |(_, range)| range),
            None => requirement,
        };
        let ecosystem = match unit.kind {
            FileKind::NpmLock | FileKind::PnpmLock | FileKind::YarnLock => Ecosystem::Npm,
            _ => unit.ecosystem,
        };
        if meets(ecosystem, bare, &target.version) == Meets::No {
            let who =
                if foreign { format!("`{}`", shown(owner)) } else { "the project".to_owned() };
            let message = format!(
                "{who} asks for `{}` `{}`, and the entry has {}",
                shown(&target.name),
                shown(requirement),
                shown(&target.version)
            );
            let subject = format!("{owner} {} {requirement} {}", target.name, target.version);
            push(
                found,
                snapshot,
                Found::new(Rule::LockMismatch, unit.path, &subject, message),
                &target.key,
            );
        }
    }
}
