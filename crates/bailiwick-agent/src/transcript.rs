//! The conversation that a model is shown: the opening and what became of each step, within a cap.
//!
//! A pure function of the steps taken, so that a run that is taken up again shows its model
//! exactly what the first one did. When the cap is passed, the oldest steps shrink to one line a
//! call, and if that is not enough they are left out; both go well below the cap at once, so that
//! the beginning of the conversation stays the same for many turns and a prompt cache can hold it.

use std::collections::BTreeSet;

use bailiwick_model::chat::{Author, Block, Message};
use bailiwick_model::event::ToolResult;
use bailiwick_model::id::Oid;
use bailiwick_model::subject::{Taint, TaintOrigin};
use serde_json::Value;

use crate::telling::up_to;

/// What a model that called no tool is told.
pub(crate) const NUDGE: &str = "You called no tool. Do the next thing with a tool call, or end the session with the tool that is there for it. If your last answer was cut off, do it in smaller parts.";

const KEPT_TEXT_BYTES: usize = 400;
const KEPT_ARGUMENT_BYTES: usize = 160;
/// As the gateway estimates: on the high side for code and prose.
const BYTES_PER_TOKEN: u64 = 3;
const TOKENS_PER_MESSAGE: u64 = 16;
/// At most, for the words that say how many steps are left out.
const TOKENS_OF_NOTE: u64 = 64;

/// A step that is over, with its bytes at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenStep {
    pub(crate) reply: Vec<Block>,
    pub(crate) results: Vec<ToldResult>,
    pub(crate) tree: Option<Oid>,
    pub(crate) taint: BTreeSet<Taint>,
    pub(crate) denials: u32,
    pub(crate) origins: Vec<TaintOrigin>,
    /// What people said after it, before the next.
    pub(crate) heard: Vec<String>,
}

/// What a call gave back, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToldResult {
    pub(crate) recorded: ToolResult,
    pub(crate) text: String,
}

impl TakenStep {
    /// The message that answers the step's reply.
    pub(crate) fn answer(&self) -> Message {
        self.answer_with(|result| result.text.clone())
    }

    fn answer_with(&self, content: impl Fn(&ToldResult) -> String) -> Message {
        if self.results.is_empty() {
            let mut message = Message::user(NUDGE);
            message.blocks.extend(self.heard_blocks());
            return message;
        }
        let blocks = self.results.iter().map(|result| Block::ToolResult {
            tool_use_id: result.recorded.tool_use_id.clone(),
            content: content(result),
            is_error: result.recorded.is_error,
        });
        Message { author: Author::User, blocks: blocks.chain(self.heard_blocks()).collect() }
    }

    /// Never shortened: it is what a person said.
    fn heard_blocks(&self) -> impl Iterator<Item = Block> {
        self.heard.iter().map(|text| Block::Text { text: text.clone() })
    }

    fn whole(&self) -> [Message; 2] {
        [Message::assistant(self.reply.clone()), self.answer()]
    }

    fn shrunk(&self) -> [Message; 2] {
        let kept: Vec<Block> = self.reply.iter().filter_map(shrunk_block).collect();
        let reply = if kept.is_empty() { vec![Block::Text { text: left_out(0) }] } else { kept };
        [Message::assistant(reply), self.answer_with(shrunk_result)]
    }
}

fn left_out(bytes: usize) -> String {
    format!("[left out to save space: {bytes} bytes]")
}

fn shrunk_result(result: &ToldResult) -> String {
    let line = result.text.lines().next().unwrap_or_default();
    let line = up_to(line, KEPT_ARGUMENT_BYTES);
    if line.len() == result.text.trim_end().len() {
        return result.text.clone();
    }
    let tool = &result.recorded.tool;
    let ended = if result.recorded.is_error { "failed" } else { "done" };
    let bytes = result.text.len();
    format!(
        "[{tool}: {ended}, {bytes} bytes left out to save space; call it again if you need them] {line}"
    )
}

fn shrunk_block(block: &Block) -> Option<Block> {
    match block {
        Block::Text { text } => Some(Block::Text { text: shrunk_text(text, KEPT_TEXT_BYTES) }),
        Block::ToolUse { id, name, input, invalid_input } => {
            let mut input = input.clone();
            shrink_strings(&mut input);
            let mut invalid_input = invalid_input.clone();
            if let Some(invalid) = &mut invalid_input {
                invalid.raw = shrunk_text(&invalid.raw, KEPT_ARGUMENT_BYTES);
            }
            Some(Block::ToolUse { id: id.clone(), name: name.clone(), input, invalid_input })
        }
        Block::ToolResult { .. } => Some(block.clone()),
        // Only the latest reasoning has to be handed back.
        Block::Thinking { .. } => None,
    }
}

fn shrunk_text(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let head = up_to(text, max_bytes / 2);
    format!("{head} {}", left_out(text.len().saturating_sub(head.len())))
}

fn shrink_strings(value: &mut Value) {
    match value {
        Value::String(text) => *text = shrunk_text(text, KEPT_ARGUMENT_BYTES),
        Value::Array(items) => items.iter_mut().for_each(shrink_strings),
        Value::Object(fields) => fields.values_mut().for_each(shrink_strings),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The conversation does not fit, even with all but the latest step left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContextFull {
    /// What is needed.
    pub(crate) needed_tokens: u64,
}

/// The conversation as it grows step by step, with what each step takes up.
#[derive(Debug)]
pub(crate) struct Transcript {
    opening: String,
    /// What system, tools and opening take up.
    fixed_tokens: u64,
    cap_tokens: u64,
    steps: Vec<Measured>,
    /// Steps before this index are left out.
    dropped: usize,
    /// Steps before this index are shrunk.
    shrunk: usize,
}

#[derive(Debug)]
struct Measured {
    whole: [Message; 2],
    shrunk: [Message; 2],
    whole_tokens: u64,
    shrunk_tokens: u64,
}

impl Transcript {
    /// A conversation that begins with `opening`; `fixed_bytes` is what system and tools take up.
    pub(crate) fn new(opening: &str, fixed_bytes: usize, cap_tokens: u64) -> Self {
        let opening = opening.to_owned();
        let fixed_tokens =
            tokens_of_bytes(fixed_bytes).saturating_add(tokens(&[Message::user(opening.clone())]));
        Self { opening, fixed_tokens, cap_tokens, steps: Vec::new(), dropped: 0, shrunk: 0 }
    }

    /// Adds a step, and makes room for it.
    pub(crate) fn push(&mut self, step: &TakenStep) {
        let (whole, shrunk) = (step.whole(), step.shrunk());
        let (whole_tokens, shrunk_tokens) = (tokens(&whole), tokens(&shrunk));
        // A step of many small calls can be longer with the words that say what was left out.
        let (shrunk, shrunk_tokens) = if shrunk_tokens < whole_tokens {
            (shrunk, shrunk_tokens)
        } else {
            (whole.clone(), whole_tokens)
        };
        self.steps.push(Measured { whole, shrunk, whole_tokens, shrunk_tokens });
        self.make_room();
    }

    /// The latest step once more, now that more was said after it.
    pub(crate) fn hear(&mut self, latest: &TakenStep) {
        if self.steps.pop().is_some() {
            self.push(latest);
        }
    }

    /// The opening once more, now that more was said before the first step.
    pub(crate) fn hear_at_start(&mut self, opening: &str) {
        let before = tokens(&[Message::user(self.opening.clone())]);
        opening.clone_into(&mut self.opening);
        let after = tokens(&[Message::user(self.opening.clone())]);
        self.fixed_tokens = self.fixed_tokens.saturating_sub(before).saturating_add(after);
        self.make_room();
    }

    /// All messages, or how much would be needed for the least of them.
    pub(crate) fn messages(&self) -> Result<Vec<Message>, ContextFull> {
        let needed_tokens = self.total();
        if needed_tokens > self.cap_tokens {
            return Err(ContextFull { needed_tokens });
        }
        let mut messages = vec![self.first()];
        for (at, step) in self.steps.iter().enumerate().skip(self.dropped) {
            let pair = if at < self.shrunk { &step.shrunk } else { &step.whole };
            messages.extend(pair.iter().cloned());
        }
        Ok(messages)
    }

    fn first(&self) -> Message {
        let mut first = Message::user(self.opening.clone());
        if self.dropped > 0 {
            let text = format!(
                "[The first {} steps of this session are left out here to save space. The workspace is as they left it.]",
                self.dropped
            );
            first.blocks.push(Block::Text { text });
        }
        first
    }

    fn make_room(&mut self) {
        if self.total() <= self.cap_tokens {
            return;
        }
        let target = self.cap_tokens / 5 * 3;
        let latest = self.steps.len().saturating_sub(1);
        while self.shrunk < latest && self.total() > target {
            self.shrunk = self.shrunk.saturating_add(1);
        }
        if self.total() > self.cap_tokens {
            while self.dropped < latest && self.total() > target {
                self.dropped = self.dropped.saturating_add(1);
            }
        }
    }

    fn total(&self) -> u64 {
        let steps = self.steps.iter().enumerate().skip(self.dropped).map(|(at, step)| {
            if at < self.shrunk { step.shrunk_tokens } else { step.whole_tokens }
        });
        let note = if self.dropped > 0 { TOKENS_OF_NOTE } else { 0 };
        steps.fold(self.fixed_tokens.saturating_add(note), u64::saturating_add)
    }
}

fn tokens(messages: &[Message]) -> u64 {
    let bytes: usize = messages
        .iter()
        .map(|message| serde_json::to_string(message).map_or(0, |text| text.len()))
        .sum();
    tokens_of_bytes(bytes).saturating_add(TOKENS_PER_MESSAGE.saturating_mul(messages.len() as u64))
}

fn tokens_of_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests;
