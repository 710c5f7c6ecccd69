//! What a verification found.

use std::fmt;

use serde::Serialize;

use crate::hash::Hash;

/// How many problems a report lists at most; verification stops when there are more.
pub const MAX_PROBLEMS: usize = 1000;

/// On what the result rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trusted {
    /// Nothing from outside: the files agree with each other, and somebody who can write them all
    /// could have made them so.
    SelfConsistentOnly,
    /// The trusted key signed the checkpoint.
    Key,
    /// The ledger extends the trusted older checkpoint, which the ledger's own key signed.
    Checkpoint,
    /// Both.
    KeyAndCheckpoint,
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfConsistentOnly => {
                "self-consistent only: neither a trusted key nor an older checkpoint was given"
            }
            Self::Key => "signed by the trusted key",
            Self::Checkpoint => "extends the trusted older checkpoint",
            Self::KeyAndCheckpoint => {
                "signed by the trusted key and extends the trusted older checkpoint"
            }
        })
    }
}

/// Something in the ledger that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, relative to the ledger.
    pub file: String,
    /// The entry, where the problem is about one.
    pub entry: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "{}: entry {entry}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// The result of [`verify`](super::verify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Report {
    /// How many entries the checkpoint covers, or the files hold when it does not verify.
    pub entries: u64,
    /// The signed root, or the recomputed one when the checkpoint does not verify.
    pub root: Hash,
    /// On what the result rests, if there are no problems.
    pub trusted: Trusted,
    /// The verifier key that the checkpoint was checked with, where there is one.
    pub key: Option<String>,
    /// What is wrong, in the order in which it was found; empty for a sound ledger.
    pub problems: Vec<Problem>,
    /// Whether there were more than [`MAX_PROBLEMS`], so that not everything was looked at.
    pub stopped_early: bool,
}

impl Report {
    /// Says whether there is no problem; what that is worth, [`Report::trusted`] says.
    pub const fn ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Problems while they are collected.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    stopped_early: bool,
}

impl Problems {
    pub(super) fn add(
        &mut self,
        file: impl Into<String>,
        entry: Option<u64>,
        what: impl Into<String>,
    ) {
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(Problem { file: file.into(), entry, what: what.into() });
        } else {
            self.stopped_early = true;
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.found.len()
    }

    pub(super) const fn full(&self) -> bool {
        self.stopped_early
    }

    pub(super) fn into_report(
        self,
        entries: u64,
        root: Hash,
        trusted: Trusted,
        key: Option<String>,
    ) -> Report {
        let Self { found: problems, stopped_early } = self;
        Report { entries, root, trusted, key, problems, stopped_early }
    }
}
