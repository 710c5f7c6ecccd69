//! What a forge holds.

use bailiwick_model::Timestamp;
use bailiwick_model::action::{MergeMethod, ReviewVerdict};
use bailiwick_model::evidence::GateState;
use bailiwick_model::id::{BranchName, Oid, Person, RepoName};
use bailiwick_model::outcome::{Outcome, Recorded};
use serde::{Deserialize, Serialize};

/// A repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its name.
    pub name: RepoName,
    /// The branch that a clone gets.
    pub default_branch: BranchName,
    /// The commit of the default branch.
    pub head: Oid,
    /// Branches that only move by merging a pull request.
    pub protected_branches: Vec<BranchName>,
    /// Where it was imported from.
    pub source: String,
}

impl Recorded for Repository {
    fn outcome(&self) -> Outcome {
        Outcome::Git { oid: Some(self.head.clone()) }
    }
}

/// A branch has been moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Where it is now; none when it was deleted.
    pub commit: Option<Oid>,
}

impl Recorded for Pushed {
    fn outcome(&self) -> Outcome {
        Outcome::Git { oid: self.commit.clone() }
    }
}

/// Where a pull request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PullRequestState {
    /// It waits for review or merge.
    Open,
    /// It has been merged.
    Merged {
        /// The commit that the base got.
        commit: Oid,
        /// How.
        method: MergeMethod,
        /// When.
        merged_at: Timestamp,
    },
    /// It has been given up.
    Closed {
        /// When.
        closed_at: Timestamp,
    },
}

impl PullRequestState {
    /// `open`, `merged` or `closed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged { .. } => "merged",
            Self::Closed { .. } => "closed",
        }
    }
}

/// A review of a pull request, bound to the commit that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who.
    pub reviewer: Person,
    /// What they say.
    pub verdict: ReviewVerdict,
    /// The commit that was shown. On any other commit the review says nothing.
    pub head: Oid,
    /// In their words.
    pub body: String,
    /// Whether the requester is the reviewer.
    pub own_request: bool,
    /// Whether a simulated approver answered.
    pub simulated: bool,
    /// When.
    pub submitted_at: Timestamp,
}

/// What a gate says of a commit, shown beside the pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The gate.
    pub name: String,
    /// The commit.
    pub head: Oid,
    /// What it says.
    pub state: GateState,
    /// In a sentence.
    pub summary: String,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// The repository.
    pub repo: RepoName,
    /// Its number, counted from 1 in each repository.
    pub number: u64,
    /// The branch with the change.
    pub head: BranchName,
    /// The commit of that branch; once merged or closed, the last one.
    pub head_commit: Oid,
    /// The branch it is for.
    pub base: BranchName,
    /// The title.
    pub title: String,
    /// The description.
    pub body: String,
    /// On whose behalf.
    pub author: Person,
    /// Where it stands.
    #[serde(flatten)]
    pub state: PullRequestState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Reviews, oldest first, those of earlier commits included.
    pub reviews: Vec<Review>,
    /// What the gates say, those of earlier commits included.
    pub checks: Vec<Check>,
}

impl PullRequest {
    /// The last review of each reviewer that counts: those of the commit as it is now.
    pub fn reviews_in_force(&self) -> Vec<&Review> {
        let mut last: Vec<&Review> = Vec::new();
        for review in self.reviews.iter().filter(|review| review.head == self.head_commit) {
            last.retain(|other| other.reviewer != review.reviewer);
            last.push(review);
        }
        last
    }

    /// Who has approved the commit as it is now.
    pub fn approvers(&self) -> Vec<&Person> {
        let in_force = self.reviews_in_force().into_iter();
        in_force
            .filter(|review| review.verdict == ReviewVerdict::Approve)
            .map(|review| &review.reviewer)
            .collect()
    }
}

impl Recorded for PullRequest {
    fn outcome(&self) -> Outcome {
        Outcome::PullRequest { number: self.number }
    }
}

/// A pull request has been merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The pull request.
    pub number: u64,
    /// The commit that the base got.
    pub commit: Oid,
}

impl Recorded for Merged {
    fn outcome(&self) -> Outcome {
        Outcome::Git { oid: Some(self.commit.clone()) }
    }
}
