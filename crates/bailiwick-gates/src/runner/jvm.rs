//! Maven Surefire and Gradle.

use super::{TestOutput, number_before};

pub(super) fn read_surefire(output: &str, result: &mut TestOutput) {
    for line in output.lines() {
        let text = ["[INFO] ", "[WARNING] ", "[ERROR] "]
            .iter()
            .find_map(|level| line.strip_prefix(level))
            .unwrap_or(line);
        // one line for each class has the time as well; the sum of a module has not
        if let Some(rest) =
            text.strip_prefix("Tests run: ").filter(|rest| !rest.contains("Time elapsed"))
        {
            let number = |key: &str| -> u32 {
                let after = if key.is_empty() {
                    Some(rest)
                } else {
                    rest.split_once(key).map(|(_, after)| after)
                };
                let digits =
                    after.and_then(|text| text.split(|c: char| !c.is_ascii_digit()).next());
                digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
            };
            let bad = number("Failures: ").saturating_add(number("Errors: "));
            let skipped = number("Skipped: ");
            result.add(
                "surefire",
                number("").saturating_sub(bad).saturating_sub(skipped),
                bad,
                skipped,
            );
        } else if text == "No tests to run." {
            result.add("surefire", 0, 0, 0);
        }
        if let Some(rest) = line.strip_prefix("[ERROR] ")
            && (rest.ends_with("<<< FAILURE!") || rest.ends_with("<<< ERROR!"))
            && !rest.starts_with("Tests run:")
            && let Some((name, _)) =
                rest.split_once(" -- ").or_else(|| rest.split_once("  Time elapsed"))
        {
            result.failed.insert(name.trim().to_owned());
        }
    }
}

pub(super) fn read_gradle(output: &str, result: &mut TestOutput) {
    for line in output.lines() {
        if let Some(name) = line
            .strip_suffix(" FAILED")
            .filter(|name| name.contains(" > ") && !name.starts_with("> "))
        {
            result.failed.insert(name.to_owned());
        } else if let Some(name) = line.strip_suffix(" PASSED").filter(|name| name.contains(" > "))
        {
            result.passed.insert(name.to_owned());
        } else if line.contains(" tests completed, ") || line.contains(" test completed, ") {
            let total = number_before(line, "tests") + number_before(line, "test");
            let failed = number_before(line, "failed");
            let skipped = number_before(line, "skipped");
            result.add(
                "gradle",
                total.saturating_sub(failed).saturating_sub(skipped),
                failed,
                skipped,
            );
        }
    }
}
