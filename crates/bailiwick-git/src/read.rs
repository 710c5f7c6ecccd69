//! Reading commits, trees and files.

use std::collections::HashMap;

use bailiwick_model::id::Oid;
use jiff::Timestamp;

use crate::error::GitError;
use crate::name::{RepoPath, TreeId};
use crate::repository::parse_oid;
use crate::run::Git;

/// A commit, as far as Bailiwick reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub oid: Oid,
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, the first one being the line it continues.
    pub parents: Vec<Oid>,
    /// The author's name and address, `Name <address>`, lossily decoded.
    pub author: String,
    /// When it was written; none when the date is malformed.
    pub authored_at: Option<Timestamp>,
    /// The committer's name and address.
    pub committer: String,
    /// When it was committed; none when the date is malformed.
    pub committed_at: Option<Timestamp>,
    /// The message, lossily decoded.
    pub message: String,
    pub(crate) author_line: Vec<u8>,
    pub(crate) raw_message: Vec<u8>,
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The values of a trailer in the last paragraph of the message.
    pub fn trailers(&self, key: &str) -> Vec<&str> {
        let last = self.message.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let value = |line: &'_ str| -> Option<usize> {
            let (name, _) = line.split_once(": ")?;
            name.eq_ignore_ascii_case(key).then_some(name.len() + 2)
        };
        last.lines().filter_map(|line| line.get(value(line)?..)).collect()
    }
}

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A directory.
    Directory,
    /// A submodule: a commit of another repository.
    Submodule,
}

impl EntryKind {
    fn parse(mode: &str) -> Option<Self> {
        match mode {
            "100644" | "100664" => Some(Self::File),
            "100755" => Some(Self::Executable),
            "120000" => Some(Self::Symlink),
            "040000" => Some(Self::Directory),
            "160000" => Some(Self::Submodule),
            _ => None,
        }
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path from the top of the tree that was listed.
    pub path: RepoPath,
    /// What it is.
    pub kind: EntryKind,
    /// The object.
    pub oid: Oid,
    /// The size in bytes, for files and symbolic links.
    pub bytes: Option<u64>,
}

impl Git {
    /// Reads a commit.
    pub fn commit(&self, oid: &Oid) -> Result<Commit, GitError> {
        let raw = self.command(["cat-file", "commit"]).arg(oid.as_str()).run_known()?;
        parse_commit(oid, &raw).ok_or_else(|| GitError::malformed("cat-file", &raw))
    }

    /// The tree of a commit (or of a tree: itself).
    pub fn tree_of(&self, commit_or_tree: &Oid) -> Result<TreeId, GitError> {
        let output = self
            .command(["rev-parse", "--verify", "--end-of-options"])
            .arg(format!("{commit_or_tree}^{{tree}}"))
            .run_known()?;
        parse_oid("rev-parse", &output).map(TreeId::new)
    }

    /// The tree of a sub-directory.
    pub fn subtree(&self, commit_or_tree: &Oid, path: &RepoPath) -> Result<TreeId, GitError> {
        match self.entry(commit_or_tree, path)? {
            Some(entry) if entry.kind == EntryKind::Directory => Ok(TreeId::new(entry.oid)),
            Some(_) | None => Err(GitError::NotFound {
                path: path.clone(),
                kind: "directory",
                tree: commit_or_tree.clone(),
            }),
        }
    }

    /// One entry of a tree.
    pub fn entry(
        &self,
        commit_or_tree: &Oid,
        path: &RepoPath,
    ) -> Result<Option<TreeEntry>, GitError> {
        let output = self
            .command(["ls-tree", "-z", "--full-tree", "--long"])
            .arg(commit_or_tree.as_str())
            .arg("--")
            .arg(path.as_path())
            .run_known()?;
        Ok(parse_entries(&output)?.into_iter().find(|entry| entry.path == *path))
    }

    /// The entries of one directory (none: the top), not those below.
    pub fn list(
        &self,
        commit_or_tree: &Oid,
        directory: Option<&RepoPath>,
    ) -> Result<Vec<TreeEntry>, GitError> {
        let tree = match directory {
            Some(path) => self.subtree(commit_or_tree, path)?.into(),
            None => commit_or_tree.clone(),
        };
        let output = self
            .command(["ls-tree", "-z", "--full-tree", "--long"])
            .arg(tree.as_str())
            .run_known()?;
        parse_entries(&output)
    }

    /// Every file, symbolic link and submodule of a tree, without the directories.
    pub fn list_all(&self, commit_or_tree: &Oid) -> Result<Vec<TreeEntry>, GitError> {
        let output = self
            .command(["ls-tree", "-r", "-z", "--full-tree", "--long"])
            .arg(commit_or_tree.as_str())
            .run_known()?;
        parse_entries(&output)
    }

    /// The same without their sizes, for which git would have to look at every object.
    pub fn list_blobs(
        &self,
        commit_or_tree: &Oid,
    ) -> Result<Vec<(RepoPath, EntryKind, Oid)>, GitError> {
        let output = self
            .command(["ls-tree", "-r", "-z", "--full-tree"])
            .arg(commit_or_tree.as_str())
            .run()?;
        let parse = |record: &[u8]| {
            let tab = record.iter().position(|byte| *byte == b'\t')?;
            let head = std::str::from_utf8(record.get(..tab)?).ok()?;
            let mut fields = head.split_ascii_whitespace();
            let kind = EntryKind::parse(fields.next()?)?;
            let oid = Oid::parse(fields.nth(1)?).ok()?;
            Some((RepoPath::parse(record.get(tab + 1..)?).ok()?, kind, oid))
        };
        let records = output.split(|byte| *byte == 0).filter(|record| !record.is_empty());
        records
            .map(|record| parse(record).ok_or_else(|| GitError::malformed("ls-tree", record)))
            .collect()
    }

    /// The content of a file. A symbolic link is not followed and not read.
    pub fn read_file(&self, commit_or_tree: &Oid, path: &RepoPath) -> Result<Vec<u8>, GitError> {
        match self.entry(commit_or_tree, path)? {
            Some(entry) if matches!(entry.kind, EntryKind::File | EntryKind::Executable) => {
                self.read_blob(&entry.oid)
            }
            Some(_) | None => Err(GitError::NotFound {
                path: path.clone(),
                kind: "file",
                tree: commit_or_tree.clone(),
            }),
        }
    }

    /// The content of a blob.
    pub fn read_blob(&self, oid: &Oid) -> Result<Vec<u8>, GitError> {
        self.command(["cat-file", "blob"]).arg(oid.as_str()).run_known()
    }

    /// The contents of many blobs in one process; together within the limit on output.
    pub fn read_blobs(&self, oids: &[Oid]) -> Result<HashMap<Oid, Vec<u8>>, GitError> {
        let mut contents = HashMap::new();
        if oids.is_empty() {
            return Ok(contents);
        }
        let input: String = oids.iter().flat_map(|oid| [oid.as_str(), "\n"]).collect();
        let output = self.command(["cat-file", "--batch"]).input(input).run()?;
        let malformed =
            || GitError::malformed("cat-file --batch", output.get(..80).unwrap_or(&output));
        let mut rest = output.as_slice();
        for oid in oids {
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(malformed)?;
            let (header, body) = rest.split_at(end);
            let header = String::from_utf8_lossy(header);
            let size: usize = header
                .strip_prefix(oid.as_str())
                .and_then(|tail| tail.strip_prefix(" blob "))
                .and_then(|size| size.parse().ok())
                .ok_or_else(|| GitError::malformed("cat-file --batch", header.as_bytes()))?;
            let content = body.get(1..=size).ok_or_else(malformed)?;
            contents.insert(oid.clone(), content.to_vec());
            rest = body.get(size + 2..).ok_or_else(malformed)?;
        }
        Ok(contents)
    }

    /// The best common ancestor of two commits.
    pub fn merge_base(&self, one: &Oid, other: &Oid) -> Result<Option<Oid>, GitError> {
        let (code, output) = self
            .command(["merge-base"])
            .arg(one.as_str())
            .arg(other.as_str())
            .run_codes(&[0, 1])?;
        if code == 1 {
            return Ok(None);
        }
        parse_oid("merge-base", &output).map(Some)
    }

    /// Whether a commit is in the history of another (or is that other).
    pub fn is_ancestor(&self, ancestor: &Oid, descendant: &Oid) -> Result<bool, GitError> {
        let (code, _) = self
            .command(["merge-base", "--is-ancestor"])
            .arg(ancestor.as_str())
            .arg(descendant.as_str())
            .run_codes(&[0, 1])?;
        Ok(code == 0)
    }

    /// The commits of `head` that are not in the history of `base` (none: all), newest first, at
    /// most `limit`.
    pub fn log(&self, base: Option<&Oid>, head: &Oid, limit: u32) -> Result<Vec<Oid>, GitError> {
        let mut command = self
            .command(["rev-list", "--topo-order"])
            .arg(format!("--max-count={limit}"))
            .arg(head.as_str());
        if let Some(base) = base {
            command = command.arg(format!("^{base}"));
        }
        let output = command.arg("--").run_known()?;
        let text = String::from_utf8_lossy(&output);
        text.lines()
            .map(|line| {
                Oid::parse(line).map_err(|_| GitError::malformed("rev-list", line.as_bytes()))
            })
            .collect()
    }
}

fn parse_entries(output: &[u8]) -> Result<Vec<TreeEntry>, GitError> {
    let parse = |record: &[u8]| -> Option<TreeEntry> {
        let tab = record.iter().position(|byte| *byte == b'\t')?;
        let head = std::str::from_utf8(record.get(..tab)?).ok()?;
        let mut fields = head.split_ascii_whitespace();
        let kind = EntryKind::parse(fields.next()?)?;
        fields.next()?;
        let oid = Oid::parse(fields.next()?).ok()?;
        let bytes = fields.next()?.parse().ok();
        Some(TreeEntry { path: RepoPath::parse(record.get(tab + 1..)?).ok()?, kind, oid, bytes })
    };
    output
        .split(|byte| *byte == 0)
        .filter(|record| !record.is_empty())
        .map(|record| parse(record).ok_or_else(|| GitError::malformed("ls-tree", record)))
        .collect()
}

/// Splits a raw commit into its headers, unfolded, and its message.
pub(crate) fn split_commit(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = raw.windows(2).position(|pair| pair == b"\n\n")?;
    Some((raw.get(..=end)?, raw.get(end + 2..)?))
}

fn parse_commit(oid: &Oid, raw: &[u8]) -> Option<Commit> {
    let (headers, message) = split_commit(raw)?;
    let mut tree = None;
    let mut parents = Vec::new();
    let mut author: &[u8] = b"";
    let mut committer: &[u8] = b"";
    for line in headers.split(|byte| *byte == b'\n') {
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        match key {
            b"tree" => tree = Some(TreeId::new(Oid::parse(std::str::from_utf8(value).ok()?).ok()?)),
            b"parent" => parents.push(Oid::parse(std::str::from_utf8(value).ok()?).ok()?),
            b"author" => author = value,
            b"committer" => committer = value,
            _ => {}
        }
    }
    let (author_name, authored_at) = parse_ident(author);
    let (committer_name, committed_at) = parse_ident(committer);
    Some(Commit {
        oid: oid.clone(),
        tree: tree?,
        parents,
        author: author_name,
        authored_at,
        committer: committer_name,
        committed_at,
        message: String::from_utf8_lossy(message).into_owned(),
        author_line: author.to_vec(),
        raw_message: message.to_vec(),
    })
}

fn parse_ident(line: &[u8]) -> (String, Option<Timestamp>) {
    let text = String::from_utf8_lossy(line);
    match text.rsplit_once('>') {
        Some((name, date)) => {
            let second = date.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
            (format!("{name}>"), second.and_then(|second| Timestamp::from_second(second).ok()))
        }
        None => (text.into_owned(), None),
    }
}
