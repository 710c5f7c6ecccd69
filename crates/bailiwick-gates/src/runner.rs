//! Reads what test runners print: how many tests passed and failed, and which.
//!
//! Whether a run succeeded is decided by its exit code; this only adds counts and names, and tells
//! "all tests passed" from "there were no tests". Output of a runner that is not known, or of
//! several runners one after another, is no error.

mod cargo;
mod go;
mod javascript;
mod jvm;
mod python;

use bailiwick_model::evidence::TestCounts;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What a run's output says about its tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestOutput {
    /// Runners whose summary was recognised, such as `libtest` or `pytest`.
    pub runners: BTreeSet<&'static str>,
    /// Sums over all summaries; `None` if no runner gave numbers.
    pub counts: Option<TestCounts>,
    /// Names of tests that failed.
    pub failed: BTreeSet<String>,
    /// Names of tests that passed, where the runner lists them.
    pub passed: BTreeSet<String>,
}

impl TestOutput {
    /// Reads the output of a run, standard output and error together.
    pub fn parse(output: &str) -> Self {
        let plain = strip_terminal_sequences(output);
        let mut result = Self::default();
        for read in [
            cargo::read_libtest,
            cargo::read_nextest,
            python::read_pytest,
            python::read_unittest,
            javascript::read_node,
            javascript::read_jest_like,
            go::read_go,
            jvm::read_surefire,
            jvm::read_gradle,
        ] {
            read(&plain, &mut result);
        }
        result
    }

    /// Whether a known runner says that not one test ran.
    pub fn ran_nothing(&self) -> bool {
        self.counts.is_some_and(|counts| counts.passed == 0 && counts.failed == 0)
            && self.failed.is_empty()
            && self.passed.is_empty()
    }

    fn add(&mut self, runner: &'static str, passed: u32, failed: u32, ignored: u32) {
        self.runners.insert(runner);
        let sum = self.counts.get_or_insert(TestCounts { passed: 0, failed: 0, ignored: 0 });
        sum.passed = sum.passed.saturating_add(passed);
        sum.failed = sum.failed.saturating_add(failed);
        sum.ignored = sum.ignored.saturating_add(ignored);
    }
}

/// The number before a word, in text such as `2 failed, 1 passed`; 0 if it is not there.
fn number_before(text: &str, word: &str) -> u32 {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '(' | ')'))
        .filter(|part| !part.is_empty())
        .collect();
    words
        .iter()
        .zip(words.iter().skip(1))
        .find_map(|(number, name)| (*name == word).then(|| number.parse().ok()).flatten())
        .unwrap_or(0)
}

/// Removes colours and cursor movements (`ESC [ … letter`) and carriage returns.
fn strip_terminal_sequences(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\r']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                for parameter in characters.by_ref() {
                    if ('\u{40}'..='\u{7e}').contains(&parameter) {
                        break;
                    }
                }
            }
            '\r' | '\u{1b}' => {}
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_stand_before_their_word() {
        let text = "==== 2 failed, 12 passed (1 slow), 3 skipped in 0.02s ====";
        let numbers =
            ["passed", "failed", "skipped", "errors"].map(|word| number_before(text, word));
        assert_eq!(numbers, [12, 2, 3, 0]);
    }

    #[test]
    fn colours_do_not_hide_a_summary() {
        let output = TestOutput::parse(
            "\u{1b}[32mtest result: ok\u{1b}[0m. 3 passed; 0 failed; 1 ignored;\r\n",
        );
        assert_eq!(output.counts, Some(TestCounts { passed: 3, failed: 0, ignored: 1 }));
    }

    proptest! {
        #[test]
        fn any_output_is_taken(text in "(\\PC|\n|\t|\u{1b}|test |ok|FAILED|failed|passed|result: |--- |=|[0-9]){0,80}") {
            TestOutput::parse(&text);
        }
    }
}
