//! Inclusion and consistency proofs: made from any source of hashes (RFC 6962, section 2.1),
//! checked without one (RFC 9162, section 2.1).

use crate::hash::Hash;
use crate::tree::TreeHead;

/// A source of the hashes that proofs are made of.
pub trait HashReader {
    /// Returns the root of the complete subtree over the leaves
    /// `index * 2^level .. (index + 1) * 2^level`.
    ///
    /// # Errors
    /// [`ProofError::Unavailable`] when the hash cannot be had.
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, ProofError>;
}

/// The hashes of all leaves in memory are a source; meant for small trees and tests.
impl HashReader for [Hash] {
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, ProofError> {
        if level == 0 {
            let leaf = usize::try_from(index).ok().and_then(|index| self.get(index));
            return leaf.copied().ok_or_else(|| ProofError::Unavailable {
                what: format!("leaf {index}"),
                source: None,
            });
        }
        let left = self.subtree(level - 1, index * 2)?;
        Ok(Hash::of_children(&left, &self.subtree(level - 1, index * 2 + 1)?))
    }
}

/// A proof cannot be made, or does not prove what is claimed.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The entry is not in the tree.
    #[error("there is no entry {index} in a tree of {size}")]
    OutOfRange {
        /// The entry asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {new} entries cannot extend one of {old}")]
    Shrunk {
        /// The size of the older tree.
        old: u64,
        /// The size of the newer tree.
        new: u64,
    },
    /// The proof has more or fewer hashes than its sizes require.
    #[error("the proof has {found} hashes, which is not the number its sizes require")]
    Length {
        /// How many hashes it has.
        found: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root than `{expected}`")]
    RootMismatch {
        /// The root that it should lead to.
        expected: Hash,
    },
    /// A hash that the proof needs is not there.
    #[error("{what} cannot be read")]
    Unavailable {
        /// Which hash or file.
        what: String,
        /// Why, where there is a reason.
        #[source]
        source: Option<std::io::Error>,
    },
}

/// Makes the proof that entry `index` is in the tree of `size` entries: sibling hashes from the
/// leaf upwards.
///
/// # Errors
/// The index is not below the size, or the reader lacks a hash.
pub fn inclusion_proof(
    index: u64,
    size: u64,
    hashes: &(impl HashReader + ?Sized),
) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(middle, high, hashes)?);
            high = middle;
        } else {
            path.push(range(low, middle, hashes)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Makes the proof that the tree of `new` entries extends the tree of `old` entries.
///
/// It is empty when `old` is 0 or equal to `new`.
///
/// # Errors
/// `old` is larger than `new`, or the reader lacks a hash.
pub fn consistency_proof(
    old: u64,
    new: u64,
    hashes: &(impl HashReader + ?Sized),
) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut path = Vec::new();
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range(middle, high, hashes)?);
            high = middle;
        } else {
            path.push(range(low, middle, hashes)?);
            low = middle;
        }
    }
    // Without a step to the right this subtree is the whole old tree, whose root the verifier has.
    if low != 0 {
        path.push(range(low, high, hashes)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the leaf with this hash is entry `index` of the tree with this head.
///
/// # Errors
/// The proof is not exactly the one for these values.
pub fn verify_inclusion(
    leaf_hash: Hash,
    index: u64,
    head: &TreeHead,
    path: &[Hash],
) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::OutOfRange { index, size: head.size });
    }
    let length = ProofError::Length { found: path.len() };
    let (mut node, mut last) = (index, head.size - 1);
    let mut hash = leaf_hash;
    for sibling in path {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            hash = Hash::of_children(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::of_children(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    same_root(hash, head.root)
}

/// Checks that the newer tree extends the older one.
///
/// # Errors
/// The newer tree is smaller, or the proof is not exactly the one for these values.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, path: &[Hash]) -> Result<(), ProofError> {
    let length = ProofError::Length { found: path.len() };
    if old.size > new.size {
        return Err(ProofError::Shrunk { old: old.size, new: new.size });
    }
    if old.size == 0 || old.size == new.size {
        if !path.is_empty() {
            return Err(length);
        }
        let start = if old.size == 0 { Hash::empty_tree() } else { new.root };
        return same_root(start, old.root);
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // When the old tree is complete its root is the first hash, and the proof does not repeat it.
    let (first, rest) = if old.size.is_power_of_two() {
        (old.root, path)
    } else {
        match path.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return Err(length),
        }
    };
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            old_hash = Hash::of_children(sibling, &old_hash);
            new_hash = Hash::of_children(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = Hash::of_children(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    same_root(old_hash, old.root)?;
    same_root(new_hash, new.root)
}

fn same_root(found: Hash, expected: Hash) -> Result<(), ProofError> {
    if found == expected { Ok(()) } else { Err(ProofError::RootMismatch { expected }) }
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over the leaves `low..high`, which are one subtree of some tree.
fn range(low: u64, high: u64, hashes: &(impl HashReader + ?Sized)) -> Result<Hash, ProofError> {
    let count = high - low;
    if count.is_power_of_two() && low.is_multiple_of(count) {
        let level = count.trailing_zeros();
        return hashes.subtree(level, low >> level);
    }
    let middle = low + split(count);
    Ok(Hash::of_children(&range(low, middle, hashes)?, &range(middle, high, hashes)?))
}
