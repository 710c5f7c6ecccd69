//! What a tool finds after the change and not before it.

use crate::change::Change;
use crate::content_gate::FilePair;
use crate::sarif::read::{SarifLog, SarifResult};
use std::collections::BTreeMap;

/// The results after the change that the base has not as often.
///
/// In a file that the change touches a result is told apart by rule and the text of its line, which
/// moves with the code; anywhere else the content is the same, so its line is too.
pub(super) fn new_results<'a>(
    change: &Change,
    before: &SarifLog,
    after: &'a SarifLog,
) -> Vec<&'a SarifResult> {
    let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
    for result in &before.results {
        *known.entry(key(change, result, FilePair::text_before)).or_default() += 1;
    }
    after
        .results
        .iter()
        .filter(|result| match known.get_mut(&key(change, result, FilePair::text_after)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        })
        .collect()
}

/// What a result is told apart by, wherever it stands in its file.
pub(super) fn anchor(change: &Change, result: &SarifResult) -> String {
    key(change, result, FilePair::text_after).1
}

fn key(
    change: &Change,
    result: &SarifResult,
    text: fn(&FilePair) -> Option<String>,
) -> (String, String) {
    let path = result.path.as_deref().unwrap_or_default();
    let pair = change.pairs.iter().find(|pair| pair.path == path || pair.path_before() == path);
    // a renamed file brings nothing new by its name alone
    let path = pair.map_or(path, |pair| pair.path.as_str());
    let line = result.line.unwrap_or(0);
    let anchor = match pair.and_then(text) {
        Some(text) if line > 0 => {
            let at = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
            let line = text.lines().nth(at).unwrap_or_default();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        Some(_) | None => format!("{line}: {}", result.message),
    };
    (format!("{}\0{path}", result.rule), anchor)
}
