use super::{BadCase, judge, said};
use bailiwick_gates::NewTestsGate;
use bailiwick_model::evidence::GateState;

const MANIFEST: &str =
    "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
const PASS_BEFORE: &str = "new-tests/pass-before";

fn library(body: &str, tests: &[(u32, u32)]) -> String {
    let mut text = format!(
        "pub fn half(n: u32) -> u32 {{\n    {body}\n}}\n\n#[cfg(test)]\nmod tests {{\n    use super::*;\n"
    );
    for (input, output) in tests {
        text += &format!(
            "\n    #[test]\n    fn half_of_{input}() {{\n        assert_eq!(half({input}), {output});\n    }}\n"
        );
    }
    text + "}\n"
}

/// Rust, with tests beside the code.
#[tokio::test]
async fn a_new_test_must_fail_without_the_change() {
    for (tests, state, rules) in [
        // fails on the base, where 6 gives 2
        (vec![(4, 2), (6, 3)], GateState::Pass, vec![]),
        // passes there as well
        (vec![(4, 2), (5, 2)], GateState::Fail, vec![PASS_BEFORE]),
        // one of them fails, which is enough; the other is told of
        (vec![(4, 2), (5, 2), (6, 3)], GateState::Pass, vec![]),
    ] {
        let (before, after) = (library("2", &[(4, 2)]), library("n / 2", &tests));
        let report = judge(
            &NewTestsGate,
            &[("Cargo.toml", Some(MANIFEST)), ("src/lib.rs", Some(&before))],
            &[("src/lib.rs", Some(&after))],
        )
        .await;
        assert_eq!(said(&report), (state, rules), "{tests:?}: {}", report.summary);
        assert_eq!(report.evidence.len(), 1);
        let told = report.findings.iter().any(|one| one.rule == "new-tests/some-pass-before");
        assert_eq!(told, tests.len() == 3, "{:?}", report.findings);
    }
}

fn script(name: &str, expected: &str) -> String {
    format!(
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport {{ half }} from '../half.mjs';\ntest('{name}', () => {{ assert.equal(half(6), {expected}); }});\n"
    )
}

/// JavaScript, with tests in files of their own.
#[tokio::test]
async fn test_files_are_laid_over_the_base() {
    let package = "{\"name\": \"half\", \"scripts\": {\"test\": \"node --test tests/\"}}\n";
    for (expected, state) in [("3", GateState::Pass), ("half(6)", GateState::Fail)] {
        let (old, new) = (script("old", "half(6)"), script("new", expected));
        let report = judge(
            &NewTestsGate,
            &[
                ("package.json", Some(package)),
                ("half.mjs", Some("export const half = () => 2;\n")),
                ("tests/old.test.mjs", Some(&old)),
            ],
            &[
                ("half.mjs", Some("export const half = (n) => n / 2;\n")),
                ("tests/new.test.mjs", Some(&new)),
            ],
        )
        .await;
        assert_eq!(report.state, state, "{expected}: {}", report.summary);
    }
}

/// Any language, by a command that the protected branch names.
async fn told(command: &str, settings: &str) -> bailiwick_model::evidence::GateReport {
    let rules = format!("[settings.new-tests]\ncommand = '''{command}'''\n{settings}");
    judge(
        &NewTestsGate,
        &[
            (".bailiwick/gates.toml", Some(&rules)),
            ("half.py", Some("def half(n):\n    return 2\n")),
        ],
        &[
            ("half.py", Some("def half(n):\n    return n // 2\n")),
            ("test_half.py", Some("def test_half():\n    assert True\n")),
        ],
    )
    .await
}

#[tokio::test]
async fn the_protected_branch_says_how_and_what_it_means() {
    let passes = "test -f test_half.py && grep -q 'return 2' half.py && echo '1 passed in 0.01s'";
    let report = told(passes, "").await;
    assert_eq!(said(&report), (GateState::Fail, vec![PASS_BEFORE]), "{}", report.summary);
    assert_eq!(told(passes, "effect = 'ask'\n").await.state, GateState::NeedsApproval);
    // a command that does not say what it ran proves nothing, and a person looks
    let report = told("true", "").await;
    assert_eq!(said(&report), (GateState::NeedsApproval, vec!["new-tests/unseen"]));
    let fails = "echo 'FAILED test_half.py::test_half'; echo '1 failed in 0.01s'; exit 1";
    assert_eq!(told(fails, "").await.state, GateState::Pass);
    // what hangs on the base is no test that passes there
    assert_eq!(told("sleep 60", "timeout_seconds = 1\n").await.state, GateState::Pass);
}

/// Broken in each way; the pull request stays shut.
#[tokio::test]
async fn a_run_that_shows_nothing_is_inconclusive() {
    for (command, settings, wanted) in [
        ("no-such-program", "", "was not found"),
        ("echo 'no tests ran in 0.01s'; exit 5", "", "not one test ran"),
        ("sh -c 'kill -9 $$'; exit 137", "", "killed"),
        ("echo '1 failed in 0.01s'", "", "exit code is 0"),
        ("true", "unknown = 1\n", "unknown field"),
    ] {
        let report = told(command, settings).await;
        assert_eq!(report.state, GateState::Inconclusive, "{command}: {}", report.summary);
        assert!(report.summary.contains(wanted), "{command}: {}", report.summary);
    }
}

#[tokio::test]
async fn what_brings_no_test_or_no_code_is_let_through() {
    let test = script("new", "3");
    for head in [
        vec![("half.mjs", Some("export const half = (n) => n / 2;\n"))],
        vec![("tests/new.test.mjs", Some(test.as_str()))],
        vec![("readme.md", Some("hello\n")), ("tests/new.test.mjs", Some(test.as_str()))],
    ] {
        let report =
            judge(&NewTestsGate, &[("half.mjs", Some("export const half = () => 2;\n"))], &head)
                .await;
        assert_eq!(
            (report.state, report.evidence.len()),
            (GateState::Pass, 0),
            "{}",
            report.summary
        );
    }
}

pub(super) fn bad_cases() -> Vec<BadCase> {
    let passed = |name: &str| format!("test tests::{name} ... ok\\n");
    let summary = |passed: u32, failed: u32| {
        let word = if failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\\n"
        )
    };
    let some = format!("{}test tests::two ... FAILED\\n{}", passed("one"), summary(1, 1));
    [
        (PASS_BEFORE, "echo '1 passed in 0.01s'".to_owned()),
        ("new-tests/unseen", "true".to_owned()),
        ("new-tests/some-pass-before", format!("printf \"{some}\"; exit 101")),
    ]
    .into_iter()
    .map(|(rule, command)| BadCase {
        gate: Box::new(NewTestsGate),
        rule,
        settings: format!("[settings.new-tests]\ncommand = '''{command}'''\n"),
        base: vec![("src/lib.rs", library("2", &[]))],
        head: vec![(
            "src/lib.rs",
            library("n / 2", &[(5, 2), (6, 3)])
                .replace("half_of_5", "one")
                .replace("half_of_6", "two"),
        )],
    })
    .collect()
}
