//! OpenAI Responses, from a client.

use bailiwick_model::chat::{
    Author, Block, ChatReply, ChatRequest, StopReason, SystemBlock, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::reading::{OF_MESSAGE, arguments, joined_text, leave_out, list, say, schema, text};
use super::{Carried, ClientError, event};

/// The one field of a tool that has free text as its input, on its way through another family.
const FREE_TEXT: &str = "input";

pub(super) fn neutral(
    body: &Value,
    request: &mut ChatRequest,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    if text(body, "previous_response_id").is_some()
        || body.get("conversation").is_some_and(|c| !c.is_null())
    {
        return Err(ClientError::not_carried("a conversation that is kept on the server"));
    }
    if let Some(instructions) = text(body, "instructions").filter(|text| !text.is_empty()) {
        request.system.push(SystemBlock::plain(instructions));
    }
    match body.get("input") {
        Some(Value::String(text)) => {
            say(&mut request.messages, Author::User, vec![Block::Text { text: text.clone() }]);
        }
        _ => {
            for item in list(body, "input") {
                neutral_item(item, request, carried)?;
            }
        }
    }
    for tool in list(body, "tools") {
        match (text(tool, "type"), text(tool, "name")) {
            (Some("function"), Some(name)) => {
                request.tools.push(spec(tool, name, schema(tool.get("parameters"))));
            }
            (Some("custom"), Some(name)) => {
                carried.free_text.insert(name.to_owned());
                let field = json!({ "type": "string", "description": "the whole input" });
                let schema = json!({
                    "type": "object",
                    "properties": { FREE_TEXT: field },
                    "required": [FREE_TEXT],
                });
                request.tools.push(spec(tool, name, schema));
            }
            (kind, _) => {
                carried.left_out.insert(format!("tool {}", kind.unwrap_or("without a name")));
            }
        }
    }
    let fields = ["top_p", "tool_choice", "text", "reasoning", "truncation", "prompt"];
    leave_out(body, &fields, carried);
    Ok(())
}

fn spec(tool: &Value, name: &str, input_schema: Value) -> ToolSpec {
    let mut description = text(tool, "description").unwrap_or_default().to_owned();
    // What the input has to look like is said in words, where it can't be said as a grammar.
    if let Some(grammar) = tool.get("format").and_then(|format| text(format, "definition")) {
        description.push_str("\n\nThe input follows this grammar:\n");
        description.push_str(grammar);
    }
    ToolSpec { name: name.to_owned(), description, input_schema }
}

fn neutral_item(
    item: &Value,
    request: &mut ChatRequest,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    let field = |name: &str| {
        text(item, name)
            .map(str::to_owned)
            .ok_or_else(|| ClientError::bad(format!("an item of `input` has no `{name}`")))
    };
    let called = |input: Value| -> Result<Block, ClientError> {
        Ok(Block::ToolUse {
            id: field("call_id")?,
            name: field("name")?,
            input,
            invalid_input: None,
        })
    };
    match text(item, "type") {
        None | Some("message") => {
            let said = item_text(item.get("content"))?;
            match text(item, "role") {
                Some("system" | "developer") => request.system.push(SystemBlock::plain(said)),
                Some("user") => {
                    say(&mut request.messages, Author::User, vec![Block::Text { text: said }]);
                }
                Some("assistant") => {
                    let block = Block::Text { text: said };
                    say(&mut request.messages, Author::Assistant, vec![block]);
                }
                _ => return Err(ClientError::bad("a message has no role that is known")),
            }
        }
        Some("function_call") => {
            let block = called(arguments(&field("arguments")?))?;
            say(&mut request.messages, Author::Assistant, vec![block]);
        }
        Some("custom_tool_call") => {
            let block = called(json!({ FREE_TEXT: field("input")? }))?;
            say(&mut request.messages, Author::Assistant, vec![block]);
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            let block = Block::ToolResult {
                tool_use_id: field("call_id")?,
                content: item_text(item.get("output"))?,
                is_error: false,
            };
            say(&mut request.messages, Author::User, vec![block]);
        }
        Some("reasoning") => {
            carried.left_out.insert("reasoning of earlier turns".to_owned());
        }
        Some(other) => {
            return Err(ClientError::not_carried(&format!("an item of type `{other}`")));
        }
    }
    Ok(())
}

fn item_text(content: Option<&Value>) -> Result<String, ClientError> {
    joined_text(content, OF_MESSAGE, |part| match text(part, "type") {
        Some("input_text" | "output_text" | "text") => Some(text(part, "text").unwrap_or_default()),
        Some("refusal") => Some(text(part, "refusal").unwrap_or_default()),
        _ => None,
    })
}

fn usage(usage: &Usage) -> Value {
    let cached = usage.cache_read_tokens;
    let input = usage.input_tokens.saturating_add(cached).saturating_add(usage.cache_write_tokens);
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": cached },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": input.saturating_add(usage.output_tokens),
    })
}

/// The items of the answer.
fn items(reply: &ChatReply, carried: &Carried, number: u32) -> Vec<Value> {
    let mut items = Vec::new();
    for (index, block) in reply.blocks.iter().enumerate() {
        match block {
            Block::Text { text } => items.push(json!({
                "id": format!("msg_bailiwick_{number}_{index}"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [{ "type": "output_text", "text": text, "annotations": [] }],
            })),
            Block::ToolUse { id, name, input, invalid_input } => {
                let raw =
                    invalid_input.as_ref().map_or_else(|| input.to_string(), |bad| bad.raw.clone());
                let free = carried.free_text.contains(name);
                let item = if free {
                    json!({
                        "id": format!("ctc_bailiwick_{number}_{index}"),
                        "type": "custom_tool_call",
                        "status": "completed",
                        "call_id": id,
                        "name": name,
                        "input": text(input, FREE_TEXT).unwrap_or(&raw),
                    })
                } else {
                    json!({
                        "id": format!("fc_bailiwick_{number}_{index}"),
                        "type": "function_call",
                        "status": "completed",
                        "call_id": id,
                        "name": name,
                        "arguments": raw,
                    })
                };
                items.push(item);
            }
            Block::Thinking { .. } | Block::ToolResult { .. } => {}
        }
    }
    items
}

pub(super) fn whole(reply: &ChatReply, carried: &Carried, number: u32) -> Value {
    let cut = reply.stop == StopReason::MaxTokens;
    json!({
        "id": format!("resp_bailiwick_{number}"),
        "object": "response",
        "created_at": 0,
        "status": if cut { "incomplete" } else { "completed" },
        "incomplete_details": if cut { json!({ "reason": "max_output_tokens" }) } else { Value::Null },
        "error": null,
        "model": reply.model,
        "output": items(reply, carried, number),
        "usage": usage(&reply.usage),
    })
}

pub(super) fn stream(reply: &ChatReply, carried: &Carried, number: u32) -> String {
    let mut out = String::new();
    let mut sequence = 0_u64;
    let mut send = |name: &str, mut data: Value| {
        if let Some(fields) = data.as_object_mut() {
            fields.insert("type".to_owned(), json!(name));
            fields.insert("sequence_number".to_owned(), json!(sequence));
        }
        sequence = sequence.saturating_add(1);
        event(&mut out, Some(name), &data);
    };
    let done = whole(reply, carried, number);
    let mut begun = done.clone();
    if let Some(fields) = begun.as_object_mut() {
        fields.insert("status".to_owned(), json!("in_progress"));
        fields.insert("output".to_owned(), json!([]));
        fields.insert("usage".to_owned(), Value::Null);
    }
    send("response.created", json!({ "response": begun }));
    for (index, item) in list(&done, "output").enumerate() {
        let id = item.get("id");
        let mut empty = item.clone();
        if let Some(fields) = empty.as_object_mut() {
            fields.insert("status".to_owned(), json!("in_progress"));
            for (field, nothing) in
                [("content", json!([])), ("arguments", json!("")), ("input", json!(""))]
            {
                if let Some(value) = fields.get_mut(field) {
                    *value = nothing;
                }
            }
        }
        send("response.output_item.added", json!({ "output_index": index, "item": empty }));
        let place = json!({ "item_id": id, "output_index": index });
        let with = |more: Value| {
            let mut place = place.clone();
            if let (Some(fields), Value::Object(more)) = (place.as_object_mut(), more) {
                fields.extend(more);
            }
            place
        };
        match text(item, "type") {
            Some("function_call") => {
                let raw = item.get("arguments");
                send("response.function_call_arguments.delta", with(json!({ "delta": raw })));
                send("response.function_call_arguments.done", with(json!({ "arguments": raw })));
            }
            Some("custom_tool_call") => {
                let raw = item.get("input");
                send("response.custom_tool_call_input.delta", with(json!({ "delta": raw })));
                send("response.custom_tool_call_input.done", with(json!({ "input": raw })));
            }
            _ => {
                let part = list(item, "content").next().cloned().unwrap_or(Value::Null);
                let said = text(&part, "text").unwrap_or_default();
                let empty = json!({ "type": "output_text", "text": "", "annotations": [] });
                send(
                    "response.content_part.added",
                    with(json!({ "content_index": 0, "part": empty })),
                );
                send(
                    "response.output_text.delta",
                    with(json!({ "content_index": 0, "delta": said })),
                );
                send(
                    "response.output_text.done",
                    with(json!({ "content_index": 0, "text": said })),
                );
                send(
                    "response.content_part.done",
                    with(json!({ "content_index": 0, "part": part })),
                );
            }
        }
        send("response.output_item.done", json!({ "output_index": index, "item": item }));
    }
    let name = if reply.stop == StopReason::MaxTokens {
        "response.incomplete"
    } else {
        "response.completed"
    };
    send(name, json!({ "response": done }));
    out
}
