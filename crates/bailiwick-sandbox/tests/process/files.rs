//! Reading and writing files.

use bailiwick_model::action::{ReadMode, WriteMode};
use bailiwick_model::outcome::{EffectError as _, Outcome, Recorded as _};
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_sandbox::{Access, ReadOutcome, SandboxError, WriteOutcome};

use super::office::{Office, whole};

#[tokio::test]
async fn files_are_written_read_listed_and_searched() {
    let office = Office::open(|_| ()).await;
    let outcome = office.write("src/lib.rs", whole("fn one() {}\nfn two() {}\n")).await.unwrap();
    let after = Digest::of(b"fn one() {}\nfn two() {}\n");
    assert_eq!(outcome, WriteOutcome { before: None, after, bytes: 24 });
    let edit = WriteMode::Edit { old: Payload::from("two"), new: Payload::from("three") };
    let outcome = office.write("src/lib.rs", edit.clone()).await.unwrap();
    assert_eq!(outcome.before, Some(after));
    assert_eq!(office.write("src/lib.rs", edit).await.unwrap_err().code(), "file.conflict");

    let read = office.read("src/lib.rs", ReadMode::Lines { first: 2, count: 1 }).await.unwrap();
    assert_eq!(read.to_text(), "fn three() {}\n");
    let digest = Digest::of(b"fn three() {}\n");
    assert_eq!(read.outcome(), Outcome::Read { digest, bytes: 14 });
    let ReadOutcome::Text { total_lines: 2, total_bytes: 26, file, cut: false, .. } = read else {
        panic!("{read:?}")
    };
    assert_eq!(file, outcome.after);

    let list = office.read(".", ReadMode::List { depth: 2 }).await.unwrap();
    assert_eq!(list.to_text(), "src/\nsrc/lib.rs (26 bytes)\n");
    let search =
        office.read(".", ReadMode::Search { pattern: r"thr\w+".to_owned() }).await.unwrap();
    assert_eq!(search.to_text(), "src/lib.rs:2: fn three() {}\n");
}

#[tokio::test]
async fn what_cannot_be_done_has_a_code_and_a_hint() {
    let office = Office::open(|_| ()).await;
    std::os::unix::fs::symlink("/etc/passwd", office.path("workspace/out")).unwrap();
    let lines = ReadMode::Lines { first: 1, count: 1 };
    for (path, mode, code) in [
        ("missing", lines.clone(), "file.not_found"),
        (".", lines.clone(), "file.is_directory"),
        ("out", lines, "file.outside_workspace"),
        (".", ReadMode::Search { pattern: "(".to_owned() }, "file.pattern"),
    ] {
        let error = office.read(path, mode).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.hint().is_some());
    }
    let forgotten: Payload =
        serde_json::from_str(&format!(r#"{{"blob":"{}","bytes":3}}"#, Digest::of(b"abc"))).unwrap();
    let error = office.write("file", WriteMode::Whole { content: forgotten }).await.unwrap_err();
    assert!(matches!(error, SandboxError::NoContent), "{error}");
}

#[tokio::test]
async fn a_verifier_cannot_write() {
    let office = Office::open(|cage| cage.access = Access::ReadOnly).await;
    let error = office.write("file", whole("x")).await.unwrap_err();
    assert_eq!(error.code(), "file.denied");
    assert!(!office.path("workspace/file").exists());
}
