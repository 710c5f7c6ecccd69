//! What the launcher answers.

use serde::{Deserialize, Serialize};

/// A limit of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Wall-clock time.
    WallClock,
    /// Processor time.
    CpuTime,
    /// Memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// The size of a file.
    FileSize,
    /// How much was written to the output streams.
    Output,
    /// By how much workspace and scratch directory grew.
    Disk,
}

impl Limit {
    /// The limit's name in records and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::WallClock => "wall_clock",
            Self::CpuTime => "cpu_time",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::FileSize => "file_size",
            Self::Output => "output",
            Self::Disk => "disk",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ended {
    /// It exited.
    Exit {
        /// With this code.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Which.
        signal: i32,
    },
    /// A limit ended it.
    Limit {
        /// Which.
        limit: Limit,
    },
    /// Whoever started the launcher went away or gave the run up.
    Abandoned,
}

/// What is kept of an output stream: its beginning and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The first bytes.
    #[serde(skip)]
    pub head: Vec<u8>,
    /// The last bytes, when they are not part of `head`.
    #[serde(skip)]
    pub tail: Vec<u8>,
    /// How many bytes were written in all.
    pub total_bytes: u64,
    /// SHA-256 of all of them, hexadecimal.
    pub sha256: String,
}

impl Captured {
    /// How many bytes between `head` and `tail` were not kept.
    pub fn dropped_bytes(&self) -> u64 {
        let kept = self.head.len().saturating_add(self.tail.len());
        self.total_bytes.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX))
    }
}

/// A guard or limit that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub name: String,
    /// With what: a version, the namespaces, the controllers.
    pub detail: String,
}

/// A second-layer guard or limit that this machine does not let the launcher apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotApplied {
    /// Which.
    pub name: String,
    /// Why, and what stands in for it.
    pub reason: String,
}

/// The cage could not be built, so nothing was run in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the cage could not be built, at {step}: {detail}")]
pub struct CageError {
    /// What was being done.
    pub step: String,
    /// What went wrong.
    pub detail: String,
    /// The system's error number, when it was a system call.
    pub errno: Option<i32>,
}

impl CageError {
    pub(crate) fn new(step: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { step: step.into(), detail: detail.into(), errno: None }
    }

    pub(crate) fn at(step: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self {
            step: step.into(),
            detail: error.to_string(),
            errno: error.raw_os_error(),
        }
    }
}

/// Why a file operation did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum FileError {
    /// There is no such file.
    #[error("there is no file `{path}`")]
    NotFound {
        /// The path as given.
        path: String,
    },
    /// It is a directory.
    #[error("`{path}` is a directory")]
    IsDirectory {
        /// The path as given.
        path: String,
    },
    /// It, or one of its parents, is not a directory.
    #[error("`{path}` is not a directory")]
    NotDirectory {
        /// The path as given.
        path: String,
    },
    /// It is neither a file nor a directory: a socket, a pipe, a device.
    #[error("`{path}` is neither a file nor a directory")]
    NotRegular {
        /// The path as given.
        path: String,
    },
    /// It is larger than what can be handled.
    #[error("`{path}` has {bytes} bytes, more than the {max} that can be handled")]
    TooLarge {
        /// The path as given.
        path: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        max: u64,
    },
    /// It is not UTF-8 text.
    #[error("`{path}` is not UTF-8 text")]
    NotUtf8 {
        /// The path as given.
        path: String,
    },
    /// It lies outside the workspace, or a symbolic link on the way leads out.
    #[error("`{path}` leads out of the workspace")]
    OutsideWorkspace {
        /// The path as given.
        path: String,
    },
    /// The file is not as the writer expected.
    #[error("`{path}` is not as expected: {detail}")]
    Conflict {
        /// The path as given.
        path: String,
        /// What is different.
        detail: String,
    },
    /// File permissions or a read-only workspace stand against it.
    #[error("access to `{path}` is denied: {detail}")]
    Denied {
        /// The path as given.
        path: String,
        /// The system's words.
        detail: String,
    },
    /// The expression cannot be used.
    #[error("the pattern `{pattern}` cannot be used: {detail}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// Why.
        detail: String,
    },
    /// Anything else, such as a full disk.
    #[error("`{path}` cannot be accessed: {detail}")]
    Io {
        /// The path as given.
        path: String,
        /// The system's words.
        detail: String,
        /// The system's error number.
        errno: Option<i32>,
    },
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The path relative to the workspace; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// `file`, `directory`, `symlink` or `other`.
    pub kind: String,
    /// The size of a file.
    pub bytes: u64,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The file, relative to the workspace.
    pub path: String,
    /// The line's number, counted from 1.
    pub line: u64,
    /// The line, cut after 400 bytes.
    pub text: String,
}

/// What a file operation gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Of [`crate::Operation::Read`].
    Text {
        /// The lines asked for.
        text: String,
        /// How many lines the file has.
        total_lines: u64,
        /// How many bytes the file has.
        total_bytes: u64,
        /// SHA-256 of the whole file, hexadecimal.
        sha256: String,
        /// Whether lines asked for were left out because of the byte limit.
        cut: bool,
    },
    /// Of [`crate::Operation::List`].
    Entries {
        /// The entries, sorted by path.
        entries: Vec<Entry>,
        /// Whether there are more.
        cut: bool,
    },
    /// Of [`crate::Operation::Search`].
    Matches {
        /// The matching lines, by path and line.
        matches: Vec<Match>,
        /// Whether there are more.
        cut: bool,
        /// How many files were looked at.
        files: u64,
        /// How many were left out: too large, no UTF-8 text, or unreadable.
        skipped: u64,
    },
    /// Of [`crate::Operation::Write`].
    Written {
        /// SHA-256 before; none when there was no file.
        before_sha256: Option<String>,
        /// SHA-256 after.
        after_sha256: String,
        /// How many bytes it has now.
        bytes: u64,
    },
}

/// What the launcher answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// A program was run.
    Ran {
        /// How it ended.
        ended: Ended,
        /// Limits that were reached on the way, whether or not they ended it.
        reached: Vec<Limit>,
        /// Its standard output.
        stdout: Captured,
        /// Its standard error.
        stderr: Captured,
        /// From the start of the payload to the end of the last process, in milliseconds.
        duration_ms: u64,
        /// Processor time of the cage in milliseconds, where it is measured.
        cpu_ms: Option<u64>,
        /// The most memory used at once, where it is measured.
        peak_memory_bytes: Option<u64>,
        /// What was in force.
        applied: Vec<Applied>,
        /// What could not be applied here.
        not_applied: Vec<NotApplied>,
    },
    /// The cage stood, but the program could not be started in it.
    NotStarted {
        /// The program.
        program: String,
        /// The system's words.
        detail: String,
        /// The system's error number.
        errno: i32,
    },
    /// A file operation was done, or refused.
    File {
        /// What came of it.
        result: Result<Answer, FileError>,
        /// What was in force.
        applied: Vec<Applied>,
        /// What could not be applied here.
        not_applied: Vec<NotApplied>,
    },
    /// A file operation was ended before it was finished, by this.
    FileEnded {
        /// What ended it.
        ended: Ended,
    },
    /// The cage could not be built; nothing was done.
    Refused(CageError),
}
