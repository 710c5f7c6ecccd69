//! Real full and read-only disks: a small file system of its own, in a mount namespace.

use std::path::PathBuf;
use std::process::Command;

use bailiwick_model::payload::Payload;
use bailiwick_store::{Query, Store};
use bailiwick_warden::Journal as _;

use crate::world::*;

const DIR: &str = "BAILIWICK_STORE_TEST_MOUNT";

/// Runs a shell script with `$DIR`, an empty folder that it may mount on, and `child NAME`, which
/// runs a test of this file; its output, or nothing when this machine gives no mount namespaces.
fn in_namespace(script: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        r#"set -e; child() {{ "$EXE" "disk::$1" --exact --nocapture; }}; {script}; echo SCRIPT ENDED"#
    );
    let user: &[&str] = if is_root() { &[] } else { &["--map-root-user"] };
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(user).args(["--mount", "--propagation", "private", "--"]);
        unshare
    };
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: no mount namespace on this machine");
        return None;
    }
    let mut command = unshare();
    command.args(["sh", "-c", &script]).env(DIR, dir.path()).env("DIR", dir.path());
    let output = command.env("EXE", std::env::current_exe().unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("SCRIPT ENDED"), "{text}\n{errors}");
    Some(text)
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// The data directory in the mounted folder, when this is the child of such a script.
fn data() -> Option<PathBuf> {
    std::env::var_os(DIR).map(|dir| PathBuf::from(dir).join("data"))
}

/// Appends until it fails or enough is there.
#[tokio::test]
async fn child_that_fills_the_disk() {
    let Some(data) = data() else { return };
    let ballast = data.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let store = Store::open(config(&data)).unwrap();
    let mut acknowledged = Vec::new();
    let mut failure = None;
    for number in 0..400_u32 {
        let mut bytes = vec![0xff; 16_000];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        // Both ways of using the disk: a blob, and a long event in the database.
        let blob = tool_call(task_id(), action_id(), Payload::new(bytes));
        match store.append_events(vec![blob, note(&"x".repeat(4000))]).await {
            Ok(first) => acknowledged.push(first),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let entries = store.entries(Query::default()).await.unwrap();
    assert_eq!(entries.len(), acknowledged.len() * 2);
    assert_eq!(store.head().size, entries.len() as u64);
    if let Some(error) = failure {
        assert_eq!(error.code(), "store.disk_full", "{}", error.chain());
        assert!(error.hint().unwrap().contains("make room"));
        // The ledger's files do not fit either; that too is only said, and nothing is lost.
        let rest = data.with_file_name("rest");
        drop(std::fs::write(&rest, vec![1; 1 << 20]));
        let error = store.checkpoint().await.unwrap_err();
        assert_eq!(error.code(), "store.disk_full", "{}", error.chain());
        println!("WAS FULL after {}", acknowledged.len());
        std::fs::remove_file(rest).unwrap();
        std::fs::remove_file(ballast).unwrap();
    } else {
        println!("NEVER FULL");
    }
    // With room again, the same store goes on.
    let first = store.append(vec![note("after")]).await.unwrap();
    assert_eq!(first, entries.len() as u64);
    assert_eq!(store.checkpoint().await.unwrap().head(), store.head());
    let head = store.head();
    drop(store);
    let store = Store::open(config(&data)).unwrap();
    assert_eq!(store.head(), head);
    assert_eq!(store.problems(), []);
    drop(store);
    assert_eq!(verify_ledger(&data.join("ledger")).problems, []);
}

#[test]
fn a_full_disk_fails_an_append_and_loses_nothing() {
    let script =
        |size| format!("mount -t tmpfs -o size={size} tmpfs $DIR; child child_that_fills_the_disk");
    if let Some(text) = in_namespace(&script("6m")) {
        assert!(text.contains("WAS FULL"), "{text}");
        // The control: on a larger disk the same appends all succeed.
        let text = in_namespace(&script("60m")).unwrap();
        assert!(text.contains("NEVER FULL"), "{text}");
    }
}

#[tokio::test]
async fn child_that_opens_and_appends() {
    let Some(data) = data() else { return };
    match Store::open(config(&data)) {
        Ok(store) => println!("APPENDED {}", store.append(vec![note("x")]).await.unwrap()),
        Err(error) => {
            println!("REFUSED {} {}; {}", error.code(), error.chain(), error.hint().unwrap());
        }
    }
}

#[test]
fn a_read_only_disk_is_refused_in_words() {
    let text = in_namespace(
        "mount -t tmpfs -o size=20m tmpfs $DIR
         mount -o remount,ro $DIR; child child_that_opens_and_appends
         mount -o remount,rw $DIR; child child_that_opens_and_appends
         mount -o remount,ro $DIR; child child_that_opens_and_appends
         mount -o remount,rw $DIR; child child_that_opens_and_appends",
    );
    let Some(text) = text else { return };
    let said: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            line.find("APPENDED").or_else(|| line.find("REFUSED")).and_then(|at| line.get(at..))
        })
        .collect();
    assert_eq!(said.len(), 4, "{text}");
    assert!(said[0].contains("store.io cannot create the data directory"), "{text}");
    assert_eq!(said[1], "APPENDED 0");
    assert!(said[2].contains("store.io cannot open the lock file"), "{text}");
    assert!(said[2].contains("is writable"), "{text}");
    assert_eq!(said[3], "APPENDED 1");
}
