//! Who a ledger is: its name and the public key in signed-note form.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::hash::{from_hex, to_hex};
use crate::note::{NoteSignature, decode_base64};

/// The signature type byte of Ed25519 in a signed note.
pub(crate) const ED25519: u8 = 1;

/// The longest name in bytes.
const MAX_NAME_BYTES: usize = 255;

/// A name of a ledger, which is both its checkpoint's origin line and its key's name.
///
/// It is not empty and has no white space, plus sign or control character; by convention it looks
/// like an address without a scheme, `example.com/bailiwick`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName(String);

impl LogName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LogName {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let refused = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(refused) {
            return Err(KeyError::Name { name: name.chars().take(80).collect() });
        }
        Ok(Self(name.to_owned()))
    }
}

/// A name or key text is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has white space, a plus sign or a control character.
    #[error("`{name}` cannot be the name of a ledger")]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// The text is not `<name>+<8 hex digits>+<base64>`.
    #[error("a verifier key is written `name+8 hex digits+base64`")]
    Shape,
    /// The key is of a kind other than Ed25519, or no usable point of the curve.
    #[error("the key is not an Ed25519 key")]
    NotEd25519,
    /// The key id is not the one of this name and key: one of the three was altered.
    #[error("the key id does not belong to this name and key")]
    KeyId,
}

/// A public key under a name: what an auditor trusts.
///
/// As text: `<name>+<8 hex digits of the key id>+<base64 of 0x01 and the key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: LogName,
    key_id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    pub(crate) fn new(name: LogName, key: VerifyingKey) -> Self {
        let key_id = key_id(&name, &key);
        Self { name, key_id, key }
    }

    /// Returns the name of the ledger that this key signs for.
    pub const fn name(&self) -> &LogName {
        &self.name
    }

    /// Returns the four bytes which with the name mark this key's signatures.
    pub const fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// Says whether a signature line claims to be by this key.
    pub(crate) fn claims(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.key_id
    }

    /// Checks an Ed25519 signature strictly: no other encoding of it is accepted.
    pub(crate) fn verify(&self, text: &str, signature: &[u8]) -> Result<(), SignatureMismatch> {
        let bytes = <[u8; 64]>::try_from(signature).map_err(|_| SignatureMismatch)?;
        self.key
            .verify_strict(text.as_bytes(), &Signature::from_bytes(&bytes))
            .map_err(|_| SignatureMismatch)
    }
}

/// A signature does not belong to the text and key.
pub(crate) struct SignatureMismatch;

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, to_hex(&self.key_id), STANDARD.encode(bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = split_key(text)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotEd25519)?;
        // The low-order points verify signatures that nobody made, and an encoding other than
        // the canonical one would give one key two texts.
        if key.is_weak() || key.to_bytes() != bytes {
            return Err(KeyError::NotEd25519);
        }
        let key = Self::new(name, key);
        if key.key_id == id { Ok(key) } else { Err(KeyError::KeyId) }
    }
}

/// Takes `<name>+<hex id>+<base64 of 0x01 and 32 bytes>` apart.
pub(crate) fn split_key(text: &str) -> Result<(LogName, [u8; 4], [u8; 32]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Shape);
    };
    let name = name.parse()?;
    let id = from_hex(id.as_bytes()).ok_or(KeyError::Shape)?;
    let bytes = decode_base64(encoded).ok_or(KeyError::Shape)?;
    let key = bytes.strip_prefix(&[ED25519]).ok_or(KeyError::NotEd25519)?;
    let key = <[u8; 32]>::try_from(key).map_err(|_| KeyError::NotEd25519)?;
    Ok((name, id, key))
}

fn key_id(name: &LogName, key: &VerifyingKey) -> [u8; 4] {
    let mut sha = Sha256::new();
    sha.update(name.as_str());
    sha.update([b'\n', ED25519]);
    sha.update(key.as_bytes());
    let digest: [u8; 32] = sha.finalize().into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}
