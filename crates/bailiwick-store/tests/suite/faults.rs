//! Faults on demand: they hit what they name and nothing else.

use bailiwick_model::payload::Payload;
use bailiwick_store::{Query, Store};
use bailiwick_warden::Journal as _;
use tokio::task::JoinSet;

use crate::world::*;

fn open(world: &World, plan: &str) -> Store {
    Store::open_with_faults(world.config(), plan.parse().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failed_append_takes_nothing_with_it() {
    let world = World::new();
    let store = open(&world, "fail-append=7,fail-append=100,fail-append=333");
    let mut appends = JoinSet::new();
    for number in 0..400 {
        let store = store.clone();
        appends.spawn(async move {
            (number, store.append_events(vec![note(&number.to_string())]).await)
        });
    }
    let (done, refused): (Vec<_>, Vec<_>) =
        appends.join_all().await.into_iter().partition(|(_, result)| result.is_ok());
    assert_eq!(refused.len(), 3);
    for (_, result) in &refused {
        assert_eq!(result.as_ref().unwrap_err().code(), "store.injected");
    }
    let entries = store.entries(Query::default()).await.unwrap();
    assert_eq!(entries.len(), 397);
    for (number, seq) in done {
        let seq = usize::try_from(seq.unwrap()).unwrap();
        assert_eq!(text_of(&entries[seq].event), number.to_string());
    }
    store.append(vec![note("after")]).await.unwrap();
    world.verify_published(&store).await;
}

#[tokio::test]
async fn an_append_of_several_events_fails_as_a_whole() {
    let world = World::new();
    let store = open(&world, "fail-append=3");
    store.append(vec![note("1")]).await.unwrap();
    let error = store.append(vec![note("2"), note("3"), note("4")]).await.unwrap_err();
    assert_eq!(error.message, "append 3 was made to fail");
    assert_eq!(store.append(vec![note("5")]).await.unwrap(), 1);
    let found = store.entries(Query::default()).await.unwrap();
    assert_eq!(found.iter().map(|entry| text_of(&entry.event)).collect::<Vec<_>>(), ["1", "5"]);
}

#[tokio::test]
async fn a_simulated_disk_fills_with_events_and_blobs() {
    let world = World::new();
    let store = open(&world, "disk-full-after=20000");
    let blob = |byte, length| tool_call(task_id(), action_id(), Payload::new(vec![byte; length]));
    store.append(vec![blob(1, 10_000)]).await.unwrap();
    let error = store.append_events(vec![blob(2, 10_000)]).await.unwrap_err();
    assert_eq!(error.code(), "store.disk_full");
    store.append(vec![note("small")]).await.unwrap();
    let error = store.append_events(vec![note(&"x".repeat(10_000))]).await.unwrap_err();
    assert_eq!(error.code(), "store.disk_full");
    assert_eq!(store.head().size, 2);
    world.verify_published(&store).await;
    drop(store);
    world.open().append(vec![blob(2, 10_000)]).await.unwrap();
}
