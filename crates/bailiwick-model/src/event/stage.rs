//! How far work is, and how its parts end.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;

/// One of the seven stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The task was accepted.
    Intake,
    /// The coordinator plans.
    Orchestration,
    /// Implementors work.
    Execution,
    /// Gates, verifier and reviewer judge.
    Review,
    /// The publisher pushes and opens the pull request.
    PullRequest,
    /// A person reviews.
    HumanReview,
    /// The platform merges.
    Merge,
}

impl Stage {
    /// All seven, in order.
    pub const ALL: [Self; 7] = [
        Self::Intake,
        Self::Orchestration,
        Self::Execution,
        Self::Review,
        Self::PullRequest,
        Self::HumanReview,
        Self::Merge,
    ];

    /// The stage's name as it stands in events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Orchestration => "orchestration",
            Self::Execution => "execution",
            Self::Review => "review",
            Self::PullRequest => "pull_request",
            Self::HumanReview => "human_review",
            Self::Merge => "merge",
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEnd {
    /// Every subtask is merged.
    Merged,
    /// A person gave it up.
    Rejected,
    /// It was cancelled.
    Cancelled,
    /// It could not go on; `task retry` takes it up again.
    Failed,
}

/// What a verifier says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// It does what the subtask asks.
    Accepted,
    /// It does not; the findings say why.
    Refused,
    /// The verifier could not tell. Blocks like a refusal.
    Inconclusive,
}

/// How an agent run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum SessionEnd {
    /// The agent said that it is finished.
    Finished {
        /// Its last words, or what it submitted, as JSON.
        result: Payload,
    },
    /// It was stopped.
    Stopped {
        /// A stable code such as `session.too_many_steps` or `model.unreachable`.
        code: String,
        /// What happened.
        reason: String,
        /// What to do next.
        hint: String,
    },
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageEnd {
    /// What the stage is for was reached.
    Done,
    /// It was not.
    Failed,
}
