//! One tree for JSON, TOML and YAML, bounded in depth and number of values, without repeated keys.

mod json;
mod yaml;

use std::collections::BTreeMap;

use crate::error::{ReadError, unexpected};

/// Most bytes of one file.
pub const MAX_BYTES: usize = 16 << 20;
/// Most values of one file.
pub(crate) const MAX_VALUES: usize = 2_000_000;
/// Deepest nesting.
pub(crate) const MAX_DEPTH: usize = 100;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Doc {
    Null,
    Bool(bool),
    /// A number as it is written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

static NOTHING: BTreeMap<String, Doc> = BTreeMap::new();

/// Text of a file, or why it is none.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge { bytes: bytes.len(), most: MAX_BYTES });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ReadError::NotText)?;
    if text.contains('\0') {
        return Err(ReadError::NotText);
    }
    // a byte order mark is not part of the text
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

impl Doc {
    pub(crate) fn json(bytes: &[u8]) -> Result<Self, ReadError> {
        json::read(text(bytes)?)
    }

    pub(crate) fn yaml(bytes: &[u8]) -> Result<Self, ReadError> {
        yaml::read(text(bytes)?)
    }

    pub(crate) fn toml(bytes: &[u8]) -> Result<Self, ReadError> {
        let table: toml::Table = toml::from_str(text(bytes)?).map_err(|error| {
            ReadError::Malformed { format: "TOML", detail: one_line(error.message()) }
        })?;
        let mut left = MAX_VALUES;
        from_toml(toml::Value::Table(table), &mut left, 0)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar: lock files write versions with and without quotes.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some(&Self::Bool(true))
    }

    /// The text under a key; an error if something else stands there.
    pub(crate) fn str(&self, key: &str) -> Result<Option<&str>, ReadError> {
        match self.get(key) {
            None | Some(Self::Null) => Ok(None),
            Some(value) => value.scalar().map(Some).ok_or_else(|| unexpected(key, "text")),
        }
    }

    /// The text under a key that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<&str, ReadError> {
        self.str(key)?.ok_or_else(|| unexpected(key, "there"))
    }

    /// The map under a key; empty if it is absent, an error if something else stands there.
    pub(crate) fn map(&self, key: &str) -> Result<&BTreeMap<String, Self>, ReadError> {
        match self.get(key) {
            None | Some(Self::Null) => Ok(&NOTHING),
            Some(Self::Map(map)) => Ok(map),
            Some(_) => Err(unexpected(key, "a table")),
        }
    }

    /// The list under a key; empty if it is absent, an error if something else stands there.
    pub(crate) fn list(&self, key: &str) -> Result<&[Self], ReadError> {
        match self.get(key) {
            None | Some(Self::Null) => Ok(&[]),
            Some(Self::List(list)) => Ok(list),
            Some(_) => Err(unexpected(key, "a list")),
        }
    }

    /// This value as a map.
    pub(crate) fn as_map(&self, place: &str) -> Result<&BTreeMap<String, Self>, ReadError> {
        match self {
            Self::Map(map) => Ok(map),
            _ => Err(unexpected(place, "a table")),
        }
    }
}

pub(crate) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(200).collect()
}

fn from_toml(value: toml::Value, left: &mut usize, depth: usize) -> Result<Doc, ReadError> {
    *left = left.checked_sub(1).ok_or(ReadError::TooMany { most: MAX_VALUES })?;
    if depth > MAX_DEPTH {
        return Err(ReadError::TooDeep { most: MAX_DEPTH });
    }
    Ok(match value {
        toml::Value::String(text) => Doc::Text(text),
        toml::Value::Integer(number) => Doc::Number(number.to_string()),
        toml::Value::Float(number) => Doc::Number(number.to_string()),
        toml::Value::Boolean(truth) => Doc::Bool(truth),
        toml::Value::Datetime(time) => Doc::Text(time.to_string()),
        toml::Value::Array(items) => Doc::List(
            items
                .into_iter()
                .map(|item| from_toml(item, left, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        toml::Value::Table(table) => Doc::Map(
            table
                .into_iter()
                .map(|(key, value)| Ok((key, from_toml(value, left, depth + 1)?)))
                .collect::<Result<_, ReadError>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_refused_in_every_format() {
        for read in [Doc::json(br#"{"a": {"b": 1, "b": 2}}"#), Doc::yaml(b"a:\n  b: 1\n  b: 2\n")] {
            assert_eq!(read, Err(ReadError::Repeated { key: "b".to_owned() }));
        }
        assert!(matches!(Doc::toml(b"b = 1\nb = 2\n"), Err(ReadError::Malformed { .. })));
    }

    #[test]
    fn depth_and_references_are_bounded() {
        let deep = "[".repeat(100_000);
        assert!(Doc::json(deep.as_bytes()).is_err());
        assert!(Doc::yaml(deep.as_bytes()).is_err());
        assert!(Doc::toml(format!("a = {deep}").as_bytes()).is_err());
        let nested: String = (0..300).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert_eq!(Doc::yaml(nested.as_bytes()), Err(ReadError::TooDeep { most: MAX_DEPTH }));
        assert_eq!(Doc::yaml(b"a: &x [1]\nb: *x\n"), Err(ReadError::Reference));
        assert_eq!(Doc::json(b"{\"a\": \"\0\"}"), Err(ReadError::NotText));
    }

    #[test]
    fn the_three_formats_make_the_same_tree() {
        let json = Doc::json(br#"{"a": [1, "x", true], "b": {"c": "1.0"}}"#).unwrap();
        assert_eq!(Doc::yaml(b"a: [1, x, true]\nb:\n  c: '1.0'\n").unwrap(), json);
        assert_eq!(Doc::toml(b"a = [1, 'x', true]\nb.c = '1.0'\n").unwrap(), json);
    }
}
