//! One entry of the ledger: a payload, its salt, the leaf that commits to both, and the line
//! under which they are kept in `events/`.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::hash::{Hash, from_hex, to_hex};
use crate::payload::{self, BlobReference};

/// The longest payload in bytes; what is longer belongs into a blob.
pub const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// The length of a salt in hex digits, which every line starts with.
const SALT_DIGITS: usize = 32;

/// The longest line, without its newline.
pub(crate) const MAX_LINE_BYTES: usize = SALT_DIGITS + 1 + MAX_PAYLOAD_BYTES;

/// 16 random bytes which keep a leaf from being guessed from likely payloads.
///
/// They must come from a cryptographic source, fresh for each record, or a redacted payload can be
/// found again by trial.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// Takes 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({})", to_hex(&self.0))
    }
}

/// The 33 bytes that go into the tree: `0x01 || SHA-256("bailiwick leaf v1\n" || salt || payload)`.
///
/// It is a commitment, so that the payload can be taken away later and every proof still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf([u8; 33]);

impl Leaf {
    /// The length of every leaf in bytes.
    pub const BYTES: usize = 33;

    /// Returns the bytes as they stand in an entry bundle.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Returns the RFC 6962 hash of the leaf, as it stands in a level-0 tile.
    pub fn hash(&self) -> Hash {
        Hash::of_leaf(&self.0)
    }
}

/// One entry: the payload and the salt under which its leaf commits to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The salt.
    pub salt: Salt,
    /// One JSON value on one line, at most [`MAX_PAYLOAD_BYTES`]; committed to byte by byte.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("salt", &self.salt)
            .field("payload", &String::from_utf8_lossy(&self.payload))
            .finish()
    }
}

/// A line or a payload is not what the ledger keeps.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The line is not `<32 lower-case hex digits> <payload>`.
    #[error("the line does not start with a salt of 32 lower-case hex digits and a space")]
    Salt,
    /// The payload holds a line break and would not stay on its line.
    #[error("the payload has a line break at byte {offset}")]
    LineBreak {
        /// The offset of the first carriage return or newline in the payload.
        offset: usize,
    },
    /// The payload is too long.
    #[error("the payload has {bytes} bytes, more than {MAX_PAYLOAD_BYTES}")]
    TooLong {
        /// The length of the payload.
        bytes: usize,
    },
    /// The payload is not one JSON value.
    #[error("the payload is not JSON")]
    Json {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
}

impl Record {
    /// Returns the leaf that commits to this record.
    pub fn leaf(&self) -> Leaf {
        let mut sha = Sha256::new();
        sha.update(b"bailiwick leaf v1\n");
        sha.update(self.salt.0);
        sha.update(&self.payload);
        let digest: [u8; 32] = sha.finalize().into();
        let mut leaf = [1; Leaf::BYTES];
        for (to, from) in leaf.iter_mut().skip(1).zip(digest) {
            *to = from;
        }
        Leaf(leaf)
    }

    /// Returns the line for `events/`, without its newline.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = to_hex(&self.salt.0).into_bytes();
        line.push(b' ');
        line.extend_from_slice(&self.payload);
        line
    }

    /// Reads a line of `events/`, without its newline, and checks the payload.
    ///
    /// # Errors
    /// Whatever [`Record::to_line`] of a valid record could not have written.
    pub fn from_line(line: &[u8]) -> Result<Self, RecordError> {
        let record = Self::split_line(line)?;
        record.blob_references()?;
        Ok(record)
    }

    /// Reads a line without looking at the payload.
    pub(crate) fn split_line(line: &[u8]) -> Result<Self, RecordError> {
        let (salt, payload) = line.split_at_checked(SALT_DIGITS).ok_or(RecordError::Salt)?;
        let salt = Salt(from_hex(salt).ok_or(RecordError::Salt)?);
        let payload = payload.strip_prefix(b" ").ok_or(RecordError::Salt)?.to_vec();
        Ok(Self { salt, payload })
    }

    /// Checks that the payload is one line of JSON and returns the blobs it refers to.
    ///
    /// # Errors
    /// The payload is too long, broken over lines, or not JSON.
    pub fn blob_references(&self) -> Result<Vec<BlobReference>, RecordError> {
        if self.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(RecordError::TooLong { bytes: self.payload.len() });
        }
        if let Some(offset) = self.payload.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(RecordError::LineBreak { offset });
        }
        payload::blob_references(&self.payload).map_err(|source| RecordError::Json { source })
    }
}
