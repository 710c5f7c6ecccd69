use super::{BadCase, judge, said};
use crate::bench::Repository;
use bailiwick_gates::{Analyser, AnalysersGate};
use bailiwick_model::evidence::{GateReport, GateState, Level};

/// A tool that finds every line with `BAD` in Python files, unless it is told not to look.
const LINT: &str = r#"#!/bin/sh
printf '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint","version":"1","rules":[{"id":"bad","shortDescription":{"text":"bad word"},"properties":{"tags":["external/cwe/cwe-89"]}}]}},"results":['
between=
for file in *.py; do
  [ -f "$file" ] || continue
  [ -f .lintrc ] && grep -qx "$file" .lintrc && continue
  grep -n BAD "$file" | while IFS=: read -r line text; do
    printf '%s{"ruleId":"bad","level":"%s","message":{"text":"BAD here"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"%s"},"region":{"startLine":%s}}}]}' "$between" "${LEVEL:-error}" "$file" "$line"
    printf ',' 
  done
done
printf '{"ruleId":"done","kind":"pass","message":{"text":"done"}}]}]}'
exit ${CODE:-0}
"#;

fn settings(tool: &str) -> String {
    format!("[[settings.analysers.tool]]\nname = 'lint'\n{tool}\n")
}

async fn run(tool: &str, base: &str, head: &str) -> GateReport {
    let settings = settings(tool);
    judge(
        &AnalysersGate::of_repository(),
        &[
            ("lint.sh", Some(LINT)),
            (".bailiwick/gates.toml", Some(&settings)),
            ("a.py", Some(base)),
        ],
        &[("a.py", Some(head))],
    )
    .await
}

#[tokio::test]
async fn only_what_the_change_brings_is_found() {
    let tool = "command = 'sh lint.sh'";
    let report = run(tool, "x = 'BAD'\n", "# moved down\nx = 'BAD'\n").await;
    assert_eq!(said(&report), (GateState::Pass, vec![]), "{}", report.summary);
    let report = run(tool, "x = 'BAD'\n", "y = 'BAD'\nx = 'BAD'\n").await;
    assert_eq!(said(&report), (GateState::Fail, vec!["analysers/lint/bad"]), "{}", report.summary);
    let finding = &report.findings[0];
    assert_eq!((finding.path.as_deref(), finding.line), (Some("a.py"), Some(1)));
    assert_eq!(finding.explanation.as_ref().unwrap().cwe, Some(89));
    assert_eq!(report.evidence.len(), 2);
    // a level below what blocks asks, one below what asks informs
    let report = run("command = 'LEVEL=warning sh lint.sh'", "x = 1\n", "x = 'BAD'\n").await;
    assert_eq!(report.state, GateState::NeedsApproval, "{}", report.summary);
    let report = run("command = 'LEVEL=note sh lint.sh'", "x = 1\n", "x = 'BAD'\n").await;
    assert_eq!((report.state, report.findings[0].level), (GateState::Pass, Level::Note));
    let report =
        run("command = 'LEVEL=note sh lint.sh'\nblocks = 'note'", "x = 1\n", "x = 'BAD'\n").await;
    assert_eq!(report.state, GateState::Fail);
}

#[tokio::test]
async fn a_report_in_a_file_counts_only_when_this_run_wrote_it() {
    let tool = "command = 'sh lint.sh > out.sarif; echo chatter'\nreport = 'out.sarif'";
    let report = run(tool, "x = 1\n", "x = 'BAD'\n").await;
    assert_eq!(said(&report), (GateState::Fail, vec!["analysers/lint/bad"]), "{}", report.summary);
    // a clean report that the change brings along is none
    let settings = settings("command = 'true'\nreport = 'out.sarif'");
    let clean = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint"}},"results":[]}]}"#;
    let report = judge(
        &AnalysersGate::of_repository(),
        &[(".bailiwick/gates.toml", Some(&settings)), ("out.sarif", Some(clean))],
        &[("out.sarif", Some(clean)), ("a.py", Some("x = 'BAD'\n"))],
    )
    .await;
    assert_eq!(report.state, GateState::Inconclusive);
    assert!(report.summary.contains("wrote no report"), "{}", report.summary);
}

/// Broken in each way that a tool can be; the pull request stays shut.
#[tokio::test]
async fn a_tool_that_shows_nothing_is_inconclusive() {
    for (tool, wanted) in [
        ("command = 'sh lint.sh; sleep 60'\ntimeout_seconds = 1", "limit `wall_clock`"),
        ("command = 'echo Traceback; exit 0'", "no SARIF log"),
        ("command = 'sh lint.sh | head -c 100'", "no SARIF log"),
        ("command = 'true'", "no SARIF log"),
        ("command = 'exit 2'", "exit code 2"),
        ("command = 'CODE=3 sh lint.sh'", "exit code 3"),
        ("command = 'no-such-program'", "was not found"),
        ("command = 'head -c 20000000 /dev/zero'", "more than the"),
        (
            r#"command = '''printf '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint"}}}]}' '''"#,
            "did not look",
        ),
        (
            r#"command = '''printf '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint"}},"results":[],"invocations":[{"executionSuccessful":false}]}]}' '''"#,
            "did not succeed",
        ),
        ("command = ''", "`command` is empty"),
        ("command = 'true'\ntimeout_seconds = 0", "`timeout_seconds` is `0`"),
        ("command = 'true'\nsetting = 1", "unknown field"),
        ("command = 'true'\nfiles = {a = '/etc/passwd'}", "only the organisation"),
    ] {
        let report = run(tool, "x = 1\n", "x = 2\n").await;
        assert_eq!(report.state, GateState::Inconclusive, "{tool}: {}", report.summary);
        assert!(report.summary.contains(wanted), "{tool}: {}", report.summary);
    }
    // control
    let report = run("command = 'sh lint.sh'", "x = 1\n", "x = 2\n").await;
    assert_eq!(report.state, GateState::Pass, "{}", report.summary);
    let report = run("command = 'CODE=1 sh lint.sh'", "x = 1\n", "x = 2\n").await;
    assert_eq!(report.state, GateState::Pass, "{}", report.summary);
}

#[tokio::test]
async fn a_change_can_not_set_the_tool_that_judges_it() {
    for (named, state) in [("settings = ['.lintrc']", GateState::Fail), ("", GateState::Pass)] {
        let settings = settings(&format!("command = 'sh lint.sh'\n{named}"));
        let report = judge(
            &AnalysersGate::of_repository(),
            &[
                ("lint.sh", Some(LINT)),
                (".bailiwick/gates.toml", Some(&settings)),
                ("a.py", Some("x = 1\n")),
            ],
            &[("a.py", Some("x = 'BAD'\n")), (".lintrc", Some("a.py\n"))],
        )
        .await;
        assert_eq!(report.state, state, "{named}: {}", report.summary);
    }
    // on the protected branch the same settings count
    let settings = settings("command = 'sh lint.sh'\nsettings = ['.lintrc']");
    let report = judge(
        &AnalysersGate::of_repository(),
        &[
            ("lint.sh", Some(LINT)),
            (".bailiwick/gates.toml", Some(&settings)),
            (".lintrc", Some("a.py\n")),
            ("a.py", Some("x = 1\n")),
        ],
        &[("a.py", Some("x = 'BAD'\n"))],
    )
    .await;
    assert_eq!(report.state, GateState::Pass, "{}", report.summary);
}

#[tokio::test]
async fn the_tools_of_the_organisation_run_whatever_the_repository_says() {
    let mut tool: Analyser =
        toml::from_str("name = 'org'\ncommand = 'sh .bailiwick-analysers/org/lint.sh'\n").unwrap();
    tool.check().unwrap();
    tool.contents.insert("lint.sh".to_owned(), LINT.as_bytes().to_vec());
    let gate = AnalysersGate::of_organisation(vec![tool]);
    let off = "[gates]\noff = ['analysers']\n";
    let fake = "printf '{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"lint\"}},\"results\":[]}]}'";
    let report = judge(
        &gate,
        &[(".bailiwick/gates.toml", Some(off)), ("a.py", Some("x = 1\n"))],
        &[("a.py", Some("x = 'BAD'\n")), (".bailiwick-analysers/org/lint.sh", Some(fake))],
    )
    .await;
    assert_eq!(
        said(&report),
        (GateState::Fail, vec!["organisation-analysers/org/bad"]),
        "{}",
        report.summary
    );
}

#[tokio::test]
async fn a_finding_is_accepted_by_a_person_for_a_while() {
    let repository = Repository::new();
    let gate = AnalysersGate::of_repository();
    let tool = settings("command = 'sh lint.sh'");
    let files = |rules: &str| {
        let base = repository.commit(
            "base",
            &[
                ("lint.sh", Some(LINT)),
                (".bailiwick/gates.toml", Some(rules)),
                ("a.py", Some("x = 1\n")),
            ],
        );
        (base, repository.commit("change", &[("a.py", Some("x = 'BAD'\n"))]))
    };
    let (base, head) = files(&tool);
    let report = repository.judge(&gate, &base, &head, &[]).await;
    assert_eq!(report.state, GateState::Fail);
    let fingerprint = report.findings[0].fingerprint;
    let other = Repository::new();
    let rules = format!(
        "{tool}[[suppress]]\nfingerprint = '{fingerprint}'\nperson = 'ada'\nreason = 'a test'\nexpires = '2027-01-01'\n"
    );
    let base = other.commit(
        "base",
        &[
            ("lint.sh", Some(LINT)),
            (".bailiwick/gates.toml", Some(&rules)),
            ("a.py", Some("x = 1\n")),
        ],
    );
    let head = other.commit("change", &[("a.py", Some("x = 'BAD'\n"))]);
    let report = other.judge(&gate, &base, &head, &[]).await;
    assert_eq!(report.state, GateState::Pass, "{}", report.summary);
}

pub(super) fn bad_cases() -> Vec<BadCase> {
    vec![BadCase {
        gate: Box::new(AnalysersGate::of_repository()),
        rule: "analysers/lint/bad",
        settings: settings("command = 'sh lint.sh'"),
        base: vec![("lint.sh", LINT.to_owned()), ("a.py", "x = 1\n".to_owned())],
        head: vec![("a.py", "x = 'BAD'\n".to_owned())],
    }]
}
