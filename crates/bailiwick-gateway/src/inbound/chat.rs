//! OpenAI Chat Completions, from a client.

use bailiwick_model::chat::{
    Author, Block, ChatReply, ChatRequest, StopReason, SystemBlock, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::reading::{OF_MESSAGE, arguments, joined_text, leave_out, list, say, schema, text};
use super::{Carried, ClientError, event};

pub(super) fn neutral(
    body: &Value,
    request: &mut ChatRequest,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    for message in list(body, "messages") {
        let content = message.get("content");
        match text(message, "role") {
            Some("system" | "developer") => {
                request.system.push(SystemBlock::plain(content_text(content)?));
            }
            Some("user") => {
                let block = Block::Text { text: content_text(content)? };
                say(&mut request.messages, Author::User, vec![block]);
            }
            Some("assistant") => {
                let mut blocks = Vec::new();
                let said = content_text(content)?;
                if !said.is_empty() {
                    blocks.push(Block::Text { text: said });
                }
                for call in list(message, "tool_calls") {
                    blocks.push(tool_call(call)?);
                }
                say(&mut request.messages, Author::Assistant, blocks);
            }
            Some("tool") => {
                let id = text(message, "tool_call_id")
                    .ok_or_else(|| ClientError::bad("a tool's answer has no `tool_call_id`"))?;
                let block = Block::ToolResult {
                    tool_use_id: id.to_owned(),
                    content: content_text(content)?,
                    is_error: false,
                };
                say(&mut request.messages, Author::User, vec![block]);
            }
            _ => return Err(ClientError::bad("a message has no role that is known")),
        }
    }
    for tool in list(body, "tools") {
        let function = tool.get("function");
        match (text(tool, "type"), function.and_then(|function| text(function, "name"))) {
            (Some("function"), Some(name)) => request.tools.push(ToolSpec {
                name: name.to_owned(),
                description: function
                    .and_then(|function| text(function, "description"))
                    .unwrap_or_default()
                    .to_owned(),
                input_schema: schema(function.and_then(|function| function.get("parameters"))),
            }),
            (kind, _) => {
                carried.left_out.insert(format!("tool {}", kind.unwrap_or("without a name")));
            }
        }
    }
    carried.usage_asked = body
        .get("stream_options")
        .and_then(|options| options.get("include_usage"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let fields = [
        "top_p",
        "stop",
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "seed",
        "logit_bias",
        "logprobs",
        "frequency_penalty",
        "presence_penalty",
    ];
    leave_out(body, &fields, carried);
    if body.get("n").and_then(Value::as_u64).is_some_and(|answers| answers > 1) {
        return Err(ClientError::not_carried("a request for several answers (`n`)"));
    }
    Ok(())
}

fn tool_call(call: &Value) -> Result<Block, ClientError> {
    let function = call.get("function");
    let name = function.and_then(|function| text(function, "name"));
    let (Some(id), Some(name)) = (text(call, "id"), name) else {
        return Err(ClientError::bad("a tool call has no `id` or no `function.name`"));
    };
    let raw = function.and_then(|function| text(function, "arguments")).unwrap_or_default();
    Ok(Block::ToolUse {
        id: id.to_owned(),
        name: name.to_owned(),
        input: arguments(raw),
        invalid_input: None,
    })
}

fn content_text(content: Option<&Value>) -> Result<String, ClientError> {
    joined_text(content, OF_MESSAGE, |part| {
        (text(part, "type") == Some("text")).then(|| text(part, "text").unwrap_or_default())
    })
}

fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens => "length",
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Other => "stop",
    }
}

fn usage(usage: &Usage) -> Value {
    let cached = usage.cache_read_tokens;
    let prompt = usage.input_tokens.saturating_add(cached).saturating_add(usage.cache_write_tokens);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt.saturating_add(usage.output_tokens),
        "prompt_tokens_details": { "cached_tokens": cached },
    })
}

/// Text, and the calls with their places in the list when `indexed`.
fn message(reply: &ChatReply, indexed: bool) -> Value {
    let said = reply.text();
    let mut calls: Vec<Value> = reply.blocks.iter().filter_map(call).collect();
    if indexed {
        for (index, call) in calls.iter_mut().enumerate() {
            if let Some(fields) = call.as_object_mut() {
                fields.insert("index".to_owned(), json!(index));
            }
        }
    }
    let mut message = json!({
        "role": "assistant",
        "content": if said.is_empty() { Value::Null } else { Value::String(said) },
    });
    if let Some(fields) = message.as_object_mut().filter(|_| !calls.is_empty()) {
        fields.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    message
}

fn call(block: &Block) -> Option<Value> {
    let Block::ToolUse { id, name, input, invalid_input } = block else { return None };
    // This format has text for arguments: what could not be read goes on as it was.
    let raw = invalid_input.as_ref().map_or_else(|| input.to_string(), |bad| bad.raw.clone());
    Some(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": raw } }))
}

pub(super) fn whole(reply: &ChatReply, number: u32) -> Value {
    json!({
        "id": format!("chatcmpl-bailiwick-{number}"),
        "object": "chat.completion",
        "created": 0,
        "model": reply.model,
        "choices": [{
            "index": 0,
            "message": message(reply, false),
            "finish_reason": finish_reason(reply.stop),
        }],
        "usage": usage(&reply.usage),
    })
}

pub(super) fn stream(reply: &ChatReply, carried: &Carried, number: u32) -> String {
    let mut out = String::new();
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": format!("chatcmpl-bailiwick-{number}"),
            "object": "chat.completion.chunk",
            "created": 0,
            "model": reply.model,
            "choices": choices,
            "usage": usage,
        })
    };
    let choice = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]), Value::Null)
    };
    event(&mut out, None, &choice(message(reply, true), Value::Null));
    event(&mut out, None, &choice(json!({}), json!(finish_reason(reply.stop))));
    if carried.usage_asked {
        event(&mut out, None, &chunk(json!([]), usage(&reply.usage)));
    }
    out.push_str("data: [DONE]\n\n");
    out
}
