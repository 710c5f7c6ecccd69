//! Blobs: bytes too large for a payload, kept under their SHA-256.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::disk::Disk;
use crate::hash::Hash;
use crate::layout::LedgerFile;

/// A blob cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot store the blob `{path}`", path = path.display())]
pub struct BlobError {
    /// The file that it should have become.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Stores bytes in the ledger `dir` and returns the hash that a payload refers to them by.
///
/// It is durable on return, and doing it again changes nothing. Store a blob before the record
/// that refers to it: a blob without a record is harmless, the reverse does not verify.
///
/// # Errors
/// A file or folder cannot be written.
pub fn put_blob(dir: &Path, bytes: &[u8]) -> Result<Hash, BlobError> {
    let hash = Hash::of(bytes);
    let path = dir.join(LedgerFile::Blob { hash }.path());
    put(&mut Disk::default(), dir, &path, hash, bytes)
        .map(|()| hash)
        .map_err(|source| BlobError { path, source })
}

pub(crate) fn put(
    disk: &mut Disk,
    dir: &Path,
    path: &Path,
    hash: Hash,
    bytes: &[u8],
) -> io::Result<()> {
    if matches!(hash_file(path), Ok((found, _)) if found == hash) {
        // An earlier call may have ended between the renaming and its sync.
        return disk.sync_parent(path);
    }
    let folder = path.parent().unwrap_or(dir);
    disk.create_folder(dir, folder)?;
    disk.replace(&dir.join("blobs"), path, bytes)
}

/// Hashes a file without holding it in memory; returns its length too.
pub(crate) fn hash_file(path: &Path) -> io::Result<(Hash, u64)> {
    let mut file = File::open(path)?;
    let mut sha = Hasher(Sha256::new());
    let length = io::copy(&mut file, &mut sha)?;
    let digest: [u8; 32] = sha.0.finalize().into();
    Ok((Hash::from_bytes(digest), length))
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
