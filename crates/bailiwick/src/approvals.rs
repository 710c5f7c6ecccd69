//! Requests for approval, freezes and emergencies, as they are asked for and shown: the types that
//! the command line and the HTTP API both speak.

use std::collections::BTreeMap;

use bailiwick_engine::{ApprovalWord, Engine, EngineError};
use bailiwick_model::Timestamp;
use bailiwick_model::action::{Action, WriteMode};
use bailiwick_model::approval::{
    ApprovalAnswer, ApprovalState, ApprovalStatus, ApprovalUse, ApprovalVerdict, Delegation,
    GroupNeed,
};
use bailiwick_model::id::{ApprovalId, Oid, Person, RepoName, TaskId};
use bailiwick_model::identity::Caller;
use bailiwick_model::payload::Digest;
use serde::{Deserialize, Serialize};

/// A request for approval with all that whoever answers needs to see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ApprovalView {
    /// Its id.
    pub(crate) id: ApprovalId,
    /// `open`, `granted`, `denied`, `spent`, `expired` or `void`.
    pub(crate) status: ApprovalStatus,
    /// What is to be done, in a line.
    pub(crate) summary: String,
    /// The kind of action.
    pub(crate) kind: String,
    /// What is to be done, whole.
    pub(crate) action: serde_json::Value,
    /// The texts that it writes, whole, by their names: `content`, or `old` and `new` of an edit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) texts: BTreeMap<String, String>,
    /// Who wants to do it: the role.
    pub(crate) role: String,
    /// For whom it is done.
    pub(crate) requester: Person,
    /// The repository.
    pub(crate) repo: RepoName,
    /// The task.
    pub(crate) task: Option<TaskId>,
    /// The tree that a command is run on.
    pub(crate) tree: Option<Oid>,
    /// Who has to agree, and how many of them.
    pub(crate) needs: Vec<GroupNeed>,
    /// The gates that ask.
    pub(crate) rules: Vec<String>,
    /// Why they ask.
    pub(crate) reason: String,
    /// What an answer is bound to.
    pub(crate) digest: Digest,
    /// What a grant allows when it is given for once.
    pub(crate) once_means: String,
    /// What a grant allows when it is given for repeated use.
    pub(crate) repeated_means: String,
    /// When it was asked.
    pub(crate) asked_at: Timestamp,
    /// When it lapses, answered or not.
    pub(crate) expires_at: Timestamp,
    /// What was answered so far.
    pub(crate) answers: Vec<ApprovalAnswer>,
    /// How often it was used.
    pub(crate) uses: usize,
}

impl ApprovalView {
    pub(crate) fn of((state, status): (ApprovalState, ApprovalStatus)) -> Self {
        let uses = state.used_by.len();
        let request = state.request;
        Self {
            id: request.id,
            status,
            summary: request.action.summary(),
            kind: request.action.kind().to_owned(),
            action: serde_json::to_value(&request.action).unwrap_or_default(),
            texts: BTreeMap::new(),
            role: request.subject.role.name().to_owned(),
            requester: request.subject.on_behalf_of,
            repo: request.repo,
            task: request.subject.task,
            tree: request.tree,
            needs: request.needs,
            rules: request.rules,
            reason: request.reason,
            digest: request.digest,
            once_means: ApprovalUse::Once.meaning().to_owned(),
            repeated_means: ApprovalUse::Repeated.meaning().to_owned(),
            asked_at: state.asked_at,
            expires_at: request.expires_at,
            answers: state.answers,
            uses,
        }
    }
}

/// An answer: `POST /api/v1/approvals/{approval}/answer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerParams {
    /// `grant` or `deny`.
    pub(crate) verdict: ApprovalVerdict,
    /// `once` or `repeated`.
    #[serde(default = "once")]
    pub(crate) usage: ApprovalUse,
    /// The digest of what was looked at.
    pub(crate) digest: Digest,
    /// In words.
    #[serde(default)]
    pub(crate) note: String,
}

fn once() -> ApprovalUse {
    ApprovalUse::Once
}

/// A delegation: `POST /api/v1/delegations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DelegateParams {
    /// Who answers instead.
    pub(crate) to: Person,
    /// For how many days.
    pub(crate) days: u32,
}

/// A declared emergency: `POST /api/v1/emergencies`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclareParams {
    /// Its name.
    pub(crate) name: String,
    /// The repository it is about.
    pub(crate) repo: RepoName,
    /// Why.
    pub(crate) reason: String,
    /// How many minutes it lasts once it is confirmed.
    pub(crate) minutes: u32,
}

/// A freeze: `POST /api/v1/freezes`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FreezeParams {
    /// What is stopped.
    #[serde(flatten)]
    pub(crate) frozen: bailiwick_model::freeze::Frozen,
    /// Why.
    pub(crate) reason: String,
}

pub(crate) fn list(engine: &Engine, all: bool) -> Vec<ApprovalView> {
    let wanted = |status| all || status == ApprovalStatus::Open;
    let states = engine.approvals().into_iter().filter(|(_, status)| wanted(*status));
    states.map(ApprovalView::of).collect()
}

/// Those about repositories that a person may look at.
pub(crate) fn list_of(engine: &Engine, person: &Person, all: bool) -> Vec<ApprovalView> {
    let reads = crate::readable::reads(engine, person);
    list(engine, all).into_iter().filter(|view| reads(&view.repo)).collect()
}

/// One request, with the texts that would be written: an answer is bound to them, so they are shown
/// whole, or nothing is.
pub(crate) async fn show(engine: &Engine, id: ApprovalId) -> Result<ApprovalView, EngineError> {
    let found = engine.approval(id)?;
    let mut texts = BTreeMap::new();
    if let Action::FileWrite(write) = &found.0.request.action {
        let named = match &write.mode {
            WriteMode::Whole { content } => vec![("content", content)],
            WriteMode::Edit { old, new } => vec![("old", old), ("new", new)],
        };
        for (name, payload) in named {
            let whole = engine.parts().store.resolve(payload).await?;
            let text = String::from_utf8_lossy(whole.bytes().unwrap_or_default()).into_owned();
            texts.insert(name.to_owned(), text);
        }
    }
    Ok(ApprovalView { texts, ..ApprovalView::of(found) })
}

pub(crate) async fn answer(
    engine: &Engine,
    caller: &Caller,
    id: ApprovalId,
    params: AnswerParams,
) -> Result<ApprovalView, EngineError> {
    let AnswerParams { verdict, usage, digest, note } = params;
    let word = ApprovalWord { id, verdict, usage, digest, note };
    engine.answer_approval(caller, word).await?;
    show(engine, id).await
}

pub(crate) async fn delegate(
    engine: &Engine,
    caller: &Caller,
    params: DelegateParams,
) -> Result<Delegation, EngineError> {
    let seconds = i64::from(params.days).saturating_mul(86_400);
    let until = Timestamp::now().as_second().saturating_add(seconds);
    let until = Timestamp::from_second(until).unwrap_or(Timestamp::MAX);
    engine.delegate(caller, params.to, until).await
}
