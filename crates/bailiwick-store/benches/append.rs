//! How long a durable append takes alone, and how many there are in a second with 64 appenders;
//! beside it plain `SQLite` with the same durability, one row and one commit at a time, no ledger.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its figures, and has none when it cannot prepare its data"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use bailiwick_ledger::{LedgerDir, LogKey};
use bailiwick_model::action::{Action, FileRead, ReadMode};
use bailiwick_model::event::{Decided, Event};
use bailiwick_model::id::{ActionId, BranchName, Person, RepoName, TaskId};
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_model::verdict::Verdict;
use bailiwick_store::{Store, StoreConfig};
use bailiwick_warden::Journal as _;
use criterion::{Criterion, Throughput};
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

fn open(dir: &Path) -> Store {
    let key = || LogKey::from_seed("bench".parse().unwrap(), &[7; 32]);
    Store::open(StoreConfig {
        dir: dir.join("data"),
        ledger_dir: dir.join("data/ledger"),
        open_ledger: Box::new(move |dir| Ok(LedgerDir::open(dir, key())?)),
    })
    .unwrap()
}

/// A decision about a file read, which is what most entries of a run are like.
fn decision() -> Event {
    Event::Decided(Box::new(Decided {
        id: ActionId::new(Uuid::now_v7()),
        subject: Subject {
            role: Role::Implementor,
            on_behalf_of: Person::parse("ada").unwrap(),
            task: Some(TaskId::new(Uuid::now_v7())),
            subtask: None,
            session: None,
        },
        context: Context {
            repo: RepoName::parse("calc").unwrap(),
            protected_branch: BranchName::parse("main").unwrap(),
            taint: Default::default(),
            scope: vec!["src/**".to_owned()],
            budget_left: MicroUsd(5),
            denials: 0,
            single_user: true,
            approvals: Default::default(),
            facts: bailiwick_model::subject::SessionFacts::default(),
        },
        action: Action::FileRead(FileRead {
            path: WorkPath::parse("src/lib.rs").unwrap(),
            mode: ReadMode::Lines { first: 1, count: 200 },
        }),
        decision: Verdict::Permit { rules: vec!["workspace.read".to_owned()] },
        policy: Digest::of(b"policy"),
    }))
}

fn plain_sqlite(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join("plain.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection.execute_batch("CREATE TABLE event (seq INTEGER PRIMARY KEY, payload TEXT)").unwrap();
    connection
}

fn insert(connection: &Connection, payload: &str) {
    let sql = "INSERT INTO event (payload) VALUES (?1)";
    connection.prepare_cached(sql).unwrap().execute([payload]).unwrap();
}

fn concurrently(runtime: &Runtime, store: &Store, appenders: u64, each: u64) -> Duration {
    runtime.block_on(async {
        let start = Instant::now();
        let mut work = JoinSet::new();
        for _ in 0..appenders {
            let store = store.clone();
            work.spawn(async move {
                for _ in 0..each {
                    store.append(vec![decision()]).await.unwrap();
                }
            });
        }
        work.join_all().await;
        start.elapsed()
    })
}

/// Prints the figures that the goals are about: percentiles, which criterion does not give.
fn percentiles(name: &str, mut run: impl FnMut()) {
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    let (p50, p95, p99) = (times[499], times[949], times[989]);
    println!("{name}: p50 {p50:?}, p95 {p95:?}, p99 {p99:?} (n = 1000)");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let connection = plain_sqlite(dir.path());
    let payload = serde_json::to_string(&decision()).unwrap();

    percentiles("append alone", || {
        runtime.block_on(store.append(vec![decision()])).unwrap();
    });
    percentiles("plain SQLite insert and commit", || insert(&connection, &payload));
    let blob = |byte: u128| {
        let content = byte.to_be_bytes().repeat(256);
        let session = Payload::new(content);
        Event::fact(bailiwick_model::event::Fact::PolicyLoaded {
            digest: session.digest(),
            source: session,
        })
    };
    let mut number = 0;
    percentiles("append alone with a new blob of 4 KiB", || {
        number += 1;
        runtime.block_on(store.append(vec![blob(number)])).unwrap();
    });
    let took = concurrently(&runtime, &store, 64, 500);
    println!("64 appenders: {:.0} events/s (n = 32000)", 32_000.0 / took.as_secs_f64());
    let start = Instant::now();
    (0..2000).for_each(|_| insert(&connection, &payload));
    println!("plain SQLite: {:.0} events/s (n = 2000)", 2000.0 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let checkpoint = runtime.block_on(store.checkpoint()).unwrap();
    println!("checkpoint over {} new entries: {:?}", checkpoint.head().size, start.elapsed());
    runtime.block_on(store.append(vec![decision()])).unwrap();
    let start = Instant::now();
    runtime.block_on(store.checkpoint()).unwrap();
    println!("checkpoint over 1 new entry: {:?}", start.elapsed());
    let size = store.head().size;
    drop(store);
    let start = Instant::now();
    let store = open(dir.path());
    println!("opening with {size} entries: {:?}", start.elapsed());

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("alone", |bencher| {
        bencher.iter(|| runtime.block_on(store.append(vec![decision()])).unwrap());
    });
    group.bench_function("alone/plain SQLite", |bencher| {
        bencher.iter(|| insert(&connection, &payload));
    });
    group.bench_function("64 appenders", |bencher| {
        bencher.iter_custom(|events| concurrently(&runtime, &store, 64, events.div_ceil(64)));
    });
    group.finish();
    criterion.final_summary();
}
