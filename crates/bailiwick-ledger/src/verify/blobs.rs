//! Blobs: each must hash to its name, and each that a record refers to must be there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::report::Problems;
use crate::blob::hash_file;
use crate::hash::Hash;
use crate::layout::LedgerFile;
use crate::payload::BlobReference;

/// The blobs whose content is wrong, until a record shows to which entry they belong.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    damaged: BTreeMap<Hash, Damage>,
}

#[derive(Debug)]
struct Damage {
    what: String,
    reported: bool,
}

/// Something wrong with the blob of a reference.
#[derive(Debug)]
pub(super) struct BlobProblem {
    blob: Hash,
    what: String,
}

impl Blobs {
    /// Hashes one blob, which is a plain file.
    pub(super) fn check(&mut self, dir: &Path, name: Hash) {
        let path = LedgerFile::Blob { hash: name }.path();
        let what = match hash_file(&dir.join(path)) {
            Ok((found, _)) if found == name => return,
            Ok((found, length)) => format!("its {length} bytes hash to {found}"),
            Err(error) => format!("cannot be read: {error}"),
        };
        if self.damaged.len() <= super::MAX_PROBLEMS {
            self.damaged.insert(name, Damage { what, reported: false });
        }
    }

    /// Checks that the blob of a reference is there, whole and with its length.
    pub(super) fn check_reference(
        &self,
        dir: &Path,
        reference: &BlobReference,
    ) -> Option<BlobProblem> {
        let blob = reference.blob;
        let problem = |what: String| Some(BlobProblem { blob, what });
        if let Some(damage) = self.damaged.get(&blob) {
            return problem(damage.what.clone());
        }
        match fs::symlink_metadata(dir.join(LedgerFile::Blob { hash: blob }.path())) {
            Ok(metadata) if !metadata.is_file() => problem("is not a plain file".to_owned()),
            Ok(metadata) if metadata.len() == reference.bytes => None,
            Ok(metadata) => {
                let (found, stated) = (metadata.len(), reference.bytes);
                problem(format!("has {found} bytes, the record says {stated}"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                problem("is missing".to_owned())
            }
            Err(error) => problem(format!("cannot be read: {error}")),
        }
    }

    /// Reports the problem with a blob that `entry` refers to; wrong content only once.
    pub(super) fn report(&mut self, problem: BlobProblem, entry: u64, problems: &mut Problems) {
        let BlobProblem { blob, what } = problem;
        if let Some(damage) = self.damaged.get_mut(&blob)
            && std::mem::replace(&mut damage.reported, true)
        {
            return;
        }
        problems.add(LedgerFile::Blob { hash: blob }.path(), Some(entry), what);
    }

    /// Reports the damaged blobs that no record refers to.
    pub(super) fn report_unreferenced(self, problems: &mut Problems) {
        for (blob, Damage { what, reported }) in self.damaged {
            if !reported {
                problems.add(LedgerFile::Blob { hash: blob }.path(), None, what);
            }
        }
    }
}
