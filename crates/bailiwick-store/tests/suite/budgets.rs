//! What tasks may still spend, before and after a restart.

use bailiwick_model::task::MicroUsd;
use bailiwick_store::Store;
use bailiwick_warden::{BudgetBook as _, Journal as _};

use crate::world::*;

#[tokio::test]
async fn reservations_and_costs_are_taken_off_once() {
    let world = World::new();
    let store = world.open();
    let (task, action) = (task_id(), action_id());
    assert_eq!(store.left(task), MicroUsd(0));
    assert!(store.reserve(task, MicroUsd(1)).is_err());
    store.append(vec![submitted(task, 100)]).await.unwrap();
    assert_eq!(store.left(task), MicroUsd(100));
    let reservation = store.reserve(task, MicroUsd(60)).unwrap();
    assert_eq!(store.left(task), MicroUsd(40));
    let refused = store.reserve(task, MicroUsd(41)).unwrap_err();
    assert_eq!((refused.asked, refused.left), (MicroUsd(41), MicroUsd(40)));
    store.append(vec![model_call(task, action, 60)]).await.unwrap();
    store.settle(reservation, MicroUsd(25));
    store.append(vec![finished(task, action, replied(25))]).await.unwrap();
    assert_eq!((store.left(task), store.spent(task)), (MicroUsd(75), MicroUsd(25)));
    drop(store);
    let store = world.open();
    assert_eq!((store.left(task), store.spent(task)), (MicroUsd(75), MicroUsd(25)));
}

#[tokio::test]
async fn what_a_crash_cut_off_counts_in_full_until_it_is_known() {
    let world = World::new();
    let task = task_id();
    let [known, unknown, cut_off, refused] = [(); 4].map(|()| action_id());
    let store = world.open();
    store.append(vec![submitted(task, 1000)]).await.unwrap();
    for action in [known, unknown, cut_off, refused] {
        store.append(vec![model_call(task, action, 100)]).await.unwrap();
    }
    store.append(vec![finished(task, cut_off, failed(true))]).await.unwrap();
    store.append(vec![finished(task, refused, failed(false))]).await.unwrap();
    drop(store);
    let left = |store: &Store| store.left(task).0;
    let store = world.open();
    assert_eq!(left(&store), 700);
    store.append(vec![finished(task, known, replied(7))]).await.unwrap();
    assert_eq!(left(&store), 793);
    // Said twice, it counts once.
    store.append(vec![finished(task, known, replied(7))]).await.unwrap();
    assert_eq!(left(&store), 793);
    store.append(vec![finished(task, unknown, failed(true))]).await.unwrap();
    assert_eq!(left(&store), 793);
    drop(store);
    assert_eq!(left(&world.open()), 793);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_is_ever_reserved_than_there_is() {
    let world = World::new();
    let store = world.open();
    let task = task_id();
    store.append(vec![submitted(task, 1000)]).await.unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            std::thread::spawn(move || {
                (0..100).filter_map(|_| store.reserve(task, MicroUsd(7)).ok()).count()
            })
        })
        .collect();
    let granted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(granted, 1000 / 7);
    assert_eq!(store.left(task), MicroUsd(1000 % 7));
}
