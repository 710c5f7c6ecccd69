//! Which repositories somebody may look at: what a request is about is found by its address, lists
//! leave out what is about others.
//!
//! The ledger and the stream of all events are not divided: who may read them, by role, reads all.

use bailiwick_engine::Engine;
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::id::{ApprovalId, Person, RepoName};
use bailiwick_model::identity::RepoRight;
use bailiwick_model::verdict::Denial;

use crate::operations;

/// Refuses a request about a repository that a person may not look at. `params` are the named parts
/// of its address.
pub(crate) async fn look(
    engine: &Engine,
    person: &Person,
    params: &[(String, String)],
) -> Result<(), Denial> {
    for (name, value) in params {
        if let Some(repo) = repo_of(engine, name, value).await {
            engine.parts().warden.check_right(person, &repo, RepoRight::Read).await?;
        }
    }
    Ok(())
}

/// The repository that a part of an address is about. What is not there is about none: the handler
/// says that it is not there.
async fn repo_of(engine: &Engine, name: &str, value: &str) -> Option<RepoName> {
    match name {
        "repo" => RepoName::parse(value.strip_suffix(".git").unwrap_or(value)).ok(),
        "task" => {
            let id = operations::find_task(engine, value).await.ok()?;
            Some(engine.state(id).await.ok()?.task.repo)
        }
        "approval" => {
            let id: ApprovalId = value.parse().ok()?;
            Some(engine.approval(id).ok()?.0.request.repo)
        }
        "seq" => {
            let entry = engine.parts().store.entry(value.parse().ok()?).await.ok()??;
            Some(engine.state(entry.event.task()?).await.ok()?.task.repo)
        }
        _ => None,
    }
}

/// Whether a person may look at a repository, for lists.
pub(crate) fn reads<'a>(engine: &'a Engine, person: &'a Person) -> impl Fn(&RepoName) -> bool + 'a {
    move |repo| {
        engine.parts().store.people(|people| {
            !people.damaged && people.directory.repo_right(person, repo) >= RepoRight::Read
        })
    }
}

/// Whether a person may look at what happened to a request for approval.
pub(crate) fn reads_approval(engine: &Engine, person: &Person, entry: &Entry) -> bool {
    let Event::Fact(fact) = &entry.event else { return false };
    let id = match fact.as_ref() {
        Fact::ApprovalAsked(request) => return reads(engine, person)(&request.repo),
        Fact::ApprovalAnswered(answer) => answer.approval,
        Fact::ApprovalUsed(used) => used.approval,
        Fact::ApprovalVoided(voided) => voided.approval,
        Fact::ApprovalEscalated(escalated) => escalated.approval,
        _ => return false,
    };
    engine.approval(id).is_ok_and(|(state, _)| reads(engine, person)(&state.request.repo))
}
