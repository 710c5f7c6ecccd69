//! What became of what was merged: later commits that take it back are recorded, so that the risk
//! score can be held against them.

use std::collections::BTreeMap;

use bailiwick_model::calibration::{Calibration, MergedChange, merged_changes};
use bailiwick_model::event::Fact;
use bailiwick_model::id::{Oid, RepoName};
use bailiwick_store::Query;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::judge::blocking;

/// The most reverting commits of a branch that are looked at.
const MOST_REVERTS: u32 = 1_000;

impl Engine {
    /// Records which merged changes of a repository its protected branch takes back by now. Each is
    /// recorded once.
    pub async fn note_reverts(&self, repo: &RepoName) -> Result<(), EngineError> {
        let open: Vec<MergedChange> = self
            .merged_changes()
            .await?
            .into_iter()
            .filter(|change| change.reverted_at.is_none())
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let forge = &self.parts().forge;
        let branch = forge.protected_branch(repo).await?;
        let head = forge.head(repo, &branch).await?;
        let git = forge.git(repo)?;
        let reverts =
            blocking("reading what was taken back", move || git.reverts(&head, MOST_REVERTS))
                .await?
                .map_err(|error| EngineError::machine("reading what was taken back", &error))?;
        let by: BTreeMap<Oid, Oid> =
            reverts.into_iter().map(|(revert, reverted)| (reverted, revert)).collect();
        let facts = open
            .into_iter()
            .filter_map(|change| {
                let (commit, by) = change
                    .commits
                    .iter()
                    .find_map(|commit| Some((commit.clone(), by.get(commit)?.clone())))?;
                Some(Fact::Reverted {
                    task: change.task,
                    subtask: change.subtask,
                    number: change.number,
                    commit,
                    by,
                })
            })
            .collect();
        self.record(facts).await
    }

    /// What all merges so far say about the risk score.
    pub async fn calibration(&self) -> Result<Calibration, EngineError> {
        Ok(Calibration::of(&self.merged_changes().await?))
    }

    async fn merged_changes(&self) -> Result<Vec<MergedChange>, EngineError> {
        let names = ["risk_scored", "change_published", "merged", "reverted"];
        let entries = self.parts().store.entries(Query::default().named(&names)).await?;
        Ok(merged_changes(&entries))
    }
}
