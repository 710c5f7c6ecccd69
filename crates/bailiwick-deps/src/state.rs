//! What is wrong with the files of one commit, taken by themselves. A finding that the base has
//! too is not new.

mod agreement;
mod entries;
mod graph;

use crate::address;
use crate::kind::FileKind;
use crate::package::{Declared, Group, Source, shown};
use crate::policy::Policy;
use crate::requirement::is_unbounded;
use crate::rule::{Found, Rule};
use crate::snapshot::{Snapshot, directory};

/// Everything that is wrong at one commit.
pub(crate) fn findings(snapshot: &Snapshot<'_>, policy: &Policy) -> Vec<Found> {
    let mut found = Vec::new();
    for unit in snapshot.units() {
        entries::check(&unit, policy, snapshot, &mut found);
        if unit.is_locked {
            graph::check(&unit, snapshot, &mut found);
            agreement::check(&unit, snapshot, &mut found);
        }
    }
    agreement::go_sums(snapshot, &mut found);
    registries(snapshot, policy, &mut found);
    for (path, kind, manifest) in snapshot.manifests() {
        for one in manifest.declared.iter().chain(&manifest.offered) {
            declared(path, kind, one, snapshot, &mut found);
        }
        for one in &manifest.overrides {
            declared(path, kind, one, snapshot, &mut found);
            overridden(path, kind, one, policy, snapshot, &mut found);
        }
    }
    found
}

fn push(found: &mut Vec<Found>, snapshot: &Snapshot<'_>, mut one: Found, needle: &str) {
    one.line = snapshot.line(&one.path, needle);
    found.push(one);
}

fn registries(snapshot: &Snapshot<'_>, policy: &Policy, found: &mut Vec<Found>) {
    for (path, kind, setting) in snapshot.registries() {
        let value = setting.value.trim();
        let host = address::host(value);
        let subject = format!("{} {value}", setting.setting);
        if address::is_insecure(value) {
            let message = format!(
                "`{}` is `{}`, which is not encrypted or not checked",
                shown(&setting.setting),
                shown(value)
            );
            push(
                found,
                snapshot,
                Found::new(Rule::InsecureTransport, path, &subject, message),
                value,
            );
        }
        // what is asked in the place of the usual registry, or beside it
        let known = host.as_deref().is_some_and(|host| policy.allows_host(kind.ecosystem(), host));
        let is_path = address::scheme(value).is_none() && !address::escapes(directory(path), value);
        let is_local = is_path && !value.is_empty();
        if !known && !is_local {
            let how = if setting.beside { "beside the usual registry" } else { "in its place" };
            let message = format!(
                "`{}` lets packages come from `{}` {how}",
                shown(&setting.setting),
                shown(value)
            );
            push(
                found,
                snapshot,
                Found::new(Rule::RegistrySetting, path, &subject, message),
                value,
            );
        }
    }
}

fn declared(
    path: &str,
    kind: FileKind,
    one: &Declared,
    snapshot: &Snapshot<'_>,
    found: &mut Vec<Found>,
) {
    let name = shown(&one.name);
    if let Source::Path { path: target } = &one.source
        && address::escapes(directory(path), target)
    {
        let message = format!("`{name}` is taken from `{}`, outside the repository", shown(target));
        let subject = format!("{} {target}", one.name);
        push(found, snapshot, Found::new(Rule::PathEscapes, path, &subject, message), &one.name);
    }
    if let Source::Git { url, .. } | Source::Url { url } = &one.source
        && address::is_insecure(url)
    {
        let message = format!("`{name}` is fetched from `{}`", shown(url));
        let subject = format!("{} {url}", one.name);
        push(
            found,
            snapshot,
            Found::new(Rule::InsecureTransport, path, &subject, message),
            &one.name,
        );
    }
    if let Source::Git { url, commit: None } = &one.source
        && !has_lock(snapshot, path, kind)
    {
        let message = format!("`{name}` is whatever `{}` has when it is installed", shown(url));
        let subject = format!("{} {url}", one.name);
        push(found, snapshot, Found::new(Rule::GitUnpinned, path, &subject, message), &one.name);
    }
    if !kind.ecosystem().accepts(&one.name)
        && one.group != Group::Constraint
        && !has_variable(kind, &one.name)
    {
        let message = format!("`{name}` can't be a package of {}", kind.ecosystem());
        push(found, snapshot, Found::new(Rule::NameInvalid, path, &one.name, message), &one.name);
    }
    if let Some(alias) = &one.alias
        && one.group != Group::Constraint
        && kind != FileKind::CargoManifest
    {
        let message = format!("the code says `{}` and gets `{name}`", shown(alias));
        let subject = format!("{alias} {}", one.name);
        push(found, snapshot, Found::new(Rule::Aliased, path, &subject, message), alias);
    }
    let plain = matches!(one.source, Source::Registry { .. });
    if plain
        && !matches!(one.group, Group::Constraint | Group::Peer)
        && is_unbounded(kind.ecosystem(), &one.requirement)
    {
        let message = format!("`{name}` may be any version (`{}`)", shown(&one.requirement));
        push(found, snapshot, Found::new(Rule::Unbounded, path, &one.name, message), &one.name);
    }
}

/// Names in build files can be put together from properties that other files define.
fn has_variable(kind: FileKind, name: &str) -> bool {
    matches!(kind, FileKind::Pom | FileKind::GradleBuild) && name.contains('$')
}

fn has_lock(snapshot: &Snapshot<'_>, path: &str, kind: FileKind) -> bool {
    kind != FileKind::Requirements
        && snapshot.locks().any(|(lock, lock_kind, _)| {
            lock_kind.locks().contains(&kind)
                && (directory(lock).is_empty() || directory(path).starts_with(directory(lock)))
        })
}

fn overridden(
    path: &str,
    kind: FileKind,
    one: &Declared,
    policy: &Policy,
    snapshot: &Snapshot<'_>,
    found: &mut Vec<Found>,
) {
    // managed versions in a POM, and what builds a Python package, are the everyday way
    if matches!(kind, FileKind::Pom | FileKind::Pyproject)
        && matches!(one.source, Source::Registry { .. })
    {
        return;
    }
    let inside = match &one.source {
        Source::Path { path: target } => !address::escapes(directory(path), target),
        Source::Git { url, .. } => policy.allows_git(url),
        Source::Project | Source::Registry { .. } | Source::Url { .. } => false,
    };
    if inside {
        return;
    }
    let name = shown(one.used_name());
    let what = match (&one.source, one.alias.is_some()) {
        (Source::Registry { .. }, false) => format!("version `{}`", shown(&one.requirement)),
        (Source::Registry { .. }, true) => format!("`{}`", shown(&one.name)),
        (source, _) => source.describe(),
    };
    let message = format!("whatever depends on `{name}` gets {what}");
    let subject = format!("{} {:?} {}", one.used_name(), one.source, one.requirement);
    let mut override_found = Found::new(Rule::Override, path, &subject, message);
    // another package or place under a known name is more than another version
    if one.alias.is_some() || matches!(one.source, Source::Url { .. } | Source::Git { .. }) {
        override_found.rule = Rule::SourceSwitched;
    }
    push(found, snapshot, override_found, one.used_name());
}
