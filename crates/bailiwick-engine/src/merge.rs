//! Stage 7: the platform merges exactly what was gated and approved, on exactly the base it was
//! gated on.

use std::collections::BTreeSet;

use bailiwick_forge::Forge as _;
use bailiwick_model::action::PullRequestMerge;
use bailiwick_model::event::{Fact, Stage, StageEnd, Verification};
use bailiwick_model::id::{SubtaskKey, TaskId};
use bailiwick_model::subject::Role;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    pub(crate) async fn merge(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let task = &state.task;
        let (Some(change), Some(candidate), Some(prepared), Some((by, method))) =
            (&subtask.change, &subtask.candidate, &subtask.prepared, &subtask.merge)
        else {
            return Ok(());
        };
        self.record(Self::enter(id, Some(&subtask), Stage::Merge)).await?;
        let forge = &self.parts().forge;
        // A crash may have come between the merge and its record.
        let merged = match forge.merged_commit(&task.repo, change.number).await? {
            Some(commit) => commit,
            None => {
                if self.notice_base(&state, &subtask).await? {
                    let (_, now) = self.subtask(id, key).await?;
                    return self
                        .record(Self::leave(id, &now, Stage::Merge, StageEnd::Failed))
                        .await;
                }
                let mut context = actor::context(task, Some(&subtask));
                context.approvals = BTreeSet::from(["reviewers".to_owned()]);
                let merge = PullRequestMerge {
                    repo: task.repo.clone(),
                    number: change.number,
                    head: candidate.commit.clone(),
                    base: change.base_branch.clone(),
                    expected_base: prepared.base.clone(),
                    method: *method,
                    gates_passed: subtask.gates_settled(),
                    verified: matches!(&subtask.verification, Some((Verification::Accepted, _, _))),
                    approved_by: subtask.approvals.iter().map(|a| a.reviewer.clone()).collect(),
                    independent_approval: subtask
                        .approvals
                        .iter()
                        .any(|approval| approval.reviewer != task.requester),
                    trailers: subtask
                        .approvals
                        .iter()
                        .map(|approval| {
                            let note =
                                if approval.simulated { " (simulated approver)" } else { "" };
                            format!("Approved-by: {}{note}", approval.reviewer)
                        })
                        .chain([
                            format!("Bailiwick-Task: {id}"),
                            format!("Merged-on-behalf-of: {by}"),
                        ])
                        .collect(),
                };
                let subject = actor::subject(task, Some(&subtask), Role::Publisher);
                self.parts()
                    .warden
                    .perform(&subject, &context, merge, |permit| forge.merge(permit))
                    .await?
                    .commit
            }
        };
        let (_, now) = self.subtask(id, key).await?;
        let mut facts = vec![Fact::Merged {
            task: id,
            subtask: key.clone(),
            number: change.number,
            commit: merged,
            method: *method,
        }];
        facts.extend(Self::leave(id, &now, Stage::Merge, StageEnd::Done));
        self.record(facts).await
    }
}
