//! What the engine needs of a repository to let agents work on it: checkouts, snapshots, signed
//! commits, rebases, reading.
//!
//! Checking out and signing take a permit. Nothing here moves a branch: that is a push or a merge.

use std::path::{Path, PathBuf};

use bailiwick_git::{
    Attribution, DiffOptions, EntryKind, Git, GitError, IgnoredFiles, MergeInput, NewCommit,
    Overlay, ReplayError, RepoPath, Signature, TrackPoint, Trailer, TreeId, Workspace, attribute,
};
use bailiwick_model::Timestamp;
use bailiwick_model::action::{RepoRead, SecretUse};
use bailiwick_model::id::{BranchName, Oid, Person, RepoName};
use bailiwick_model::outcome::{Outcome, Recorded};
use bailiwick_model::payload::Digest;
use bailiwick_warden::Permit;

use crate::embedded::EmbeddedForge;
use crate::error::ForgeError;
use crate::forge::Forge as _;
use crate::types::PullRequestState;

/// The name of the commit signing key in policies and in the ledger.
pub const SIGNING_KEY: &str = "commit-signing-key";

/// A branch of a repository that could be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub source: String,
    /// The branch that was asked for, or the one that is checked out there.
    pub branch: BranchName,
}

/// A checkout that snapshots can be taken of.
#[derive(Debug, Clone)]
pub struct WorkTree {
    workspace: Workspace,
    tree: Oid,
}

impl Recorded for WorkTree {
    fn outcome(&self) -> Outcome {
        Outcome::Git { oid: Some(self.tree.clone()) }
    }
}

impl WorkTree {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.workspace.path()
    }

    /// The tree that was checked out.
    pub fn tree(&self) -> &Oid {
        &self.tree
    }

    /// Records what is there now as a tree.
    pub async fn snapshot(&self) -> Result<Oid, ForgeError> {
        let workspace = self.workspace.clone();
        blocking(move || Ok(workspace.snapshot()?.oid().clone())).await
    }

    /// Makes it equal to a tree again. Build outputs that `.gitignore` names stay.
    pub async fn restore(&self, tree: &Oid) -> Result<(), ForgeError> {
        let (workspace, tree) = (self.workspace.clone(), TreeId::new(tree.clone()));
        blocking(move || Ok(workspace.restore(&tree, IgnoredFiles::Keep)?)).await
    }
}

/// A commit to be made of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChangeCommit {
    /// The repository.
    pub repo: RepoName,
    /// What the commit holds.
    pub tree: Oid,
    /// The commit it stands on.
    pub parent: Oid,
    /// Its message, without trailers.
    pub message: String,
    /// Its trailers.
    pub trailers: Vec<(String, String)>,
    /// On whose behalf.
    pub author: Person,
    /// When.
    pub at: Timestamp,
}

impl NewChangeCommit {
    /// The use of the signing key that this commit is: bound to its tree, its parent, and by a
    /// digest to its words.
    pub fn signing(&self) -> SecretUse {
        let mut words = format!("{}\0{}\0{}", self.author, self.at, self.message);
        for (key, value) in &self.trailers {
            words.push_str(&format!("\0{key}: {value}"));
        }
        SecretUse {
            name: SIGNING_KEY.to_owned(),
            purpose: format!(
                "sign a commit of tree {} on {} in {} with words {}",
                self.tree,
                self.parent,
                self.repo,
                Digest::of(words.as_bytes())
            ),
        }
    }
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub oid: Oid,
}

impl Recorded for Committed {
    fn outcome(&self) -> Outcome {
        Outcome::Git { oid: Some(self.oid.clone()) }
    }
}

/// Commits to be put on another base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebaseRequest {
    /// The repository.
    pub repo: RepoName,
    /// The old base, not itself put anywhere.
    pub from: Oid,
    /// The last commit.
    pub head: Oid,
    /// The new base.
    pub onto: Oid,
    /// When.
    pub at: Timestamp,
}

impl RebaseRequest {
    /// The use of the signing key that this rebase is: bound to what is put where.
    pub fn signing(&self) -> SecretUse {
        SecretUse {
            name: SIGNING_KEY.to_owned(),
            purpose: format!(
                "sign a rebase of {}..{} onto {} in {}",
                self.from, self.head, self.onto, self.repo
            ),
        }
    }
}

/// What came of a rebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebased {
    /// The commits stand on the new base.
    Clean {
        /// The last of them.
        commit: Oid,
        /// Its tree.
        tree: Oid,
    },
    /// They can't without somebody deciding what is meant.
    Conflict {
        /// Where.
        paths: Vec<String>,
    },
}

impl Recorded for Rebased {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Clean { commit, .. } => Outcome::Git { oid: Some(commit.clone()) },
            Self::Conflict { .. } => Outcome::Git { oid: None },
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ForgeError> + Send + 'static,
) -> Result<T, ForgeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ForgeError::Interrupted)?
}

fn fits(permit: &Permit<SecretUse>, expected: &SecretUse) -> Result<(), ForgeError> {
    if permit.action() == expected {
        return Ok(());
    }
    Err(ForgeError::Unfit { reason: "it was given for another use of the signing key".to_owned() })
}

impl EmbeddedForge {
    /// Looks at what a path has to import.
    pub async fn inspect(
        &self,
        path: &Path,
        branch: Option<&BranchName>,
    ) -> Result<Found, ForgeError> {
        let (path, branch) = (path.to_owned(), branch.cloned());
        blocking(move || {
            let found = Git::discover(&path)?;
            if let Some(inside) = &found.subdirectory {
                return Err(ForgeError::SubDirectory { inside: inside.clone() });
            }
            let branch = match branch {
                Some(branch) => branch,
                None => found
                    .git
                    .head_branch()?
                    .ok_or_else(|| GitError::NoCommits { path: path.clone() })?,
            };
            let source = std::fs::canonicalize(&path).map_err(ForgeError::io("open", &path))?;
            let source = source.to_str().map(str::to_owned).ok_or_else(|| ForgeError::Unfit {
                reason: "the path of the source is not UTF-8".to_owned(),
            })?;
            Ok(Found { source, branch })
        })
        .await
    }

    /// The branch of a repository that only moves by merging.
    pub async fn protected_branch(&self, repo: &RepoName) -> Result<BranchName, ForgeError> {
        Ok(self.repository(repo).await?.default_branch)
    }

    /// Whether a branch only moves by merging.
    pub async fn is_protected(
        &self,
        repo: &RepoName,
        branch: &BranchName,
    ) -> Result<bool, ForgeError> {
        Ok(self.repository(repo).await?.protected_branches.contains(branch))
    }

    /// Where a branch is, which must exist.
    pub async fn head(&self, repo: &RepoName, branch: &BranchName) -> Result<Oid, ForgeError> {
        self.branch(repo, branch)
            .await?
            .ok_or_else(|| ForgeError::NoBranch { repo: repo.clone(), branch: branch.clone() })
    }

    /// A file at a commit; none when there is none.
    pub async fn read_file(
        &self,
        repo: &RepoName,
        commit: &Oid,
        path: &str,
    ) -> Result<Option<Vec<u8>>, ForgeError> {
        let (git, commit) = (self.git(repo)?, commit.clone());
        let path = RepoPath::parse(path).map_err(GitError::from)?;
        blocking(move || match git.entry(&commit, &path)? {
            Some(_) => Ok(Some(git.read_file(&commit, &path)?)),
            None => Ok(None),
        })
        .await
    }

    /// The files directly in a directory at a commit, by path; none when there is no such directory.
    /// What is not a plain file, or has more than 1 MiB, is listed without its bytes.
    pub async fn policy_files(
        &self,
        repo: &RepoName,
        commit: &Oid,
        directory: &str,
        most: usize,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, ForgeError> {
        const MOST_BYTES: u64 = 1 << 20;
        let (git, commit) = (self.git(repo)?, commit.clone());
        let path = RepoPath::parse(directory).map_err(GitError::from)?;
        blocking(move || {
            if git.entry(&commit, &path)?.is_none() {
                return Ok(Vec::new());
            }
            let entries = git.list(&commit, Some(&path))?;
            if entries.len() > most {
                return Err(ForgeError::Unfit {
                    reason: format!("`{path}` has {} files, more than {most}", entries.len()),
                });
            }
            entries
                .into_iter()
                .map(|entry| {
                    let shown = entry.path.to_string();
                    let name = shown.rsplit('/').next().unwrap_or_default();
                    let full = format!("{path}/{name}");
                    let plain = matches!(entry.kind, EntryKind::File | EntryKind::Executable)
                        && entry.bytes.is_some_and(|bytes| bytes <= MOST_BYTES);
                    let bytes = plain.then(|| git.read_blob(&entry.oid)).transpose()?;
                    Ok((full, bytes))
                })
                .collect()
        })
        .await
    }

    /// The tree of a commit.
    pub async fn tree_of(&self, repo: &RepoName, commit: &Oid) -> Result<Oid, ForgeError> {
        let (git, commit) = (self.git(repo)?, commit.clone());
        blocking(move || Ok(git.tree_of(&commit)?.oid().clone())).await
    }

    /// The difference between two commits as unified text.
    pub async fn diff_text(
        &self,
        repo: &RepoName,
        from: &Oid,
        to: &Oid,
    ) -> Result<String, ForgeError> {
        let (git, from, to) = (self.git(repo)?, from.clone(), to.clone());
        blocking(move || Ok(git.diff(&from, &to, DiffOptions::STANDARD)?.text)).await
    }

    /// Writes the tree of a commit with other files at some paths. No branch names it. `scratch` is
    /// a directory that is there.
    pub async fn overlay(
        &self,
        repo: &RepoName,
        commit: &Oid,
        files: Vec<(String, Overlay)>,
        scratch: PathBuf,
    ) -> Result<Oid, ForgeError> {
        let (git, commit) = (self.git(repo)?, commit.clone());
        blocking(move || {
            let files: Vec<(RepoPath, Overlay)> = files
                .into_iter()
                .map(|(path, overlay)| Ok((RepoPath::parse(path)?, overlay)))
                .collect::<Result<_, GitError>>()?;
            Ok(git.overlay(&commit, &files, &scratch)?.oid().clone())
        })
        .await
    }

    /// Writes the object of the permit into a new directory; `index` is a file beside it.
    pub async fn checkout(
        &self,
        permit: Permit<RepoRead>,
        directory: PathBuf,
        index: PathBuf,
    ) -> Result<WorkTree, ForgeError> {
        let read = permit.action().clone();
        let git = self.git(&read.repo)?;
        let object = read.object.ok_or_else(|| ForgeError::Unfit {
            reason: "it names nothing to check out".to_owned(),
        })?;
        blocking(move || {
            let workspace = Workspace::checkout(&git, &object, &directory, &index)?;
            let tree = git.tree_of(&object)?.oid().clone();
            Ok(WorkTree { workspace, tree })
        })
        .await
    }

    /// Makes a signed commit that no branch names yet.
    pub async fn commit(
        &self,
        permit: Permit<SecretUse>,
        new: NewChangeCommit,
    ) -> Result<Committed, ForgeError> {
        fits(&permit, &new.signing())?;
        let git = self.git(&new.repo)?;
        let platform = self.shared.platform.clone();
        blocking(move || {
            let address = format!("{}@users.bailiwick.invalid", new.author);
            let author =
                Signature::new(new.author.as_str(), &address, new.at).map_err(GitError::from)?;
            let trailers: Result<Vec<Trailer>, _> =
                new.trailers.iter().map(|(key, value)| Trailer::new(key, value)).collect();
            let commit = NewCommit {
                tree: TreeId::new(new.tree),
                parents: vec![new.parent],
                author,
                committer: platform.signature(new.at)?,
                message: new.message,
                trailers: trailers.map_err(GitError::from)?,
            };
            Ok(Committed { oid: git.write_commit(&commit, Some(platform.signer.as_ref()))? })
        })
        .await
    }

    /// Puts commits on another base, signed anew; no branch names them yet.
    pub async fn rebase(
        &self,
        permit: Permit<SecretUse>,
        request: RebaseRequest,
    ) -> Result<Rebased, ForgeError> {
        fits(&permit, &request.signing())?;
        let git = self.git(&request.repo)?;
        let platform = self.shared.platform.clone();
        blocking(move || {
            let committer = platform.signature(request.at)?;
            let input = MergeInput {
                base: &request.onto,
                head: &request.head,
                committer: &committer,
                signer: Some(platform.signer.as_ref()),
            };
            match git.rebase_range(&request.from, &input) {
                Ok(commit) => {
                    let tree = git.tree_of(&commit)?.oid().clone();
                    Ok(Rebased::Clean { commit, tree })
                }
                Err(ReplayError::Conflict { paths }) => {
                    Ok(Rebased::Conflict { paths: paths.iter().map(ToString::to_string).collect() })
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The commit that a pull request was merged as; none when it was not.
    pub async fn merged_commit(
        &self,
        repo: &RepoName,
        number: u64,
    ) -> Result<Option<Oid>, ForgeError> {
        Ok(match self.pull_request(repo, number).await?.state {
            PullRequestState::Merged { commit, .. } => Some(commit),
            PullRequestState::Open | PullRequestState::Closed { .. } => None,
        })
    }

    /// The difference from `base` to `head`, each line with the step that made it. `points` are
    /// the trees after each step, in order; `start` is where the first step began.
    pub async fn attribution(
        &self,
        repo: &RepoName,
        start: Oid,
        points: Vec<(Option<String>, Oid)>,
        base: Oid,
        head: Oid,
    ) -> Result<Attribution<String>, ForgeError> {
        let git = self.git(repo)?;
        blocking(move || {
            let points: Result<Vec<TrackPoint<String>>, GitError> = points
                .into_iter()
                .map(|(step, tree)| Ok(TrackPoint { step, tree: git.tree_of(&tree)? }))
                .collect();
            Ok(attribute(&git, &start, &points?, &base, &head)?)
        })
        .await
    }
}
