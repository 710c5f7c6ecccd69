//! Answers that never change: what an object is, is in its name, so that git need not be asked
//! twice. The most recently asked questions are kept, within a bound.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longer answers are not kept.
const ANSWER_BYTES: usize = 128 << 10;
/// What is kept in all for one repository.
const KEPT_BYTES: usize = 1 << 20;

/// The answers kept for one repository.
#[derive(Debug, Default)]
pub(crate) struct Known {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Vec<OsString>, Arc<[u8]>>,
    bytes: usize,
}

impl Known {
    /// What git said when it was asked this.
    pub(crate) fn answer(&self, question: &[OsString]) -> Option<Vec<u8>> {
        self.kept().answers.get(question).map(|answer| answer.to_vec())
    }

    /// Keeps what git said. When there is no more room, all that was kept is dropped.
    pub(crate) fn keep(&self, question: Vec<OsString>, answer: &[u8]) {
        let bytes = answer.len() + question.iter().map(|word| word.len()).sum::<usize>();
        if bytes > ANSWER_BYTES {
            return;
        }
        let mut kept = self.kept();
        if kept.bytes + bytes > KEPT_BYTES {
            *kept = Kept::default();
        }
        if kept.answers.insert(question, answer.into()).is_none() {
            kept.bytes += bytes;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: usize) -> Vec<OsString> {
        vec![number.to_string().into()]
    }

    #[test]
    fn what_is_kept_stays_within_its_bound() {
        let known = Known::default();
        for number in 0..100 {
            known.keep(question(number), &vec![7; 100 << 10]);
            assert_eq!(known.answer(&question(number)).map(|bytes| bytes.len()), Some(100 << 10));
            assert!(known.kept().bytes <= KEPT_BYTES);
        }
        known.keep(question(1000), &vec![7; ANSWER_BYTES]);
        assert_eq!(known.answer(&question(1000)), None);
        assert_eq!(known.answer(&question(0)), None);
    }
}
