//! Keeping the beginning and the end of an output stream, and counting what is between.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use crate::reply::Captured;

/// A stream as it comes in.
#[derive(Debug)]
pub(crate) struct Capture {
    keep: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total_bytes: u64,
    hash: Sha256,
}

impl Capture {
    /// Keeps up to `keep` bytes of the beginning and up to `keep` of the end.
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, head: Vec::new(), tail: VecDeque::new(), total_bytes: 0, hash: Sha256::new() }
    }

    pub(crate) fn take_in(&mut self, bytes: &[u8]) {
        self.total_bytes = self.total_bytes.saturating_add(bytes.len() as u64);
        self.hash.update(bytes);
        let room = self.keep.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        let skip = rest.len().saturating_sub(self.keep);
        let (_, last) = rest.split_at(skip);
        let excess = self.tail.len().saturating_add(last.len()).saturating_sub(self.keep);
        self.tail.drain(..excess.min(self.tail.len()));
        self.tail.extend(last);
    }

    /// How much came in so far.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(crate) fn finish(self) -> Captured {
        Captured {
            head: self.head,
            tail: self.tail.into(),
            total_bytes: self.total_bytes,
            sha256: hexadecimal(&self.hash.finalize()),
        }
    }
}

/// SHA-256 as lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn beginning_and_end_are_kept(chunks in proptest::collection::vec(proptest::collection::vec(0u8.., 0..40), 0..12), keep in 0usize..30) {
            let mut capture = Capture::new(keep);
            chunks.iter().for_each(|chunk| capture.take_in(chunk));
            let all = chunks.concat();
            let captured = capture.finish();
            let head = &all[..keep.min(all.len())];
            let rest = &all[head.len()..];
            proptest::prop_assert_eq!(&captured.head, head);
            proptest::prop_assert_eq!(&captured.tail, &rest[rest.len().saturating_sub(keep)..]);
            proptest::prop_assert_eq!(captured.total_bytes, all.len() as u64);
            proptest::prop_assert_eq!(captured.dropped_bytes(), (all.len() - captured.head.len() - captured.tail.len()) as u64);
            proptest::prop_assert_eq!(captured.sha256, sha256(&all));
        }
    }
}
