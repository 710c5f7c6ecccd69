//! Appending: order, group commit, what is committed to.

use std::sync::Arc;

use bailiwick_ledger::{Hash, Record, Salt, Tree};
use bailiwick_model::event::Entry;
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_store::{Query, StoreError};
use bailiwick_warden::Journal as _;
use tokio::task::JoinSet;

use crate::world::*;

/// The rows as they lie in the database.
fn rows(world: &World) -> Vec<(Record, Hash)> {
    let connection = rusqlite::Connection::open(world.database()).unwrap();
    let sql = "SELECT salt, payload, hash FROM event JOIN leaf USING (seq) ORDER BY seq";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let payload: String = row.get(1)?;
        let salt = Salt::from_bytes(row.get(0)?);
        Ok((Record { salt, payload: payload.into_bytes() }, Hash::from_bytes(row.get(2)?)))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_concurrent_appends_become_one_log() {
    let world = World::new();
    let store = world.open();
    let mut appends = JoinSet::new();
    for number in 0..1000_u64 {
        let store = store.clone();
        appends.spawn(async move {
            let texts = [format!("{number} a"), format!("{number} b")];
            let first = store.append(texts.iter().map(|text| note(text)).collect()).await.unwrap();
            (number, first)
        });
    }
    let places = appends.join_all().await;
    let entries = store.entries(Query::default()).await.unwrap();
    assert_eq!(entries.len(), 2000);
    // What was acknowledged for an index stands there, the events of one append side by side.
    for (number, first) in places {
        let first = usize::try_from(first).unwrap();
        assert_eq!(text_of(&entries[first].event), format!("{number} a"));
        assert_eq!(text_of(&entries[first + 1].event), format!("{number} b"));
    }
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.seq == at as u64));
    assert!(entries.is_sorted_by_key(|entry| entry.at));
    let rows = rows(&world);
    let naive = Tree::from_leaf_hashes(rows.iter().map(|(record, _)| record.leaf().hash()));
    assert_eq!(naive.head(), store.head());
    assert!(rows.iter().all(|(record, leaf)| record.leaf().hash() == *leaf));
    let salts: std::collections::BTreeSet<_> =
        rows.iter().map(|(record, _)| *record.salt.as_bytes()).collect();
    assert_eq!(salts.len(), 2000);
    world.verify_published(&store).await;
}

#[tokio::test]
async fn what_is_committed_to_is_the_entry_as_json() {
    let world = World::new();
    let store = world.open();
    let (task, action) = (task_id(), action_id());
    let events =
        vec![submitted(task, 10), model_call(task, action, 3), finished(task, action, replied(2))];
    store.append(events.clone()).await.unwrap();
    for ((seq, event), (record, _)) in (0..).zip(events).zip(rows(&world)) {
        let entry = store.entry(seq).await.unwrap().unwrap();
        assert_eq!(entry.event, event);
        assert_eq!(entry.seq, seq);
        assert_eq!(serde_json::to_vec::<Entry>(&entry).unwrap(), record.payload);
    }
}

#[tokio::test]
async fn the_log_goes_on_after_it_is_opened_again() {
    let world = World::new();
    let mut heads = Vec::new();
    for round in 0..4 {
        let store = world.open();
        assert_eq!(heads.last().copied().unwrap_or_else(|| store.head()), store.head());
        store.append(vec![note(&format!("{round}")), note("more")]).await.unwrap();
        heads.push(store.head());
    }
    let store = world.open();
    assert_eq!(store.head().size, 8);
    assert_eq!(store.problems(), []);
    world.verify_published(&store).await;
}

#[tokio::test]
async fn long_content_is_a_blob_and_comes_back() {
    let world = World::new();
    let store = world.open();
    let bytes = vec![b'x'; 100_000];
    let payload = Payload::new(bytes.clone());
    let event = tool_call(task_id(), action_id(), payload.clone());
    store.append(vec![event.clone()]).await.unwrap();
    // Storing it again, and naming it only, are both fine.
    store.append(vec![event]).await.unwrap();
    let read = store.entry(0).await.unwrap().unwrap().event;
    assert_eq!(read.payloads()[0].bytes(), None);
    assert_eq!(store.resolve(read.payloads()[0]).await.unwrap().bytes(), Some(bytes.as_slice()));
    assert_eq!(store.blob(payload.digest()).await.unwrap(), bytes);
    store.append(vec![read]).await.unwrap();
    world.verify_published(&store).await;
}

#[tokio::test]
async fn an_event_that_names_a_blob_nobody_stored_is_refused() {
    let world = World::new();
    let store = world.open();
    let payload = Payload::new(vec![0xff; 10]);
    let json = serde_json::to_string(&payload).unwrap();
    let named: Payload = serde_json::from_str(&json).unwrap();
    let event = tool_call(task_id(), action_id(), named);
    let error = store.append_events(vec![note("first"), event.clone()]).await.unwrap_err();
    assert!(matches!(error, StoreError::BlobMissing { digest } if digest == payload.digest()));
    assert_eq!(store.head().size, 0);
    // The control: once it is there, the same event is taken.
    store.append(vec![tool_call(task_id(), action_id(), payload)]).await.unwrap();
    store.append(vec![event]).await.unwrap();
    world.verify_published(&store).await;
}

#[tokio::test]
async fn what_the_ledger_does_not_keep_is_refused() {
    let world = World::new();
    let store = world.open();
    assert!(matches!(store.append_events(Vec::new()).await, Err(StoreError::Empty)));
    let error = store.append_events(vec![note(&"x".repeat(16 << 20))]).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLong { .. }), "{error}");
    store.append_events(vec![note(&"x".repeat((16 << 20) - 400))]).await.unwrap();
    world.verify_published(&store).await;
}

#[tokio::test]
async fn a_missing_and_a_damaged_blob_are_told_apart() {
    let world = World::new();
    let store = world.open();
    let payload = Payload::new(vec![0xff; 5000]);
    store.append(vec![tool_call(task_id(), action_id(), payload.clone())]).await.unwrap();
    let missing = Digest::of(b"never stored");
    assert!(
        matches!(store.blob(missing).await, Err(StoreError::BlobMissing { digest }) if digest == missing)
    );
    let name = payload.digest().to_string();
    std::fs::write(world.ledger().join("blobs").join(name.get(..2).unwrap()).join(&name), b"other")
        .unwrap();
    assert!(matches!(store.resolve(&payload).await.map(|p| p.len()), Ok(5000)));
    assert!(matches!(store.blob(payload.digest()).await, Err(StoreError::BlobDamaged { .. })));
}

#[tokio::test]
async fn every_checkpoint_is_a_ledger_that_verifies() {
    let world = World::new();
    let store = Arc::new(world.open());
    for size in [1, 2, 253, 1, 1, 300] {
        let events = (0..size).map(|at| note(&format!("{at}"))).collect();
        store.append(events).await.unwrap();
        world.verify_published(&store).await;
    }
}
