//! `bailiwick pr …`: review and merge from the command line.

mod say;

use anyhow::Result;
use bailiwick_engine::{ChangeView, EngineError};
use bailiwick_model::action::{MergeMethod, ReviewVerdict};
use bailiwick_model::calibration::Calibration;
use bailiwick_model::id::{Oid, RepoName};
use bailiwick_model::remark::ThreadState;
use bailiwick_model::workflow::TaskState;

use crate::arguments::{Change, Common, PrVerb, ReviewArguments};
use crate::client::Remote;
use crate::command::{Done, Session, Told};
use crate::operations::{self, ChangeLine, MergeParams, RepositoryLine, ReviewParams};
use crate::{render, terminal};

pub(crate) async fn run(common: &Common, verb: PrVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    match verb {
        PrVerb::List { repo } => list(common, &session, repo).await,
        PrVerb::Show(change) => {
            let repo = repository(&session, change.repo).await?;
            show(common, &view(&session, &repo, change.number).await?);
            Ok(Done::Yes)
        }
        PrVerb::Since(change) => say::since(common, &session, change).await,
        PrVerb::Comment(arguments) => say::comment(common, &session, arguments).await,
        PrVerb::Answer { change, comment, message } => {
            say::answer(common, &session, change, comment, message).await
        }
        PrVerb::Resolve { change, comment } => {
            say::mark(common, &session, change, comment, ThreadState::Resolved).await
        }
        PrVerb::Reopen { change, comment } => {
            say::mark(common, &session, change, comment, ThreadState::Open).await
        }
        PrVerb::Calibration => calibration(common, &session).await,
        PrVerb::Approve(review) => answer(common, &session, review, ReviewVerdict::Approve).await,
        PrVerb::RequestChanges(review) => {
            answer(common, &session, review, ReviewVerdict::RequestChanges).await
        }
        PrVerb::Reject(review) => answer(common, &session, review, ReviewVerdict::Reject).await,
        PrVerb::Merge { change, method } => merge(common, &session, change, method.into()).await,
    }
}

async fn calibration(common: &Common, session: &Session) -> Result<Done> {
    let found: Calibration = match session {
        Session::Local { platform, .. } => {
            operations::calibration(&platform.engine).await.map_err(Told::from)?
        }
        Session::Remote(remote) => remote.get("/risk/calibration").await?,
    };
    if common.json {
        terminal::out_json(&found);
    } else {
        terminal::out(&render::calibration(&found));
    }
    Ok(Done::Yes)
}

async fn repository(session: &Session, named: Option<RepoName>) -> Result<RepoName> {
    match session {
        Session::Local { platform, .. } => {
            Ok(operations::the_repository(&platform.engine, named).await.map_err(Told::from)?)
        }
        Session::Remote(remote) => match named {
            Some(name) => Ok(name),
            None => only(remote).await,
        },
    }
}

async fn only(remote: &Remote) -> Result<RepoName> {
    let lines: Vec<RepositoryLine> = remote.get("/repositories").await?;
    match lines.as_slice() {
        [one] => Ok(one.name.clone()),
        several => Err(Told {
            code: "repository.unclear".to_owned(),
            message: format!("there are {} repositories on this forge", several.len()),
            hint: "name one with `--repo NAME`".to_owned(),
        }
        .into()),
    }
}

async fn list(common: &Common, session: &Session, repo: Option<RepoName>) -> Result<Done> {
    let mut lines: Vec<ChangeLine> = Vec::new();
    match session {
        Session::Local { platform, .. } => {
            let engine = &platform.engine;
            let repos = match repo {
                Some(repo) => vec![repo],
                None => operations::repositories(engine)
                    .await
                    .map_err(Told::from)?
                    .into_iter()
                    .map(|line| line.name)
                    .collect(),
            };
            for repo in repos {
                lines.extend(operations::changes(engine, &repo).await.map_err(Told::from)?);
            }
        }
        Session::Remote(remote) => {
            let repos = match repo {
                Some(repo) => vec![repo],
                None => {
                    let all: Vec<RepositoryLine> = remote.get("/repositories").await?;
                    all.into_iter().map(|line| line.name).collect()
                }
            };
            for repo in repos {
                lines.extend(
                    remote.get::<Vec<ChangeLine>>(&format!("/repositories/{repo}/pulls")).await?,
                );
            }
        }
    }
    if common.json {
        terminal::out_json(&lines);
    } else {
        terminal::out(&render::changes(&lines));
    }
    Ok(Done::Yes)
}

async fn view(session: &Session, repo: &RepoName, number: u64) -> Result<ChangeView> {
    match session {
        Session::Local { platform, .. } => {
            Ok(operations::change(&platform.engine, repo, number).await.map_err(Told::from)?)
        }
        Session::Remote(remote) => {
            remote.get(&format!("/repositories/{repo}/pulls/{number}")).await
        }
    }
}

fn show(common: &Common, view: &ChangeView) {
    if common.json {
        terminal::out_json(view);
    } else {
        terminal::out(&render::change(view));
    }
}

async fn answer(
    common: &Common,
    session: &Session,
    review: ReviewArguments,
    verdict: ReviewVerdict,
) -> Result<Done> {
    let repo = repository(session, review.change.repo).await?;
    let number = review.change.number;
    let shown = view(session, &repo, number).await?;
    let head = match &review.head {
        // A prefix is enough, as everywhere in git.
        Some(text) if text.len() >= 7 && shown.head.as_str().starts_with(text.as_str()) => {
            shown.head.clone()
        }
        Some(text) => Oid::parse(text).map_err(EngineError::from).map_err(Told::from)?,
        None => shown.head.clone(),
    };
    let params = ReviewParams { verdict, head, body: review.message };
    match session {
        Session::Local { platform, caller } => {
            let engine = &platform.engine;
            operations::review(engine, &caller.person, &repo, number, params)
                .await
                .map_err(Told::from)?;
            if verdict != ReviewVerdict::Approve {
                let (state, _) = engine.change_owner(&repo, number).await.map_err(Told::from)?;
                engine.drive(state.id()).await.map_err(Told::from)?;
            }
        }
        Session::Remote(remote) => {
            let path = format!("/repositories/{repo}/pulls/{number}/reviews");
            let _after: ChangeView = remote.post(&path, &params).await?;
        }
    }
    show(common, &view(session, &repo, number).await?);
    Ok(Done::Yes)
}

async fn merge(
    common: &Common,
    session: &Session,
    change: Change,
    method: MergeMethod,
) -> Result<Done> {
    let repo = repository(session, change.repo).await?;
    let state: TaskState = match session {
        Session::Local { platform, caller } => {
            let engine = &platform.engine;
            let id = engine
                .request_merge(&repo, change.number, &caller.person, method)
                .await
                .map_err(Told::from)?;
            engine.drive(id).await.map_err(Told::from)?;
            engine.state(id).await.map_err(Told::from)?
        }
        Session::Remote(remote) => {
            let path = format!("/repositories/{repo}/pulls/{}/merge", change.number);
            remote.post(&path, &MergeParams { method }).await?
        }
    };
    let view = view(session, &repo, change.number).await?;
    show(common, &view);
    if view.state == "merged" {
        return Ok(Done::Yes);
    }
    let question = state.subtasks.values().find_map(|subtask| subtask.question.as_ref());
    if let Some(question) = question {
        return Err(Told {
            code: question.code.clone(),
            message: question.reason.clone(),
            hint: question.hint.clone(),
        }
        .into());
    }
    if matches!(session, Session::Local { .. }) {
        terminal::say(&format!(
            "pull request #{} is not merged: its base branch moved, so it was gated again and needs a new approval",
            change.number
        ));
        return Ok(Done::NeedsPerson);
    }
    terminal::say("the server merges it");
    Ok(Done::Yes)
}
