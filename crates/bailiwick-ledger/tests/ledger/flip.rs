//! A single changed bit anywhere is found, and named.

use std::fs;

use bailiwick_ledger::{LedgerFile, Trust, verify};

use crate::support::{
    Random, WITH_BLOB, assert_names, assert_sound, files, full_ledger, record, trust_key,
};

/// Files up to this length have every byte changed, others 40 at random.
const SMALL: usize = 256;

/// The entry that a byte of a file belongs to.
fn entry_at(file: LedgerFile, content: &[u8], offset: usize) -> Option<u64> {
    let number = |index: u64, at: usize| Some(index * 256 + u64::try_from(at).unwrap());
    match file {
        LedgerFile::Tile { level: 0, index, .. } => number(index, offset / 32),
        LedgerFile::Entries { index, .. } => number(index, offset / 35),
        LedgerFile::Events { index } => {
            number(index, content[..offset].iter().filter(|byte| **byte == b'\n').count())
        }
        LedgerFile::Blob { .. } => {
            let content = String::from_utf8(content.to_vec()).unwrap();
            WITH_BLOB.into_iter().find(|index| content.contains(&format!("step {index}\n")))
        }
        LedgerFile::Checkpoint | LedgerFile::Key | LedgerFile::Tile { .. } => None,
    }
}

#[test]
fn every_flipped_bit_is_found_and_its_file_and_entry_named() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    assert_sound(dir.path(), 600);
    let mut random = Random::new();
    let names = files(dir.path());
    // Two of the checkpoint and key, 3 blobs, and for each of 3 bundles a tile, leaves, records;
    // one tile over the tiles.
    assert_eq!(names.len(), 2 + 3 + 3 * 3 + 1, "{names:?}");
    for name in names {
        let path = dir.path().join(&name);
        let file = LedgerFile::from_path(&name).unwrap();
        let content = fs::read(&path).unwrap();
        let offsets: Vec<usize> = if content.len() <= SMALL {
            (0..content.len()).collect()
        } else {
            (0..40).map(|_| random.below(content.len())).collect()
        };
        for (round, offset) in offsets.into_iter().enumerate() {
            let bit = random.below(8);
            let mut changed = content.clone();
            changed[offset] ^= 1 << bit;
            fs::write(&path, &changed).unwrap();
            let trust = if round % 2 == 0 { trust_key() } else { Trust::default() };
            let context = format!("{name}, byte {offset}, bit {bit}");
            let entry = entry_at(file, &content, offset);
            assert_names(&verify(dir.path(), &trust), &name, entry, &context);
        }
        fs::write(&path, &content).unwrap();
    }
    assert_sound(dir.path(), 600);
}

#[test]
fn line_breaks_that_shift_all_further_lines_name_only_the_entry_they_are_in() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let name = "events/001.jsonl";
    let path = dir.path().join(name);
    let content = fs::read(&path).unwrap();
    let line = String::from_utf8(record(270).to_line()).unwrap();
    let start = String::from_utf8(content.clone()).unwrap().find(&line).unwrap();
    let end = start + line.len();
    let about = |changed: &[u8]| {
        fs::write(&path, changed).unwrap();
        let report = verify(dir.path(), &trust_key());
        assert_names(&report, name, Some(270), "a shifted file");
        report.problems.iter().map(|problem| problem.entry).collect::<Vec<_>>()
    };
    // Lost: entries 270 and 271 become one line.
    assert_eq!(about(&[&content[..end], &content[end + 1..]].concat()), [Some(270), Some(271)]);
    // Added in the middle of a line.
    assert_eq!(
        about(&[&content[..start + 50], b"\n", &content[start + 50..]].concat()),
        [Some(270)]
    );
    // A whole line lost.
    assert_eq!(about(&[&content[..start], &content[end + 1..]].concat()), [Some(270)]);
}

/// An altered reference is about its record, not about the blob that it then seems to miss.
#[test]
fn an_altered_reference_names_its_record_only() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let name = "events/001.jsonl";
    let path = dir.path().join(name);
    let content = fs::read_to_string(&path).unwrap();
    let start = content.find("\"blob\":\"").unwrap() + 8;
    for offset in start..start + 64 {
        let mut changed = content.clone().into_bytes();
        changed[offset] = if changed[offset] == b'0' { b'1' } else { b'0' };
        fs::write(&path, &changed).unwrap();
        let report = verify(dir.path(), &trust_key());
        assert_names(&report, name, Some(300), "an altered reference");
    }
}
