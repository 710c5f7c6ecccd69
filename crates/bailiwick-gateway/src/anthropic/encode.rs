//! A request in the Messages format.

use bailiwick_model::chat::{Author, Block, ChatRequest, Message, SystemBlock, ToolSpec};
use serde_json::{Map, Value, json};

use super::FAMILY;
use crate::assemble::tool_input_again;

/// The protocol allows four cache marks; one is kept for the end of the conversation.
const MAX_SYSTEM_CACHE_MARKS: usize = 3;

/// Returns the body of `POST /v1/messages`, streaming.
pub(crate) fn encode(request: &ChatRequest) -> Value {
    let wants_cache = request.system.iter().any(|block| block.cached);
    let mut messages: Vec<Value> = request.messages.iter().filter_map(message).collect();
    if wants_cache {
        mark_last_block(&mut messages);
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model));
    body.insert("max_tokens".to_owned(), json!(request.max_output_tokens));
    body.insert("stream".to_owned(), json!(true));
    body.insert("messages".to_owned(), Value::Array(messages));
    let system = system(&request.system);
    if !system.is_empty() {
        body.insert("system".to_owned(), Value::Array(system));
    }
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    if let Some(temperature) = request.temperature {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    Value::Object(body)
}

fn system(blocks: &[SystemBlock]) -> Vec<Value> {
    let marked = blocks.iter().filter(|block| block.cached && !block.text.is_empty()).count();
    // A later mark covers the earlier ones, so the first are the ones to leave out.
    let mut to_skip = marked.saturating_sub(MAX_SYSTEM_CACHE_MARKS);
    let mut out = Vec::new();
    for block in blocks.iter().filter(|block| !block.text.is_empty()) {
        let mut value = json!({ "type": "text", "text": block.text });
        if block.cached && to_skip > 0 {
            to_skip -= 1;
        } else if block.cached {
            mark(&mut value);
        }
        out.push(value);
    }
    out
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.input_schema,
    })
}

fn message(message: &Message) -> Option<Value> {
    let role = match message.author {
        Author::User => "user",
        Author::Assistant => "assistant",
    };
    // The protocol wants the results of tools before anything else in a message.
    let (results, others): (Vec<&Block>, Vec<&Block>) =
        message.blocks.iter().partition(|block| matches!(block, Block::ToolResult { .. }));
    let content: Vec<Value> = results.into_iter().chain(others).filter_map(block).collect();
    (!content.is_empty()).then(|| json!({ "role": role, "content": content }))
}

fn block(block: &Block) -> Option<Value> {
    match block {
        // The protocol rejects empty text.
        Block::Text { text } => (!text.is_empty()).then(|| json!({ "type": "text", "text": text })),
        Block::ToolUse { id, name, input, invalid_input } => Some(json!({
            "type": "tool_use",
            "id": id,
            "name": name,
            "input": tool_input_again(input, invalid_input.as_ref()),
        })),
        Block::ToolResult { tool_use_id, content, is_error } => Some(json!({
            "type": "tool_result",
            "tool_use_id": tool_use_id,
            "content": content,
            "is_error": is_error,
        })),
        Block::Thinking { family, payload } => (family == FAMILY).then(|| payload.clone()),
    }
}

fn mark_last_block(messages: &mut [Value]) {
    let last = messages
        .last_mut()
        .and_then(|message| message.get_mut("content"))
        .and_then(Value::as_array_mut)
        .and_then(|content| content.last_mut());
    // Reasoning blocks can't carry a mark.
    if let Some(block) = last
        && matches!(block.get("type").and_then(Value::as_str), Some("text" | "tool_result"))
    {
        mark(block);
    }
}

fn mark(block: &mut Value) {
    if let Some(fields) = block.as_object_mut() {
        fields.insert("cache_control".to_owned(), json!({ "type": "ephemeral" }));
    }
}
