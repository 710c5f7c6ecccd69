//! Gate `test-integrity`: tests that went away, were skipped, emptied or loosened, and code that
//! knows that it is being tested.
//!
//! What is certain (a test that is skipped, an assertion that can't fail) blocks; what may have an
//! honest reason (a test that is gone) asks a person. Languages are told apart by wording alone.

mod wording;

use crate::content_gate::{ContentGate, FilePair, Hit, Input, Inspected};
use crate::path_class::{PathClass, classify};
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use std::collections::BTreeSet;

/// Finds tests that a change weakens.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestIntegrityGate;

impl ContentGate for TestIntegrityGate {
    fn name(&self) -> &'static str {
        "test-integrity"
    }

    fn purpose(&self) -> &'static str {
        "tests that a change deletes, skips, empties or loosens, and code that knows it is tested"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::blocks(
                "test-integrity/skipped",
                "test that is skipped now",
                Severity::High,
                Some(1164),
                [
                    "a test that does not run passes whatever the code does",
                    "let the test run; if it must be skipped for a while, a person says so by a suppression",
                ],
            ),
            Rule::blocks(
                "test-integrity/cannot-fail",
                "assertion that can't fail",
                Severity::High,
                Some(571),
                [
                    "it makes a test green without testing anything",
                    "assert what the code should do, or take the test out",
                ],
            ),
            Rule::asks(
                "test-integrity/deleted",
                "tests that are gone",
                Severity::Medium,
                None,
                [
                    "what they held is not held any more",
                    "bring them back, or say in the review why what they tested is gone",
                ],
            ),
            Rule::asks(
                "test-integrity/loosened",
                "fewer or weaker assertions",
                Severity::Medium,
                None,
                [
                    "a test that asserts less lets more through",
                    "keep the assertions, or say in the review why the behaviour is not wanted any more",
                ],
            ),
            Rule::asks(
                "test-integrity/settings",
                "settings of tests, coverage or linters changed",
                Severity::Medium,
                None,
                [
                    "they decide what is run and what is complained about",
                    "mend the code instead, or let the owners of the settings look",
                ],
            ),
            Rule::asks(
                "test-integrity/silenced",
                "checker that is silenced in place",
                Severity::Low,
                None,
                [
                    "what the checker would have said is not seen any more",
                    "mend what it complains about, or give the reason beside it",
                ],
            ),
            Rule::asks(
                "test-integrity/special-case",
                "code that knows that it is being tested",
                Severity::High,
                Some(489),
                [
                    "it does one thing for the tests and another for everybody else, so the tests show nothing",
                    "take the special case out and mend the general one",
                ],
            ),
        ]
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let mut inspected = input.new_hits(
            |pair| !pair.binary && is_text(pair),
            |path, bytes| Ok(scan(path, &String::from_utf8_lossy(bytes))),
        );
        gone(input, &mut inspected.hits);
        for pair in &input.change.pairs {
            loosened(pair, &mut inspected.hits);
            if is_settings(&pair.path) || changes_settings(pair) {
                let message =
                    format!("`{}` changed: it says what is tested and checked", pair.path);
                inspected.hits.push(Hit::in_file(
                    "test-integrity/settings",
                    &pair.path,
                    "",
                    message,
                ));
            }
        }
        special_literals(input, &mut inspected.hits);
        inspected
    }
}

fn is_text(pair: &FilePair) -> bool {
    let classes = classify(&pair.path);
    classes.contains(&PathClass::Source) || classes.contains(&PathClass::Test)
}

fn is_test(path: &str) -> bool {
    classify(path).contains(&PathClass::Test)
}

fn scan(path: &str, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // a minified line is no test
        if line.len() > 2_000 {
            continue;
        }
        let mut add = |rule: &'static str, message: &str| {
            hits.push(Hit::at(rule, path, number, line, message.to_owned()));
        };
        if wording::SKIPS.is_match(line) {
            add("test-integrity/skipped", "a test is skipped, or all but one");
        }
        if wording::CANNOT_FAIL.is_match(line) {
            add("test-integrity/cannot-fail", "an assertion that can't fail");
        }
        if wording::SILENCES.is_match(line) {
            add("test-integrity/silenced", "a checker is silenced");
        }
        if !is_test(path) && wording::KNOWS_TESTS.is_match(line) {
            add("test-integrity/special-case", "asks whether it is being tested");
        }
    }
    hits
}

/// The names of the tests in a text.
pub(crate) fn test_names(text: &str) -> BTreeSet<String> {
    wording::TEST_NAMES
        .captures_iter(text)
        .filter_map(|found| {
            found.iter().skip(1).flatten().next().map(|name| name.as_str().to_owned())
        })
        .collect()
}

/// Tests by name that some touched file had and none has now; and test files that are gone.
fn gone(input: &Input, hits: &mut Vec<Hit>) {
    let names = test_names;
    let after: BTreeSet<String> = input
        .change
        .pairs
        .iter()
        .filter_map(FilePair::text_after)
        .flat_map(|text| names(&text))
        .collect();
    for pair in &input.change.pairs {
        let before = pair.text_before().map(|text| names(&text)).unwrap_or_default();
        for name in before.difference(&after) {
            let message = format!("test `{name}` is gone");
            hits.push(Hit::in_file("test-integrity/deleted", &pair.path, name, message));
        }
        if pair.is_gone() && is_test(&pair.path) && before.is_empty() {
            let message = format!("`{}` is gone", pair.path);
            hits.push(Hit::in_file("test-integrity/deleted", &pair.path, "", message));
        }
    }
}

fn loosened(pair: &FilePair, hits: &mut Vec<Hit>) {
    let (Some(before), Some(after)) = (pair.text_before(), pair.text_after()) else { return };
    let count =
        |text: &str, regex: &regex::Regex| text.lines().filter(|line| regex.is_match(line)).count();
    let tests = |text: &str| wording::TEST_NAMES.find_iter(text).count();
    if tests(&before) == 0 {
        return;
    }
    let (had, has) = (count(&before, &wording::ASSERTIONS), count(&after, &wording::ASSERTIONS));
    let (was_strict, is_strict) =
        (count(&before, &wording::STRICT), count(&after, &wording::STRICT));
    // tests that went away are told of by name
    let lost_tests = tests(&after) < tests(&before);
    if has < had && !lost_tests {
        let message = format!("`{}` had {had} assertions and has {has}", pair.path);
        hits.push(Hit::in_file("test-integrity/loosened", &pair.path, "fewer", message));
    } else if is_strict < was_strict && !lost_tests {
        let message = format!(
            "`{}` compared values {was_strict} times and does {is_strict} times",
            pair.path
        );
        hits.push(Hit::in_file("test-integrity/loosened", &pair.path, "weaker", message));
    }
}

/// Whether a file says what is tested and checked.
pub(crate) fn is_settings(path: &str) -> bool {
    const NAMES: [&str; 30] = [
        ".coveragerc",
        "codecov.yml",
        ".codecov.yml",
        "pytest.ini",
        "tox.ini",
        "setup.cfg",
        ".flake8",
        ".pylintrc",
        "pylintrc",
        "mypy.ini",
        "ruff.toml",
        ".ruff.toml",
        "clippy.toml",
        ".clippy.toml",
        "tarpaulin.toml",
        ".tarpaulin.toml",
        "nextest.toml",
        ".eslintrc",
        ".eslintrc.json",
        ".eslintrc.js",
        ".eslintignore",
        "eslint.config.js",
        "eslint.config.mjs",
        ".golangci.yml",
        ".golangci.yaml",
        "sonar-project.properties",
        ".nycrc",
        "phpunit.xml",
        "checkstyle.xml",
        "biome.json",
    ];
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    NAMES.contains(&name.as_str())
        || ["jest.config.", "vitest.config.", "karma.conf.", "playwright.config.", ".mocharc"]
            .iter()
            .any(|start| name.starts_with(start))
}

/// Whether the sections of a shared file that set tests and checkers differ.
fn changes_settings(pair: &FilePair) -> bool {
    let name = pair.path.rsplit('/').next().unwrap_or_default();
    if name != "pyproject.toml" && name != "Cargo.toml" {
        return false;
    }
    let sections = |text: Option<String>| -> Vec<(String, toml::Value)> {
        let table: toml::Table = text.and_then(|text| text.parse().ok()).unwrap_or_default();
        let tools = table.get("tool").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let mut kept: Vec<(String, toml::Value)> = tools
            .into_iter()
            .filter(|(name, _)| {
                ["pytest", "coverage", "ruff", "mypy", "pylint"].contains(&name.as_str())
            })
            .collect();
        kept.extend(table.get("lints").map(|lints| ("lints".to_owned(), lints.clone())));
        kept
    };
    sections(pair.text_before()) != sections(pair.text_after()) && pair.before.is_some()
}

/// Literals that new code compares with and that new tests hold as well: an answer for the test.
fn special_literals(input: &Input, hits: &mut Vec<Hit>) {
    let mut in_tests: BTreeSet<String> = BTreeSet::new();
    for pair in input.change.pairs.iter().filter(|pair| is_test(&pair.path)) {
        for line in pair.text_after().unwrap_or_default().lines() {
            in_tests.extend(literals(line));
        }
    }
    if in_tests.is_empty() {
        return;
    }
    for pair in input.change.pairs.iter().filter(|pair| is_text(pair) && !is_test(&pair.path)) {
        let text = pair.text_after().unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            if !pair.adds_line(number) || !wording::RETURNS_FOR_LITERAL.is_match(line) {
                continue;
            }
            if let Some(literal) =
                literals(line).into_iter().find(|literal| in_tests.contains(literal))
            {
                let message =
                    format!("returns a fixed answer for `{literal}`, which a test asks for");
                hits.push(Hit::at(
                    "test-integrity/special-case",
                    &pair.path,
                    number,
                    line,
                    message,
                ));
            }
        }
    }
}

/// Strings of some length, and numbers of three digits and more.
fn literals(line: &str) -> Vec<String> {
    wording::LITERALS.find_iter(line).map(|found| found.as_str().replace('\'', "\"")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,300}") {
            scan("src/a.rs", &text);
            scan("tests/a.py", &text);
            literals(&text);
        }
    }
}
