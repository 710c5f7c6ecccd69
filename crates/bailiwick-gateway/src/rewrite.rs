//! Changing single strings of a JSON text and nothing else: every other byte stays as the client
//! wrote it, unknown fields, number formats and white space included.

/// Provider's own blobs, which are handed back to it and to nobody else. A changed one would be
/// refused.
const OPAQUE: [&str; 3] = ["signature", "encrypted_content", "data"];
/// A string that is shorter holds no credential.
const SHORTEST_SECRET: usize = 8;

/// A text with some of its strings changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The text.
    pub bytes: Vec<u8>,
    /// How many strings had something taken out.
    pub redacted: u32,
}

/// Puts `model` in place of every top-level `model`, and what `redact` gives in place of each
/// string for which it gives something. `json` has to be a JSON text; of anything else the bytes
/// come back as far as they make sense.
pub fn rewrite(json: &[u8], model: &str, redact: impl Fn(&str) -> Option<String>) -> Rewritten {
    let mut out = Vec::with_capacity(json.len());
    let mut redacted = 0_u32;
    // For each container that is open: whether it is an object, and the key that was read last.
    let mut open: Vec<Option<String>> = Vec::new();
    let mut objects: Vec<bool> = Vec::new();
    let mut expects_key = false;
    let mut rest = json;
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'"' {
            match byte {
                b'{' | b'[' => {
                    open.push(None);
                    objects.push(*byte == b'{');
                    expects_key = *byte == b'{';
                }
                b'}' | b']' => {
                    open.pop();
                    objects.pop();
                    expects_key = false;
                }
                b',' => expects_key = objects.last().copied().unwrap_or(false),
                b':' => expects_key = false,
                _ => {}
            }
            out.push(*byte);
            rest = after;
            continue;
        }
        let length = literal(rest);
        let (raw, tail) = rest.split_at(length);
        rest = tail;
        let text = serde_json::from_slice::<String>(raw).ok();
        if expects_key {
            if let Some(key) = open.last_mut() {
                key.clone_from(&text);
            }
            out.extend_from_slice(raw);
            continue;
        }
        let key = open.last().and_then(Option::as_deref);
        let is_model = open.len() == 1 && key == Some("model");
        let is_opaque = key.is_some_and(|key| OPAQUE.contains(&key));
        let changed = match text {
            Some(text) if is_model => (text != model).then(|| model.to_owned()),
            Some(text) if !is_opaque && text.len() >= SHORTEST_SECRET => {
                let clean = redact(&text);
                redacted = redacted.saturating_add(u32::from(clean.is_some()));
                clean
            }
            _ => None,
        };
        match changed.and_then(|text| serde_json::to_vec(&text).ok()) {
            Some(literal) => out.extend_from_slice(&literal),
            None => out.extend_from_slice(raw),
        }
    }
    Rewritten { bytes: out, redacted }
}

/// The length of the string literal that `text` begins with, quotes included.
fn literal(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn hide(text: &str) -> Option<String> {
        text.contains("hunter22").then(|| text.replace("hunter22", "[redacted]"))
    }

    #[test]
    fn nothing_but_the_model_and_the_secret_changes() {
        for (before, after, redacted) in [
            (r#"{"model":"a"}"#, r#"{"model":"m"}"#, 0),
            (
                r#" { "x" : 1.50e3, "model" :"a\"b" , "n":null}"#,
                r#" { "x" : 1.50e3, "model" :"m" , "n":null}"#,
                0,
            ),
            // However the key is written, and however often.
            (r#"{"mode\u006c":"a","model":"b"}"#, r#"{"mode\u006c":"m","model":"m"}"#, 0),
            (
                r#"{"a":{"model":"b"},"l":["model","a"]}"#,
                r#"{"a":{"model":"b"},"l":["model","a"]}"#,
                0,
            ),
            (
                r#"{"m":[{"text":"my hunter22 \u00e9\n"}],"z":0}"#,
                "{\"m\":[{\"text\":\"my [redacted] é\\n\"}],\"z\":0}",
                1,
            ),
            (
                r#"{"m":{"signature":"hunter22hunter22"}}"#,
                r#"{"m":{"signature":"hunter22hunter22"}}"#,
                0,
            ),
            (r#"{"hunter22":"x"}"#, r#"{"hunter22":"x"}"#, 0),
        ] {
            let rewritten = rewrite(before.as_bytes(), "m", hide);
            assert_eq!(String::from_utf8(rewritten.bytes).unwrap(), after);
            assert_eq!(rewritten.redacted, redacted, "{before}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(json!("hunter22")),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::btree_map("[a-z\"\\\\]{0,5}|model", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_text_without_secrets_keeps_every_byte(value in any_json()) {
            let text = value.to_string();
            let kept = rewrite(text.as_bytes(), "m", |_| None);
            if value.get("model").is_none_or(|model| !model.is_string()) {
                prop_assert_eq!(String::from_utf8(kept.bytes).unwrap(), text);
            } else {
                let kept: Value = serde_json::from_slice(&kept.bytes).unwrap();
                prop_assert_eq!(&kept["model"], "m");
            }
        }

        #[test]
        fn no_secret_is_left(value in any_json()) {
            let clean = rewrite(value.to_string().as_bytes(), "m", hide);
            let clean: Value = serde_json::from_slice(&clean.bytes).unwrap();
            fn strings(value: &Value) -> usize {
                match value {
                    Value::String(text) => usize::from(text.contains("hunter22")),
                    Value::Array(items) => items.iter().map(strings).sum(),
                    Value::Object(fields) => fields.values().map(strings).sum(),
                    _ => 0,
                }
            }
            prop_assert_eq!(strings(&clean), 0);
        }

        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(rewrite(&bytes, "m", hide));
        }
    }
}
