//! Following each line of each file through a series of trees.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bailiwick_model::id::Oid;
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

use crate::diff_parse::{RawEntry, parse_raw_pairs};
use crate::error::GitError;
use crate::name::{RepoPath, TreeId};
use crate::run::Git;

/// Larger blobs count as having no lines: nobody reviews them line by line.
const BLOB_BYTES: u64 = 4 << 20;
/// Blobs are read in batches of about this size.
const BATCH_BYTES: u64 = 24 << 20;
/// After this long a comparison of two versions of a file settles for an approximation.
const COMPARE: Duration = Duration::from_secs(5);

/// Who changed a line: a point in the series, or nobody that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    Point(usize),
    Nobody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LineOrigin {
    Start(RepoPath, usize),
    Made(Maker),
}

#[derive(Debug, Clone, Default)]
struct Tracked {
    lines: Vec<LineOrigin>,
    touched: Vec<usize>,
}

pub(crate) type Blobs = HashMap<Oid, Vec<u8>>;

/// The files that changed since the start, each line with its origin.
#[derive(Debug)]
pub(crate) struct Tracker<'a> {
    blobs: &'a Blobs,
    files: HashMap<RepoPath, Tracked>,
    removed: HashMap<(RepoPath, usize), Maker>,
    /// Who touched a file that is gone, by its path at the end.
    gone: HashMap<RepoPath, Vec<usize>>,
}

impl<'a> Tracker<'a> {
    pub(crate) fn new(blobs: &'a Blobs) -> Self {
        Self { blobs, files: HashMap::new(), removed: HashMap::new(), gone: HashMap::new() }
    }

    /// Applies what changed from one tree to the next.
    pub(crate) fn apply(&mut self, maker: Maker, entries: &[RawEntry]) {
        // first take every old version away: one path can be renamed from and written to at once
        let old: Vec<Option<Tracked>> = entries.iter().map(|entry| self.take(entry)).collect();
        for (entry, old) in entries.iter().zip(old) {
            let before = old.unwrap_or_default();
            let mut touched = before.touched;
            if let Maker::Point(point) = maker {
                touched.push(point);
            }
            let lines = self.carry(maker, entry, before.lines);
            match &entry.new_path {
                Some(path) => {
                    self.files.insert(path.clone(), Tracked { lines, touched });
                }
                None => {
                    if let Some(path) = &entry.old_path {
                        self.gone.entry(path.clone()).or_default().extend(touched);
                    }
                }
            }
        }
    }

    fn take(&mut self, entry: &RawEntry) -> Option<Tracked> {
        let path = entry.old_path.as_ref()?;
        let tracked = self.files.remove(path);
        Some(tracked.unwrap_or_else(|| {
            let count = lines_of(self.blobs, entry.old_oid.as_ref()).len();
            let lines = (0..count).map(|at| LineOrigin::Start(path.clone(), at)).collect();
            Tracked { lines, touched: Vec::new() }
        }))
    }

    /// The lines of the new version: what is equal keeps its origin.
    fn carry(&mut self, maker: Maker, entry: &RawEntry, old: Vec<LineOrigin>) -> Vec<LineOrigin> {
        if entry.old_oid == entry.new_oid {
            return old;
        }
        let before = lines_of(self.blobs, entry.old_oid.as_ref());
        let after = lines_of(self.blobs, entry.new_oid.as_ref());
        let matches = matching(&before, &after);
        let kept: std::collections::HashSet<usize> = matches.iter().copied().flatten().collect();
        for (at, origin) in old.iter().enumerate() {
            if let (LineOrigin::Start(path, line), false) = (origin, kept.contains(&at)) {
                self.removed.insert((path.clone(), *line), maker);
            }
        }
        let carried = |at: usize| old.get(at).cloned();
        matches
            .into_iter()
            .map(|from| from.and_then(carried).unwrap_or(LineOrigin::Made(maker)))
            .collect()
    }

    /// Who added a line of the last version; none when it comes from the start.
    pub(crate) fn added(&self, path: &RepoPath, line: usize) -> Option<Maker> {
        match self.files.get(path)?.lines.get(line)? {
            LineOrigin::Made(maker) => Some(*maker),
            LineOrigin::Start(..) => None,
        }
    }

    /// Who removed a line of the first version; none when it is still there.
    pub(crate) fn removed(&self, path: &RepoPath, line: usize) -> Option<Maker> {
        self.removed.get(&(path.clone(), line)).copied()
    }

    /// The points that touched a file, by its path at the end or, when it is gone, at the start.
    pub(crate) fn touched(&self, end: Option<&RepoPath>, start: Option<&RepoPath>) -> Vec<usize> {
        let last = end.and_then(|path| self.files.get(path)).map(|tracked| tracked.touched.clone());
        let gone = start.and_then(|path| self.gone.get(path)).cloned();
        last.into_iter().chain(gone).flatten().collect()
    }
}

/// For each path that differs between two trees: its path in the second one, and for each of its
/// lines the equal line there.
pub(crate) fn map_lines(
    entries: &[RawEntry],
    blobs: &Blobs,
) -> HashMap<RepoPath, (RepoPath, Vec<Option<usize>>)> {
    let map = |entry: &RawEntry| {
        let old_path = entry.old_path.clone()?;
        let new_path = entry.new_path.clone().unwrap_or_else(|| old_path.clone());
        let old = lines_of(blobs, entry.old_oid.as_ref());
        let new = lines_of(blobs, entry.new_oid.as_ref());
        Some((old_path, (new_path, matching(&new, &old))))
    };
    entries.iter().filter_map(map).collect()
}

fn lines_of<'b>(blobs: &'b Blobs, oid: Option<&Oid>) -> Vec<&'b [u8]> {
    let blob = oid.and_then(|oid| blobs.get(oid)).map_or(&[][..], Vec::as_slice);
    blob.split_inclusive(|byte| *byte == b'\n').collect()
}

/// For each line after, the equal line before.
fn matching(before: &[&[u8]], after: &[&[u8]]) -> Vec<Option<usize>> {
    let deadline = Instant::now().checked_add(COMPARE);
    let mut matches = vec![None; after.len()];
    for op in capture_diff_slices_deadline(Algorithm::Patience, before, after, deadline) {
        let (tag, old, new) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            for (slot, from) in matches.iter_mut().skip(new.start).zip(old) {
                *slot = Some(from);
            }
        }
    }
    matches
}

impl Git {
    /// What differs between each pair of trees.
    pub(crate) fn raw_diffs(
        &self,
        pairs: &[(TreeId, TreeId)],
    ) -> Result<Vec<Vec<RawEntry>>, GitError> {
        let input: String = pairs.iter().map(|(from, to)| format!("{from} {to}\n")).collect();
        let output = self
            .command([
                "diff-tree",
                "--stdin",
                "-r",
                "-M",
                "-z",
                "--raw",
                "--no-abbrev",
                "--no-ext-diff",
            ])
            .input(input)
            .run()?;
        let diffs = parse_raw_pairs(&output)?;
        if diffs.len() == pairs.len() {
            Ok(diffs)
        } else {
            Err(GitError::malformed("diff-tree --stdin", b"a pair is missing"))
        }
    }

    /// The contents of every blob in the entries that is small enough to have lines.
    pub(crate) fn text_blobs<'e>(
        &self,
        entries: impl Iterator<Item = &'e RawEntry>,
    ) -> Result<Blobs, GitError> {
        let mut oids: Vec<Oid> = entries
            .flat_map(|entry| [entry.old_oid.clone(), entry.new_oid.clone()])
            .flatten()
            .collect();
        oids.sort();
        oids.dedup();
        let mut blobs = Blobs::new();
        if oids.is_empty() {
            return Ok(blobs);
        }
        let input: String = oids.iter().flat_map(|oid| [oid.as_str(), "\n"]).collect();
        let output = self.command(["cat-file", "--batch-check"]).input(input).run()?;
        let text = String::from_utf8_lossy(&output);
        let sized = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [oid, "blob", bytes] = words.as_slice() else { return None };
            let (oid, bytes) = (Oid::parse(oid).ok()?, bytes.parse::<u64>().ok()?);
            (bytes <= BLOB_BYTES).then_some((oid, bytes))
        });
        let mut batch: Vec<Oid> = Vec::new();
        let mut batch_bytes = 0;
        for (oid, bytes) in sized {
            batch.push(oid);
            batch_bytes += bytes;
            if batch_bytes >= BATCH_BYTES {
                blobs.extend(self.read_blobs(&batch)?);
                batch.clear();
                batch_bytes = 0;
            }
        }
        blobs.extend(self.read_blobs(&batch)?);
        Ok(blobs)
    }
}
