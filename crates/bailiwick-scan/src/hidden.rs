//! Finds characters that a person does not see, or that show text in another order than a machine
//! reads it: a way to slip instructions past a reviewer, or code past a review ("Trojan Source").
//!
//! Honest uses are let through: a byte order mark at the very start, joiners inside emoji and
//! between letters of scripts that need them, variation selectors after a symbol, and the three
//! flags made with tag characters.

pub(crate) mod classify;

use crate::position::Cursor;
use classify::{class_of, is_honest_use};
use serde::Serialize;
use std::fmt::Write as _;

/// What kind of hidden text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenKind {
    /// No width: zero-width space and joiners, fillers, invisible operators, soft hyphen.
    ZeroWidth,
    /// Changes the direction of text: U+202A–202E, U+2066–2069 and the marks.
    BidiControl,
    /// Tag characters U+E0000–E007F, which mirror ASCII invisibly.
    Tag,
    /// Variation selectors where nothing varies, able to carry arbitrary bytes.
    VariationSelector,
    /// Control characters other than tab, line feed, carriage return and form feed; among them
    /// the escape that starts a terminal sequence.
    Control,
    /// Line and paragraph separators, annotations and other format characters.
    Format,
    /// Private use and non-characters: whatever a font makes of them.
    PrivateUse,
    /// A word of Latin letters with look-alikes of another script among them.
    MixedScript,
}

impl HiddenKind {
    /// The stable name, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ZeroWidth => "zero_width",
            Self::BidiControl => "bidi_control",
            Self::Tag => "tag",
            Self::VariationSelector => "variation_selector",
            Self::Control => "control",
            Self::Format => "format",
            Self::PrivateUse => "private_use",
            Self::MixedScript => "mixed_script",
        }
    }
}

/// A run of hidden characters of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HiddenMatch {
    /// What kind it is.
    pub kind: HiddenKind,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1, in characters.
    pub column: u32,
    /// Number of characters in the run.
    pub count: u32,
    /// What the run says: the ASCII behind tag characters, the bytes behind variation selectors if
    /// they are text, the word for mixed scripts; otherwise the code points (`U+200B U+200D`). At
    /// most the first 200 characters.
    pub shows: String,
}

/// Longest text kept of what a run says, in characters.
const SHOWN_LIMIT: usize = 200;

struct Run {
    kind: HiddenKind,
    start: usize,
    end: usize,
}

/// Finds hidden text, ordered by position.
pub fn find_hidden(text: &str) -> Vec<HiddenMatch> {
    let mut cursor = Cursor::new(text.as_bytes());
    runs(text)
        .into_iter()
        .map(|run| {
            let (line, column) = cursor.advance_to(run.start);
            let hidden = text.get(run.start..run.end).unwrap_or_default();
            let count = u32::try_from(hidden.chars().count()).unwrap_or(u32::MAX);
            HiddenMatch { kind: run.kind, line, column, count, shows: shown(run.kind, hidden) }
        })
        .collect()
}

/// Makes hidden characters visible as `<U+200B>`, for a screen, a terminal or a model. Words of
/// mixed script stay as they are, since each of their letters is visible.
pub fn reveal(text: &str) -> (String, Vec<HiddenMatch>) {
    let mut output = String::with_capacity(text.len());
    let mut done = 0;
    for run in runs(text) {
        if run.kind == HiddenKind::MixedScript {
            continue;
        }
        output.push_str(text.get(done..run.start).unwrap_or_default());
        for character in text.get(run.start..run.end).unwrap_or_default().chars() {
            // writing to a String does not fail
            write!(output, "<U+{:04X}>", u32::from(character)).unwrap_or_default();
        }
        done = run.end;
    }
    output.push_str(text.get(done..).unwrap_or_default());
    (output, find_hidden(text))
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut previous = None;
    let mut word = classify::Word::default();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let end = at + character.len_utf8();
        if let Some(kind) = class_of(character)
            && !is_honest_use(text, at, character, previous, next)
        {
            match runs.last_mut().filter(|run| run.end == at && run.kind == kind) {
                Some(run) => run.end = end,
                None => runs.push(Run { kind, start: at, end }),
            }
        }
        if let Some((start, end)) = word.advance(at, character) {
            runs.push(Run { kind: HiddenKind::MixedScript, start, end });
        }
        previous = Some(character);
    }
    if let Some((start, end)) = word.finish(text.len()) {
        runs.push(Run { kind: HiddenKind::MixedScript, start, end });
    }
    runs.sort_by_key(|run| run.start);
    runs
}

fn shown(kind: HiddenKind, hidden: &str) -> String {
    let decoded: Option<String> = match kind {
        HiddenKind::Tag => Some(hidden.chars().filter_map(classify::tag_to_ascii).collect()),
        HiddenKind::VariationSelector => {
            let bytes = hidden.chars().filter_map(classify::selector_to_byte).collect();
            String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
        }
        HiddenKind::MixedScript => Some(hidden.to_owned()),
        HiddenKind::ZeroWidth
        | HiddenKind::BidiControl
        | HiddenKind::Control
        | HiddenKind::Format
        | HiddenKind::PrivateUse => None,
    };
    match decoded.filter(|text| !text.is_empty()) {
        Some(text) => text.chars().take(SHOWN_LIMIT).collect(),
        None => {
            let points: Vec<String> = hidden
                .chars()
                .take(SHOWN_LIMIT / 8)
                .map(|character| format!("U+{:04X}", u32::from(character)))
                .collect();
            points.join(" ")
        }
    }
}
