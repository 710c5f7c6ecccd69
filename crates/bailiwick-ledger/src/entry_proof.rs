//! One entry with everything an auditor needs to believe it, as one JSON document.

use std::fs;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::hash::Hash;
use crate::layout::{LedgerFile, WIDTH, low_byte};
use crate::proof::{ProofError, inclusion_proof, verify_inclusion};
use crate::record::{MAX_LINE_BYTES, Record, RecordError};
use crate::tiles::DirHashes;
use crate::verifier_key::{KeyError, VerifierKey};

/// Proof that a record is entry `index` of a ledger; unknown fields are refused.
///
/// Anyone may have written it: nothing in it holds before [`EntryProof::verify`] says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryProof {
    /// Which entry, the first being 0.
    pub index: u64,
    /// The size of the tree in the checkpoint.
    pub size: u64,
    /// The RFC 6962 hash of the leaf.
    pub leaf: Hash,
    /// The sibling hashes from the leaf upwards.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as in the file.
    pub checkpoint: String,
    /// The line of the record, without its newline.
    pub record: String,
}

/// What a valid [`EntryProof`] shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// The checkpoint that covers the entry.
    pub checkpoint: Checkpoint,
    /// The record.
    pub record: Record,
}

/// A proof of an entry does not hold.
#[derive(Debug, thiserror::Error)]
pub enum EntryProofError {
    /// The document is not one.
    #[error("the document is not a proof of an entry")]
    Json {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The checkpoint is not signed by the key.
    #[error("the proof's checkpoint does not hold")]
    Checkpoint {
        /// What is wrong with it.
        #[source]
        source: CheckpointError,
    },
    /// The proof and its checkpoint speak of different sizes.
    #[error("the proof is for {size} entries, its checkpoint for {signed}")]
    Size {
        /// The size in the proof.
        size: u64,
        /// The size in the checkpoint.
        signed: u64,
    },
    /// The record is malformed.
    #[error("the proof's record is malformed")]
    Record {
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// The leaf does not commit to the record.
    #[error("the leaf `{leaf}` does not commit to the proof's record")]
    Leaf {
        /// The hash of the leaf.
        leaf: Hash,
    },
    /// The leaf is not in the tree.
    #[error("the leaf is not entry {index} of the ledger")]
    Inclusion {
        /// Which entry it should be.
        index: u64,
        /// What is wrong with the path.
        #[source]
        source: ProofError,
    },
}

/// A proof cannot be made from the files of a ledger.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A file cannot be read.
    #[error("cannot read `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The ledger's own key is malformed.
    #[error("the key of the ledger is malformed")]
    Key {
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// A hash that the proof needs is not there, or the entry is not.
    #[error("the proof of entry {index} cannot be made")]
    Proof {
        /// Which entry.
        index: u64,
        /// What is in the way.
        #[source]
        source: ProofError,
    },
    /// The files do not agree, so the proof would not hold.
    #[error("the ledger is damaged: the proof of entry {index} does not hold")]
    Damaged {
        /// Which entry.
        index: u64,
        /// What does not hold.
        #[source]
        source: EntryProofError,
    },
}

impl EntryProof {
    /// Reads a proof from JSON.
    ///
    /// # Errors
    /// The document has not exactly the fields of a proof.
    pub fn from_json(json: &str) -> Result<Self, EntryProofError> {
        serde_json::from_str(json).map_err(|source| EntryProofError::Json { source })
    }

    /// Checks the proof against the key that the auditor trusts.
    ///
    /// # Errors
    /// Anything in it does not hold.
    pub fn verify(&self, key: &VerifierKey) -> Result<VerifiedEntry, EntryProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)
            .map_err(|source| EntryProofError::Checkpoint { source })?;
        if checkpoint.size != self.size {
            return Err(EntryProofError::Size { size: self.size, signed: checkpoint.size });
        }
        let record = Record::from_line(self.record.as_bytes())
            .map_err(|source| EntryProofError::Record { source })?;
        if record.leaf().hash() != self.leaf {
            return Err(EntryProofError::Leaf { leaf: self.leaf });
        }
        verify_inclusion(self.leaf, self.index, &checkpoint.head(), &self.path)
            .map_err(|source| EntryProofError::Inclusion { index: self.index, source })?;
        Ok(VerifiedEntry { checkpoint, record })
    }
}

/// Makes the proof of entry `index` from the files of the ledger in `dir`.
///
/// It is checked against the ledger's own key before it is returned.
///
/// # Errors
/// There is no such entry, a file cannot be read, or the files do not agree.
pub fn prove_entry(dir: &Path, index: u64) -> Result<EntryProof, ProveError> {
    let read = |file: LedgerFile| {
        let path = dir.join(file.path());
        fs::read_to_string(&path).map_err(|source| ProveError::Read { path, source })
    };
    let key: VerifierKey = read(LedgerFile::Key)?
        .trim_end_matches('\n')
        .parse()
        .map_err(|source| ProveError::Key { source })?;
    let checkpoint = read(LedgerFile::Checkpoint)?;
    let head = Checkpoint::open(&checkpoint, &key)
        .map_err(|source| EntryProofError::Checkpoint { source })
        .map_err(|source| ProveError::Damaged { index, source })?;
    let hashes = DirHashes::new(dir, head.size);
    let path = inclusion_proof(index, head.size, &hashes)
        .map_err(|source| ProveError::Proof { index, source })?;
    let file = dir.join(LedgerFile::Events { index: index / u64::from(WIDTH) }.path());
    let record = read_line(&file, low_byte(index))
        .map_err(|source| ProveError::Read { path: file.clone(), source })?;
    let leaf = Record::from_line(record.as_bytes())
        .map_err(|source| EntryProofError::Record { source })
        .map_err(|source| ProveError::Damaged { index, source })?
        .leaf()
        .hash();
    let proof = EntryProof { index, size: head.size, leaf, path, checkpoint, record };
    match proof.verify(&key) {
        Ok(_) => Ok(proof),
        Err(source) => Err(ProveError::Damaged { index, source }),
    }
}

/// Reads one line of a file of records, without its newline.
fn read_line(file: &Path, line: u8) -> io::Result<String> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut text = Vec::new();
    for _ in 0..=line {
        text.clear();
        let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        reader.by_ref().take(limit).read_until(b'\n', &mut text)?;
    }
    match text.pop() {
        Some(b'\n') => String::from_utf8(text).map_err(io::Error::other),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the record's line is missing")),
    }
}
