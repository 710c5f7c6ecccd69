//! How fast the secrets engine is, in bytes a second on one core.

use bailiwick_scan::find_secrets;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Source text as it is: this crate's own, over and over.
fn source(bytes: usize) -> Vec<u8> {
    let own = [
        include_str!("../src/secret.rs"),
        include_str!("../src/hidden.rs"),
        include_str!("../src/instruction.rs"),
        include_str!("../src/position.rs"),
        include_str!("../tests/robustness.rs"),
    ]
    .concat();
    own.bytes().cycle().take(bytes).collect()
}

fn secrets(criterion: &mut Criterion) {
    let text = source(8 << 20);
    let mut group = criterion.benchmark_group("secrets");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    group.bench_function("source", |bencher| bencher.iter(|| find_secrets(&text)));
    // prose has few of the words that wake a rule
    let prose: Vec<u8> = b"the quick brown fox jumps over the lazy dog, again and again.\n"
        .iter()
        .copied()
        .cycle()
        .take(8 << 20)
        .collect();
    group.bench_function("prose", |bencher| bencher.iter(|| find_secrets(&prose)));
    group.finish();
}

criterion_group!(benches, secrets);
criterion_main!(benches);
