//! `cargo test` (libtest) and `cargo nextest`.

use super::{TestOutput, number_before};

/// libtest prints at the beginning of a line; the same text indented is a quotation by another
/// runner (nextest shows it for failures).
pub(super) fn read_libtest(output: &str, result: &mut TestOutput) {
    // the names stand in the last list before each summary; a test can print lines like
    // `test x ... FAILED` itself, so those do not count
    let mut listed: Option<Vec<&str>> = None;
    for line in output.lines() {
        if line == "failures:" {
            listed = Some(Vec::new());
        } else if let Some(summary) = line.strip_prefix("test result: ") {
            result.add(
                "libtest",
                number_before(summary, "passed"),
                number_before(summary, "failed"),
                number_before(summary, "ignored"),
            );
            let names = listed.take().unwrap_or_default();
            result.failed.extend(names.into_iter().map(test_name));
        } else if let Some(rest) = line.strip_prefix("test ")
            && let Some(name) = rest.strip_suffix(" ... ok")
        {
            result.passed.insert(test_name(name.trim_end_matches(" - should panic")));
        } else if let (Some(names), Some(name)) = (&mut listed, line.strip_prefix("    ")) {
            names.push(name);
        }
    }
}

/// A test's name; a documentation test's without its line, which moves with every edit.
fn test_name(name: &str) -> String {
    let name = name.trim();
    match name.split_once(" (line ") {
        Some((stable, _)) => stable.to_owned(),
        None => name.to_owned(),
    }
}

pub(super) fn read_nextest(output: &str, result: &mut TestOutput) {
    for line in output.lines() {
        let line = line.trim_start();
        let Some((status, rest)) = line.split_once(" [") else { continue };
        let Some((_, after)) = rest.split_once("] ") else { continue };
        match status.trim() {
            "Summary" => {
                let failed = ["failed", "timed", "exec"].map(|word| number_before(after, word));
                result.add(
                    "nextest",
                    number_before(after, "passed"),
                    failed.iter().sum(),
                    number_before(after, "skipped"),
                );
            }
            "PASS" | "LEAK" | "SLOW" => {
                if let Some(name) = nextest_name(after) {
                    result.passed.insert(name);
                }
            }
            "FAIL" | "TIMEOUT" | "ABORT" | "SIGABRT" | "SIGSEGV" | "SIGKILL" | "LEAK-FAIL" => {
                if let Some(name) = nextest_name(after) {
                    result.failed.insert(name);
                }
            }
            _ => {}
        }
    }
    let failed = result.failed.clone();
    result.passed.retain(|name| !failed.contains(name));
}

/// `(1/5) sample tests::odd` or `sample tests::odd`: the binary and the test.
fn nextest_name(text: &str) -> Option<String> {
    let text = match text.trim_start().strip_prefix('(') {
        Some(counted) => counted.split_once(") ")?.1,
        None => text,
    };
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(binary), Some(name), None) => Some(format!("{binary} {name}")),
        _ => None,
    }
}
