//! The Node.js test runner (TAP and spec reporters), Jest, Vitest and Mocha.

use super::{TestOutput, number_before};

pub(super) fn read_node(output: &str, result: &mut TestOutput) {
    let mut numbers: [Option<u32>; 5] = [None; 5];
    let mut seen = false;
    // a suite is reported after its children, as failed if one of them is; only tests count
    let mut names: Vec<(usize, bool, String)> = Vec::new();
    let mut suites: Vec<String> = Vec::new();
    for line in output.lines() {
        if let Some(entry) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            let Some((key, number)) = entry.split_once(' ') else { continue };
            let keys = ["pass", "fail", "cancelled", "skipped", "todo"];
            if let Some(slot) = keys.iter().position(|known| *known == key)
                && let Ok(number) = number.trim().parse()
                && let Some(slot) = numbers.get_mut(slot)
            {
                *slot = Some(number);
            } else if key == "tests" && number.trim().parse::<u32>().is_ok() {
                seen = true;
            }
        } else if let Some((depth, passed, name)) = node_entry(line) {
            names.push((depth, passed, name));
        } else if line.trim() == "type: 'suite'" {
            suites.extend(names.last().map(|(_, _, name)| name.clone()));
        } else if let Some(suite) = line.trim_start().strip_prefix("▶ ") {
            suites.push(spec_name(suite));
        }
    }
    if !seen {
        return;
    }
    let [pass, fail, cancelled, skipped, todo] = numbers.map(|number| number.unwrap_or(0));
    result.add("node", pass, fail.saturating_add(cancelled), skipped.saturating_add(todo));
    for (_, passed, name) in names.into_iter().filter(|(_, _, name)| !suites.contains(name)) {
        if passed { &mut result.passed } else { &mut result.failed }.insert(name);
    }
}

/// `ok 1 - name`, `not ok 2 - name`, `✔ name (1ms)`, `✖ name (1ms)`; depth by indentation.
fn node_entry(line: &str) -> Option<(usize, bool, String)> {
    let text = line.trim_start();
    let depth = line.len() - text.len();
    for (mark, passed) in [("ok ", true), ("not ok ", false)] {
        if let Some(rest) = text.strip_prefix(mark) {
            let (number, name) = rest.split_once(" - ")?;
            number.parse::<u32>().ok()?;
            let (name, directive) = name.split_once(" # ").unwrap_or((name, ""));
            return directive.is_empty().then(|| (depth, passed, name.to_owned()));
        }
    }
    for (mark, passed) in [("✔ ", true), ("✖ ", false)] {
        if let Some(rest) = text.strip_prefix(mark) {
            let timed = rest.ends_with("ms)");
            return timed.then(|| (depth, passed, spec_name(rest)));
        }
    }
    None
}

/// The name without the time behind it.
fn spec_name(text: &str) -> String {
    text.rsplit_once(" (")
        .filter(|(_, time)| time.ends_with("ms)"))
        .map_or(text, |(name, _)| name)
        .to_owned()
}

pub(super) fn read_jest_like(output: &str, result: &mut TestOutput) {
    let mut mocha: Option<(u32, u32, u32)> = None;
    for line in output.lines() {
        let text = line.trim();
        if let Some(summary) = text.strip_prefix("Tests:").filter(|rest| rest.contains(" total")) {
            // Jest: `Tests:       1 failed, 1 skipped, 2 passed, 4 total`
            let ignored = number_before(summary, "skipped") + number_before(summary, "todo");
            result.add(
                "jest",
                number_before(summary, "passed"),
                number_before(summary, "failed"),
                ignored,
            );
        } else if let Some(summary) =
            text.strip_prefix("Tests  ").filter(|rest| rest.ends_with(')'))
        {
            // Vitest: `Tests  1 failed | 2 passed (3)`
            let ignored = number_before(summary, "skipped") + number_before(summary, "todo");
            result.add(
                "vitest",
                number_before(summary, "passed"),
                number_before(summary, "failed"),
                ignored,
            );
        } else if let Some(name) = text.strip_prefix("● ").filter(|name| name.contains(" › ")) {
            result.failed.insert(name.to_owned());
        } else if let Some(name) = text.strip_prefix("FAIL  ").filter(|name| name.contains(" > ")) {
            result.failed.insert(name.to_owned());
        } else if is_mocha_line(text, "passing") {
            mocha.get_or_insert_default().0 = number_before(text, "passing");
        } else if is_mocha_line(text, "failing") {
            mocha.get_or_insert_default().1 = number_before(text, "failing");
        } else if is_mocha_line(text, "pending") {
            mocha.get_or_insert_default().2 = number_before(text, "pending");
        }
    }
    if let Some((passed, failed, ignored)) = mocha {
        result.add("mocha", passed, failed, ignored);
    }
}

/// `2 passing (5ms)`, `1 failing`.
fn is_mocha_line(text: &str, word: &str) -> bool {
    let mut words = text.split_whitespace();
    words.next().is_some_and(|number| number.parse::<u32>().is_ok())
        && words.next() == Some(word)
        && words.next().is_none_or(|time| time.starts_with('('))
}
