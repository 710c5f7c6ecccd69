//! Checks `key.pub`, `checkpoint`, and what the auditor brought along.

use std::error::Error;
use std::path::Path;

use super::report::{Problems, Trusted};
use super::{Trust, read};
use crate::checkpoint::Checkpoint;
use crate::layout::LedgerFile;
use crate::note::{MAX_NOTE_BYTES, Note};
use crate::tree::TreeHead;
use crate::verifier_key::VerifierKey;

/// The longest key file in bytes.
const MAX_KEY_BYTES: u64 = 1024;

/// What the rest of the ledger is compared with.
pub(super) struct Head {
    /// The checkpoint, if it is signed by the key.
    pub(super) signed: Option<TreeHead>,
    /// The trusted older checkpoint, if it is signed by the key and not newer.
    pub(super) older: Option<TreeHead>,
    pub(super) trusted: Trusted,
    /// The key that was used.
    pub(super) key: Option<String>,
}

pub(super) fn check(dir: &Path, trust: &Trust, problems: &mut Problems) -> Head {
    let key_file = LedgerFile::Key.path();
    let own_key = read_key(dir, &key_file);
    match (&own_key, &trust.key) {
        (Err(what), _) => problems.add(key_file, None, what.as_str()),
        (Ok(own), Some(trusted)) if own != trusted => {
            problems.add(key_file, None, "is not the trusted key");
        }
        (Ok(_), _) => {}
    }
    let key = trust.key.clone().or_else(|| own_key.ok());
    let signed = key.as_ref().and_then(|key| match read_checkpoint(dir, key) {
        Ok(checkpoint) => Some(checkpoint.head()),
        Err(what) => {
            problems.add("checkpoint", None, what);
            None
        }
    });
    let older = match (&trust.checkpoint, &key) {
        (Some(note), Some(key)) => older_head(note, key, signed.as_ref(), problems),
        (Some(_), None) | (None, _) => None,
    };
    let trusted = match (trust.key.is_some() && signed.is_some(), older.is_some()) {
        (false, false) => Trusted::SelfConsistentOnly,
        (true, false) => Trusted::Key,
        (false, true) => Trusted::Checkpoint,
        (true, true) => Trusted::KeyAndCheckpoint,
    };
    Head { signed, older, trusted, key: key.map(|key| key.to_string()) }
}

fn read_key(dir: &Path, path: &str) -> Result<VerifierKey, String> {
    let bytes = read(dir, path, MAX_KEY_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').ok_or("does not end in a newline")?;
    line.parse().map_err(|error| chain(&error))
}

/// Reads the checkpoint, which has one signature: further ones would be bytes nobody can check.
fn read_checkpoint(dir: &Path, key: &VerifierKey) -> Result<Checkpoint, String> {
    let limit = u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX);
    let bytes = read(dir, &LedgerFile::Checkpoint.path(), limit)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let note = Note::parse(&text).map_err(|error| chain(&error))?;
    if note.signatures.len() != 1 {
        return Err(format!("has {} signatures instead of one", note.signatures.len()));
    }
    Checkpoint::open_note(&note, key).map_err(|error| chain(&error))
}

fn older_head(
    note: &str,
    key: &VerifierKey,
    signed: Option<&TreeHead>,
    problems: &mut Problems,
) -> Option<TreeHead> {
    let older = match Checkpoint::open(note, key) {
        Ok(older) => older.head(),
        Err(error) => {
            let what = format!("the trusted older checkpoint does not hold: {}", chain(&error));
            problems.add("checkpoint", None, what);
            return None;
        }
    };
    if let Some(signed) = signed.filter(|signed| signed.size < older.size) {
        let what = format!(
            "rollback: the trusted older checkpoint has {} entries, this one {}",
            older.size, signed.size
        );
        problems.add("checkpoint", None, what);
        return None;
    }
    Some(older)
}

/// The whole chain of causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
