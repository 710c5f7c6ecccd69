//! A web server on loopback, as small as it can be, in front of the forge.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bailiwick_forge::{BodyEncoding, EmbeddedForge, ForgeError, GitHttp, PushLimits, Wanted};
use bailiwick_git::Service;
use bailiwick_model::id::RepoName;
use bailiwick_model::outcome::EffectError as _;
use bailiwick_warden::Warden;
use futures_util::TryStreamExt as _;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::support::{context, subject, warden};

pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) gzipped: Arc<AtomicU32>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    git: GitHttp,
    warden: Arc<Warden>,
    gzipped: Arc<AtomicU32>,
}

struct Failure(ForgeError);

impl From<ForgeError> for Failure {
    fn from(error: ForgeError) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            ForgeError::NoRepository { .. } => StatusCode::NOT_FOUND,
            ForgeError::Protocol(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.code()).into_response()
    }
}

impl Server {
    pub(crate) fn start(forge: &EmbeddedForge, limits: PushLimits) -> Self {
        let gzipped = Arc::new(AtomicU32::new(0));
        let shared = Shared {
            git: GitHttp::new(forge.clone(), limits),
            warden: Arc::new(warden()),
            gzipped: Arc::clone(&gzipped),
        };
        let router = Router::new()
            .route("/{repo}/info/refs", get(info_refs))
            .route("/{repo}/git-upload-pack", post(upload_pack))
            .route("/{repo}/git-receive-pack", post(receive_pack))
            .with_state(shared);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let stopped = async { stopped.await.unwrap_or_default() };
                axum::serve(listener, router).with_graceful_shutdown(stopped).await.unwrap();
            });
        });
        Self { address: started.recv().unwrap(), gzipped, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self, repo: &str) -> String {
        format!("http://{}/{repo}.git", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn repo(path: &str) -> Result<RepoName, Failure> {
    let name = path.strip_suffix(".git").unwrap_or(path);
    RepoName::parse(name).map_err(|_| {
        Failure(ForgeError::NoRepository { repo: RepoName::parse("unknown").unwrap() })
    })
}

fn protocol(headers: &HeaderMap) -> Option<&str> {
    headers.get("git-protocol").and_then(|value| value.to_str().ok())
}

fn encoding(headers: &HeaderMap) -> Result<BodyEncoding, Failure> {
    let value = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    Ok(BodyEncoding::parse(value).map_err(ForgeError::from)?)
}

fn reader(body: Body) -> impl AsyncRead + Unpin {
    StreamReader::new(body.into_data_stream().map_err(io::Error::other))
}

fn answer(kind: String, body: Body) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache".to_owned())], body)
        .into_response()
}

async fn info_refs(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let service =
        query.as_deref().and_then(|query| query.strip_prefix("service=")).and_then(Service::parse);
    let Some(service) = service else { return Ok(StatusCode::FORBIDDEN.into_response()) };
    let body = shared.git.advertise(&repo(&path)?, service, protocol(&headers)).await?;
    Ok(answer(format!("application/x-{}-advertisement", service.name()), Body::from(body)))
}

async fn upload_pack(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let encoding = encoding(&headers)?;
    if encoding == BodyEncoding::Gzip {
        shared.gzipped.fetch_add(1, Ordering::SeqCst);
    }
    let stream =
        shared.git.upload_pack(&repo(&path)?, encoding, protocol(&headers), reader(body)).await?;
    Ok(answer(
        "application/x-git-upload-pack-result".to_owned(),
        Body::from_stream(ReaderStream::new(stream)),
    ))
}

async fn receive_pack(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let push = shared.git.read_push(&repo(&path)?, encoding(&headers)?, reader(body)).await?;
    let refusal = push.refusal();
    let body = match push.wanted() {
        Wanted::Nothing => Vec::new(),
        Wanted::Refused { reason } => refusal.answer(&reason, None),
        Wanted::Branch(action) => {
            let git = shared.git.clone();
            let (subject, context) = (subject(), context());
            let done = shared.warden.perform(&subject, &context, action, |permit| async move {
                git.receive_pack(permit, push).await
            });
            match done.await {
                Ok(answer) => answer.body,
                Err(error) => refusal.answer(&error.to_string(), Some(&error.hint())),
            }
        }
    };
    Ok(answer("application/x-git-receive-pack-result".to_owned(), Body::from(body)))
}
