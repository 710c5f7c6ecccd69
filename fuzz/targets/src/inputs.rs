//! From bytes to each reader. Where a reader takes several inputs, a line `====` divides them.

use bailiwick_ledger::{
    Checkpoint, EntryProof, Hash, LedgerFile, Note, Record, TreeHead, VerifierKey,
    verify_consistency, verify_inclusion,
};
use bailiwick_policy::command::analyse_shell;
use bailiwick_policy::{PolicySet, PolicySource};

const BETWEEN: &[u8] = b"\n====\n";

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        Some(at) => (
            bytes.get(..at).unwrap_or_default(),
            bytes.get(at + BETWEEN.len()..).unwrap_or_default(),
        ),
        None => (bytes, &[]),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn command(bytes: &[u8]) {
    let effects = analyse_shell(&text(bytes));
    drop(effects.list());
    assert!(!effects.writes_protected() || !effects.writes.is_empty() || effects.list().len() > 1);
}

pub(crate) fn policy(bytes: &[u8]) {
    drop(PolicySet::load(&[PolicySource { name: "a.cedar".to_owned(), text: text(bytes) }]));
}

pub(crate) fn ledger_text(bytes: &[u8]) {
    let (note, key) = halves(bytes);
    drop(Note::parse(&text(note)));
    if let Ok(key) = text(key).trim().parse::<VerifierKey>() {
        drop(Checkpoint::open(&text(note), &key));
    }
    if let Ok(record) = Record::from_line(bytes) {
        drop(record.blob_references());
        assert_eq!(
            Record::from_line(&record.to_line()).ok().map(|again| again.leaf().hash()),
            Some(record.leaf().hash())
        );
    }
    for line in text(bytes).lines() {
        // no line is both
        assert!(LedgerFile::from_path(line).is_none() || line.parse::<Hash>().is_err());
    }
}

pub(crate) fn ledger_proof(bytes: &[u8]) {
    let (proof, key) = halves(bytes);
    if let Ok(proof) = EntryProof::from_json(&text(proof))
        && let Ok(key) = text(key).trim().parse::<VerifierKey>()
    {
        drop(proof.verify(&key));
    }
    // numbers and hashes as a proof would have them
    let mut numbers = bytes.chunks(8).map(|chunk| {
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(chunk) {
            *to = *from;
        }
        u64::from_le_bytes(number)
    });
    let (index, old, new) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let path: Vec<Hash> = bytes.chunks(16).take(80).map(Hash::of).collect();
    let root = Hash::of(bytes);
    let head = |size| TreeHead { size, root };
    drop(verify_inclusion(root, index, &head(new), &path));
    drop(verify_consistency(&head(old), &head(new), &path));
}

pub(crate) fn git_diff(bytes: &[u8]) {
    let (raw, patch) = halves(bytes);
    drop(bailiwick_git::parse_diff(raw, patch));
}

pub(crate) fn guest_wire(bytes: &[u8]) {
    drop(bailiwick_guest::read_message::<bailiwick_guest::Reply>(&mut &*bytes));
    drop(bailiwick_guest::read_message::<bailiwick_guest::Operation>(&mut &*bytes));
    drop(bailiwick_guest::read_message::<serde_json::Value>(&mut &*bytes));
}

pub(crate) fn scan(bytes: &[u8]) {
    let text = text(bytes);
    drop(bailiwick_scan::find_secrets(bytes));
    drop(bailiwick_scan::find_hidden(&text));
    drop(bailiwick_scan::find_instructions(&text));
    drop(bailiwick_scan::reveal(&text));
    drop(bailiwick_scan::redact(&text));
}

pub(crate) fn names(bytes: &[u8]) {
    use bailiwick_model::id::{BranchName, Oid, Person, RepoName};
    use bailiwick_model::path::WorkPath;
    let text = text(bytes);
    drop(BranchName::parse(&text));
    drop(RepoName::parse(&text));
    drop(Person::parse(&text));
    drop(Oid::parse(&text));
    if let Ok(path) = WorkPath::parse(&text) {
        assert!(!path.as_str().split('/').any(|part| part == ".."), "{path:?}");
    }
    drop(bailiwick_git::RefName::parse(&text));
    drop(bailiwick_git::RepoPath::parse(bytes));
}

pub(crate) fn sarif(bytes: &[u8]) {
    if let Ok(log) = bailiwick_gates::sarif::read::read(&text(bytes), "/workspace") {
        for path in log.results.iter().filter_map(|result| result.path.as_deref()) {
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
        }
    }
}

pub(crate) fn coverage(bytes: &[u8]) {
    if let Ok(coverage) = bailiwick_gates::coverage::Coverage::read(&text(bytes)) {
        let lines = coverage.lines_of("src/a.py", "src", "/workspace");
        assert!(lines.is_none_or(|lines| !lines.is_empty()));
    }
    // what test runners print is read in the same places
    drop(bailiwick_gates::runner::TestOutput::parse(&text(bytes)));
}

pub(crate) fn mutants(bytes: &[u8]) {
    for path in ["a.rs", "a.py", "a.js", "a.ts", "a.go", "A.java", "A.cs"] {
        let found = bailiwick_sast::mutants(path, bytes, |_| true).unwrap_or_default();
        let text = text(bytes);
        for mutant in found.iter().take(20) {
            assert!(mutant.apply(&text).is_some_and(|changed| changed != text), "{mutant:?}");
        }
    }
}

pub(crate) fn sast(bytes: &[u8]) {
    use bailiwick_sast::Scanner;
    use std::sync::LazyLock;
    static SCANNER: LazyLock<Option<Scanner>> = LazyLock::new(|| Scanner::bundled().ok());
    let Some(scanner) = &*SCANNER else { return };
    for path in ["a.rs", "a.py", "a.js", "a.tsx", "a.go", "A.java", "A.cs"] {
        let lines = text(bytes).lines().count();
        for finding in scanner.scan(path, bytes).findings {
            let line = usize::try_from(finding.line).unwrap_or(usize::MAX);
            assert!((1..=lines.max(1)).contains(&line), "{finding:?}");
        }
    }
}

/// The name of a file, then its content before and, behind a line `====`, after a change.
pub(crate) fn lock_files(bytes: &[u8]) {
    use bailiwick_deps::{Files, Inputs, Policy, check};
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let name = text(bytes.get(..end).unwrap_or_default());
    let (before, after) = halves(bytes.get(end..).unwrap_or_default());
    let files = |content: &[u8]| Files::from([(name.clone(), content.to_vec())]);
    let (base, head, policy) = (files(before), files(after), Policy::default());
    let report = check(&Inputs {
        base: &base,
        head: &head,
        policy: &policy,
        advisories: None,
        index: None,
        now: bailiwick_model::Timestamp::UNIX_EPOCH,
        off: &std::collections::BTreeSet::new(),
    });
    assert!(before != after || report.findings.is_empty(), "{report:?}");
}

pub(crate) fn index_answers(bytes: &[u8]) {
    use bailiwick_deps::{Ecosystem, Inquiry, PackageName};
    for (ecosystem, name) in [
        (Ecosystem::Cargo, "serde"),
        (Ecosystem::Npm, "left-pad"),
        (Ecosystem::Pypi, "requests"),
        (Ecosystem::Go, "example.org/x"),
        (Ecosystem::Maven, "org.example:it"),
    ] {
        let Ok(mut inquiry) = Inquiry::of(&PackageName::new(ecosystem, name)) else { continue };
        for part in [halves(bytes).0, halves(bytes).1] {
            let path = inquiry.path();
            assert!(path.starts_with('/') && !path.contains(".."), "{path}");
            if !matches!(inquiry.answered(200, part), Ok(None)) {
                break;
            }
        }
    }
}
