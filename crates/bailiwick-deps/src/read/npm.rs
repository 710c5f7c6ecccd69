//! `package.json`, and `package-lock.json` or `npm-shrinkwrap.json` of the versions 2 and 3.

use std::collections::BTreeMap;

use super::npm_legacy;
use crate::address;
use crate::document::Doc;
use crate::error::{ReadError, unexpected};
use crate::package::{Declared, Edge, Group, Hash, InstallScript, Lock, Manifest, Package, Source};

pub(super) const SECTIONS: [(&str, Group); 4] = [
    ("dependencies", Group::Normal),
    ("devDependencies", Group::Dev),
    ("optionalDependencies", Group::Optional),
    ("peerDependencies", Group::Peer),
];

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let doc = Doc::json(bytes)?;
    doc.as_map("the file")?;
    let mut manifest = Manifest::new();
    manifest.name = doc.str("name")?.map(str::to_owned);
    manifest.version = doc.str("version")?.map(str::to_owned);
    manifest.workspace = doc.get("workspaces").is_some();
    manifest.declared = declared(&doc)?;
    overrides(doc.get("overrides"), &mut manifest.overrides);
    overrides(doc.get("resolutions"), &mut manifest.overrides);
    overrides(doc.get("pnpm").and_then(|pnpm| pnpm.get("overrides")), &mut manifest.overrides);
    Ok(manifest)
}

/// What a manifest, or its copy in a lock file, declares.
pub(super) fn declared(doc: &Doc) -> Result<Vec<Declared>, ReadError> {
    let mut out = Vec::new();
    for (section, group) in SECTIONS {
        for (name, value) in doc.map(section)? {
            let requirement = value.text().ok_or_else(|| unexpected(name, "text"))?;
            let plain = Declared::new(name, requirement, group);
            out.push(address::npm_wish(name, requirement, plain));
        }
    }
    Ok(out)
}

fn overrides(value: Option<&Doc>, out: &mut Vec<Declared>) {
    let Some(Doc::Map(map)) = value else { return };
    for (key, value) in map {
        let name = key.rsplit('>').next().unwrap_or(key).trim();
        let name = name.rsplit_once("**/").map_or(name, |(_, name)| name);
        let name = match name.rsplit_once('@') {
            Some((name, _)) if !name.is_empty() => name,
            _ => name,
        };
        match value {
            Doc::Text(requirement) => {
                let plain = Declared::new(name, requirement, Group::Constraint);
                out.push(address::npm_wish(name, requirement, plain));
            }
            Doc::Map(_) => {
                out.push(Declared::new(name, "", Group::Constraint));
                overrides(Some(value), out);
            }
            Doc::Null | Doc::Bool(_) | Doc::Number(_) | Doc::List(_) => {}
        }
    }
}

/// The hashes of a subresource-integrity text: `sha512-… sha1-…`.
pub(super) fn integrity(text: &str) -> Vec<Hash> {
    text.split_whitespace()
        .map(|one| match one.split_once('-') {
            Some((algorithm, value)) => {
                // options may follow after a question mark
                let value = value.split('?').next().unwrap_or(value);
                Hash { algorithm: algorithm.to_ascii_lowercase(), value: value.to_owned() }
            }
            None => Hash { algorithm: String::new(), value: one.to_owned() },
        })
        .collect()
}

/// Where an address in an npm lock file leads.
pub(super) fn source(resolved: &str) -> Source {
    if address::is_git(resolved) {
        return address::git(resolved);
    }
    if let Some(path) = resolved.strip_prefix("file:") {
        return Source::Path { path: path.to_owned() };
    }
    if address::scheme(resolved).is_none() {
        return Source::Path { path: resolved.to_owned() };
    }
    // archives of commits, as yarn and pnpm fetch them from GitHub
    if address::host(resolved).as_deref() == Some("codeload.github.com") {
        let path = address::path(resolved);
        let (repo, commit) = path.split_once("/tar.gz/").unwrap_or((&path, ""));
        let url = format!("https://github.com/{repo}");
        return Source::Git { url, commit: address::full_commit(commit) };
    }
    if address::path(resolved).contains("/-/") {
        return Source::Registry { host: address::host(resolved) };
    }
    Source::Url { url: resolved.to_owned() }
}

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::json(bytes)?;
    doc.as_map("the file")?;
    match doc.str("lockfileVersion")? {
        None | Some("1") => return npm_legacy::lock(&doc),
        Some("2" | "3") => {}
        Some(version) => return Err(ReadError::Version { version: version.to_owned() }),
    }
    if doc.get("packages").is_none() {
        return Err(unexpected("packages", "there"));
    }
    let mut lock = modern(&doc)?;
    // version 2 says everything twice; old clients read the other half
    if doc.get("dependencies").is_some() {
        let half = npm_legacy::lock(&doc)?;
        disagreements(&lock, &half)
            .into_iter()
            .for_each(|name| lock.repeated.push(format!("{name} (the two halves of the file)")));
    }
    Ok(lock)
}

fn disagreements(lock: &Lock, half: &Lock) -> Vec<String> {
    let there: BTreeMap<&str, &Package> =
        lock.packages.iter().map(|package| (package.key.as_str(), package)).collect();
    half.packages
        .iter()
        // what is no registry's package is written otherwise in the two halves
        .filter(|old| matches!(old.source, Source::Registry { .. }))
        .filter(|old| {
            there.get(old.key.as_str()).is_none_or(|new| {
                new.hashes != old.hashes
                    || new.resolved != old.resolved
                    || new.version != old.version
            })
        })
        .map(|old| old.name.clone())
        .collect()
}

fn modern(doc: &Doc) -> Result<Lock, ReadError> {
    let mut lock = Lock::new();
    let mut at_path: BTreeMap<&str, usize> = BTreeMap::new();
    let mut links: BTreeMap<&str, &str> = BTreeMap::new();
    let entries = doc.map("packages")?;
    for (path, entry) in entries {
        entry.as_map(path)?;
        if entry.is_true("link") {
            links.insert(path, entry.str("resolved")?.unwrap_or(""));
            continue;
        }
        at_path.insert(path, lock.packages.len());
        lock.packages.push(package(path, entry)?);
    }
    for (link, target) in links {
        match at_path.get(target) {
            Some(at) => {
                at_path.insert(link, *at);
            }
            None => {
                let path = Source::Path { path: target.to_owned() };
                at_path.insert(link, lock.packages.len());
                lock.packages.push(Package::new(link, last_name(link), "", path));
            }
        }
    }
    for (path, entry) in entries {
        let Some(at) = at_path.get(path.as_str()).copied() else { continue };
        if entry.is_true("link") {
            continue;
        }
        let is_project = lock.packages.get(at).is_some_and(|one| one.source == Source::Project);
        let mut edges = Vec::new();
        for (section, group) in SECTIONS {
            if group == Group::Dev && !is_project {
                continue;
            }
            let optional = matches!(group, Group::Optional | Group::Peer);
            for (name, value) in entry.map(section)? {
                let requirement = value.text().ok_or_else(|| unexpected(name, "text"))?;
                edges.push(Edge {
                    wanted: name.clone(),
                    requirement: (group != Group::Peer).then(|| requirement.to_owned()),
                    to: find(path, name, &at_path).into_iter().collect(),
                    optional,
                });
            }
        }
        if let Some(package) = lock.packages.get_mut(at) {
            package.edges = edges;
        }
    }
    Ok(lock)
}

/// Node's way of finding a package: in each `node_modules` from here to the root.
fn find(from: &str, name: &str, at_path: &BTreeMap<&str, usize>) -> Option<usize> {
    let mut here = from;
    loop {
        let path = if here.is_empty() {
            format!("node_modules/{name}")
        } else {
            format!("{here}/node_modules/{name}")
        };
        if let Some(at) = at_path.get(path.as_str()) {
            return Some(*at);
        }
        if here.is_empty() {
            return None;
        }
        here = match here.rsplit_once("/node_modules/") {
            Some((before, _)) => before,
            None if here.starts_with("node_modules/") => "",
            None => here.rsplit_once('/').map_or("", |(before, _)| before),
        };
    }
}

/// The name at the end of a path in `node_modules`.
fn last_name(path: &str) -> &str {
    match path.rsplit_once("node_modules/") {
        Some((_, name)) => name,
        None => path,
    }
}

fn package(path: &str, entry: &Doc) -> Result<Package, ReadError> {
    let resolved = entry.str("resolved")?;
    let in_modules = path.contains("node_modules/");
    let name = match entry.str("name")? {
        Some(name) => name,
        None => last_name(path),
    };
    let from = match resolved {
        Some(resolved) => source(resolved),
        None if !in_modules => Source::Project,
        None => Source::Registry { host: None },
    };
    let version = entry.str("version")?.unwrap_or("");
    if in_modules && version.is_empty() && matches!(from, Source::Registry { .. }) {
        return Err(unexpected(path, "an entry with a version"));
    }
    let mut package = Package::new(path, name, version, from);
    package.resolved.extend(resolved.map(str::to_owned));
    package.hashes = entry.str("integrity")?.map(integrity).unwrap_or_default();
    package.script =
        if entry.is_true("hasInstallScript") { InstallScript::Yes } else { InstallScript::No };
    package.licence = entry.get("license").and_then(Doc::text).map(str::to_owned);
    package.bundled = entry.is_true("inBundle") || entry.is_true("bundled");
    if !in_modules {
        package.declared = declared(entry)?;
    }
    Ok(package)
}
