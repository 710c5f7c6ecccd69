//! How fast records are appended, proved, and a ledger of 10,000 entries is verified.

use std::hint::black_box;
use std::path::Path;

use bailiwick_ledger::{
    LedgerDir, LedgerError, LogKey, LogName, Record, Salt, Tree, Trust, prove_entry, verify,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

fn records() -> Vec<Record> {
    let text = "a".repeat(300);
    (0..ENTRIES)
        .map(|index| Record {
            salt: Salt::from_bytes(u128::from(index).to_be_bytes()),
            payload: format!(r#"{{"index":{index},"text":"{text}"}}"#).into_bytes(),
        })
        .collect()
}

fn write(dir: &Path, name: &LogName, records: &[Record]) -> Result<(), LedgerError> {
    let mut ledger = LedgerDir::open(dir, LogKey::from_seed(name.clone(), &[7; 32]))?;
    ledger.write(0, records)?;
    ledger.publish_checkpoint().map(|_| ())
}

#[expect(clippy::unwrap_used, reason = "a benchmark that cannot prepare its data has no result")]
fn ledger(criterion: &mut Criterion) {
    let records = records();
    let name: LogName = "example.com/bench".parse().unwrap();
    criterion.bench_function("push 10k leaves", |bencher| {
        bencher.iter(|| Tree::from_leaf_hashes(records.iter().map(|record| record.leaf().hash())));
    });
    criterion.bench_function("append and publish 10k entries", |bencher| {
        bencher.iter_batched(
            || tempfile::tempdir().unwrap(),
            |dir| {
                write(dir.path(), &name, &records).unwrap();
                dir
            },
            BatchSize::PerIteration,
        );
    });
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &name, &records).unwrap();
    criterion.bench_function("verify 10k entries", |bencher| {
        bencher.iter(|| black_box(verify(dir.path(), &Trust::default()).ok()));
    });
    criterion.bench_function("prove one of 10k entries", |bencher| {
        bencher.iter(|| prove_entry(dir.path(), black_box(7_777)).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = ledger
}
criterion_main!(benches);
