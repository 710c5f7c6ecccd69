//! Gradle: literal coordinates in build files, `gradle.lockfile`, version catalogues. Build files
//! are programs; what they compute is not seen here, and only the lock file shows it.

use crate::document::{Doc, MAX_VALUES, one_line, text};
use crate::error::{ReadError, unexpected};
use crate::package::{
    Declared, Group, Hashing, InstallScript, Lock, Manifest, Package, RegistrySetting, Source,
};

/// The string literals of a line, outside of comments.
fn literals(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (_, from) = rest.split_at(at);
        if from.starts_with("//") {
            break;
        }
        let mut chars = from.chars();
        let Some(quote) = chars.next() else { break };
        let inner = chars.as_str();
        if quote == '/' {
            rest = inner;
            continue;
        }
        let Some((literal, after)) = inner.split_once(quote) else { break };
        found.push(literal);
        rest = after;
    }
    found
}

fn group_of(line: &str) -> Option<Group> {
    let word = line.trim_start().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    let lower = word.to_ascii_lowercase();
    let known = [
        "implementation",
        "api",
        "compileonly",
        "runtimeonly",
        "annotationprocessor",
        "kapt",
        "ksp",
        "classpath",
        "compile",
        "runtime",
        "developmentonly",
        "coreLibraryDesugaring",
    ];
    if lower.starts_with("test") || lower.starts_with("androidtest") {
        Some(Group::Dev)
    } else if known.iter().any(|one| lower.ends_with(&one.to_ascii_lowercase())) {
        Some(if lower == "classpath" { Group::Dev } else { Group::Normal })
    } else {
        None
    }
}

pub(super) fn build(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let text = text(bytes)?;
    let mut manifest = Manifest::new();
    let mut in_comment = false;
    for (number, line) in text.lines().enumerate() {
        if number > MAX_VALUES {
            return Err(ReadError::TooMany { most: MAX_VALUES });
        }
        let trimmed = line.trim();
        if in_comment {
            in_comment = !trimmed.contains("*/");
            continue;
        }
        if trimmed.starts_with("/*") {
            in_comment = !trimmed.contains("*/");
            continue;
        }
        let literals = literals(trimmed);
        let named = named_parts(trimmed);
        for literal in &literals {
            if literal.contains("://") {
                if trimmed.contains("url") || trimmed.contains("maven") {
                    manifest.registries.push(RegistrySetting {
                        setting: "maven repository".to_owned(),
                        value: (*literal).to_owned(),
                        beside: true,
                    });
                }
                continue;
            }
            let mut parts = literal.split(':');
            if let (Some(group), Some(artifact), version) =
                (parts.next(), parts.next(), parts.next())
                && group.contains(['.', '-']) | group.chars().all(|c| c.is_ascii_alphanumeric())
                && !group.is_empty()
                && !artifact.is_empty()
                && let Some(kind) = group_of(trimmed)
            {
                let version = version.unwrap_or("").split('@').next().unwrap_or("");
                let name = format!("{group}:{artifact}");
                manifest.declared.push(Declared::new(&name, version, kind));
            }
        }
        if let (Some((group, artifact, version)), Some(kind)) = (named, group_of(trimmed)) {
            manifest.declared.push(Declared::new(&format!("{group}:{artifact}"), version, kind));
        }
        if let Some(id) = plugin(trimmed, &literals) {
            manifest.declared.push(id);
        }
    }
    Ok(manifest)
}

/// `group: 'a', name: 'b', version: 'c'`.
fn named_parts(line: &str) -> Option<(&str, &str, &str)> {
    let part = |key: &str| {
        let (_, rest) = line.split_once(key)?;
        let rest = rest.trim_start_matches([' ', ':', '=']);
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest.strip_prefix(quote)?.split_once(quote).map(|(value, _)| value)
    };
    Some((part("group")?, part("name")?, part("version").unwrap_or("")))
}

/// `id 'x.y' version '1'` in a `plugins` block: a package named after the plugin.
fn plugin(line: &str, literals: &[&str]) -> Option<Declared> {
    let is_id = line.starts_with("id ") || line.starts_with("id(");
    match literals {
        [id, version, ..] if is_id && line.contains("version") => {
            let name = format!("{id}:{id}.gradle.plugin");
            Some(Declared::new(&name, version, Group::Dev))
        }
        _ => None,
    }
}

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let mut lock = Lock::new();
    lock.has_graph = false;
    lock.has_project = false;
    lock.hashing = Hashing::Never;
    let mut seen = std::collections::BTreeSet::new();
    for (number, line) in text(bytes)?.lines().enumerate() {
        if number > MAX_VALUES {
            return Err(ReadError::TooMany { most: MAX_VALUES });
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("empty=") {
            continue;
        }
        let malformed = || ReadError::Malformed {
            format: "gradle.lockfile",
            detail: format!("line {}: `{}`", number + 1, one_line(line)),
        };
        let (coordinates, _) = line.split_once('=').ok_or_else(malformed)?;
        let parts: Vec<&str> = coordinates.split(':').collect();
        let [group, artifact, version] = parts.as_slice() else { return Err(malformed()) };
        let name = format!("{group}:{artifact}");
        if !seen.insert(coordinates.to_owned()) {
            lock.repeated.push(coordinates.to_owned());
        }
        let mut package =
            Package::new(coordinates, &name, version, Source::Registry { host: None });
        package.script = InstallScript::No;
        lock.packages.push(package);
    }
    Ok(lock)
}

pub(super) fn catalog(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let doc = Doc::toml(bytes)?;
    let mut manifest = Manifest::new();
    let versions = doc.map("versions")?;
    let version_of = |entry: &Doc| -> String {
        let written = entry.get("version");
        let written = match written.and_then(|one| one.get("ref")).and_then(Doc::text) {
            Some(name) => versions.get(name),
            None => written,
        };
        match written {
            Some(Doc::Map(map)) => ["strictly", "require", "prefer"]
                .into_iter()
                .find_map(|key| map.get(key).and_then(Doc::scalar))
                .unwrap_or("")
                .to_owned(),
            Some(other) => other.scalar().unwrap_or("").to_owned(),
            None => String::new(),
        }
    };
    for (alias, entry) in doc.map("libraries")? {
        let (name, version) = match entry {
            Doc::Text(coordinates) => {
                let (name, version) = coordinates.rsplit_once(':').unwrap_or((coordinates, ""));
                (name.to_owned(), version.to_owned())
            }
            Doc::Map(_) => {
                let name = match entry.str("module")? {
                    Some(module) => module.to_owned(),
                    None => format!("{}:{}", entry.need("group")?, entry.need("name")?),
                };
                (name, version_of(entry))
            }
            _ => return Err(unexpected(alias, "coordinates")),
        };
        manifest.declared.push(Declared::new(&name, &version, Group::Normal));
    }
    for (alias, entry) in doc.map("plugins")? {
        let (id, version) = match entry {
            Doc::Text(text) => {
                let (id, version) = text.rsplit_once(':').unwrap_or((text, ""));
                (id.to_owned(), version.to_owned())
            }
            Doc::Map(_) => (entry.need("id")?.to_owned(), version_of(entry)),
            _ => return Err(unexpected(alias, "a plugin")),
        };
        manifest.declared.push(Declared::new(
            &format!("{id}:{id}.gradle.plugin"),
            &version,
            Group::Dev,
        ));
    }
    Ok(manifest)
}
