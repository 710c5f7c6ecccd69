//! `go.mod` and `go.sum`.

use std::collections::BTreeMap;

use crate::document::{MAX_VALUES, one_line, text};
use crate::error::ReadError;
use crate::package::{Declared, Group, Hash, InstallScript, Lock, Manifest, Package, Source};

fn malformed(format: &'static str, number: usize, line: &str) -> ReadError {
    ReadError::Malformed { format, detail: format!("line {}: `{}`", number + 1, one_line(line)) }
}

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let mut manifest = Manifest::new();
    let mut block: Option<String> = None;
    for (number, line) in text(bytes)?.lines().enumerate() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let words: Vec<&str> = code.split_whitespace().map(|word| word.trim_matches('"')).collect();
        let bad = || malformed("go.mod", number, line);
        match (block.as_deref(), words.as_slice()) {
            (_, []) => {}
            (Some(_), [")"]) => block = None,
            (Some(verb), rest) => {
                directive(verb, rest, comment, &mut manifest).ok_or_else(bad)?;
            }
            (None, [verb, "("]) => block = Some((*verb).to_owned()),
            (None, [verb, rest @ ..]) => {
                directive(verb, rest, comment, &mut manifest).ok_or_else(bad)?;
            }
        }
    }
    if block.is_some() {
        return Err(ReadError::Malformed { format: "go.mod", detail: "an open block".to_owned() });
    }
    Ok(manifest)
}

fn directive(verb: &str, words: &[&str], comment: &str, manifest: &mut Manifest) -> Option<()> {
    match (verb, words) {
        ("module", [name]) => manifest.name = Some((*name).to_owned()),
        ("require", [name, version]) => {
            let indirect = comment.trim().starts_with("indirect");
            let group = if indirect { Group::Optional } else { Group::Normal };
            manifest.declared.push(Declared::new(name, version, group));
        }
        ("replace", words) => {
            let arrow = words.iter().position(|word| *word == "=>")?;
            let name = words.first().filter(|_| arrow > 0)?;
            let target = words.get(arrow + 1)?;
            let version = words.get(arrow + 2).copied().unwrap_or("");
            let local =
                target.starts_with("./") || target.starts_with("../") || target.starts_with('/');
            let mut declared = if local {
                Declared::new(name, version, Group::Constraint)
                    .from(Source::Path { path: (*target).to_owned() })
            } else {
                Declared::new(target, version, Group::Constraint)
            };
            if !local && target != name {
                declared.alias = Some((*name).to_owned());
            }
            manifest.overrides.push(declared);
        }
        ("go" | "toolchain" | "exclude" | "retract" | "godebug" | "tool" | "ignore", _) => {}
        _ => return None,
    }
    Some(())
}

pub(super) fn sums(bytes: &[u8]) -> Result<Lock, ReadError> {
    let mut lock = Lock::new();
    lock.has_graph = false;
    lock.has_project = false;
    let mut at_key: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (number, line) in text(bytes)?.lines().enumerate() {
        if number > MAX_VALUES {
            return Err(ReadError::TooMany { most: MAX_VALUES });
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, version, hash] = words.as_slice() else {
            if words.is_empty() {
                continue;
            }
            return Err(malformed("go.sum", number, line));
        };
        let (algorithm, value) =
            hash.split_once(':').ok_or_else(|| malformed("go.sum", number, line))?;
        let hash = Hash { algorithm: algorithm.to_owned(), value: value.to_owned() };
        let key = ((*name).to_owned(), (*version).to_owned());
        match at_key.get(&key).and_then(|at| lock.packages.get_mut(*at)) {
            Some(there) if there.hashes.contains(&hash) => {}
            Some(there) => {
                let again = format!("{name} {version}");
                there.hashes.push(hash);
                lock.repeated.push(again);
            }
            None => {
                at_key.insert(key, lock.packages.len());
                let from = Source::Registry { host: None };
                let key = format!("{name} {version} ");
                let mut package = Package::new(&key, name, version, from);
                package.hashes.push(hash);
                package.script = InstallScript::No;
                lock.packages.push(package);
            }
        }
    }
    Ok(lock)
}
