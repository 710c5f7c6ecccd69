//! Crashes: a child of this test is killed, by itself or from outside, and what it was told is
//! durable must be there.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bailiwick_model::event::{Entry, Event};
use bailiwick_model::payload::Payload;
use bailiwick_store::{Query, Store, fault};
use bailiwick_warden::Journal as _;
use tokio::task::JoinSet;

use crate::world::*;

const DIR: &str = "BAILIWICK_STORE_TEST_CRASH_DIR";
const PLAN: &str = "BAILIWICK_STORE_TEST_CRASH_PLAN";

/// Four appenders and somebody who publishes, until the end of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn child_that_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    fault::install(std::env::var(PLAN).unwrap().parse().unwrap());
    let store = Store::open(config(&PathBuf::from(dir))).unwrap();
    let mut work = JoinSet::new();
    for worker in 0..4_u8 {
        let store = store.clone();
        work.spawn(async move {
            for number in 0_u32.. {
                let mut content = vec![worker; 3000];
                content[..4].copy_from_slice(&number.to_be_bytes());
                let text = format!("{worker} {number}");
                let mut events = vec![note(&text)];
                if number % 3 == 0 {
                    events.push(tool_call(task_id(), action_id(), Payload::new(content)));
                }
                let first = store.append(events).await.unwrap();
                println!("ACK {first} {text}");
            }
        });
    }
    work.spawn(async move {
        loop {
            store.checkpoint().await.unwrap();
        }
    });
    work.join_all().await;
}

/// Runs the child until it dies; what it was told is durable, as index and text.
fn run(world: &World, plan: &str, kill_after: Option<usize>) -> Vec<(u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_that_is_killed", "--exact", "--nocapture"])
        .env(DIR, world.data())
        .env(PLAN, plan)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        let Some((_, told)) = line.split_once("ACK ") else { continue };
        // The last line may be torn; only a whole one was said.
        let Some((seq, text)) = told.split_once(' ') else { continue };
        if text.split_once(' ').is_some_and(|(_, number)| !number.is_empty()) {
            acknowledged.push((seq.parse().unwrap(), text.to_owned()));
        }
        if Some(acknowledged.len()) == kill_after {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    acknowledged
}

/// Every acknowledged event is there; per appender nothing is missing or out of order; at most one
/// append of each was in flight.
async fn check(world: &World, before: u64, acknowledged: &[(u64, String)]) -> u64 {
    let store = world.open();
    assert_eq!(store.problems(), []);
    let entries: Vec<Entry> = store.entries(Query::default()).await.unwrap();
    for (seq, text) in acknowledged {
        let entry = &entries[usize::try_from(*seq).unwrap()];
        let found = text_of(&entry.event);
        assert!(found == *text || found.starts_with(text.as_str()), "{found} instead of {text}");
    }
    let fresh = &entries[usize::try_from(before).unwrap()..];
    for worker in 0..4 {
        let prefix = format!("{worker} ");
        let notes: Vec<_> = fresh
            .iter()
            .filter(|entry| matches!(entry.event, Event::Fact(_)))
            .map(|entry| text_of(&entry.event))
            .filter(|text| text.starts_with(&prefix))
            .collect();
        let expected: Vec<_> = (0..notes.len()).map(|number| format!("{prefix}{number}")).collect();
        assert_eq!(notes, expected);
        let told = acknowledged.iter().filter(|(_, text)| text.starts_with(&prefix)).count();
        assert!(notes.len() == told || notes.len() == told + 1, "{} of {told}", notes.len());
    }
    for payload in fresh.iter().flat_map(|entry| entry.event.payloads()) {
        store.resolve(payload).await.unwrap();
    }
    world.verify_published(&store).await;
    store.head().size
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_at_any_chosen_point() {
    let world = World::new();
    let mut size = 0;
    for number in [1, 2, 3, 10, 57, 256, 300] {
        for kind in ["crash-before-append", "crash-after-append"] {
            let plan = format!("{kind}={number}");
            let acknowledged = run(&world, &plan, None);
            size = check(&world, size, &acknowledged).await;
            assert!(acknowledged.len() < number, "{plan}: {acknowledged:?}");
        }
    }
    for point in ["store.blobs_stored@5", "store.records_written@4", "store.published@3"] {
        let acknowledged = run(&world, &format!("crash-at={point}"), None);
        size = check(&world, size, &acknowledged).await;
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_at_any_moment() {
    let world = World::new();
    let mut size = 0;
    // When exactly the signal arrives after so many answers is up to the machine.
    for after in (0..20).map(|round| 1 + round * round) {
        let acknowledged = run(&world, "", Some(after));
        assert!(acknowledged.len() >= after);
        size = check(&world, size, &acknowledged).await;
    }
}

#[tokio::test]
async fn a_decision_before_which_it_crashed_is_not_there_and_after_which_it_is() {
    for (kind, expected) in [("crash-before-append", 0), ("crash-after-append", 1)] {
        let world = World::new();
        let acknowledged = run(&world, &format!("{kind}=1"), None);
        assert_eq!(acknowledged, []);
        let texts = world.open().entries(Query::default()).await.unwrap();
        assert_eq!(
            texts.iter().filter(|entry| matches!(entry.event, Event::Fact(_))).count(),
            expected
        );
    }
}
