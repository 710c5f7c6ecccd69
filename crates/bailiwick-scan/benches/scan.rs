//! How fast the secrets engine is, in bytes a second on one core: by the clock, and, for a machine
//! that does other things beside, by processor time.

use bailiwick_scan::find_secrets;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

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

/// User and system time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    // the 14th and 15th field, in ticks of 10 ms
    let fields = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn by_processor_time(name: &str, text: &[u8]) {
    const TIMES: usize = 16;
    let before = processor_time();
    for _ in 0..TIMES {
        black_box(find_secrets(black_box(text)));
    }
    let took = processor_time().saturating_sub(before).as_secs_f64().max(0.01);
    let megabytes = (text.len() * TIMES) as f64 / 1e6;
    println!("secrets/{name}: {:.0} MB for each second of processor time", megabytes / took);
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
    // `cargo test --benches` only wants to see that it runs
    if !std::env::args().any(|argument| argument == "--test") {
        by_processor_time("source", &text);
        by_processor_time("prose", &prose);
    }
}

criterion_group!(benches, secrets);
criterion_main!(benches);
