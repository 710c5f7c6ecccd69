use super::{BadCase, judge, said};
use bailiwick_gates::CoverageGate;
use bailiwick_model::evidence::{GateReport, GateState};

const BEFORE: &str = "def half(n):\n    return n // 2\n";
const AFTER: &str = "def half(n):\n    if n < 0:\n        raise ValueError(n)\n    return n // 2\n";

async fn run(settings: &str, report: &str) -> GateReport {
    let rules = format!("[settings.coverage]\n{settings}\n");
    judge(
        &CoverageGate,
        &[
            (".bailiwick/gates.toml", Some(&rules)),
            ("src/half.py", Some(BEFORE)),
            ("report", Some(report)),
        ],
        &[("src/half.py", Some(AFTER))],
    )
    .await
}

const RUN_ALL: &str = "SF:src/half.py\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,1\nend_of_record\n";
const RUN_HALF: &str = "SF:src/half.py\nDA:1,1\nDA:2,1\nDA:3,0\nDA:4,1\nend_of_record\n";

#[tokio::test]
async fn changed_lines_that_no_test_runs_are_found() {
    let cat = "command = 'cat report'";
    let report = run(cat, RUN_HALF).await;
    assert_eq!(said(&report), (GateState::Fail, vec!["coverage/uncovered"]), "{}", report.summary);
    assert_eq!(report.findings[0].line, Some(3));
    assert!(report.summary.contains("50 %"), "{}", report.summary);
    assert_eq!(run(cat, RUN_ALL).await.state, GateState::Pass);
    let low = format!("{cat}\nminimum = 50");
    assert_eq!(run(&low, RUN_HALF).await.state, GateState::Pass);
    // a line that did not change is no business of the change
    let old = RUN_ALL.replace("DA:4,1", "DA:4,0");
    assert_eq!(run(cat, &old).await.state, GateState::Pass);
    let xml = "<coverage><class filename='src/half.py'><line number='2' hits='1'/><line number='3' hits='0'/></class></coverage>";
    assert_eq!(run(cat, xml).await.state, GateState::Fail);
    let file = "command = 'cp report out.info; echo chatter'\nreport = 'out.info'";
    assert_eq!(run(file, RUN_HALF).await.state, GateState::Fail);
    let other = RUN_ALL.replace("half", "other");
    let report = run(cat, &other).await;
    assert_eq!(said(&report), (GateState::NeedsApproval, vec!["coverage/not-measured"]));
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_said() {
    let report =
        judge(&CoverageGate, &[("src/half.py", Some(BEFORE))], &[("src/half.py", Some(AFTER))])
            .await;
    assert_eq!(report.state, GateState::Pass);
    assert!(report.summary.contains("no command is named"), "{}", report.summary);
}

/// Broken in each way; the pull request stays shut.
#[tokio::test]
async fn a_report_that_shows_nothing_is_inconclusive() {
    for (settings, report, wanted) in [
        ("command = 'cat report; exit 1'", RUN_ALL, "exit code 1"),
        ("command = 'cat report; sleep 60'\ntimeout_seconds = 1", RUN_ALL, "limit `wall_clock`"),
        ("command = 'true'", RUN_ALL, "neither LCOV nor Cobertura"),
        ("command = 'true'\nreport = 'report'", RUN_ALL, "wrote no report"),
        ("command = 'cat report'", "SF:src/half.py\nDA:1,1\n", "in the middle"),
        ("command = 'cat report'", "SF:src/half.py\nend_of_record\n", "names no line"),
        ("command = 'cat report'", "<coverage><class>", "not valid"),
        ("command = 'cat report; head -c 20000000 /dev/zero'", RUN_ALL, "more than the"),
        ("command = 'no-such-program'", RUN_ALL, "was not found"),
        ("command = ' '", RUN_ALL, "not empty"),
        ("command = 'cat report'\nminimum = 101", RUN_ALL, "0 to 100"),
        ("commands = 'cat report'", RUN_ALL, "unknown field"),
    ] {
        let report = run(settings, report).await;
        assert_eq!(report.state, GateState::Inconclusive, "{settings}: {}", report.summary);
        assert!(report.summary.contains(wanted), "{settings}: {}", report.summary);
    }
}

#[tokio::test]
async fn a_change_can_not_leave_its_lines_out() {
    // the tool leaves out what `.coveragerc` says
    let rules =
        "[settings.coverage]\ncommand = 'if [ -f .coveragerc ]; then cat all; else cat half; fi'\n";
    let report = judge(
        &CoverageGate,
        &[
            (".bailiwick/gates.toml", Some(rules)),
            ("src/half.py", Some(BEFORE)),
            ("all", Some(RUN_ALL)),
            ("half", Some(RUN_HALF)),
        ],
        &[("src/half.py", Some(AFTER)), (".coveragerc", Some("[run]\nomit = src/*\n"))],
    )
    .await;
    assert_eq!(said(&report), (GateState::Fail, vec!["coverage/uncovered"]), "{}", report.summary);
}

pub(super) fn bad_cases() -> Vec<BadCase> {
    [
        ("coverage/uncovered", RUN_HALF.to_owned()),
        ("coverage/not-measured", RUN_ALL.replace("half", "other")),
    ]
    .into_iter()
    .map(|(rule, report)| BadCase {
        gate: Box::new(CoverageGate),
        rule,
        settings: "[settings.coverage]\ncommand = 'cat report'\n".to_owned(),
        base: vec![("src/half.py", BEFORE.to_owned()), ("report", report)],
        head: vec![("src/half.py", AFTER.to_owned())],
    })
    .collect()
}
