//! One call over HTTP: send, try again while that is certainly free, read the stream within its
//! limits. Private to the crate: the only way in is [`Gateway::call`](crate::Gateway::call).

mod relay;

use std::time::Duration;

use bailiwick_model::chat::{ChatReply, ChatRequest};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use serde_json::Value;
use tokio::time::timeout;

use crate::anthropic::{self, AnthropicAssembler};
use crate::assemble::{AssembleError, Assembler, Fallback, Progress};
use crate::config::{ConfigError, ProviderConfig, ProviderKind};
use crate::endpoint::{self, Endpoint};
use crate::error::{ModelError, Phase};
use crate::key::ApiKey;
use crate::openai::{self, OpenAiAssembler};
use crate::price::estimated_input_tokens;
use crate::retry::{RetryPolicy, asked_pause, is_retryable, jitter};
use crate::sse::{SseDecoder, SseError};

/// The most bytes that are read of an answer which is not a stream.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The most characters of a server's words that an error shows.
const MAX_SHOWN_CHARS: usize = 500;

/// A provider that is reached over HTTP.
#[derive(Debug)]
pub(crate) struct HttpProvider {
    config: ProviderConfig,
    pub(crate) endpoint: Endpoint,
    pub(crate) key: ApiKey,
    client: reqwest::Client,
}

/// A failed attempt.
enum Failure {
    /// Certainly not billed, and another attempt may help.
    Passing { error: ModelError, asked_pause: Option<Duration> },
    /// Anything else.
    Final(ModelError),
}

/// What a server says when it does not answer with a stream.
struct ServerWords {
    code: String,
    message: String,
    is_error: bool,
}

impl HttpProvider {
    pub(crate) fn new(config: &ProviderConfig) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::of(config)?;
        let client = endpoint::client(config, &endpoint)?;
        let key = ApiKey::resolve(config.api_key.as_ref());
        Ok(Self { config: config.clone(), endpoint, key, client })
    }

    pub(crate) async fn call(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let headers = self.headers()?;
        let body = self.encode(request);
        let mut is_sent = false;
        let attempts = self.attempts(request, &headers, &body, &mut is_sent);
        match timeout(self.config.call_timeout(), attempts).await {
            Ok(result) => result,
            Err(_) => Err(self.too_long(is_sent)),
        }
    }

    fn too_long(&self, possibly_billed: bool) -> ModelError {
        ModelError::Timeout {
            provider: self.name(),
            phase: Phase::Call,
            limit_ms: self.config.call_timeout_ms,
            possibly_billed,
        }
    }

    fn name(&self) -> String {
        self.config.name.clone()
    }

    fn shown(&self, text: &str) -> String {
        self.key.redact(text, MAX_SHOWN_CHARS)
    }

    fn encode(&self, request: &ChatRequest) -> Vec<u8> {
        let body = match self.config.kind {
            ProviderKind::Anthropic => anthropic::encode(request),
            ProviderKind::Openai | ProviderKind::Scripted => {
                openai::encode(request, self.endpoint.output_limit)
            }
        };
        body.to_string().into_bytes()
    }

    fn headers(&self) -> Result<HeaderMap, ModelError> {
        if let ApiKey::Missing { reference, problem } = &self.key {
            return Err(ModelError::MissingKey {
                provider: self.name(),
                reference: reference.to_string(),
                problem: problem.clone(),
            });
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let (name, prefix) = match self.config.kind {
            ProviderKind::Anthropic => {
                headers.insert("anthropic-version", HeaderValue::from_static(anthropic::VERSION));
                (HeaderName::from_static("x-api-key"), "")
            }
            ProviderKind::Openai | ProviderKind::Scripted => (AUTHORIZATION, "Bearer "),
        };
        if let Some(value) = self.key.header(prefix) {
            headers.insert(name, value);
        }
        Ok(headers)
    }

    async fn attempts(
        &self,
        request: &ChatRequest,
        headers: &HeaderMap,
        body: &[u8],
        is_sent: &mut bool,
    ) -> Result<ChatReply, ModelError> {
        let mut attempts = 0_u32;
        loop {
            *is_sent = true;
            attempts = attempts.saturating_add(1);
            let failure = match self.attempt(request, headers, body, attempts).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let pause = self.pause_after(failure, attempts)?;
            *is_sent = false;
            tokio::time::sleep(pause).await;
        }
    }

    /// How long to wait before the next attempt, or why there is none.
    fn pause_after(&self, failure: Failure, attempts: u32) -> Result<Duration, ModelError> {
        let (error, asked) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Passing { error, asked_pause } => (error, asked_pause),
        };
        let policy = RetryPolicy {
            max_retries: self.config.max_retries,
            first_pause: Duration::from_millis(self.config.retry_pause_ms),
            max_pause: Duration::from_millis(self.config.max_retry_pause_ms),
        };
        policy.pause(attempts.saturating_sub(1), asked, jitter()).ok_or(error)
    }

    async fn attempt(
        &self,
        request: &ChatRequest,
        headers: &HeaderMap,
        body: &[u8],
        attempts: u32,
    ) -> Result<ChatReply, Failure> {
        let body = Bytes::copy_from_slice(body);
        let response = self.send(self.endpoint.calls.clone(), headers, body, attempts).await?;
        self.read_success(response, request).await.map_err(Failure::Final)
    }

    /// Sends one attempt; an answer that is no success is a failure.
    async fn send(
        &self,
        url: Url,
        headers: &HeaderMap,
        body: Bytes,
        attempts: u32,
    ) -> Result<Response, Failure> {
        let sending = self.client.post(url).headers(headers.clone()).body(body).send();
        // The connection has a deadline of its own.
        let deadline = self.config.connect_timeout().saturating_add(self.config.idle_timeout());
        let response = match timeout(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(source)) => return Err(self.not_sent(source.without_url(), attempts)),
            Err(_) => return Err(Failure::Final(self.silent())),
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.read_failure(response, attempts).await)
        }
    }

    fn not_sent(&self, source: reqwest::Error, attempts: u32) -> Failure {
        let provider = self.name();
        if !source.is_connect() {
            // Nobody knows whether the provider had begun to work on it.
            return Failure::Final(ModelError::Broken { provider, source });
        }
        let error = if source.is_timeout() {
            ModelError::Timeout {
                provider,
                phase: Phase::Connect,
                limit_ms: self.config.connect_timeout_ms,
                possibly_billed: false,
            }
        } else {
            let address = self.endpoint.first_hop_address();
            ModelError::Unreachable { provider, address, attempts, source }
        };
        Failure::Passing { error, asked_pause: None }
    }

    fn silent(&self) -> ModelError {
        ModelError::Timeout {
            provider: self.name(),
            phase: Phase::Silence,
            limit_ms: self.config.idle_timeout_ms,
            possibly_billed: true,
        }
    }

    async fn read_failure(&self, response: Response, attempts: u32) -> Failure {
        let status = response.status().as_u16();
        let asked_pause = asked_pause(response.headers(), Timestamp::now());
        let words = self.read_words(response).await;
        let provider = self.name();
        let message = words.message;
        let error = match status {
            401 | 403 => ModelError::Auth { provider, status, message },
            429 | 529 => {
                let retry_after_ms =
                    asked_pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                ModelError::RateLimited { provider, status, attempts, retry_after_ms, message }
            }
            500..=599 | 408 | 409 => {
                ModelError::Unavailable { provider, status, attempts, message }
            }
            _ => ModelError::Rejected { provider, status, message },
        };
        // An exhausted account does not fill up in a minute.
        if is_retryable(status) && words.code != "insufficient_quota" {
            Failure::Passing { error, asked_pause }
        } else {
            Failure::Final(error)
        }
    }

    async fn read_success(
        &self,
        response: Response,
        request: &ChatRequest,
    ) -> Result<ChatReply, ModelError> {
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("none")
            .to_owned();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            return self.read_stream(response, request).await;
        }
        let words = self.read_words(response).await;
        let provider = self.name();
        Err(if words.is_error {
            ModelError::ErrorInReply { provider, kind: words.code, message: words.message }
        } else {
            ModelError::WrongContentType { provider, content_type: self.shown(&content_type) }
        })
    }

    async fn read_stream(
        &self,
        mut response: Response,
        request: &ChatRequest,
    ) -> Result<ChatReply, ModelError> {
        let mut decoder = SseDecoder::new(self.config.sse_limits());
        let mut assembler = self.assembler(request);
        let mut events = Vec::new();
        loop {
            let chunk = match timeout(self.config.idle_timeout(), response.chunk()).await {
                Err(_) => return Err(self.silent()),
                Ok(Err(error)) => return Err(self.broke_off(&decoder, &error)),
                Ok(Ok(chunk)) => chunk,
            };
            let Some(bytes) = chunk else { break };
            let decoded = decoder.feed(&bytes, &mut events);
            for event in events.drain(..) {
                match assembler.event(&event) {
                    Ok(Progress::More) => {}
                    Ok(Progress::Done) => {
                        return assembler.finish().map_err(|error| self.no_reply(error));
                    }
                    Err(error) => return Err(self.no_reply(error)),
                }
            }
            decoded.map_err(|error| self.undecodable(&error))?;
        }
        // Without its terminator the reply is incomplete, whatever it holds.
        assembler.finish().map_err(|error| self.no_reply(error))
    }

    fn assembler(&self, request: &ChatRequest) -> Assembler {
        let fallback = Fallback {
            model: request.model.clone(),
            input_tokens: estimated_input_tokens(request),
        };
        match self.config.kind {
            ProviderKind::Anthropic => Assembler::Anthropic(AnthropicAssembler::new(fallback)),
            ProviderKind::Openai | ProviderKind::Scripted => {
                Assembler::OpenAi(OpenAiAssembler::new(fallback))
            }
        }
    }

    fn broke_off(&self, decoder: &SseDecoder, error: &reqwest::Error) -> ModelError {
        let bytes = decoder.seen_bytes();
        let problem = self.shown(&format!("the connection broke after {bytes} bytes: {error}"));
        ModelError::Truncated { provider: self.name(), problem }
    }

    fn undecodable(&self, error: &SseError) -> ModelError {
        let (provider, problem) = (self.name(), error.to_string());
        match error {
            SseError::EventTooLarge { .. } | SseError::StreamTooLarge { .. } => {
                ModelError::TooLarge { provider, problem }
            }
            SseError::NotUtf8 => ModelError::Malformed { provider, problem },
        }
    }

    fn no_reply(&self, error: AssembleError) -> ModelError {
        let provider = self.name();
        match error {
            AssembleError::Malformed { problem } => {
                ModelError::Malformed { provider, problem: self.shown(&problem) }
            }
            AssembleError::Truncated { problem } => ModelError::Truncated { provider, problem },
            AssembleError::Reported { kind, message } => ModelError::ErrorInReply {
                provider,
                kind: self.shown(&kind),
                message: self.shown(&message),
            },
            AssembleError::Empty { usage } => ModelError::Empty { provider, usage },
            AssembleError::Refused { message, usage } => {
                ModelError::Refused { provider, message: self.shown(&message), usage }
            }
        }
    }

    /// Reads what a server says, as far as it says it in time.
    async fn read_words(&self, mut response: Response) -> ServerWords {
        let mut bytes: Vec<u8> = Vec::new();
        while bytes.len() < MAX_ERROR_BYTES {
            match timeout(self.config.idle_timeout(), response.chunk()).await {
                Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        bytes.truncate(MAX_ERROR_BYTES);
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let error = body.get("error").filter(|error| !error.is_null());
        let text = |value: Option<&Value>, field: &str| {
            value.and_then(|value| value.get(field)).and_then(Value::as_str).map(str::to_owned)
        };
        let message = text(error, "message")
            .or_else(|| error.and_then(Value::as_str).map(str::to_owned))
            .or_else(|| text(Some(&body), "message"))
            .or_else(|| text(Some(&body), "detail"))
            .unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
        let code = text(error, "code").or_else(|| text(error, "type"));
        ServerWords {
            code: self.shown(&code.unwrap_or_else(|| "error".to_owned())),
            message: if message.is_empty() {
                "the server gave no reason".to_owned()
            } else {
                self.shown(&message)
            },
            is_error: error.is_some(),
        }
    }
}
