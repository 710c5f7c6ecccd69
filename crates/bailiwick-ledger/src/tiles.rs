//! From leaf hashes to tiles and back: the stack that both writer and verifier build tiles with,
//! and the reader that takes proof hashes out of the tiles on disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::hash::Hash;
use crate::layout::{LedgerFile, WIDTH, low_byte, width_at};
use crate::proof::{HashReader, ProofError};
use crate::tree::{Tree, fold_peaks};

/// A full tile, at the moment when its last hash arrived.
pub(crate) struct FullTile<'a> {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) hashes: &'a [Hash],
}

/// The unfinished tile of each level; memory does not grow with the tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct TileStack {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl TileStack {
    /// Starts in the middle of a ledger: `levels` are its partial tiles from level 0 upwards.
    pub(crate) const fn resume(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends the hash of a leaf and hands over each tile that it completes, lowest level first.
    pub(crate) fn push(&mut self, leaf_hash: Hash, mut full: impl FnMut(FullTile<'_>)) {
        self.size += 1;
        let mut hash = leaf_hash;
        for level in 0_u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::with_capacity(usize::from(WIDTH)));
            }
            let Some(hashes) = self.levels.get_mut(at) else { return };
            hashes.push(hash);
            if hashes.len() < usize::from(WIDTH) {
                return;
            }
            let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
            full(FullTile { level, index, hashes });
            hash = Tree::from_leaf_hashes(hashes.drain(..)).root();
        }
    }

    /// Returns the partial tiles with their files, lowest level first.
    pub(crate) fn partial_tiles(&self) -> impl Iterator<Item = (LedgerFile, &[Hash])> {
        (0_u8..).zip(&self.levels).filter_map(|(level, hashes)| {
            let hashes_before = self.size >> (8 * u32::from(level));
            let width = u16::from(low_byte(hashes_before));
            let index = hashes_before / u64::from(WIDTH);
            (width != 0).then_some((LedgerFile::Tile { level, index, width }, hashes.as_slice()))
        })
    }

    /// Returns the root over all leaves.
    pub(crate) fn root(&self) -> Hash {
        self.levels
            .iter()
            .fold(None, |right, hashes| {
                fold_peaks(Tree::from_leaf_hashes(hashes.iter().copied()).peaks(), right)
            })
            .unwrap_or_else(Hash::empty_tree)
    }
}

/// Writes hashes as they stand in a tile.
pub(crate) fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Reads hashes as they stand in a tile; bytes beyond a multiple of 32 are left over.
pub(crate) fn tile_hashes(bytes: &[u8]) -> (Vec<Hash>, &[u8]) {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect(), rest)
}

/// The hashes of a ledger directory at a size that it has tiles for: those of its checkpoint.
///
/// What it reads is not checked here; a proof made from wrong hashes does not verify.
#[derive(Debug, Clone)]
pub struct DirHashes {
    dir: PathBuf,
    size: u64,
}

impl DirHashes {
    /// Reads from the ledger in `dir`, whose checkpoint has `size` entries.
    pub fn new(dir: &Path, size: u64) -> Self {
        Self { dir: dir.to_owned(), size }
    }

    /// Reads the hashes of one tile.
    pub(crate) fn tile(&self, level: u8, index: u64) -> Result<Vec<Hash>, ProofError> {
        let missing = |what, source| ProofError::Unavailable { what, source };
        let width = width_at(self.size, level, index)
            .ok_or_else(|| missing(format!("tile {index} of level {level}"), None))?;
        let path = LedgerFile::Tile { level, index, width }.path();
        let bytes = fs::read(self.dir.join(&path))
            .map_err(|source| missing(format!("`{path}`"), Some(source)))?;
        let (hashes, rest) = tile_hashes(&bytes);
        if hashes.len() == usize::from(width) && rest.is_empty() {
            Ok(hashes)
        } else {
            Err(missing(format!("`{path}`"), None))
        }
    }
}

impl HashReader for DirHashes {
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
        let outside = || ProofError::Unavailable {
            what: format!("hash {index} of level {level}"),
            source: None,
        };
        let inner = level % 8;
        let first = index.checked_mul(1 << inner).ok_or_else(outside)?;
        let tile_level = u8::try_from(level / 8).map_err(|_| outside())?;
        let hashes = self.tile(tile_level, first / u64::from(WIDTH))?;
        let start = usize::from(low_byte(first));
        let hashes = hashes.get(start..start + (1 << inner)).ok_or_else(outside)?;
        Ok(Tree::from_leaf_hashes(hashes.iter().copied()).root())
    }
}
