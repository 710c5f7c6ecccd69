//! Turning a provider's stream of events into one [`ChatReply`]: what the two wire families have
//! in common. Pure state machines, fed by the network code and by fuzz targets alike.

use bailiwick_model::chat::{Block, ChatReply, InvalidInput, StopReason, Usage};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::anthropic::AnthropicAssembler;
use crate::openai::OpenAiAssembler;
use crate::price::tokens_of_bytes;
use crate::responses::ResponsesAssembler;
use crate::sse::SseEvent;

/// Why a stream of events makes no reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AssembleError {
    /// An event is not what the protocol says.
    #[error("malformed: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// The stream ended too early.
    #[error("truncated: {problem}")]
    Truncated {
        /// What was missing.
        problem: String,
    },
    /// The provider reports an error in the middle of its stream.
    #[error("the provider reports `{kind}`: {message}")]
    Reported {
        /// The provider's name for it.
        kind: String,
        /// What it says.
        message: String,
    },
    /// There is neither text nor a tool call.
    #[error("empty")]
    Empty {
        /// What the call consumed.
        usage: Usage,
    },
    /// The model or a filter declined to answer.
    #[error("declined: {message}")]
    Refused {
        /// What it says.
        message: String,
        /// What the call consumed.
        usage: Usage,
    },
}

impl AssembleError {
    pub(crate) fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed { problem: problem.into() }
    }

    pub(crate) fn truncated(problem: impl Into<String>) -> Self {
        Self::Truncated { problem: problem.into() }
    }
}

/// Whether more events are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// They are.
    More,
    /// The terminator was seen; whatever follows is not part of the reply.
    Done,
}

/// What stands in when a provider does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The model that was asked for.
    pub model: String,
    /// The request's tokens, computed from its bytes.
    pub input_tokens: u64,
}

/// The assembler of a protocol.
#[derive(Debug)]
pub enum Assembler {
    /// Anthropic Messages.
    Anthropic(AnthropicAssembler),
    /// OpenAI chat completions.
    OpenAi(OpenAiAssembler),
    /// OpenAI responses.
    Responses(ResponsesAssembler),
}

impl Assembler {
    /// Takes the next event.
    ///
    /// # Errors
    /// Fails when the event is malformed or reports an error.
    pub fn event(&mut self, event: &SseEvent) -> Result<Progress, AssembleError> {
        match self {
            Self::Anthropic(assembler) => assembler.event(event),
            Self::OpenAi(assembler) => assembler.event(event),
            Self::Responses(assembler) => assembler.event(event),
        }
    }

    /// Returns the reply.
    ///
    /// # Errors
    /// Fails when the terminator is missing, or when there is no usable reply.
    pub fn finish(self) -> Result<ChatReply, AssembleError> {
        match self {
            Self::Anthropic(assembler) => assembler.finish(),
            Self::OpenAi(assembler) => assembler.finish(),
            Self::Responses(assembler) => assembler.finish(),
        }
    }
}

/// What an assembler knows at the end, before it is judged.
pub(crate) struct Assembled {
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop: StopReason,
    pub(crate) refusal: Option<String>,
    pub(crate) usage: ReportedUsage,
    pub(crate) model: Option<String>,
}

/// Token counts as far as the provider gave them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReportedUsage {
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) cache_read_tokens: u64,
    pub(crate) cache_write_tokens: u64,
}

impl Assembled {
    pub(crate) fn judge(self, fallback: &Fallback) -> Result<ChatReply, AssembleError> {
        let usage = self.usage.or_estimate(fallback, &self.blocks);
        if let Some(message) = self.refusal {
            return Err(AssembleError::Refused { message, usage });
        }
        let says_something = self
            .blocks
            .iter()
            .any(|block| matches!(block, Block::Text { .. } | Block::ToolUse { .. }));
        if !says_something {
            return Err(AssembleError::Empty { usage });
        }
        let model = self.model.filter(|model| !model.is_empty());
        Ok(ChatReply {
            blocks: self.blocks,
            stop: self.stop,
            usage,
            model: model.unwrap_or_else(|| fallback.model.clone()),
        })
    }
}

impl ReportedUsage {
    fn or_estimate(self, fallback: &Fallback, blocks: &[Block]) -> Usage {
        Usage {
            input_tokens: self.input_tokens.unwrap_or(fallback.input_tokens),
            output_tokens: self.output_tokens.unwrap_or_else(|| tokens_of_blocks(blocks)),
            cache_read_tokens: self.cache_read_tokens,
            cache_write_tokens: self.cache_write_tokens,
            estimated: self.input_tokens.is_none() || self.output_tokens.is_none(),
        }
    }
}

/// Returns how many tokens blocks have at most, computed from their bytes.
pub(crate) fn tokens_of_blocks(blocks: &[Block]) -> u64 {
    let bytes = |block: &Block| match block {
        Block::Text { text } => text.len(),
        Block::ToolUse { name, input, invalid_input, .. } => {
            let raw = invalid_input.as_ref().map_or(0, |invalid| invalid.raw.len());
            name.len().saturating_add(input.to_string().len()).saturating_add(raw)
        }
        Block::ToolResult { content, .. } => content.len(),
        Block::Thinking { payload, .. } => payload.to_string().len(),
    };
    blocks.iter().map(|block| tokens_of_bytes(bytes(block))).fold(0, u64::saturating_add)
}

/// Reads an event's data.
pub(crate) fn read_json<T: DeserializeOwned>(data: &str) -> Result<T, AssembleError> {
    serde_json::from_str(data)
        .map_err(|error| AssembleError::malformed(format!("an event can't be read: {error}")))
}

/// Reads the arguments of a tool call: an object, or a marked call that the model is told about.
pub(crate) fn tool_use(id: String, name: String, raw: String) -> Block {
    let (input, invalid_input) = if raw.trim().is_empty() {
        (Value::Object(Map::new()), None)
    } else {
        match serde_json::from_str(&raw) {
            Ok(Value::Object(fields)) => (Value::Object(fields), None),
            Ok(_) => invalid(raw, "the arguments are not a JSON object".to_owned()),
            Err(error) => invalid(raw, format!("the arguments are not valid JSON: {error}")),
        }
    };
    Block::ToolUse { id, name, input, invalid_input }
}

fn invalid(raw: String, problem: String) -> (Value, Option<InvalidInput>) {
    (Value::Object(Map::new()), Some(InvalidInput { raw, problem }))
}

/// Returns the arguments of a tool call as they are told to the provider again. Unusable ones are
/// wrapped: both families insist on an object.
pub(crate) fn tool_input_again(input: &Value, invalid_input: Option<&InvalidInput>) -> Value {
    match invalid_input {
        None => input.clone(),
        Some(invalid) => {
            let mut fields = Map::new();
            fields.insert("INVALID_JSON".to_owned(), Value::String(invalid.raw.clone()));
            Value::Object(fields)
        }
    }
}
