//! Whatever is appended by whom and when, and however often it is published or opened anew: the
//! ledger verifies and is what was acknowledged.

use std::collections::BTreeMap;

use bailiwick_model::payload::Payload;
use bailiwick_store::Query;
use bailiwick_warden::Journal as _;
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::world::*;

#[derive(Debug, Clone)]
enum Step {
    /// So many appenders at the same time, each with so many events.
    Append(Vec<u8>),
    Blobs(Vec<u8>),
    Publish,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = || prop::collection::vec(1..40_u8, 1..12);
    let step = prop_oneof![
        6 => sizes().prop_map(Step::Append),
        2 => prop::collection::vec(any::<u8>(), 1..4).prop_map(Step::Blobs),
        1 => Just(Step::Publish),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..12)
}

async fn run(steps: Vec<Step>) {
    let world = World::new();
    let mut store = world.open();
    let mut expected = BTreeMap::new();
    let mut number = 0_u32;
    for step in steps {
        let mut appends = JoinSet::new();
        match step {
            Step::Append(sizes) => {
                for size in sizes {
                    let texts: Vec<_> = (0..size).map(|at| format!("{number} {at}")).collect();
                    number += 1;
                    let store = store.clone();
                    appends.spawn(async move {
                        let events = texts.iter().map(|text| note(text)).collect::<Vec<_>>();
                        (store.append(events.clone()).await.unwrap(), events)
                    });
                }
            }
            Step::Blobs(contents) => {
                for content in contents {
                    let store = store.clone();
                    appends.spawn(async move {
                        let payload = Payload::new(vec![content; 2049]);
                        let event = tool_call(task_id(), action_id(), payload);
                        let first = store.append(vec![event.clone()]).await.unwrap();
                        let stored = serde_json::to_vec(&event).unwrap();
                        (first, vec![serde_json::from_slice(&stored).unwrap()])
                    });
                }
            }
            Step::Publish => world.verify_published(&store).await,
            Step::Reopen => {
                drop(store);
                store = world.open();
            }
        }
        for (first, events) in appends.join_all().await {
            for (seq, event) in (first..).zip(events) {
                assert!(expected.insert(seq, event).is_none(), "two events at {seq}");
            }
        }
    }
    let found = store.entries(Query::default()).await.unwrap();
    let found: BTreeMap<_, _> = found.into_iter().map(|entry| (entry.seq, entry.event)).collect();
    assert_eq!(found, expected);
    assert_eq!(store.head().size, expected.len() as u64);
    world.verify_published(&store).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_gives_a_ledger_that_verifies(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
        runtime.block_on(run(steps));
    }
}
