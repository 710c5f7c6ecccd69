//! The verifier's own program: exit status and output.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{full_ledger, key};

fn run(words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_bailiwick-verify")).args(words).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_sound_ledger_ends_0_and_says_what_it_rests_on() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let (status, out, _) = run(&[text(dir.path())]);
    assert_eq!(status, 0);
    assert!(out.contains("entries: 600") && out.contains("self-consistent only"), "{out}");

    let key = key().verifier().to_string();
    let older = dir.path().parent().unwrap().join(format!("{}.older", text(dir.path())));
    std::fs::copy(dir.path().join("checkpoint"), &older).unwrap();
    let (status, out, _) =
        run(&["--json", "--key", &key, text(dir.path()), "--checkpoint", text(&older)]);
    std::fs::remove_file(older).unwrap();
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status, 0);
    assert_eq!(report["trusted"], "key_and_checkpoint");
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!(report["key"], key);
}

#[test]
fn a_damaged_ledger_ends_1_and_names_file_and_entry() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let path = dir.path().join("events/001.jsonl");
    let content = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, content.replacen("\"index\":257", "\"index\":258", 1)).unwrap();
    let (status, out, _) = run(&[text(dir.path())]);
    assert_eq!(status, 1);
    assert!(out.contains("problem: events/001.jsonl: entry 257: "), "{out}");
    assert!(out.contains("NOT SOUND"), "{out}");
    let (status, out, _) = run(&[text(dir.path()), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &report["problems"][0]["entry"]), (1, &serde_json::json!(257)));
}

#[test]
fn a_wrong_call_ends_2_and_shows_the_usage() {
    for words in [
        &[][..],
        &["a", "b"],
        &["a", "--key"],
        &["a", "--key", "nonsense"],
        &["a", "--checkpoint"],
        &["a", "--checkpoint", "/nonexistent/checkpoint"],
        &["a", "--strict"],
    ] {
        let (status, out, error) = run(words);
        assert_eq!((status, out.as_str()), (2, ""), "{words:?}");
        assert!(error.contains("usage: bailiwick-verify DIR"), "{words:?}: {error}");
    }
}
