//! `package-lock.json` version 1, and the old half of version 2.

use std::collections::BTreeMap;

use super::npm::{integrity, source};
use crate::document::Doc;
use crate::error::{ReadError, unexpected};
use crate::package::{Edge, InstallScript, Lock, Package, Source};

pub(super) fn lock(doc: &Doc) -> Result<Lock, ReadError> {
    let mut lock = Lock::new();
    lock.has_project = false;
    let mut at_path = BTreeMap::new();
    let mut wishes = Vec::new();
    level(doc, "", &mut lock, &mut at_path, &mut wishes)?;
    for (at, path, wanted) in wishes {
        let edges = wanted
            .into_iter()
            .map(|(name, requirement)| Edge {
                to: find(&path, &name, &at_path).into_iter().collect(),
                wanted: name,
                requirement: Some(requirement),
                optional: false,
            })
            .collect();
        if let Some(package) = lock.packages.get_mut(at) {
            package.edges = edges;
        }
    }
    Ok(lock)
}

type Wishes = Vec<(usize, String, Vec<(String, String)>)>;

fn level(
    doc: &Doc,
    above: &str,
    lock: &mut Lock,
    at_path: &mut BTreeMap<String, usize>,
    wishes: &mut Wishes,
) -> Result<(), ReadError> {
    for (name, entry) in doc.map("dependencies")? {
        entry.as_map(name)?;
        let path = if above.is_empty() {
            format!("node_modules/{name}")
        } else {
            format!("{above}/node_modules/{name}")
        };
        let written = entry.need("version")?;
        let resolved = entry.str("resolved")?;
        let (true_name, version, from) = match written.strip_prefix("npm:") {
            Some(alias) => {
                let (target, version) = alias.rsplit_once('@').unwrap_or((alias, ""));
                (target, version, resolved.map_or(Source::Registry { host: None }, source))
            }
            None if written.contains(':') => (name.as_str(), written, source(written)),
            None => {
                let from = resolved.map_or(Source::Registry { host: None }, source);
                (name.as_str(), written, from)
            }
        };
        let mut package = Package::new(&path, true_name, version, from);
        package.resolved.extend(resolved.map(str::to_owned));
        package.hashes = entry.str("integrity")?.map(integrity).unwrap_or_default();
        package.bundled = entry.is_true("bundled");
        package.script = InstallScript::Unknown;
        let mut wanted = Vec::new();
        if let Some(Doc::Map(requires)) = entry.get("requires") {
            for (wish, requirement) in requires {
                let requirement = requirement.text().ok_or_else(|| unexpected(wish, "text"))?;
                wanted.push((wish.clone(), requirement.to_owned()));
            }
        }
        at_path.insert(path.clone(), lock.packages.len());
        wishes.push((lock.packages.len(), path.clone(), wanted));
        lock.packages.push(package);
        level(entry, &path, lock, at_path, wishes)?;
    }
    Ok(())
}

fn find(from: &str, name: &str, at_path: &BTreeMap<String, usize>) -> Option<usize> {
    let mut here = from;
    loop {
        let path = if here.is_empty() {
            format!("node_modules/{name}")
        } else {
            format!("{here}/node_modules/{name}")
        };
        if let Some(at) = at_path.get(&path) {
            return Some(*at);
        }
        if here.is_empty() {
            return None;
        }
        here = here.rsplit_once("/node_modules/").map_or("", |(before, _)| before);
    }
}
