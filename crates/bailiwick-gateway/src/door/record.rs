//! What of a request is new: an agent's program sends its whole conversation with every call, and
//! the ledger has each piece of it once.

use std::collections::HashSet;

use bailiwick_model::payload::Digest;
use serde_json::{Map, Value, json};

use crate::inbound::Asked;

/// The pieces that were recorded before, by their digests.
#[derive(Debug, Default)]
pub(super) struct Said(HashSet<Digest>);

impl Said {
    /// What of `asked` was not said before, as it is recorded, and its text for the detectors.
    pub(super) fn new_in(&mut self, asked: &Asked) -> (Value, String) {
        let mut new = Map::new();
        let mut text = String::new();
        new.insert("protocol".to_owned(), json!(asked.protocol.name()));
        new.insert("wish".to_owned(), json!(asked.wish));
        for (name, value) in asked.frame() {
            if self.is_new(value) {
                new.insert(name.to_owned(), value.clone());
            }
        }
        let pieces: Vec<Value> =
            asked.pieces().into_iter().filter(|piece| self.is_new(piece)).cloned().collect();
        for piece in &pieces {
            collect_text(piece, &mut text);
        }
        new.insert("messages".to_owned(), Value::Array(pieces));
        (Value::Object(new), text)
    }

    fn is_new(&mut self, value: &Value) -> bool {
        // Marks for a cache move from message to message and say nothing new.
        self.0.insert(Digest::of(without_marks(value).to_string().as_bytes()))
    }
}

fn without_marks(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_marks).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "cache_control")
            .map(|(name, value)| (name.clone(), without_marks(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn collect_text(value: &Value, text: &mut String) {
    match value {
        Value::String(more) => {
            text.push_str(more);
            text.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| collect_text(item, text)),
        Value::Object(fields) => fields.values().for_each(|value| collect_text(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a piece of a conversation is what a tool answered.
pub(super) fn is_tool_answer(piece: &Value) -> bool {
    let named = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    named(piece, "role") == "tool"
        || named(piece, "type").ends_with("_call_output")
        || piece.get("parts").and_then(Value::as_array).is_some_and(|parts| {
            let answers = ["functionResponse", "function_response"];
            parts.iter().any(|part| answers.iter().any(|name| part.get(name).is_some()))
        })
        || piece
            .get("content")
            .and_then(Value::as_array)
            .is_some_and(|blocks| blocks.iter().any(|block| named(block, "type") == "tool_result"))
}
