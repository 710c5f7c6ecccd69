//! The signing key of a ledger and the file it lies in. Its secret never reaches a log.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::hash::to_hex;
use crate::note::NoteSignature;
use crate::verifier_key::{ED25519, KeyError, LogName, VerifierKey, split_key};

/// What the text of a signing key starts with, so that it is not taken for a verifier key.
const PREFIX: &str = "PRIVATE+KEY+";

/// The longest key file that is looked at, in bytes.
const MAX_FILE_BYTES: u64 = 1024;

/// The key that signs a ledger's checkpoints.
///
/// Who has it can sign another history, so it is a file of mode 0600 and is not `Clone`; `Debug`
/// shows the public half only.
pub struct LogKey {
    signing: SigningKey,
    verifier: VerifierKey,
}

/// A signing key cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyError {
    /// The file cannot be read or written.
    #[error("cannot {action} the signing key `{path}`", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else can read the file.
    #[error("the signing key `{path}` has mode {mode:04o}", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path is not a plain file.
    #[error("the signing key `{path}` is not a plain file", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file does not hold a signing key.
    #[error("`{path}` does not hold a signing key", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with the text.
        #[source]
        source: KeyError,
    },
}

impl LogKeyError {
    /// Says what to do next, where there is something.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exposed { .. } => Some(
                "others may have copied it: make a new key, or run `chmod 600` on it if you are sure",
            ),
            Self::Io { .. } | Self::NotAFile { .. } | Self::Malformed { .. } => None,
        }
    }
}

impl LogKey {
    /// Makes the key of the ledger `name` from 32 bytes of a cryptographic random source.
    pub fn from_seed(name: LogName, seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, signing.verifying_key());
        Self { signing, verifier }
    }

    /// Returns the public half, which auditors are given.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Writes the key to a new file of mode 0600; never over an existing one.
    ///
    /// The text is the one of Go's `sumdb/note`: `PRIVATE+KEY+<name>+<key id>+<base64>`.
    ///
    /// # Errors
    /// The file exists already or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), LogKeyError> {
        let io = |action| move |source| LogKeyError::Io { action, path: path.to_owned(), source };
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.signing.as_bytes());
        let text = format!(
            "{PREFIX}{}+{}+{}\n",
            self.verifier.name(),
            to_hex(&self.verifier.key_id()),
            STANDARD.encode(bytes)
        );
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io("create"))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(io("write"))
    }

    /// Reads a key file which nobody but its owner may read or write.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or does not hold a key.
    pub fn load(path: &Path) -> Result<Self, LogKeyError> {
        let io = |source| LogKeyError::Io { action: "read", path: path.to_owned(), source };
        let malformed = |source| LogKeyError::Malformed { path: path.to_owned(), source };
        // Looked at before it is opened, as opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(LogKeyError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(LogKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(io)?;
        let text = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.strip_suffix('\n')?.strip_prefix(PREFIX))
            .ok_or_else(|| malformed(KeyError::Shape))?;
        let (name, id, seed) = split_key(text).map_err(malformed)?;
        let key = Self::from_seed(name, &seed);
        if key.verifier.key_id() == id { Ok(key) } else { Err(malformed(KeyError::KeyId)) }
    }

    /// Signs the text of a note.
    pub(crate) fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.verifier.name().clone(),
            key_id: self.verifier.key_id(),
            signature: self.signing.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}
