//! C2SP signed notes: a text and the signatures under it, taken apart but not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::log_key::LogKey;
use crate::verifier_key::{LogName, VerifierKey};

/// The longest note that is looked at, in bytes: far more than sixteen signatures of any kind.
pub(crate) const MAX_NOTE_BYTES: usize = 256 << 10;

/// What every signature line starts with: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// A signed note whose form was checked, and nothing else: no signature is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The signed text, with its last newline and without the blank line after it.
    pub text: String,
    /// The signatures in their order; at least one.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Who claims to have signed.
    pub name: LogName,
    /// The first four bytes, which with the name say which key it was.
    pub key_id: [u8; 4],
    /// The rest, in the form of the key's algorithm.
    pub signature: Vec<u8>,
}

/// A text is not a signed note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is longer than any honest note.
    #[error("the note has {bytes} bytes, more than {MAX_NOTE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character, which a note must not.
    #[error("the note has a control character")]
    ControlCharacter,
    /// There is no blank line between text and signatures, or no newline at the end.
    #[error("the note is not a text, a blank line and signature lines, each ending in a newline")]
    Shape,
    /// A line after the blank line is not a signature.
    #[error("signature line {line} is malformed")]
    SignatureLine {
        /// Which one, the first being 1.
        line: usize,
    },
}

impl Note {
    /// Takes a note apart.
    ///
    /// # Errors
    /// The text is not exactly what [`Note::to_text`] would write.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { bytes: note.len() });
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::ControlCharacter);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let signatures = signatures
            .split('\n')
            .enumerate()
            .map(|(at, line)| {
                NoteSignature::parse(line).ok_or(NoteError::SignatureLine { line: at + 1 })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Signs a text, which ends in a newline.
    pub fn sign(text: &str, key: &LogKey) -> Self {
        Self { text: text.to_owned(), signatures: vec![key.sign(text)] }
    }

    /// Whether `key` signed it: `None` when no signature claims to be by it, and otherwise whether
    /// each that does belongs to this text.
    pub fn signed_by(&self, key: &VerifierKey) -> Option<bool> {
        let mut claims = self.signatures.iter().filter(|one| key.claims(one)).peekable();
        claims.peek()?;
        Some(claims.all(|one| key.verify(&self.text, &one.signature).is_ok()))
    }

    /// Writes the note as it stands in a file.
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            let mut bytes = signature.key_id.to_vec();
            bytes.extend_from_slice(&signature.signature);
            note.push_str(SIGNATURE_MARK);
            note.push_str(signature.name.as_str());
            note.push(' ');
            note.push_str(&STANDARD.encode(bytes));
            note.push('\n');
        }
        note
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let name = name.parse().ok()?;
        let bytes = decode_base64(encoded)?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        if signature.is_empty() {
            return None;
        }
        Some(Self { name, key_id: *key_id, signature: signature.to_vec() })
    }
}

/// Decodes standard base64 and accepts only the one canonical spelling of those bytes.
pub(crate) fn decode_base64(encoded: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(encoded).ok()?;
    (STANDARD.encode(&bytes) == encoded).then_some(bytes)
}
