//! Code that is there already: copied, or moved.

use super::neighbours::Neighbours;
use super::sources;
use crate::content_gate::{FilePair, Hit, Input};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Most lines of one file that are compared.
const MOST_LINES: usize = 20_000;
/// Fewest moved lines that are told.
const FEWEST_MOVED: usize = 20;

/// A line's number and the hash of its words. Braces and blank lines are the same everywhere and
/// are left out.
fn lines_of(text: &str) -> Vec<(u32, u64)> {
    (1..)
        .zip(text.lines().take(MOST_LINES))
        .filter(|(_, line)| line.chars().filter(|c| c.is_alphanumeric()).count() > 2)
        .map(|(number, line)| {
            let mut hasher = DefaultHasher::new();
            line.split_whitespace().for_each(|word| word.hash(&mut hasher));
            (number, hasher.finish())
        })
        .collect()
}

fn key(window: &[(u32, u64)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    window.iter().for_each(|(_, line)| line.hash(&mut hasher));
    hasher.finish()
}

fn first(window: &[(u32, u64)]) -> u32 {
    window.first().map_or(1, |(number, _)| *number)
}

/// Blocks of new lines that stand elsewhere: in what the change touches, or near it.
pub(super) fn find(input: &Input, least: usize, neighbours: &Neighbours, hits: &mut Vec<Hit>) {
    let files: Vec<(&FilePair, Vec<(u32, u64)>)> =
        sources(input).filter_map(|pair| Some((pair, lines_of(&pair.text_after()?)))).collect();
    // only what is new is looked for
    let mut wanted: HashSet<u64> = HashSet::new();
    for (pair, lines) in &files {
        let new = lines.windows(least).filter(|window| all_new(pair, window));
        wanted.extend(new.map(key));
    }
    if wanted.is_empty() {
        return;
    }
    let mut places: HashMap<u64, (&str, u32)> = HashMap::new();
    for (pair, lines) in &files {
        for window in lines.windows(least) {
            let key = key(window);
            if wanted.contains(&key) {
                places.entry(key).or_insert_with(|| (&pair.path, first(window)));
            }
        }
    }
    for (path, text) in &neighbours.files {
        for window in lines_of(text).windows(least) {
            let key = key(window);
            if wanted.contains(&key) {
                // code that stays where it was goes before another copy in the change
                let place = places.entry(key).or_insert_with(|| (path, first(window)));
                if files.iter().any(|(pair, _)| pair.path == place.0) {
                    *place = (path, first(window));
                }
            }
        }
    }
    for (pair, lines) in &files {
        let mut reported_to = 0;
        for window in lines.windows(least) {
            if first(window) < reported_to || !all_new(pair, window) {
                continue;
            }
            let found = places.get(&key(window));
            let Some((other, at)) =
                found.filter(|place| **place != (pair.path.as_str(), first(window)))
            else {
                continue;
            };
            reported_to = window.last().map_or(1, |(number, _)| *number) + 1;
            let message = format!("{least} lines and more also stand in `{other}` from line {at}");
            let anchor = format!("{:016x}", key(window));
            hits.push(Hit::at("quality/copied", &pair.path, first(window), &anchor, message));
        }
    }
}

fn all_new(pair: &FilePair, window: &[(u32, u64)]) -> bool {
    window.iter().all(|(number, _)| pair.adds_line(*number))
}

/// How much of what a change adds it takes away elsewhere: moved, and within one file put
/// otherwise.
pub(super) fn moved(input: &Input, hits: &mut Vec<Hit>) {
    let mut gone: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for pair in sources(input) {
        let Some(text) = pair.text_before() else { continue };
        for (number, line) in lines_of(&text) {
            if pair.removed.iter().any(|range| range.contains(number)) {
                gone.entry(line).or_default().push(&pair.path);
            }
        }
    }
    let (mut added, mut moved, mut within) = (0_usize, 0_usize, 0_usize);
    for pair in sources(input) {
        let Some(text) = pair.text_after() else { continue };
        for (number, line) in lines_of(&text) {
            if !pair.adds_line(number) {
                continue;
            }
            added += 1;
            let Some(from) = gone.get_mut(&line) else { continue };
            let here = from.iter().position(|path| *path == pair.path);
            match here {
                Some(at) => {
                    from.swap_remove(at);
                    within += 1;
                }
                None if !from.is_empty() => {
                    from.swap_remove(0);
                    moved += 1;
                }
                None => {}
            }
        }
    }
    if moved + within >= FEWEST_MOVED {
        let share = |part: usize| part * 100 / added.max(1);
        let message = format!(
            "{moved} of {added} added lines were moved from another file ({} %), {within} stood elsewhere in their own ({} %)",
            share(moved),
            share(within)
        );
        hits.push(Hit::in_change("quality/moved", "", message));
    }
}
