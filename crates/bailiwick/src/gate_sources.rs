//! What gates need from outside: a mirror of advisories, snapshots of package indexes. Read from
//! directories that the operator names; a file in them that can't be used is an error, since a
//! mirror with a hole in it would look like a clean one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_deps::{Advisories, SnapshotIndex, SnapshotIndexes};
use bailiwick_gates::{Analyser, Sources};

use crate::command::Told;

/// The file in which a mirror says when it was made.
const MADE_AT: &str = "fetched_at";
/// How deep directories are looked into.
const MAX_DEPTH: usize = 4;

/// Reads both, where they are named.
pub(crate) fn load(advisories: Option<&Path>, index: Option<&Path>) -> Result<Sources> {
    Ok(Sources {
        advisories: advisories.map(read_advisories).transpose()?.map(Arc::new),
        index: match index {
            Some(directory) => Some(Arc::new(read_indexes(directory)?)),
            None => None,
        },
        remote: None,
        analysers: Vec::new(),
    })
}

/// Reads the files that the organisation's tools bring along, and holds the tools against what a
/// tool has to say.
pub(crate) fn load_analysers(named: &[Analyser]) -> Result<Vec<Analyser>> {
    let mut tools: Vec<Analyser> = Vec::with_capacity(named.len());
    for tool in named {
        let mut tool = tool.clone();
        tool.check().map_err(|error| Told {
            code: "config.invalid".to_owned(),
            message: error.to_string(),
            hint: "correct `[[gates.analyser]]` in the configuration".to_owned(),
        })?;
        if tools.iter().any(|other| other.name == tool.name) {
            return Err(Told {
                code: "config.invalid".to_owned(),
                message: format!("two analysers have the name `{}`", tool.name),
                hint: "give one of them another name".to_owned(),
            }
            .into());
        }
        for (name, path) in &tool.files {
            let bytes = std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))?;
            tool.contents.insert(name.clone(), bytes);
        }
        tools.push(tool);
    }
    Ok(tools)
}

fn unusable(path: &Path, reason: &str) -> anyhow::Error {
    Told {
        code: "gate.sources".to_owned(),
        message: format!("`{}` can't be used: {reason}", path.display()),
        hint: "fetch or make it anew, or take the file away".to_owned(),
    }
    .into()
}

fn listed(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![(directory.to_owned(), 0_usize)];
    while let Some((directory, depth)) = waiting.pop() {
        let entries = std::fs::read_dir(&directory)
            .with_context(|| format!("cannot read the directory `{}`", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| directory.display().to_string())?;
            let kind = entry.file_type().with_context(|| entry.path().display().to_string())?;
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH {
                waiting.push((path, depth + 1));
            } else if kind.is_file() && path.extension().is_some_and(|one| one == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read_advisories(directory: &Path) -> Result<Advisories> {
    let mut advisories = Advisories::default();
    for path in listed(directory, "json")? {
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        advisories.add(&bytes).map_err(|error| unusable(&path, &error.to_string()))?;
    }
    let made_at = directory.join(MADE_AT);
    if made_at.is_file() {
        let text =
            std::fs::read_to_string(&made_at).with_context(|| made_at.display().to_string())?;
        let time = text.trim().parse().map_err(|_| unusable(&made_at, "it holds no time"))?;
        advisories.made_at(time);
    }
    Ok(advisories)
}

/// The snapshots of a directory.
pub(crate) fn read_indexes(directory: &Path) -> Result<SnapshotIndexes> {
    let mut indexes = SnapshotIndexes::default();
    for path in listed(directory, "index")? {
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let index =
            SnapshotIndex::open(&bytes).map_err(|error| unusable(&path, &error.to_string()))?;
        indexes.add(index);
    }
    Ok(indexes)
}
