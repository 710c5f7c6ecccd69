//! What people say while work is under way: remarks on lines of a change, and messages to a run.

use serde::{Deserialize, Serialize};

use crate::id::{CommentId, MessageId, Oid, Person};

/// Which side of a difference a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Before the change.
    Old,
    /// After it.
    #[default]
    New,
}

impl Side {
    /// The side's name as it stands in events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// A remark on a line of a change, or an answer to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineComment {
    /// Its id.
    pub id: CommentId,
    /// Who.
    pub by: Person,
    /// The commit that was shown.
    pub head: Oid,
    /// The file.
    pub path: String,
    /// The side of the difference.
    pub side: Side,
    /// The line, counted from 1.
    pub line: u32,
    /// The line and those around it, as the platform read them: not what the sender says they are.
    pub quote: String,
    /// In their words.
    pub text: String,
    /// The remark that it answers; none for one that begins a thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<CommentId>,
}

/// Where a thread stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// Something is to be done: it goes to the implementor with the next request for changes.
    Open,
    /// Nothing more is to be done.
    Resolved,
}

impl ThreadState {
    /// The state's name as it stands in events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

/// What a person says to an agent at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Who.
    pub by: Person,
    /// In their words.
    pub text: String,
}
