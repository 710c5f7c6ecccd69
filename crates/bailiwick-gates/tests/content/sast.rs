//! Seeded changes through the gate `sast`: every bad one is stopped by the rule that should, no
//! good one is.

use crate::mutation::BadCase;
use bailiwick_gates::{
    Change, ContentGate as _, EmptyTree, FilePair, GateSettings, Input, MapTree, SastGate, Tree,
    judge_content,
};
use bailiwick_model::evidence::{GateReport, GateState};
use bailiwick_sast::{Language, Scanner};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    path: String,
    /// The rule that stops it; none for a good change.
    rule: Option<String>,
    #[serde(default)]
    before: Option<String>,
    after: String,
    /// Other files, alike on both sides.
    #[serde(default)]
    others: BTreeMap<String, String>,
}

fn tree(files: &BTreeMap<String, String>) -> Box<dyn Tree> {
    let files = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
    Box::new(MapTree(files.collect()))
}

fn judge(
    path: &str,
    before: Option<&[u8]>,
    after: &[u8],
    base: Box<dyn Tree>,
    head: Box<dyn Tree>,
) -> GateReport {
    judge_by(GateSettings::default(), path, before, after, base, head)
}

fn judge_by(
    settings: GateSettings,
    path: &str,
    before: Option<&[u8]>,
    after: &[u8],
    base: Box<dyn Tree>,
    head: Box<dyn Tree>,
) -> GateReport {
    let pair = FilePair {
        path: path.to_owned(),
        old_mode: if before.is_some() { 0o100_644 } else { 0 },
        new_mode: 0o100_644,
        before: before.map(Into::into),
        after: Some(after.into()),
        ..FilePair::default()
    };
    let input = Input {
        change: Change { pairs: vec![pair], ..Change::default() },
        base,
        head,
        settings,
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
        deadline: None,
    };
    judge_content(&[Arc::new(SastGate)], input, Duration::from_secs(300)).remove(0)
}

/// The bad example of each rule, as a new file.
pub(crate) fn bad_cases() -> Vec<BadCase> {
    let scanner = Scanner::bundled().unwrap();
    let mut all = Vec::new();
    for rule in scanner.rules() {
        for example in &rule.example {
            let path = path(example.lang);
            let bad = example.bad.clone();
            all.push(BadCase {
                name: format!("{} in {path}", rule.id),
                gate: "sast",
                judge: Box::new(move |settings| {
                    let (base, head) = (Box::new(EmptyTree), Box::new(EmptyTree));
                    judge_by(settings, path, None, bad.as_bytes(), base, head)
                }),
            });
        }
    }
    all
}

fn path(language: Language) -> &'static str {
    match language {
        Language::Python => "a.py",
        Language::JavaScript => "a.js",
        Language::TypeScript => "a.ts",
        Language::Tsx => "a.tsx",
        Language::Go => "a.go",
        Language::Java => "a.java",
        Language::CSharp => "a.cs",
        Language::Rust => "a.rs",
    }
}

#[test]
fn every_bad_change_is_stopped_and_no_good_one() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sast");
    let (mut bad, mut good) = (0, 0);
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let cases: Cases = toml::from_str(&text).unwrap();
        for case in cases.case {
            let before = case.before.as_ref().map(String::as_bytes);
            let report = judge(
                &case.path,
                before,
                case.after.as_bytes(),
                tree(&case.others),
                tree(&case.others),
            );
            let rules: Vec<&str> = report.findings.iter().map(|f| f.rule.as_str()).collect();
            let right = match &case.rule {
                Some(rule) => {
                    bad += 1;
                    report.state != GateState::Pass && rules == [rule.as_str()]
                }
                None => {
                    good += 1;
                    report.state == GateState::Pass && rules.is_empty()
                }
            };
            if !right {
                wrong.push(format!(
                    "{}: {:?} {rules:?} {}",
                    case.name, report.state, report.summary
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(bad >= 20 && good >= 20, "{bad} bad, {good} good");
}

#[test]
fn what_was_there_before_is_not_new_wherever_it_moved() {
    let weak = "import hashlib\ndef seal(x):\n    return hashlib.md5(x)\n";
    let moved = format!("# a comment\n\n{weak}");
    let report = judge(
        "a.py",
        Some(weak.as_bytes()),
        moved.as_bytes(),
        Box::new(EmptyTree),
        Box::new(EmptyTree),
    );
    assert_eq!((report.state, report.findings.len()), (GateState::Pass, 0));
    let twice = format!("{weak}def again(x):\n    return hashlib.md5(x)\n");
    let report = judge(
        "a.py",
        Some(weak.as_bytes()),
        twice.as_bytes(),
        Box::new(EmptyTree),
        Box::new(EmptyTree),
    );
    assert_eq!((report.state, report.findings.len()), (GateState::Fail, 1));
}

#[test]
fn a_function_of_another_file_that_lets_through_now_is_new_where_it_is_called() {
    let caller = "import os\nfrom flask import request\nfrom lib.names import tidy\ndef go():\n    os.system('ls ' + tidy(request.args['x']))\n";
    let touched = format!("{caller}# touched\n");
    let files = |body: &str| {
        tree(&BTreeMap::from([(
            "lib/names.py".to_owned(),
            format!("import shlex\ndef tidy(x):\n    return {body}\n"),
        )]))
    };
    let report = judge(
        "app.py",
        Some(caller.as_bytes()),
        touched.as_bytes(),
        files("shlex.quote(x)"),
        files("x.strip()"),
    );
    let rules: Vec<&str> = report.findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(rules, ["sast/command-injection"]);
    // the control: unchanged, it is harmless
    let report = judge(
        "app.py",
        Some(caller.as_bytes()),
        touched.as_bytes(),
        files("shlex.quote(x)"),
        files("shlex.quote(x)"),
    );
    assert_eq!(report.state, GateState::Pass);
}

#[test]
fn what_can_not_be_judged_is_inconclusive_with_the_reason() {
    let deep = format!(
        "from flask import request\na = request.args\neval(1)\nx = {}1{}\n",
        "(\n".repeat(5_000),
        ")\n".repeat(5_000)
    );
    for (path, content, word) in [
        ("a.py", deep.into_bytes(), "nested"),
        ("a.py", b"eval(request \xff\xfe)".to_vec(), "UTF-8"),
        ("a.js", format!("eval(req.body);{}", "a=1;".repeat(20_000)).into_bytes(), "minified"),
    ] {
        let report = judge(path, None, &content, Box::new(EmptyTree), Box::new(EmptyTree));
        assert_eq!(report.state, GateState::Inconclusive, "{word}");
        assert!(format!("{report:?}").contains(word), "{word}: {}", report.summary);
    }
    // the control: a file in no language of the rules is no concern of this gate
    let report =
        judge("a.bin", None, b"eval(request \xff\xfe)", Box::new(EmptyTree), Box::new(EmptyTree));
    assert_eq!(report.state, GateState::Pass);
}

#[test]
fn its_rules_are_there_and_told_apart() {
    let rules = SastGate.rules();
    assert!(rules.len() >= 20);
    let ids: std::collections::BTreeSet<_> = rules.iter().map(|rule| rule.id.clone()).collect();
    assert_eq!(ids.len(), rules.len());
}
