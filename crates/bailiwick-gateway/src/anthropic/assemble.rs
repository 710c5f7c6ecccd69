//! A reply from the events of a Messages stream.

use std::collections::BTreeMap;

use bailiwick_model::chat::{Block, ChatReply, StopReason};
use serde::Deserialize;
use serde_json::{Value, json};

use super::FAMILY;
use crate::assemble::{
    AssembleError, Assembled, Fallback, Progress, ReportedUsage, read_json, tool_use,
};
use crate::sse::SseEvent;

/// The state of one Messages stream.
#[derive(Debug)]
pub struct AnthropicAssembler {
    fallback: Fallback,
    started: bool,
    done: bool,
    model: Option<String>,
    usage: ReportedUsage,
    stop: Option<String>,
    parts: BTreeMap<u64, Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    ToolUse {
        id: String,
        name: String,
        at_start: Value,
        raw: String,
    },
    Thinking {
        text: String,
        signature: String,
    },
    Opaque(Value),
    /// A kind that this version does not know and did not ask for.
    Unknown,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u64,
        content_block: Value,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    ContentBlockStop {},
    MessageDelta {
        delta: MessageDelta,
        usage: Option<WireUsage>,
    },
    MessageStop {},
    Ping {},
    Error {
        error: WireError,
    },
    // New kinds of events may be added at any time, says the protocol.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Start {
    model: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StartedBlock {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct MessageDelta {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

impl AnthropicAssembler {
    /// Makes the assembler of one reply.
    #[must_use]
    pub fn new(fallback: Fallback) -> Self {
        Self {
            fallback,
            started: false,
            done: false,
            model: None,
            usage: ReportedUsage::default(),
            stop: None,
            parts: BTreeMap::new(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Fails when the event is malformed or reports an error.
    pub fn event(&mut self, event: &SseEvent) -> Result<Progress, AssembleError> {
        if self.done {
            return Ok(Progress::Done);
        }
        match read_json(&event.data)? {
            Event::Error { error } => {
                return Err(AssembleError::Reported {
                    kind: error.kind.unwrap_or_else(|| "error".to_owned()),
                    message: error.message.unwrap_or_default(),
                });
            }
            Event::MessageStart { message } => {
                if self.started {
                    return Err(AssembleError::malformed("a second `message_start`"));
                }
                self.started = true;
                self.model = message.model;
                self.count(message.usage);
            }
            Event::Ping {} | Event::Unknown => {}
            _ if !self.started => {
                return Err(AssembleError::malformed("an event before `message_start`"));
            }
            Event::ContentBlockStart { index, content_block } => {
                self.start(index, content_block)?;
            }
            Event::ContentBlockDelta { index, delta } => self.delta(index, delta)?,
            Event::ContentBlockStop {} => {}
            Event::MessageDelta { delta, usage } => {
                self.stop = delta.stop_reason.or_else(|| self.stop.take());
                self.count(usage);
            }
            Event::MessageStop {} => {
                self.done = true;
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::More)
    }

    /// Returns the reply.
    ///
    /// # Errors
    /// Fails when `message_stop` is missing, or when there is no usable reply.
    pub fn finish(self) -> Result<ChatReply, AssembleError> {
        if !self.done {
            return Err(AssembleError::truncated("the stream ended without `message_stop`"));
        }
        let stop = match self.stop.as_deref() {
            Some("end_turn") => StopReason::EndTurn,
            Some("tool_use") => StopReason::ToolUse,
            Some("max_tokens" | "model_context_window_exceeded") => StopReason::MaxTokens,
            Some("stop_sequence") => StopReason::StopSequence,
            Some(_) => StopReason::Other,
            None => return Err(AssembleError::malformed("no reason to stop was given")),
        };
        let blocks: Vec<Block> = self.parts.into_values().filter_map(Part::into_block).collect();
        let refusal = (self.stop.as_deref() == Some("refusal")).then(|| {
            let said = blocks.iter().find_map(|block| match block {
                Block::Text { text } => Some(text.clone()),
                Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Thinking { .. } => None,
            });
            said.unwrap_or_else(|| "no reason was given".to_owned())
        });
        Assembled { blocks, stop, refusal, usage: self.usage, model: self.model }
            .judge(&self.fallback)
    }

    fn start(&mut self, index: u64, block: Value) -> Result<(), AssembleError> {
        let started = StartedBlock::deserialize(&block)
            .map_err(|error| AssembleError::malformed(format!("a content block: {error}")))?;
        let part = match started {
            StartedBlock::Text { text } => Part::Text(text),
            StartedBlock::ToolUse { id, name, input } => {
                if id.is_empty() || name.is_empty() {
                    return Err(AssembleError::malformed("a tool call without id or name"));
                }
                Part::ToolUse { id, name, at_start: input, raw: String::new() }
            }
            StartedBlock::Thinking { thinking, signature } => {
                Part::Thinking { text: thinking, signature }
            }
            StartedBlock::Unknown => match block.get("type").and_then(Value::as_str) {
                Some("redacted_thinking") => Part::Opaque(block),
                _ => Part::Unknown,
            },
        };
        if self.parts.insert(index, part).is_some() {
            return Err(AssembleError::malformed(format!("content block {index} starts twice")));
        }
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: Delta) -> Result<(), AssembleError> {
        let part = self.parts.get_mut(&index).ok_or_else(|| {
            AssembleError::malformed(format!("content block {index} was never started"))
        })?;
        match (part, delta) {
            (Part::Text(text), Delta::Text { text: more }) => text.push_str(&more),
            (Part::ToolUse { raw, .. }, Delta::InputJson { partial_json }) => {
                raw.push_str(&partial_json);
            }
            (Part::Thinking { text, .. }, Delta::Thinking { thinking }) => {
                text.push_str(&thinking);
            }
            (Part::Thinking { signature, .. }, Delta::Signature { signature: more }) => {
                signature.push_str(&more);
            }
            (Part::Unknown | Part::Opaque(_), _) | (_, Delta::Unknown) => {}
            (Part::Text(_) | Part::ToolUse { .. } | Part::Thinking { .. }, _) => {
                return Err(AssembleError::malformed(format!(
                    "content block {index} got a piece of another kind"
                )));
            }
        }
        Ok(())
    }

    // Counts are cumulative: the last one given is the one that holds.
    fn count(&mut self, usage: Option<WireUsage>) {
        let Some(usage) = usage else { return };
        let known = &mut self.usage;
        known.input_tokens = usage.input_tokens.or(known.input_tokens);
        known.output_tokens = usage.output_tokens.or(known.output_tokens);
        known.cache_read_tokens = usage.cache_read_input_tokens.unwrap_or(known.cache_read_tokens);
        known.cache_write_tokens =
            usage.cache_creation_input_tokens.unwrap_or(known.cache_write_tokens);
    }
}

impl Part {
    fn into_block(self) -> Option<Block> {
        match self {
            Self::Text(text) => (!text.is_empty()).then_some(Block::Text { text }),
            Self::ToolUse { id, name, at_start, raw } => Some(if raw.is_empty() {
                let raw = if at_start.is_null() { String::new() } else { at_start.to_string() };
                tool_use(id, name, raw)
            } else {
                tool_use(id, name, raw)
            }),
            Self::Thinking { text, signature } => Some(Block::Thinking {
                family: FAMILY.to_owned(),
                payload: json!({ "type": "thinking", "thinking": text, "signature": signature }),
            }),
            Self::Opaque(payload) => Some(Block::Thinking { family: FAMILY.to_owned(), payload }),
            Self::Unknown => None,
        }
    }
}
