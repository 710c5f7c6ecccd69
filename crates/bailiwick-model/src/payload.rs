//! Bytes that an event refers to: small text stands in the event, everything else is a blob that
//! the event names by its SHA-256.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::IdError;

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes what stands before and texts, each with its length before it: no text can pass for
    /// two others.
    pub fn of_parts<'a>(before: &[u8], parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new_with_prefix(before);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError {
            text: text.chars().take(80).collect(),
            kind: "SHA-256 digest",
            rule: "64 lower-case hexadecimal digits",
        };
        let nibble = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(refuse());
        }
        let mut out = [0u8; 32];
        for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let [high, low] = pair else { return Err(refuse()) };
            let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) else {
                return Err(refuse());
            };
            *slot = high << 4 | low;
        }
        Ok(Self(out))
    }
}

impl TryFrom<String> for Digest {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Text of at most this many bytes stands in the event itself.
pub const INLINE_BYTES: usize = 2048;

/// How an event carries bytes: `{"inline": "text"}` or `{"blob": "<sha256>", "bytes": n}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Inline { inline: String },
    Blob { blob: Digest, bytes: u64 },
}

/// Bytes together with the form in which an event records them.
///
/// A payload made by [`Payload::new`] knows its bytes. One that was read back from an event knows
/// them only when they were inline; otherwise [`Payload::blob`] says which blob to fetch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload {
    stored: Stored,
    #[serde(skip)]
    bytes: Option<Arc<[u8]>>,
}

impl Payload {
    /// Wraps bytes: up to [`INLINE_BYTES`] of UTF-8 inline, anything else as a blob.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        if bytes.len() <= INLINE_BYTES {
            match String::from_utf8(bytes) {
                Ok(inline) => return Self { stored: Stored::Inline { inline }, bytes: None },
                Err(error) => return Self::as_blob(error.into_bytes()),
            }
        }
        Self::as_blob(bytes)
    }

    fn as_blob(bytes: Vec<u8>) -> Self {
        let stored = Stored::Blob { blob: Digest::of(&bytes), bytes: bytes.len() as u64 };
        Self { stored, bytes: Some(bytes.into()) }
    }

    /// The bytes, when this payload has them at hand.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.stored {
            Stored::Inline { inline } => Some(inline.as_bytes()),
            Stored::Blob { .. } => self.bytes.as_deref(),
        }
    }

    /// The blob to fetch, when the bytes do not stand in the event.
    pub fn blob(&self) -> Option<Digest> {
        match &self.stored {
            Stored::Inline { .. } => None,
            Stored::Blob { blob, .. } => Some(*blob),
        }
    }

    /// The blob's digest and bytes, when both are known: what has to be stored before the event.
    pub fn to_store(&self) -> Option<(Digest, Arc<[u8]>)> {
        match (&self.stored, &self.bytes) {
            (Stored::Blob { blob, .. }, Some(bytes)) => Some((*blob, Arc::clone(bytes))),
            _ => None,
        }
    }

    /// The SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        match &self.stored {
            Stored::Inline { inline } => Digest::of(inline.as_bytes()),
            Stored::Blob { blob, .. } => *blob,
        }
    }

    /// How many bytes.
    pub fn len(&self) -> u64 {
        match &self.stored {
            Stored::Inline { inline } => inline.len() as u64,
            Stored::Blob { bytes, .. } => *bytes,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text, lossily decoded, when the bytes are at hand.
    pub fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The same payload with its bytes at hand, if they have the recorded digest.
    pub fn with_bytes(&self, bytes: Vec<u8>) -> Option<Self> {
        (Digest::of(&bytes) == self.digest())
            .then(|| Self { stored: self.stored.clone(), bytes: Some(bytes.into()) })
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes, {})", self.len(), self.digest())
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_text_is_inline_and_everything_else_a_blob() {
        let small = Payload::from("hello");
        assert_eq!(serde_json::to_string(&small).unwrap(), r#"{"inline":"hello"}"#);
        assert!(small.blob().is_none());
        let binary = Payload::new(vec![0xff, 0x00]);
        assert_eq!(binary.blob(), Some(Digest::of(&[0xff, 0x00])));
        let long = Payload::new(vec![b'x'; INLINE_BYTES + 1]);
        assert_eq!(long.len(), 2049);
        let read: Payload = serde_json::from_str(&serde_json::to_string(&long).unwrap()).unwrap();
        assert_eq!(read.bytes(), None);
        assert!(read.with_bytes(vec![b'y'; 2049]).is_none());
        assert_eq!(read.with_bytes(vec![b'x'; 2049]), Some(long));
    }

    #[test]
    fn digest_text_is_canonical() {
        let text = Digest::of(b"").to_string();
        assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b""));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text.trim_start_matches(|c: char| c.is_ascii()).parse::<Digest>().is_err());
        assert!(format!("{text}0").parse::<Digest>().is_err());
    }
}
