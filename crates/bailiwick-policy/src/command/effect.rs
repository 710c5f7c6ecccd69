//! Effects one by one, for those who show them.

use std::fmt;

use super::Effects;

/// One thing that a command would do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// A program is started.
    Runs(String),
    /// A tool's sub-command is started.
    Operates(String),
    /// Code of the workspace is run.
    RunsWorkspaceCode(String),
    /// Code that stands in the command itself is run by an interpreter.
    RunsInlineCode,
    /// A file or directory is written.
    Writes(String),
    /// A file or directory is written if another name turns out to be a directory.
    MayWrite(String),
    /// A file or directory is removed.
    Deletes(String),
    /// A file or directory is given other permissions or another owner.
    ChangesPermissions(String),
    /// A file is read.
    Reads(String),
    /// A file that holds secrets by its name is given to a program.
    ReadsSecrets(String),
    /// A connection is made, or could be.
    Connects(String),
    /// Other rights are asked for.
    AsksForRights,
    /// What happens cannot be told from the text, and why.
    Undecidable(String),
}

impl Effect {
    /// The kind in one word, and what it is done to.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Runs(what) => ("runs", what),
            Self::Operates(what) => ("operates", what),
            Self::RunsWorkspaceCode(what) => ("runs-workspace-code", what),
            Self::RunsInlineCode => ("runs-inline-code", ""),
            Self::Writes(what) => ("writes", what),
            Self::MayWrite(what) => ("may-write", what),
            Self::Deletes(what) => ("deletes", what),
            Self::ChangesPermissions(what) => ("changes-permissions", what),
            Self::Reads(what) => ("reads", what),
            Self::ReadsSecrets(what) => ("reads-secrets", what),
            Self::Connects(what) => ("connects", what),
            Self::AsksForRights => ("asks-for-rights", ""),
            Self::Undecidable(what) => ("undecidable", what),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, what) = self.parts();
        write!(f, "{kind}")?;
        if what.is_empty() { Ok(()) } else { write!(f, " {what}") }
    }
}

impl Effects {
    /// All of them, in the order in which a reader wants to know.
    pub fn list(&self) -> Vec<Effect> {
        let each = |set: &std::collections::BTreeSet<String>, make: fn(String) -> Effect| {
            set.iter().cloned().map(make).collect::<Vec<_>>()
        };
        [
            each(&self.undecidable, Effect::Undecidable),
            if self.privileged { vec![Effect::AsksForRights] } else { vec![] },
            each(&self.connects, Effect::Connects),
            each(&self.secrets, Effect::ReadsSecrets),
            each(&self.deletes, Effect::Deletes),
            each(&self.permissions, Effect::ChangesPermissions),
            each(&self.writes, Effect::Writes),
            each(&self.may_write, Effect::MayWrite),
            each(&self.reads, Effect::Reads),
            if self.inline_code { vec![Effect::RunsInlineCode] } else { vec![] },
            each(&self.scripts, Effect::RunsWorkspaceCode),
            each(&self.operations, Effect::Operates),
            each(&self.programs, Effect::Runs),
        ]
        .concat()
    }
}
