//! The ledger's signed tree head: a C2SP tlog-checkpoint without extension lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::log_key::LogKey;
use crate::note::{Note, NoteError, decode_base64};
use crate::tree::TreeHead;
use crate::verifier_key::{LogName, VerifierKey};

/// What a ledger says about itself under its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which ledger it is; the same as the name of its key.
    pub origin: LogName,
    /// The number of entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// A text is not a checkpoint signed by the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note {
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// The text is not origin, size and root on three lines, each in its canonical form.
    #[error("the checkpoint is not an origin, a size and a base64 root on three lines")]
    Text,
    /// It is about another ledger than the one the key belongs to.
    #[error("the checkpoint is of `{origin}`, the key of `{name}`")]
    Origin {
        /// The origin line.
        origin: LogName,
        /// The name of the key.
        name: LogName,
    },
    /// None of the signatures is by the key.
    #[error("the checkpoint is not signed by the key of `{name}`")]
    Unsigned {
        /// The name of the key.
        name: LogName,
    },
    /// A signature by the key does not belong to this text.
    #[error("the checkpoint's signature by `{name}` is wrong")]
    Signature {
        /// The name of the key.
        name: LogName,
    },
}

impl Checkpoint {
    /// Returns the checkpoint with this head of the ledger that `key` belongs to.
    pub fn new(key: &VerifierKey, head: TreeHead) -> Self {
        Self { origin: key.name().clone(), size: head.size, root: head.root }
    }

    /// Returns size and root.
    pub const fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root }
    }

    /// Returns the text that is signed: origin, size and root, each with its newline.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }

    /// Signs it and returns the note.
    pub fn sign(&self, key: &LogKey) -> String {
        let text = self.text();
        let signature = key.sign(&text);
        Note { text, signatures: vec![signature] }.to_text()
    }

    /// Reads a note and believes it if `key` signed it.
    ///
    /// Signatures by other keys (witnesses) are ignored, as the specification of notes says; a
    /// wrong signature by this key refuses the whole note.
    ///
    /// # Errors
    /// The note is not in canonical form, of another ledger, or not signed by the key.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note).map_err(|source| CheckpointError::Note { source })?;
        Self::open_note(&note, key)
    }

    pub(crate) fn open_note(note: &Note, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let name = || key.name().clone();
        let checkpoint = Self::parse_text(&note.text).ok_or(CheckpointError::Text)?;
        if checkpoint.origin != *key.name() {
            return Err(CheckpointError::Origin { origin: checkpoint.origin, name: name() });
        }
        let mut signed = Err(CheckpointError::Unsigned { name: name() });
        for signature in note.signatures.iter().filter(|signature| key.claims(signature)) {
            key.verify(&note.text, &signature.signature)
                .map_err(|_| CheckpointError::Signature { name: name() })?;
            signed = Ok(());
        }
        signed.map(|()| checkpoint)
    }

    /// Reads the three lines of the signed text, in canonical form only.
    fn parse_text(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let checkpoint = Self {
            origin: lines.next()?.parse().ok()?,
            size: lines.next()?.parse().ok()?,
            root: Hash::from_bytes(decode_base64(lines.next()?)?.try_into().ok()?),
        };
        // Refuses leading zeros, a sign, extension lines and whatever else parses leniently.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}
