//! The tools that a model can be offered, and how they are described to it.

use bailiwick_model::chat::ToolSpec;
use bailiwick_model::subject::Role;

use crate::arguments::{
    EditArguments, ListArguments, ReadArguments, RunArguments, SearchArguments, WriteArguments,
};
use crate::schema::compact_schema;

/// A tool of the built-in loop that works in the sandbox. How a session ends is no tool of this
/// kind but its [`Submission`](crate::Submission).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// Reads lines of a file.
    Read,
    /// Lists the names below a directory.
    List,
    /// Searches below a directory.
    Search,
    /// Replaces one exact piece of text in a file.
    Edit,
    /// Writes a whole file.
    Write,
    /// Runs a shell command.
    Run,
}

impl Tool {
    /// All of them: what an implementor has.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::List, Self::Search, Self::Edit, Self::Write, Self::Run];

    /// The tools that suit a role. What it may do with them is policy's business.
    pub fn for_role(role: Role) -> &'static [Self] {
        match role {
            Role::Implementor => &Self::ALL,
            Role::Verifier => &[Self::Read, Self::List, Self::Search, Self::Run],
            Role::Coordinator | Role::Reviewer => &[Self::Read, Self::List, Self::Search],
            Role::Setup | Role::Gate | Role::Publisher | Role::Human => &[],
        }
    }

    /// The name that a model calls it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Search => "search",
            Self::Edit => "edit",
            Self::Write => "write",
            Self::Run => "run",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// How it is described to a model.
    pub fn spec(self) -> ToolSpec {
        let (description, input_schema) = match self {
            Self::Read => (
                "Read a text file of the workspace. Answers its lines with their numbers; the numbers are not part of the file.",
                compact_schema::<ReadArguments>(),
            ),
            Self::List => (
                "List the files and directories below a directory of the workspace.",
                compact_schema::<ListArguments>(),
            ),
            Self::Search => (
                "Search the text files below a directory for lines that match a regular expression.",
                compact_schema::<SearchArguments>(),
            ),
            Self::Edit => (
                "Replace one piece of text in a file by another. `old` must be exact, white space included, and occur exactly once in the file.",
                compact_schema::<EditArguments>(),
            ),
            Self::Write => (
                "Write a whole file; an existing one is replaced.",
                compact_schema::<WriteArguments>(),
            ),
            Self::Run => (
                "Run a command with /bin/sh at the root of the workspace, in a sandbox without network. Answers how it ended and what it printed.",
                compact_schema::<RunArguments>(),
            ),
        };
        ToolSpec { name: self.name().to_owned(), description: description.to_owned(), input_schema }
    }
}
