//! Finding the reply to a call, and checking that the call is the one the script was written for.

use bailiwick_model::action::ModelCall;
use bailiwick_model::chat::{Block, ChatReply, ChatRequest, StopReason, Usage};
use bailiwick_model::subject::Role;
use serde_json::Value;
use thiserror::Error;

use super::{Entry, SCRIPTED_MODEL, Scripted, UsageEntry};
use crate::assemble::tokens_of_blocks;
use crate::price::estimated_input_tokens;

/// The most characters of a prompt that an error shows.
const SHOWN_CHARS: usize = 400;

/// What a scripted reply is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels<'a> {
    /// Which role asks.
    pub role: Role,
    /// For which subtask.
    pub subtask: Option<&'a str>,
    /// The repair round, counted from 0.
    pub round: u32,
    /// The step in the session, counted from 1.
    pub step: u32,
}

impl<'a> Labels<'a> {
    /// Returns the labels of a call.
    #[must_use]
    pub fn of(call: &'a ModelCall) -> Self {
        Self {
            role: call.role,
            subtask: call.subtask.as_ref().map(|key| key.as_str()),
            round: call.round,
            step: call.step,
        }
    }
}

impl std::fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subtask = self.subtask.unwrap_or("none");
        let Self { role, round, step, .. } = self;
        write!(f, "role `{}`, subtask `{subtask}`, round {round}, step {step}", role.name())
    }
}

/// A call that the script does not foresee.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the script was asked something else: {place} expected {expected}, but for {asked_by} {asked}"
)]
pub struct ScriptMismatch {
    /// The entry, with file and line; or the file, when no entry matches.
    pub place: String,
    /// What it expected.
    pub expected: String,
    /// The labels of the call.
    pub asked_by: String,
    /// What was asked instead, cut.
    pub asked: String,
}

impl ScriptMismatch {
    pub(crate) fn hint(&self) -> String {
        format!("change the script at {} so that it fits what is asked there", self.place)
    }
}

impl Scripted {
    /// Answers a request; the same labels always get the same answer.
    ///
    /// # Errors
    /// Fails when no entry matches the labels, or when the entry expected something else.
    pub fn answer(
        &self,
        labels: Labels<'_>,
        request: &ChatRequest,
    ) -> Result<ChatReply, Box<ScriptMismatch>> {
        let Some(reply) = self.replies.iter().find(|reply| reply.entry.matches(labels)) else {
            return Err(Box::new(ScriptMismatch {
                place: format!("`{}`", self.source),
                expected: format!("one of its {} replies to match", self.replies.len()),
                asked_by: labels.to_string(),
                asked: format!("none does; the last message is {}", shown(&last_message(request))),
            }));
        };
        if let Some((expected, asked)) = reply.entry.unmet(request) {
            return Err(Box::new(ScriptMismatch {
                place: reply.place.clone(),
                expected,
                asked_by: labels.to_string(),
                asked,
            }));
        }
        Ok(reply.entry.reply(labels, request))
    }
}

impl Entry {
    fn matches(&self, labels: Labels<'_>) -> bool {
        self.role.is_none_or(|role| role == labels.role)
            && self.subtask.as_deref().is_none_or(|subtask| Some(subtask) == labels.subtask)
            && self.round.is_none_or(|round| round == labels.round)
            && self.step.is_none_or(|step| step == labels.step)
    }

    /// Returns the first expectation that is not met, and what there was instead.
    fn unmet(&self, request: &ChatRequest) -> Option<(String, String)> {
        let system =
            request.system.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n");
        let last = last_message(request);
        for (wanted, text, which) in [
            (&self.expect_system_contains, &system, "system instructions"),
            (&self.expect_contains, &last, "last message"),
        ] {
            if let Some(missing) = wanted.iter().find(|wanted| !text.contains(wanted.as_str())) {
                return Some((
                    format!("`{missing}` in the {which}"),
                    format!("the {which} is {}", shown(text)),
                ));
            }
        }
        let offered: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        let missing =
            self.expect_tool_offered.iter().find(|wanted| !offered.contains(&wanted.as_str()))?;
        Some((
            format!("the tool `{missing}` to be offered"),
            format!("the tools are `{}`", offered.join("`, `")),
        ))
    }

    fn reply(&self, labels: Labels<'_>, request: &ChatRequest) -> ChatReply {
        let mut blocks = Vec::new();
        if let Some(text) = self.text.as_ref().filter(|text| !text.is_empty()) {
            blocks.push(Block::Text { text: text.clone() });
        }
        let Labels { round, step, .. } = labels;
        for (at, tool) in self.tool.iter().enumerate() {
            blocks.push(Block::ToolUse {
                id: format!("call_{round}_{step}_{at}"),
                name: tool.name.clone(),
                input: Value::Object(tool.input.clone()),
                invalid_input: None,
            });
        }
        let usage = self.usage.map_or_else(
            || Usage {
                input_tokens: estimated_input_tokens(request),
                output_tokens: tokens_of_blocks(&blocks),
                estimated: true,
                ..Usage::default()
            },
            UsageEntry::usage,
        );
        let stop = if self.tool.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
        ChatReply { blocks, stop, usage, model: SCRIPTED_MODEL.to_owned() }
    }
}

impl UsageEntry {
    const fn usage(self) -> Usage {
        Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cache_read_tokens: self.cache_read_tokens,
            cache_write_tokens: self.cache_write_tokens,
            estimated: false,
        }
    }
}

/// Returns the text and the tool results of the last message.
fn last_message(request: &ChatRequest) -> String {
    let blocks = request.messages.last().map(|message| message.blocks.as_slice());
    let parts: Vec<&str> = blocks
        .unwrap_or_default()
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            Block::ToolResult { content, .. } => Some(content.as_str()),
            Block::ToolUse { .. } | Block::Thinking { .. } => None,
        })
        .collect();
    parts.join("\n")
}

/// Shows the end of a long text: what is new in a prompt comes last.
fn shown(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN_CHARS {
        return format!("`{text}`");
    }
    let tail: String = text.chars().skip(count.saturating_sub(SHOWN_CHARS)).collect();
    format!("`…{tail}`")
}
