//! Stage 5: the publisher, never the agent, pushes the commit and opens the pull request.

use bailiwick_forge::Forge as _;
use bailiwick_model::action::{BranchPush, CheckNote, PullRequestOpen};
use bailiwick_model::event::{Fact, Stage, StageEnd};
use bailiwick_model::id::{BranchName, SubtaskKey, TaskId};
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::Role;
use bailiwick_model::task::Task;

use crate::actor;
use crate::describe;
use crate::engine::Engine;
use crate::error::EngineError;

/// The branch of a subtask's pull request.
pub(crate) fn branch_of(task: &Task, key: &SubtaskKey) -> Result<BranchName, EngineError> {
    Ok(BranchName::parse(&format!("bailiwick/{}/{key}", task.id.short()))?)
}

impl Engine {
    /// Brings branch and pull request to the newest candidate. Doing it again changes nothing.
    pub(crate) async fn publish(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        if self.notice_base(&state, &subtask).await? {
            return Ok(());
        }
        let task = &state.task;
        let Some(candidate) = subtask.candidate.clone() else { return Ok(()) };
        self.record(Self::enter(id, Some(&subtask), Stage::PullRequest)).await?;
        let subject = actor::subject(task, Some(&subtask), Role::Publisher);
        let context = actor::context(task, Some(&subtask));
        let (forge, warden) = (&self.parts().forge, &self.parts().warden);
        let branch = branch_of(task, key)?;
        let expected = forge.branch(&task.repo, &branch).await?;
        if expected.as_ref() != Some(&candidate.commit) {
            let push = BranchPush {
                repo: task.repo.clone(),
                branch: branch.clone(),
                expected,
                commit: Some(candidate.commit.clone()),
                protected: forge.is_protected(&task.repo, &branch).await?,
            };
            warden.perform(&subject, &context, push, |permit| forge.push(permit)).await?;
        }
        let open = PullRequestOpen {
            repo: task.repo.clone(),
            head: branch.clone(),
            head_commit: candidate.commit.clone(),
            base: candidate.base_branch.clone(),
            title: crate::implement::title(&subtask),
            body: Payload::from(describe::body(task, &subtask, &self.settings().ledger_name)),
            author: task.requester.clone(),
            checks: subtask
                .gates
                .iter()
                .map(|report| CheckNote {
                    name: report.gate.clone(),
                    state: report.state,
                    summary: report.summary.clone(),
                })
                .collect(),
        };
        let opened = warden
            .perform(&subject, &context, open, |permit| forge.open_pull_request(permit))
            .await?;
        let (_, now) = self.subtask(id, key).await?;
        let mut facts = vec![Fact::ChangePublished {
            task: id,
            subtask: key.clone(),
            repo: task.repo.clone(),
            number: opened.number,
            branch,
            head: candidate.commit,
            base_branch: candidate.base_branch,
        }];
        facts.extend(Self::leave(id, &now, Stage::PullRequest, StageEnd::Done));
        facts.extend(Self::enter(id, Some(&now), Stage::HumanReview));
        self.record(facts).await
    }
}
