#![forbid(unsafe_code)]
//! The append-only Merkle log: salted leaves, hash tiles, signed checkpoints, proofs, and a
//! verifier which needs the files alone.
//!
//! The files are laid out as C2SP [tlog-tiles] with a C2SP [tlog-checkpoint] and [signed-note]
//! (Ed25519), the tree is that of RFC 6962. Beside the tiles lie the records themselves
//! (`events/`) and what they refer to (`blobs/`).
//!
//! The authoritative copy of every record is elsewhere (the store); this crate writes what it is
//! given, and later proves it. It knows no database, no network, no clock and no randomness:
//! salts and key seeds come from the caller.
//!
//! Suggested reading order: [`Record`] (what is committed to), [`Tree`] and the proofs,
//! [`Checkpoint`], [`LedgerDir`] (the writer), [`verify`](verify::verify) (the auditor).
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
//! [signed-note]: https://c2sp.org/signed-note

mod hash;
mod payload;
mod record;
mod tree;

mod proof;

mod note;
mod verifier_key;

mod log_key;

mod checkpoint;

mod layout;
mod tiles;

mod disk;

mod blob;
mod entry_proof;
pub mod verify;
mod write;

pub use blob::{BlobError, put_blob};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry_proof::{EntryProof, EntryProofError, ProveError, VerifiedEntry, prove_entry};
pub use hash::{Hash, HashParseError};
pub use layout::LedgerFile;
pub use log_key::{LogKey, LogKeyError};
pub use note::{Note, NoteError, NoteSignature};
pub use payload::BlobReference;
pub use proof::{
    HashReader, ProofError, consistency_proof, inclusion_proof, verify_consistency,
    verify_inclusion,
};
pub use record::{Leaf, MAX_PAYLOAD_BYTES, Record, RecordError, Salt};
pub use tiles::DirHashes;
pub use tree::{Tree, TreeHead};
pub use verifier_key::{KeyError, LogName, VerifierKey};
pub use verify::{Problem, Report, Trust, Trusted, verify};
pub use write::{LedgerDir, LedgerError};
