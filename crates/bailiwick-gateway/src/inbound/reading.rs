//! Reading a request: as much of it as has to be known to decide on it, and all of it when it goes
//! to a server of another family.

use std::collections::BTreeSet;

use bailiwick_model::chat::{Author, Block, ChatRequest, Message};
use serde_json::Value;

use super::{ClientError, Protocol, anthropic, chat, gemini, responses};

/// How many tokens an answer may have when the client does not say.
pub(super) const DEFAULT_OUTPUT_TOKENS: u32 = 32_000;

/// A request of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The protocol.
    pub protocol: Protocol,
    /// The whole body.
    pub body: Value,
    /// The model that the client wishes.
    pub wish: String,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// The most tokens that the answer may have.
    pub max_output_tokens: u32,
}

/// What a crossing to another family changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// What was left out, each in a word or two.
    pub left_out: BTreeSet<String>,
    /// Tools with free text as their input, which became tools with one field.
    pub free_text: BTreeSet<String>,
    /// Whether the client of a chat stream asked for the usage.
    pub usage_asked: bool,
    /// Whether a Gemini client wants its stream as a list.
    pub as_list: bool,
}

/// The text of a content, which is a text itself or a list of parts. `said` gives a part's words;
/// `whole` and `part` are what the two are called when they are something else.
pub(super) fn joined_text(
    content: Option<&Value>,
    (whole, part): (&str, &str),
    said: impl Fn(&Value) -> Option<&str>,
) -> Result<String, ClientError> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().map(|one| {
                said(one).ok_or_else(|| {
                    let kind = text(one, "type").unwrap_or("none");
                    ClientError::not_carried(&format!("{part} of type `{kind}`"))
                })
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        Some(_) => Err(ClientError::bad(format!("{whole} is neither text nor a list"))),
    }
}

/// What the content of a message, and a part of it, are called.
pub(super) const OF_MESSAGE: (&str, &str) = ("a message's content", "a message's part");

/// Reads a request.
///
/// # Errors
/// Fails when it is not what the protocol says, as far as that matters here.
pub fn read(protocol: Protocol, body: &[u8]) -> Result<Asked, ClientError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| ClientError::bad(format!("the body is not JSON: {error}")))?;
    if !body.is_object() {
        return Err(ClientError::bad("the body is not a JSON object"));
    }
    let conversation = match protocol {
        Protocol::Anthropic | Protocol::Chat => "messages",
        Protocol::Responses => "input",
        Protocol::Gemini => "contents",
    };
    match (protocol, body.get(conversation)) {
        (_, Some(Value::Array(_))) | (Protocol::Responses, Some(Value::String(_))) => {}
        _ => return Err(ClientError::bad(format!("`{conversation}` is missing or not a list"))),
    }
    let wish = text(&body, "model")
        .filter(|model| !model.is_empty() && model.len() <= 200)
        .ok_or_else(|| ClientError::bad("`model` is missing or not a name"))?
        .to_owned();
    let stream = match body.get("stream") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return Err(ClientError::bad("`stream` is not true or false")),
    };
    let limits: &[&str] = match protocol {
        Protocol::Anthropic => &["max_tokens"],
        Protocol::Chat => &["max_completion_tokens", "max_tokens"],
        Protocol::Responses => &["max_output_tokens"],
        Protocol::Gemini => &["maxOutputTokens", "max_output_tokens"],
    };
    let limit = limits
        .iter()
        .find_map(|name| settings(protocol, &body)?.get(*name).filter(|limit| !limit.is_null()));
    let max_output_tokens = match limit {
        Some(limit) => limit
            .as_u64()
            .and_then(|limit| u32::try_from(limit).ok())
            .filter(|limit| *limit > 0)
            .ok_or_else(|| ClientError::bad("the output limit is not a number of tokens"))?,
        None if protocol == Protocol::Anthropic => {
            return Err(ClientError::bad("`max_tokens` is missing"));
        }
        None => DEFAULT_OUTPUT_TOKENS,
    };
    Ok(Asked { protocol, body, wish, stream, max_output_tokens })
}

impl Asked {
    /// The request for a model of another family, by the name `model`.
    ///
    /// # Errors
    /// Fails when it has something that can't be left out and can't be carried.
    pub fn neutral(&self, model: &str) -> Result<(ChatRequest, Carried), ClientError> {
        let mut carried = Carried::default();
        let mut request = ChatRequest {
            model: model.to_owned(),
            system: Vec::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            max_output_tokens: self.max_output_tokens,
            temperature: match settings(self.protocol, &self.body) {
                Some(settings) => temperature(settings)?,
                None => None,
            },
        };
        match self.protocol {
            Protocol::Anthropic => anthropic::neutral(&self.body, &mut request, &mut carried)?,
            Protocol::Chat => chat::neutral(&self.body, &mut request, &mut carried)?,
            Protocol::Responses => responses::neutral(&self.body, &mut request, &mut carried)?,
            Protocol::Gemini => gemini::neutral(&self.body, &mut request, &mut carried)?,
        }
        if request.messages.last().is_none_or(|message| message.author != Author::User) {
            return Err(ClientError::not_carried("an answer that is begun for the model"));
        }
        Ok((request, carried))
    }

    /// What is said in the conversation, piece by piece, oldest first: its messages or items.
    pub fn pieces(&self) -> Vec<&Value> {
        let conversation = match self.protocol {
            Protocol::Anthropic | Protocol::Chat => self.body.get("messages"),
            Protocol::Responses => self.body.get("input"),
            Protocol::Gemini => self.body.get("contents"),
        };
        match conversation {
            Some(Value::Array(pieces)) => pieces.iter().collect(),
            Some(piece) => vec![piece],
            None => Vec::new(),
        }
    }

    /// What stands above the conversation: instructions and tools, by name.
    pub fn frame(&self) -> Vec<(&'static str, &Value)> {
        ["system", "instructions", "systemInstruction", "system_instruction", "tools"]
            .into_iter()
            .filter_map(|name| Some((name, self.body.get(name)?)))
            .collect()
    }
}

/// Where a request has its limits: in itself, but for one protocol.
fn settings(protocol: Protocol, body: &Value) -> Option<&Value> {
    match protocol {
        Protocol::Anthropic | Protocol::Chat | Protocol::Responses => Some(body),
        Protocol::Gemini => gemini::field(body, "generationConfig"),
    }
}

fn temperature(body: &Value) -> Result<Option<f32>, ClientError> {
    #[expect(clippy::cast_possible_truncation, reason = "a temperature has few digits")]
    match body.get("temperature") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .filter(|number| (0.0..=2.0).contains(number))
            .map(|number| Some(number as f32))
            .ok_or_else(|| ClientError::bad("`temperature` is not a number from 0 to 2")),
    }
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

pub(super) fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// Adds blocks to the conversation; what one author says in a row is one message.
pub(super) fn say(messages: &mut Vec<Message>, author: Author, blocks: Vec<Block>) {
    if blocks.is_empty() {
        return;
    }
    match messages.last_mut() {
        Some(last) if last.author == author => last.blocks.extend(blocks),
        _ => messages.push(Message { author, blocks }),
    }
}

/// Names what is left out when it is there.
pub(super) fn leave_out(body: &Value, fields: &[&str], carried: &mut Carried) {
    for field in fields {
        if body.get(field).is_some_and(|value| !value.is_null()) {
            carried.left_out.insert((*field).to_owned());
        }
    }
}

/// Arguments as a JSON object. What is none is kept as it is, marked.
pub(super) fn arguments(raw: &str) -> Value {
    match serde_json::from_str(raw) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        _ if raw.trim().is_empty() => Value::Object(serde_json::Map::new()),
        _ => serde_json::json!({ "INVALID_JSON": raw }),
    }
}

/// A tool's input schema; both families insist on an object.
pub(super) fn schema(value: Option<&Value>) -> Value {
    value
        .filter(|schema| schema.is_object())
        .cloned()
        .unwrap_or_else(|| serde_json::json!({ "type": "object", "properties": {} }))
}
