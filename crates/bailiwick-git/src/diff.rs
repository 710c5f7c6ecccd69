//! Differences between trees, as data and as unified text.

use bailiwick_model::id::Oid;
use serde::Serialize;

use crate::diff_parse::{RawEntry, parse_patch, parse_raw};
use crate::error::GitError;
use crate::name::RepoPath;
use crate::run::Git;

/// What a difference shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffOptions {
    /// Lines of context around each change.
    pub context_lines: u32,
}

impl DiffOptions {
    /// Three lines of context.
    pub const STANDARD: Self = Self { context_lines: 3 };
}

/// The difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The files that differ, by path.
    pub files: Vec<FileDiff>,
    /// The whole as unified text (`git diff`), lossily decoded.
    pub text: String,
}

impl Diff {
    /// How many lines were added and removed.
    pub fn line_counts(&self) -> (u64, u64) {
        self.files.iter().fold((0, 0), |(added, removed), file| {
            (added + u64::from(file.added), removed + u64::from(file.removed))
        })
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content or mode changed.
    Modified,
    /// It has another path, and perhaps another content.
    Renamed {
        /// How alike the contents are, in percent.
        similarity: u8,
    },
    /// It became something else: a file became a symbolic link, say.
    TypeChanged,
}

/// The content of a changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileContent {
    /// Text: the parts that differ. Empty when only the path or mode changed.
    Text {
        /// In order.
        hunks: Vec<Hunk>,
    },
    /// Not text.
    Binary,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDiff {
    /// Its path before; none when it is new.
    pub old_path: Option<RepoPath>,
    /// Its path after; none when it is gone.
    pub new_path: Option<RepoPath>,
    /// What happened.
    pub change: FileChange,
    /// Its mode before, such as 0o100644; 0 when it is new.
    pub old_mode: u32,
    /// Its mode after; 0 when it is gone.
    pub new_mode: u32,
    /// Its blob before.
    pub old_oid: Option<Oid>,
    /// Its blob after.
    pub new_oid: Option<Oid>,
    /// What differs in it.
    pub content: FileContent,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

impl FileDiff {
    /// The path after, or before when it is gone.
    pub fn path(&self) -> Option<&RepoPath> {
        self.new_path.as_ref().or(self.old_path.as_ref())
    }

    /// The parts that differ; empty for a binary file.
    pub fn hunks(&self) -> &[Hunk] {
        match &self.content {
            FileContent::Text { hunks } => hunks,
            FileContent::Binary => &[],
        }
    }
}

/// Lines that differ, with context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// The first line before, counted from 1 (0 when there is none).
    pub old_start: u32,
    /// How many lines before.
    pub old_lines: u32,
    /// The first line after.
    pub new_start: u32,
    /// How many lines after.
    pub new_lines: u32,
    /// The line git shows after `@@`, such as a function's name.
    pub section: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// What a line of a hunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// In both.
    Context,
    /// Only after.
    Added,
    /// Only before.
    Removed,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Its number before, counted from 1.
    pub old_line: Option<u32>,
    /// Its number after, counted from 1.
    pub new_line: Option<u32>,
    /// The text without its line end, lossily decoded.
    pub text: String,
    /// Whether the file ends after it without a line end.
    pub last_without_newline: bool,
}

impl Git {
    /// The difference between two commits or trees. Renames are detected; attributes, text
    /// converters and external programs are not used, so nothing in a tree can hide a change.
    pub fn diff(&self, from: &Oid, to: &Oid, options: DiffOptions) -> Result<Diff, GitError> {
        let entries = self.raw_diff(from, to)?;
        let patch = self
            .command([
                "diff-tree",
                "-r",
                "-M",
                "-p",
                "--full-index",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--diff-algorithm=histogram",
                "--src-prefix=a/",
                "--dst-prefix=b/",
            ])
            .arg(format!("--unified={}", options.context_lines))
            .arg(from.as_str())
            .arg(to.as_str())
            .arg("--")
            .run_known()?;
        let files = parse_patch(entries, &patch)?;
        Ok(Diff { files, text: String::from_utf8_lossy(&patch).into_owned() })
    }

    /// The files that differ, without their contents.
    pub(crate) fn raw_diff(&self, from: &Oid, to: &Oid) -> Result<Vec<RawEntry>, GitError> {
        let output = self
            .command(["diff-tree", "-r", "-M", "-z", "--raw", "--no-abbrev", "--no-ext-diff"])
            .arg(from.as_str())
            .arg(to.as_str())
            .arg("--")
            .run_known()?;
        parse_raw(&output)
    }

    /// The paths that differ between two commits or trees, old and new ones, sorted.
    pub fn changed_paths(&self, from: &Oid, to: &Oid) -> Result<Vec<RepoPath>, GitError> {
        let entries = self.raw_diff(from, to)?;
        let mut paths: Vec<RepoPath> = entries
            .into_iter()
            .flat_map(|entry| [entry.old_path, entry.new_path])
            .flatten()
            .collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }
}
