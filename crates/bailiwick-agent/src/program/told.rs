//! What the adapters' readers share: lines of JSON, and the form that several programs print.

use std::collections::BTreeMap;

use bailiwick_model::chat::Block;
use serde_json::Value;

use super::{Report, ReportedStep};

/// The lines that are JSON; those that are not are counted.
pub(super) fn lines(stdout: &[u8], unread: &mut u32) -> Vec<Value> {
    let mut read = Vec::new();
    for line in stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Value>(line) {
            Ok(line) => read.push(line),
            Err(_) => *unread = unread.saturating_add(1),
        }
    }
    read
}

/// A field that is a text.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

/// A call of a tool.
pub(super) fn called(id: &str, name: &str, input: Value) -> Block {
    Block::ToolUse { id: id.to_owned(), name: name.to_owned(), input, invalid_input: None }
}

/// The last text that was said: the summary of a program that gave none.
pub(super) fn last_words(steps: &[ReportedStep]) -> String {
    let said = steps.iter().rev().flat_map(|step| step.reply.iter().rev());
    let said = said.filter_map(|block| match block {
        Block::Text { text } => Some(text.clone()),
        Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Thinking { .. } => None,
    });
    said.into_iter().next().unwrap_or_default()
}

/// Reads messages in Anthropic's form, one for each line, and a last line with the result. Claude
/// Code prints it, and Qwen Code took it over.
pub(super) fn messages(stdout: &[u8]) -> Report {
    let mut report = Report::default();
    let mut last: Option<String> = None;
    let mut tools: BTreeMap<String, String> = BTreeMap::new();
    for line in lines(stdout, &mut report.unread) {
        let message = line.get("message");
        match text(&line, "type") {
            Some("assistant") => {
                // One message comes in several lines, a block in each.
                let id = message.and_then(|message| text(message, "id")).unwrap_or_default();
                if last.as_deref() != Some(id) {
                    last = Some(id.to_owned());
                    report.steps.push(ReportedStep::default());
                }
                let Some(step) = report.steps.last_mut() else { continue };
                for block in content(message) {
                    let Some(block) = read_block(block) else { continue };
                    if let Block::ToolUse { id, name, .. } = &block {
                        tools.insert(id.clone(), name.clone());
                    }
                    step.reply.push(block);
                }
            }
            Some("user") => {
                let Some(step) = report.steps.last_mut() else { continue };
                for block in content(message) {
                    if text(block, "type") != Some("tool_result") {
                        continue;
                    }
                    let id = text(block, "tool_use_id").unwrap_or_default().to_owned();
                    let tool = tools.get(&id).cloned().unwrap_or_default();
                    let is_error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
                    step.results.push((id, tool, answer(block.get("content")), is_error));
                }
            }
            Some("result") => {
                report.summary = text(&line, "result").unwrap_or_default().to_owned();
            }
            _ => {}
        }
    }
    if report.summary.is_empty() {
        report.summary = last_words(&report.steps);
    }
    report
}

pub(super) fn content(message: Option<&Value>) -> impl Iterator<Item = &Value> {
    message
        .and_then(|message| message.get("content"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn read_block(block: &Value) -> Option<Block> {
    match text(block, "type") {
        Some("text") => Some(Block::Text { text: text(block, "text")?.to_owned() }),
        Some("tool_use") => Some(called(
            text(block, "id")?,
            text(block, "name")?,
            block.get("input").cloned().unwrap_or(Value::Null),
        )),
        _ => None,
    }
}

/// What a tool answered: a text, or blocks with texts.
pub(super) fn answer(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| text(block, "text")).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
