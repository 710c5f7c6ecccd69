//! Chance that can be repeated.

use std::hash::{BuildHasher as _, RandomState};

/// A source of choices (splitmix64). It prints its seed, so that a failed test shows it.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    state: u64,
}

impl Seed {
    /// A new seed, or the one in `BAILIWICK_TEST_SEED`.
    pub(crate) fn new() -> Self {
        let given = std::env::var("BAILIWICK_TEST_SEED").ok();
        let state = match given {
            Some(text) => text.parse().expect("BAILIWICK_TEST_SEED is a number"),
            None => RandomState::new().hash_one("seed"),
        };
        println!("BAILIWICK_TEST_SEED={state}");
        Self { state }
    }

    /// A given seed.
    pub(crate) fn of(state: u64) -> Self {
        Self { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` up to and without `high`.
    pub(crate) fn number(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    /// An index below `len`.
    pub(crate) fn below(&mut self, len: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(len).unwrap()).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A made-up word of three syllables and a number, which no language has as a keyword.
    pub(crate) fn word(&mut self) -> String {
        const SYLLABLES: [&str; 16] = [
            "ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu", "da", "fe", "gi", "ho",
            "pu", "wy",
        ];
        let mut word: String = (0..3).map(|_| *self.pick(&SYLLABLES)).collect();
        word.push_str(&self.number(10, 100).to_string());
        word
    }
}
