//! The writer is stopped after each of its file operations, as a crash would, in the middle of a
//! write too; opening and writing on must always lead to the same sound ledger.

use std::path::Path;

use super::*;
use crate::blob;
use crate::record::Salt;
use crate::verify::{Trust, verify};

/// Sizes at which a checkpoint is published: within, at and after the end of a bundle.
const CHECKPOINTS: [u64; 4] = [2, 3, 256, 300];

const BLOB: &[u8] = b"the output of a command";

fn key() -> LogKey {
    LogKey::from_seed("example.com/ledger".parse().unwrap(), &[7; 32])
}

fn records(from: u64, to: u64) -> Vec<Record> {
    let record = |index: u64| Record {
        salt: Salt::from_bytes(u128::from(index).to_be_bytes()),
        payload: if index == 1 {
            let (hash, length) = (Hash::of(BLOB), BLOB.len());
            format!(r#"{{"blob":"{hash}","bytes":{length}}}"#).into_bytes()
        } else {
            format!(r#"{{"index":{index}}}"#).into_bytes()
        },
    };
    (from..to).map(record).collect()
}

/// Stores the blob and brings the ledger to 300 entries from wherever it is.
///
/// Returns the note of the last checkpoint that was published, and whether it got to the end.
fn run(dir: &Path, stop_after: Option<u64>) -> (Option<String>, bool) {
    let mut note = None;
    let mut all =
        || -> Result<()> {
            let mut ledger = LedgerDir::open_on(dir, key(), Disk::stopping_after(stop_after))?;
            let hash = Hash::of(BLOB);
            let path = dir.join(LedgerFile::Blob { hash }.path());
            blob::put(&mut ledger.disk, dir, &path, hash, BLOB)
                .map_err(|source| LedgerError::Io { action: "store", path, source })?;
            for size in CHECKPOINTS {
                let from = ledger.size_on_disk();
                if from < size {
                    ledger.write(from, &records(from, size))?;
                    ledger.publish_checkpoint()?;
                    note = Some(ledger.checkpoint().sign(&ledger.key));
                }
            }
            Ok(())
        };
    let finished = all().is_ok();
    (note, finished)
}

#[track_caller]
fn assert_sound(dir: &Path, checkpoint: Option<String>, context: &str) -> u64 {
    let report = verify(dir, &Trust { key: Some(key().verifier().clone()), checkpoint });
    assert_eq!(report.problems, [], "{context}");
    report.entries
}

#[test]
fn a_stop_after_any_file_operation_is_repaired() {
    let mut stops = 0;
    for stop in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let (note, finished) = run(dir.path(), Some(stop));
        if finished {
            break;
        }
        stops += 1;
        let context = format!("stopped after {stop}");
        // The repair is stopped as well, each time at another place.
        run(dir.path(), Some(stop % 7));
        let ledger = LedgerDir::open(dir.path(), key()).unwrap();
        let size = ledger.size_on_disk();
        drop(ledger);
        assert_eq!(assert_sound(dir.path(), note.clone(), &context), size, "{context}");
        assert!(run(dir.path(), None).1, "{context}");
        assert_eq!(assert_sound(dir.path(), note, &context), 300, "{context}");
    }
    assert!(stops > 100, "only {stops} operations were stopped");
}

#[test]
fn a_stopped_writer_refuses_to_go_on_and_leaves_the_former_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = LedgerDir::open(dir.path(), key()).unwrap();
    ledger.write(0, &records(2, 4)).unwrap();
    let before = ledger.publish_checkpoint().unwrap();
    ledger.write(2, &records(4, 6)).unwrap();
    ledger.disk.stop_after = Some(3);
    assert!(matches!(ledger.publish_checkpoint(), Err(LedgerError::Io { .. })));
    ledger.disk.stop_after = None;
    assert!(matches!(ledger.publish_checkpoint(), Err(LedgerError::Interrupted)));
    assert!(matches!(ledger.write(4, &records(6, 7)), Err(LedgerError::Interrupted)));
    assert_eq!(ledger.checkpoint(), &before);
    drop(ledger);
    LedgerDir::open(dir.path(), key()).unwrap();
    assert_eq!(assert_sound(dir.path(), None, "reopened"), 2);
}
