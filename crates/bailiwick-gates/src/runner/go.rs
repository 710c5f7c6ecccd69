//! `go test`, with and without `-v`.

use super::TestOutput;

pub(super) fn read_go(output: &str, result: &mut TestOutput) {
    let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
    let (mut listed, mut packages, mut empty) = (false, 0_u32, 0_u32);
    for line in output.lines() {
        let text = line.trim_start();
        let top_level = text.len() == line.len();
        if let Some((mark, rest)) = text.strip_prefix("--- ").and_then(|rest| rest.split_once(": "))
            && let Some((name, _)) = rest.rsplit_once(" (")
        {
            // sub-tests are named, but only top-level tests are counted
            match mark {
                "PASS" => {
                    result.passed.insert(name.to_owned());
                    passed += u32::from(top_level);
                    listed = true;
                }
                "FAIL" => {
                    result.failed.insert(name.to_owned());
                    failed += u32::from(top_level);
                }
                "SKIP" => skipped += u32::from(top_level),
                _ => {}
            }
        } else if line.starts_with("ok  \t") || line.starts_with("FAIL\t") {
            packages += 1;
            empty += u32::from(line.contains("[no tests to run]"));
        } else if line.starts_with("?   \t") && line.contains("[no test files]") {
            packages += 1;
            empty += 1;
        }
    }
    if packages == 0 {
        return;
    }
    result.runners.insert("go");
    // without -v only failures are listed, so how many passed is not known
    if listed || packages == empty {
        result.add("go", passed, failed, skipped);
    }
}
