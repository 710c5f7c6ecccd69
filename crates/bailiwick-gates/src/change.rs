//! What a change touches, as data for the gates that read content.

use crate::content_gate::{FilePair, LineRange};
use bailiwick_git::{
    DiffOptions, FileChange, FileContent, FileDiff, Git, GitError, Hunk, RepoPath,
};
use bailiwick_model::id::Oid;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::risk::FileDelta;

/// Largest file that is scanned, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// How many files are read by one process.
const BLOBS_AT_ONCE: usize = 256;
/// Most commits of one change that are looked at.
const MAX_COMMITS: u32 = 500;

/// A text that becomes public together with a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeText {
    /// Where it stands, such as `commit message of 1a2b3c4d` or `pull request description`.
    pub place: String,
    /// The text.
    pub text: String,
}

/// The content of a file that a change touches, at one commit.
#[derive(Clone, PartialEq, Eq)]
pub struct TouchedContent {
    /// The path, lossily decoded.
    pub path: String,
    /// The blob that it was read from.
    pub oid: Option<Oid>,
    /// The content.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for TouchedContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

/// What a change touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Each file that differs between base and head, with numbers.
    pub files: Vec<FileDelta>,
    /// The touched files, both sides of each.
    pub pairs: Vec<FilePair>,
    /// The touched files as they are on the base.
    pub before: Vec<TouchedContent>,
    /// The touched files as they are in any commit of the change: what is added by one commit and
    /// removed by the next stays in the history.
    pub after: Vec<TouchedContent>,
    /// Commit messages, and what the caller adds (the pull request's description).
    pub texts: Vec<ChangeText>,
    /// Files that could not be read, with the reason. Gates that read content are inconclusive
    /// then.
    pub unread: Vec<String>,
}

impl Change {
    /// Reads the change from `base` to `head`, all commits in between included. Blocks.
    pub fn load(git: &Git, base: &Oid, head: &Oid) -> Result<Self, GitError> {
        Self::load_tree(git, base, head, head)
    }

    /// Reads the change from `base` to a tree that comes after the commit `head`: a working tree,
    /// or what is staged. Blocks.
    pub fn load_tree(git: &Git, base: &Oid, head: &Oid, tree: &Oid) -> Result<Self, GitError> {
        let diff = git.diff(base, tree, DiffOptions { context_lines: 0 })?;
        let mut change = Self { files: diff.files.iter().map(delta).collect(), ..Self::default() };

        let mut before = BTreeMap::new();
        let mut after = BTreeMap::new();
        collect_blobs(&diff.files, &mut before, &mut after);
        let commits = git.log(Some(base), head, MAX_COMMITS)?;
        if commits.len() >= MAX_COMMITS as usize {
            change
                .unread
                .push(format!("commits before the last {MAX_COMMITS}: there are too many"));
        }
        for oid in &commits {
            let commit = git.commit(oid)?;
            change.texts.push(ChangeText {
                place: format!("commit message of {}", short(oid)),
                text: commit.message.clone(),
            });
            // the only commit of a change has been looked at already
            let is_head =
                commit.oid == *tree && commits.len() == 1 && commit.parents.first() == Some(base);
            if let Some(parent) = commit.parents.first().filter(|_| !is_head) {
                let step = git.diff(parent, oid, DiffOptions { context_lines: 0 })?;
                collect_blobs(&step.files, &mut BTreeMap::new(), &mut after);
            }
        }
        change.before = change.read(git, before);
        change.after = change.read(git, after);
        change.pairs = diff.files.iter().map(|file| change.pair(file)).collect();
        Ok(change)
    }

    fn pair(&self, file: &FileDiff) -> FilePair {
        let find = |contents: &[TouchedContent], path: &Option<RepoPath>, oid: &Option<Oid>| {
            let (path, oid) = (path.as_ref()?.to_string(), oid.as_ref()?);
            contents
                .iter()
                .find(|content| content.path == path && content.oid.as_ref() == Some(oid))
                .map(|content| Arc::clone(&content.bytes))
        };
        let ranges = |side: fn(&Hunk) -> (u32, u32)| {
            file.hunks()
                .iter()
                .map(side)
                .filter(|(_, lines)| *lines > 0)
                .map(|(first, lines)| LineRange { first, last: first.saturating_add(lines - 1) })
                .collect()
        };
        let delta = delta(file);
        FilePair {
            path: delta.path,
            old_path: delta.old_path,
            old_mode: file.old_mode,
            new_mode: file.new_mode,
            before: find(&self.before, &file.old_path, &file.old_oid),
            after: find(&self.after, &file.new_path, &file.new_oid),
            added: ranges(|hunk| (hunk.new_start, hunk.new_lines)),
            removed: ranges(|hunk| (hunk.old_start, hunk.old_lines)),
            binary: delta.binary,
        }
    }

    /// Adds a text that becomes public together with the change.
    #[must_use]
    pub fn with_text(mut self, place: &str, text: &str) -> Self {
        self.texts.push(ChangeText { place: place.to_owned(), text: text.to_owned() });
        self
    }

    fn read(&mut self, git: &Git, blobs: BTreeMap<(String, String), Oid>) -> Vec<TouchedContent> {
        let mut contents = Vec::with_capacity(blobs.len());
        let oids: Vec<Oid> = blobs.values().cloned().collect();
        // one process for many; what does not fit together is read one by one
        let mut together: HashMap<Oid, Vec<u8>> = HashMap::new();
        for some in oids.chunks(BLOBS_AT_ONCE) {
            together.extend(git.read_blobs(some).unwrap_or_default());
        }
        for ((path, _), oid) in blobs {
            match together.get(&oid).cloned().map_or_else(|| git.read_blob(&oid), Ok) {
                Ok(bytes) if bytes.len() as u64 <= MAX_FILE_BYTES => {
                    contents.push(TouchedContent { path, oid: Some(oid), bytes: bytes.into() });
                }
                Ok(bytes) => self.unread.push(format!(
                    "`{path}`: {} bytes, more than the {MAX_FILE_BYTES} that are scanned",
                    bytes.len()
                )),
                Err(error) => self.unread.push(format!("`{path}`: {error}")),
            }
        }
        contents
    }
}

/// Adds each blob under its path and id, without submodules (their object is elsewhere).
fn collect_blobs(
    files: &[FileDiff],
    before: &mut BTreeMap<(String, String), Oid>,
    after: &mut BTreeMap<(String, String), Oid>,
) {
    const SUBMODULE: u32 = 0o160_000;
    let sides = files.iter().flat_map(|file| {
        [
            (&file.old_path, file.old_mode, &file.old_oid, false),
            (&file.new_path, file.new_mode, &file.new_oid, true),
        ]
    });
    for (path, mode, oid, is_new) in sides {
        if let (Some(path), Some(oid)) = (path, oid)
            && mode != SUBMODULE
            && mode != 0
        {
            let blobs = if is_new { &mut *after } else { &mut *before };
            blobs.insert((path.to_string(), oid.to_string()), oid.clone());
        }
    }
}

fn delta(file: &FileDiff) -> FileDelta {
    FileDelta {
        path: file.path().map(ToString::to_string).unwrap_or_default(),
        old_path: match file.change {
            FileChange::Renamed { .. } => file.old_path.as_ref().map(ToString::to_string),
            FileChange::Added
            | FileChange::Deleted
            | FileChange::Modified
            | FileChange::TypeChanged => None,
        },
        deleted: file.change == FileChange::Deleted,
        binary: file.content == FileContent::Binary,
        added: file.added,
        removed: file.removed,
    }
}

fn short(oid: &Oid) -> String {
    oid.as_str().chars().take(8).collect()
}

/// The paths of a change, old and new.
pub(crate) fn all_paths(change: &Change) -> BTreeSet<&str> {
    let touched = change.after.iter().map(|content| content.path.as_str());
    change
        .files
        .iter()
        .filter(|file| !file.deleted)
        .map(|file| file.path.as_str())
        .chain(touched)
        .collect()
}
