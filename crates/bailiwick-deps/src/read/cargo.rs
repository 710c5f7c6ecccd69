//! `Cargo.toml` and `Cargo.lock`, versions 1 to 4.

use std::collections::{BTreeMap, BTreeSet};

use crate::address;
use crate::document::Doc;
use crate::error::{ReadError, unexpected};
use crate::package::{
    Declared, Edge, Group, Hash, InstallScript, Lock, Manifest, Package, RegistrySetting, Source,
};

const SECTIONS: [(&str, Group); 5] = [
    ("dependencies", Group::Normal),
    ("dev-dependencies", Group::Dev),
    ("dev_dependencies", Group::Dev),
    ("build-dependencies", Group::Dev),
    ("build_dependencies", Group::Dev),
];

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let doc = Doc::toml(bytes)?;
    let mut manifest = Manifest::new();
    if let Some(package) = doc.get("package") {
        manifest.name = package.str("name")?.map(str::to_owned);
        manifest.version = package.get("version").and_then(Doc::text).map(str::to_owned);
    }
    sections(&doc, &mut manifest.declared)?;
    for target in doc.map("target")?.values() {
        sections(target, &mut manifest.declared)?;
    }
    if let Some(workspace) = doc.get("workspace") {
        manifest.workspace = true;
        for (key, value) in workspace.map("dependencies")? {
            manifest.offered.push(declared(key, value, Group::Normal)?);
        }
    }
    for (registry, patches) in doc.map("patch")? {
        for (key, value) in patches.as_map(registry)? {
            manifest.overrides.push(declared(key, value, Group::Constraint)?);
        }
    }
    for (key, value) in doc.map("replace")? {
        let name = key.rsplit_once(':').map_or(key.as_str(), |(name, _)| name);
        manifest.overrides.push(declared(name, value, Group::Constraint)?);
    }
    for one in manifest.declared.iter().chain(&manifest.offered) {
        if let Source::Registry { host: Some(host) } = &one.source {
            manifest.registries.push(RegistrySetting {
                setting: format!("registry of `{}`", one.name),
                value: host.clone(),
                beside: false,
            });
        }
    }
    Ok(manifest)
}

fn sections(doc: &Doc, out: &mut Vec<Declared>) -> Result<(), ReadError> {
    for (section, group) in SECTIONS {
        for (key, value) in doc.map(section)? {
            out.push(declared(key, value, group)?);
        }
    }
    Ok(())
}

fn declared(key: &str, value: &Doc, group: Group) -> Result<Declared, ReadError> {
    if let Some(requirement) = value.text() {
        return Ok(Declared::new(key, requirement, group));
    }
    value.as_map(key)?;
    let name = value.str("package")?.unwrap_or(key);
    let mut one = Declared::new(name, value.str("version")?.unwrap_or(""), group);
    if name != key {
        one.alias = Some(key.to_owned());
    }
    one.inherited = value.is_true("workspace");
    if value.is_true("optional") && group == Group::Normal {
        one.group = Group::Optional;
    }
    if let Some(url) = value.str("git")? {
        let commit = value.str("rev")?.and_then(address::full_commit);
        one.source = Source::Git { url: url.to_owned(), commit };
    } else if let Some(path) = value.str("path")? {
        one.source = Source::Path { path: path.to_owned() };
    } else if let Some(registry) = value.str("registry-index")?.or(value.str("registry")?) {
        let host = address::host(registry).unwrap_or_else(|| registry.to_owned());
        one.source = Source::Registry { host: Some(host) };
    }
    Ok(one)
}

/// Where a `source` leads; the default registry has two spellings.
fn source(text: &str) -> Source {
    if text.starts_with("git+") {
        return address::git(text);
    }
    let url = text.strip_prefix("registry+").or_else(|| text.strip_prefix("sparse+"));
    match url {
        Some("https://github.com/rust-lang/crates.io-index") => {
            Source::Registry { host: Some("index.crates.io".to_owned()) }
        }
        Some(url) => Source::Registry { host: address::host(url) },
        None if text.starts_with("path+") => Source::Path { path: text.to_owned() },
        None => Source::Url { url: text.to_owned() },
    }
}

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::toml(bytes)?;
    if let Some(version) = doc.str("version")?
        && !matches!(version, "1" | "2" | "3" | "4")
    {
        return Err(ReadError::Version { version: version.to_owned() });
    }
    let mut lock = Lock::new();
    let mut seen = BTreeSet::new();
    let checksums = doc.map("metadata")?;
    let mut wishes: Vec<Vec<String>> = Vec::new();
    for entry in doc.list("package")? {
        let name = entry.need("name")?;
        let version = entry.need("version")?;
        let written = entry.str("source")?;
        let from = written.map_or(Source::Project, source);
        let key = format!("name = \"{name}\"\nversion = \"{version}\"");
        let mut package = Package::new(&key, name, version, from);
        package.resolved.extend(written.map(str::to_owned));
        package.script = InstallScript::Unknown;
        let old = format!("checksum {name} {version} ({})", written.unwrap_or_default());
        let checksum = match entry.str("checksum")? {
            Some(checksum) => Some(checksum),
            None => checksums.get(&old).and_then(Doc::text).filter(|one| *one != "<none>"),
        };
        package.hashes.extend(
            checksum.map(|value| Hash { algorithm: "sha256".to_owned(), value: value.to_owned() }),
        );
        let wanted = entry
            .list("dependencies")?
            .iter()
            .map(|one| one.text().map(str::to_owned).ok_or_else(|| unexpected(name, "text")))
            .collect::<Result<_, _>>()?;
        if !seen.insert((name.to_owned(), version.to_owned(), written.map(str::to_owned))) {
            lock.repeated.push(format!("{name} {version}"));
        }
        lock.packages.push(package);
        wishes.push(wanted);
    }
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, package) in lock.packages.iter().enumerate() {
        by_name.entry(package.name.clone()).or_default().push(at);
    }
    for (at, wanted) in wishes.into_iter().enumerate() {
        let edges = wanted.iter().map(|wish| edge(wish, &by_name, &lock.packages)).collect();
        if let Some(package) = lock.packages.get_mut(at) {
            package.edges = edges;
        }
    }
    Ok(lock)
}

/// `name`, `name version` or `name version (source)`.
fn edge(wish: &str, by_name: &BTreeMap<String, Vec<usize>>, packages: &[Package]) -> Edge {
    let mut words = wish.splitn(3, ' ');
    let name = words.next().unwrap_or_default();
    let version = words.next();
    let from = words.next().map(|text| text.trim_start_matches('(').trim_end_matches(')'));
    let meets = |at: &usize| {
        packages.get(*at).is_some_and(|package| {
            version.is_none_or(|version| package.version == version)
                && from.is_none_or(|from| package.resolved.iter().any(|one| same_source(one, from)))
        })
    };
    let to = by_name.get(name).into_iter().flatten().copied().filter(meets).collect();
    Edge { wanted: wish.to_owned(), requirement: None, to, optional: false }
}

/// A dependency leaves out the commit that the entry itself has.
fn same_source(entry: &str, wish: &str) -> bool {
    entry == wish || entry.split('#').next() == Some(wish)
}
