//! What people say of work under way: to the agent, and on lines of a change.

use bailiwick_engine::{CommentPlace, Engine, EngineError, NewComment, SinceView};
use bailiwick_model::id::{CommentId, Oid, Person, RepoName, SubtaskKey, TaskId};
use bailiwick_model::remark::{Message, Side, ThreadState};
use serde::{Deserialize, Serialize};

/// A message to the agent at work: `POST /api/v1/tasks/{task}/messages`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SteerParams {
    /// What is said.
    pub(crate) text: String,
    /// The subtask; needed when several are at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subtask: Option<SubtaskKey>,
}

/// A remark on a line, or an answer: `POST …/pulls/{number}/comments`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommentParams {
    /// The commit that was looked at.
    pub(crate) head: Oid,
    /// The file; needed unless it is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The side of the difference.
    #[serde(default)]
    pub(crate) side: Side,
    /// The line, counted from 1; needed unless it is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    /// The remark that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<CommentId>,
    /// In words.
    pub(crate) text: String,
}

/// Where a thread stands: `POST …/pulls/{number}/comments/{comment}/state`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThreadParams {
    /// From here on.
    pub(crate) state: ThreadState,
}

/// The answer to a new remark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CommentResponse {
    /// Its id.
    pub(crate) id: CommentId,
}

pub(crate) async fn steer(
    engine: &Engine,
    who: &Person,
    id: TaskId,
    params: SteerParams,
) -> Result<Message, EngineError> {
    engine.steer(id, who, params.subtask, &params.text).await
}

pub(crate) async fn comment(
    engine: &Engine,
    who: &Person,
    repo: &RepoName,
    number: u64,
    params: CommentParams,
) -> Result<CommentResponse, EngineError> {
    let place = match (params.reply_to, params.path, params.line) {
        (Some(of), None, None) => CommentPlace::Thread(of),
        (None, Some(path), Some(line)) => CommentPlace::Line { path, side: params.side, line },
        _ => {
            return Err(EngineError::State {
                code: "comment.no_place",
                message: "a remark is about a line of a file, or answers another".to_owned(),
                hint: "give `path` and `line`, or `reply_to` alone".to_owned(),
            });
        }
    };
    let new = NewComment {
        repo: repo.clone(),
        number,
        by: who.clone(),
        head: params.head,
        place,
        text: params.text,
    };
    Ok(CommentResponse { id: engine.comment(new).await? })
}

pub(crate) async fn since(
    engine: &Engine,
    who: &Person,
    repo: &RepoName,
    number: u64,
) -> Result<SinceView, EngineError> {
    engine.since_review(repo, number, who).await
}
