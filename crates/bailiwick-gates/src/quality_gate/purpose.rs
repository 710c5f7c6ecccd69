//! How much a change does at once, and whether it is one thing.

use super::{Thresholds, is_source, sources};
use crate::content_gate::{FilePair, Hit, Input};
use crate::path_class::{PathClass, classify};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub(super) fn size(input: &Input, thresholds: &Thresholds, hits: &mut Vec<Hit>) {
    let counted: Vec<_> = input
        .change
        .files
        .iter()
        .filter(|file| {
            let classes = classify(&file.path);
            !classes.contains(&PathClass::LockFile) && !file.binary
        })
        .collect();
    let added = counted.iter().map(|file| file.added).fold(0, u32::saturating_add);
    if added > thresholds.added_lines {
        let message = format!("adds {added} lines, more than {}", thresholds.added_lines);
        hits.push(Hit::in_change("quality/too-large", "", message));
    }
    let areas: BTreeSet<String> = counted
        .iter()
        .filter(|file| is_source(&file.path))
        .map(|file| folder(&file.path, 2))
        .collect();
    if areas.len() > thresholds.areas {
        let message =
            format!("changes code in {} areas, more than {}", areas.len(), thresholds.areas);
        hits.push(Hit::in_change("quality/mixed", "", message));
    }
}

/// The first folders of a path.
fn folder(path: &str, depth: usize) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let folders = parts.len().saturating_sub(1).min(depth);
    parts.get(..folders).unwrap_or_default().join("/")
}

/// Parts of the change that share no folder and no word: each of them could be a change by itself.
pub(super) fn unrelated(input: &Input, thresholds: &Thresholds, hits: &mut Vec<Hit>) {
    let pairs: Vec<&FilePair> = sources(input).collect();
    let mut part: Vec<usize> = (0..pairs.len()).collect();
    let mut by_folder: HashMap<String, usize> = HashMap::new();
    let mut by_word: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        let whole = folder(&pair.path, usize::MAX);
        match by_folder.get(&whole) {
            Some(other) => join(&mut part, at, *other),
            None => {
                by_folder.insert(whole, at);
            }
        }
        for word in changed_words(pair) {
            by_word.entry(word).or_default().push(at);
        }
        // a file named like another is about the same: a test and what it tests
        let name = pair.path.rsplit('/').next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let stem = stem.trim_start_matches("test_").trim_end_matches("_test").to_owned();
        by_word.entry(format!("file {stem}")).or_default().push(at);
    }
    for files in by_word.values() {
        for pair in files.windows(2) {
            if let [one, other] = pair {
                join(&mut part, *one, *other);
            }
        }
    }
    let mut lines: BTreeMap<usize, (u32, &str)> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        let root = find(&mut part, at);
        let count = pair
            .added
            .iter()
            .chain(&pair.removed)
            .map(|range| range.last.saturating_sub(range.first).saturating_add(1));
        let entry = lines.entry(root).or_insert((0, &pair.path));
        entry.0 = entry.0.saturating_add(count.fold(0, u32::saturating_add));
    }
    let large: Vec<(u32, &str)> = lines
        .into_values()
        .filter(|(count, _)| *count >= thresholds.unrelated_lines.max(1))
        .collect();
    if let [(one_lines, one), (other_lines, other), ..] = large[..] {
        let message = format!(
            "{} parts share no folder and no name: `{one}` ({one_lines} lines) and `{other}` ({other_lines} lines)",
            large.len()
        );
        hits.push(Hit::in_change("quality/unrelated", "", message));
    }
}

/// Names in the lines that the change adds or takes away, long enough to mean something.
fn changed_words(pair: &FilePair) -> HashSet<String> {
    /// Most words of one file.
    const MOST: usize = 4_000;
    let mut words = HashSet::new();
    for (text, ranges) in [(pair.text_after(), &pair.added), (pair.text_before(), &pair.removed)] {
        let Some(text) = text else { continue };
        let lines: Vec<&str> = text.lines().collect();
        for range in ranges {
            let first = usize::try_from(range.first).unwrap_or(1).saturating_sub(1);
            let last = usize::try_from(range.last).unwrap_or(0).min(lines.len());
            for line in lines.get(first..last).unwrap_or_default() {
                let found = line
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .filter(|word| word.len() > 4 && !COMMON.contains(word));
                words.extend(found.map(str::to_owned));
                if words.len() > MOST {
                    return words;
                }
            }
        }
    }
    words
}

/// Words that any two files can share.
const COMMON: &[&str] = &[
    "assert",
    "async",
    "await",
    "break",
    "catch",
    "class",
    "const",
    "continue",
    "default",
    "export",
    "extends",
    "false",
    "finally",
    "fixed",
    "float",
    "function",
    "global",
    "import",
    "include",
    "interface",
    "lambda",
    "length",
    "match",
    "module",
    "namespace",
    "option",
    "package",
    "print",
    "private",
    "protected",
    "public",
    "raise",
    "range",
    "require",
    "result",
    "return",
    "returns",
    "static",
    "string",
    "String",
    "struct",
    "super",
    "switch",
    "throw",
    "throws",
    "trait",
    "using",
    "value",
    "values",
    "while",
    "where",
    "yield",
    "self",
    "super",
    "print",
    "error",
    "Error",
    "number",
    "object",
    "Object",
    "return",
    "undefined",
    "while",
    "Result",
    "Option",
    "impl",
];

fn find(part: &mut [usize], at: usize) -> usize {
    let mut at = at;
    while let Some(up) = part.get(at).copied().filter(|up| *up != at) {
        at = up;
    }
    at
}

fn join(part: &mut [usize], one: usize, other: usize) {
    let (one, other) = (find(part, one), find(part, other));
    if let Some(slot) = part.get_mut(one) {
        *slot = other;
    }
}
