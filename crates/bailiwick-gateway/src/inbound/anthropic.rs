//! Anthropic Messages, from a client.

use bailiwick_model::chat::{
    Author, Block, ChatReply, ChatRequest, StopReason, SystemBlock, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::reading::{joined_text, leave_out, list, say, schema, text};
use super::{Carried, ClientError, event};
use crate::anthropic::FAMILY;
use crate::assemble::tool_input_again;

pub(super) fn neutral(
    body: &Value,
    request: &mut ChatRequest,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    match body.get("system") {
        Some(Value::String(text)) => request.system.push(SystemBlock::plain(text.as_str())),
        Some(Value::Array(blocks)) => {
            for block in blocks {
                let text = text(block, "text")
                    .ok_or_else(|| ClientError::bad("a block of `system` has no text"))?;
                let cached = block.get("cache_control").is_some_and(|mark| !mark.is_null());
                request.system.push(SystemBlock { text: text.to_owned(), cached });
            }
        }
        None | Some(Value::Null) => {}
        Some(_) => return Err(ClientError::bad("`system` is neither text nor a list")),
    }
    for message in list(body, "messages") {
        let author = match text(message, "role") {
            // What the platform of the client says in the middle of a conversation.
            Some("user" | "system") => Author::User,
            Some("assistant") => Author::Assistant,
            _ => return Err(ClientError::bad("a message has no role that is known")),
        };
        let blocks = match message.get("content") {
            Some(Value::String(text)) => vec![Block::Text { text: text.clone() }],
            Some(Value::Array(blocks)) => blocks
                .iter()
                .map(|block| neutral_block(block, carried))
                .collect::<Result<_, _>>()?,
            _ => return Err(ClientError::bad("a message has no content")),
        };
        say(&mut request.messages, author, blocks);
    }
    for tool in list(body, "tools") {
        match (text(tool, "type"), text(tool, "name")) {
            (None | Some("custom"), Some(name)) => request.tools.push(ToolSpec {
                name: name.to_owned(),
                description: text(tool, "description").unwrap_or_default().to_owned(),
                input_schema: schema(tool.get("input_schema")),
            }),
            (kind, _) => {
                carried.left_out.insert(format!("tool {}", kind.unwrap_or("without a name")));
            }
        }
    }
    let fields = ["top_k", "top_p", "stop_sequences", "thinking", "tool_choice", "output_config"];
    leave_out(body, &fields, carried);
    Ok(())
}

fn neutral_block(block: &Value, carried: &mut Carried) -> Result<Block, ClientError> {
    let field = |name: &str| {
        text(block, name)
            .map(str::to_owned)
            .ok_or_else(|| ClientError::bad(format!("a block of the conversation has no `{name}`")))
    };
    match text(block, "type") {
        Some("text") => Ok(Block::Text { text: field("text")? }),
        Some("tool_use") => Ok(Block::ToolUse {
            id: field("id")?,
            name: field("name")?,
            input: block.get("input").cloned().unwrap_or_else(|| json!({})),
            invalid_input: None,
        }),
        Some("tool_result") => Ok(Block::ToolResult {
            tool_use_id: field("tool_use_id")?,
            content: result_text(block.get("content"))?,
            is_error: block.get("is_error").and_then(Value::as_bool).unwrap_or(false),
        }),
        Some("thinking" | "redacted_thinking") => {
            carried.left_out.insert("thinking of earlier turns".to_owned());
            Ok(Block::Thinking { family: FAMILY.to_owned(), payload: block.clone() })
        }
        Some(other) => Err(ClientError::not_carried(&format!("a block of type `{other}`"))),
        None => Err(ClientError::bad("a block of the conversation has no type")),
    }
}

fn result_text(content: Option<&Value>) -> Result<String, ClientError> {
    joined_text(content, ("a tool's answer", "a tool's answer with a block"), |block| {
        (text(block, "type") == Some("text")).then(|| text(block, "text").unwrap_or_default())
    })
}

fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::EndTurn | StopReason::Other => "end_turn",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    })
}

fn content(block: &Block) -> Option<Value> {
    match block {
        Block::Text { text } => Some(json!({ "type": "text", "text": text })),
        Block::ToolUse { id, name, input, invalid_input } => Some(json!({
            "type": "tool_use",
            "id": id,
            "name": name,
            "input": tool_input_again(input, invalid_input.as_ref()),
        })),
        // Another family's reasoning has no signature that this one's clients could hand back.
        Block::Thinking { .. } | Block::ToolResult { .. } => None,
    }
}

pub(super) fn whole(reply: &ChatReply, number: u32) -> Value {
    json!({
        "id": format!("msg_bailiwick_{number}"),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": reply.blocks.iter().filter_map(content).collect::<Vec<_>>(),
        "stop_reason": stop_reason(reply.stop),
        "stop_sequence": null,
        "usage": usage(&reply.usage),
    })
}

pub(super) fn stream(reply: &ChatReply, number: u32) -> String {
    let mut out = String::new();
    let mut send = |name: &str, mut data: Value| {
        if let Some(fields) = data.as_object_mut() {
            fields.insert("type".to_owned(), json!(name));
        }
        event(&mut out, Some(name), &data);
    };
    let mut message = whole(reply, number);
    if let Some(fields) = message.as_object_mut() {
        fields.insert("content".to_owned(), json!([]));
        fields.insert("stop_reason".to_owned(), Value::Null);
    }
    send("message_start", json!({ "message": message }));
    for (index, block) in reply.blocks.iter().filter_map(content).enumerate() {
        let (start, delta) = if text(&block, "type") == Some("text") {
            let delta = json!({ "type": "text_delta", "text": block.get("text") });
            (json!({ "type": "text", "text": "" }), delta)
        } else {
            let input = block.get("input").map(ToString::to_string).unwrap_or_default();
            let mut start = block.clone();
            if let Some(fields) = start.as_object_mut() {
                fields.insert("input".to_owned(), json!({}));
            }
            (start, json!({ "type": "input_json_delta", "partial_json": input }))
        };
        send("content_block_start", json!({ "index": index, "content_block": start }));
        send("content_block_delta", json!({ "index": index, "delta": delta }));
        send("content_block_stop", json!({ "index": index }));
    }
    let delta = json!({ "stop_reason": stop_reason(reply.stop), "stop_sequence": null });
    send("message_delta", json!({ "delta": delta, "usage": usage(&reply.usage) }));
    send("message_stop", json!({}));
    out
}
