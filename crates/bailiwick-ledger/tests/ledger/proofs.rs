//! The tree and its proofs against the vectors of Certificate Transparency and a naive model.

use bailiwick_ledger::{
    Hash, Tree, TreeHead, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use serde::Deserialize;

use crate::support::Random;

#[derive(Deserialize)]
struct Vectors {
    leaves: Vec<String>,
    roots: Vec<Hash>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
}

#[derive(Deserialize)]
struct Inclusion {
    index: u64,
    size: u64,
    path: Vec<Hash>,
}

#[derive(Deserialize)]
struct Consistency {
    old: u64,
    new: u64,
    path: Vec<Hash>,
}

/// RFC 6962, section 2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => Hash::empty_tree(),
        1 => leaves[0],
        n => {
            let (left, right) = leaves.split_at(n.next_power_of_two() / 2);
            Hash::of_children(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|at| Hash::of_leaf(&at.to_be_bytes())).collect()
}

fn head(leaves: &[Hash]) -> TreeHead {
    TreeHead { size: leaves.len().try_into().unwrap(), root: naive_root(leaves) }
}

fn flipped(hash: Hash) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[0] ^= 8;
    Hash::from_bytes(bytes)
}

#[test]
fn the_vectors_of_certificate_transparency_hold() {
    let vectors: Vectors = serde_json::from_str(include_str!("../fixtures/rfc6962.json")).unwrap();
    let bytes = |hex: &String| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
            .collect()
    };
    let leaves: Vec<_> = vectors.leaves.iter().map(|hex| Hash::of_leaf(&bytes(hex))).collect();
    let mut tree = Tree::new();
    assert_eq!(tree.root(), vectors.roots[0]);
    for (leaf, root) in leaves.iter().zip(&vectors.roots[1..]) {
        tree.push(*leaf);
        assert_eq!(tree.root(), *root);
    }
    let head = |size: u64| TreeHead { size, root: vectors.roots[usize::try_from(size).unwrap()] };
    for Inclusion { index, size, path } in &vectors.inclusion {
        assert_eq!(inclusion_proof(*index, *size, leaves.as_slice()).unwrap(), *path);
        let leaf = leaves[usize::try_from(*index).unwrap()];
        verify_inclusion(leaf, *index, &head(*size), path).unwrap();
    }
    for Consistency { old, new, path } in &vectors.consistency {
        assert_eq!(consistency_proof(*old, *new, leaves.as_slice()).unwrap(), *path);
        verify_consistency(&head(*old), &head(*new), path).unwrap();
    }
}

/// Checks one inclusion proof and that nothing near it is a proof too.
fn check_inclusion(leaves: &[Hash], index: usize) {
    let head = head(leaves);
    let at = u64::try_from(index).unwrap();
    let path = inclusion_proof(at, head.size, leaves).unwrap();
    let leaf = leaves[index];
    verify_inclusion(leaf, at, &head, &path).unwrap();

    let refused = |leaf, at, head: TreeHead, path: &[Hash]| {
        assert!(verify_inclusion(leaf, at, &head, path).is_err(), "{at} of {head:?}: {path:?}");
    };
    refused(flipped(leaf), at, head, &path);
    refused(leaf, at + 1, head, &path);
    refused(leaf, at ^ 1, head, &path);
    refused(leaf, head.size, head, &path);
    refused(leaf, at, TreeHead { root: flipped(head.root), ..head }, &path);
    refused(leaf, at, TreeHead { size: at, ..head }, &path);
    refused(leaf, at, TreeHead { size: head.size * 2, ..head }, &path);
    refused(leaf, at, head, &[path.as_slice(), &[head.root]].concat());
    refused(leaf, at, head, &[&[head.root], path.as_slice()].concat());
    for step in 0..path.len() {
        let mut tampered = path.clone();
        tampered[step] = flipped(tampered[step]);
        refused(leaf, at, head, &tampered);
        tampered.remove(step);
        refused(leaf, at, head, &tampered);
    }
}

fn check_consistency(leaves: &[Hash], old_size: usize) {
    let (old, new) = (head(&leaves[..old_size]), head(leaves));
    let path = consistency_proof(old.size, new.size, leaves).unwrap();
    verify_consistency(&old, &new, &path).unwrap();

    let refused = |old: TreeHead, new: TreeHead, path: &[Hash]| {
        assert!(verify_consistency(&old, &new, path).is_err(), "{old:?} {new:?} {path:?}");
    };
    refused(TreeHead { root: flipped(old.root), ..old }, new, &path);
    refused(old, new, &[path.as_slice(), &[new.root]].concat());
    refused(old, new, &[&[new.root], path.as_slice()].concat());
    if old.size != 0 {
        refused(old, TreeHead { root: flipped(new.root), ..new }, &path);
        refused(old, TreeHead { size: old.size - 1, ..new }, &path);
        refused(TreeHead { size: new.size + 1, ..old }, new, &path);
    }
    for step in 0..path.len() {
        let mut tampered = path.clone();
        tampered[step] = flipped(tampered[step]);
        refused(old, new, &tampered);
        tampered.remove(step);
        refused(old, new, &tampered);
    }
}

#[test]
fn all_proofs_of_small_trees_hold_and_nothing_near_them_does() {
    let all = leaves(70);
    for size in 0..=all.len() {
        for index in 0..size {
            check_inclusion(&all[..size], index);
        }
        for old in 0..=size {
            check_consistency(&all[..size], old);
        }
    }
}

#[test]
fn random_proofs_of_larger_trees_hold_and_nothing_near_them_does() {
    let (all, mut random) = (leaves(2000), Random::new());
    for _ in 0..60 {
        let size = 70 + random.below(all.len() - 70);
        check_inclusion(&all[..size], random.below(size));
        check_consistency(&all[..size], random.below(size + 1));
    }
}

#[test]
fn impossible_proofs_are_refused() {
    let all = leaves(4);
    assert!(inclusion_proof(4, 4, all.as_slice()).is_err());
    assert!(inclusion_proof(0, 5, all.as_slice()).is_err(), "a leaf is missing");
    assert!(consistency_proof(5, 4, all.as_slice()).is_err());
}

proptest! {
    #[test]
    fn the_frontier_has_the_root_of_the_whole_tree(size in 0..2000_usize, more in 0..40_usize) {
        let all = leaves(size + more);
        let mut tree = Tree::from_leaf_hashes(all[..size].iter().copied());
        prop_assert_eq!(tree.head(), head(&all[..size]));
        let before = tree.clone();
        for leaf in &all[size..] {
            tree.push(*leaf);
        }
        prop_assert_eq!(tree.head(), head(&all));
        prop_assert_eq!(before.head(), head(&all[..size]));
    }

    #[test]
    fn arbitrary_proofs_never_panic(
        index: u64, size: u64, old: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..80),
    ) {
        let path: Vec<_> = path.into_iter().map(Hash::from_bytes).collect();
        let new = TreeHead { size, root: Hash::empty_tree() };
        prop_assert!(verify_inclusion(Hash::of(b"x"), index, &new, &path).is_err());
        let old = TreeHead { size: old, root: Hash::of(b"old") };
        prop_assert!(verify_consistency(&old, &new, &path).is_err());
    }
}
