//! `poetry.lock`, versions 1 and 2.

use std::collections::{BTreeMap, BTreeSet};

use super::pip::hash;
use crate::address;
use crate::document::Doc;
use crate::ecosystem::Ecosystem;
use crate::error::ReadError;
use crate::package::{Edge, InstallScript, Lock, Package, Source};

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::toml(bytes)?;
    let metadata = doc.get("metadata").unwrap_or(&Doc::Null);
    if let Some(version) = metadata.str("lock-version")?
        && !version.starts_with("1.")
        && !version.starts_with("2.")
    {
        return Err(ReadError::Version { version: version.to_owned() });
    }
    let mut lock = Lock::new();
    lock.has_project = false;
    let old_files = metadata.map("files")?;
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let entries = doc.list("package")?;
    for entry in entries {
        let name = entry.need("name")?;
        let version = entry.need("version")?;
        let from = source(entry)?;
        let key = format!("name = \"{name}\"\nversion = \"{version}\"");
        if !seen.insert((name.to_owned(), version.to_owned(), from.clone())) {
            lock.repeated.push(format!("{name} {version}"));
        }
        let mut package = Package::new(&key, name, version, from);
        if let Some(url) = entry.get("source").map(|one| one.str("url")).transpose()?.flatten() {
            package.resolved.push(url.to_owned());
        }
        let mut files = entry.list("files")?;
        if files.is_empty()
            && let Some(Doc::List(list)) = old_files.get(name)
        {
            files = list;
        }
        for file in files {
            package.hashes.push(hash(file.need("hash")?));
        }
        package.script = InstallScript::Unknown;
        by_name.entry(Ecosystem::Pypi.canonical(name)).or_default().push(lock.packages.len());
        lock.packages.push(package);
    }
    for (at, entry) in entries.iter().enumerate() {
        let mut edges = Vec::new();
        for (name, value) in entry.map("dependencies")? {
            let optional = value.is_true("optional")
                || value.get("markers").is_some()
                || matches!(value, Doc::List(_));
            let to = by_name.get(&Ecosystem::Pypi.canonical(name)).cloned().unwrap_or_default();
            edges.push(Edge { wanted: name.clone(), requirement: None, to, optional });
        }
        if let Some(package) = lock.packages.get_mut(at) {
            package.edges = edges;
        }
    }
    Ok(lock)
}

fn source(entry: &Doc) -> Result<Source, ReadError> {
    let Some(written) = entry.get("source") else { return Ok(Source::Registry { host: None }) };
    let url = written.str("url")?.unwrap_or("");
    Ok(match written.str("type")?.unwrap_or("") {
        "git" => Source::Git {
            url: url.to_owned(),
            commit: written.str("resolved_reference")?.and_then(address::full_commit),
        },
        "url" => Source::Url { url: url.to_owned() },
        "directory" | "file" => Source::Path { path: url.to_owned() },
        _ => Source::Registry { host: address::host(url) },
    })
}
