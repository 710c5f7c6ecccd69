//! A request in the chat completions format.

use bailiwick_model::chat::{Author, Block, ChatRequest, Message, ToolSpec, canonical_json};
use serde_json::{Map, Value, json};

use super::FAMILY;
use crate::assemble::tool_input_again;
use crate::config::OutputLimitField;

/// Returns the body of `POST …/chat/completions`, streaming, with usage.
pub(crate) fn encode(request: &ChatRequest, output_limit: OutputLimitField) -> Value {
    let mut messages = Vec::new();
    let system: Vec<&str> = request
        .system
        .iter()
        .map(|block| block.text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    if !system.is_empty() {
        messages.push(json!({ "role": "system", "content": system.join("\n\n") }));
    }
    for message in &request.messages {
        match message.author {
            Author::User => user(message, &mut messages),
            Author::Assistant => messages.extend(assistant(message)),
        }
    }
    let output_limit = match output_limit {
        OutputLimitField::MaxTokens => "max_tokens",
        OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
    };
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model));
    body.insert(output_limit.to_owned(), json!(request.max_output_tokens));
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    body.insert("messages".to_owned(), Value::Array(messages));
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    if let Some(temperature) = request.temperature {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    Value::Object(body)
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema,
        },
    })
}

/// Results of tools are messages of their own here, and have to follow the calls directly.
fn user(message: &Message, messages: &mut Vec<Value>) {
    for block in &message.blocks {
        if let Block::ToolResult { tool_use_id, content, is_error } = block {
            // The format has no mark for a failure; the model is told in words.
            let content = if *is_error { format!("ERROR: {content}") } else { content.clone() };
            messages.push(json!({
                "role": "tool",
                "tool_call_id": tool_use_id,
                "content": content,
            }));
        }
    }
    let text = joined_text(message);
    if !text.is_empty() {
        messages.push(json!({ "role": "user", "content": text }));
    }
}

fn assistant(message: &Message) -> Option<Value> {
    let mut fields = Map::new();
    let text = joined_text(message);
    let mut calls = Vec::new();
    for block in &message.blocks {
        match block {
            Block::ToolUse { id, name, input, invalid_input } => {
                let input = tool_input_again(input, invalid_input.as_ref());
                calls.push(json!({
                    "id": id,
                    "type": "function",
                    "function": {
                        "name": name,
                        "arguments": canonical_json(&input).unwrap_or_else(|_| input.to_string()),
                    },
                }));
            }
            Block::Thinking { family, payload } if family == FAMILY => {
                if let Some(reasoning) = payload.as_object() {
                    fields.extend(reasoning.clone());
                }
            }
            Block::Text { .. } | Block::ToolResult { .. } | Block::Thinking { .. } => {}
        }
    }
    if text.is_empty() && calls.is_empty() {
        return None;
    }
    fields.insert("role".to_owned(), json!("assistant"));
    let content = if text.is_empty() { Value::Null } else { Value::String(text) };
    fields.insert("content".to_owned(), content);
    if !calls.is_empty() {
        fields.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Some(Value::Object(fields))
}

fn joined_text(message: &Message) -> String {
    let texts: Vec<&str> = message
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } if !text.is_empty() => Some(text.as_str()),
            Block::Text { .. }
            | Block::ToolUse { .. }
            | Block::ToolResult { .. }
            | Block::Thinking { .. } => None,
        })
        .collect();
    texts.join("\n\n")
}
