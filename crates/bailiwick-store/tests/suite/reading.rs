//! Queries, subscriptions and lists.

use bailiwick_model::event::{Event, Stage, TaskEnd};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::payload::Payload;
use bailiwick_store::Query;
use bailiwick_warden::Journal as _;
use tokio::task::JoinSet;

use crate::world::*;

#[tokio::test]
async fn a_query_gives_what_it_asks_for() {
    let world = World::new();
    let store = world.open();
    let (one, two) = (task_id(), task_id());
    let mut events = vec![note("0"), submitted(one, 1), submitted(two, 1)];
    for stage in Stage::ALL {
        events.extend([
            stage_started(one, stage),
            stage_started(two, stage),
            stage_ended(one, stage),
        ]);
    }
    store.append(events.clone()).await.unwrap();
    let check = async |query: Query, keep: &dyn Fn(u64, &Event) -> bool| {
        let found: Vec<u64> =
            store.entries(query.clone()).await.unwrap().iter().map(|entry| entry.seq).collect();
        let expected: Vec<u64> = (0..)
            .zip(&events)
            .filter(|(seq, event)| keep(*seq, event))
            .map(|(seq, _)| seq)
            .collect();
        assert_eq!(found, expected, "{query:?}");
    };
    check(Query::default(), &|_, _| true).await;
    check(Query::task(one), &|_, event| event.task() == Some(one)).await;
    check(Query::task(two).after(9), &|seq, event| event.task() == Some(two) && seq > 9).await;
    let names = ["stage_ended", "task_submitted"];
    check(Query::task(one).named(&names), &|_, event| {
        event.task() == Some(one) && names.contains(&event.name())
    })
    .await;
    check(Query { limit: Some(4), ..Query::default() }, &|seq, _| seq < 4).await;
    check(Query { session: Some(session_id()), ..Query::default() }, &|_, _| false).await;
    assert_eq!(store.entry(99).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_misses_nothing_however_late_it_reads() {
    let world = World::new();
    let store = world.open();
    store.append(vec![note("before")]).await.unwrap();
    let mut all = store.subscribe(Query::default());
    let new = Query { after_seq: store.head().size.checked_sub(1), ..Query::default() };
    let mut new = store.subscribe(new);
    let mut appends = JoinSet::new();
    for number in 0..3000 {
        let store = store.clone();
        appends.spawn(async move { store.append(vec![note(&number.to_string())]).await.unwrap() });
    }
    for seq in 0..1500 {
        assert_eq!(all.next().await.unwrap().unwrap().seq, seq);
    }
    appends.join_all().await;
    for seq in 1500..3001 {
        assert_eq!(all.next().await.unwrap().unwrap().seq, seq);
    }
    for seq in 1..3001 {
        assert_eq!(new.next().await.unwrap().unwrap().seq, seq);
    }
    drop(store);
    assert_eq!(all.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_subscription_to_a_task_passes_over_the_others() {
    let world = World::new();
    let store = world.open();
    let (one, two) = (task_id(), task_id());
    let mut followed = store.subscribe(Query::task(one));
    store.append(vec![submitted(two, 1), stage_started(two, Stage::Intake)]).await.unwrap();
    store.append(vec![submitted(one, 1)]).await.unwrap();
    assert_eq!(followed.next().await.unwrap().unwrap().seq, 2);
    store.append(vec![stage_started(two, Stage::Intake)]).await.unwrap();
    store.append(vec![stage_started(one, Stage::Intake)]).await.unwrap();
    drop(store);
    assert_eq!(followed.next().await.unwrap().unwrap().seq, 4);
    assert_eq!(followed.next().await.unwrap(), None);
}

#[tokio::test]
async fn tasks_are_listed_newest_first_in_pages() {
    let world = World::new();
    let store = world.open();
    let ids: Vec<_> = (0..5).map(|_| task_id()).collect();
    for id in &ids {
        store.append(vec![submitted(*id, 1), stage_started(*id, Stage::Execution)]).await.unwrap();
    }
    store
        .append(vec![ended(ids[1], TaskEnd::Merged), ended(ids[2], TaskEnd::Failed)])
        .await
        .unwrap();
    store.append(vec![retried(ids[2]), ended(ids[3], TaskEnd::Failed)]).await.unwrap();
    store.append(vec![retried(ids[3]), ended(ids[3], TaskEnd::Cancelled)]).await.unwrap();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.tasks(cursor, 2).await.unwrap();
        found.extend(page.tasks);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let ends: Vec<_> = found.iter().rev().map(|summary| (summary.task.id, summary.end)).collect();
    assert_eq!(
        ends,
        [
            (ids[0], None),
            (ids[1], Some(TaskEnd::Merged)),
            (ids[2], None),
            (ids[3], Some(TaskEnd::Cancelled)),
            (ids[4], None),
        ]
    );
    assert!(found.iter().all(|summary| summary.stage == Some(Stage::Execution)));
    assert_eq!(store.open_tasks().await.unwrap(), [ids[0], ids[2], ids[4]]);
    assert_eq!(store.find_tasks(&ids[3].short()).await.unwrap(), [ids[3]]);
    assert_eq!(store.find_tasks(&ids[3].to_string().to_uppercase()).await.unwrap(), [ids[3]]);
    assert_eq!(store.find_tasks("%").await.unwrap(), []);
    let state = store.task_state(ids[1]).await.unwrap().unwrap();
    assert_eq!(state.task.id, ids[1]);
    assert!(state.ending.is_some());
    assert_eq!(store.task_state(task_id()).await.unwrap(), None);
}

#[tokio::test]
async fn permitted_actions_without_an_end_are_found() {
    let world = World::new();
    let (task, other) = (task_id(), task_id());
    let ids: Vec<_> = (0..5).map(|_| action_id()).collect();
    let store = world.open();
    let call = |task, id| tool_call(task, id, Payload::from("{}"));
    store.append(vec![call(task, ids[0]), call(task, ids[1]), denied(task, ids[2])]).await.unwrap();
    store.append(vec![call(other, ids[3]), call(task, ids[4])]).await.unwrap();
    store.append(vec![finished(task, ids[1], Outcome::Done)]).await.unwrap();
    drop(store);
    let store = world.open();
    let dangling = async |task| {
        let found = store.dangling(task).await.unwrap();
        found.iter().map(|decided| decided.id).collect::<Vec<_>>()
    };
    assert_eq!(dangling(task).await, [ids[0], ids[4]]);
    assert_eq!(dangling(other).await, [ids[3]]);
}
