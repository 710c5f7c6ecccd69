//! Every file in `tests/scripts` is a case.

use bailiwick_model::event::SessionEnd;
use serde_json::Value;

use crate::script::{Script, Stage, all, count};

pub(crate) fn describe(end: &SessionEnd) -> (String, String, Option<Value>) {
    match end {
        SessionEnd::Finished { result } => (
            "finished".into(),
            String::new(),
            Some(serde_json::from_slice(result.bytes().unwrap()).unwrap()),
        ),
        SessionEnd::Stopped { code, reason, hint } => {
            assert!(!hint.is_empty(), "{code} has no hint");
            (code.clone(), reason.clone(), None)
        }
    }
}

fn check(name: &str, script: &Script, stage: &Stage, end: &SessionEnd) {
    let expected = &script.expect;
    let (code, reason, result) = describe(end);
    let steps = stage.steps();
    let told: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let line = |result: &bailiwick_model::event::ToolResult| {
                let kind = if result.is_error { "error" } else { "ok" };
                format!("{kind}: {}", result.content.text().unwrap())
            };
            step.results.iter().map(line).collect()
        })
        .collect();
    assert_eq!(code, expected.end, "{name}: {reason}; told {told:#?}");
    assert!(reason.contains(&expected.reason), "{name}: {reason}");
    if let Some(expected) = &expected.result {
        assert_eq!(result.as_ref(), Some(expected), "{name}");
    }
    for (step, expected) in expected.told.iter().enumerate() {
        let got = told.get(step).unwrap_or_else(|| panic!("{name}: step {step} was not taken"));
        assert_eq!(got.len(), expected.len(), "{name}: step {step}: {got:#?}");
        for (got, expected) in got.iter().zip(expected) {
            let (kind, part) = expected.split_once(": ").unwrap();
            assert!(
                got.starts_with(&format!("{kind}: ")) && got.contains(part),
                "{name}: step {step}: {got:?} is not {expected:?}"
            );
        }
    }
    assert_eq!(stage.workspace.effects(), expected.effects, "{name}");
    if let Some(files) = &expected.files {
        assert_eq!(&stage.workspace.files(), files, "{name}");
    }
    if let Some(taint) = &expected.taint {
        assert_eq!(&steps.last().unwrap().taint, taint, "{name}");
    }
    assert_eq!(steps.last().map_or(0, |step| step.denials), expected.denials, "{name}");
    let entries = stage.journal.entries();
    assert_eq!(count(&entries, "session_started"), 1, "{name}");
    assert_eq!(count(&entries, "session_ended"), 1, "{name}");
}

#[tokio::test]
async fn every_script_comes_to_its_expected_end() {
    for (name, script) in all() {
        let stage = script.stage();
        let end = stage.run(&[]).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&name, &script, &stage, &end);
    }
}

#[tokio::test]
async fn what_is_asked_next_holds_what_was_answered() {
    let script = crate::script::named("reads_edits_and_finishes");
    let stage = script.stage();
    stage.run(&[]).await.unwrap();
    let asked = stage.model.asked.lock().unwrap();
    for (at, step) in stage.steps().iter().enumerate() {
        let Some((_, request)) = asked.get(at + 1) else { continue };
        let told: Vec<String> =
            step.results.iter().map(|result| result.content.text().unwrap()).collect();
        assert!(crate::script::results(request).ends_with(&told), "step {}", at + 1);
    }
    let names: Vec<&str> = asked[0].1.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["read", "list", "search", "edit", "write", "run", "finish"]);
}
