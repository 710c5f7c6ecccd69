//! What somebody with write access to the directory could do, and what the verifier says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bailiwick_ledger::{LedgerDir, LogKey, Record, Salt, Trust, Trusted, put_blob, verify};
use proptest::prelude::*;

use crate::support::{
    assert_names, assert_sound, copy, files, full_ledger, key, ledger, record, records, trust_key,
};

fn read(dir: &Path, file: &str) -> Vec<u8> {
    fs::read(dir.join(file)).unwrap()
}

#[test]
fn what_is_trusted_is_said() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    let older = Some(String::from_utf8(read(dir.path(), "checkpoint")).unwrap());
    let trusted = |key, checkpoint| {
        let report = verify(dir.path(), &Trust { key, checkpoint });
        assert_eq!(report.problems, []);
        report.trusted
    };
    let key = || Some(key().verifier().clone());
    assert_eq!(trusted(None, None), Trusted::SelfConsistentOnly);
    assert_eq!(trusted(key(), None), Trusted::Key);
    assert_eq!(trusted(None, older.clone()), Trusted::Checkpoint);
    assert_eq!(trusted(key(), older), Trusted::KeyAndCheckpoint);
}

#[test]
fn every_missing_or_truncated_or_longer_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    for name in files(dir.path()) {
        let path = dir.path().join(&name);
        let content = fs::read(&path).unwrap();
        let named = |context: &str| {
            let report = verify(dir.path(), &trust_key());
            let named = report.problems.iter().any(|problem| problem.file == name);
            assert!(named, "{name} {context}: {:?}", report.problems);
        };
        for length in [0, 1, content.len() / 2, content.len() - 1] {
            fs::write(&path, &content[..length]).unwrap();
            named("truncated");
        }
        for more in [b"\0".as_slice(), b"\n", b" ", b"\n\n", &content] {
            fs::write(&path, [&content, more].concat()).unwrap();
            named("longer");
        }
        fs::remove_file(&path).unwrap();
        let missing = verify(dir.path(), &trust_key()).problems;
        assert!(missing.iter().any(|problem| problem.file == name && problem.what == "is missing"));
        symlink(dir.path().join("elsewhere"), &path).unwrap();
        named("a dangling link");
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
    }
    assert_sound(dir.path(), 600);
}

#[test]
fn a_link_to_the_right_content_is_no_file_of_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(&outside, read(dir.path(), "events/000.jsonl")).unwrap();
    fs::remove_file(dir.path().join("events/000.jsonl")).unwrap();
    symlink(outside.path(), dir.path().join("events/000.jsonl")).unwrap();
    let report = verify(dir.path(), &trust_key());
    assert_names(&report, "events/000.jsonl", None, "a link");

    fs::remove_dir_all(dir.path().join("events")).unwrap();
    symlink(outside.path().parent().unwrap(), dir.path().join("events")).unwrap();
    assert!(verify(dir.path(), &trust_key()).problems.iter().any(|found| found.file == "events"));
}

#[test]
fn anything_that_does_not_belong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let hash = "ab".repeat(32);
    for name in [
        "note.txt",
        "Checkpoint",
        "checkpoint ",
        ".hidden",
        "tile/1/note",
        "tile/2/000.p/1",
        "tile/0/002.p/87",
        "tile/0/003",
        "tile/0/00",
        "tile/entries/003",
        "events/003.jsonl",
        "events/000.jsonl~",
        "blobs/note",
        "blobs/ab/note",
        "tile/0/000.p/12",
        "events/x000/000.jsonl",
        "deep/a/b/c/d/e/f/g/h/i/j/k/l/m/n",
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        let report = verify(dir.path(), &trust_key());
        assert_eq!(report.problems.len(), 1, "{name}: {:?}", report.problems);
        assert!(name.starts_with(&report.problems[0].file), "{name}: {:?}", report.problems);
        fs::remove_file(&path).unwrap();
        let mut folder = path.parent().unwrap();
        while folder != dir.path() && fs::read_dir(folder).unwrap().next().is_none() {
            let report = verify(dir.path(), &trust_key());
            assert_eq!(report.problems.len(), 1, "{name}: {:?}", report.problems);
            assert!(name.starts_with(&report.problems[0].file), "{name}: {:?}", report.problems);
            fs::remove_dir(folder).unwrap();
            folder = folder.parent().unwrap();
        }
        assert_sound(dir.path(), 600);
    }
    // A blob under another name than its hash.
    fs::create_dir_all(dir.path().join("blobs/ab")).unwrap();
    let name = format!("blobs/ab/{hash}");
    fs::write(dir.path().join(&name), "x").unwrap();
    assert_names(&verify(dir.path(), &trust_key()), &name, None, "a wrong blob");
}

#[test]
fn a_stored_blob_without_a_record_is_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    put_blob(dir.path(), b"stored just before a crash").unwrap();
    put_blob(dir.path(), b"").unwrap();
    assert_sound(dir.path(), 3);
}

#[test]
fn a_missing_blob_or_one_of_another_length_names_the_entry() {
    let dir = tempfile::tempdir().unwrap();
    let blob = put_blob(dir.path(), b"12345").unwrap();
    let payload = format!(r#"{{"a":[{{"bytes":6,"blob":"{blob}"}}]}}"#).into_bytes();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    ledger.write(0, &[record(0), Record { salt: Salt::from_bytes([1; 16]), payload }]).unwrap();
    ledger.publish_checkpoint().unwrap();
    let name = files(dir.path()).into_iter().find(|name| name.starts_with("blobs")).unwrap();
    assert_names(&verify(dir.path(), &trust_key()), &name, Some(1), "another length");
    fs::remove_dir_all(dir.path().join("blobs")).unwrap();
    assert_names(&verify(dir.path(), &trust_key()), &name, Some(1), "missing");
}

#[test]
fn swapped_records_leaves_and_hashes_name_both_entries() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 300);
    let swap = |name: &str, unit: Option<usize>| {
        let content = read(dir.path(), name);
        let mut parts: Vec<Vec<u8>> = match unit {
            Some(unit) => content.chunks(unit).map(<[u8]>::to_vec).collect(),
            None => content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
        };
        parts.swap(3, 20);
        fs::write(dir.path().join(name), parts.concat()).unwrap();
        let report = verify(dir.path(), &trust_key());
        let entries: Vec<_> = report.problems.iter().map(|problem| problem.entry).collect();
        assert_eq!(entries, [Some(259), Some(276)], "{name}: {:?}", report.problems);
        assert_names(&report, name, Some(259), "swapped");
        fs::write(dir.path().join(name), content).unwrap();
    };
    swap("events/001.jsonl", None);
    swap("tile/entries/001.p/44", Some(35));
    swap("tile/0/001.p/44", Some(32));
    assert_sound(dir.path(), 300);
}

/// Whoever can write all files can make them agree, but not sign them.
#[test]
fn a_rewritten_entry_in_all_its_files_does_not_match_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    let forged_dir = tempfile::tempdir().unwrap();
    let mut forged = LedgerDir::open(forged_dir.path(), key()).unwrap();
    forged.write(0, &[record(0), record(9), record(2)]).unwrap();
    forged.publish_checkpoint().unwrap();
    let checkpoint = read(dir.path(), "checkpoint");
    copy(forged_dir.path(), dir.path());
    fs::write(dir.path().join("checkpoint"), checkpoint).unwrap();
    assert_names(&verify(dir.path(), &trust_key()), "checkpoint", None, "rewritten");
}

#[test]
fn a_ledger_signed_anew_with_another_key_is_self_consistent_only() {
    let dir = tempfile::tempdir().unwrap();
    let name = || "example.com/ledger".parse().unwrap();
    let mut forged = LedgerDir::open(dir.path(), LogKey::from_seed(name(), &[66; 32])).unwrap();
    forged.write(0, &records(0, 3)).unwrap();
    forged.publish_checkpoint().unwrap();
    let report = verify(dir.path(), &Trust::default());
    assert!(report.ok());
    assert_eq!(report.trusted, Trusted::SelfConsistentOnly);
    let report = verify(dir.path(), &trust_key());
    assert_eq!(report.trusted, Trusted::SelfConsistentOnly);
    let files: Vec<_> = report.problems.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(files, ["key.pub", "checkpoint"]);
}

#[test]
fn rollback_and_fork_are_found_with_an_older_checkpoint_only() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let older = String::from_utf8(read(dir.path(), "checkpoint")).unwrap();
    let trust = Trust { checkpoint: Some(older), ..trust_key() };
    let about = |dir: &Path| {
        assert!(verify(dir, &trust_key()).ok(), "control: sound without the older checkpoint");
        let report = verify(dir, &trust);
        assert_names(&report, "checkpoint", None, "with the older checkpoint");
        assert_eq!(report.trusted, Trusted::Key);
        report.problems[0].what.split(':').next().unwrap().to_owned()
    };
    let shorter = tempfile::tempdir().unwrap();
    ledger(shorter.path(), 599);
    assert_eq!(about(shorter.path()), "rollback");

    for size in [600, 700] {
        let fork = tempfile::tempdir().unwrap();
        ledger(fork.path(), size);
        let report = verify(fork.path(), &trust);
        assert!(report.problems[0].what.starts_with("fork"), "{:?}", report.problems);
    }

    let mut longer = LedgerDir::open(dir.path(), key()).unwrap();
    longer.write(600, &records(600, 900)).unwrap();
    longer.publish_checkpoint().unwrap();
    let report = verify(dir.path(), &trust);
    assert_eq!((report.problems, report.trusted), (vec![], Trusted::KeyAndCheckpoint));
}

#[test]
fn an_older_checkpoint_that_the_key_did_not_sign_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    let other = tempfile::tempdir().unwrap();
    LedgerDir::open(other.path(), LogKey::from_seed("other".parse().unwrap(), &[1; 32])).unwrap();
    for checkpoint in [String::new(), String::from_utf8(read(other.path(), "checkpoint")).unwrap()]
    {
        let trust = Trust { checkpoint: Some(checkpoint), ..trust_key() };
        assert_names(&verify(dir.path(), &trust), "checkpoint", None, "a foreign checkpoint");
    }
}

/// Nobody could check the bytes of a stranger's signature, so the directory has none.
#[test]
fn a_further_signature_on_the_checkpoint_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    let mut note = String::from_utf8(read(dir.path(), "checkpoint")).unwrap();
    note.push_str("\u{2014} witness.example AAAAAAAA\n");
    let control = bailiwick_ledger::Checkpoint::open(&note, key().verifier());
    assert_eq!(control.unwrap().size, 3);
    fs::write(dir.path().join("checkpoint"), note).unwrap();
    assert_names(&verify(dir.path(), &trust_key()), "checkpoint", None, "two signatures");
}

#[test]
fn a_folder_that_is_not_a_ledger_or_not_there_is_a_report() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!verify(dir.path(), &Trust::default()).ok());
    assert!(!verify(&dir.path().join("none"), &Trust::default()).ok());
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(!verify(&dir.path().join("file"), &Trust::default()).ok());
}

#[test]
fn an_enormous_size_is_reported_and_not_walked_through() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path(), 3);
    let head = bailiwick_ledger::TreeHead { size: u64::MAX, root: bailiwick_ledger::Hash::of(b"") };
    let checkpoint = bailiwick_ledger::Checkpoint::new(key().verifier(), head);
    fs::write(dir.path().join("checkpoint"), checkpoint.sign(&key())).unwrap();
    let report = verify(dir.path(), &Trust::default());
    assert!(!report.ok());
    assert!(report.problems.len() <= bailiwick_ledger::verify::MAX_PROBLEMS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_content_of_any_file_is_refused_without_a_panic(
        which: prop::sample::Index, content: Vec<u8>, mode in 0..3_u8, at: prop::sample::Index,
    ) {
        let dir = tempfile::tempdir().unwrap();
        full_ledger(dir.path());
        let names = files(dir.path());
        let path = dir.path().join(&names[which.index(names.len())]);
        let before = fs::read(&path).unwrap();
        let at = at.index(before.len());
        let changed = match mode {
            0 => content,
            1 => [&before[..at], &content, &before[at..]].concat(),
            _ => [&before[..at], &content].concat(),
        };
        fs::write(&path, &changed).unwrap();
        let report = verify(dir.path(), &Trust::default());
        prop_assert_eq!(report.ok(), changed == before, "{:?}", report.problems);
    }
}
