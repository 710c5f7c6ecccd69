//! Opening and making repositories, and their references.

use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_model::id::{BranchName, Oid};

use crate::error::{Exit, GitError};
use crate::name::{RefName, RepoPath, TreeId};
use crate::run::{Git, Limits};

const EMPTY_TREE_SHA1: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_TREE_SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
/// The longest object id, with its line end.
const LOOSE_BYTES: u64 = 65;

/// A repository found from a path of the user's.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The repository.
    pub git: Git,
    /// The sub-directory of its working tree that the path points to; none for the top.
    pub subdirectory: Option<RepoPath>,
    /// The top of its working tree; none for a bare repository.
    pub top: Option<PathBuf>,
}

impl Git {
    /// Opens a git directory: a bare repository, or the `.git` of one with a working tree.
    pub fn open(git_dir: &Path) -> Result<Self, GitError> {
        let absolute = fs::canonicalize(git_dir).map_err(|source| GitError::Io {
            doing: "open",
            path: git_dir.to_owned(),
            source,
        })?;
        if !absolute.join("HEAD").exists() {
            return Err(GitError::NotARepository { path: absolute });
        }
        let git = Self::unchecked(absolute.clone(), Limits::STANDARD);
        let format = match git.command(["rev-parse", "--show-object-format=storage"]).run() {
            Err(GitError::Failed { exit: Exit::Code(128), stderr, .. })
                if stderr.contains("not a git repository") =>
            {
                return Err(GitError::NotARepository { path: absolute });
            }
            other => other?,
        };
        let empty_tree = match format.as_slice() {
            b"sha1\n" => EMPTY_TREE_SHA1,
            b"sha256\n" => EMPTY_TREE_SHA256,
            other => return Err(GitError::malformed("rev-parse", other)),
        };
        Ok(git.with_attributes(empty_tree))
    }

    /// Finds the repository that a path of the user's is in: the path itself when it is a bare
    /// repository, or the nearest directory above it that has a `.git`.
    pub fn discover(path: &Path) -> Result<Discovered, GitError> {
        let start = fs::canonicalize(path).map_err(|source| GitError::Io {
            doing: "open",
            path: path.to_owned(),
            source,
        })?;
        if start.join("HEAD").is_file() && start.join("objects").is_dir() {
            return Ok(Discovered { git: Self::open(&start)?, subdirectory: None, top: None });
        }
        for top in start.ancestors() {
            let Some(git_dir) = dot_git(top)? else { continue };
            let git = Self::open(&git_dir)?;
            let inside = start.strip_prefix(top).ok().filter(|rest| !rest.as_os_str().is_empty());
            let subdirectory = inside
                .map(|rest| {
                    RepoPath::parse(std::os::unix::ffi::OsStrExt::as_bytes(rest.as_os_str()))
                })
                .transpose()?;
            return Ok(Discovered { git, subdirectory, top: Some(top.to_owned()) });
        }
        Err(GitError::NotARepository { path: start })
    }

    /// Makes a bare repository, without templates; one that is already there is opened.
    pub fn init_bare(dir: &Path, default_branch: &BranchName) -> Result<Self, GitError> {
        fs::create_dir_all(dir).map_err(|source| GitError::Io {
            doing: "create",
            path: dir.to_owned(),
            source,
        })?;
        let absolute = fs::canonicalize(dir).map_err(|source| GitError::Io {
            doing: "open",
            path: dir.to_owned(),
            source,
        })?;
        Self::unchecked(absolute.clone(), Limits::STANDARD)
            .command(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"])
            .arg(format!("--initial-branch={default_branch}"))
            .run()?;
        Self::open(&absolute)
    }

    /// The tree with nothing in it.
    pub fn empty_tree(&self) -> Result<TreeId, GitError> {
        let output = self.command(["hash-object", "-t", "tree", "-w", "--stdin"]).run()?;
        parse_oid("hash-object", &output).map(TreeId::new)
    }

    /// The branch that `HEAD` names, whether it has a commit or not; none for a detached `HEAD`.
    pub fn head_branch(&self) -> Result<Option<BranchName>, GitError> {
        let (code, output) =
            self.command(["symbolic-ref", "--quiet", "HEAD"]).run_codes(&[0, 1])?;
        if code == 1 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output);
        Ok(RefName::parse(text.trim_end()).ok().and_then(|name| name.as_branch()))
    }

    /// Where a reference is.
    pub fn resolve(&self, name: &RefName) -> Result<Option<Oid>, GitError> {
        if let Some(oid) = self.loose(name) {
            return Ok(Some(oid));
        }
        let (code, output) = self
            .command(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(name.as_str())
            .run_codes(&[0, 1])?;
        if code == 1 { Ok(None) } else { parse_oid("rev-parse", &output).map(Some) }
    }

    /// Where a reference is that has a file of its own with nothing but an object id in it
    /// (gitrepository-layout(5)); whatever else there may be is left to git.
    fn loose(&self, name: &RefName) -> Option<Oid> {
        let path = self.git_dir().join(name.as_str());
        let file = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let text = (file.len() <= LOOSE_BYTES).then(|| fs::read_to_string(&path).ok())??;
        Oid::parse(text.strip_suffix('\n')?).ok()
    }

    /// Where a branch is.
    pub fn branch(&self, branch: &BranchName) -> Result<Option<Oid>, GitError> {
        self.resolve(&RefName::branch(branch))
    }

    /// The commit that a person's text names: a branch, a tag, `HEAD~2`, the start of an object id.
    pub fn commit_named(&self, revision: &str) -> Result<Oid, GitError> {
        let unknown =
            || GitError::UnknownRevision { revision: revision.chars().take(120).collect() };
        if revision.is_empty() || revision.contains(['\0', '\n']) {
            return Err(unknown());
        }
        let (code, output) = self
            .command(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{revision}^{{commit}}"))
            .run_codes(&[0, 1, 128])?;
        if code == 0 { parse_oid("rev-parse", &output) } else { Err(unknown()) }
    }

    /// Every branch with its commit, by name. Branches whose name Bailiwick does not take are left out.
    pub fn branches(&self) -> Result<Vec<(BranchName, Oid)>, GitError> {
        let refs = self.references("refs/heads/")?;
        Ok(refs.into_iter().filter_map(|(name, oid)| Some((name.as_branch()?, oid))).collect())
    }

    /// Every reference below a prefix such as `refs/pull/`, by name.
    pub fn references(&self, prefix: &'static str) -> Result<Vec<(RefName, Oid)>, GitError> {
        let output = self
            .command(["for-each-ref", "--format=%(objectname) %(refname)", "--"])
            .arg(prefix)
            .run()?;
        let text = String::from_utf8_lossy(&output);
        let parse = |line: &str| {
            let (oid, name) = line.split_once(' ')?;
            Some((RefName::parse(name).ok()?, Oid::parse(oid).ok()?))
        };
        Ok(text.lines().filter_map(parse).collect())
    }

    /// Moves, makes or deletes a reference, if it is where it is expected (none: does not exist).
    ///
    /// Moving it to where it already is succeeds, whatever was expected.
    pub(crate) fn update_ref(
        &self,
        name: &RefName,
        expected: Option<&Oid>,
        new: Option<&Oid>,
    ) -> Result<(), GitError> {
        let found = self.resolve(name)?;
        if found.as_ref() == new {
            return Ok(());
        }
        let moved = |found| GitError::Moved {
            reference: name.as_str().to_owned(),
            expected: expected.cloned(),
            found,
        };
        if found.as_ref() != expected {
            return Err(moved(found));
        }
        let none = "0".repeat(expected.or(new).map_or(40, |oid| oid.as_str().len()));
        let old = expected.map_or(none.as_str(), Oid::as_str);
        let result = match new {
            Some(new) => self
                .command(["update-ref", "--no-deref", "--"])
                .arg(name.as_str())
                .arg(new.as_str())
                .arg(old)
                .run(),
            None => self
                .command(["update-ref", "--no-deref", "-d", "--"])
                .arg(name.as_str())
                .arg(old)
                .run(),
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => {
                // another writer may have been faster: say so, rather than git's words on locks
                let now = self.resolve(name)?;
                if now.as_ref() == expected { Err(error) } else { Err(moved(now)) }
            }
        }
    }
}

fn dot_git(top: &Path) -> Result<Option<PathBuf>, GitError> {
    let dot_git = top.join(".git");
    if dot_git.is_dir() {
        return Ok(Some(dot_git));
    }
    if !dot_git.is_file() {
        return Ok(None);
    }
    // a linked working tree: `gitdir: PATH`
    let text = fs::read_to_string(&dot_git).map_err(|source| GitError::Io {
        doing: "read",
        path: dot_git.clone(),
        source,
    })?;
    match text.trim_end().strip_prefix("gitdir: ") {
        Some(path) => Ok(Some(top.join(path))),
        None => Err(GitError::NotARepository { path: top.to_owned() }),
    }
}

pub(crate) fn parse_oid(command: &'static str, output: &[u8]) -> Result<Oid, GitError> {
    let text = String::from_utf8_lossy(output);
    Oid::parse(text.trim_end()).map_err(|_| GitError::malformed(command, output))
}
