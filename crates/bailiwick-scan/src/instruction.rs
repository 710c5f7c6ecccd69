//! Finds text that reads like an order to an agent: prompt injection.
//!
//! **Heuristic, and no boundary.** A match raises a session's taint, so that policy narrows what
//! the session may do, and it is shown to the human; it never clears anything: the absence of a
//! match says nothing. What protects is that the actions themselves are governed.

mod rules;

use crate::hidden::classify::{class_of, latin_look_alike};
use crate::position::Cursor;
use serde::Serialize;
use std::collections::BTreeMap;

/// How strongly the wording suggests an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionStrength {
    /// Also common in honest text, such as an installation guide.
    Weak,
    /// Unusual outside of text about or for agents.
    Moderate,
    /// Hardly has another purpose than to take over an agent.
    Strong,
}

/// A passage that reads like an order to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstructionMatch {
    /// Stable rule id such as `override-instructions`.
    pub rule: &'static str,
    /// How strongly it suggests an attack.
    pub strength: InstructionStrength,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1, in characters.
    pub column: u32,
    /// The passage, without hidden characters, secrets redacted, at most 160 characters.
    pub excerpt: String,
}

/// Longest passage kept, in characters.
const EXCERPT_LIMIT: usize = 160;

/// Finds passages aimed at an agent, ordered by position. Hidden characters inside words, and
/// letters drawn like Latin ones, do not hide a passage.
pub fn find_instructions(text: &str) -> Vec<InstructionMatch> {
    find_by(rules::all(), text)
}

fn find_by<'a>(
    wordings: impl IntoIterator<Item = &'a rules::CompiledRule>,
    text: &str,
) -> Vec<InstructionMatch> {
    let plain = Plain::new(text);
    let mut found: Vec<(usize, usize, &'static rules::Rule)> = Vec::new();
    for compiled in wordings {
        for passage in compiled.regex.find_iter(plain.text.as_bytes()) {
            found.push((passage.start(), passage.end(), compiled.rule));
        }
    }
    found.sort_by_key(|(start, end, rule)| (*start, *end, rule.id));
    // several wordings of one rule may meet in one passage
    let mut ends = BTreeMap::new();
    found.retain(|(start, end, rule)| {
        let seen: &mut usize = ends.entry(rule.id).or_default();
        let is_new = *start >= *seen;
        *seen = (*seen).max(*end);
        is_new
    });

    let mut cursor = Cursor::new(text.as_bytes());
    found
        .into_iter()
        .map(|(start, end, rule)| {
            let (line, column) = cursor.advance_to(plain.original_offset(start));
            let passage = plain.text.as_bytes().get(start..end).unwrap_or_default();
            let excerpt = excerpt(&String::from_utf8_lossy(passage));
            InstructionMatch { rule: rule.id, strength: rule.strength, line, column, excerpt }
        })
        .collect()
}

/// Ids and one-line descriptions of all rules.
pub fn rule_catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    rules::all().iter().map(|compiled| (compiled.rule.id, compiled.rule.description))
}

fn excerpt(passage: &str) -> String {
    let cut: String = passage.chars().take(EXCERPT_LIMIT).collect();
    let words: Vec<&str> = cut.split_whitespace().collect();
    crate::secret::redact(&words.join(" ")).text.into_owned()
}

/// The text as a model reads it: hidden characters gone, look-alikes replaced; with the way back
/// to positions in the original.
struct Plain {
    text: String,
    /// Pairs of offsets (here, in the original) wherever the distance between them changes.
    jumps: Vec<(usize, usize)>,
}

impl Plain {
    fn new(original: &str) -> Self {
        let mut plain = Self { text: String::with_capacity(original.len()), jumps: vec![(0, 0)] };
        let mut distance = 0_usize;
        for (at, character) in original.char_indices() {
            if at.wrapping_sub(plain.text.len()) != distance {
                distance = at.wrapping_sub(plain.text.len());
                plain.jumps.push((plain.text.len(), at));
            }
            match class_of(character) {
                None => plain.text.push(latin_look_alike(character).unwrap_or(character)),
                // a message written in tag characters is read like any other
                Some(_) => plain.text.extend(crate::hidden::classify::tag_to_ascii(character)),
            }
        }
        plain
    }

    fn original_offset(&self, offset: usize) -> usize {
        let after = self.jumps.partition_point(|(here, _)| *here <= offset);
        let jump = after.checked_sub(1).and_then(|last| self.jumps.get(last));
        jump.map_or(offset, |(here, original)| original + (offset - here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With any wording taken out, some fixture turns red: it is found less, or with less strength.
    #[test]
    fn each_wording_is_needed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/instructions");
        let texts: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .filter(|text| text.contains("\nexpect: ") || text.starts_with("expect: "))
            .collect();
        let mut unneeded = Vec::new();
        for (at, wording) in rules::all().iter().enumerate() {
            let others = || {
                let all = rules::all().iter().enumerate();
                all.filter(|(other, _)| *other != at).map(|(_, wording)| wording)
            };
            if !texts.iter().any(|text| find_by(others(), text) != find_instructions(text)) {
                unneeded.push(format!("{at}: {}", wording.rule.id));
            }
        }
        println!("{} wordings taken out in turn", rules::all().len());
        assert_eq!(unneeded, Vec::<String>::new(), "no fixture needs them");
    }
}
