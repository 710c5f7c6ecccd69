//! The gates that run something, each with what it finds, what it lets through, and what happens
//! when it is broken.

mod abuse;
mod analysers;
mod coverage;
mod mutants;
mod new_tests;

use crate::bench::Repository;
use bailiwick_gates::Gate;
use bailiwick_model::evidence::{GateReport, GateState};

/// Files of a commit; `None` takes one away.
pub(crate) type Files<'a> = &'a [(&'a str, Option<&'a str>)];

/// Judges the change from one commit to the next.
pub(crate) async fn judge(gate: &dyn Gate, base: Files<'_>, head: Files<'_>) -> GateReport {
    let repository = Repository::new();
    let base = repository.commit("base", base);
    let head = repository.commit("change", head);
    repository.judge(gate, &base, &head, &[]).await
}

/// The rules of the findings that do more than inform, and the state.
pub(crate) fn said(report: &GateReport) -> (GateState, Vec<&str>) {
    let mut rules: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.level > bailiwick_model::evidence::Level::Note)
        .map(|finding| finding.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    (report.state, rules)
}

/// Every rule of these gates is what some test here expects: without it that test is red.
#[test]
fn each_rule_is_expected_by_a_test() {
    let tests = [
        include_str!("abuse.rs"),
        include_str!("coverage.rs"),
        include_str!("mutants.rs"),
        include_str!("new_tests.rs"),
    ]
    .concat();
    let mut count = 0;
    for gate in bailiwick_gates::sandbox_gates(&bailiwick_gates::Sources::default()) {
        for rule in gate.rules() {
            assert!(tests.contains(&format!("\"{}\"", rule.id)), "no test expects `{}`", rule.id);
            count += 1;
        }
    }
    assert!(count >= 14);
}

/// Switched off, a rule finds nothing and a gate runs nothing.
#[tokio::test]
async fn what_is_switched_off_finds_nothing() {
    let lines = "SF:half.py\nDA:1,0\nend_of_record\n";
    let coverage = "[settings.coverage]\ncommand = 'cat report'\n";
    let gates: [(&dyn Gate, &str, &str); 2] = [
        (&bailiwick_gates::CoverageGate, coverage, "coverage/uncovered"),
        (
            &bailiwick_gates::NewTestsGate,
            "[settings.new-tests]\ncommand = \"echo '1 passed in 0.01s'\"\n",
            "new-tests/pass-before",
        ),
    ];
    for (gate, settings, rule) in gates {
        let run = async |off: &str| {
            let rules = format!("[gates]\noff = [{off}]\n{settings}");
            judge(
                gate,
                &[
                    (".bailiwick/gates.toml", Some(&rules)),
                    ("half.py", Some("a = 1\n")),
                    ("report", Some(lines)),
                ],
                &[
                    ("half.py", Some("a = 2\n")),
                    ("test_half.py", Some("def test_a():\n    assert 1\n")),
                ],
            )
            .await
        };
        let report = run("").await;
        assert_eq!(said(&report), (GateState::Fail, vec![rule]), "{}", report.summary);
        let report = run(&format!("'{rule}'")).await;
        assert_eq!(
            (report.state, report.evidence.len()),
            (GateState::Pass, 1),
            "{}",
            report.summary
        );
        let report = run(&format!("'{}'", gate.name())).await;
        assert_eq!(
            (report.state, report.evidence.len()),
            (GateState::Pass, 0),
            "{}",
            report.summary
        );
    }
}
