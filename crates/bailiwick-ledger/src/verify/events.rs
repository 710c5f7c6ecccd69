//! One file of records. A line break that is altered, added or lost shifts all lines after it, so
//! lines are matched with entries by what they hash to before anything is called altered.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::blobs::{BlobProblem, Blobs};
use super::bundle::Entries;
use super::open;
use super::report::Problems;
use crate::hash::Hash;
use crate::layout::LedgerFile;
use crate::record::{MAX_LINE_BYTES, Record};

/// How many lines more than there should be are still looked at.
const EXTRA_LINES: usize = 256;

/// How many problems with the blobs of one line are kept.
const MAX_BLOB_PROBLEMS: usize = 16;

/// The lines of one file.
pub(super) struct Events {
    path: String,
    /// Whether the file could be read at all.
    readable: bool,
    lines: Vec<Line>,
}

struct Line {
    /// The hash of the leaf that commits to it, or why it is no record.
    leaf: Result<Hash, String>,
    /// What is wrong with the blobs that it refers to, if it is a record at all.
    blobs: Vec<BlobProblem>,
}

pub(super) fn read(
    dir: &Path,
    index: u64,
    entries: &Entries,
    blobs: &Blobs,
    problems: &mut Problems,
) -> Events {
    let mut events =
        Events { path: LedgerFile::Events { index }.path(), readable: true, lines: Vec::new() };
    let file = match open(dir, &events.path) {
        Ok((file, _)) => file,
        Err(what) => {
            problems.add(events.path.as_str(), None, what);
            events.readable = false;
            return events;
        }
    };
    let mut reader = BufReader::new(file);
    let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    while events.lines.len() < entries.width + EXTRA_LINES {
        let mut line = Vec::new();
        match reader.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => events.lines.push(Line::check(dir, &line, blobs)),
            Err(error) => {
                problems.add(events.path.as_str(), None, format!("cannot be read: {error}"));
                break;
            }
        }
    }
    events
}

impl Line {
    fn check(dir: &Path, line: &[u8], blobs: &Blobs) -> Self {
        let broken = |what: String| Self { leaf: Err(what), blobs: Vec::new() };
        let Some(text) = line.strip_suffix(b"\n") else {
            return broken("the record's line has no newline".to_owned());
        };
        let record = match Record::split_line(text) {
            Ok(record) => record,
            Err(error) => return broken(error.to_string()),
        };
        let references = match record.blob_references() {
            Ok(references) => references,
            Err(error) => return broken(error.to_string()),
        };
        let blobs = references
            .iter()
            .filter_map(|reference| blobs.check_reference(dir, reference))
            .take(MAX_BLOB_PROBLEMS)
            .collect();
        Self { leaf: Ok(record.leaf().hash()), blobs }
    }
}

impl Events {
    /// The leaf hash of the line that stands at the place of an entry.
    pub(super) fn hash_at(&self, at: usize) -> Option<Hash> {
        self.lines.get(at)?.leaf.as_ref().ok().copied()
    }

    /// Compares the lines with the leaf hashes of the entries.
    pub(super) fn compare(
        self,
        entries: &Entries,
        truth: &[Option<Hash>],
        blobs: &mut Blobs,
        problems: &mut Problems,
    ) {
        if !self.readable {
            return;
        }
        let places = self.places(truth);
        let aligned = self.lines.len() == truth.len();
        let before = problems.count();
        let mut highest = None;
        for (at, place) in places.iter().enumerate() {
            let Some(place) = *place else { continue };
            let misplaced =
                if aligned { place != at } else { highest.is_some_and(|highest| place <= highest) };
            if misplaced {
                let what =
                    format!("line {} holds the record of entry {}", at + 1, entries.number(place));
                problems.add(self.path.as_str(), Some(entries.number(at)), what);
            }
            highest = highest.max(Some(place));
        }
        for (at, expected) in truth.iter().enumerate() {
            if expected.is_some() && places.contains(&Some(at)) {
                continue;
            }
            let what = match self.lines.get(at).map(|line| &line.leaf) {
                Some(Err(what)) => what.as_str(),
                Some(Ok(_)) if aligned => "the record is not the one that the leaf commits to",
                Some(Ok(_)) | None => "the record is missing",
            };
            problems.add(self.path.as_str(), Some(entries.number(at)), what);
        }
        if self.lines.len() > truth.len() && problems.count() == before {
            let what = format!("has more lines than its {} records", truth.len());
            problems.add(self.path.as_str(), None, what);
        }
        // What an altered line refers to would only be a false trail.
        for (line, place) in self.lines.into_iter().zip(places) {
            let Some(place) = place else { continue };
            for problem in line.blobs {
                blobs.report(problem, entries.number(place), problems);
            }
        }
    }

    /// Finds the entry of each line: the one at its own place, or the one that it hashes to.
    fn places(&self, truth: &[Option<Hash>]) -> Vec<Option<usize>> {
        let by_hash: HashMap<Hash, usize> =
            truth.iter().enumerate().filter_map(|(at, hash)| Some(((*hash)?, at))).collect();
        let place = |(at, line): (usize, &Line)| {
            let hash = line.leaf.as_ref().ok()?;
            if truth.get(at) == Some(&Some(*hash)) { Some(at) } else { by_hash.get(hash).copied() }
        };
        self.lines.iter().enumerate().map(place).collect()
    }
}
