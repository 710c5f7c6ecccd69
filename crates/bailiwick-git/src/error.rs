//! Errors of git operations. A failed command is named without what was fed to it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bailiwick_model::id::Oid;

use crate::name::{NameError, RepoPath};
use crate::sshsig::SignatureError;
use crate::survey::Unsupported;

/// How a git process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal => f.write_str("a signal"),
        }
    }
}

/// What went wrong in a git operation.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The `git` program could not be started.
    #[error("cannot start `git`")]
    Start {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The `git` program refused or failed.
    #[error("`git {command}` ended with {exit}: {stderr}")]
    Failed {
        /// The subcommand and its arguments, without what was fed to its standard input.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// The `git` program took longer than allowed and was stopped.
    #[error("`git {command}` took longer than {} s and was stopped", limit.as_secs())]
    TimedOut {
        /// The subcommand and its arguments.
        command: String,
        /// The limit.
        limit: Duration,
    },
    /// The `git` program wrote more than allowed and was stopped.
    #[error("`git {command}` wrote more than {limit_bytes} bytes and was stopped")]
    OutputTooLarge {
        /// The subcommand and its arguments.
        command: String,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// A file or directory could not be used.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was tried, such as `create`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The output of `git` is not what its documentation says.
    #[error("`git {command}` answered something unexpected: {detail}")]
    Malformed {
        /// The subcommand.
        command: &'static str,
        /// What was unexpected.
        detail: String,
    },
    /// A name is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The path holds no git repository.
    #[error("`{}` is not a git repository", path.display())]
    NotARepository {
        /// The path that was given.
        path: PathBuf,
    },
    /// The repository has no commit on the branch.
    #[error("`{}` has no commit yet", path.display())]
    NoCommits {
        /// The repository.
        path: PathBuf,
    },
    /// The repository uses something that is not supported.
    #[error("this repository cannot be used: {}", Unsupported::list(what))]
    Unsupported {
        /// Everything that stands in the way.
        what: Vec<Unsupported>,
    },
    /// A revision does not exist.
    #[error("`{revision}` names nothing in this repository")]
    UnknownRevision {
        /// What was asked for.
        revision: String,
    },
    /// A path does not exist in a tree, or is not of the kind asked for.
    #[error("`{path}` is not a {kind} at `{tree}`")]
    NotFound {
        /// The path.
        path: RepoPath,
        /// `file` or `directory`.
        kind: &'static str,
        /// The commit or tree.
        tree: Oid,
    },
    /// A reference is not where it was expected to be.
    #[error("`{reference}` is at {}, not at {}", Position(found), Position(expected))]
    Moved {
        /// The reference.
        reference: String,
        /// Where it was expected; none when it must not exist.
        expected: Option<Oid>,
        /// Where it is.
        found: Option<Oid>,
    },
    /// A file in the workspace is larger than a snapshot takes.
    #[error("`{path}` has {bytes} bytes, more than the {limit_bytes} a snapshot takes")]
    FileTooLarge {
        /// The file.
        path: RepoPath,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The workspace has more changed files than a snapshot takes.
    #[error("more than {limit} files have changed since the last snapshot")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// The workspace holds a name that git keeps for itself, such as `.GIT` or `git~1`.
    #[error("the workspace holds a file name that git does not allow: {stderr}")]
    ForbiddenName {
        /// Git's own words, naming the file.
        stderr: String,
    },
    /// The directory for a checkout is not empty.
    #[error("`{}` is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The commit could not be signed.
    #[error("the commit could not be signed")]
    Signing {
        /// Why.
        #[source]
        source: SignatureError,
    },
}

struct Position<'a>(&'a Option<Oid>);

impl fmt::Display for Position<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(oid) => write!(f, "{oid}"),
            None => f.write_str("no commit"),
        }
    }
}

impl GitError {
    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Start { .. } => Some("install git 2.41 or newer and put it on the PATH"),
            Self::Failed { stderr, .. } if stderr.contains("dubious ownership") => Some(
                "the repository belongs to another user: run as its owner, or give a copy that you own",
            ),
            Self::NotARepository { .. } => Some(
                "give the path of a repository, or make one there: `git init && git add -A && git commit`",
            ),
            Self::NoCommits { .. } => Some("commit something on the branch first"),
            Self::FileTooLarge { .. } | Self::TooManyFiles { .. } => {
                Some("remove the files, or name them in `.gitignore`")
            }
            Self::ForbiddenName { .. } => Some("rename the file"),
            Self::NotEmpty { .. } => Some("give a new directory"),
            Self::Moved { .. } => Some("read the reference again and start from where it is now"),
            Self::TimedOut { .. } | Self::OutputTooLarge { .. } => Some(
                "the repository may be too large for the limits: raise them, or narrow the request",
            ),
            Self::Unsupported { .. } => {
                Some("see which paths are named and leave them out of the repository")
            }
            Self::Failed { .. }
            | Self::Io { .. }
            | Self::Malformed { .. }
            | Self::Name(_)
            | Self::UnknownRevision { .. }
            | Self::NotFound { .. }
            | Self::Signing { .. } => None,
        }
    }

    pub(crate) fn malformed(command: &'static str, detail: &[u8]) -> Self {
        let detail = String::from_utf8_lossy(detail).chars().take(200).collect();
        Self::Malformed { command, detail }
    }
}
