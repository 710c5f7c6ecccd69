//! Gemini's `generateContent` and `streamGenerateContent`, from a client.
//!
//! Its address says what other protocols say in the body: the model, and whether the answer is a
//! stream. [`addressed`] writes both into the body, so that everything behind it reads requests of
//! one shape. No server of this family is spoken to: every call crosses to another one.

use std::collections::VecDeque;

use bailiwick_model::chat::{
    Author, Block, ChatReply, ChatRequest, StopReason, SystemBlock, ToolSpec, Usage,
};
use serde_json::{Map, Value, json};

use super::reading::{leave_out, say, schema, text};
use super::{Carried, ClientError, event};
use crate::assemble::tool_input_again;

/// What is asked of a model by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// A whole answer.
    Generate,
    /// A stream.
    Stream,
    /// How many tokens a request has.
    Count,
}

/// Where models are, in each version of the API.
const VERSIONS: [&str; 3] = ["/v1beta/", "/v1/", "/v1alpha/"];
/// The list of models is asked for with one of these; `/v1/models` is another protocol's too.
const LISTS: [&str; 2] = ["/v1beta/models", "/v1alpha/models"];

/// What an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address<'p> {
    /// Something is asked of a model.
    Model(&'p str, Method),
    /// The list of models is asked for, or one model by its name.
    Models(Option<&'p str>),
}

/// What an address of this protocol alone is of.
pub(crate) fn address(path: &str) -> Option<Address<'_>> {
    let of_model = || {
        let rest = VERSIONS.iter().find_map(|version| path.strip_prefix(version))?;
        let (model, method) = rest.strip_prefix("models/")?.rsplit_once(':')?;
        let method = match method {
            "generateContent" => Method::Generate,
            "streamGenerateContent" => Method::Stream,
            "countTokens" => Method::Count,
            _ => return None,
        };
        Some(Address::Model(model, method))
    };
    let of_list = || {
        LISTS.iter().find_map(|list| match path.strip_prefix(list)? {
            "" => Some(Address::Models(None)),
            rest => {
                let model = rest.strip_prefix('/')?;
                (!model.contains([':', '/'])).then_some(Address::Models(Some(model)))
            }
        })
    };
    of_model().or_else(of_list)
}

/// The body with what its address says of it. Events are asked for with `alt=sse`; without, a
/// stream is a list.
pub(crate) fn addressed(
    model: &str,
    method: Method,
    query: Option<&str>,
    body: &[u8],
) -> Result<Vec<u8>, ClientError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| ClientError::bad(format!("the body is not JSON: {error}")))?;
    let Value::Object(mut fields) = body else {
        return Err(ClientError::bad("the body is not a JSON object"));
    };
    let events = query.unwrap_or_default().split('&').any(|pair| pair == "alt=sse");
    fields.insert("model".to_owned(), json!(model));
    fields.insert("stream".to_owned(), json!(method == Method::Stream && events));
    fields.insert("as_list".to_owned(), json!(method == Method::Stream && !events));
    Ok(Value::Object(fields).to_string().into_bytes())
}

/// A field by its name, which may be written with underscores too.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let found = value.get(name).or_else(|| {
        let mut other = String::with_capacity(name.len().saturating_add(4));
        for c in name.chars() {
            if c.is_ascii_uppercase() {
                other.push('_');
            }
            other.push(c.to_ascii_lowercase());
        }
        value.get(&other)
    });
    found.filter(|value| !value.is_null())
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    field(value, name).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn neutral(
    body: &Value,
    request: &mut ChatRequest,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    match field(body, "systemInstruction") {
        None => {}
        Some(Value::String(text)) => request.system.push(SystemBlock::plain(text.as_str())),
        Some(content) => {
            for part in list(content, "parts") {
                let said = text(part, "text")
                    .ok_or_else(|| ClientError::bad("a part of `systemInstruction` has no text"))?;
                request.system.push(SystemBlock::plain(said));
            }
        }
    }
    let mut calls = Calls::default();
    for content in list(body, "contents") {
        let author = match text(content, "role") {
            None | Some("user" | "function") => Author::User,
            Some("model") => Author::Assistant,
            Some(_) => return Err(ClientError::bad("a content has no role that is known")),
        };
        let mut blocks = Vec::new();
        for part in list(content, "parts") {
            blocks.extend(block(part, &mut calls, carried)?);
        }
        say(&mut request.messages, author, blocks);
    }
    for tool in list(body, "tools") {
        for (kind, value) in tool.as_object().into_iter().flatten() {
            if !matches!(kind.as_str(), "functionDeclarations" | "function_declarations") {
                carried.left_out.insert(format!("tool {kind}"));
                continue;
            }
            for declared in value.as_array().into_iter().flatten() {
                request.tools.push(declaration(declared)?);
            }
        }
    }
    carried.as_list = body.get("as_list").and_then(Value::as_bool).unwrap_or(false);
    leave_out(body, &["toolConfig", "tool_config", "safetySettings", "safety_settings"], carried);
    if field(body, "cachedContent").is_some() {
        return Err(ClientError::not_carried("a conversation that is kept on the server"));
    }
    let Some(config) = field(body, "generationConfig") else { return Ok(()) };
    if field(config, "candidateCount").and_then(Value::as_u64).is_some_and(|count| count > 1) {
        return Err(ClientError::not_carried("a request for several answers (`candidateCount`)"));
    }
    let carries = ["maxOutputTokens", "max_output_tokens", "temperature"];
    let carries_one = ["candidateCount", "candidate_count"];
    for (name, value) in config.as_object().into_iter().flatten() {
        let known = carries.iter().chain(&carries_one).any(|known| known == name);
        if !known && !value.is_null() {
            carried.left_out.insert(name.clone());
        }
    }
    Ok(())
}

/// The calls of a conversation that are not answered yet. Clients may leave their ids out; the
/// other families insist on them.
#[derive(Debug, Default)]
struct Calls {
    made: u32,
    open: VecDeque<(String, String)>,
}

impl Calls {
    fn call(&mut self, id: Option<&str>, name: &str) -> String {
        self.made = self.made.saturating_add(1);
        let id = id.map_or_else(|| format!("call_without_id_{}", self.made), str::to_owned);
        self.open.push_back((id.clone(), name.to_owned()));
        id
    }

    /// The call that an answer belongs to: by its id, or else the oldest of the tool.
    fn answer(&mut self, id: Option<&str>, name: &str) -> Option<String> {
        let by_id = self.open.iter().position(|(open, _)| Some(open.as_str()) == id);
        let by_name = || self.open.iter().position(|(_, tool)| tool == name);
        let (id, _) = self.open.remove(by_id.or_else(by_name)?)?;
        Some(id)
    }
}

fn block(
    part: &Value,
    calls: &mut Calls,
    carried: &mut Carried,
) -> Result<Option<Block>, ClientError> {
    if field(part, "thoughtSignature").is_some()
        || part.get("thought").and_then(Value::as_bool).unwrap_or(false)
    {
        carried.left_out.insert("thinking of earlier turns".to_owned());
    }
    if part.get("thought").and_then(Value::as_bool).unwrap_or(false) {
        return Ok(None);
    }
    if let Some(said) = text(part, "text") {
        return Ok((!said.is_empty()).then(|| Block::Text { text: said.to_owned() }));
    }
    if let Some(call) = field(part, "functionCall") {
        let name =
            text(call, "name").ok_or_else(|| ClientError::bad("a `functionCall` has no `name`"))?;
        let input = match call.get("args") {
            None | Some(Value::Null) => json!({}),
            Some(args @ Value::Object(_)) => args.clone(),
            Some(_) => return Err(ClientError::bad("`args` of a `functionCall` is no object")),
        };
        let id = calls.call(text(call, "id").filter(|id| !id.is_empty()), name);
        let name = name.to_owned();
        return Ok(Some(Block::ToolUse { id, name, input, invalid_input: None }));
    }
    if let Some(answer) = field(part, "functionResponse") {
        let name = text(answer, "name")
            .ok_or_else(|| ClientError::bad("a `functionResponse` has no `name`"))?;
        let tool_use_id = calls.answer(text(answer, "id"), name).ok_or_else(|| {
            ClientError::bad(format!("a `functionResponse` of `{name}` answers no call"))
        })?;
        if list(answer, "parts").next().is_some() {
            return Err(ClientError::not_carried("a tool's answer with parts of other kinds"));
        }
        let (content, is_error) = told(answer.get("response"));
        return Ok(Some(Block::ToolResult { tool_use_id, content, is_error }));
    }
    let kind = part.as_object().and_then(|fields| fields.keys().next());
    let kind = kind.map_or("nothing", String::as_str);
    Err(ClientError::not_carried(&format!("a part with `{kind}`")))
}

/// What a tool answered. By custom an object with `output` or with `error`.
fn told(response: Option<&Value>) -> (String, bool) {
    let Some(response) = response else { return (String::new(), false) };
    let fields = response.as_object();
    let only = |name: &str| {
        let only = fields.filter(|fields| fields.len() == 1)?;
        only.get(name)?.as_str().map(str::to_owned)
    };
    let is_error = fields.is_some_and(|fields| fields.contains_key("error"));
    let said = only("output").or_else(|| only("error"));
    (said.unwrap_or_else(|| response.to_string()), is_error)
}

fn declaration(declared: &Value) -> Result<ToolSpec, ClientError> {
    let name = text(declared, "name")
        .ok_or_else(|| ClientError::bad("a function declaration has no `name`"))?;
    let input_schema = match field(declared, "parametersJsonSchema") {
        Some(written) => schema(Some(written)),
        None => schema(field(declared, "parameters").map(json_schema).as_ref()),
    };
    Ok(ToolSpec {
        name: name.to_owned(),
        description: text(declared, "description").unwrap_or_default().to_owned(),
        input_schema,
    })
}

/// A schema of this protocol as a JSON Schema: its types are written large, and whether a value
/// may be null stands beside its type. Its depth is that of the body, which JSON's reader bounds.
fn json_schema(value: &Value) -> Value {
    let Some(fields) = value.as_object() else { return value.clone() };
    let nullable = fields.get("nullable").and_then(Value::as_bool).unwrap_or(false);
    let mut out = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            ("type", Value::String(kind)) => {
                let kind = kind.to_ascii_lowercase();
                if nullable { json!([kind, "null"]) } else { json!(kind) }
            }
            ("nullable", Value::Bool(_)) => continue,
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), json_schema(schema)))
                .collect::<Map<_, _>>()
                .into(),
            ("anyOf", Value::Array(schemas)) => schemas.iter().map(json_schema).collect(),
            ("items", schema) => json_schema(schema),
            (_, other) => other.clone(),
        };
        out.insert(name.clone(), value);
    }
    Value::Object(out)
}

fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::MaxTokens => "MAX_TOKENS",
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Other => "STOP",
    }
}

fn usage(usage: &Usage) -> Value {
    let cached = usage.cache_read_tokens;
    let prompt = usage.input_tokens.saturating_add(cached).saturating_add(usage.cache_write_tokens);
    json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output_tokens,
        "totalTokenCount": prompt.saturating_add(usage.output_tokens),
        "cachedContentTokenCount": cached,
    })
}

fn part(block: &Block) -> Option<Value> {
    match block {
        Block::Text { text } => Some(json!({ "text": text })),
        Block::ToolUse { id, name, input, invalid_input } => {
            let args = tool_input_again(input, invalid_input.as_ref());
            Some(json!({ "functionCall": { "id": id, "name": name, "args": args } }))
        }
        // Another family's reasoning has no signature that this one's clients could hand back.
        Block::Thinking { .. } | Block::ToolResult { .. } => None,
    }
}

/// One piece of an answer; the last has why it ended and what it took.
fn piece(reply: &ChatReply, parts: Vec<Value>, is_last: bool, number: u32) -> Value {
    let mut candidate = Map::new();
    candidate.insert("content".to_owned(), json!({ "role": "model", "parts": parts }));
    candidate.insert("index".to_owned(), json!(0));
    let mut piece = Map::new();
    if is_last {
        candidate.insert("finishReason".to_owned(), json!(finish_reason(reply.stop)));
        piece.insert("usageMetadata".to_owned(), usage(&reply.usage));
    }
    piece.insert("candidates".to_owned(), json!([candidate]));
    piece.insert("modelVersion".to_owned(), json!(reply.model));
    piece.insert("responseId".to_owned(), json!(format!("bailiwick-{number}")));
    Value::Object(piece)
}

pub(super) fn whole(reply: &ChatReply, carried: &Carried, number: u32) -> Value {
    let parts = reply.blocks.iter().filter_map(part).collect();
    let whole = piece(reply, parts, true, number);
    if carried.as_list { json!([whole]) } else { whole }
}

pub(super) fn stream(reply: &ChatReply, number: u32) -> String {
    let mut out = String::new();
    let parts: Vec<Value> = reply.blocks.iter().filter_map(part).collect();
    let last = parts.len().saturating_sub(1);
    if parts.is_empty() {
        event(&mut out, None, &piece(reply, Vec::new(), true, number));
    }
    for (at, part) in parts.into_iter().enumerate() {
        event(&mut out, None, &piece(reply, vec![part], at == last, number));
    }
    out
}

/// Google's name for an HTTP status.
pub(super) fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// A model as its list shows it.
pub(crate) fn model(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "displayName": name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    })
}
