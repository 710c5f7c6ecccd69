//! What a content gate may go by.

use super::{Hit, Inspected};
use crate::change::Change;
use crate::settings::GateSettings;
use bailiwick_git::{EntryKind, Git, RepoPath};
use bailiwick_model::Timestamp;
use bailiwick_model::id::Oid;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Lines of a file, both ends counted from 1 and included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRange {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl LineRange {
    /// Whether a line is among them.
    pub fn contains(self, line: u32) -> bool {
        (self.first..=self.last).contains(&line)
    }
}

/// A file that the change touches, before and after.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FilePair {
    /// The path after the change, or before it when the file is gone.
    pub path: String,
    /// The path before, when the file was renamed.
    pub old_path: Option<String>,
    /// The mode before, such as 0o100644; 0 when it is new.
    pub old_mode: u32,
    /// The mode after; 0 when it is gone.
    pub new_mode: u32,
    /// The content before; none when the file is new, a submodule, or could not be read.
    pub before: Option<Arc<[u8]>>,
    /// The content after; none when the file is gone, a submodule, or could not be read.
    pub after: Option<Arc<[u8]>>,
    /// Lines that the change brings, by their numbers after.
    pub added: Vec<LineRange>,
    /// Lines that the change takes away, by their numbers before.
    pub removed: Vec<LineRange>,
    /// Whether git takes it for binary.
    pub binary: bool,
}

impl std::fmt::Debug for FilePair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilePair").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FilePair {
    /// Whether the file is not there before the change.
    pub fn is_new(&self) -> bool {
        self.old_mode == 0
    }

    /// Whether the file is not there after the change.
    pub fn is_gone(&self) -> bool {
        self.new_mode == 0
    }

    /// The path before the change.
    pub fn path_before(&self) -> &str {
        self.old_path.as_deref().unwrap_or(&self.path)
    }

    /// The content before as text, lossily decoded.
    pub fn text_before(&self) -> Option<String> {
        self.before.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The content after as text, lossily decoded.
    pub fn text_after(&self) -> Option<String> {
        self.after.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Whether the change brings this line.
    pub fn adds_line(&self, line: u32) -> bool {
        self.added.iter().any(|range| range.contains(line))
    }
}

/// The files of a commit or tree, read as they are needed.
pub trait Tree: Send + Sync {
    /// The content of a regular file; none when there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// The paths of all regular files.
    fn paths(&self) -> Result<Vec<String>, String>;

    /// The contents of several files; those that are not there are left out.
    fn read_many(&self, paths: &[String]) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let mut contents = BTreeMap::new();
        for path in paths {
            if let Some(content) = self.read(path)? {
                contents.insert(path.clone(), content);
            }
        }
        Ok(contents)
    }

    /// The lines of a file, counted from 1, that were written at an instant or later. None where
    /// nothing is known of the files' past, or all of it is later.
    fn written_since(&self, path: &str, since: Timestamp) -> Result<Option<Vec<u32>>, String> {
        let _ = (path, since);
        Ok(None)
    }
}

/// A commit or tree in a repository. Its list of files is read once, by whoever asks first.
#[derive(Debug)]
pub struct GitTree {
    git: Git,
    at: Oid,
    files: OnceLock<Result<BTreeMap<String, Oid>, String>>,
    /// An instant that was asked for, and whether the history reaches before it.
    reaches: OnceLock<(Timestamp, Result<bool, String>)>,
}

impl GitTree {
    /// The files at a commit or tree.
    pub fn new(git: Git, at: Oid) -> Self {
        Self { git, at, files: OnceLock::new(), reaches: OnceLock::new() }
    }

    fn files(&self) -> Result<&BTreeMap<String, Oid>, String> {
        let list = || {
            let entries = self.git.list_blobs(&self.at).map_err(|error| error.to_string())?;
            Ok(entries
                .into_iter()
                .filter(|(_, kind, _)| matches!(kind, EntryKind::File | EntryKind::Executable))
                .filter_map(|(path, _, oid)| Some((path.as_text()?.to_owned(), oid)))
                .collect())
        };
        self.files.get_or_init(list).as_ref().map_err(Clone::clone)
    }

    /// Whether the history has a commit before an instant; asked for every file, and mostly for the
    /// same one.
    fn reaches_before(&self, instant: Timestamp) -> Result<bool, String> {
        let ask = || self.git.reaches_before(&self.at, instant).map_err(|error| error.to_string());
        let (asked, answer) = self.reaches.get_or_init(|| (instant, ask()));
        if *asked == instant { answer.clone() } else { ask() }
    }
}

impl Tree for GitTree {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        match self.files()?.get(path) {
            Some(oid) => self.git.read_blob(oid).map(Some).map_err(|error| error.to_string()),
            None => Ok(None),
        }
    }

    fn paths(&self) -> Result<Vec<String>, String> {
        Ok(self.files()?.keys().cloned().collect())
    }

    fn read_many(&self, paths: &[String]) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let files = self.files()?;
        let wanted: Vec<(&String, &Oid)> =
            paths.iter().filter_map(|path| Some((path, files.get(path)?))).collect();
        let oids: Vec<Oid> = wanted.iter().map(|(_, oid)| (*oid).clone()).collect();
        let blobs = self.git.read_blobs(&oids).map_err(|error| error.to_string())?;
        Ok(wanted
            .into_iter()
            .filter_map(|(path, oid)| Some((path.clone(), blobs.get(oid)?.clone())))
            .collect())
    }

    fn written_since(&self, path: &str, since: Timestamp) -> Result<Option<Vec<u32>>, String> {
        let path = RepoPath::parse(path).map_err(|error| error.to_string())?;
        if !self.reaches_before(since)? {
            return Ok(None);
        }
        let lines = self.git.lines_since(&self.at, &path, since);
        lines.map(Some).map_err(|error| error.to_string())
    }
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MapTree(pub BTreeMap<String, Vec<u8>>);

impl Tree for MapTree {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(path).cloned())
    }

    fn paths(&self) -> Result<Vec<String>, String> {
        Ok(self.0.keys().cloned().collect())
    }
}

/// No files at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyTree;

impl Tree for EmptyTree {
    fn read(&self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn paths(&self) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// Everything that a content gate may go by.
pub struct Input {
    /// What the change touches.
    pub change: Change,
    /// The whole tree before the change.
    pub base: Box<dyn Tree>,
    /// The whole tree after it. Nothing in it says how the change is judged.
    pub head: Box<dyn Tree>,
    /// Settings, thresholds and suppressions, from the protected branch.
    pub settings: GateSettings,
    /// When the gates run.
    pub now: Timestamp,
    /// When a gate's time is up.
    pub deadline: Option<Instant>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("change", &self.change).finish_non_exhaustive()
    }
}

impl Input {
    /// Whether the gate should give up: its report will not be waited for.
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Scans both sides of each touched file and keeps what is new: a hit that the side before has
    /// as often is not. `scan` gets the path *after* the change for both sides, so that a renamed
    /// file brings nothing new by its name alone, and gives an error for what it can't judge.
    pub fn new_hits(
        &self,
        wanted: impl Fn(&FilePair) -> bool,
        scan: impl Fn(&str, &[u8]) -> Result<Vec<Hit>, String>,
    ) -> Inspected {
        let mut inspected = Inspected::default();
        let mut files = 0_usize;
        for pair in self.change.pairs.iter().filter(|pair| wanted(pair)) {
            if self.is_late() {
                inspected.doubts.push("the time was up before all files were read".to_owned());
                break;
            }
            let Some(after) = &pair.after else { continue };
            files += 1;
            match scan(&pair.path, after) {
                Ok(hits) if hits.is_empty() => {}
                Ok(hits) => {
                    // what can't be judged on the base has nothing old in it
                    let before = pair
                        .before
                        .as_ref()
                        .and_then(|before| scan(&pair.path, before).ok())
                        .unwrap_or_default();
                    inspected.hits.extend(only_new(&before, hits));
                }
                Err(reason) => inspected.doubts.push(format!("`{}`: {reason}", pair.path)),
            }
        }
        inspected.doubts.extend(self.change.unread.iter().cloned());
        inspected.looked_at = format!("{files} file{}", if files == 1 { "" } else { "s" });
        inspected
    }
}

/// Takes away, for each hit before, one that is the same but for its line.
pub(crate) fn only_new(before: &[Hit], after: Vec<Hit>) -> Vec<Hit> {
    let key = |hit: &Hit| (hit.rule.clone().into_owned(), hit.anchor.clone());
    let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
    for hit in before {
        *known.entry(key(hit)).or_default() += 1;
    }
    after
        .into_iter()
        .filter(|hit| match known.get_mut(&key(hit)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        })
        .collect()
}
