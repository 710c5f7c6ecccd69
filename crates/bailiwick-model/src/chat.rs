//! The provider-neutral chat vocabulary: what the agent loop asks and what a model answers.
//!
//! Pure data. How it looks on a provider's wire is the gateway's business; how it is decided and
//! recorded is the warden's. Field order is fixed and maps are sorted in [`canonical_json`], so a
//! digest of a request is the same on every machine.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::payload::Digest;

/// One question to a model, complete: a provider needs nothing else but its address and key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// The model's name as its provider knows it.
    pub model: String,
    /// Instructions that stand above the conversation, in order.
    #[serde(default)]
    pub system: Vec<SystemBlock>,
    /// The conversation so far, oldest first, ending with a message of [`Author::User`].
    pub messages: Vec<Message>,
    /// The tools that the model may ask for.
    #[serde(default)]
    pub tools: Vec<ToolSpec>,
    /// The most tokens the answer may have.
    pub max_output_tokens: u32,
    /// Sampling temperature; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
}

impl ChatRequest {
    /// Returns the SHA-256 of the request's [`canonical_json`]: what a
    /// [`ModelCall`](crate::action::ModelCall) names as `request_digest`, and what the gateway
    /// compares before it sends anything.
    ///
    /// # Errors
    /// Fails only when the request can't be written as JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        canonical_json(self).map(|text| Digest::of(text.as_bytes()))
    }
}

/// One part of the system instructions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemBlock {
    /// The instruction text.
    pub text: String,
    /// Whether everything up to here stays the same from call to call, so that a provider with a
    /// prompt cache is asked to keep it.
    #[serde(default)]
    pub cached: bool,
}

impl SystemBlock {
    /// Makes a block that is not marked for a prompt cache.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), cached: false }
    }

    /// Makes a block that ends a stable prefix.
    pub fn stable(text: impl Into<String>) -> Self {
        Self { text: text.into(), cached: true }
    }
}

/// A tool that a model may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// The tool's name: ASCII letters, digits, `_` and `-`, at most 64 bytes.
    pub name: String,
    /// What the tool does, for the model.
    pub description: String,
    /// JSON Schema of the input; its top level is an object.
    pub input_schema: Value,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// Whoever asks: the task, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who wrote it.
    pub author: Author,
    /// What it holds, in order.
    pub blocks: Vec<Block>,
}

impl Message {
    /// Makes a user message of one text block.
    pub fn user(text: impl Into<String>) -> Self {
        Self { author: Author::User, blocks: vec![Block::Text { text: text.into() }] }
    }

    /// Makes a model message from the blocks of a reply.
    pub fn assistant(blocks: Vec<Block>) -> Self {
        Self { author: Author::Assistant, blocks }
    }
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Block {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// The model asks for a tool.
    ToolUse {
        /// The call's id, given by the provider; the result names it.
        id: String,
        /// The tool's name as the model wrote it: it may be a tool that was never offered.
        name: String,
        /// The arguments, an object; empty when [`Block::ToolUse::invalid_input`] is set.
        input: Value,
        /// Set when the arguments were not a JSON object. Such a call is never executed: the
        /// agent loop answers it with a [`Block::ToolResult`] whose `is_error` is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invalid_input: Option<InvalidInput>,
    },
    /// What a tool answered.
    ToolResult {
        /// The id of the [`Block::ToolUse`] that this answers.
        tool_use_id: String,
        /// The answer as the model will read it.
        content: String,
        /// Whether the tool failed or was refused.
        is_error: bool,
    },
    /// The model's own reasoning, kept so that it can be handed back unchanged to the same family
    /// of providers, and dropped for any other.
    Thinking {
        /// The wire family that made it and alone can read it, such as `anthropic`.
        family: String,
        /// The provider's block, untouched (it may be signed).
        payload: Value,
    },
}

/// Why the arguments of a tool call could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidInput {
    /// What the model sent as arguments.
    pub raw: String,
    /// What is wrong with it, in words that the model can act on.
    pub problem: String,
}

/// A model's whole answer to one [`ChatRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatReply {
    /// What the model said, in order; never empty.
    pub blocks: Vec<Block>,
    /// Why it stopped.
    pub stop: StopReason,
    /// What it consumed.
    pub usage: Usage,
    /// The model that the provider says answered.
    pub model: String,
}

impl ChatReply {
    /// Returns the text blocks joined with line feeds.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            if let Block::Text { text: part } = block {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(part);
            }
        }
        text
    }

    /// Says whether the model asks for at least one tool.
    pub fn asks_for_tools(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }))
    }
}

/// Why a model stopped. A refusal is an error of the gateway, not a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It was done.
    EndTurn,
    /// It waits for the results of its tool calls.
    ToolUse,
    /// It ran into `max_output_tokens` or the end of its context: the answer is cut off.
    MaxTokens,
    /// It met a stop sequence.
    StopSequence,
    /// A reason that this version does not know.
    Other,
}

/// What one call consumed. The four counts are disjoint: their sum is all that was processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Input tokens that came neither from nor into a prompt cache.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens read from a prompt cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Input tokens written to a prompt cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Whether any count was computed from bytes instead of being reported by the provider.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// Returns all tokens of the call.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.output_tokens)
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
    }

    /// Returns the sum of two usages; it is an estimate as soon as one of them is.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            estimated: self.estimated || other.estimated,
        }
    }
}

/// Returns the one JSON text of `value` that digests are taken of: no white space, the keys of
/// every object sorted by their bytes, whatever order the maps in memory have.
///
/// # Errors
/// Fails only when a `Serialize` implementation of `value` fails.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(value)?;
    let mut text = String::new();
    write_sorted(&value, &mut text);
    Ok(text)
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            // Writing to a `String` cannot fail.
            write!(text, "{value}").ok();
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_sorted(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut keys: Vec<(&String, &Value)> = fields.iter().collect();
            keys.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            text.push('{');
            for (at, (key, item)) in keys.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_sorted(&Value::String(key.clone()), text);
                text.push(':');
                write_sorted(item, text);
            }
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> ChatRequest {
        ChatRequest {
            model: "m".into(),
            system: vec![SystemBlock::stable("be brief")],
            messages: vec![
                Message::user("hi"),
                Message::assistant(vec![Block::ToolUse {
                    id: "c1".into(),
                    name: "read".into(),
                    input: json!({"b": 1, "a": {"d": null, "c": "é\n"}}),
                    invalid_input: None,
                }]),
            ],
            tools: vec![],
            max_output_tokens: 10,
            temperature: Some(0.5),
        }
    }

    #[test]
    fn canonical_text_is_sorted_and_survives_a_round_trip() {
        let text = canonical_json(&request()).unwrap();
        assert_eq!(
            text,
            r#"{"max_output_tokens":10,"messages":[{"author":"user","blocks":[{"text":"hi","type":"text"}]},{"author":"assistant","blocks":[{"id":"c1","input":{"a":{"c":"é\n","d":null},"b":1},"name":"read","type":"tool_use"}]}],"model":"m","system":[{"cached":true,"text":"be brief"}],"temperature":0.5,"tools":[]}"#
        );
        let back: ChatRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(back, request());
        assert_eq!(canonical_json(&back).unwrap(), text);
    }

    #[test]
    fn an_unknown_field_is_rejected() {
        let good = json!({"type": "text", "text": "a"});
        let bad = json!({"type": "text", "text": "a", "colour": "red"});
        assert!(serde_json::from_value::<Block>(good).is_ok());
        let error = serde_json::from_value::<Block>(bad).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }
}
