//! Gate `quality`: what a reviewer would send back before reading: too much at once, the same code
//! twice, functions that nobody can hold in mind.
//!
//! All of it is heuristic and asks a person. Thresholds are `[settings.quality]` in
//! `.bailiwick/gates.toml` on the protected branch.

use crate::content_gate::{ContentGate, FilePair, Hit, Input, Inspected};
use crate::path_class::{PathClass, classify};
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Finds what makes a change hard to review.
#[derive(Debug, Clone, Copy, Default)]
pub struct QualityGate;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Thresholds {
    /// Most lines that a change adds.
    added_lines: u32,
    /// Most areas (folders two deep) that a change touches.
    areas: usize,
    /// Fewest lines that count as a copy.
    copied_lines: usize,
    /// Deepest nesting of a new line, in steps of indentation.
    nesting: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { added_lines: 1_000, areas: 8, copied_lines: 12, nesting: 7 }
    }
}

impl ContentGate for QualityGate {
    fn name(&self) -> &'static str {
        "quality"
    }

    fn purpose(&self) -> &'static str {
        "size, single purpose, copies and nesting of what a change brings"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::asks(
                "quality/too-large",
                "change that is too large to review",
                Severity::Low,
                None,
                [
                    "reviews of large changes find little; mistakes hide in the bulk",
                    "split it into changes that each stand by themselves",
                ],
            ),
            Rule::asks(
                "quality/mixed",
                "change that touches many areas",
                Severity::Low,
                None,
                [
                    "a change that does several things can't be judged, reverted or explained as one",
                    "send each purpose as a change of its own",
                ],
            ),
            Rule::asks(
                "quality/copied",
                "block of code that is there already",
                Severity::Low,
                Some(1041),
                [
                    "whatever is mended in one copy stays broken in the other",
                    "call the code that is there, or move it to where both can",
                ],
            ),
            Rule::asks(
                "quality/nested",
                "deeply nested code",
                Severity::Low,
                Some(1121),
                [
                    "so many conditions at once are hard to test and easy to get wrong",
                    "return early, or give the inner part a function of its own",
                ],
            ),
        ]
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let thresholds: Thresholds = match input.settings.of(self.name()) {
            Ok(thresholds) => thresholds,
            Err(reason) => return Inspected { doubts: vec![reason], ..Inspected::default() },
        };
        let mut hits = Vec::new();
        size(input, &thresholds, &mut hits);
        copies(input, thresholds.copied_lines.max(4), &mut hits);
        for pair in input.change.pairs.iter().filter(|pair| is_source(&pair.path)) {
            nested(pair, thresholds.nesting, &mut hits);
        }
        Inspected {
            hits,
            doubts: input.change.unread.clone(),
            looked_at: format!("{} files", input.change.pairs.len()),
        }
    }
}

fn is_source(path: &str) -> bool {
    classify(path).contains(&PathClass::Source)
}

fn size(input: &Input, thresholds: &Thresholds, hits: &mut Vec<Hit>) {
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
        .map(|file| {
            let folders: Vec<&str> = file.path.split('/').collect();
            folders
                .iter()
                .take(folders.len().saturating_sub(1).min(2))
                .copied()
                .collect::<Vec<_>>()
                .join("/")
        })
        .collect();
    if areas.len() > thresholds.areas {
        let message =
            format!("changes code in {} areas, more than {}", areas.len(), thresholds.areas);
        hits.push(Hit::in_change("quality/mixed", "", message));
    }
}

/// Blocks of new lines that stand elsewhere in what the change touches.
fn copies(input: &Input, least: usize, hits: &mut Vec<Hit>) {
    /// Most lines of one file that are compared.
    const MOST_LINES: usize = 20_000;
    let files: Vec<(&FilePair, Vec<(u32, String)>)> = input
        .change
        .pairs
        .iter()
        .filter(|pair| is_source(&pair.path))
        .filter_map(|pair| {
            let text = pair.text_after()?;
            let lines = (1..)
                .zip(text.lines().take(MOST_LINES))
                .map(|(number, line)| {
                    (number, line.split_whitespace().collect::<Vec<_>>().join(" "))
                })
                // braces and blank lines are the same everywhere
                .filter(|(_, line)| line.chars().filter(|c| c.is_alphanumeric()).count() > 2)
                .collect();
            Some((pair, lines))
        })
        .collect();
    let mut places: BTreeMap<Vec<&str>, (usize, u32)> = BTreeMap::new();
    for (index, (_, lines)) in files.iter().enumerate() {
        for window in lines.windows(least) {
            let key: Vec<&str> = window.iter().map(|(_, line)| line.as_str()).collect();
            let first = window.first().map_or(1, |(number, _)| *number);
            places.entry(key).or_insert((index, first));
        }
    }
    for (index, (pair, lines)) in files.iter().enumerate() {
        let mut reported_to = 0;
        for window in lines.windows(least) {
            let first = window.first().map_or(1, |(number, _)| *number);
            let last = window.last().map_or(1, |(number, _)| *number);
            if first < reported_to || !window.iter().all(|(number, _)| pair.adds_line(*number)) {
                continue;
            }
            let key: Vec<&str> = window.iter().map(|(_, line)| line.as_str()).collect();
            let Some((other, at)) = places.get(&key).filter(|place| **place != (index, first))
            else {
                continue;
            };
            reported_to = last + 1;
            let other = files.get(*other).map(|(pair, _)| pair.path.as_str()).unwrap_or_default();
            let message = format!("{least} lines and more also stand in `{other}` from line {at}");
            hits.push(Hit::at("quality/copied", &pair.path, first, &key.join("\n"), message));
        }
    }
}

fn nested(pair: &FilePair, most: usize, hits: &mut Vec<Hit>) {
    let text = pair.text_after().unwrap_or_default();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        let body = line.trim_start_matches([' ', '\t']);
        let space = line.get(..line.len() - body.len()).unwrap_or_default();
        let depth = space.matches('\t').count() + space.matches(' ').count() / 4;
        let branches = ["if ", "for ", "while ", "match ", "switch ", "try", "elif ", "else"]
            .iter()
            .any(|word| body.starts_with(word));
        let deep = depth >= most && branches && pair.adds_line(number);
        // one finding for each place, not for each of its lines
        if deep && !inside {
            let message = format!("{depth} levels deep");
            hits.push(Hit::at("quality/nested", &pair.path, number, line, message));
        }
        inside = deep || (inside && depth >= most);
    }
}
