use super::{BadCase, judge, said};
use bailiwick_gates::MutantsGate;
use bailiwick_model::evidence::{GateReport, GateState};

const BEFORE: &str = "export const isLarge = () => false;\n";
const AFTER: &str = "export const isLarge = (n) => n > 10;\n";

async fn run(settings: &str, asserts: &str) -> GateReport {
    let rules = format!("[settings.mutants]\n{settings}\n");
    let test = format!(
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport {{ isLarge }} from '../large.mjs';\ntest('large', () => {{ {asserts} }});\n"
    );
    let package = "{\"name\": \"large\", \"scripts\": {\"test\": \"node --test tests/\"}}\n";
    judge(
        &MutantsGate,
        &[
            (".bailiwick/gates.toml", Some(&rules)),
            ("package.json", Some(package)),
            ("large.mjs", Some(BEFORE)),
            ("tests/large.test.mjs", Some(&test)),
        ],
        &[("large.mjs", Some(AFTER))],
    )
    .await
}

#[tokio::test]
async fn a_mutant_that_no_test_notices_asks_a_person() {
    // `>` becomes `>=`, 10 becomes 11
    let weak = "assert.equal(isLarge(100), true); assert.equal(isLarge(1), false);";
    let report = run("sample = 5", weak).await;
    assert_eq!(
        said(&report),
        (GateState::NeedsApproval, vec!["mutants/survived"]),
        "{}",
        report.summary
    );
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    assert_eq!(report.findings[0].line, Some(1));
    let strict =
        format!("{weak} assert.equal(isLarge(10), false); assert.equal(isLarge(11), true);");
    let report = run("sample = 5", &strict).await;
    assert_eq!(report.state, GateState::Pass, "{}", report.summary);
    assert!(report.summary.contains("2 of 2 mutants, 2 of them noticed"), "{}", report.summary);
    // a bounded sample
    let report = run("sample = 1", weak).await;
    assert_eq!((report.findings.len(), report.evidence.len()), (1, 2));
    // not asked for
    assert_eq!(run("", weak).await.evidence.len(), 0);
}

/// Broken in each way; the pull request stays shut.
#[tokio::test]
async fn what_shows_nothing_is_inconclusive() {
    let asserts = "assert.equal(isLarge(100), true);";
    for (settings, asserts, wanted) in [
        ("sample = 2", "assert.equal(isLarge(1), true);", "fail without one"),
        ("sample = 2\ncommand = 'no-such-program'", asserts, "was not found"),
        ("sample = 2\ncommand = 'sleep 60'\ntimeout_seconds = 1", asserts, "limit `wall_clock`"),
        ("sample = 2\ncommand = \"sh -c 'kill -9 $$'; exit 137\"", asserts, "killed"),
        ("sample = 201", asserts, "0 to 200"),
        ("sample = 2\ntimeout_seconds = 0", asserts, "at least 1"),
        ("samples = 2", asserts, "unknown field"),
    ] {
        let report = run(settings, asserts).await;
        assert_eq!(report.state, GateState::Inconclusive, "{settings}: {}", report.summary);
        assert!(report.summary.contains(wanted), "{settings}: {}", report.summary);
    }
}

#[tokio::test]
async fn a_mutant_that_does_not_end_is_noticed() {
    let report = run(
        "sample = 1\ntimeout_seconds = 10\ncommand = 'grep -q \"n > 10\" large.mjs || sleep 60'",
        "",
    )
    .await;
    assert_eq!(report.state, GateState::Pass, "{}", report.summary);
}

pub(super) fn bad_cases() -> Vec<BadCase> {
    // nothing is asked of the changed line
    vec![BadCase {
        gate: Box::new(MutantsGate),
        rule: "mutants/survived",
        settings: "[settings.mutants]\nsample = 1\ncommand = 'true'\n".to_owned(),
        base: vec![("large.mjs", BEFORE.to_owned())],
        head: vec![("large.mjs", AFTER.to_owned())],
    }]
}
