//! What a person can ask of the platform, whatever they ask through: the command line on the data
//! directory, or the HTTP API. Both speak the types of this file.

mod say;

use std::path::Path;

use bailiwick_engine::{Answer, ChangeView, Engine, EngineError, Estimate, NewTask};
use bailiwick_forge::Forge as _;
use bailiwick_model::action::{MergeMethod, ReviewVerdict};
use bailiwick_model::approval::ApprovalState;
use bailiwick_model::calibration::Calibration;
use bailiwick_model::event::Entry;
use bailiwick_model::id::{BranchName, Oid, Person, RepoName, TaskId};
use bailiwick_model::plan::Check;
use bailiwick_model::task::{ApproverMode, Form, MicroUsd, PolicyText, Source};
use bailiwick_model::workflow::TaskState;
use bailiwick_store::Query;
use serde::{Deserialize, Serialize};

use crate::readable;

pub(crate) use say::{
    CommentParams, CommentResponse, SteerParams, ThreadParams, comment, since, steer,
};

/// A request for a new task: `POST /api/v1/tasks`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTaskParams {
    /// What is to be done.
    pub(crate) text: String,
    /// The repository on the forge.
    pub(crate) repo: RepoName,
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<BranchName>,
    /// Acceptance checks: makes the task a specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checks: Option<Vec<Check>>,
    /// Whether anybody may have written the text.
    #[serde(default)]
    pub(crate) untrusted: bool,
    /// The provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The kind of agent that implements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    /// The most it may cost, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget_micro_usd: Option<MicroUsd>,
    /// Rules of its own, which only narrow what is done for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) narrow: Vec<PolicyText>,
}

/// More than a task was accepted with: `POST /api/v1/tasks/{task}/raise`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RaiseParams {
    /// A larger budget, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget_micro_usd: Option<MicroUsd>,
    /// Another sandbox tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tier: Option<String>,
    /// Why.
    pub(crate) reason: String,
}

/// The answer to a new task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CreateTaskResponse {
    /// Its id.
    pub(crate) id: TaskId,
    /// What it will probably cost.
    pub(crate) estimate: Estimate,
}

/// A task in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskLine {
    /// Its id.
    pub(crate) id: TaskId,
    /// Its title.
    pub(crate) title: String,
    /// The repository.
    pub(crate) repo: RepoName,
    /// Where it stands, in a word.
    pub(crate) standing: String,
    /// What it has cost.
    pub(crate) cost: MicroUsd,
    /// Whether its model is scripted.
    pub(crate) scripted: bool,
    /// When it was accepted.
    pub(crate) created_at: bailiwick_model::Timestamp,
}

/// A review: `POST …/pulls/{number}/reviews`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewParams {
    /// What is said.
    pub(crate) verdict: ReviewVerdict,
    /// The commit that was looked at.
    pub(crate) head: Oid,
    /// In words.
    #[serde(default)]
    pub(crate) body: String,
}

/// A merge: `POST …/pulls/{number}/merge`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergeParams {
    /// How.
    #[serde(default)]
    pub(crate) method: MergeMethod,
}

/// An import: `POST /api/v1/repositories`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportParams {
    /// Where it is, on the machine of the platform.
    pub(crate) path: std::path::PathBuf,
    /// Its name on the forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<RepoName>,
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<BranchName>,
}

/// A repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RepositoryLine {
    /// Its name.
    pub(crate) name: RepoName,
    /// Its protected branch.
    pub(crate) branch: BranchName,
    /// Where that is.
    pub(crate) head: Oid,
}

/// A pull request in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChangeLine {
    /// The repository.
    pub(crate) repo: RepoName,
    /// Its number.
    pub(crate) number: u64,
    /// Its title.
    pub(crate) title: String,
    /// Its state: `open`, `merged` or `closed`.
    pub(crate) state: String,
    /// Where it is.
    pub(crate) head: Oid,
    /// The branch it is for.
    pub(crate) base: BranchName,
}

/// Where a task stands, in a word.
pub(crate) fn standing(state: &TaskState) -> String {
    if let Some(ending) = &state.ending {
        return format!("{:?}", ending.end).to_lowercase();
    }
    if state.paused.is_some() {
        return "paused".to_owned();
    }
    if state.subtasks.values().any(|subtask| subtask.question.is_some()) {
        return "needs an answer".to_owned();
    }
    if state.approvals.all.values().any(ApprovalState::holds_task) {
        return "waits for approval".to_owned();
    }
    let waiting = !state.subtasks.is_empty()
        && state.subtasks.keys().all(|key| {
            use bailiwick_model::workflow::Next;
            matches!(
                state.next(key),
                Some(
                    Next::WaitForReview
                        | Next::WaitForDependencies
                        | Next::Done
                        | Next::WaitForAnswer
                )
            )
        });
    if waiting { "waits for review".to_owned() } else { "running".to_owned() }
}

/// What the defaults of a new task are.
#[derive(Debug, Clone)]
pub(crate) struct TaskDefaults {
    pub(crate) single_user: bool,
    pub(crate) approver: ApproverMode,
    pub(crate) source: Source,
    pub(crate) budget: MicroUsd,
    pub(crate) scripted: bool,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) agent: String,
}

pub(crate) async fn create_task(
    engine: &Engine,
    who: &Person,
    params: CreateTaskParams,
    defaults: TaskDefaults,
) -> Result<CreateTaskResponse, EngineError> {
    let budget = params.budget_micro_usd.unwrap_or(defaults.budget);
    let estimate =
        engine.estimate(&params.repo, &defaults.provider, &defaults.model, budget).await?;
    let id = engine
        .submit(NewTask {
            text: params.text,
            form: params.checks.map_or(Form::Text, |checks| Form::Specification { checks }),
            source: defaults.source,
            untrusted_text: params.untrusted,
            repo: params.repo,
            base_branch: params.branch,
            requester: who.clone(),
            budget,
            provider: defaults.provider,
            model: defaults.model,
            agent: params.agent.unwrap_or(defaults.agent),
            scripted: defaults.scripted,
            single_user: defaults.single_user,
            approver: defaults.approver,
            narrowing: params.narrow,
        })
        .await?;
    Ok(CreateTaskResponse { id, estimate })
}

/// Asks for more than a task was accepted with.
pub(crate) async fn raise(
    engine: &Engine,
    who: &Person,
    id: TaskId,
    params: &RaiseParams,
) -> Result<TaskState, EngineError> {
    engine.raise(id, who, params.budget_micro_usd, params.tier.as_deref(), &params.reason).await?;
    engine.state(id).await
}

pub(crate) async fn list_tasks(
    engine: &Engine,
    limit: usize,
) -> Result<Vec<TaskLine>, EngineError> {
    let page = engine.parts().store.tasks(None, limit).await?;
    let mut lines = Vec::new();
    for summary in page.tasks {
        let state = engine.state(summary.task.id).await?;
        lines.push(line(&state));
    }
    Ok(lines)
}

/// Some tasks, and where to look for older ones.
#[derive(Debug, Clone)]
pub(crate) struct FoundTasks {
    pub(crate) tasks: Vec<TaskLine>,
    pub(crate) next: Option<u64>,
}

/// The newest tasks before a place that fit, at most `limit`.
pub(crate) async fn search_tasks(
    engine: &Engine,
    before: Option<u64>,
    limit: usize,
    fits: impl Fn(&TaskState) -> bool,
) -> Result<FoundTasks, EngineError> {
    let mut found = FoundTasks { tasks: Vec::new(), next: before };
    loop {
        let page = engine.parts().store.tasks(found.next, limit).await?;
        for summary in page.tasks {
            found.next = Some(summary.seq);
            let state = engine.state(summary.task.id).await?;
            if fits(&state) {
                found.tasks.push(line(&state));
            }
            if found.tasks.len() >= limit {
                return Ok(found);
            }
        }
        if page.next.is_none() {
            found.next = None;
            return Ok(found);
        }
        found.next = page.next;
    }
}

fn line(state: &TaskState) -> TaskLine {
    TaskLine {
        id: state.id(),
        title: state.task.title.clone(),
        repo: state.task.repo.clone(),
        standing: standing(state),
        cost: state.cost,
        scripted: state.task.scripted,
        created_at: state.task.created_at,
    }
}

/// Finds a task by its id or the last characters of it.
pub(crate) async fn find_task(engine: &Engine, text: &str) -> Result<TaskId, EngineError> {
    if let Ok(id) = text.parse::<TaskId>() {
        return Ok(id);
    }
    let unclear = |message: String| EngineError::State {
        code: "task.unclear",
        message,
        hint: "`bailiwick task list` shows the ids".to_owned(),
    };
    if text.len() < 4 || !text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Err(unclear(format!(
            "`{text}` is neither a task id nor the last four or more digits of one"
        )));
    }
    match engine.parts().store.find_tasks(&text.to_lowercase()).await?.as_slice() {
        [one] => Ok(*one),
        [] => Err(unclear(format!("no task id ends in `{text}`"))),
        several => Err(unclear(format!("{} task ids end in `{text}`", several.len()))),
    }
}

pub(crate) async fn events(
    engine: &Engine,
    id: TaskId,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<Entry>, EngineError> {
    engine.state(id).await?;
    let query = Query { task: Some(id), after_seq: after, limit: Some(limit), ..Query::default() };
    Ok(engine.parts().store.entries(query).await?)
}

pub(crate) async fn import(
    engine: &Engine,
    who: &Person,
    params: ImportParams,
) -> Result<RepositoryLine, EngineError> {
    let name = match params.name {
        Some(name) => name,
        None => name_of(&params.path)?,
    };
    let (branch, head) =
        engine.import_repository(who, &name, &params.path, params.branch.as_ref()).await?;
    Ok(RepositoryLine { name, branch, head })
}

/// The name that a path suggests for its repository.
pub(crate) fn name_of(path: &Path) -> Result<RepoName, EngineError> {
    let full = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let last = full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let last = last.strip_suffix(".git").unwrap_or(&last);
    let name: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    Ok(RepoName::parse(name.trim_matches(['-', '.', '_']))?)
}

/// What all merges so far say about the risk score, reverts that were made meanwhile included.
pub(crate) async fn calibration(engine: &Engine) -> Result<Calibration, EngineError> {
    for line in repositories(engine).await? {
        engine.note_reverts(&line.name).await?;
    }
    engine.calibration().await
}

pub(crate) async fn repositories(engine: &Engine) -> Result<Vec<RepositoryLine>, EngineError> {
    let forge = &engine.parts().forge;
    let mut lines = Vec::new();
    for repository in forge.repositories().await.map_err(EngineError::from)? {
        lines.push(RepositoryLine {
            name: repository.name,
            branch: repository.default_branch,
            head: repository.head,
        });
    }
    Ok(lines)
}

/// The repositories that a person may look at.
pub(crate) async fn repositories_of(
    engine: &Engine,
    person: &Person,
) -> Result<Vec<RepositoryLine>, EngineError> {
    let mut lines = repositories(engine).await?;
    let reads = readable::reads(engine, person);
    lines.retain(|line| reads(&line.name));
    Ok(lines)
}

/// The repository that is meant when none is named: the only one.
pub(crate) async fn the_repository(
    engine: &Engine,
    named: Option<RepoName>,
) -> Result<RepoName, EngineError> {
    if let Some(name) = named {
        return Ok(name);
    }
    match engine.parts().forge.repositories().await?.as_slice() {
        [one] => Ok(one.name.clone()),
        several => Err(EngineError::State {
            code: "repository.unclear",
            message: format!("there are {} repositories on this forge", several.len()),
            hint: "name one with `--repo NAME`".to_owned(),
        }),
    }
}

pub(crate) async fn changes(
    engine: &Engine,
    repo: &RepoName,
) -> Result<Vec<ChangeLine>, EngineError> {
    let list = engine.parts().forge.pull_requests(repo).await?;
    Ok(list
        .into_iter()
        .map(|change| ChangeLine {
            repo: repo.clone(),
            number: change.number,
            title: change.title.clone(),
            state: change.state.name().to_owned(),
            head: change.head_commit.clone(),
            base: change.base.clone(),
        })
        .collect())
}

pub(crate) async fn change(
    engine: &Engine,
    repo: &RepoName,
    number: u64,
) -> Result<ChangeView, EngineError> {
    engine.change_view(repo, number).await
}

pub(crate) async fn review(
    engine: &Engine,
    who: &Person,
    repo: &RepoName,
    number: u64,
    params: ReviewParams,
) -> Result<(), EngineError> {
    engine
        .review(Answer {
            repo: repo.clone(),
            number,
            reviewer: who.clone(),
            head: params.head,
            verdict: params.verdict,
            body: params.body,
            simulated: false,
        })
        .await
}
