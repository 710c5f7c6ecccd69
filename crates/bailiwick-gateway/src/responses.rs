//! A reply from the events of an OpenAI Responses stream.
//!
//! The last event has the whole response in it, so the pieces before it are not put together.

use bailiwick_model::chat::{Block, ChatReply, StopReason};
use serde_json::{Value, json};

use crate::assemble::{
    AssembleError, Assembled, Fallback, Progress, ReportedUsage, read_json, tool_use,
};
use crate::sse::SseEvent;

/// The family name in preserved reasoning items: only this API can read them.
const FAMILY: &str = "openai-responses";

/// The state of one Responses stream.
#[derive(Debug)]
pub struct ResponsesAssembler {
    fallback: Fallback,
    response: Option<Value>,
}

impl ResponsesAssembler {
    /// Makes the assembler of one reply.
    #[must_use]
    pub fn new(fallback: Fallback) -> Self {
        Self { fallback, response: None }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Fails when the event is malformed or reports an error.
    pub fn event(&mut self, event: &SseEvent) -> Result<Progress, AssembleError> {
        if self.response.is_some() {
            return Ok(Progress::Done);
        }
        let mut event: Value = read_json(&event.data)?;
        match event.get("type").and_then(Value::as_str) {
            Some("error") => Err(reported(&event)),
            Some("response.failed") => {
                let error = event.get("response").and_then(|response| response.get("error"));
                Err(reported(error.unwrap_or(&event)))
            }
            Some("response.completed" | "response.incomplete") => {
                let response = event.get_mut("response").map(Value::take);
                let response = response
                    .filter(Value::is_object)
                    .ok_or_else(|| AssembleError::malformed("the last event has no `response`"))?;
                self.response = Some(response);
                Ok(Progress::Done)
            }
            Some(_) => Ok(Progress::More),
            None => Err(AssembleError::malformed("an event has no `type`")),
        }
    }

    /// Returns the reply.
    ///
    /// # Errors
    /// Fails when the last event is missing, or when there is no usable reply.
    pub fn finish(self) -> Result<ChatReply, AssembleError> {
        let response = self.response.ok_or_else(|| {
            AssembleError::truncated("the stream ended without `response.completed`")
        })?;
        assembled(&response)?.judge(&self.fallback)
    }
}

fn reported(error: &Value) -> AssembleError {
    let text = |field: &str| error.get(field).and_then(Value::as_str).map(str::to_owned);
    AssembleError::Reported {
        kind: text("code").unwrap_or_else(|| "error".to_owned()),
        message: text("message").unwrap_or_default(),
    }
}

fn assembled(response: &Value) -> Result<Assembled, AssembleError> {
    let text = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut blocks = Vec::new();
    let mut refusal = None;
    let mut called = false;
    for item in response.get("output").and_then(Value::as_array).into_iter().flatten() {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                    match part.get("type").and_then(Value::as_str) {
                        Some("output_text") => {
                            blocks.push(Block::Text { text: text(part, "text") });
                        }
                        Some("refusal") => refusal = Some(text(part, "refusal")),
                        _ => {}
                    }
                }
            }
            Some(kind @ ("function_call" | "custom_tool_call")) => {
                let (id, name) = (text(item, "call_id"), text(item, "name"));
                if id.is_empty() || name.is_empty() {
                    return Err(AssembleError::malformed("a tool call without id or name"));
                }
                called = true;
                blocks.push(if kind == "function_call" {
                    tool_use(id, name, text(item, "arguments"))
                } else {
                    let input = json!({ "input": text(item, "input") });
                    Block::ToolUse { id, name, input, invalid_input: None }
                });
            }
            Some("reasoning") => {
                let payload = item.clone();
                blocks.push(Block::Thinking { family: FAMILY.to_owned(), payload });
            }
            _ => {}
        }
    }
    let stop = match (text(response, "status").as_str(), called) {
        ("incomplete", _) => StopReason::MaxTokens,
        (_, true) => StopReason::ToolUse,
        (_, false) => StopReason::EndTurn,
    };
    let usage = response.get("usage");
    let count = |value: Option<&Value>, field: &str| {
        value.and_then(|value| value.get(field)).and_then(Value::as_u64)
    };
    let details = usage.and_then(|usage| usage.get("input_tokens_details"));
    let cached = count(details, "cached_tokens").unwrap_or(0);
    let usage = ReportedUsage {
        input_tokens: count(usage, "input_tokens").map(|tokens| tokens.saturating_sub(cached)),
        output_tokens: count(usage, "output_tokens"),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
    };
    let model = response.get("model").and_then(Value::as_str).map(str::to_owned);
    Ok(Assembled { blocks, stop, refusal, usage, model })
}
