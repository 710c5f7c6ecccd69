use super::*;
use proptest::prelude::*;
use serde_json::json;

fn log(run: serde_json::Value) -> String {
    json!({"version": "2.1.0", "runs": [run]}).to_string()
}

fn driver() -> serde_json::Value {
    json!({"driver": {"name": "lint", "version": "1.2"}})
}

#[test]
fn a_result_has_rule_level_message_and_place_wherever_the_tool_puts_them() {
    let text = log(json!({
        "tool": {
            "driver": {"name": "lint", "version": "1.2", "rules": [
                {"id": "a/sql", "shortDescription": {"text": "SQL from input"},
                 "fullDescription": {"text": "It can be\nchanged"}, "help": {"text": "bind it"},
                 "defaultConfiguration": {"level": "error"},
                 "properties": {"tags": ["security", "external/cwe/cwe-089"], "security-severity": "8.8"}},
            ]},
            "extensions": [{"name": "pack", "rules": [{"id": "x1", "name": "Other"}]}],
        },
        "artifacts": [{"location": {"uri": "src/%C3%BC.py"}}],
        "results": [
            {"ruleIndex": 0, "message": {"text": "here"}, "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": "file:///workspace/src/a%20b.py"}, "region": {"startLine": 7}}}]},
            {"rule": {"index": 0, "toolComponent": {"index": 0}}, "level": "note", "message": {"markdown": "there"},
             "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}}}],
             "suppressions": [{"kind": "inSource"}]},
            {"ruleId": "p", "kind": "pass", "message": {"text": "fine"}},
            {"message": {}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "../../etc/passwd"}}}]},
            {"ruleId": "q", "message": {}, "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": "/usr/lib/x.py"}, "region": {"startLine": 0}}}]},
        ],
    }));
    let read = read(&text, "/workspace").unwrap();
    let shown: Vec<_> = read
        .results
        .iter()
        .map(|one| {
            let path = one.path.as_deref();
            (one.rule.as_str(), one.level, one.message.as_str(), path, one.line, one.suppressed)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("a/sql", Level::Error, "here", Some("src/a b.py"), Some(7), false),
            ("x1", Level::Note, "there", Some("src/ü.py"), None, true),
            ("unnamed", Level::Warning, "", None, None, false),
            ("q", Level::Warning, "", None, None, false),
        ]
    );
    assert_eq!(read.tools, ["lint 1.2"]);
    let rule = &read.rules["a/sql"];
    assert_eq!((rule.cwe, rule.severity), (Some(89), Some(Severity::High)));
    assert_eq!((rule.why.as_str(), rule.fix.as_str()), ("It can be changed", "bind it"));
    assert_eq!(read.rules["x1"].title, "Other");
}

#[test]
fn what_shows_nothing_is_an_error() {
    let failed = |invocation: serde_json::Value| {
        log(json!({"tool": driver(), "results": [], "invocations": [invocation]}))
    };
    for (text, wanted) in [
        (String::new(), "no SARIF log"),
        ("Traceback (most recent call last):".to_owned(), "no SARIF log"),
        ("[1, 2]".to_owned(), "no SARIF log"),
        (r#"{"version": "2.0.0", "runs": []}"#.to_owned(), "`2.0.0`"),
        (r#"{"version": "2.1.0", "runs": []}"#.to_owned(), "no run"),
        (r#"{"version": "2.1.0"}"#.to_owned(), "no run"),
        (log(json!({"tool": driver()})), "did not look"),
        (log(json!({"tool": driver(), "results": null})), "did not look"),
        (failed(json!({"executionSuccessful": false})), "did not succeed"),
        (
            failed(json!({"executionSuccessful": false, "toolExecutionNotifications": [
                {"level": "error", "message": {"text": "out of memory"}}]})),
            "out of memory",
        ),
        (
            log(
                json!({"tool": driver(), "results": vec![json!({"message": {}}); MOST_RESULTS + 1]}),
            ),
            "more than",
        ),
        ("[".repeat(100_000), "no SARIF log"),
        (
            format!("{{\"version\":\"2.1.0\",\"runs\":[{}", "{\"tool\":".repeat(50_000)),
            "no SARIF log",
        ),
    ] {
        let error = read(&text, "/workspace").unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    // control
    let good = failed(json!({"executionSuccessful": true, "toolExecutionNotifications": [
        {"level": "warning", "message": {"text": "slow"}},
        {"level": "error", "message": {"text": "could not parse a.py"}}]}));
    let good = read(&good, "/workspace").unwrap();
    assert_eq!((good.results.len(), good.doubts), (0, vec!["could not parse a.py".to_owned()]));
}

/// Logs as the tools write them: each with the tool's name, then `RULE LEVEL PATH:LINE WEAKNESS`.
#[test]
fn logs_of_real_tools_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sarif");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "sarif") {
            continue;
        }
        let log = read(&std::fs::read_to_string(&path).unwrap(), "/workspace").unwrap();
        let mut lines = log.tools.clone();
        lines.extend(log.results.iter().map(|one| {
            let cwe =
                log.rules[&one.rule].cwe.map_or_else(String::new, |cwe| format!(" CWE-{cwe}"));
            let level = format!("{:?}", one.level).to_lowercase();
            let (path, line) = (one.path.as_deref().unwrap(), one.line.unwrap());
            format!("{} {level} {path}:{line}{cwe}", one.rule)
        }));
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn our_own_logs_are_read_again() {
    let report = bailiwick_model::evidence::GateReport {
        gate: "secrets".to_owned(),
        state: bailiwick_model::evidence::GateState::Fail,
        summary: "one".to_owned(),
        findings: vec![bailiwick_model::evidence::Finding {
            rule: "secrets/jwt".to_owned(),
            level: Level::Error,
            message: "jwt".to_owned(),
            path: Some("src/a b#ü%.rs".to_owned()),
            line: Some(7),
            fingerprint: bailiwick_model::payload::Digest::of(b"x"),
            explanation: None,
        }],
        evidence: Vec::new(),
    };
    let text = crate::sarif::to_sarif(&[report], &[]).to_string();
    let read = read(&text, "/workspace").unwrap();
    assert_eq!(read.results[0].path.as_deref(), Some("src/a b#ü%.rs"));
    assert_eq!((read.results[0].line, read.results[0].level), (Some(7), Level::Error));
}

proptest! {
    #[test]
    fn any_text_is_taken(text in "\\PC{0,200}") {
        drop(read(&text, "/workspace"));
        decoded(&text);
    }

    #[test]
    fn no_path_leaves_the_checkout(uri in "(file://|/workspace|/|\\.\\./|%2e%2e/|a|%00|%){0,12}") {
        let at = ArtifactLocation { uri: Some(uri), index: None };
        if let Some(path) = path_of(at, &[], "/workspace") {
            prop_assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
        }
    }
}
