//! What can go wrong.

use std::path::PathBuf;

use bailiwick_guest::{CageError, Ended, FileError, WireError};
use bailiwick_model::outcome::EffectError;

use crate::tier::Tier;

/// An effect in a sandbox that did not take place, or broke.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The cage could not be built; nothing was run.
    #[error(transparent)]
    Cage(CageError),
    /// The cage stood, but the program could not be started.
    #[error("`{program}` cannot be started: {detail}")]
    NotStarted {
        /// The program.
        program: String,
        /// The system's words.
        detail: String,
        /// The system's error number.
        errno: i32,
    },
    /// A file operation was refused.
    #[error(transparent)]
    File(FileError),
    /// A limit ended a file operation.
    #[error("the file operation was ended by {ended:?}")]
    FileEnded {
        /// What ended it.
        ended: Ended,
    },
    /// The bytes to write were not at hand: the action was read back from the ledger.
    #[error("the content to write is not at hand")]
    NoContent,
    /// Only the recorded set-up phase may have the network.
    #[error("this command may not have the network")]
    NetworkNotAllowed,
    /// This tier can't show a cage the one port that an agent's program needs.
    #[error("the sandbox tier `{tier}` has no door for an agent's program")]
    NoDoor {
        /// Which.
        tier: Tier,
    },
    /// The decision asks for a stronger tier than this sandbox is. Nothing was run.
    #[error(
        "this has to run in the sandbox tier `{asked}` or a stronger one, and this sandbox is of the tier `{tier}`"
    )]
    TierTooWeak {
        /// What it is.
        tier: Tier,
        /// What was asked for.
        asked: Tier,
    },
    /// The tier that the decision asks for is not to be had. Nothing was run.
    #[error(transparent)]
    Missing(TierMissing),
    /// The workspace could not be opened in the tier that the decision asks for. Nothing was run.
    #[error("the workspace cannot be opened in the sandbox tier that is asked for")]
    Open {
        /// The cause.
        #[source]
        source: SetupError,
    },
    /// The action says nothing of a program: the built-in loop runs outside the cage.
    #[error("there is no agent's program to start")]
    NoProgram,
    /// A container runtime did not do its part.
    #[error("`{runtime}` did not run the command: {detail}")]
    Runtime {
        /// Which.
        runtime: String,
        /// What it said.
        detail: String,
        /// Whether the command may have begun.
        started: bool,
    },
    /// The launcher could not be started.
    #[error("the launcher cannot be started")]
    Launch {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The launcher did not understand, or was not understood.
    #[error("the launcher gave no usable answer{}", said(.stderr))]
    Launcher {
        /// The last of what it wrote to its standard error.
        stderr: String,
        /// The cause.
        #[source]
        source: WireError,
    },
    /// The launcher gave no answer in time and was ended.
    #[error("the launcher gave no answer in time and was ended")]
    LauncherHung,
    /// The launcher answered something else than it was asked.
    #[error("the launcher answered something else than it was asked")]
    WrongAnswer,
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl EffectError for SandboxError {
    fn code(&self) -> String {
        let code = match self {
            Self::Cage(_) => "sandbox.cage",
            Self::NotStarted { .. } => "sandbox.not_started",
            Self::File(error) => match error {
                FileError::NotFound { .. } => "file.not_found",
                FileError::IsDirectory { .. } => "file.is_directory",
                FileError::NotDirectory { .. } => "file.not_directory",
                FileError::NotRegular { .. } => "file.not_regular",
                FileError::TooLarge { .. } => "file.too_large",
                FileError::NotUtf8 { .. } => "file.not_utf8",
                FileError::OutsideWorkspace { .. } => "file.outside_workspace",
                FileError::Conflict { .. } => "file.conflict",
                FileError::Denied { .. } => "file.denied",
                FileError::Pattern { .. } => "file.pattern",
                FileError::Io { .. } => "file.io",
            },
            Self::FileEnded { .. } => "sandbox.limit",
            Self::Runtime { .. } => "sandbox.runtime",
            Self::TierTooWeak { .. } => "sandbox.tier_too_weak",
            Self::Missing(_) => "sandbox.tier_missing",
            Self::Open { source } => source.code(),
            Self::NoDoor { .. } => "sandbox.no_door",
            Self::NoProgram => "sandbox.no_program",
            Self::NoContent => "sandbox.no_content",
            Self::NetworkNotAllowed => "sandbox.network_not_allowed",
            Self::Launch { .. }
            | Self::Launcher { .. }
            | Self::LauncherHung
            | Self::WrongAnswer => "sandbox.launcher",
        };
        code.to_owned()
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Cage(_) => "run `bailiwick doctor` to see what this machine lacks",
            Self::NotStarted { errno: ENOENT, .. } => {
                "check the program's name; programs of the host outside `/usr` and the toolchains are not visible"
            }
            Self::NotStarted { .. } => {
                "check that it is an executable file with a valid first line"
            }
            Self::File(error) => match error {
                FileError::NotFound { .. } => "list the directory to see what there is",
                FileError::IsDirectory { .. } => "list it instead",
                FileError::Conflict { .. } => {
                    "read the file again and repeat the change on what it holds now"
                }
                FileError::OutsideWorkspace { .. } => "only files below the workspace can be used",
                FileError::TooLarge { .. } | FileError::NotUtf8 { .. } => {
                    "use a command such as `head` or `xxd`"
                }
                FileError::Pattern { .. } => "escape special characters with `\\`",
                FileError::NotDirectory { .. }
                | FileError::NotRegular { .. }
                | FileError::Denied { .. }
                | FileError::Io { .. } => return None,
            },
            Self::FileEnded { .. } => "search or list a smaller directory",
            Self::Runtime { .. } => {
                "run `bailiwick doctor` to see what this machine lacks for the tier"
            }
            Self::NetworkNotAllowed => "fetch dependencies in the set-up phase",
            Self::TierTooWeak { asked, .. } => {
                return Some(format!(
                    "use the tier {asked}, or change the rules that ask for it: `bailiwick policy explain`"
                ));
            }
            Self::Missing(missing) => {
                return Some(format!(
                    "{}; or change the rules that ask for the tier: `bailiwick policy explain`",
                    missing.how_to_get
                ));
            }
            Self::Open { source } => return Some(source.hint()),
            Self::NoDoor { .. } => {
                "use the built-in agent where the rules or `sandbox.tier` ask for this tier; an agent's own program runs in `process` only"
            }
            Self::NoContent | Self::NoProgram => return None,
            Self::Launch { .. }
            | Self::Launcher { .. }
            | Self::LauncherHung
            | Self::WrongAnswer => {
                "check that the program was not replaced while it runs, then restart it"
            }
        };
        Some(hint.to_owned())
    }

    fn possibly_done(&self) -> bool {
        match self {
            Self::Runtime { started, .. } => *started,
            Self::Launcher { .. }
            | Self::LauncherHung
            | Self::WrongAnswer
            | Self::FileEnded { .. } => true,
            Self::Cage(_)
            | Self::NotStarted { .. }
            | Self::File(_)
            | Self::NoContent
            | Self::NoDoor { .. }
            | Self::TierTooWeak { .. }
            | Self::Missing(_)
            | Self::Open { .. }
            | Self::NoProgram
            | Self::NetworkNotAllowed
            | Self::Launch { .. } => false,
        }
    }
}

const ENOENT: i32 = 2;

/// A tier that was asked for and is not to be had here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox tier `{tier}` is not to be had on this machine: {reason}")]
pub struct TierMissing {
    /// Which.
    pub tier: Tier,
    /// Why.
    pub reason: String,
    /// How to get it.
    pub how_to_get: String,
}

/// The platform's own preparation of a directory failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A directory or file cannot be used.
    #[error("`{}` cannot be prepared", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file has another name somewhere else (a hard link, as `git clone --local` makes them).
    /// Giving it to the payload would give it that other file too.
    #[error("`{}` is also another file, which the agent could change through it", path.display())]
    SharedFile {
        /// Which.
        path: PathBuf,
    },
    /// A path must be absolute and a directory.
    #[error("`{}` is not the absolute path of a directory", path.display())]
    NotADirectory {
        /// Which.
        path: PathBuf,
    },
    /// The tier is not there. A weaker one is never taken instead.
    #[error(transparent)]
    Missing(#[from] TierMissing),
}

impl SetupError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "sandbox.tier_missing",
            Self::Directory { .. } | Self::SharedFile { .. } | Self::NotADirectory { .. } => {
                "sandbox.workspace"
            }
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing(missing) => missing.how_to_get.clone(),
            Self::SharedFile { .. } => {
                "copy the workspace instead of linking it (`cp -r`, `git clone --no-hardlinks`)"
                    .to_owned()
            }
            Self::Directory { .. } | Self::NotADirectory { .. } => {
                "name a directory that exists and belongs to you".to_owned()
            }
        }
    }
}
