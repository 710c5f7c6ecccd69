//! Stage 3: an implementor works, and its work becomes a commit.

use bailiwick_agent::prompts;
use bailiwick_agent::{FinishSubmission, Submission, Tool};
use bailiwick_forge::NewChangeCommit;
use bailiwick_model::event::{Candidate, Fact, Stage, StageEnd};
use bailiwick_model::id::{Oid, SubtaskKey, TaskId};
use bailiwick_model::subject::Role;
use bailiwick_model::task::Task;
use bailiwick_model::text::is_hidden;
use bailiwick_model::workflow::{Prepared, SubtaskState};
use bailiwick_sandbox::{Access, NetworkRule};
use jiff::Timestamp;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::session::Run;
use crate::workspace::Spot;

impl Engine {
    /// Lets an implementor work in its own sandbox on the pinned base, or on its last candidate
    /// when that is to be mended.
    pub(crate) async fn implement(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let task = &state.task;
        let Some(prepared) = subtask.prepared.clone() else { return Ok(()) };
        self.record(Self::enter(id, Some(&subtask), Stage::Execution)).await?;
        // The agent's first steps leave the time for it; the first gates would wait for it.
        drop(tokio::task::spawn_blocking(bailiwick_gates::make_ready));
        let earlier = subtask.open_session(Role::Implementor, None).cloned();
        let done = earlier.as_ref().and_then(|run| run.end.clone().map(|end| (run.clone(), end)));
        let (tree, end) = match done {
            Some((run, end)) => (run.tree, end),
            None => {
                let subject = actor::subject(task, Some(&subtask), Role::Setup);
                let context = actor::context(task, Some(&subtask));
                let start = match earlier.as_ref().and_then(|run| run.started_from.clone()) {
                    Some(tree) => tree,
                    None => start_of(&subtask, &prepared),
                };
                let agent = self.agent(&task.agent)?;
                let spot = Spot {
                    task: id,
                    subtask: Some(key.clone()),
                    purpose: "implement".to_owned(),
                    network: NetworkRule::Never,
                    access: Access::ReadWrite,
                    programs: agent.mounts(),
                    caches_of: None,
                    output_bytes: None,
                };
                let place = self.place(task, &subject, &context, &spot, &start).await?;
                self.install(task, &subtask, &start, std::sync::Arc::clone(&place.sandbox)).await?;
                let rules = self.repository_rules(task).await?;
                let (of, findings) = (&subtask.subtask, &subtask.findings);
                let opening = if agent.is_program() {
                    prompts::program_opening(task, of, &rules, findings)
                } else {
                    prompts::implementor_opening(task, of, &rules, findings)
                };
                let started = place.tree.tree().clone();
                let (session, end) = self
                    .run_agent(Run {
                        task,
                        subtask: Some(&subtask),
                        role: Role::Implementor,
                        opening,
                        tools: Tool::for_role(Role::Implementor).to_vec(),
                        submission: Submission::finish(),
                        earlier,
                        place: &place,
                        tree: started,
                    })
                    .await?;
                let (_, now) = self.subtask(id, key).await?;
                let run = now.sessions.into_iter().find(|run| run.id == session);
                (run.and_then(|run| run.tree), end)
            }
        };
        let finish: FinishSubmission = self.submitted(&end).await?;
        let tree = tree.ok_or_else(|| EngineError::State {
            code: "session.no_tree",
            message: "the implementor's run has no recorded tree".to_owned(),
            hint: format!("`bailiwick task retry {id}`"),
        })?;
        self.commit_candidate(task, &subtask, &prepared, tree, &finish.summary).await
    }

    /// Makes the signed commit. An implementor that changed nothing has not done the work.
    async fn commit_candidate(
        &self,
        task: &Task,
        subtask: &SubtaskState,
        prepared: &Prepared,
        tree: Oid,
        summary: &str,
    ) -> Result<(), EngineError> {
        let forge = &self.parts().forge;
        if forge.tree_of(&task.repo, &prepared.base).await? == tree {
            return Err(EngineError::State {
                code: "session.nothing_changed",
                message: "the implementor finished without changing anything".to_owned(),
                hint: "say more exactly what is wanted".to_owned(),
            });
        }
        let commit = NewChangeCommit {
            repo: task.repo.clone(),
            tree: tree.clone(),
            parent: prepared.base.clone(),
            message: message(subtask, summary),
            trailers: trailers(task, subtask),
            author: task.requester.clone(),
            at: Timestamp::now(),
        };
        let subject = actor::subject(task, Some(subtask), Role::Publisher);
        let context = actor::context(task, Some(subtask));
        let commit = self
            .parts()
            .warden
            .perform(&subject, &context, commit.signing(), |permit| forge.commit(permit, commit))
            .await?
            .oid;
        let mut facts = vec![Fact::CandidateCommitted {
            task: task.id,
            subtask: subtask.subtask.key.clone(),
            candidate: Candidate {
                commit,
                tree,
                base: prepared.base.clone(),
                base_branch: prepared.base_branch.clone(),
                round: subtask.round,
            },
        }];
        let (_, now) = self.subtask(task.id, &subtask.subtask.key).await?;
        facts.extend(Self::leave(task.id, &now, Stage::Execution, StageEnd::Done));
        self.record(facts).await
    }
}

/// The last candidate if it stands on the base of now, the base itself otherwise.
fn start_of(subtask: &SubtaskState, prepared: &Prepared) -> Oid {
    match &subtask.candidate {
        Some(candidate) if candidate.base == prepared.base => candidate.tree.clone(),
        _ => prepared.base.clone(),
    }
}

/// A subtask's title, which an agent wrote, as a line in which everything shows.
pub(crate) fn title(subtask: &SubtaskState) -> String {
    let shown = subtask.subtask.title.chars().filter(|c| *c != '\n' && !is_hidden(*c));
    shown.take(100).collect()
}

/// The agent's words without what a reader would not see: they become a commit's message.
fn message(subtask: &SubtaskState, summary: &str) -> String {
    let title = title(subtask);
    let body: String = summary.chars().filter(|c| !is_hidden(*c)).take(4_000).collect();
    format!("{title}\n\n{}\n", body.trim())
}

/// What a commit says of where it comes from, so that it can be read without the platform.
pub(crate) fn trailers(task: &Task, subtask: &SubtaskState) -> Vec<(String, String)> {
    let mut trailers = vec![
        ("Bailiwick-Task".to_owned(), task.id.to_string()),
        ("Bailiwick-Subtask".to_owned(), subtask.subtask.key.to_string()),
        ("Bailiwick-Agent".to_owned(), task.agent.clone()),
        ("Bailiwick-Model".to_owned(), format!("{}/{}", task.provider, task.model)),
    ];
    if task.scripted {
        trailers
            .push(("Bailiwick-Scripted".to_owned(), "the model answered from a file".to_owned()));
    }
    for run in subtask.sessions.iter().filter(|run| run.role == Role::Implementor) {
        trailers.push(("Bailiwick-Session".to_owned(), run.id.to_string()));
    }
    trailers.push(("On-behalf-of".to_owned(), task.requester.to_string()));
    trailers
}
