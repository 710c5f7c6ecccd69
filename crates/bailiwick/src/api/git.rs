//! Git over HTTP: stock clients clone and push; every ref of a push is decided first.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bailiwick_forge::{BodyEncoding, ForgeError, GitHttp, PushLimits, Wanted};
use bailiwick_git::Service;
use bailiwick_model::id::RepoName;
use bailiwick_model::identity::Caller;
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::ActError;
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use std::collections::BTreeSet;
use tokio_util::io::{ReaderStream, StreamReader};

use super::Shared;
use super::error::ApiError;

/// No protocol version 2: with it git serves any object by its id, also those that no branch names
/// (trees of steps, candidates). Versions 0 and 1 serve what the branches reach.
const ONLY_REACHABLE: Option<&str> = None;

#[derive(Deserialize)]
pub(super) struct Advertisement {
    service: Option<String>,
}

fn repo(text: &str) -> Result<RepoName, ApiError> {
    super::routes::repo(text.strip_suffix(".git").unwrap_or(text))
}

fn speaker(shared: &Shared) -> GitHttp {
    GitHttp::new(shared.engine.parts().forge.as_ref().clone(), PushLimits::STANDARD)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn failed(error: ForgeError) -> ApiError {
    ApiError::from(bailiwick_engine::EngineError::from(error))
}

fn answer(kind: &str, body: Body) -> Result<Response, ApiError> {
    Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(body)
        .map_err(|error| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "http.failed",
                &error.to_string(),
                "try again",
            )
        })
}

pub(super) async fn advertise(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<Advertisement>,
) -> Result<Response, ApiError> {
    let service = match query.service.as_deref() {
        Some("git-upload-pack") => Service::UploadPack,
        Some("git-receive-pack") => Service::ReceivePack,
        _ => {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "git.old_client",
                "only git's smart HTTP protocol is spoken here",
                "use git 1.6.6 or newer",
            ));
        }
    };
    let body =
        speaker(&shared).advertise(&repo(&name)?, service, ONLY_REACHABLE).await.map_err(failed)?;
    answer(&format!("application/x-{}-advertisement", service.name()), Body::from(body))
}

pub(super) async fn upload_pack(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let encoding = BodyEncoding::parse(text(&headers, "content-encoding"))
        .map_err(|error| failed(error.into()))?;
    let body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let stream = speaker(&shared)
        .upload_pack(&repo(&name)?, encoding, ONLY_REACHABLE, body)
        .await
        .map_err(failed)?;
    answer("application/x-git-upload-pack-result", Body::from_stream(ReaderStream::new(stream)))
}

pub(super) async fn receive_pack(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let repo = repo(&name)?;
    let git = speaker(&shared);
    let encoding = BodyEncoding::parse(text(&headers, "content-encoding"))
        .map_err(|error| failed(error.into()))?;
    let body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let push = git.read_push(&repo, encoding, body).await.map_err(failed)?;
    let refusal = push.refusal();
    let reply = match push.wanted() {
        Wanted::Nothing => Vec::new(),
        Wanted::Refused { reason } => refusal.answer(&reason, None),
        Wanted::Branch(action) => {
            let subject = Subject {
                role: Role::Human,
                on_behalf_of: caller.person.clone(),
                task: None,
                subtask: None,
                session: None,
            };
            let context = Context {
                repo: repo.clone(),
                protected_branch: shared
                    .engine
                    .parts()
                    .forge
                    .protected_branch(&repo)
                    .await
                    .map_err(failed)?,
                taint: BTreeSet::new(),
                scope: Vec::new(),
                budget_left: MicroUsd(0),
                denials: 0,
                single_user: shared.config.platform.single_user,
                approvals: BTreeSet::new(),
                facts: bailiwick_model::subject::SessionFacts::default(),
            };
            let warden = &shared.engine.parts().warden;
            let done = warden
                .perform(&subject, &context, action, |permit| async move {
                    git.receive_pack(permit, push).await
                })
                .await;
            match done {
                Ok(answer) => answer.body,
                Err(error) => refusal.answer(&said(&error), Some(&error.hint())),
            }
        }
    };
    answer("application/x-git-receive-pack-result", Body::from(reply))
}

/// What git shows beside the refused ref.
fn said(error: &ActError<ForgeError>) -> String {
    match error {
        ActError::Denied { denial, .. } => {
            let rules = if denial.rules.is_empty() {
                String::new()
            } else {
                format!(" (rule {})", denial.rules.join(", "))
            };
            format!("{}{rules} [{}]", denial.reason, denial.code)
        }
        other => other.to_string(),
    }
}
