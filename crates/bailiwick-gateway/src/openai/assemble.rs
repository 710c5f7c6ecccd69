//! A reply from the chunks of a chat completions stream.

use std::collections::BTreeMap;

use bailiwick_model::chat::{Block, ChatReply, StopReason};
use serde::Deserialize;
use serde_json::{Value, json};

use super::FAMILY;
use crate::assemble::{
    AssembleError, Assembled, Fallback, Progress, ReportedUsage, read_json, tool_use,
};
use crate::sse::SseEvent;

/// The state of one chat completions stream.
#[derive(Debug)]
pub struct OpenAiAssembler {
    fallback: Fallback,
    done: bool,
    model: Option<String>,
    usage: ReportedUsage,
    finish: Option<String>,
    text: String,
    reasoning: Option<(&'static str, String)>,
    refusal: String,
    calls: Vec<Call>,
    /// Which call the provider's index means at present.
    by_index: BTreeMap<u64, usize>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    raw: String,
}

#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<ToolDelta>>,
}

#[derive(Deserialize)]
struct ToolDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

impl OpenAiAssembler {
    /// Makes the assembler of one reply.
    #[must_use]
    pub fn new(fallback: Fallback) -> Self {
        Self {
            fallback,
            done: false,
            model: None,
            usage: ReportedUsage::default(),
            finish: None,
            text: String::new(),
            reasoning: None,
            refusal: String::new(),
            calls: Vec::new(),
            by_index: BTreeMap::new(),
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
        if event.data.trim() == "[DONE]" {
            self.done = true;
            return Ok(Progress::Done);
        }
        let chunk: Chunk = read_json(&event.data)?;
        if let Some(error) = chunk.error {
            return Err(reported(&error));
        }
        if self.model.is_none() {
            self.model = chunk.model;
        }
        if let Some(usage) = chunk.usage {
            self.count(&usage);
        }
        // Only one answer is asked for.
        for choice in chunk.choices.unwrap_or_default() {
            if choice.index == 0 {
                self.choice(choice)?;
            }
        }
        Ok(Progress::More)
    }

    /// Returns the reply.
    ///
    /// # Errors
    /// Fails when `[DONE]` is missing, or when there is no usable reply.
    pub fn finish(self) -> Result<ChatReply, AssembleError> {
        if !self.done {
            return Err(AssembleError::truncated("the stream ended without `[DONE]`"));
        }
        let Some(finish) = self.finish.as_deref() else {
            return Err(AssembleError::truncated("no `finish_reason` came before `[DONE]`"));
        };
        let stop = match finish {
            // Some servers say `stop` after tool calls too.
            "stop" if !self.calls.is_empty() => StopReason::ToolUse,
            "stop" => StopReason::EndTurn,
            "tool_calls" | "function_call" => StopReason::ToolUse,
            "length" => StopReason::MaxTokens,
            _ => StopReason::Other,
        };
        let refusal = if !self.refusal.is_empty() {
            Some(self.refusal)
        } else if finish == "content_filter" {
            Some("the provider's content filter stopped it".to_owned())
        } else {
            None
        };
        let mut blocks = Vec::new();
        if let Some((field, reasoning)) = self.reasoning {
            blocks.push(Block::Thinking {
                family: FAMILY.to_owned(),
                payload: json!({ field: reasoning }),
            });
        }
        if !self.text.is_empty() {
            blocks.push(Block::Text { text: self.text });
        }
        for (at, call) in self.calls.into_iter().enumerate() {
            if call.name.is_empty() {
                return Err(AssembleError::malformed("a tool call without a name"));
            }
            let id = if call.id.is_empty() { format!("call_{at}") } else { call.id };
            blocks.push(tool_use(id, call.name, call.raw));
        }
        Assembled { blocks, stop, refusal, usage: self.usage, model: self.model }
            .judge(&self.fallback)
    }

    fn choice(&mut self, choice: Choice) -> Result<(), AssembleError> {
        if let Some(delta) = choice.delta {
            self.text.push_str(delta.content.as_deref().unwrap_or_default());
            self.refusal.push_str(delta.refusal.as_deref().unwrap_or_default());
            // Two names are in use for the same thing; the one that comes is the one handed back.
            let reasoning = delta
                .reasoning_content
                .map(|text| ("reasoning_content", text))
                .or_else(|| delta.reasoning.map(|text| ("reasoning", text)));
            if let Some((field, text)) = reasoning.filter(|(_, text)| !text.is_empty()) {
                self.reasoning.get_or_insert((field, String::new())).1.push_str(&text);
            }
            for (at, call) in delta.tool_calls.unwrap_or_default().into_iter().enumerate() {
                self.tool_delta(at as u64, call)?;
            }
        }
        if choice.finish_reason.is_some() {
            self.finish = choice.finish_reason;
        }
        Ok(())
    }

    fn tool_delta(&mut self, position: u64, delta: ToolDelta) -> Result<(), AssembleError> {
        let index = delta.index.unwrap_or(position);
        let id = delta.id.filter(|id| !id.is_empty());
        let known = self.by_index.get(&index).and_then(|at| self.calls.get(*at));
        // Some servers give every whole call the index 0 and an id of its own.
        let is_new = known
            .is_none_or(|call| !call.id.is_empty() && id.as_ref().is_some_and(|id| *id != call.id));
        if is_new {
            self.by_index.insert(index, self.calls.len());
            self.calls.push(Call::default());
        }
        let call = self
            .by_index
            .get(&index)
            .and_then(|at| self.calls.get_mut(*at))
            .ok_or_else(|| AssembleError::malformed("a tool call lost its place"))?;
        if let Some(id) = id {
            call.id = id;
        }
        if let Some(function) = delta.function {
            call.name.push_str(function.name.as_deref().unwrap_or_default());
            call.raw.push_str(function.arguments.as_deref().unwrap_or_default());
        }
        Ok(())
    }

    fn count(&mut self, usage: &WireUsage) {
        let cached = usage
            .prompt_tokens_details
            .as_ref()
            .and_then(|details| details.cached_tokens)
            .unwrap_or_default();
        // Here the whole prompt includes what came from the cache.
        let prompt = usage.prompt_tokens.map(|tokens| tokens.saturating_sub(cached));
        self.usage.input_tokens = prompt.or(self.usage.input_tokens);
        self.usage.output_tokens = usage.completion_tokens.or(self.usage.output_tokens);
        self.usage.cache_read_tokens = cached;
    }
}

fn reported(error: &Value) -> AssembleError {
    let text = |field: &str| error.get(field).and_then(Value::as_str).map(str::to_owned);
    AssembleError::Reported {
        kind: text("code").or_else(|| text("type")).unwrap_or_else(|| "error".to_owned()),
        message: text("message")
            .or_else(|| error.as_str().map(str::to_owned))
            .unwrap_or_else(|| error.to_string()),
    }
}
