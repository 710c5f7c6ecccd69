//! Each entry by itself: its name, address and hashes.

use base64::Engine as _;
use std::collections::BTreeMap;

use super::push;
use crate::address;
use crate::ecosystem::Ecosystem;
use crate::kind::FileKind;
use crate::package::{Hash, Hashing, Package, Source, shown};
use crate::policy::Policy;
use crate::rule::{Found, Rule};
use crate::snapshot::{Snapshot, Unit, directory};

pub(super) fn check(
    unit: &Unit<'_>,
    policy: &Policy,
    snapshot: &Snapshot<'_>,
    found: &mut Vec<Found>,
) {
    let mut add = |rule: Rule, subject: &str, message: String, needle: &str| {
        push(found, snapshot, Found::new(rule, unit.path, subject, message), needle);
    };
    for name in &unit.lock.repeated {
        add(Rule::Repeated, name, format!("`{}` stands twice", shown(name)), name);
    }
    for package in unit.lock.packages.iter().filter(|package| package.is_foreign()) {
        let shown_name = format!("`{}` {}", shown(&package.name), shown(&package.version));
        if unit.is_locked {
            if !unit.ecosystem.accepts(&package.name) {
                let message =
                    format!("`{}` can't be a package of {}", shown(&package.name), unit.ecosystem);
                add(Rule::NameInvalid, &package.name, message, &package.key);
            }
            if let Source::Git { url, commit: None } = &package.source {
                let message = format!("{shown_name} is whatever `{}` has", shown(url));
                add(Rule::GitUnpinned, &package.key, message, &package.key);
            }
            if let Source::Path { path } = &package.source
                && address::escapes(directory(unit.path), path)
            {
                let message = format!("{shown_name} is taken from `{}`", shown(path));
                add(Rule::PathEscapes, &package.key, message, &package.key);
            }
        }
        for url in insecure(package) {
            let message = format!("{shown_name} is fetched from `{}`", shown(url));
            add(Rule::InsecureTransport, &format!("{} {url}", package.key), message, &package.key);
        }
        for host in hosts(package) {
            if !policy.allows_host(unit.ecosystem, &host) {
                let message = format!("{shown_name} comes from the host `{}`", shown(&host));
                add(Rule::ForeignHost, &format!("{} {host}", package.key), message, &package.key);
            }
        }
        for url in package.resolved.iter().filter(|url| leads_elsewhere(unit, package, url)) {
            let message = format!("{shown_name} is fetched as `{}`", shown(url));
            add(Rule::ResolvedOther, &format!("{} {url}", package.key), message, &package.key);
        }
        hashes(unit, package, &shown_name, &mut add);
    }
    conflicts(unit, &mut add);
}

fn insecure(package: &Package) -> impl Iterator<Item = &str> {
    let own = match &package.source {
        Source::Git { url, .. } | Source::Url { url } => Some(url.as_str()),
        Source::Project | Source::Registry { .. } | Source::Path { .. } => None,
    };
    let all = package.resolved.iter().map(String::as_str).chain(own);
    let mut seen = std::collections::BTreeSet::new();
    all.filter(move |url| address::is_insecure(url) && seen.insert(url.to_owned()))
}

/// The hosts that content is fetched from as an archive.
fn hosts(package: &Package) -> Vec<String> {
    let mut hosts: Vec<String> = match &package.source {
        Source::Registry { host } => host.iter().cloned().collect(),
        Source::Url { url } => address::host(url).into_iter().collect(),
        Source::Project | Source::Git { .. } | Source::Path { .. } => return Vec::new(),
    };
    for url in &package.resolved {
        // the index of crates.io lies in a repository, which `source` has turned into its host
        if !url.starts_with("registry+") && !url.starts_with("sparse+") {
            hosts.extend(address::host(url));
        }
    }
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Whether an address of a registry names another package or version.
fn leads_elsewhere(unit: &Unit<'_>, package: &Package, url: &str) -> bool {
    if !matches!(package.source, Source::Registry { .. }) {
        return false;
    }
    match unit.kind {
        FileKind::NpmLock | FileKind::YarnLock | FileKind::PnpmLock => {
            let Some((name, file)) = address::path(url)
                .split_once("/-/")
                .map(|(name, file)| (name.to_owned(), file.to_owned()))
            else {
                // berry: `name@version` of what is fetched
                return address::scheme(url).is_none()
                    && url != format!("{}@{}", package.name, package.version);
            };
            let right_name = name == package.name || name.ends_with(&format!("/{}", package.name));
            let base = package.name.rsplit('/').next().unwrap_or(&package.name);
            let version = package.version.split('+').next().unwrap_or(&package.version);
            let file = file.rsplit('/').next().unwrap_or(&file);
            let right_file = file == format!("{base}-{version}.tgz");
            !right_name || !right_file
        }
        FileKind::UvLock => {
            let path = address::path(url);
            let Some(file) = path.rsplit('/').next().filter(|file| {
                file.ends_with(".whl") || file.ends_with(".tar.gz") || file.ends_with(".zip")
            }) else {
                return false;
            };
            let file = file.replace("%2B", "+").replace("%2b", "+");
            let canonical = Ecosystem::Pypi.canonical(&file);
            let wanted = format!("{}-", Ecosystem::Pypi.canonical(&package.name));
            let version = Ecosystem::Pypi.canonical(&package.version);
            canonical.strip_prefix(&wanted).is_none_or(|rest| {
                !rest.starts_with(&version)
                    || rest
                        .get(version.len()..)
                        .is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()))
            })
        }
        _ => false,
    }
}

fn hashes(
    unit: &Unit<'_>,
    package: &Package,
    shown_name: &str,
    add: &mut impl FnMut(Rule, &str, String, &str),
) {
    let fetched = matches!(package.source, Source::Registry { .. } | Source::Url { .. });
    let empty = package.hashes.iter().any(|hash| hash.value.is_empty());
    let missing = package.hashes.is_empty() || empty;
    // Cargo has no hash for anything but registries, berry none for patched ones
    let needs = unit.lock.hashing == Hashing::Always && fetched && !package.bundled;
    if needs && missing {
        let message = format!("{shown_name} has no hash");
        add(Rule::IntegrityMissing, &package.key, message, &package.key);
    }
    for hash in package.hashes.iter().filter(|hash| !hash.value.is_empty()) {
        if !is_well_formed(hash) {
            let message = format!(
                "{shown_name} has the hash `{}`, which is none",
                shown(&format!("{} {}", hash.algorithm, hash.value))
            );
            add(
                Rule::IntegrityMalformed,
                &format!("{} {}", package.key, hash.value),
                message,
                &package.key,
            );
        }
    }
}

fn is_well_formed(hash: &Hash) -> bool {
    let Some(width) = hash.width() else { return false };
    let hex = hash.value.chars().all(|c| c.is_ascii_hexdigit()) && hash.value.len() == width * 2;
    hex || base64::engine::general_purpose::STANDARD
        .decode(&hash.value)
        .is_ok_and(|bytes| bytes.len() == width)
}

/// One version of one package with two contents.
fn conflicts(unit: &Unit<'_>, add: &mut impl FnMut(Rule, &str, String, &str)) {
    let mut by_version: BTreeMap<(&str, &str, &Source), &Package> = BTreeMap::new();
    for package in &unit.lock.packages {
        if !matches!(package.source, Source::Registry { .. }) || package.hashes.is_empty() {
            continue;
        }
        let key = (package.name.as_str(), package.version.as_str(), &package.source);
        match by_version.get(&key) {
            Some(first) => {
                let comparable = first
                    .hashes
                    .iter()
                    .any(|one| package.hashes.iter().any(|other| one.algorithm == other.algorithm));
                let same = first.hashes.iter().any(|one| package.hashes.contains(one));
                if comparable && !same {
                    let message = format!(
                        "`{}` {} has two different hashes",
                        shown(&package.name),
                        shown(&package.version)
                    );
                    let subject = format!("{} {}", package.name, package.version);
                    add(Rule::IntegrityConflict, &subject, message, &package.key);
                }
            }
            None => {
                by_version.insert(key, package);
            }
        }
    }
}
