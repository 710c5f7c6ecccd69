//! Who acts, and the facts that policy may speak of.

use std::collections::BTreeSet;

use bailiwick_model::id::{BranchName, Person, RepoName};
use bailiwick_model::subject::{Context, Role, SessionFacts, Subject, TaintOrigin};
use bailiwick_model::task::{Form, MicroUsd, Source, Task};
use bailiwick_model::workflow::SubtaskState;

/// The subject of a role at work on a task.
pub(crate) fn subject(task: &Task, subtask: Option<&SubtaskState>, role: Role) -> Subject {
    Subject {
        role,
        on_behalf_of: task.requester.clone(),
        task: Some(task.id),
        subtask: subtask.map(|state| state.subtask.key.clone()),
        session: None,
    }
}

/// A person who acts for themselves, on a task or on none.
pub(crate) fn person(who: &Person, task: Option<&Task>, subtask: Option<&SubtaskState>) -> Subject {
    Subject {
        role: Role::Human,
        on_behalf_of: who.clone(),
        task: task.map(|task| task.id),
        subtask: subtask.map(|state| state.subtask.key.clone()),
        session: None,
    }
}

/// The circumstances of an action on a task.
pub(crate) fn context(task: &Task, subtask: Option<&SubtaskState>) -> Context {
    Context {
        repo: task.repo.clone(),
        protected_branch: task.base_branch.clone(),
        taint: task.taint.clone(),
        scope: subtask.map(|state| state.subtask.scope.paths.clone()).unwrap_or_default(),
        budget_left: subtask.map_or(MicroUsd(u64::MAX), SubtaskState::budget_left),
        denials: 0,
        single_user: task.single_user,
        approvals: BTreeSet::new(),
        facts: SessionFacts {
            origins: task
                .taint
                .iter()
                .map(|taint| TaintOrigin { taint: *taint, from: "the task".to_owned() })
                .collect(),
            classes: classes(task),
            risk: subtask.and_then(|state| state.risk.as_ref()).map(|risk| risk.score),
            ..SessionFacts::default()
        },
    }
}

/// What kind of task it is, in the words of policies.
fn classes(task: &Task) -> BTreeSet<String> {
    let form = match task.form {
        Form::Text => "text",
        Form::Specification { .. } => "specification",
    };
    let source = match task.source {
        Source::Cli => "cli",
        Source::Api => "api",
        Source::Demo => "demo",
    };
    [form, source, task.agent.as_str()].into_iter().map(str::to_owned).collect()
}

/// The circumstances of a person's action on a repository.
pub(crate) fn repository_context(
    repo: &RepoName,
    branch: &BranchName,
    single_user: bool,
) -> Context {
    Context {
        repo: repo.clone(),
        protected_branch: branch.clone(),
        taint: BTreeSet::new(),
        scope: Vec::new(),
        budget_left: MicroUsd(0),
        denials: 0,
        single_user,
        approvals: BTreeSet::new(),
        facts: SessionFacts::default(),
    }
}
