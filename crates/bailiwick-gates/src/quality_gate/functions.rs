//! Functions that a change makes harder, and functions that are there already.

use super::neighbours::Neighbours;
use super::{Thresholds, sources};
use crate::content_gate::{FilePair, Hit, Input};
use bailiwick_sast::{Item, ItemKind, items};
use std::collections::{BTreeMap, HashMap};

/// Fewest ways that a change adds to a function before it is told.
const FEWEST_MORE: u32 = 4;

pub(super) fn find(
    input: &Input,
    thresholds: &Thresholds,
    neighbours: &Neighbours,
    hits: &mut Vec<Hit>,
) {
    let mut fresh: Vec<(&FilePair, Item)> = Vec::new();
    let mut here: HashMap<u64, (String, String)> = HashMap::new();
    let mut gone: Vec<u64> = Vec::new();
    for pair in sources(input) {
        let before = functions(pair.path_before(), pair.before.as_deref());
        let after = functions(&pair.path, pair.after.as_deref());
        let mut old: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
        for item in &before {
            old.entry(&item.name).or_default().push(item);
        }
        let shapes: Vec<u64> = after.iter().map(|item| item.shape).collect();
        gone.extend(before.iter().map(|item| item.shape).filter(|shape| !shapes.contains(shape)));
        for item in after {
            let touched = pair
                .added
                .iter()
                .any(|range| range.first <= item.last_line && range.last >= item.line);
            let known = old.get(item.name.as_str());
            let was = known.and_then(|items| items.iter().map(|one| one.complexity).max());
            let more = item.complexity.saturating_sub(was.unwrap_or(0));
            if touched && item.complexity > thresholds.complexity && more >= FEWEST_MORE {
                let message = match was {
                    Some(was) => format!(
                        "`{}` has {} ways through it now, {was} before",
                        item.name, item.complexity
                    ),
                    None => format!("`{}` has {} ways through it", item.name, item.complexity),
                };
                hits.push(Hit {
                    line: Some(item.line),
                    ..Hit::in_file("quality/complex", &pair.path, &item.name, message)
                });
            }
            if known.is_none() && touched && item.tokens >= thresholds.rewritten_tokens {
                fresh.push((pair, item));
            } else {
                here.entry(item.shape).or_insert_with(|| (pair.path.clone(), item.name));
            }
        }
    }
    // what was moved here is not written again
    fresh.retain(|(_, item)| !gone.contains(&item.shape));
    if fresh.is_empty() {
        return;
    }
    rewritten(input, fresh, here, neighbours, hits);
}

fn rewritten(
    input: &Input,
    fresh: Vec<(&FilePair, Item)>,
    mut here: HashMap<u64, (String, String)>,
    neighbours: &Neighbours,
    hits: &mut Vec<Hit>,
) {
    for path in neighbours.files.keys() {
        if input.is_late() {
            return;
        }
        for item in neighbours.items(path).iter().filter(|item| item.kind == ItemKind::Function) {
            here.entry(item.shape).or_insert_with(|| (path.clone(), item.name.clone()));
        }
    }
    for (pair, item) in fresh {
        let Some((path, name)) = here.get(&item.shape) else {
            // of two new ones, the second is the copy
            here.insert(item.shape, (pair.path.clone(), item.name));
            continue;
        };
        let message = format!("`{}` does the same as `{name}` in `{path}`", item.name);
        hits.push(Hit {
            line: Some(item.line),
            ..Hit::in_file("quality/rewritten", &pair.path, &item.name, message)
        });
    }
}

fn functions(path: &str, bytes: Option<&[u8]>) -> Vec<Item> {
    let items = bytes.and_then(|bytes| items(path, bytes)).unwrap_or_default();
    items.into_iter().filter(|item| item.kind == ItemKind::Function).collect()
}
