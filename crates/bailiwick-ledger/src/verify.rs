//! The offline verifier: recomputes everything from the files of a ledger and reports what does
//! not agree, file by file and entry by entry.
//!
//! Every byte of every file counts: each hash, length, record and blob is recomputed, every
//! encoding must be the canonical one, and any file, folder or link that the ledger's size does
//! not call for is a problem. Memory does not grow with the ledger: files are read one after the
//! other, and at most [`MAX_PROBLEMS`] problems are kept.
//!
//! It never panics on what it reads and believes nothing in the directory: what it trusts comes
//! from outside ([`Trust`]).

mod blobs;
mod bundle;
mod events;
mod head;
mod report;
mod tree_files;

pub use report::{MAX_PROBLEMS, Problem, Report, Trusted};

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use crate::hash::Hash;
use crate::layout::{LedgerFile, WIDTH, width_at};
use crate::tiles::TileStack;
use crate::tree::TreeHead;
use crate::verifier_key::VerifierKey;
use report::Problems;

/// The big-endian length that stands before each leaf in an entry bundle.
pub(crate) const LEAF_LENGTH: [u8; 2] = [0, 33];

/// What the auditor has from outside the ledger's directory.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The key that must have signed the checkpoint. Without it the one in the directory is used,
    /// which shows only that the files agree with each other.
    pub key: Option<VerifierKey>,
    /// An older checkpoint of the same ledger, as its text: the ledger must still start with it.
    pub checkpoint: Option<String>,
}

/// Verifies the ledger in `dir`, which nobody should be writing to meanwhile.
///
/// It always returns: what cannot be read is one of the problems. The time it takes is that of
/// reading all files twice at most.
pub fn verify(dir: &Path, trust: &Trust) -> Report {
    let mut problems = Problems::default();
    let head = head::check(dir, trust, &mut problems);
    // A size that nobody signed may be any number, so then the files themselves are counted.
    let size = head.signed.as_ref().map_or_else(|| size_of_files(dir), |signed| signed.size);
    let mut blobs = blobs::Blobs::default();
    tree_files::check(dir, size, &mut blobs, &mut problems);
    let recomputed = entries(dir, size, head.older, &mut blobs, &mut problems);
    blobs.report_unreferenced(&mut problems);
    if let (Some(signed), Some(recomputed)) = (&head.signed, recomputed)
        && signed.root != recomputed
    {
        let what = format!(
            "the entries hash to the root {recomputed}, the checkpoint says {}",
            signed.root
        );
        problems.add("checkpoint", None, what);
    }
    let root = head.signed.map(|signed| signed.root).or(recomputed);
    let root = root.unwrap_or_else(Hash::empty_tree);
    problems.into_report(size, root, head.trusted, head.key)
}

/// Recomputes the tree from the entries and compares each tile; returns the root, or nothing when
/// an entry is in none of its three files.
fn entries(
    dir: &Path,
    size: u64,
    older: Option<TreeHead>,
    blobs: &mut blobs::Blobs,
    problems: &mut Problems,
) -> Option<Hash> {
    let mut tiles = TileStack::default();
    let compare_older = |tiles: &TileStack, problems: &mut Problems| {
        if let Some(older) = older.filter(|older| older.size == tiles.size())
            && older.root != tiles.root()
        {
            let what = format!(
                "fork: the first {} entries are not those of the trusted older checkpoint",
                older.size
            );
            problems.add("checkpoint", None, what);
        }
    };
    compare_older(&tiles, problems);
    let width = u64::from(WIDTH);
    for index in 0..size.div_ceil(width) {
        if problems.full() {
            return None;
        }
        let count = width_at(size, 0, index)?;
        for leaf_hash in bundle::check(dir, index, count, blobs, problems) {
            tiles.push(leaf_hash?, |tile| {
                if tile.level > 0 {
                    let (level, index) = (tile.level, tile.index);
                    let file = LedgerFile::Tile { level, index, width: WIDTH };
                    bundle::compare_tile(dir, file, tile.hashes, problems);
                }
            });
            compare_older(&tiles, problems);
        }
    }
    for (file, hashes) in tiles.partial_tiles() {
        if !matches!(file, LedgerFile::Tile { level: 0, .. }) {
            bundle::compare_tile(dir, file, hashes, problems);
        }
    }
    Some(tiles.root())
}

/// Counts the entries by the bundles and level-0 tiles that exist.
fn size_of_files(dir: &Path) -> u64 {
    let count = |file: fn(u64, u16) -> LedgerFile| {
        let full = (0..u64::MAX).find(|index| !dir.join(file(*index, WIDTH).path()).is_file());
        let full = full.unwrap_or_default();
        let partial = (1..WIDTH).rev().find(|width| dir.join(file(full, *width).path()).is_file());
        full * u64::from(WIDTH) + u64::from(partial.unwrap_or_default())
    };
    let bundles = count(|index, width| LedgerFile::Entries { index, width });
    bundles.max(count(|index, width| LedgerFile::Tile { level: 0, index, width }))
}

/// Reads a plain file of at most `limit` bytes; the error says what is wrong with it.
fn read(dir: &Path, path: &str, limit: u64) -> Result<Vec<u8>, String> {
    let (file, length) = open(dir, path)?;
    if length > limit {
        return Err(format!("has {length} bytes, more than {limit}"));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(bytes)
}

/// Opens a plain file; a link, a pipe or a device is never opened.
fn open(dir: &Path, path: &str) -> Result<(File, u64), String> {
    let path = dir.join(path);
    let metadata = fs::symlink_metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if !metadata.is_file() {
        return Err("is not a plain file".to_owned());
    }
    let file = File::open(&path).map_err(|error| format!("cannot be read: {error}"))?;
    Ok((file, metadata.len()))
}
