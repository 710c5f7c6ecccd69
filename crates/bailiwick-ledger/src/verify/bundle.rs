//! One bundle of up to 256 entries: its records, its leaves and its level-0 tile say the same
//! thing three times, so that a difference shows which of the files was altered.

use std::path::Path;

use super::blobs::Blobs;
use super::report::Problems;
use super::{LEAF_LENGTH, events, read};
use crate::hash::Hash;
use crate::layout::{LedgerFile, WIDTH};
use crate::record::Leaf;
use crate::tiles::{tile_bytes, tile_hashes};

/// The longest tile or bundle that is read: more than any honest one.
const MAX_BYTES: u64 = 1 << 16;

/// The bytes of one entry in a bundle.
const ENTRY_BYTES: usize = LEAF_LENGTH.len() + Leaf::BYTES;

/// Checks bundle `index` with `width` entries; returns the hash of each leaf, or nothing where no
/// file has it.
pub(super) fn check(
    dir: &Path,
    index: u64,
    width: u16,
    blobs: &mut Blobs,
    problems: &mut Problems,
) -> Vec<Option<Hash>> {
    let entries = Entries { first: index * u64::from(WIDTH), width: usize::from(width) };
    let tile_file = LedgerFile::Tile { level: 0, index, width }.path();
    let leaves_file = LedgerFile::Entries { index, width }.path();
    let tile = read_tile(dir, &tile_file, &entries, problems);
    let leaves = read_leaves(dir, &leaves_file, &entries, problems);
    let events = events::read(dir, index, &entries, blobs, problems);

    let truth: Vec<_> = (0..entries.width)
        .map(|at| {
            let of_tile = tile.as_ref().and_then(|hashes| hashes.get(at).copied());
            let of_leaf = leaves.as_ref().and_then(|hashes| hashes.get(at).copied().flatten());
            let of_record = events.hash_at(at);
            // Two of three are believed; with no two alike, the tree's own file is.
            if of_leaf.is_some() && of_leaf == of_record {
                of_leaf
            } else {
                of_tile.or(of_leaf).or(of_record)
            }
        })
        .collect();

    for (at, expected) in truth.iter().enumerate() {
        let entry = Some(entries.number(at));
        if let Some(hash) = tile.as_ref().and_then(|hashes| hashes.get(at))
            && Some(*hash) != *expected
        {
            problems.add(tile_file.as_str(), entry, "the hash is not that of the entry's leaf");
        }
        if let Some(leaf) = leaves.as_ref().and_then(|hashes| hashes.get(at)) {
            match leaf {
                None => problems.add(leaves_file.as_str(), entry, "the leaf's length is wrong"),
                Some(_) if leaf == expected => {}
                Some(_) => {
                    problems.add(leaves_file.as_str(), entry, "the leaf is not in the tree");
                }
            }
        }
    }
    events.compare(&entries, &truth, blobs, problems);
    truth
}

/// Compares a tile above level 0 with what it must contain.
pub(super) fn compare_tile(dir: &Path, file: LedgerFile, hashes: &[Hash], problems: &mut Problems) {
    let path = file.path();
    let bytes = match read(dir, &path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(what) => return problems.add(path, None, what),
    };
    let expected = tile_bytes(hashes);
    if bytes.len() != expected.len() {
        let what = format!("has {} bytes instead of {}", bytes.len(), expected.len());
        problems.add(path.as_str(), None, what);
    }
    let (found, _) = tile_hashes(&bytes);
    for (at, _) in found.iter().zip(hashes).enumerate().filter(|(_, (a, b))| a != b) {
        let what = format!("hash {at} is not the one recomputed from the entries");
        problems.add(path.as_str(), None, what);
    }
}

/// Which entries a bundle holds.
pub(super) struct Entries {
    pub(super) first: u64,
    pub(super) width: usize,
}

impl Entries {
    /// The number of an entry in the whole ledger.
    pub(super) fn number(&self, at: usize) -> u64 {
        self.first.saturating_add(u64::try_from(at).unwrap_or(u64::MAX))
    }
}

fn read_tile(
    dir: &Path,
    path: &str,
    entries: &Entries,
    problems: &mut Problems,
) -> Option<Vec<Hash>> {
    let bytes = read_sized(dir, path, 32, entries, problems)?;
    let (mut hashes, _) = tile_hashes(&bytes);
    hashes.truncate(entries.width);
    Some(hashes)
}

/// Reads a bundle; the length bytes have only one valid value, so each entry has its fixed place.
fn read_leaves(
    dir: &Path,
    path: &str,
    entries: &Entries,
    problems: &mut Problems,
) -> Option<Vec<Option<Hash>>> {
    let bytes = read_sized(dir, path, ENTRY_BYTES, entries, problems)?;
    let (chunks, _) = bytes.as_chunks::<ENTRY_BYTES>();
    let leaf = |chunk: &[u8; ENTRY_BYTES]| chunk.strip_prefix(&LEAF_LENGTH).map(Hash::of_leaf);
    Some(chunks.iter().take(entries.width).map(leaf).collect())
}

/// Reads a file of `unit` bytes for each entry and reports if it is longer or shorter.
fn read_sized(
    dir: &Path,
    path: &str,
    unit: usize,
    entries: &Entries,
    problems: &mut Problems,
) -> Option<Vec<u8>> {
    match read(dir, path, MAX_BYTES) {
        Ok(bytes) => {
            if bytes.len() != unit * entries.width {
                let whole = bytes.len() / unit;
                let entry = (whole < entries.width).then(|| entries.number(whole));
                let expected = unit * entries.width;
                let what = format!("has {} bytes instead of {expected}", bytes.len());
                problems.add(path, entry, what);
            }
            Some(bytes)
        }
        Err(what) => {
            problems.add(path, None, what);
            None
        }
    }
}
