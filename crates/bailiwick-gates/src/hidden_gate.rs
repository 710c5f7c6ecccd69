//! Gate `hidden-text`: characters that a reviewer does not see, or sees in another order than a
//! compiler reads them.

use crate::content_gate::{ContentGate, Hit, Input, Inspected};
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use bailiwick_scan::{HiddenKind, HiddenMatch, find_hidden};

const WHY: &str =
    "a reviewer approves what the screen shows; a compiler, or an agent, reads what is there";
const FIX: &str = "take the characters out, or write them as escapes such as `\\u202E`; `bailiwick gate run` shows where";

/// Finds hidden, reordering and look-alike characters that the change brings.
#[derive(Debug, Clone, Copy, Default)]
pub struct HiddenTextGate;

impl ContentGate for HiddenTextGate {
    fn name(&self) -> &'static str {
        "hidden-text"
    }

    fn purpose(&self) -> &'static str {
        "characters that a reviewer does not see, or sees in another order"
    }

    fn rules(&self) -> Vec<Rule> {
        let texts = [WHY, FIX];
        vec![
            Rule::blocks(
                "hidden-text/bidirectional",
                "characters that reorder what is shown",
                Severity::High,
                Some(1007),
                texts,
            ),
            Rule::blocks(
                "hidden-text/tags",
                "text written in invisible tag characters",
                Severity::High,
                Some(1007),
                texts,
            ),
            Rule::blocks(
                "hidden-text/invisible-in-code",
                "invisible characters in code",
                Severity::High,
                Some(1007),
                texts,
            ),
            Rule::asks(
                "hidden-text/invisible",
                "invisible characters in a text",
                Severity::Medium,
                Some(1007),
                texts,
            ),
            Rule::asks(
                "hidden-text/look-alike",
                "a word that mixes look-alike letters of several scripts",
                Severity::Medium,
                Some(1007),
                texts,
            ),
        ]
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let mut inspected =
            input.new_hits(|pair| !pair.binary, |path, bytes| Ok(scan(path, bytes)));
        for text in &input.change.texts {
            for found in find_hidden(&text.text) {
                let mut hit = hit(&found, &text.place, "", false);
                hit.path = None;
                hit.line = None;
                hit.message = format!("{} in the {}", hit.message, text.place);
                inspected.hits.push(hit);
            }
        }
        inspected
    }
}

/// Everything hidden in one file.
pub(crate) fn scan(path: &str, bytes: &[u8]) -> Vec<Hit> {
    // nothing above ASCII and no control characters: the usual case, told at once
    if bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C | 0x20..=0x7E)) {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    let code = is_code(path);
    find_hidden(&text)
        .iter()
        .filter_map(|found| {
            let index = usize::try_from(found.line).ok()?.checked_sub(1)?;
            let line = lines.get(index).copied().unwrap_or_default();
            let honest = is_honest_mark(found, line) || (!code && is_honest_isolate(found, line));
            (!honest).then(|| hit(found, path, line, code))
        })
        .collect()
}

fn hit(found: &HiddenMatch, path: &str, line: &str, code: bool) -> Hit {
    let (rule, what) = match found.kind {
        HiddenKind::BidiControl => ("hidden-text/bidirectional", "reordering characters"),
        HiddenKind::Tag => ("hidden-text/tags", "invisible tag characters"),
        HiddenKind::MixedScript => ("hidden-text/look-alike", "look-alike letters"),
        HiddenKind::ZeroWidth if code => ("hidden-text/invisible-in-code", "invisible characters"),
        HiddenKind::ZeroWidth
        | HiddenKind::VariationSelector
        | HiddenKind::Control
        | HiddenKind::Format
        | HiddenKind::PrivateUse => ("hidden-text/invisible", "invisible characters"),
    };
    let message = format!("{} {what} (`{}`)", found.count, found.shows);
    Hit::at(rule, path, found.line, &format!("{} {line}", found.shows), message)
}

fn is_right_to_left(line: &str) -> bool {
    line.chars()
        .any(|c| matches!(u32::from(c), 0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC))
}

/// Marks (not controls) put punctuation in its place beside a right-to-left word, and can't move
/// anything else.
fn is_honest_mark(found: &HiddenMatch, line: &str) -> bool {
    found.kind == HiddenKind::BidiControl
        && found.shows.split(' ').all(|point| matches!(point, "U+200E" | "U+200F" | "U+061C"))
        && is_right_to_left(line)
}

/// Text in a right-to-left script sets off foreign words by isolates and embeddings, each closed in
/// its own line. Overrides have no such use.
fn is_honest_isolate(found: &HiddenMatch, line: &str) -> bool {
    if found.kind != HiddenKind::BidiControl || !is_right_to_left(line) {
        return false;
    }
    let (mut isolates, mut embeddings) = (0_i32, 0_i32);
    for c in line.chars() {
        match c {
            '\u{2066}'..='\u{2068}' => isolates += 1,
            '\u{2069}' => isolates -= 1,
            '\u{202A}' | '\u{202B}' => embeddings += 1,
            '\u{202C}' => embeddings -= 1,
            '\u{202D}' | '\u{202E}' => return false,
            _ => {}
        }
        if isolates < 0 || embeddings < 0 {
            return false;
        }
    }
    isolates == 0 && embeddings == 0
}

fn is_code(path: &str) -> bool {
    const PROSE: [&str; 16] = [
        "md",
        "txt",
        "rst",
        "adoc",
        "html",
        "htm",
        "xml",
        "json",
        "po",
        "pot",
        "csv",
        "tsv",
        "srt",
        "tex",
        "svg",
        "properties",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| !PROSE.contains(&ending.to_lowercase().as_str()))
}
