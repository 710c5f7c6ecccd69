//! Errors of forges.

use std::io;
use std::path::PathBuf;

use bailiwick_git::{GitError, ReplayError, RepoPath};
use bailiwick_model::id::{BranchName, Oid, Person, RepoName};
use bailiwick_model::outcome::EffectError;

use crate::pkt_line::PktLineError;

/// Why a forge did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// There is no such repository.
    #[error("there is no repository `{repo}`")]
    NoRepository {
        /// The name.
        repo: RepoName,
    },
    /// There is no such pull request.
    #[error("there is no pull request {number} in `{repo}`")]
    NoPullRequest {
        /// The repository.
        repo: RepoName,
        /// The number.
        number: u64,
    },
    /// There is no such branch.
    #[error("`{repo}` has no branch `{branch}`")]
    NoBranch {
        /// The repository.
        repo: RepoName,
        /// The branch.
        branch: BranchName,
    },
    /// The branch only moves by merging a pull request.
    #[error(
        "`{branch}` is a protected branch: it only moves by merging a pull request, or by an operator's import"
    )]
    ProtectedBranch {
        /// The branch.
        branch: BranchName,
    },
    /// A branch is not where it was when this was decided.
    #[error("`{branch}` is at {}, not at {}", position(found), position(expected))]
    Moved {
        /// The branch.
        branch: BranchName,
        /// Where it was.
        expected: Option<Oid>,
        /// Where it is.
        found: Option<Oid>,
    },
    /// Repository and source have each gone their own way.
    #[error("`{branch}` of `{repo}` and of `{source_path}` have each gone their own way")]
    Diverged {
        /// The repository.
        repo: RepoName,
        /// The branch.
        branch: BranchName,
        /// Where it was to be imported from.
        source_path: String,
    },
    /// The branch holds nothing that its base does not have.
    #[error("`{head}` holds nothing that `{base}` does not have")]
    NothingToMerge {
        /// The branch.
        head: BranchName,
        /// Its base.
        base: BranchName,
    },
    /// The pull request is not open any more.
    #[error("pull request {number} is {state}")]
    NotOpen {
        /// The pull request.
        number: u64,
        /// `merged` or `closed`.
        state: &'static str,
    },
    /// A reviewer wants changes on this very commit.
    #[error("`{reviewer}` requested changes on this commit")]
    ChangesRequested {
        /// Who.
        reviewer: Person,
    },
    /// Somebody is named as an approver who has not approved this very commit.
    #[error("`{reviewer}` has not approved this commit")]
    NotApproved {
        /// Who.
        reviewer: Person,
    },
    /// The change conflicts with its base.
    #[error("the change conflicts with its base in {}", paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", "))]
    Conflict {
        /// Where.
        paths: Vec<RepoPath>,
    },
    /// A path that is to be imported lies inside a repository.
    #[error("`{inside}` is a sub-directory of a repository, and repositories are imported whole")]
    SubDirectory {
        /// The path, from the repository's top.
        inside: RepoPath,
    },
    /// What was permitted lacks an operand, or is not what was sent.
    #[error("the permit does not fit: {reason}")]
    Unfit {
        /// In what way.
        reason: String,
    },
    /// `git receive-pack` did not take the push.
    #[error("the push was not taken: {reason}")]
    PushRejected {
        /// Its words.
        reason: String,
    },
    /// The request is not what git's protocol says.
    #[error(transparent)]
    Protocol(#[from] PktLineError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file of the forge could not be used.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A pull request's file cannot be read as one.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        #[source]
        source: serde_json::Error,
    },
    /// The work was stopped on the way, by a shutdown or a panic.
    #[error("the forge was stopped on the way")]
    Interrupted,
}

fn position(oid: &Option<Oid>) -> String {
    oid.as_ref().map_or_else(|| "no commit".to_owned(), Oid::to_string)
}

impl ForgeError {
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

impl From<ReplayError> for ForgeError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Conflict { paths } => Self::Conflict { paths },
            ReplayError::Unrelated { one, other } => {
                Self::Unfit { reason: format!("`{one}` and `{other}` have no history in common") }
            }
            ReplayError::Git(error) => Self::Git(error),
        }
    }
}

impl EffectError for ForgeError {
    fn code(&self) -> String {
        let code = match self {
            Self::NoRepository { .. } => "forge.no_repository",
            Self::NoPullRequest { .. } => "forge.no_pull_request",
            Self::NoBranch { .. } => "forge.no_branch",
            Self::ProtectedBranch { .. } => "forge.protected_branch",
            Self::Moved { .. } | Self::Git(GitError::Moved { .. }) => "forge.moved",
            Self::Diverged { .. } => "forge.diverged",
            Self::NothingToMerge { .. } => "forge.nothing_to_merge",
            Self::NotOpen { .. } => "forge.not_open",
            Self::ChangesRequested { .. } => "forge.changes_requested",
            Self::NotApproved { .. } => "forge.not_approved",
            Self::Conflict { .. } => "forge.conflict",
            Self::SubDirectory { .. } => "forge.sub_directory",
            Self::Unfit { .. } => "forge.permit_unfit",
            Self::PushRejected { .. } => "forge.push_rejected",
            Self::Protocol(_) => "forge.protocol",
            Self::Git(GitError::NotARepository { .. }) => "forge.not_a_repository",
            Self::Git(GitError::NoCommits { .. }) => "forge.no_commits",
            Self::Git(GitError::Unsupported { .. }) => "forge.unsupported",
            Self::Git(_) => "forge.git",
            Self::Io { .. } => "forge.io",
            Self::Damaged { .. } => "forge.damaged",
            Self::Interrupted => "forge.interrupted",
        };
        code.to_owned()
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoRepository { .. } => "import it first: `bailiwick run TASK --repo PATH`",
            Self::NoPullRequest { .. } => "list the pull requests: `bailiwick pr list`",
            Self::NoBranch { .. } => "give a branch that exists: `git branch --list`",
            Self::ProtectedBranch { .. } => "push to another branch and open a pull request",
            Self::Moved { .. } => {
                "bring the change up to date, gate it again and have it approved again"
            }
            Self::Diverged { .. } => "merge the two by hand, or import under another name",
            Self::NothingToMerge { .. } => "commit the change to the branch first",
            Self::NotOpen { .. } => "open a new pull request",
            Self::SubDirectory { .. } => {
                "give the repository's top, and say in the task which part of it is meant"
            }
            Self::ChangesRequested { .. } => "let the implementor answer the review first",
            Self::NotApproved { .. } => "have the commit as it is now approved",
            Self::Conflict { .. } => "rebase the change on its base and gate it again",
            Self::PushRejected { .. } => "fetch, bring the branch up to date and push again",
            Self::Damaged { .. } => {
                "restore the file from a backup; the ledger has every fact in it"
            }
            Self::Io { .. } => {
                "make room on the disk or mend the permissions of the data directory"
            }
            Self::Git(error) => return error.hint().map(str::to_owned),
            Self::Unfit { .. } | Self::Protocol(_) | Self::Interrupted => return None,
        };
        Some(hint.to_owned())
    }

    fn possibly_done(&self) -> bool {
        // a file or a process may have failed after the reference moved; repetition finds out
        matches!(self, Self::Interrupted | Self::Io { .. })
    }
}
