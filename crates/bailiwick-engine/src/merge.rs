//! Stage 7: the platform merges exactly what was gated and approved, on exactly the base it was
//! gated on.

use std::collections::BTreeSet;

use bailiwick_forge::Forge as _;
use bailiwick_gates::Change;
use bailiwick_model::action::PullRequestMerge;
use bailiwick_model::event::{Fact, Stage, StageEnd, Verification};
use bailiwick_model::id::{SubtaskKey, TaskId};
use bailiwick_model::subject::Role;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::judge::blocking;
use crate::size;

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
        // Measured first: nothing that takes time comes between the look at the base and the merge.
        let git = forge.git(&task.repo)?;
        let (from, to) = (prepared.base.clone(), candidate.commit.clone());
        let files = blocking("reading the change", move || Change::load(&git, &from, &to))
            .await?
            .map_err(|error| EngineError::machine("reading the change", &error))?
            .files;
        let turn = self.merging().await;
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
                context.facts.risk = subtask.risk.as_ref().map(|risk| risk.score);
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
                    size: Some(size::measure(&files)),
                    required_reviewers: subtask.required_reviewers(task.single_user),
                    owners_missing: self.owners_missing(&subtask),
                };
                let subject = actor::subject(task, Some(&subtask), Role::Publisher);
                let done = self
                    .parts()
                    .warden
                    .perform(&subject, &context, merge, |permit| forge.merge(permit))
                    .await;
                match done {
                    Ok(merged) => merged.commit,
                    // Another subtask was merged between the look at the base and this: the forge
                    // refused, and the change goes the way of any whose base has moved.
                    Err(error)
                        if error.code() == "forge.moved"
                            && self.notice_base(&state, &subtask).await? =>
                    {
                        let (_, now) = self.subtask(id, key).await?;
                        return self
                            .record(Self::leave(id, &now, Stage::Merge, StageEnd::Failed))
                            .await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        drop(turn);
        let (_, now) = self.subtask(id, key).await?;
        let mut facts = vec![Fact::Merged {
            task: id,
            subtask: key.clone(),
            number: change.number,
            commit: merged,
            method: *method,
        }];
        facts.extend(Self::leave(id, &now, Stage::Merge, StageEnd::Done));
        self.record(facts).await?;
        match self.note_reverts(&task.repo).await {
            Err(error @ EngineError::Ledger { .. }) => Err(error),
            // What was taken back is looked for again whenever somebody asks for the report.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
