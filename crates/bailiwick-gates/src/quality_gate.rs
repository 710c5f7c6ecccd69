//! Gate `quality`: what a reviewer would send back before reading: too much at once, several
//! purposes in one change, code that is there already, functions that nobody can hold in mind, and
//! code that is written otherwise than all around it.
//!
//! All of it is heuristic and asks a person. Thresholds are `[settings.quality]` in
//! `.bailiwick/gates.toml` on the protected branch.

mod copies;
mod fit;
mod functions;
mod history;
mod neighbours;
mod purpose;

use crate::content_gate::{ContentGate, FilePair, Hit, Input, Inspected};
use crate::path_class::{PathClass, classify};
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use neighbours::Neighbours;
use serde::Deserialize;

/// The rule whose findings say how many lines were changed that had been written only lately: the
/// number is the first word of the message.
pub const CHURN: &str = "quality/recent";

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
    /// Fewest lines of each of two unrelated parts that make them two changes.
    unrelated_lines: u32,
    /// Fewest lines that count as a copy.
    copied_lines: usize,
    /// Fewest tokens of a function that is compared with those that are there.
    rewritten_tokens: u32,
    /// Deepest nesting of a new line, in steps of indentation.
    nesting: usize,
    /// Most ways through a function that a change makes more complex.
    complexity: u32,
    /// Fewest lines written lately that a change may not replace without being asked about.
    recent_lines: u32,
    /// How many days are lately.
    recent_days: u32,
    /// Which parts may not know which others.
    layer: Vec<Layer>,
}

/// A part of the repository and what it may not import.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    /// Its files, a pattern.
    paths: String,
    /// What must not stand in their imports: the beginning of a path, whole words.
    not: Vec<String>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            added_lines: 1_000,
            areas: 8,
            unrelated_lines: 40,
            copied_lines: 12,
            rewritten_tokens: 30,
            nesting: 7,
            complexity: 20,
            recent_lines: 60,
            recent_days: 14,
            layer: Vec::new(),
        }
    }
}

impl ContentGate for QualityGate {
    fn name(&self) -> &'static str {
        "quality"
    }

    fn purpose(&self) -> &'static str {
        "size and single purpose of a change, copies, churn, complexity, and how it fits the code around"
    }

    fn rules(&self) -> Vec<Rule> {
        rules()
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let thresholds: Thresholds = match input.settings.of(self.name()) {
            Ok(thresholds) => thresholds,
            Err(reason) => return Inspected::doubt(reason),
        };
        let mut hits = Vec::new();
        let mut doubts = input.change.unread.clone();
        purpose::size(input, &thresholds, &mut hits);
        purpose::unrelated(input, &thresholds, &mut hits);
        let neighbours = match Neighbours::read(input) {
            Ok(neighbours) => neighbours,
            Err(reason) => {
                doubts.push(reason);
                Neighbours::default()
            }
        };
        copies::find(input, thresholds.copied_lines.max(4), &neighbours, &mut hits);
        copies::moved(input, &mut hits);
        functions::find(input, &thresholds, &neighbours, &mut hits);
        fit::find(input, &neighbours, &mut hits);
        if let Err(reason) = fit::layers(input, &thresholds.layer, &mut hits) {
            doubts.push(reason);
        }
        if let Err(reason) = history::find(input, &thresholds, &mut hits) {
            doubts.push(reason);
        }
        for pair in sources(input) {
            nested(pair, thresholds.nesting, &mut hits);
        }
        if input.is_late() {
            doubts.push("the time was up before all files were compared".to_owned());
        }
        Inspected { hits, doubts, looked_at: format!("{} files", input.change.pairs.len()) }
    }
}

/// The touched files that hold code.
fn sources(input: &Input) -> impl Iterator<Item = &FilePair> {
    input.change.pairs.iter().filter(|pair| is_source(&pair.path))
}

fn is_source(path: &str) -> bool {
    classify(path).contains(&PathClass::Source)
}

fn asks(id: &'static str, title: &'static str, cwe: Option<u32>, texts: [&'static str; 2]) -> Rule {
    Rule::asks(id, title, Severity::Low, cwe, texts)
}

fn rules() -> Vec<Rule> {
    vec![
        asks(
            "quality/too-large",
            "change that is too large to review",
            None,
            [
                "reviews of large changes find little; mistakes hide in the bulk",
                "split it into changes that each stand by themselves",
            ],
        ),
        asks(
            "quality/mixed",
            "change that touches many areas",
            None,
            [
                "a change that does several things can't be judged, reverted or explained as one",
                "send each purpose as a change of its own",
            ],
        ),
        asks(
            "quality/unrelated",
            "parts of a change that have nothing to do with each other",
            None,
            [
                "two tasks in one change are judged, merged and reverted together or not at all",
                "split it: send each part as a change of its own",
            ],
        ),
        asks(
            "quality/copied",
            "block of code that is there already",
            Some(1041),
            [
                "whatever is mended in one copy stays broken in the other",
                "call the code that is there, or move it to where both can",
            ],
        ),
        asks(
            "quality/rewritten",
            "function that is there already under another name",
            Some(1041),
            [
                "two functions that do the same drift apart, and readers can't tell which one to use",
                "use the one that is there; if it can't be reached from here, move it to where it can",
            ],
        ),
        asks(
            "quality/nested",
            "deeply nested code",
            Some(1121),
            [
                "so many conditions at once are hard to test and easy to get wrong",
                "return early, or give the inner part a function of its own",
            ],
        ),
        asks(
            "quality/complex",
            "function that a change makes harder to test",
            Some(1121),
            [
                "each way through a function needs a test; nobody writes so many",
                "give the parts functions of their own, or decide by a table",
            ],
        ),
        asks(
            "quality/churn",
            "much that was written only lately is written anew",
            None,
            [
                "what is rewritten within days was not understood, and is likely to be rewritten again",
                "say what was wrong with it, and what makes this version last",
            ],
        ),
        asks(
            "quality/undocumented",
            "public name that does not say what it is for",
            Some(1053),
            [
                "all public names around it say what they are for: readers rely on it",
                "say in a sentence what it does, as the ones beside it do",
            ],
        ),
        asks(
            "quality/naming",
            "name written otherwise than those around it",
            Some(1099),
            [
                "names that follow another custom are not found by those who search for them",
                "write it as the names beside it are written",
            ],
        ),
        asks(
            "quality/layer",
            "import that the repository's layers don't allow",
            Some(1054),
            [
                "the repository says which part may know which; an import against that undoes it",
                "turn the dependency round: hand in what is needed, or move it to the lower part",
            ],
        ),
        Rule::informs(
            "quality/moved",
            "code that was moved and not written",
            [
                "a reviewer reads moved lines otherwise than new ones",
                "nothing to do: it is told so that it is seen",
            ],
        ),
        Rule::informs(
            CHURN,
            "lines that were written only lately",
            [
                "where code has not settled yet, more goes wrong",
                "nothing to do: it is told so that it is seen",
            ],
        ),
    ]
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
