//! `yarn.lock`: the classic form, which is a format of its own, and berry's, which is YAML.

use std::collections::BTreeMap;

use super::npm::{integrity, source};
use crate::address;
use crate::document::{Doc, MAX_VALUES, text};
use crate::error::{ReadError, unexpected};
use crate::package::{Declared, Edge, Group, Hash, InstallScript, Lock, Package, Source};

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let text = text(bytes)?;
    if text.lines().any(|line| line.trim_end() == "__metadata:") {
        berry(bytes)
    } else {
        classic(text)
    }
}

/// One entry of the classic form.
#[derive(Default)]
struct Entry {
    keys: Vec<String>,
    fields: BTreeMap<String, String>,
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

fn malformed(number: usize, detail: &str) -> ReadError {
    ReadError::Malformed { format: "yarn.lock", detail: format!("line {}: {detail}", number + 1) }
}

/// The words of a line: plain, or in double quotes.
fn words(line: &str, number: usize) -> Result<Vec<String>, ReadError> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (word, after) =
                quoted.split_once('"').ok_or_else(|| malformed(number, "an open quote"))?;
            words.push(word.to_owned());
            rest = after.trim_start();
        } else {
            let end = rest.find([' ', ',', '"']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if !word.is_empty() {
                words.push(word.to_owned());
            }
            rest = after.trim_start_matches([' ', ',']);
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    Ok(words)
}

fn entries(text: &str) -> Result<Vec<Entry>, ReadError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut section: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if number > MAX_VALUES {
            return Err(ReadError::TooMany { most: MAX_VALUES });
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        match indent {
            0 => {
                let keys = bare.strip_suffix(':').ok_or_else(|| malformed(number, "no colon"))?;
                let keys = words(keys, number)?;
                if keys.is_empty() {
                    return Err(malformed(number, "no name"));
                }
                all.push(Entry { keys, ..Entry::default() });
                section = None;
            }
            2 => {
                let entry = all.last_mut().ok_or_else(|| malformed(number, "no entry"))?;
                if let Some(name) = bare.strip_suffix(':') {
                    section = Some(name.to_owned());
                    if entry.sections.insert(name.to_owned(), BTreeMap::new()).is_some() {
                        return Err(ReadError::Repeated { key: name.to_owned() });
                    }
                } else {
                    section = None;
                    let (name, value) = pair(bare, number)?;
                    if entry.fields.insert(name.clone(), value).is_some() {
                        return Err(ReadError::Repeated { key: name });
                    }
                }
            }
            4 => {
                let (name, value) = pair(bare, number)?;
                let section = section
                    .as_ref()
                    .and_then(|name| all.last_mut()?.sections.get_mut(name))
                    .ok_or_else(|| malformed(number, "no section"))?;
                if section.insert(name.clone(), value).is_some() {
                    return Err(ReadError::Repeated { key: name });
                }
            }
            _ => return Err(malformed(number, "an indentation that yarn does not write")),
        }
    }
    Ok(all)
}

fn pair(line: &str, number: usize) -> Result<(String, String), ReadError> {
    let mut words = words(line, number)?;
    match (words.pop(), words.pop(), words.is_empty()) {
        (Some(value), Some(name), true) => Ok((name, value)),
        _ => Err(malformed(number, "not a name and a value")),
    }
}

/// Name and requirement of `a@^1.0.0` or `@s/a@^1.0.0`.
fn split(key: &str) -> (&str, &str) {
    match key.char_indices().find(|(at, c)| *at > 0 && *c == '@') {
        Some((at, _)) => (key.get(..at).unwrap_or(key), key.get(at + 1..).unwrap_or("")),
        None => (key, ""),
    }
}

fn classic(text: &str) -> Result<Lock, ReadError> {
    let mut lock = Lock::new();
    lock.has_project = false;
    let entries = entries(text)?;
    let mut by_key: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        for key in &entry.keys {
            if by_key.insert(key, at).is_some() {
                lock.repeated.push(key.clone());
            }
        }
    }
    for entry in &entries {
        let key = entry.keys.first().map_or("", String::as_str);
        let version =
            entry.fields.get("version").ok_or_else(|| unexpected(key, "with a version"))?;
        let (name, requirement) = split(key);
        let wish =
            address::npm_wish(name, requirement, Declared::new(name, requirement, Group::Normal));
        let resolved = entry.fields.get("resolved");
        let from = match resolved {
            Some(resolved) => {
                let bare = resolved.split('#').next().unwrap_or(resolved);
                match source(resolved) {
                    Source::Url { .. } => source(bare),
                    other => other,
                }
            }
            None => wish.source.clone(),
        };
        let mut package = Package::new(key, &wish.name, version, from);
        package.resolved.extend(resolved.cloned());
        package.hashes =
            entry.fields.get("integrity").map(|one| integrity(one)).unwrap_or_default();
        // older files have a SHA-1 behind the address and nothing else
        if let Some((_, fragment)) = resolved.and_then(|one| one.split_once('#'))
            && package.hashes.is_empty()
            && matches!(package.source, Source::Registry { .. } | Source::Url { .. })
            && fragment.len() == 40
        {
            let algorithm = "sha1".to_owned();
            package.hashes.push(Hash { algorithm, value: fragment.to_owned() });
        }
        package.script = InstallScript::Unknown;
        for (section, optional) in [("dependencies", false), ("optionalDependencies", true)] {
            for (name, requirement) in entry.sections.get(section).into_iter().flatten() {
                let wanted = format!("{name}@{requirement}");
                package.edges.push(Edge {
                    to: by_key.get(wanted.as_str()).copied().into_iter().collect(),
                    wanted,
                    requirement: Some(requirement.clone()),
                    optional,
                });
            }
        }
        // an entry that no requirement of its own key can mean
        for key in &entry.keys {
            if split(key).0 != name {
                lock.repeated.push(format!("{key} (together with {name})"));
            }
        }
        lock.packages.push(package);
    }
    resolve_keys(&mut lock, &entries.iter().map(|entry| entry.keys.clone()).collect::<Vec<_>>());
    Ok(lock)
}

/// Keeps every key of an entry, so that a manifest's wish can be found by its own text.
fn resolve_keys(lock: &mut Lock, keys: &[Vec<String>]) {
    for (package, keys) in lock.packages.iter_mut().zip(keys) {
        if package.source == Source::Project {
            continue;
        }
        package.declared = keys
            .iter()
            .map(|key| {
                let (name, requirement) = split(key);
                Declared::new(name, requirement, Group::Constraint)
            })
            .collect();
    }
}

fn berry(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::yaml(bytes)?;
    let mut lock = Lock::new();
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    let mut entries = Vec::new();
    let mut all_keys = Vec::new();
    for (keys, entry) in doc.as_map("the file")? {
        if keys == "__metadata" {
            let version = entry.need("version")?;
            if !matches!(version, "4" | "5" | "6" | "7" | "8" | "9" | "10") {
                return Err(ReadError::Version { version: version.to_owned() });
            }
            continue;
        }
        let keys: Vec<String> = keys.split(", ").map(str::to_owned).collect();
        for key in &keys {
            if by_key.insert(key.clone(), entries.len()).is_some() {
                lock.repeated.push(key.clone());
            }
        }
        let key = keys.first().map_or("", String::as_str);
        let package = berry_package(key, entry)?;
        entries.push(entry);
        all_keys.push(keys);
        lock.packages.push(package);
    }
    for (at, entry) in entries.into_iter().enumerate() {
        let is_project = lock.packages.get(at).is_some_and(|one| one.source == Source::Project);
        let mut edges = Vec::new();
        for (section, group) in
            [("dependencies", Group::Normal), ("optionalDependencies", Group::Optional)]
        {
            for (name, value) in entry.map(section)? {
                let requirement = value.scalar().ok_or_else(|| unexpected(name, "text"))?;
                let wanted = berry_key(name, requirement);
                let optional = group == Group::Optional
                    || entry
                        .get("dependenciesMeta")
                        .and_then(|meta| meta.get(name))
                        .is_some_and(|meta| meta.is_true("optional"));
                edges.push(Edge {
                    to: berry_find(&wanted, name, &by_key),
                    wanted,
                    requirement: Some(requirement.to_owned()),
                    optional,
                });
                if is_project && let Some(package) = lock.packages.get_mut(at) {
                    let plain = Declared::new(name, requirement, group);
                    package.declared.push(address::npm_wish(name, requirement, plain));
                }
            }
        }
        // a patched package stands upon the one that it patches
        if let Some(package) = lock.packages.get(at)
            && let Some((_, patched)) = package.key.split_once("@patch:")
            && let Some(inner) = patched
                .split(['#', ':'])
                .next()
                .map(|one| one.replace("%3A", ":").replace("%40", "@"))
        {
            edges.push(Edge {
                to: by_key.get(&inner).copied().into_iter().collect(),
                wanted: inner,
                requirement: None,
                optional: true,
            });
        }
        if let Some(package) = lock.packages.get_mut(at) {
            package.edges = edges;
        }
    }
    resolve_keys(&mut lock, &all_keys);
    Ok(lock)
}

fn berry_key(name: &str, requirement: &str) -> String {
    if requirement.contains(':') {
        format!("{name}@{requirement}")
    } else {
        format!("{name}@npm:{requirement}")
    }
}

/// Workspace wishes are written in more than one way.
fn berry_find(wanted: &str, name: &str, by_key: &BTreeMap<String, usize>) -> Vec<usize> {
    if let Some(at) = by_key.get(wanted) {
        return vec![*at];
    }
    let any_workspace = format!("{name}@workspace:");
    let patched = format!("{name}@patch:");
    by_key
        .range(format!("{name}@")..)
        .take_while(|(key, _)| key.starts_with(&format!("{name}@")))
        .filter(|(key, _)| {
            key.starts_with(&patched)
                || key.starts_with(&any_workspace) && wanted.contains("@workspace:")
        })
        .map(|(_, at)| *at)
        .collect()
}

fn berry_package(key: &str, entry: &Doc) -> Result<Package, ReadError> {
    let resolution = entry.need("resolution")?;
    let (name, place) = split(resolution);
    let version = entry.str("version")?.unwrap_or("");
    let from = if let Some(path) = place.strip_prefix("workspace:") {
        let mut package = Package::new(path, name, version, Source::Project);
        if path == "." {
            package.key.clear();
        }
        return Ok(package);
    } else if place.starts_with("npm:") || place.starts_with("patch:") {
        let archive = place.split_once("__archiveUrl=").map(|(_, url)| {
            url.replace("%3A", ":").replace("%2F", "/").split('&').next().unwrap_or(url).to_owned()
        });
        match archive {
            Some(url) => source(&url),
            None => Source::Registry { host: None },
        }
    } else if let Some(path) =
        ["file:", "link:", "portal:"].iter().find_map(|one| place.strip_prefix(one))
    {
        Source::Path { path: path.split("::").next().unwrap_or(path).to_owned() }
    } else {
        address::web(place)
    };
    let mut package = Package::new(key, name, version, from);
    // the version in the resolution is the one that is fetched
    if let Some(fetched) = place.strip_prefix("npm:") {
        let fetched = fetched.split("::").next().unwrap_or(fetched);
        if fetched != version {
            package.resolved.push(format!("{name}@{fetched}"));
        }
    }
    package.script = InstallScript::Unknown;
    // what is only for another platform is not fetched, and has no checksum then
    package.bundled = entry.get("conditions").is_some();
    if let Some(checksum) = entry.str("checksum")? {
        // a key of the cache may stand before it: `10c0/<hex>`
        let value = checksum.rsplit('/').next().unwrap_or(checksum);
        package.hashes.push(Hash { algorithm: "sha512".to_owned(), value: value.to_owned() });
    }
    Ok(package)
}
