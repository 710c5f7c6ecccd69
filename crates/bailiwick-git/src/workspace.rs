//! Workspaces: a tree on disk for an agent to work on, with nothing of git in it.
//!
//! The index lies outside the workspace, so an agent can neither read nor change it. Whatever an
//! agent plants (a `.git`, hooks, `.gitattributes`, links out of the workspace) is content at most;
//! nothing of it is run, followed or believed. Snapshots should be taken while no process of the
//! agent runs: git protects itself against links, but not against a race.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailiwick_model::id::Oid;

use crate::error::GitError;
use crate::name::{RepoPath, TreeId};
use crate::nested;
use crate::repository::parse_oid;
use crate::run::Git;

/// What a snapshot takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotLimits {
    /// The largest file, in bytes.
    pub file_bytes: u64,
    /// The most files that changed since the snapshot before.
    pub files: usize,
}

impl SnapshotLimits {
    /// Files of up to 50 MiB, 50,000 of them.
    pub const STANDARD: Self = Self { file_bytes: 50 << 20, files: 50_000 };
}

/// What a rewind does with files that `.gitignore` names, such as build outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoredFiles {
    /// Leaves them.
    Keep,
    /// Removes them, and a `.git` that was planted at the top.
    Remove,
}

/// A tree on disk, together with the git directory that its snapshots go to.
#[derive(Debug, Clone)]
pub struct Workspace {
    git: Git,
    work_tree: PathBuf,
    index: PathBuf,
    limits: SnapshotLimits,
}

impl Workspace {
    /// Writes a commit or tree into a new or empty directory. `index` is a file outside of it that
    /// belongs to this workspace alone.
    pub fn checkout(
        git: &Git,
        commit_or_tree: &Oid,
        work_tree: &Path,
        index: &Path,
    ) -> Result<Self, GitError> {
        fs::create_dir_all(work_tree).map_err(|source| GitError::Io {
            doing: "create",
            path: work_tree.to_owned(),
            source,
        })?;
        let mut entries = fs::read_dir(work_tree).map_err(|source| GitError::Io {
            doing: "read",
            path: work_tree.to_owned(),
            source,
        })?;
        if entries.next().is_some() {
            return Err(GitError::NotEmpty { path: work_tree.to_owned() });
        }
        remove_if_there(index)?;
        let workspace = Self::attach(git, work_tree, index)?;
        workspace.index_command(["read-tree"]).arg(commit_or_tree.as_str()).run()?;
        workspace.index_command(["checkout-index", "--all", "--index", "--quiet"]).run()?;
        Ok(workspace)
    }

    /// Takes up a workspace that was checked out before.
    pub fn attach(git: &Git, work_tree: &Path, index: &Path) -> Result<Self, GitError> {
        let absolute = |path: &Path| {
            fs::canonicalize(path).map_err(|source| GitError::Io {
                doing: "open",
                path: path.to_owned(),
                source,
            })
        };
        let work_tree = absolute(work_tree)?;
        let outside = |source: io::Error| GitError::Io {
            doing: "keep the index at",
            path: index.to_owned(),
            source,
        };
        let parent = index
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        let name =
            index.file_name().ok_or_else(|| outside(io::ErrorKind::InvalidFilename.into()))?;
        let index = absolute(parent)?.join(name);
        if index.starts_with(&work_tree) {
            return Err(outside(io::Error::other("it would lie inside the workspace")));
        }
        // a process that was killed leaves its lock; the index belongs to this workspace alone
        let mut lock = index.clone().into_os_string();
        lock.push(".lock");
        remove_if_there(Path::new(&lock))?;
        Ok(Self { git: git.clone(), work_tree, index, limits: SnapshotLimits::STANDARD })
    }

    /// The same workspace with other bounds on its snapshots.
    #[must_use]
    pub fn with_limits(mut self, limits: SnapshotLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.work_tree
    }

    /// Records the workspace as a tree: all files but those that its `.gitignore` files name.
    ///
    /// Contents are taken byte for byte. The files of a nested repository are taken like any
    /// others, without its `.git`; a `.git` at the top is not looked at. Sockets, pipes and devices
    /// count as absent.
    pub fn snapshot(&self) -> Result<TreeId, GitError> {
        self.index_command(["update-index", "-q", "--refresh"]).run_codes(&[0, 1])?;
        let changes = self.changes()?;
        self.feed(&["--force-remove"], &changes.gone)?;
        self.feed(&["--add", "--replace"], &changes.present)?;
        let tree = self.index_command(["write-tree"]).run()?;
        parse_oid("write-tree", &tree).map(TreeId::new)
    }

    /// Makes the workspace equal to a tree again. Files that are in the way are removed.
    pub fn restore(&self, tree: &TreeId, ignored: IgnoredFiles) -> Result<(), GitError> {
        self.index_command(["read-tree", "--reset", "-u"]).arg(tree.as_str()).run()?;
        let clean = self.index_command(["clean", "-q", "-f", "-f", "-d"]);
        match ignored {
            IgnoredFiles::Keep => clean.run()?,
            IgnoredFiles::Remove => {
                remove_if_there(&self.work_tree.join(".git"))?;
                clean.arg("-x").run()?
            }
        };
        Ok(())
    }

    fn index_command<const N: usize>(&self, args: [&str; N]) -> crate::run::Invocation<'_> {
        self.git.command(args).work_tree(&self.work_tree).index(&self.index)
    }

    /// The paths that differ from the index, each looked at once and without following links.
    fn changes(&self) -> Result<Changes, GitError> {
        let listed = self
            .index_command([
                "ls-files",
                "-z",
                "--modified",
                "--others",
                "--deduplicate",
                "--exclude-standard",
            ])
            .run()?;
        let mut paths = Vec::new();
        for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            match name.strip_suffix(b"/") {
                Some(nested) => paths.extend(self.nested_files(&RepoPath::parse(nested)?)?),
                None => paths.push(RepoPath::parse(name)?),
            }
            if paths.len() > self.limits.files {
                return Err(GitError::TooManyFiles { limit: self.limits.files });
            }
        }
        let mut directories = HashMap::new();
        let mut changes = Changes::default();
        for path in paths {
            match self.present_bytes(&path, &mut directories)? {
                None => changes.gone.push(path),
                Some(bytes) if bytes > self.limits.file_bytes => {
                    return Err(GitError::FileTooLarge {
                        path,
                        bytes,
                        limit_bytes: self.limits.file_bytes,
                    });
                }
                Some(_) => changes.present.push(path),
            }
        }
        Ok(changes)
    }

    /// The size of a file or link; none when there is neither at the path, or only through a link.
    fn present_bytes(
        &self,
        path: &RepoPath,
        directories: &mut HashMap<PathBuf, bool>,
    ) -> Result<Option<u64>, GitError> {
        for parent in path.as_path().ancestors().skip(1) {
            if parent.as_os_str().is_empty() {
                continue;
            }
            let known = directories.get(parent).copied();
            let real = known.unwrap_or_else(|| {
                fs::symlink_metadata(self.work_tree.join(parent))
                    .is_ok_and(|metadata| metadata.is_dir())
            });
            directories.insert(parent.to_owned(), real);
            if !real {
                return Ok(None);
            }
        }
        let full = self.work_tree.join(path.as_path());
        match fs::symlink_metadata(&full) {
            Ok(metadata) => {
                let kind = metadata.file_type();
                Ok((kind.is_file() || kind.is_symlink()).then_some(metadata.len()))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(GitError::Io { doing: "look at", path: full, source }),
        }
    }

    /// The files of a nested repository, which git would take for a submodule.
    fn nested_files(&self, directory: &RepoPath) -> Result<Vec<RepoPath>, GitError> {
        let files = nested::files_below(&self.work_tree, directory, self.limits.files)?;
        if files.is_empty() {
            return Ok(files);
        }
        let (_, ignored) = self
            .index_command(["check-ignore", "-z", "--stdin", "--no-index"])
            .prefixed_pathspecs()
            .input(
                files
                    .iter()
                    .flat_map(|file| [b"./", file.as_bytes(), b"\0"].concat())
                    .collect::<Vec<u8>>(),
            )
            .run_codes(&[0, 1])?;
        let ignored: HashSet<&[u8]> =
            ignored.split(|byte| *byte == 0).filter_map(|path| path.strip_prefix(b"./")).collect();
        Ok(files.into_iter().filter(|file| !ignored.contains(file.as_bytes())).collect())
    }

    fn feed(&self, options: &[&str], paths: &[RepoPath]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut command = self.index_command(["update-index"]);
        for option in options {
            command = command.arg(option);
        }
        let warnings =
            command.arg("-z").arg("--stdin").input(nul_separated(paths)).run_warnings()?;
        // git leaves such a name out and says so, but succeeds: the file would be hidden
        if warnings.contains("Ignoring path ") {
            return Err(GitError::ForbiddenName { stderr: warnings });
        }
        Ok(())
    }
}

#[derive(Default)]
struct Changes {
    gone: Vec<RepoPath>,
    present: Vec<RepoPath>,
}

impl Git {
    /// What is staged in the user's own index, as a tree. The index is copied to `scratch` first, so
    /// that neither it nor its lock is touched; a repository without one has nothing staged.
    pub fn staged_tree(&self, scratch: &Path) -> Result<TreeId, GitError> {
        let index = self.copy_index(scratch)?;
        let tree = self.command(["write-tree"]).index(&index).run()?;
        parse_oid("write-tree", &tree).map(TreeId::new)
    }

    /// The user's working tree as it is on disk, as a tree: what `git add --all` would stage. Its
    /// own index is not touched.
    pub fn work_tree_tree(&self, top: &Path, scratch: &Path) -> Result<TreeId, GitError> {
        let index = self.copy_index(scratch)?;
        Workspace::attach(self, top, &index)?.snapshot()
    }

    fn copy_index(&self, scratch: &Path) -> Result<PathBuf, GitError> {
        let index = scratch.join("index");
        match fs::copy(self.git_dir().join("index"), &index) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(GitError::Io { doing: "copy", path: self.git_dir().join("index"), source })
            }
            Ok(_) | Err(_) => Ok(index),
        }
    }
}

fn nul_separated(paths: &[RepoPath]) -> Vec<u8> {
    paths.iter().flat_map(|path| path.as_bytes().iter().copied().chain([0])).collect()
}

fn remove_if_there(path: &Path) -> Result<(), GitError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => {
            other.map_err(|source| GitError::Io { doing: "remove", path: path.to_owned(), source })
        }
    }
}
