//! A ledger to work on, and a random source whose seed is shown.

use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_ledger::{Hash, LedgerDir, LogKey, Record, Report, Salt, Trust, put_blob, verify};

pub(crate) fn key() -> LogKey {
    LogKey::from_seed("example.com/ledger".parse().unwrap(), &[7; 32])
}

/// Entry `index` without a reference.
pub(crate) fn record(index: u64) -> Record {
    let salt = u128::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let payload = format!(r#"{{"kind":"step","index":{index},"text":"caf\u00e9 \"é\""}}"#);
    Record { salt: Salt::from_bytes(salt.to_be_bytes()), payload: payload.into_bytes() }
}

pub(crate) fn records(from: u64, to: u64) -> Vec<Record> {
    (from..to).map(record).collect()
}

/// The entries of [`full_ledger`] which refer to a blob.
pub(crate) const WITH_BLOB: [u64; 3] = [0, 300, 598];

/// A ledger of 600 entries, three with a blob, over three bundles and two tile levels.
pub(crate) fn full_ledger(dir: &Path) {
    let mut ledger = LedgerDir::open(dir, key()).unwrap();
    for from in [0, 200, 400] {
        let mut records = records(from, from + 200);
        for index in WITH_BLOB.iter().filter(|index| (from..from + 200).contains(*index)) {
            let bytes = format!("the output of step {index}\n");
            let blob = put_blob(dir, bytes.as_bytes()).unwrap();
            let length = bytes.len();
            records[usize::try_from(index - from).unwrap()].payload =
                format!(r#"{{"output":{{"blob":"{blob}","bytes":{length}}}}}"#).into_bytes();
        }
        ledger.write(from, &records).unwrap();
        ledger.publish_checkpoint().unwrap();
    }
}

/// A plain ledger of `size` entries without blobs.
pub(crate) fn ledger(dir: &Path, size: u64) {
    let mut ledger = LedgerDir::open(dir, key()).unwrap();
    ledger.write(0, &records(0, size)).unwrap();
    ledger.publish_checkpoint().unwrap();
}

pub(crate) fn trust_key() -> Trust {
    Trust { key: Some(key().verifier().clone()), checkpoint: None }
}

#[track_caller]
pub(crate) fn assert_sound(dir: &Path, entries: u64) -> Hash {
    let report = verify(dir, &trust_key());
    assert_eq!(report.problems, []);
    assert_eq!(report.entries, entries);
    report.root
}

/// Asserts that there are problems, that all are in `file`, and one is about `entry`.
#[track_caller]
pub(crate) fn assert_names(report: &Report, file: &str, entry: Option<u64>, context: &str) {
    assert!(!report.ok(), "{context}: nothing was found");
    for problem in &report.problems {
        assert_eq!(problem.file, file, "{context}: {problem}");
    }
    let named = report.problems.iter().any(|problem| problem.entry == entry);
    assert!(named, "{context}: entry {entry:?} is not named: {:?}", report.problems);
}

/// All files below a folder, relative to it.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, files) } else { files.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(dir, &mut found);
    let relative = |path: PathBuf| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = found.into_iter().map(relative).collect();
    found.sort();
    found
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(file), target).unwrap();
    }
}

/// A small random source; the seed is printed, and so shown when the test fails.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        let seed = getrandom::u64().unwrap() | 1;
        println!("seed {seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}
