//! Stage 1: a task is checked and accepted.

use std::collections::BTreeSet;

use bailiwick_forge::Forge as _;
use bailiwick_model::action::RepoRead;
use bailiwick_model::event::{Fact, Stage, StageEnd};
use bailiwick_model::id::{BranchName, Oid, Person, RepoName, TaskId};
use bailiwick_model::identity::RepoRight;
use bailiwick_model::subject::Taint;
use bailiwick_model::task::{ApproverMode, Form, MicroUsd, PolicyText, Source, Task, title_of};
use jiff::Timestamp;
use std::path::Path;
use uuid::Uuid;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;

/// A task as it comes in.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// What is asked.
    pub text: String,
    /// In what form.
    pub form: Form,
    /// Where it comes in.
    pub source: Source,
    /// Whether anybody may have written the text (an issue), or only the requester.
    pub untrusted_text: bool,
    /// The repository.
    pub repo: RepoName,
    /// The branch; the repository's protected branch when absent.
    pub base_branch: Option<BranchName>,
    /// Who asks.
    pub requester: Person,
    /// The most it may cost.
    pub budget: MicroUsd,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The kind of agent that implements.
    pub agent: String,
    /// Whether the model is scripted.
    pub scripted: bool,
    /// Whether requester and approver may be one person.
    pub single_user: bool,
    /// Who approves.
    pub approver: ApproverMode,
    /// Rules of its own, which only narrow what is done for it.
    pub narrowing: Vec<PolicyText>,
}

impl Engine {
    /// Accepts a task, or says why not and changes nothing.
    pub async fn submit(&self, new: NewTask) -> Result<TaskId, EngineError> {
        let title = title_of(&new.text)?;
        if let Form::Specification { checks } = &new.form
            && checks.is_empty()
        {
            return Err(EngineError::State {
                code: "task.no_checks",
                message: "the specification has no acceptance check".to_owned(),
                hint: "give it at least one `[[check]]` with `name` and `command`".to_owned(),
            });
        }
        self.agent(&new.agent)?;
        let branch = match &new.base_branch {
            Some(branch) => branch.clone(),
            None => self.parts().forge.protected_branch(&new.repo).await?,
        };
        self.parts().forge.head(&new.repo, &branch).await?;
        // A task ends in a change: who may not write there is told now, before anything is paid.
        let warden = &self.parts().warden;
        warden
            .check_right(&new.requester, &new.repo, RepoRight::Write)
            .await
            .map_err(EngineError::refused)?;
        let id = TaskId::new(Uuid::now_v7());
        if !new.narrowing.is_empty() {
            let checked = self.parts().warden.check_narrowing(id, &new.narrowing);
            checked.map_err(|refused| EngineError::State {
                code: "policy.layer_refused",
                message: refused.to_string(),
                hint: "rules that come with a task can only narrow; leave out what they permit, or ask the organisation for the right".to_owned(),
            })?;
        }
        let taint =
            if new.untrusted_text { BTreeSet::from([Taint::TaskText]) } else { BTreeSet::new() };
        let task = Task {
            id,
            title,
            text: new.text,
            form: new.form,
            source: new.source,
            taint,
            repo: new.repo,
            base_branch: branch,
            requester: new.requester,
            budget: new.budget,
            provider: new.provider,
            model: new.model,
            agent: new.agent,
            scripted: new.scripted,
            single_user: new.single_user,
            approver: new.approver,
            created_at: Timestamp::now(),
        };
        let by = task.requester.clone();
        let mut facts = vec![Fact::TaskSubmitted { task }];
        // In one piece with the task: nothing is ever done for it without them.
        if !new.narrowing.is_empty() {
            facts.push(Fact::TaskNarrowed { task: id, by, files: new.narrowing });
        }
        facts.extend([
            Fact::StageStarted { task: id, subtask: None, stage: Stage::Intake },
            Fact::StageEnded { task: id, subtask: None, stage: Stage::Intake, ok: StageEnd::Done },
        ]);
        self.record(facts).await?;
        Ok(id)
    }

    /// Imports a branch of a repository from a path, or brings an imported one up to date.
    pub async fn import_repository(
        &self,
        who: &Person,
        name: &RepoName,
        path: &Path,
        branch: Option<&BranchName>,
    ) -> Result<(BranchName, Oid), EngineError> {
        let found = self.parts().forge.inspect(path, branch).await?;
        let read = RepoRead {
            repo: name.clone(),
            object: None,
            source: Some(found.source.clone()),
            branch: found.branch.clone(),
        };
        let subject = actor::person(who, None, None);
        let context = actor::repository_context(name, &found.branch, false);
        let forge = &self.parts().forge;
        let head = self
            .parts()
            .warden
            .perform(&subject, &context, read, |permit| forge.import(permit))
            .await?
            .head;
        self.record(vec![Fact::RepositoryImported {
            repo: name.clone(),
            branch: found.branch.clone(),
            head: head.clone(),
            source: found.source,
        }])
        .await?;
        self.note_reverts(name).await?;
        Ok((found.branch, head))
    }
}
