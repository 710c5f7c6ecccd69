//! Passing a call on over HTTP: the same limits and retries as any other, and the answer handed on
//! piece by piece as it was read and understood.

use bailiwick_model::chat::ChatReply;
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::timeout;

use super::{Failure, HttpProvider};
use crate::assemble::{AssembleError, Assembler, Fallback, Progress};
use crate::error::ModelError;
use crate::inbound::Protocol;
use crate::price::tokens_of_bytes;
use crate::relay::{Relay, RelayHead, RelaySink, as_events, assembler};
use crate::sse::SseDecoder;

/// The longest id of a call that a server may give.
const MAX_ID_BYTES: usize = 200;

impl HttpProvider {
    pub(crate) async fn relay(
        &self,
        relay: &Relay,
        sink: &mut RelaySink,
    ) -> Result<ChatReply, ModelError> {
        let headers = self.relay_headers(relay)?;
        let mut is_sent = false;
        let attempts = self.relay_attempts(relay, &headers, sink, &mut is_sent);
        match timeout(self.config.call_timeout(), attempts).await {
            Ok(result) => result,
            Err(_) => Err(self.too_long(is_sent)),
        }
    }

    fn relay_headers(&self, relay: &Relay) -> Result<HeaderMap, ModelError> {
        let mut headers = self.headers()?;
        if !relay.stream {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &relay.features {
            let value = HeaderValue::from_str(value).map_err(|_| ModelError::Unsendable {
                provider: self.name(),
                problem: format!("the header `{name}` can't be sent"),
            })?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    async fn relay_attempts(
        &self,
        relay: &Relay,
        headers: &HeaderMap,
        sink: &mut RelaySink,
        is_sent: &mut bool,
    ) -> Result<ChatReply, ModelError> {
        let mut attempts = 0_u32;
        loop {
            *is_sent = true;
            attempts = attempts.saturating_add(1);
            let failure = match self.relay_attempt(relay, headers, sink, attempts).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let pause = self.pause_after(failure, attempts)?;
            *is_sent = false;
            tokio::time::sleep(pause).await;
        }
    }

    async fn relay_attempt(
        &self,
        relay: &Relay,
        headers: &HeaderMap,
        sink: &mut RelaySink,
        attempts: u32,
    ) -> Result<ChatReply, Failure> {
        let url = self.endpoint.of_protocol(relay.protocol);
        let body = Bytes::copy_from_slice(&relay.body);
        let response = self.send(url, headers, body, attempts).await?;
        self.relay_success(response, relay, sink).await.map_err(Failure::Final)
    }

    async fn relay_success(
        &self,
        response: Response,
        relay: &Relay,
        sink: &mut RelaySink,
    ) -> Result<ChatReply, ModelError> {
        let header = |name: &HeaderName| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        // What is packed is not unpacked: nobody asked for it, and it may be a bomb.
        let packed = header(&CONTENT_ENCODING).to_owned();
        if !packed.is_empty() && !packed.eq_ignore_ascii_case("identity") {
            let content_type = self.shown(&format!("packed as {packed}"));
            return Err(ModelError::WrongContentType { provider: self.name(), content_type });
        }
        let content_type = header(&CONTENT_TYPE).to_owned();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let request_id = ["request-id", "x-request-id"]
            .into_iter()
            .map(|name| header(&HeaderName::from_static(name)))
            .find(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
            .map(|id| self.shown(id));
        let head = RelayHead { stream: relay.stream, request_id };
        let fallback = Fallback {
            model: relay.call.model.clone(),
            input_tokens: tokens_of_bytes(relay.body.len()),
        };
        let assembler =
            assembler(relay.protocol, fallback).map_err(|error| self.no_reply(error))?;
        match (relay.stream, essence.to_ascii_lowercase().as_str()) {
            (true, "text/event-stream") => self.relay_stream(response, assembler, head, sink).await,
            (false, "application/json") => {
                self.relay_whole(response, relay.protocol, assembler, head, sink).await
            }
            _ => {
                let words = self.read_words(response).await;
                let provider = self.name();
                Err(if words.is_error {
                    ModelError::ErrorInReply { provider, kind: words.code, message: words.message }
                } else {
                    ModelError::WrongContentType {
                        provider,
                        content_type: self.shown(&content_type),
                    }
                })
            }
        }
    }

    /// Each chunk is understood before it is passed on: what breaks the protocol is not.
    async fn relay_stream(
        &self,
        mut response: Response,
        mut assembler: Assembler,
        head: RelayHead,
        sink: &mut RelaySink,
    ) -> Result<ChatReply, ModelError> {
        let mut head = Some(head);
        // Nothing is said before something was understood.
        let mut held: Vec<Bytes> = Vec::new();
        let mut decoder = SseDecoder::new(self.config.sse_limits());
        let mut events = Vec::new();
        loop {
            let chunk = match timeout(self.config.idle_timeout(), response.chunk()).await {
                Err(_) => return Err(self.silent()),
                Ok(Err(error)) => return Err(self.broke_off(&decoder, &error)),
                Ok(Ok(chunk)) => chunk,
            };
            let Some(bytes) = chunk else { break };
            decoder.feed(&bytes, &mut events).map_err(|error| self.undecodable(&error))?;
            let mut done = false;
            held.push(bytes);
            if events.is_empty() && head.is_some() {
                continue;
            }
            for event in events.drain(..) {
                if self.key.is_in(&event.data) {
                    return Err(self.no_reply(AssembleError::malformed("it has our key in it")));
                }
                done |= assembler.event(&event).map_err(|error| self.no_reply(error))?
                    == Progress::Done;
            }
            if let Some(head) = head.take() {
                sink.begin(head).map_err(|_| self.client_gone())?;
            }
            for bytes in held.drain(..) {
                sink.pass(bytes).await.map_err(|_| self.client_gone())?;
            }
            if done {
                sink.whole = true;
                break;
            }
        }
        assembler.finish().map_err(|error| self.no_reply(error))
    }

    async fn relay_whole(
        &self,
        mut response: Response,
        protocol: Protocol,
        mut assembler: Assembler,
        head: RelayHead,
        sink: &mut RelaySink,
    ) -> Result<ChatReply, ModelError> {
        let limit = self.config.max_reply_bytes;
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let chunk = match timeout(self.config.idle_timeout(), response.chunk()).await {
                Err(_) => return Err(self.silent()),
                Ok(Err(error)) => {
                    let text = format!("the connection broke after {} bytes: {error}", bytes.len());
                    let problem = self.shown(&text);
                    return Err(ModelError::Truncated { provider: self.name(), problem });
                }
                Ok(Ok(chunk)) => chunk,
            };
            let Some(chunk) = chunk else { break };
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                let problem = format!("the answer is larger than {limit} bytes");
                return Err(ModelError::TooLarge { provider: self.name(), problem });
            }
        }
        let answer: Value = serde_json::from_slice(&bytes).map_err(|error| {
            self.no_reply(AssembleError::malformed(format!("the answer is not JSON: {error}")))
        })?;
        if self.key.is_in(&String::from_utf8_lossy(&bytes)) {
            return Err(self.no_reply(AssembleError::malformed("it has our key in it")));
        }
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let text = |field: &str| {
                error.get(field).and_then(Value::as_str).unwrap_or("error").to_owned()
            };
            return Err(self.no_reply(AssembleError::Reported {
                kind: text("type"),
                message: text("message"),
            }));
        }
        let mut read = || {
            for event in as_events(protocol, &answer)? {
                assembler.event(&event)?;
            }
            Ok(())
        };
        read().map_err(|error| self.no_reply(error))?;
        sink.begin(head).map_err(|_| self.client_gone())?;
        sink.pass(Bytes::from(bytes)).await.map_err(|_| self.client_gone())?;
        sink.whole = true;
        assembler.finish().map_err(|error| self.no_reply(error))
    }

    fn client_gone(&self) -> ModelError {
        ModelError::ClientGone { provider: self.name() }
    }
}
