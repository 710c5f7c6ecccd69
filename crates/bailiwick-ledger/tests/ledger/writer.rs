//! The writer from outside: what it leaves on disk, and what it refuses.

use std::fs;

use bailiwick_ledger::{LedgerDir, LedgerError, LogKey, Record, Salt, Tree, put_blob};

use crate::support::{assert_sound, files, key, record, records};

#[test]
fn an_empty_ledger_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = LedgerDir::open(dir.path(), key()).unwrap();
    assert_eq!(ledger.size_on_disk(), 0);
    assert_sound(dir.path(), 0);
    assert_eq!(files(dir.path()), ["checkpoint", "key.pub"]);
}

#[test]
fn files_and_root_do_not_depend_on_how_the_records_came() {
    let at_once = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(at_once.path(), key()).unwrap();
    ledger.write(0, &records(0, 770)).unwrap();
    ledger.publish_checkpoint().unwrap();
    let root = Tree::from_leaf_hashes(records(0, 770).iter().map(|r| r.leaf().hash())).root();
    assert_eq!(ledger.root(), root);

    let bit_by_bit = tempfile::tempdir().unwrap();
    let mut size = 0;
    for step in [1, 254, 1, 1, 255, 100, 158].into_iter() {
        let mut ledger = LedgerDir::open(bit_by_bit.path(), key()).unwrap();
        assert_eq!(ledger.size_on_disk(), size);
        ledger.write(size, &records(size, size + step)).unwrap();
        ledger.publish_checkpoint().unwrap();
        size += step;
        assert_eq!(assert_sound(bit_by_bit.path(), size), ledger.root());
    }
    assert_eq!(size, 770);
    let content = |dir: &std::path::Path| -> Vec<_> {
        files(dir).into_iter().map(|file| (fs::read(dir.join(&file)).unwrap(), file)).collect()
    };
    assert_eq!(content(at_once.path()), content(bit_by_bit.path()));
}

#[test]
fn superseded_partial_files_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    for size in 1..=258 {
        ledger.write(size - 1, &[record(size - 1)]).unwrap();
        ledger.publish_checkpoint().unwrap();
    }
    let expected = [
        "checkpoint",
        "events/000.jsonl",
        "events/001.jsonl",
        "key.pub",
        "tile/0/000",
        "tile/0/001.p/2",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/2",
    ];
    assert_eq!(files(dir.path()), expected);
    assert!(!dir.path().join("tile/0/000.p").exists());
}

#[test]
fn identical_overlap_is_skipped_and_any_other_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    ledger.write(0, &records(0, 300)).unwrap();
    ledger.write(200, &records(200, 310)).unwrap();
    ledger.publish_checkpoint().unwrap();
    ledger.write(0, &records(0, 320)).unwrap();
    ledger.write(5, &[]).unwrap();
    assert_eq!(ledger.size_on_disk(), 320);
    let mut other = records(250, 340);
    other[10].payload.push(b' ');
    let error = ledger.write(250, &other).unwrap_err();
    assert!(matches!(error, LedgerError::Conflict { index: 260 }), "{error}");
    let error = ledger.write(322, &records(322, 323)).unwrap_err();
    assert!(matches!(error, LedgerError::Gap { first_index: 322, size: 320 }), "{error}");
    assert_eq!(ledger.size_on_disk(), 320);
    ledger.publish_checkpoint().unwrap();
    assert_sound(dir.path(), 320);
}

#[test]
fn a_record_that_would_not_verify_is_refused_and_those_before_it_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    for payload in ["not json", "{\n}", ""] {
        let wrong = Record { salt: Salt::from_bytes([0; 16]), payload: payload.into() };
        let size = ledger.size_on_disk();
        let error = ledger.write(size, &[record(size), wrong]).unwrap_err();
        assert!(matches!(error, LedgerError::Record { index, .. } if index == size + 1), "{error}");
    }
    ledger.publish_checkpoint().unwrap();
    assert_sound(dir.path(), 3);
}

#[test]
fn what_was_not_published_is_dropped_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    ledger.write(0, &records(0, 10)).unwrap();
    ledger.publish_checkpoint().unwrap();
    ledger.write(10, &records(10, 600)).unwrap();
    // An overlap makes the writer put everything on disk.
    ledger.write(599, &records(599, 600)).unwrap();
    assert!(dir.path().join("tile/0/001").exists(), "control: it was on disk");
    drop(ledger);
    let ledger = LedgerDir::open(dir.path(), key()).unwrap();
    assert_eq!(ledger.size_on_disk(), 10);
    assert_sound(dir.path(), 10);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = LedgerDir::open(dir.path(), key()).unwrap();
    let error = LedgerDir::open(dir.path(), key()).unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    drop(first);
    LedgerDir::open(dir.path(), key()).unwrap();
}

#[test]
fn a_foreign_or_damaged_ledger_is_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    ledger.write(0, &records(0, 300)).unwrap();
    ledger.publish_checkpoint().unwrap();
    drop(ledger);
    let stranger = LogKey::from_seed("example.com/ledger".parse().unwrap(), &[8; 32]);
    let error = LedgerDir::open(dir.path(), stranger).unwrap_err();
    assert!(matches!(error, LedgerError::WrongKey { .. }), "{error}");
    for file in ["checkpoint", "key.pub", "events/001.jsonl", "tile/1/000.p/1"] {
        let path = dir.path().join(file);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let error = LedgerDir::open(dir.path(), key()).unwrap_err();
        assert!(
            file != "checkpoint" || matches!(error, LedgerError::Checkpoint { source: None, .. })
        );
        let mut changed = content.clone();
        changed[30] ^= 1;
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, changed).unwrap();
        LedgerDir::open(dir.path(), key()).unwrap_err();
        fs::write(&path, content).unwrap();
    }
    LedgerDir::open(dir.path(), key()).unwrap();
    assert_sound(dir.path(), 300);
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(LedgerDir::open(dir.path(), key()).unwrap());
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    drop(LedgerDir::open(dir.path(), key()).unwrap());
    assert!(dir.path().join("notes.txt").exists());
}

#[test]
fn a_blob_is_stored_once_and_repaired_when_it_was_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let hash = put_blob(dir.path(), b"content").unwrap();
    assert_eq!(put_blob(dir.path(), b"content").unwrap(), hash);
    let found = files(dir.path());
    assert_eq!(found, [format!("blobs/{}/{hash}", hash.to_string().get(..2).unwrap())]);
    fs::write(dir.path().join(&found[0]), "altered").unwrap();
    put_blob(dir.path(), b"content").unwrap();
    assert_eq!(fs::read(dir.path().join(&found[0])).unwrap(), b"content");
}
