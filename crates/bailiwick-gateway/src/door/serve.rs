//! Accepting connections, reading requests, and finding out what they want.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Door;
use super::answer::Answer;
use super::count::Counted;
use crate::inbound::{ClientError, Protocol, gemini, read};
use crate::price::tokens_of_bytes;

/// The most connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// The most bytes of a request's body.
const MAX_BODY_BYTES: usize = 32 << 20;
/// The most bytes of its head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most headers.
const MAX_HEADERS: usize = 64;
/// How long a request's head, and then its body, may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What calls run on, and what ends them.
#[derive(Clone)]
pub(super) struct Floor {
    pub(super) tasks: TaskTracker,
    /// Cancelled when the cage is gone: calls that are under way are given up and recorded.
    pub(super) over: CancellationToken,
}

impl Door {
    /// Serves what connects until `closed`, then gives up what is under way, so that every call has
    /// its outcome in the ledger when this returns.
    pub async fn serve(self: &Arc<Self>, listener: TcpListener, closed: CancellationToken) {
        let floor = Floor { tasks: TaskTracker::new(), over: closed.child_token() };
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = async {
                // A program that opens thousands of connections waits in front of the door.
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = closed.cancelled() => break,
                accepted = accepted => accepted,
            };
            let (Ok(place), Ok((stream, _))) = (place, accepted) else {
                // Out of files, most likely: not for long.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            self.counters.connections.fetch_add(1, Ordering::Relaxed);
            // A client waits for each piece of a stream.
            let _only_slower = stream.set_nodelay(true);
            let (door, on) = (Arc::clone(self), floor.clone());
            floor.tasks.spawn(async move {
                let _place = place;
                let over = on.over.clone();
                tokio::select! {
                    () = over.cancelled() => {}
                    () = door.connection(stream, on) => {}
                }
            });
        }
        floor.over.cancel();
        floor.tasks.close();
        floor.tasks.wait().await;
    }

    async fn connection(self: &Arc<Self>, stream: tokio::net::TcpStream, floor: Floor) {
        let counted = Counted::new(
            stream,
            Arc::clone(&self.counters.bytes_out),
            Arc::clone(&self.counters.bytes_in),
        );
        let service = service_fn(|request| {
            let (door, floor) = (Arc::clone(self), floor.clone());
            async move { Ok::<Answer, Infallible>(door.answer(request, &floor).await) }
        });
        // What breaks HTTP itself has no protocol to be told in; the connection ends.
        let _broken = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(counted), service)
            .await;
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>, floor: &Floor) -> Answer {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.uri().path().trim_end_matches('/').to_owned();
        let query = request.uri().query().map(str::to_owned);
        let method = request.method().clone();
        let headers = request.headers().clone();
        let protocol = spoken(&path, &headers);
        let is_knock = method == Method::HEAD && path.is_empty();
        if !is_knock && !self.is_known(&headers) {
            let error = ClientError::new(
                401,
                "door.unknown_token",
                "this door is for the agent's own program, which has its token in the environment",
            );
            return self.refuse(protocol, &error);
        }
        match (&method, path.as_str(), gemini::address(&path)) {
            (&Method::HEAD | &Method::GET, "", _) => {
                self.bytes(StatusCode::OK, "text/plain", Bytes::new())
            }
            (&Method::GET, "/v1/models", _) => self.json(StatusCode::OK, &self.models()),
            (&Method::POST, "/v1/messages/count_tokens", _) => {
                match self.body(request, protocol).await {
                    Ok(body) => self.count_tokens(&body),
                    Err(answer) => answer,
                }
            }
            (&Method::POST, _, Some(gemini::Address::Model(_, gemini::Method::Count))) => {
                match self.body(request, protocol).await {
                    Ok(body) => self.count_gemini_tokens(&body),
                    Err(answer) => answer,
                }
            }
            (&Method::POST, _, Some(gemini::Address::Model(model, asked))) => {
                match self.body(request, protocol).await {
                    Ok(body) => match gemini::addressed(model, asked, query.as_deref(), &body) {
                        Ok(body) => self.call(protocol, &headers, &body, floor).await,
                        Err(error) => self.refuse(protocol, &error),
                    },
                    Err(answer) => answer,
                }
            }
            (&Method::GET, _, Some(gemini::Address::Models(named))) => self.gemini_models(named),
            (&Method::POST, path, None) if Protocol::of_path(path).is_some() => {
                match self.body(request, protocol).await {
                    Ok(body) => self.call(protocol, &headers, &body, floor).await,
                    Err(answer) => answer,
                }
            }
            (_, path, _) => {
                let known = Protocol::ALL.map(Protocol::path).join(", ");
                let error = ClientError::new(
                    404,
                    "door.no_such_address",
                    format!("there is no `{method} {}` here; calls go to {known}", shown(path)),
                );
                self.refuse(protocol, &error)
            }
        }
    }

    /// Whether the session's own token is shown, in a header of any family.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        [text("x-api-key"), text("x-goog-api-key"), bearer]
            .contains(&Some(self.session.token.as_str()))
    }

    async fn body(&self, request: Request<Incoming>, protocol: Protocol) -> Result<Bytes, Answer> {
        let packed = request.headers().get(CONTENT_ENCODING).is_some_and(|kind| kind != "identity");
        if packed {
            let error = ClientError::new(415, "request.packed", "a packed body is not read here");
            return Err(self.refuse(protocol, &error));
        }
        let limited = Limited::new(request.into_body(), MAX_BODY_BYTES);
        let error = match timeout(READ_TIMEOUT, limited.collect()).await {
            Ok(Ok(body)) => {
                let body = body.to_bytes();
                self.counters.body_bytes_out.fetch_add(body.len() as u64, Ordering::Relaxed);
                return Ok(body);
            }
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => ClientError::new(
                413,
                "request.too_large",
                format!("the body is larger than {MAX_BODY_BYTES} bytes"),
            ),
            Ok(Err(_)) => ClientError::bad("the body broke off"),
            Err(_) => ClientError::new(408, "request.too_slow", "the body did not come in time"),
        };
        Err(self.refuse(protocol, &error))
    }

    /// The one model of the session, in the shape that both families' clients read.
    fn models(&self) -> serde_json::Value {
        let model = &self.session.model;
        json!({
            "object": "list",
            "data": [{
                "id": model,
                "type": "model",
                "object": "model",
                "display_name": model,
                "created": 0,
                "created_at": "1970-01-01T00:00:00Z",
                "owned_by": self.session.provider,
            }],
            "has_more": false,
            "first_id": model,
            "last_id": model,
        })
    }

    /// An estimate on the high side, from the bytes: nothing leaves for it.
    fn count_tokens(&self, body: &[u8]) -> Answer {
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(value) if value.get("messages").is_some_and(serde_json::Value::is_array) => {
                self.json(StatusCode::OK, &json!({ "input_tokens": tokens_of_bytes(body.len()) }))
            }
            _ => self.refuse(
                Protocol::Anthropic,
                &ClientError::bad("the body is no JSON object with `messages`"),
            ),
        }
    }

    /// The same estimate in Gemini's form. A request may stand in the body or one level deeper.
    fn count_gemini_tokens(&self, body: &[u8]) -> Answer {
        let request = serde_json::from_slice::<serde_json::Value>(body).ok();
        let asked = request.as_ref().map(|request| {
            let inner = gemini::field(request, "generateContentRequest");
            inner.unwrap_or(request)
        });
        match asked.and_then(|asked| asked.get("contents")).is_some_and(|list| list.is_array()) {
            true => {
                self.json(StatusCode::OK, &json!({ "totalTokens": tokens_of_bytes(body.len()) }))
            }
            false => self.refuse(
                Protocol::Gemini,
                &ClientError::bad("the body is no JSON object with `contents`"),
            ),
        }
    }

    /// The one model of the session as Gemini lists it, or by its name.
    fn gemini_models(&self, named: Option<&str>) -> Answer {
        let model = &self.session.model;
        match named {
            None => self.json(StatusCode::OK, &json!({ "models": [gemini::model(model)] })),
            Some(name) if name == model => self.json(StatusCode::OK, &gemini::model(model)),
            Some(name) => {
                let told = format!("there is no model `{}` here, but `{model}`", shown(name));
                let error = ClientError::new(404, "door.no_such_model", told);
                self.refuse(Protocol::Gemini, &error)
            }
        }
    }

    async fn call(
        self: &Arc<Self>,
        protocol: Protocol,
        headers: &HeaderMap,
        body: &[u8],
        floor: &Floor,
    ) -> Answer {
        match read(protocol, body) {
            Ok(asked) => self.ask(asked, headers, body, floor).await,
            Err(error) => self.refuse(protocol, &error),
        }
    }
}

/// The protocol that a client most probably speaks.
fn spoken(path: &str, headers: &HeaderMap) -> Protocol {
    Protocol::of_path(path).unwrap_or_else(|| {
        if headers.contains_key("x-goog-api-key") || gemini::address(path).is_some() {
            return Protocol::Gemini;
        }
        let anthropic = headers.contains_key("x-api-key")
            || headers.contains_key("anthropic-version")
            || path.starts_with("/v1/messages");
        if anthropic { Protocol::Anthropic } else { Protocol::Chat }
    })
}

/// A path fit to be shown.
fn shown(path: &str) -> String {
    path.chars().filter(|c| !c.is_control()).take(100).collect()
}
