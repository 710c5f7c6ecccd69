//! Remarks on lines from the command line, and what changed since one's last review.

use anyhow::Result;
use bailiwick_engine::{ChangeView, SinceView};
use bailiwick_model::id::{CommentId, RepoName};
use bailiwick_model::remark::{Side, ThreadState};
use serde_json::json;

use super::{repository, show, view};
use crate::arguments::{Change, CommentArguments, Common};
use crate::command::{Done, Session, Told};
use crate::operations::{self, CommentParams, CommentResponse, ThreadParams};
use crate::{render, terminal};

pub(super) async fn since(common: &Common, session: &Session, change: Change) -> Result<Done> {
    let repo = repository(session, change.repo).await?;
    let found: SinceView = match session {
        Session::Local { platform, caller } => {
            operations::since(&platform.engine, &caller.person, &repo, change.number)
                .await
                .map_err(Told::from)?
        }
        Session::Remote(remote) => {
            remote
                .get(&format!("/repositories/{repo}/pulls/{}/since-review", change.number))
                .await?
        }
    };
    if common.json {
        terminal::out_json(&found);
    } else {
        terminal::out(&render::since(&found));
    }
    Ok(Done::Yes)
}

pub(super) async fn comment(
    common: &Common,
    session: &Session,
    arguments: CommentArguments,
) -> Result<Done> {
    let place = arguments.place.rsplit_once(':');
    let place = place.and_then(|(path, line)| Some((path.to_owned(), line.parse::<u32>().ok()?)));
    let (path, line) = place.ok_or_else(|| Told {
        code: "comment.no_place".to_owned(),
        message: format!("`{}` is no file with a line", arguments.place),
        hint: "such as `src/lib.rs:12`".to_owned(),
    })?;
    let repo = repository(session, arguments.change.repo).await?;
    let number = arguments.change.number;
    let shown = view(session, &repo, number).await?;
    let params = CommentParams {
        head: shown.head,
        path: Some(path),
        side: if arguments.old { Side::Old } else { Side::New },
        line: Some(line),
        reply_to: None,
        text: arguments.message,
    };
    post(common, session, &repo, number, params).await
}

pub(super) async fn answer(
    common: &Common,
    session: &Session,
    change: Change,
    comment: CommentId,
    message: String,
) -> Result<Done> {
    let repo = repository(session, change.repo).await?;
    let shown = view(session, &repo, change.number).await?;
    let params = CommentParams {
        head: shown.head,
        path: None,
        side: Side::New,
        line: None,
        reply_to: Some(comment),
        text: message,
    };
    post(common, session, &repo, change.number, params).await
}

async fn post(
    common: &Common,
    session: &Session,
    repo: &RepoName,
    number: u64,
    params: CommentParams,
) -> Result<Done> {
    let made: CommentResponse = match session {
        Session::Local { platform, caller } => {
            operations::comment(&platform.engine, &caller.person, repo, number, params)
                .await
                .map_err(Told::from)?
        }
        Session::Remote(remote) => {
            remote.post(&format!("/repositories/{repo}/pulls/{number}/comments"), &params).await?
        }
    };
    if common.json {
        terminal::out_json(&made);
    } else {
        terminal::out(&made.id.to_string());
    }
    Ok(Done::Yes)
}

pub(super) async fn mark(
    common: &Common,
    session: &Session,
    change: Change,
    comment: CommentId,
    state: ThreadState,
) -> Result<Done> {
    let repo = repository(session, change.repo).await?;
    let number = change.number;
    let after: ChangeView = match session {
        Session::Local { platform, caller } => {
            let engine = &platform.engine;
            let marked = engine.mark_thread(&repo, number, &caller.person, comment, state).await;
            marked.map_err(Told::from)?;
            view(session, &repo, number).await?
        }
        Session::Remote(remote) => {
            let path = format!("/repositories/{repo}/pulls/{number}/comments/{comment}/state");
            let params = ThreadParams { state };
            remote.post(&path, &json!(params)).await?
        }
    };
    show(common, &after);
    Ok(Done::Yes)
}
