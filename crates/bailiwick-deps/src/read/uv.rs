//! `uv.lock`.

use std::collections::{BTreeMap, BTreeSet};

use super::pip::hash;
use crate::address;
use crate::document::Doc;
use crate::error::ReadError;
use crate::package::{Declared, Edge, Group, InstallScript, Lock, Package, Source};

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::toml(bytes)?;
    let version = doc.need("version")?;
    if version != "1" {
        return Err(ReadError::Version { version: version.to_owned() });
    }
    let mut lock = Lock::new();
    if let Some(manifest) = doc.get("manifest") {
        for one in manifest.list("overrides")? {
            lock.overridden.extend(one.str("name")?.map(str::to_owned));
        }
    }
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let entries = doc.list("package")?;
    for entry in entries {
        let package = package(entry)?;
        if !seen.insert((package.name.clone(), package.version.clone(), package.source.clone())) {
            lock.repeated.push(format!("{} {}", package.name, package.version));
        }
        by_name.entry(package.name.clone()).or_default().push(lock.packages.len());
        lock.packages.push(package);
    }
    for (at, entry) in entries.iter().enumerate() {
        let mut edges = Vec::new();
        wishes(entry.list("dependencies")?, &by_name, &lock, &mut edges)?;
        for section in ["optional-dependencies", "dev-dependencies"] {
            for list in entry.map(section)?.values() {
                if let Doc::List(list) = list {
                    wishes(list, &by_name, &lock, &mut edges)?;
                }
            }
        }
        if let Some(package) = lock.packages.get_mut(at) {
            package.edges = edges;
        }
    }
    Ok(lock)
}

fn wishes(
    list: &[Doc],
    by_name: &BTreeMap<String, Vec<usize>>,
    lock: &Lock,
    out: &mut Vec<Edge>,
) -> Result<(), ReadError> {
    for wish in list {
        let name = wish.need("name")?;
        let version = wish.str("version")?;
        let to = by_name
            .get(name)
            .into_iter()
            .flatten()
            .copied()
            .filter(|at| {
                version.is_none_or(|version| {
                    lock.packages.get(*at).is_some_and(|one| one.version == version)
                })
            })
            .collect();
        let wanted = version.map_or_else(|| name.to_owned(), |v| format!("{name} {v}"));
        out.push(Edge { wanted, requirement: None, to, optional: false });
    }
    Ok(())
}

fn package(entry: &Doc) -> Result<Package, ReadError> {
    let name = entry.need("name")?;
    let version = entry.str("version")?.unwrap_or("");
    let written = entry.get("source").unwrap_or(&Doc::Null);
    let key = format!("name = \"{name}\"\nversion = \"{version}\"");
    let mut resolved = Vec::new();
    let from = if let Some(url) = written.str("registry")? {
        resolved.push(url.to_owned());
        Source::Registry { host: address::host(url) }
    } else if let Some(url) = written.str("git")? {
        resolved.push(url.to_owned());
        address::git(url)
    } else if let Some(url) = written.str("url")? {
        Source::Url { url: url.to_owned() }
    } else if ["virtual", "editable"].into_iter().any(|key| {
        written.get(key).and_then(Doc::text).is_some_and(|path| !address::escapes("", path))
    }) {
        Source::Project
    } else if let Some(path) = ["path", "directory", "editable", "virtual"]
        .into_iter()
        .find_map(|key| written.get(key).and_then(Doc::text))
    {
        Source::Path { path: path.to_owned() }
    } else {
        Source::Registry { host: None }
    };
    let mut package = Package::new(&key, name, version, from);
    let archives = entry.get("sdist").into_iter().chain(entry.list("wheels")?);
    for archive in archives {
        if let Some(url) = archive.str("url")? {
            resolved.push(url.to_owned());
        }
        match archive.str("hash")? {
            Some(text) => package.hashes.push(hash(text)),
            // one archive without a hash is enough to exchange the package
            None => package
                .hashes
                .push(crate::package::Hash { algorithm: String::new(), value: String::new() }),
        }
    }
    package.resolved = resolved;
    package.script = InstallScript::Unknown;
    if let Some(metadata) = entry.get("metadata") {
        for wish in metadata.list("requires-dist")? {
            package.declared.push(Declared::new(
                wish.need("name")?,
                wish.str("specifier")?.unwrap_or(""),
                Group::Normal,
            ));
        }
        for list in metadata.map("requires-dev")?.values() {
            if let Doc::List(list) = list {
                for wish in list {
                    package.declared.push(Declared::new(
                        wish.need("name")?,
                        wish.str("specifier")?.unwrap_or(""),
                        Group::Dev,
                    ));
                }
            }
        }
    }
    Ok(package)
}
