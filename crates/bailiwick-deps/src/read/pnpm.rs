//! `pnpm-lock.yaml`, versions 5 to 9.

use std::collections::{BTreeMap, BTreeSet};

use super::npm::integrity;
use crate::address;
use crate::document::Doc;
use crate::error::{ReadError, unexpected};
use crate::package::{Declared, Edge, Group, InstallScript, Lock, Package, Source};

const SECTIONS: [(&str, Group); 3] = [
    ("dependencies", Group::Normal),
    ("devDependencies", Group::Dev),
    ("optionalDependencies", Group::Optional),
];

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::yaml(bytes)?;
    doc.as_map("the file")?;
    let version = doc.need("lockfileVersion")?;
    let major = version.split('.').next().unwrap_or(version);
    if !matches!(major, "5" | "6" | "7" | "8" | "9") {
        return Err(ReadError::Version { version: version.to_owned() });
    }
    let mut lock = Lock::new();
    lock.overridden = doc.map("overrides")?.keys().cloned().collect();
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    let packages = doc.map("packages")?;
    for (key, entry) in packages {
        let package = package(key, entry)?;
        for spelling in spellings(key, &package) {
            by_key.insert(spelling, lock.packages.len());
        }
        lock.packages.push(package);
    }
    // version 9 keeps the graph apart from the packages
    let snapshots = doc.map("snapshots")?;
    if !snapshots.is_empty() {
        let mut snapped = BTreeSet::new();
        for (key, entry) in snapshots {
            match by_key.get(bare(key)) {
                Some(at) => {
                    let edges = edges(entry, &by_key)?;
                    snapped.insert(*at);
                    if let Some(package) = lock.packages.get_mut(*at) {
                        package.edges.extend(edges);
                    }
                }
                None => lock.repeated.push(format!("{key} (a snapshot without a package)")),
            }
        }
    } else {
        for (at, entry) in packages.values().enumerate() {
            let edges = edges(entry, &by_key)?;
            if let Some(package) = lock.packages.get_mut(at) {
                package.edges = edges;
            }
        }
    }
    match doc.get("importers") {
        Some(importers) => {
            for (path, entry) in importers.as_map("importers")? {
                lock.packages.push(importer(path, entry, &by_key)?);
            }
        }
        None => lock.packages.push(importer(".", &doc, &by_key)?),
    }
    Ok(lock)
}

/// A key without the peers in parentheses.
fn bare(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// Name and version of a key such as `/a/1.0.0_b@2`, `/a@1.0.0(b@2)` or `@s/a@1.0.0`.
fn split(key: &str) -> Option<(&str, &str)> {
    let key = bare(key).trim_start_matches('/');
    // a scope has a slash and an `@` of its own
    let scope = match key.strip_prefix('@') {
        Some(rest) => rest.find('/')? + 2,
        None => 0,
    };
    let end = scope + key.get(scope..)?.find(['@', '/'])?;
    let (name, rest) = key.split_at(end);
    match rest.strip_prefix('@') {
        Some(version) => Some((name, version)),
        None => {
            let version = rest.strip_prefix('/')?;
            Some((name, version.split('_').next().unwrap_or(version)))
        }
    }
}

/// The ways in which a dependency's value can mean this entry.
fn spellings(key: &str, package: &Package) -> Vec<String> {
    let mut all =
        vec![key.to_owned(), bare(key).to_owned(), bare(key).trim_start_matches('/').to_owned()];
    if let Some((name, version)) = split(key) {
        all.push(format!("{name}@{version}"));
    }
    all.push(format!("{}@{}", package.name, package.version));
    if let Some(rest) = key.trim_start_matches('/').strip_prefix(&format!("{}/", package.name)) {
        all.push(format!("{}@{rest}", package.name));
    }
    all
}

fn package(key: &str, entry: &Doc) -> Result<Package, ReadError> {
    entry.as_map(key)?;
    let resolution = entry.get("resolution").ok_or_else(|| unexpected(key, "with a resolution"))?;
    resolution.as_map(key)?;
    let (name, version) = match (entry.str("name")?, entry.str("version")?, split(key)) {
        (Some(name), version, parts) => {
            (name, version.or_else(|| parts.map(|(_, version)| version)).unwrap_or(""))
        }
        (None, version, Some((name, written))) => (name, version.unwrap_or(written)),
        (None, _, None) => return Err(unexpected(key, "a package key")),
    };
    let tarball = resolution.str("tarball")?;
    let from = if let Some(repo) = resolution.str("repo")? {
        let commit = resolution.str("commit")?.and_then(address::full_commit);
        Source::Git { url: repo.to_owned(), commit }
    } else if let Some(directory) = resolution.str("directory")? {
        Source::Path { path: directory.to_owned() }
    } else {
        match tarball {
            Some(url) => super::npm::source(url),
            None => Source::Registry { host: None },
        }
    };
    let mut package = Package::new(key, name, version, from);
    package.resolved.extend(tarball.map(str::to_owned));
    package.hashes = resolution.str("integrity")?.map(integrity).unwrap_or_default();
    package.script =
        if entry.is_true("requiresBuild") { InstallScript::Yes } else { InstallScript::Unknown };
    Ok(package)
}

/// What a value under a name leads to.
fn target(name: &str, value: &str, by_key: &BTreeMap<String, usize>) -> Option<usize> {
    let candidates = [
        format!("{name}@{}", bare(value)),
        bare(value).to_owned(),
        bare(value).trim_start_matches('/').to_owned(),
        format!("{name}@{}", value.split('_').next().unwrap_or(value)),
        format!("{name}@{value}"),
    ];
    candidates.iter().find_map(|one| by_key.get(one)).copied()
}

fn is_link(value: &str) -> bool {
    value.starts_with("link:") || value.starts_with("workspace:")
}

fn edges(entry: &Doc, by_key: &BTreeMap<String, usize>) -> Result<Vec<Edge>, ReadError> {
    let mut out = Vec::new();
    for (section, group) in SECTIONS {
        for (name, value) in entry.map(section)? {
            let value = value.scalar().ok_or_else(|| unexpected(name, "text"))?;
            if is_link(value) {
                continue;
            }
            out.push(Edge {
                wanted: format!("{name}@{value}"),
                requirement: None,
                to: target(name, value, by_key).into_iter().collect(),
                optional: group == Group::Optional,
            });
        }
    }
    Ok(out)
}

fn importer(
    path: &str,
    entry: &Doc,
    by_key: &BTreeMap<String, usize>,
) -> Result<Package, ReadError> {
    entry.as_map(path)?;
    let key = if path == "." { "" } else { path };
    let mut package = Package::new(key, key, "", Source::Project);
    let specifiers = entry.map("specifiers")?;
    for (section, group) in SECTIONS {
        for (name, value) in entry.map(section)? {
            let (specifier, version) = match value {
                Doc::Map(_) => (value.need("specifier")?, value.need("version")?),
                Doc::Text(_) | Doc::Number(_) => {
                    let version = value.scalar().unwrap_or_default();
                    let specifier = specifiers
                        .get(name)
                        .and_then(Doc::scalar)
                        .ok_or_else(|| unexpected(name, "with a specifier"))?;
                    (specifier, version)
                }
                Doc::Null | Doc::Bool(_) | Doc::List(_) => {
                    return Err(unexpected(name, "a version"));
                }
            };
            let plain = Declared::new(name, specifier, group);
            package.declared.push(address::npm_wish(name, specifier, plain));
            if !is_link(version) {
                package.edges.push(Edge {
                    wanted: format!("{name}@{version}"),
                    requirement: Some(specifier.to_owned()),
                    to: target(name, version, by_key).into_iter().collect(),
                    optional: group == Group::Optional,
                });
            }
        }
    }
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn keys_of_every_version_come_apart() {
        for (key, name, version) in [
            ("/lodash/4.17.21", "lodash", "4.17.21"),
            ("/@babel/core/7.0.0", "@babel/core", "7.0.0"),
            ("/react-dom/18.2.0_react@18.2.0", "react-dom", "18.2.0"),
            ("/@a/b/1.0.0_react@18.2.0", "@a/b", "1.0.0"),
            ("/lodash@4.17.21", "lodash", "4.17.21"),
            ("/react-dom@18.2.0(react@18.2.0)", "react-dom", "18.2.0"),
            ("@babel/core@7.0.0", "@babel/core", "7.0.0"),
            ("lodash.merge@4.6.2", "lodash.merge", "4.6.2"),
            ("foo_bar@1.0.0", "foo_bar", "1.0.0"),
            ("@a_b/c@1.0.0", "@a_b/c", "1.0.0"),
            (
                "x@https://codeload.github.com/u/r/tar.gz/abc",
                "x",
                "https://codeload.github.com/u/r/tar.gz/abc",
            ),
        ] {
            assert_eq!(split(key), Some((name, version)), "{key}");
        }
    }
}
