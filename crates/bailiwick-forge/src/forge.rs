//! What Bailiwick needs from any forge.

use std::fmt;

use async_trait::async_trait;
use bailiwick_model::action::{
    BranchPush, PullRequestMerge, PullRequestOpen, RepoRead, ReviewSubmit,
};
use bailiwick_model::id::{BranchName, Oid, RepoName};
use bailiwick_warden::Permit;

use crate::error::ForgeError;
use crate::types::{Merged, PullRequest, Pushed, Repository};

/// A forge. Effects take their permit by value and every operand from it, and may be repeated.
///
/// None of the calls is safe to cancel in the sense that nothing has happened: a cancelled effect
/// may still take place, and is found by repeating it.
#[async_trait]
pub trait Forge: fmt::Debug + Send + Sync {
    /// Makes a repository known, from the source in the permit; one that is known already is
    /// brought up to date by fast-forward.
    async fn import(&self, permit: Permit<RepoRead>) -> Result<Repository, ForgeError>;

    /// A repository.
    async fn repository(&self, repo: &RepoName) -> Result<Repository, ForgeError>;

    /// Every repository, by name.
    async fn repositories(&self) -> Result<Vec<Repository>, ForgeError>;

    /// Where a branch is.
    async fn branch(&self, repo: &RepoName, branch: &BranchName)
    -> Result<Option<Oid>, ForgeError>;

    /// Moves, makes or deletes a branch, if it is where the permit expects it.
    async fn push(&self, permit: Permit<BranchPush>) -> Result<Pushed, ForgeError>;

    /// Opens a pull request. If one is open for the two branches, it is brought up to date; if one
    /// was merged or closed at this very commit, it is given back as it is.
    async fn open_pull_request(
        &self,
        permit: Permit<PullRequestOpen>,
    ) -> Result<PullRequest, ForgeError>;

    /// Adds a review to the commit that was shown. A rejection closes the pull request.
    async fn submit_review(&self, permit: Permit<ReviewSubmit>) -> Result<PullRequest, ForgeError>;

    /// Merges a pull request, if head and base are where the permit expects them, every approver
    /// in the permit has approved this very commit, and nobody wants changes on it.
    async fn merge(&self, permit: Permit<PullRequestMerge>) -> Result<Merged, ForgeError>;

    /// A pull request as it is now.
    async fn pull_request(&self, repo: &RepoName, number: u64) -> Result<PullRequest, ForgeError>;

    /// Every pull request of a repository, by number.
    async fn pull_requests(&self, repo: &RepoName) -> Result<Vec<PullRequest>, ForgeError>;
}
