//! Why a set of policies was not accepted: file, line, column, what, why, and how to put it right.

use std::fmt;

/// One thing that is wrong with one policy source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The name of the source, as it was given.
    pub file: String,
    /// The line, counted from 1; 0 when the fault has no place.
    pub line: u32,
    /// The column in characters, counted from 1; 0 when the fault has no place.
    pub column: u32,
    /// The policy's id, when it has one.
    pub policy: Option<String>,
    /// What is wrong, as one lower-case sentence.
    pub what: String,
    /// Why that is not accepted.
    pub why: &'static str,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if let Some(policy) = &self.policy {
            write!(f, "policy `{policy}`: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for PolicyError {}

/// Everything that is wrong with a set of policies; none of it is in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.errors))]
pub struct PolicyErrors {
    /// The faults, in the order of the sources; at least one.
    pub errors: Vec<PolicyError>,
}

impl From<PolicyError> for PolicyErrors {
    fn from(error: PolicyError) -> Self {
        Self { errors: vec![error] }
    }
}

fn summary(errors: &[PolicyError]) -> String {
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    match errors.len() {
        0 | 1 => first,
        count => format!("{first} (and {} more)", count - 1),
    }
}

/// The line and column of a byte offset, both counted from 1.
pub(crate) fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// The places of a text of which many are asked for.
pub(crate) struct Places<'a> {
    text: &'a str,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, ends: text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    /// The same as [`place`].
    pub(crate) fn at(&self, offset: usize) -> (u32, u32) {
        let lines = self.ends.partition_point(|end| *end < offset);
        let start = lines.checked_sub(1).and_then(|at| self.ends.get(at)).map_or(0, |end| end + 1);
        let tail = self.text.get(start..).unwrap_or_default();
        let (line, column) = place(tail, offset.saturating_sub(start));
        (line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX)), column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_places_are_the_same_as_one() {
        for text in ["", "\n", "one", "é\nzwei\n\nvier ü", "a\nb\n"] {
            let places = Places::of(text);
            for offset in 0..text.len() + 3 {
                assert_eq!(places.at(offset), place(text, offset), "{text:?} at {offset}");
            }
        }
    }
}
