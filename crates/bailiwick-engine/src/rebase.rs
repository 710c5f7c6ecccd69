//! When the base branch moves under a subtask: the candidate is put on the new base, gated again,
//! and an approval given before is void.

use bailiwick_forge::{RebaseRequest, Rebased};
use bailiwick_model::event::{Candidate, Fact};
use bailiwick_model::evidence::{Finding, Level};
use bailiwick_model::id::{SubtaskKey, TaskId};
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::Role;
use bailiwick_model::workflow::{MAX_REPAIRS, SubtaskState, TaskState};
use jiff::Timestamp;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;

const DIFF_CHARS: usize = 12_000;

impl Engine {
    /// Records that the base moved, if it did. Says whether it did.
    pub(crate) async fn notice_base(
        &self,
        state: &TaskState,
        subtask: &SubtaskState,
    ) -> Result<bool, EngineError> {
        let Some(prepared) = &subtask.prepared else { return Ok(false) };
        let (base, base_branch) = self.base_of(state, subtask).await?;
        if base == prepared.base && base_branch == prepared.base_branch {
            return Ok(false);
        }
        self.record(vec![Fact::BaseMoved {
            task: state.id(),
            subtask: subtask.subtask.key.clone(),
            from: prepared.base.clone(),
            to: base,
            base_branch,
            void_approvals: u32::try_from(subtask.approvals.len()).unwrap_or(u32::MAX),
        }])
        .await?;
        Ok(true)
    }

    /// Puts the candidate on the base of now. A conflict goes back to the implementor.
    pub(crate) async fn rebase(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let task = &state.task;
        let (Some(prepared), Some(candidate)) = (&subtask.prepared, &subtask.candidate) else {
            return Ok(());
        };
        let request = RebaseRequest {
            repo: task.repo.clone(),
            from: candidate.base.clone(),
            head: candidate.commit.clone(),
            onto: prepared.base.clone(),
            at: Timestamp::now(),
        };
        let subject = actor::subject(task, Some(&subtask), Role::Publisher);
        let context = actor::context(task, Some(&subtask));
        let forge = &self.parts().forge;
        let rebased = self
            .parts()
            .warden
            .perform(&subject, &context, request.signing(), |permit| forge.rebase(permit, request))
            .await?;
        match rebased {
            Rebased::Clean { commit, tree } => {
                self.record(vec![Fact::CandidateCommitted {
                    task: id,
                    subtask: key.clone(),
                    candidate: Candidate {
                        commit,
                        tree,
                        base: prepared.base.clone(),
                        base_branch: prepared.base_branch.clone(),
                        round: subtask.round,
                    },
                }])
                .await
            }
            Rebased::Conflict { paths } => {
                if subtask.repairs >= MAX_REPAIRS {
                    return self.ask_about_repairs(id, key).await;
                }
                let diff = forge.diff_text(&task.repo, &candidate.base, &candidate.commit).await?;
                let findings = vec![conflict(&paths, &diff)];
                self.ask_repair(id, key, findings).await
            }
        }
    }
}

fn conflict(paths: &[String], diff: &str) -> Finding {
    let diff: String = diff.chars().take(DIFF_CHARS).collect();
    let message = format!(
        "the base branch moved, and the change conflicts with it in {}. The workspace has the new base without the change; make the change again on it. It was:\n{diff}",
        paths.join(", ")
    );
    Finding {
        rule: "base/conflict".to_owned(),
        level: Level::Error,
        path: paths.first().cloned(),
        line: None,
        fingerprint: Digest::of(message.as_bytes()),
        message,
        explanation: None,
    }
}
