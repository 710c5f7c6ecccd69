//! A call that is passed on as its client wrote it, and its answer as the server wrote it.

use std::sync::Arc;

use bailiwick_model::action::{Act, Action, ModelCall};
use bailiwick_model::task::MicroUsd;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::assemble::{AssembleError, Assembler, Fallback};
use crate::inbound::Protocol;
use crate::sse::SseEvent;

/// A model call with the very bytes that are sent: what is decided and recorded is the
/// [`ModelCall`], whose digest is that of the bytes.
#[derive(Debug, Clone)]
pub struct Relay {
    /// The call, as it is decided and recorded.
    pub call: ModelCall,
    /// The protocol that client and server speak.
    pub protocol: Protocol,
    /// The body.
    pub body: Arc<[u8]>,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// The features that the client asks its protocol for (`anthropic-beta` and the like), by the
    /// names of their headers.
    pub features: Vec<(&'static str, String)>,
}

impl Act for Relay {
    fn to_action(&self) -> Action {
        Action::ModelCall(self.call.clone())
    }

    fn reservation(&self) -> MicroUsd {
        self.call.estimate
    }
}

/// Where an answer goes while it comes in.
#[derive(Debug)]
pub struct RelaySink {
    pub(crate) head: Option<oneshot::Sender<RelayHead>>,
    pub(crate) pieces: mpsc::Sender<Bytes>,
    /// Whether all of it was passed on, up to its terminator.
    pub(crate) whole: bool,
}

/// What comes before the first piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayHead {
    /// Whether a stream follows.
    pub stream: bool,
    /// The server's own id of the call.
    pub request_id: Option<String>,
}

/// The client went away.
#[derive(Debug)]
pub(crate) struct Gone;

impl RelaySink {
    /// A sink, and the ends that its client reads.
    pub(crate) fn new() -> (Self, oneshot::Receiver<RelayHead>, mpsc::Receiver<Bytes>) {
        let (head, told) = oneshot::channel();
        let (pieces, read) = mpsc::channel(8);
        (Self { head: Some(head), pieces, whole: false }, told, read)
    }

    pub(crate) fn begin(&mut self, head: RelayHead) -> Result<(), Gone> {
        match self.head.take() {
            Some(sender) => sender.send(head).map_err(|_| Gone),
            None => Ok(()),
        }
    }

    /// Waits until the client takes it: a slow one slows the server down, and nothing piles up.
    pub(crate) async fn pass(&self, piece: Bytes) -> Result<(), Gone> {
        self.pieces.send(piece).await.map_err(|_| Gone)
    }
}

/// The assembler of a protocol's stream.
///
/// # Errors
/// Fails for a protocol that no server is asked in.
pub(crate) fn assembler(
    protocol: Protocol,
    fallback: Fallback,
) -> Result<Assembler, AssembleError> {
    Ok(match protocol {
        Protocol::Anthropic => {
            Assembler::Anthropic(crate::anthropic::AnthropicAssembler::new(fallback))
        }
        Protocol::Chat => Assembler::OpenAi(crate::openai::OpenAiAssembler::new(fallback)),
        Protocol::Responses => {
            Assembler::Responses(crate::responses::ResponsesAssembler::new(fallback))
        }
        Protocol::Gemini => return Err(never_passed_on()),
    })
}

fn never_passed_on() -> AssembleError {
    AssembleError::malformed("no server is asked in the protocol of this client")
}

/// The events that a whole answer would have been, so that one reader understands both.
///
/// # Errors
/// Fails when it is not the protocol's answer.
pub(crate) fn as_events(
    protocol: Protocol,
    answer: &Value,
) -> Result<Vec<SseEvent>, AssembleError> {
    use serde_json::json;
    let text = |field: &str| answer.get(field).and_then(Value::as_str);
    let malformed = |what: &str| AssembleError::malformed(format!("the answer has no `{what}`"));
    let mut events = Vec::new();
    let mut push = |data: Value| events.push(SseEvent { name: None, data: data.to_string() });
    match protocol {
        Protocol::Anthropic => {
            let content = answer
                .get("content")
                .and_then(Value::as_array)
                .ok_or_else(|| malformed("content"))?;
            push(json!({ "type": "message_start", "message": answer }));
            for (index, block) in content.iter().enumerate() {
                push(
                    json!({ "type": "content_block_start", "index": index, "content_block": block }),
                );
            }
            let delta = json!({ "stop_reason": text("stop_reason") });
            push(json!({ "type": "message_delta", "delta": delta, "usage": answer.get("usage") }));
            push(json!({ "type": "message_stop" }));
        }
        Protocol::Chat => {
            let choice = answer
                .get("choices")
                .and_then(Value::as_array)
                .and_then(|choices| choices.first())
                .ok_or_else(|| malformed("choices"))?;
            let mut delta = choice.get("message").cloned().ok_or_else(|| malformed("message"))?;
            let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
            for (index, call) in calls.into_iter().flatten().enumerate() {
                if let Some(fields) = call.as_object_mut() {
                    fields.insert("index".to_owned(), json!(index));
                }
            }
            push(json!({
                "model": answer.get("model"),
                "choices": [{
                    "index": 0,
                    "delta": delta,
                    "finish_reason": choice.get("finish_reason"),
                }],
                "usage": answer.get("usage"),
            }));
            events.push(SseEvent { name: None, data: "[DONE]".to_owned() });
        }
        Protocol::Responses => {
            if text("object") != Some("response") {
                return Err(malformed("object"));
            }
            push(json!({ "type": "response.completed", "response": answer }));
        }
        Protocol::Gemini => return Err(never_passed_on()),
    }
    Ok(events)
}
