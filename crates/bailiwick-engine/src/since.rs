//! What changed in a pull request since somebody last looked at it.

use bailiwick_forge::Forge as _;
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::id::{Oid, Person, RepoName};
use bailiwick_model::workflow::TaskState;
use bailiwick_store::Query;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::view::{FileView, ReviewNote, file_view};

/// The difference between the commit that somebody reviewed and the present one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SinceView {
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// The review that it is since.
    pub review: ReviewNote,
    /// The commit that was shown then.
    pub from: Oid,
    /// The present one.
    pub to: Oid,
    /// The commit that `from` was made on.
    pub base_then: Option<Oid>,
    /// The commit that `to` is made on. When it is another, what came with it is shown too.
    pub base_now: Option<Oid>,
    /// The files that differ.
    pub files: Vec<FileView>,
}

impl Engine {
    /// What changed since `person` last reviewed the pull request.
    pub async fn since_review(
        &self,
        repo: &RepoName,
        number: u64,
        person: &Person,
    ) -> Result<SinceView, EngineError> {
        let (state, _) = self.change_owner(repo, number).await?;
        let reviews = self.reviews(&state, number).await?;
        let review = reviews.into_iter().rev().find(|review| review.reviewer == *person);
        let review = review.ok_or_else(|| EngineError::State {
            code: "review.none",
            message: format!("`{person}` has not reviewed pull request #{number} yet"),
            hint: "look at the whole of it".to_owned(),
        })?;
        let change = self.parts().forge.pull_request(repo, number).await?;
        let (from, to) = (review.head.clone(), change.head_commit);
        let attribution = self.parts().forge.attribution(
            repo,
            from.clone(),
            vec![(None, to.clone())],
            from.clone(),
            to.clone(),
        );
        let files = attribution.await?.files.iter().map(file_view).collect();
        let base_then = self.candidate_base(&state, &from).await?;
        let base_now = self.candidate_base(&state, &to).await?;
        Ok(SinceView {
            repo: repo.clone(),
            number,
            title: change.title,
            review,
            from,
            to,
            base_then,
            base_now,
            files,
        })
    }

    /// What a candidate of a task was made on.
    async fn candidate_base(
        &self,
        state: &TaskState,
        commit: &Oid,
    ) -> Result<Option<Oid>, EngineError> {
        let query = Query { task: Some(state.id()), ..Query::default() };
        let entries = self.parts().store.entries(query.named(&["candidate_committed"])).await?;
        Ok(entries.into_iter().rev().find_map(|entry| match entry.event {
            Event::Fact(fact) => match *fact {
                Fact::CandidateCommitted { candidate, .. } if candidate.commit == *commit => {
                    Some(candidate.base)
                }
                _ => None,
            },
            Event::Decided(_) | Event::Finished(_) => None,
        }))
    }
}
