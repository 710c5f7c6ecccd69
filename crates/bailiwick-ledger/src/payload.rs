//! What the ledger understands of a payload: that it is one line of JSON, and which blobs it
//! refers to. It knows nothing of events.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::hash::{Hash, from_hex};

/// A reference from a payload to a blob: any JSON object with `"blob"` (64 lower-case hex digits)
/// and `"bytes"` (the length).
///
/// An object with only one of the two is not a reference. Text from outside must therefore not be
/// put into a payload as JSON values (as a string it is harmless): it could name a blob that
/// nobody stored, and the ledger would no longer verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobReference {
    /// The SHA-256 of the blob, which is also its name.
    pub blob: Hash,
    /// The length of the blob in bytes.
    pub bytes: u64,
}

/// Parses one JSON value with nothing after it, and collects the references in it.
///
/// When a key is repeated in an object the last one counts, as for `serde_json::Value`.
pub(crate) fn blob_references(payload: &[u8]) -> Result<Vec<BlobReference>, serde_json::Error> {
    let mut references = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    Walk { references: &mut references }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(references)
}

/// What a value may mean to the object that holds it.
enum Node {
    Hash(Hash),
    Count(u64),
    Other,
}

struct Walk<'a> {
    references: &'a mut Vec<BlobReference>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, count: u64) -> Result<Node, E> {
        Ok(Node::Count(count))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(from_hex(text.as_bytes()).map_or(Node::Other, |hash| Node::Hash(Hash::from_bytes(hash))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        while items.next_element_seed(Walk { references: self.references })?.is_some() {}
        Ok(Node::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let (mut blob, mut bytes) = (Node::Other, Node::Other);
        while let Some(key) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Walk { references: self.references })?;
            match key.as_str() {
                "blob" => blob = value,
                "bytes" => bytes = value,
                _ => {}
            }
        }
        if let (Node::Hash(blob), Node::Count(bytes)) = (blob, bytes) {
            self.references.push(BlobReference { blob, bytes });
        }
        Ok(Node::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, expected: &[u64]) {
        let found = blob_references(payload.as_bytes()).expect(payload);
        assert_eq!(
            found.iter().map(|found| found.bytes).collect::<Vec<_>>(),
            expected,
            "{payload}"
        );
    }

    #[test]
    fn finds_references_at_any_depth() {
        let hash = "ab".repeat(32);
        check(&format!(r#"{{"blob":"{hash}","bytes":3}}"#), &[3]);
        check(
            &format!(r#"[1,{{"a":{{"bytes":4,"x":null,"blob":"{hash}"}}}}, true, -1, 1.5]"#),
            &[4],
        );
        check(
            &format!(r#"{{"blob":"{hash}","bytes":1,"in":{{"blob":"{hash}","bytes":2}}}}"#),
            &[2, 1],
        );
        check(&format!(r#"{{"blob":"{hash}","bytes":1,"bytes":9}}"#), &[9]);
    }

    #[test]
    fn what_only_resembles_a_reference_is_none() {
        let hash = "ab".repeat(32);
        check(&format!(r#"{{"blob":"{hash}"}}"#), &[]);
        check(&format!(r#"{{"blob":"{}","bytes":1}}"#, hash.to_uppercase()), &[]);
        check(&format!(r#"{{"blob":"{hash}","bytes":-1}}"#), &[]);
        check(&format!(r#"{{"blob":"{hash}","bytes":"1"}}"#), &[]);
        check(&format!(r#"{{"text":"{{\"blob\":\"{hash}\",\"bytes\":1}}"}}"#), &[]);
    }

    #[test]
    fn refuses_what_is_not_one_json_value() {
        for payload in ["", "{", "{} {}", "nul", "{\"a\":1}x", "\"\u{1}\""] {
            assert!(blob_references(payload.as_bytes()).is_err(), "{payload}");
        }
        assert!(blob_references(b"\"\xff\"").is_err());
    }
}
