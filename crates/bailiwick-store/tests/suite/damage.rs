//! What the store makes of damaged rows, lost files and histories that do not fit together.

use std::path::Path;

use bailiwick_ledger::{Record, Salt};
use bailiwick_model::emergency::DamageAccepted;
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::id::{GroupName, Person, TaskId};
use bailiwick_model::identity::IdentityChange;
use bailiwick_model::payload::Payload;
use bailiwick_store::{Query, Store, StoreError};
use bailiwick_warden::{Journal as _, Safeguards as _};
use rusqlite::params;
use uuid::Uuid;

use crate::world::*;

/// A store with `published` entries under a checkpoint and `more` after it, closed again.
async fn filled(published: u32, more: u32) -> (World, Vec<Entry>) {
    let world = World::new();
    let store = world.open();
    if published > 0 {
        store.append((0..published).map(|at| note(&at.to_string())).collect()).await.unwrap();
    }
    store.checkpoint().await.unwrap();
    if more > 0 {
        store.append((0..more).map(|at| note(&format!("more {at}"))).collect()).await.unwrap();
    }
    let entries = all(&store).await;
    (world, entries)
}

async fn all(store: &Store) -> Vec<Entry> {
    store.entries(Query::default()).await.unwrap()
}

/// Opening takes everything back, nothing is missing, and it goes on from there.
async fn check_healed(damage: &str) {
    let (world, before) = filled(10, 0).await;
    world.sql(damage);
    let store = world.open();
    assert_eq!(all(&store).await, before, "{damage}");
    assert_eq!(store.problems(), [], "{damage}");
    store.append(vec![note("after")]).await.unwrap();
    world.verify_published(&store).await;
    drop(store);
    // The database was mended for good, not only in memory.
    assert_eq!(all(&world.open()).await.len(), 11, "{damage}");
}

#[tokio::test]
async fn what_was_published_is_taken_back_from_the_ledgers_files() {
    for damage in [
        "UPDATE event SET payload = 'x' WHERE seq = 3",
        "UPDATE event SET payload = replace(payload, 'ledger_opened', 'ledger_opened ') WHERE seq = 3",
        "UPDATE event SET salt = x'00' WHERE seq = 3",
        "UPDATE leaf SET hash = x'00' WHERE seq = 3",
        "UPDATE leaf SET hash = zeroblob(32) WHERE seq = 3",
        "DELETE FROM event WHERE seq = 3",
        "DELETE FROM leaf WHERE seq = 3",
        "DELETE FROM leaf WHERE seq = 9; DELETE FROM event WHERE seq = 9",
        "DELETE FROM leaf; DELETE FROM event",
    ] {
        check_healed(damage).await;
    }
}

/// A log of four entries that no checkpoint covers: a group, something else, another group, a group
/// less.
async fn people_unpublished() -> World {
    let world = World::new();
    let store = world.open();
    let by = Person::parse("ada").unwrap();
    let group = |name: &str| GroupName::parse(name).unwrap();
    let change = |change| Event::fact(Fact::IdentityChanged { by: by.clone(), change });
    let (release, press) = (group("release"), group("press"));
    store
        .append(vec![
            change(IdentityChange::GroupAdded { group: release.clone() }),
            note("between"),
            change(IdentityChange::GroupAdded { group: press }),
            change(IdentityChange::GroupRemoved { group: release }),
        ])
        .await
        .unwrap();
    world
}

fn groups(store: &Store) -> Vec<String> {
    store.people(|people| people.directory.groups.keys().map(ToString::to_string).collect())
}

/// What was said about accounts and can't be read any more may have been a revocation.
#[tokio::test]
async fn a_damaged_row_that_may_be_about_people_lets_nobody_in_until_an_operator_says_so() {
    for (damage, damaged) in [
        // Nothing is damaged: the control.
        ("SELECT 1", vec![]),
        (
            "UPDATE event SET payload = replace(payload, 'release', 'relaese') WHERE seq = 3",
            vec![3],
        ),
        ("UPDATE event SET payload = 'not JSON' WHERE seq = 3", vec![3]),
        // The first account of all: nothing was said of people before.
        ("UPDATE event SET payload = 'not JSON' WHERE seq = 0", vec![0]),
        // Its name is the part that is damaged, in the text or beside it.
        (
            "UPDATE event SET payload = replace(payload, 'identity_changed', 'stage_started') WHERE seq = 3",
            vec![3],
        ),
        (
            "UPDATE event SET payload = replace(payload, 'identity_changed', 'idemtity_changed') WHERE seq = 3",
            vec![3],
        ),
        (
            "UPDATE event SET name = 'stage_started', payload = replace(payload, 'release', 'relaese') WHERE seq = 3",
            vec![3],
        ),
        ("DELETE FROM event WHERE seq = 3", vec![3]),
        ("UPDATE event SET salt = x'00' WHERE seq = 3", vec![3]),
        ("UPDATE leaf SET hash = zeroblob(32) WHERE seq = 3", vec![3]),
        ("DELETE FROM event WHERE seq > 0", vec![1, 2, 3]),
        // Known to be about something else, and what can't be known to be.
        ("UPDATE event SET payload = replace(payload, 'between', 'betwen') WHERE seq = 1", vec![]),
        ("UPDATE event SET payload = 'not JSON' WHERE seq = 1", vec![1]),
        (
            "UPDATE event SET name = 'x', payload = replace(payload, 'between', 'betwen') WHERE seq = 1",
            vec![1],
        ),
    ] {
        let world = people_unpublished().await;
        world.sql(&format!("{damage};"));
        let store = world.open();
        let found = |store: &Store| {
            store.people(|people| {
                (people.damaged, people.damage.iter().copied().collect::<Vec<u64>>())
            })
        };
        assert_eq!(found(&store), (!damaged.is_empty(), damaged.clone()), "{damage}");
        // Every action is refused meanwhile.
        let task = TaskId::new(Uuid::now_v7());
        let narrowing = store.narrowing(task);
        assert_eq!(narrowing.is_err(), !damaged.is_empty(), "{damage}");
        // It is noticed at each start, published or not, until somebody acts.
        store.checkpoint().await.unwrap();
        drop(store);
        let store = world.open();
        assert_eq!(found(&store), (!damaged.is_empty(), damaged.clone()), "{damage}");
        if damaged.is_empty() {
            continue;
        }
        let accepted = DamageAccepted {
            entries: damaged.clone(),
            by: Person::parse("ada").unwrap(),
            reason: "looked through the groups".to_owned(),
        };
        store.append(vec![Event::fact(Fact::DamageAccepted(accepted))]).await.unwrap();
        assert_eq!(found(&store), (false, vec![]), "{damage}");
        assert!(store.narrowing(task).is_ok(), "{damage}");
        world.verify_published(&store).await;
        drop(store);
        assert_eq!(found(&world.open()), (false, vec![]), "{damage}: forgotten by a restart");
    }
}

/// No leaf commits to the columns that the log is searched by.
#[tokio::test]
async fn a_column_that_is_not_what_its_row_says_is_mended_and_hides_no_revocation() {
    for damage in [
        "UPDATE event SET name = 'stage_started' WHERE seq = 3",
        "UPDATE event SET name = '' WHERE seq = 3",
        "UPDATE event SET session = 'x', verdict = 'permit', cost = 5 WHERE seq = 3",
    ] {
        let world = people_unpublished().await;
        assert_eq!(groups(&world.open()), ["press"]);
        world.sql(damage);
        let store = world.open();
        assert_eq!(groups(&store), ["press"], "{damage}");
        assert!(!store.people(|people| people.damaged), "{damage}");
        assert_eq!(store.problems(), [], "{damage}");
        drop(store);
        let left: i64 = rusqlite::Connection::open(world.database())
            .unwrap()
            .query_row(
                "SELECT count(*) FROM event WHERE seq = 3 AND name = 'identity_changed'
                 AND session IS NULL AND verdict IS NULL AND cost IS NULL",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(left, 1, "{damage}");
    }
}

#[tokio::test]
async fn a_lost_database_is_made_anew_from_the_ledger() {
    let (world, before) = filled(300, 0).await;
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        drop(std::fs::remove_file(world.data().join(name)));
    }
    let store = world.open();
    assert_eq!(all(&store).await, before);
    world.verify_published(&store).await;
}

#[tokio::test]
async fn a_row_damaged_before_it_was_published_is_quarantined_and_marked() {
    for damage in [
        "UPDATE event SET payload = replace(payload, 'more 2', 'more X') WHERE seq = 12",
        "UPDATE event SET payload = 'not JSON' WHERE seq = 12",
        "UPDATE leaf SET hash = zeroblob(32) WHERE seq = 12",
        "DELETE FROM event WHERE seq = 12",
    ] {
        // Closing publishes nothing, so these five are in the database alone.
        let (world, before) = filled(10, 5).await;
        world.sql(damage);
        let store = world.open();
        let found = all(&store).await;
        let expected: Vec<_> = before.iter().filter(|entry| entry.seq != 12).cloned().collect();
        assert_eq!(found, expected, "{damage}");
        let problems: Vec<_> = store.problems().iter().map(|problem| problem.seq).collect();
        assert_eq!(problems, [12], "{damage}");
        store.append(vec![note("after")]).await.unwrap();
        world.verify_published(&store).await;
        drop(store);
        let kept: i64 = rusqlite::Connection::open(world.database())
            .unwrap()
            .query_row("SELECT payload IS NOT NULL FROM quarantine WHERE seq = 12", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(kept == 1, !damage.starts_with("DELETE"), "{damage}");
        assert_eq!(world.open().problems().len(), 1, "{damage}");
    }
}

#[tokio::test]
async fn an_event_that_this_program_does_not_know_is_quarantined_and_stays_in_the_ledger() {
    let (world, before) = filled(10, 2).await;
    let payload = r#"{"seq":12,"at":"2026-01-01T00:00:00Z","event":{"event":"from_the_future"}}"#;
    let record = Record { salt: Salt::from_bytes([1; 16]), payload: payload.into() };
    let connection = rusqlite::Connection::open(world.database()).unwrap();
    let sql = "INSERT INTO event (seq, salt, payload, at, name) VALUES (12, ?1, ?2, '', 'from_the_future')";
    connection.execute(sql, params![[1_u8; 16], payload]).unwrap();
    let leaf = *record.leaf().hash().as_bytes();
    connection.execute("INSERT INTO leaf (seq, hash) VALUES (12, ?1)", params![leaf]).unwrap();
    drop(connection);
    let store = world.open();
    assert_eq!(all(&store).await, before);
    let problems = store.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].reason.contains("from_the_future"), "{problems:?}");
    assert_eq!(store.append(vec![note("after")]).await.unwrap(), 13);
    // Whoever follows the log gets past it.
    let mut followed = store.subscribe(Query::default().after(11));
    assert_eq!(followed.next().await.unwrap().unwrap().seq, 13);
    world.verify_published(&store).await;
    let events = std::fs::read_to_string(world.ledger().join("events/000.jsonl")).unwrap();
    assert!(events.contains("from_the_future"));
}

#[tokio::test]
async fn a_row_that_is_damaged_while_the_store_is_open_is_left_out_and_reported() {
    let (world, before) = filled(10, 0).await;
    let store = world.open();
    world.sql("UPDATE event SET payload = 'x' WHERE seq = 3");
    let found = all(&store).await;
    assert_eq!(found.len(), before.len() - 1);
    assert_eq!(store.problems().iter().map(|problem| problem.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(store.entry(3).await.unwrap(), None);
}

#[tokio::test]
async fn a_row_that_is_damaged_in_both_places_does_not_stop_the_rest() {
    let (world, before) = filled(300, 1).await;
    world.sql("UPDATE event SET payload = 'x' WHERE seq = 3");
    let file = world.ledger().join("events/000.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(r#""origin":"3""#, r#""origin":"X""#)).unwrap();
    let store = world.open();
    assert_eq!(all(&store).await.len(), before.len() - 1);
    assert_eq!(store.problems().len(), 1);
    store.append(vec![note("after")]).await.unwrap();
    store.checkpoint().await.unwrap();
    let problems = world.verify().problems;
    assert!(!problems.is_empty());
    assert!(problems.iter().all(|problem| problem.entry == Some(3)), "{problems:?}");
}

#[tokio::test]
async fn a_database_of_another_history_is_refused() {
    let (one, _) = filled(10, 0).await;
    let (other, _) = filled(10, 0).await;
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        drop(std::fs::remove_file(one.data().join(name)));
        if other.data().join(name).exists() {
            std::fs::copy(other.data().join(name), one.data().join(name)).unwrap();
        }
    }
    let error = one.try_open().unwrap_err();
    assert!(matches!(error, StoreError::Diverged { size: 10, .. }), "{error}");
    assert!(error.hint().is_some());
    // The control: where it belongs it opens.
    assert_eq!(other.open().head().size, 10);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_torn_write_ahead_log_costs_nothing_that_was_published() {
    let world = World::new();
    let store = world.open();
    for at in 0..40 {
        let blob = Payload::new(vec![at; 3000]);
        store
            .append(vec![note(&at.to_string()), tool_call(task_id(), action_id(), blob)])
            .await
            .unwrap();
        if at == 19 {
            store.checkpoint().await.unwrap();
        }
    }
    let entries = all(&store).await;
    // As a power cut leaves it: the store is not closed, so the log was not folded into the file.
    let wal = std::fs::read(world.data().join("store.sqlite-wal")).unwrap();
    assert!(wal.len() > 100_000);
    let mut sizes = std::collections::BTreeSet::new();
    for step in 0..24 {
        let cut = World::new();
        copy(&world.data(), &cut.data());
        let mut torn = wal[..wal.len() * step / 23].to_vec();
        if step % 3 == 0 && !torn.is_empty() {
            // A page that was on its way when the power went.
            let last = torn.len().saturating_sub(2000);
            torn[last..].fill(0xa5);
        }
        std::fs::write(cut.database().with_extension("sqlite-wal"), torn).unwrap();
        let reopened = cut.open();
        let found = all(&reopened).await;
        assert!(found.len() >= 40, "{} entries after cut {step}", found.len());
        assert_eq!(found, entries[..found.len()], "cut {step}");
        assert_eq!(reopened.problems(), []);
        sizes.insert(found.len());
        reopened.append(vec![note("after")]).await.unwrap();
        cut.verify_published(&reopened).await;
    }
    // The cuts did cost something that was not published, or they tested nothing.
    assert!(sizes.len() > 5, "{sizes:?}");
}
