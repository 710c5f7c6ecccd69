//! Answers of the door.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Door;
use crate::inbound::{ClientError, Protocol};

pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// A body of pieces that come in.
struct Pieces {
    door: Arc<Door>,
    pieces: mpsc::Receiver<Bytes>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.poll_recv(cx);
        if let Poll::Ready(Some(piece)) = &next {
            self.door.count_answer(piece.len());
        }
        next.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Door {
    pub(super) fn count_answer(&self, bytes: usize) {
        use std::sync::atomic::Ordering;
        self.counters.body_bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// An error, in the client's own protocol.
    pub(super) fn refuse(&self, protocol: Protocol, error: &ClientError) -> Answer {
        use std::sync::atomic::Ordering;
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut answer = self.json(status, &error.body(protocol));
        let retry = if error.retry { "true" } else { "false" };
        answer
            .headers_mut()
            .insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static(retry));
        answer
    }

    pub(super) fn json(&self, status: StatusCode, body: &Value) -> Answer {
        self.bytes(status, "application/json", Bytes::from(body.to_string()))
    }

    pub(super) fn bytes(
        &self,
        status: StatusCode,
        content_type: &'static str,
        body: Bytes,
    ) -> Answer {
        self.count_answer(body.len());
        with(status, content_type, Full::new(body).boxed())
    }

    pub(super) fn pieces(
        self: &Arc<Self>,
        content_type: &'static str,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Answer {
        let body = Pieces { door: Arc::clone(self), pieces };
        with(StatusCode::OK, content_type, body.boxed())
    }
}

fn with(
    status: StatusCode,
    content_type: &'static str,
    body: BoxBody<Bytes, Infallible>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Adds a header when its value can be one.
pub(super) fn note(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
