//! Opening: one process at a time, versions, modes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use bailiwick_model::event::Stage;
use bailiwick_model::task::MicroUsd;
use bailiwick_store::{Query, Store, StoreError};
use bailiwick_warden::{BudgetBook as _, Journal as _};

use crate::world::*;

const DIR: &str = "BAILIWICK_STORE_TEST_DIR";

#[test]
fn child_that_opens_a_store() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    match Store::open(config(&PathBuf::from(dir))) {
        Ok(store) => println!("OPENED {}", store.head().size),
        Err(error) => println!("REFUSED {} {error}; {}", error.code(), error.hint().unwrap()),
    }
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_store() {
    let world = World::new();
    let store = world.open();
    store.append(vec![note("one")]).await.unwrap();
    let run = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["opening::child_that_opens_a_store", "--exact", "--nocapture"]);
        let output = child.env(DIR, world.data()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = run();
    let pid = std::process::id();
    assert!(refused.contains("REFUSED store.in_use"), "{refused}");
    assert!(refused.contains(&format!("stop process {pid}, or use another")), "{refused}");
    assert!(matches!(world.try_open(), Err(StoreError::InUse { pid: Some(by), .. }) if by == pid));
    assert_eq!(bailiwick_store::holder_of(&world.data()), Some(pid));
    drop(store);
    assert_eq!(bailiwick_store::holder_of(&world.data()), None);
    // The control: once it is free the same call opens it.
    let opened = run();
    assert!(opened.contains("OPENED 1"), "{opened}");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_as_it_is() {
    let world = World::new();
    world.open().append(vec![note("one")]).await.unwrap();
    let database = || rusqlite::Connection::open(world.database()).unwrap();
    let version: i64 =
        database().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    world.sql("PRAGMA user_version = 1000");
    let before = std::fs::read(world.database()).unwrap();
    let error = world.try_open().unwrap_err();
    assert_eq!(error.code(), "store.newer");
    assert!(error.to_string().contains("has version 1000"), "{error}");
    assert_eq!(std::fs::read(world.database()).unwrap(), before);
    world.sql(&format!("PRAGMA user_version = {version}"));
    assert_eq!(world.open().head().size, 1);
}

/// Makes what a new file in `fixtures/` is dumped from: run it with this variable set to a folder,
/// then `sqlite3 FOLDER/store.sqlite .dump`, and add `PRAGMA user_version` for the version.
#[tokio::test]
async fn make_the_store_of_a_fixture() {
    let Some(dir) = std::env::var_os("BAILIWICK_STORE_TEST_FIXTURE") else { return };
    let store = Store::open(config(&PathBuf::from(dir))).unwrap();
    let (task, [ended, cut_off, refused]) = (task_id(), [(); 3].map(|()| action_id()));
    store
        .append(vec![note("one"), submitted(task, 1000), model_call(task, ended, 50)])
        .await
        .unwrap();
    store
        .append(vec![finished(task, ended, replied(25)), model_call(task, cut_off, 100)])
        .await
        .unwrap();
    store.append(vec![denied(task, refused), stage_started(task, Stage::Intake)]).await.unwrap();
}

/// Every file in `fixtures/` is a database that an earlier version of the program wrote, as SQL.
#[tokio::test]
async fn databases_of_every_earlier_version_open() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut count = 0;
    for fixture in std::fs::read_dir(fixtures).unwrap() {
        let path = fixture.unwrap().path();
        let world = World::new();
        std::fs::create_dir(world.data()).unwrap();
        world.sql(&std::fs::read_to_string(&path).unwrap());
        let store = world.open();
        assert_eq!(store.problems(), [], "{}", path.display());
        let entries = store.entries(Query::default()).await.unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.event.name()).collect();
        let expected = [
            "ledger_opened",
            "task_submitted",
            "decided",
            "finished",
            "decided",
            "decided",
            "stage_started",
        ];
        assert_eq!(names, expected, "{}", path.display());
        let task = store.open_tasks().await.unwrap()[0];
        // 1000 granted, 25 spent, 100 set aside for a call that never ended.
        assert_eq!(store.left(task), MicroUsd(875));
        assert_eq!(store.dangling(task).await.unwrap().len(), 1);
        store.append(vec![note("after")]).await.unwrap();
        world.verify_published(&store).await;
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn nobody_else_can_look_into_the_data_directory() {
    let world = World::new();
    let store = world.open();
    let mode = std::fs::metadata(store.dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_ledger_that_cannot_be_opened_is_an_error_with_its_cause() {
    let world = World::new();
    let mut config = world.config();
    config.open_ledger = Box::new(|_| Err("the key is gone".into()));
    let error = Store::open(config).unwrap_err();
    assert_eq!(error.code(), "store.ledger_unwritable");
    assert!(error.chain().ends_with("the key is gone"), "{}", error.chain());
    world.open();
}
