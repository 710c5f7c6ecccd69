//! The tree as an appender needs it: only the roots of its complete subtrees.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// How many leaves a tree has and what they hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeHead {
    /// The number of leaves.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
}

/// An RFC 6962 tree reduced to its frontier: at most 64 hashes whatever the size.
///
/// Cloning is cheap, so an appender can work on a copy and keep it only when its transaction is
/// committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// INVARIANT: one root for each bit set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Tree {
    /// Returns the tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds a tree from its leaf hashes, in order.
    pub fn from_leaf_hashes(hashes: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::new();
        for hash in hashes {
            tree.push(hash);
        }
        tree
    }

    /// Appends the hash of a leaf ([`Leaf::hash`](crate::Leaf::hash)).
    pub fn push(&mut self, leaf_hash: Hash) {
        let mut hash = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = Hash::of_children(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Returns the number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root over all leaves.
    pub fn root(&self) -> Hash {
        fold_peaks(&self.peaks, None).unwrap_or_else(Hash::empty_tree)
    }

    /// Returns size and root together.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }

    /// Returns the roots of the complete subtrees, the largest first.
    pub(crate) fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

/// Hashes the roots of complete subtrees, the largest first, together with what lies to their right.
pub(crate) fn fold_peaks(peaks: &[Hash], right: Option<Hash>) -> Option<Hash> {
    peaks.iter().rev().fold(right, |right, peak| {
        Some(right.map_or(*peak, |right| Hash::of_children(peak, &right)))
    })
}
