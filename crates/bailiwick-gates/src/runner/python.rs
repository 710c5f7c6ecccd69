//! pytest and unittest.

use super::{TestOutput, number_before};

pub(super) fn read_pytest(output: &str, result: &mut TestOutput) {
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR "))
            && let Some(name) = pytest_name(rest)
        {
            result.failed.insert(name.to_owned());
        } else if let Some((name, rest)) = line.split_once(" PASSED")
            && name.contains("::")
            && (rest.is_empty() || rest.trim_start().starts_with('['))
        {
            result.passed.insert(name.to_owned());
        } else if let Some(summary) = pytest_summary(line) {
            let failed = ["failed", "error", "errors"].map(|word| number_before(summary, word));
            let ignored =
                ["skipped", "xfailed", "deselected"].map(|word| number_before(summary, word));
            let passed = ["passed", "xpassed"].map(|word| number_before(summary, word));
            result.add("pytest", passed.iter().sum(), failed.iter().sum(), ignored.iter().sum());
        }
    }
}

/// `tests/test_a.py::test_b - reason`: the name, which has a path to a Python file in front.
fn pytest_name(text: &str) -> Option<&str> {
    let name = text.split(" - ").next().unwrap_or(text).trim();
    let file = name.split("::").next().unwrap_or(name);
    (file.ends_with(".py") || name.contains("::")).then_some(name)
}

/// The last line of a run, with or without its frame: `== 2 failed, 1 passed in 0.02s ==`.
fn pytest_summary(line: &str) -> Option<&str> {
    let summary = line.trim_matches(|c: char| c == '=' || c == ' ');
    let (before, time) = summary.rsplit_once(" in ")?;
    let is_time = time.split_whitespace().next()?.strip_suffix('s')?.parse::<f64>().is_ok();
    let words = [
        "passed",
        "failed",
        "error",
        "errors",
        "skipped",
        "xfailed",
        "xpassed",
        "deselected",
        "warning",
        "warnings",
    ];
    let counts = before.split(", ").all(|part| {
        part.split_once(' ')
            .is_some_and(|(number, word)| number.parse::<u32>().is_ok() && words.contains(&word))
    });
    (is_time && (counts || before == "no tests ran" || before.ends_with(" deselected")))
        .then_some(before)
}

pub(super) fn read_unittest(output: &str, result: &mut TestOutput) {
    let mut ran: Option<u32> = None;
    let mut after_rule = false;
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("Ran ")
            && let Some((number, time)) = rest.split_once(" test")
            && time.contains(" in ")
        {
            ran = number.parse().ok();
        } else if after_rule
            && let Some(rest) = line.strip_prefix("FAIL: ").or_else(|| line.strip_prefix("ERROR: "))
        {
            result.failed.insert(unittest_name(rest));
        } else if let Some((name, "ok")) = line.rsplit_once(" ... ")
            && name.ends_with(')')
        {
            result.passed.insert(unittest_name(name));
        } else if let Some(total) = ran
            && (line == "OK"
                || line.starts_with("OK (")
                || line.starts_with("FAILED (")
                || line == "NO TESTS RAN")
        {
            let bad = ["failures", "errors", "unexpected successes"].map(|key| assigned(line, key));
            let bad: u32 = bad.iter().sum();
            let skipped = assigned(line, "skipped");
            result.add("unittest", total.saturating_sub(bad).saturating_sub(skipped), bad, skipped);
            ran = None;
        }
        after_rule = line.starts_with("======");
    }
}

/// `test_a (module.Class.test_a)` becomes `module.Class.test_a`.
fn unittest_name(text: &str) -> String {
    match text.split_once(" (") {
        Some((name, place)) => {
            let place = place.split(')').next().unwrap_or(place);
            if place.ends_with(&format!(".{name}")) {
                place.to_owned()
            } else {
                format!("{place}.{name}")
            }
        }
        None => text.trim().to_owned(),
    }
}

/// The number in `key=number`.
fn assigned(line: &str, key: &str) -> u32 {
    line.split(['(', ')', ','])
        .filter_map(|part| part.trim().split_once('='))
        .find_map(|(name, number)| (name == key).then(|| number.parse().ok()).flatten())
        .unwrap_or(0)
}
