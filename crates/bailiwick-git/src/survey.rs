//! What a repository uses that Bailiwick does not take, found before any work starts.

use std::fmt;

use bailiwick_model::id::Oid;

use crate::error::GitError;
use crate::name::RepoPath;
use crate::read::{EntryKind, TreeEntry};
use crate::run::Git;

/// Something a repository uses that is refused by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsupported {
    /// A submodule: its content lies in another repository.
    Submodule {
        /// Where.
        path: RepoPath,
    },
    /// A file in Git LFS: its content lies on another server.
    LargeFile {
        /// Where.
        path: RepoPath,
    },
    /// A shallow clone: its history is cut off.
    ShallowClone,
    /// Objects named by SHA-256.
    Sha256,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submodule { path } => write!(f, "`{path}` is a submodule"),
            Self::LargeFile { path } => write!(f, "`{path}` is stored in Git LFS"),
            Self::ShallowClone => {
                f.write_str("it is a shallow clone (`git fetch --unshallow` completes it)")
            }
            Self::Sha256 => f.write_str("its objects are named by SHA-256"),
        }
    }
}

impl Unsupported {
    /// The first few in one line.
    pub(crate) fn list(all: &[Self]) -> String {
        let shown: Vec<String> = all.iter().take(5).map(Self::to_string).collect();
        let more = all.len().saturating_sub(shown.len());
        let rest = if more == 0 { String::new() } else { format!(", and {more} more") };
        shown.join(", ") + &rest
    }
}

/// What a tree holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// How many files.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// What stands in the way.
    pub unsupported: Vec<Unsupported>,
    /// Files that a filter other than LFS would change on checkout, with the filter's name. They
    /// are taken as they are stored.
    pub filtered: Vec<(RepoPath, String)>,
}

const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
const LFS_POINTER_BYTES: u64 = 1024;

impl Git {
    /// Looks through a tree for what is not supported.
    pub fn survey(&self, commit_or_tree: &Oid) -> Result<Survey, GitError> {
        let entries = self.list_all(commit_or_tree)?;
        let mut unsupported = Vec::new();
        if self.git_dir().join("shallow").exists() {
            unsupported.push(Unsupported::ShallowClone);
        }
        if commit_or_tree.as_str().len() == 64 {
            unsupported.push(Unsupported::Sha256);
        }
        let submodules = entries.iter().filter(|entry| entry.kind == EntryKind::Submodule);
        unsupported
            .extend(submodules.map(|entry| Unsupported::Submodule { path: entry.path.clone() }));
        let mut filtered = Vec::new();
        for (entry, filter) in self.filters(commit_or_tree, &entries)? {
            if filter != "lfs" {
                filtered.push((entry.path.clone(), filter));
            } else if entry.bytes.is_some_and(|bytes| bytes <= LFS_POINTER_BYTES)
                && self.read_blob(&entry.oid)?.starts_with(LFS_POINTER)
            {
                unsupported.push(Unsupported::LargeFile { path: entry.path.clone() });
            }
        }
        let bytes = entries.iter().filter_map(|entry| entry.bytes).sum();
        Ok(Survey { files: entries.len(), bytes, unsupported, filtered })
    }

    /// The files that a `.gitattributes` of the tree gives a filter.
    fn filters<'a>(
        &self,
        commit_or_tree: &Oid,
        entries: &'a [TreeEntry],
    ) -> Result<Vec<(&'a TreeEntry, String)>, GitError> {
        let is_attributes = |entry: &&TreeEntry| {
            entry.path.as_bytes().rsplit(|byte| *byte == b'/').next() == Some(b".gitattributes")
        };
        if !entries.iter().any(|entry| is_attributes(&entry)) {
            return Ok(Vec::new());
        }
        let files: Vec<&TreeEntry> = entries.iter().filter(|entry| entry.bytes.is_some()).collect();
        let mut input = Vec::new();
        for entry in &files {
            input.extend_from_slice(entry.path.as_bytes());
            input.push(0);
        }
        let output = self
            .command(["check-attr", "-z", "--stdin"])
            .arg(format!("--source={commit_or_tree}"))
            .arg("filter")
            .input(input)
            .run()?;
        // path, `filter`, value; in the order of the input
        let values = output.split(|byte| *byte == 0).skip(2).step_by(3);
        let named = files.into_iter().zip(values).filter_map(|(entry, value)| {
            let value = String::from_utf8_lossy(value).into_owned();
            let set = !matches!(value.as_str(), "unspecified" | "unset" | "set" | "");
            set.then_some((entry, value))
        });
        Ok(named.collect())
    }
}
