//! Data directories that are full, in use, read-only or damaged: a clear error, and nothing lost.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bailiwick_model::event::{Entry, Event, Fact};

use super::fixture::{Case, PLAIN, folder, object, told};
use super::outside::children;
use super::pool::{in_full, try_all};
use super::record::{problems, task};

/// A file system of its own, gone with the value.
struct Mount(PathBuf);

impl Mount {
    /// Mounts a file system in memory; nothing where this process may not mount.
    fn memory(at: &Path, kibibytes: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={kibibytes}k,mode=0700");
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], at).then(|| Self(at.to_owned()))
    }

    fn again(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "remount {options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}

fn not_exercised() {
    eprintln!("not exercised: this process may not mount a file system");
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let done = Command::new("mount").args(arguments).arg(at).output();
    done.is_ok_and(|output| output.status.success())
}

/// Lets a task that stopped go on, as its person would.
fn go_on(case: &Case) -> Output {
    let Some(task) = task(&case.entries()) else { return case.run("") };
    let task = task.to_string();
    let resumed = case.call(&["task", "resume", &task], "");
    if resumed.status.success() { resumed } else { case.call(&["task", "retry", &task], "") }
}

fn ends_well(case: &Case) -> Vec<String> {
    let output = go_on(case);
    if !output.status.success() || object(&output)["standing"] != "merged" {
        return vec![format!("it did not go on to the end: {}", told(&output))];
    }
    problems(case, &case.entries())
}

/// Every file with its content, and every folder.
fn content(of: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![of.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in children(&folder) {
            if path.is_dir() {
                folders.push(path.clone());
            }
            all.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
    all
}

/// How the program says no: exit code 1, and an object with code, message and hint.
fn refusal(output: &Output) -> (String, String) {
    assert_eq!(output.status.code(), Some(1), "{}", told(output));
    let said = object(output);
    let text = |key: &str| said["error"][key].as_str().unwrap_or_default().to_owned();
    assert!(!text("message").is_empty() && !text("hint").is_empty(), "{}", told(output));
    (text("code"), text("message"))
}

#[test]
fn a_ledger_without_room_stops_the_run_and_loses_nothing() {
    let whole = Case::new(PLAIN);
    assert!(whole.run("").status.success());
    let bytes: usize = content(&whole.data.join("ledger")).values().map(Vec::len).sum();
    let parts = if in_full() { 40 } else { 6 };
    let cases: Vec<usize> = (0..parts).map(|part| bytes * part / parts).collect();
    try_all(&cases, |room| {
        let case = Case::new(PLAIN);
        let output = case.run(&format!("disk-full-after={room}"));
        let (code, message) = refusal(&output);
        let mut found = Vec::new();
        if code != "ledger.unwritable" || !message.contains("no storage space") {
            found.push(format!("{code}: {message}"));
        }
        found.extend(ends_well(&case));
        found
    });
}

#[test]
fn a_disk_that_is_really_full_stops_the_run_and_loses_nothing() {
    let sizes: Vec<u64> =
        if in_full() { (1..40).map(|n| n * 64).collect() } else { vec![96, 384, 768, 1152, 1536] };
    try_all(&sizes, |size| {
        let root = folder();
        let data = root.path().join("data");
        let mounted = Mount::memory(&data, *size);
        let case = Case::at(PLAIN, root, data);
        let Some(mounted) = mounted else {
            not_exercised();
            return Vec::new();
        };
        let output = case.run("");
        let mut found = Vec::new();
        if !output.status.success() {
            found.extend(says_what_to_do(&output));
        }
        mounted.again("size=64m");
        found.extend(ends_well_in_mount(&case));
        found
    });
}

/// Like [`ends_well`], where the mount of the data directory itself is no leftover.
fn ends_well_in_mount(case: &Case) -> Vec<String> {
    let mut found = ends_well(case);
    let data = case.data.display().to_string();
    found.retain(|problem| {
        let harness = problem.starts_with("left behind: process") && !problem.contains(&data);
        !(harness || problem.starts_with("left behind: mount"))
    });
    found
}

fn says_what_to_do(output: &Output) -> Option<String> {
    let said = object(output);
    let asked = said["questions"].as_array().and_then(|questions| questions.first());
    let reason = if said["error"].is_object() { Some(&said["error"]) } else { asked };
    let full = ["No space left", "no storage space", "disk is full", "no room"];
    let clear = reason.is_some_and(|reason| {
        let text = reason.to_string();
        full.iter().any(|words| text.contains(words)) && !reason["hint"].to_string().is_empty()
    });
    (!clear).then(|| format!("it did not say that the disk is full: {}", told(output)))
}

#[test]
fn a_second_process_is_refused_and_changes_nothing() {
    let case = Case::new(PLAIN);
    // A model that takes the call and never answers keeps the first process where it is.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = fs::read_to_string(case.path("bailiwick.toml")).unwrap();
    let url = format!("http://{}/v1", silent.local_addr().unwrap());
    fs::write(case.path("bailiwick.toml"), config.replace(&case.model.url(), &url)).unwrap();
    let mut first = case.start(&case.run_arguments(), "");
    let held = silent.accept().unwrap();
    let before = content(&case.data);
    let attempts = [
        case.run_arguments(),
        vec!["task", "list"],
        vec!["ledger", "show"],
        vec!["pr", "approve", "1"],
        vec!["serve", "--listen", "127.0.0.1:0"],
    ];
    for attempt in attempts {
        let (code, message) = refusal(&case.call(&attempt, ""));
        assert_eq!(code, "store.in_use", "{attempt:?}");
        assert!(message.contains(&first.id().to_string()), "{attempt:?}: {message}");
    }
    let after = content(&case.data);
    let changed: Vec<_> =
        before.iter().filter(|(path, bytes)| after.get(*path) != Some(bytes)).collect();
    assert!(
        changed.is_empty() && before.len() == after.len(),
        "{:?}",
        changed.iter().map(|c| c.0).collect::<Vec<_>>()
    );
    first.kill().unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(9));
    drop(held);
    fs::write(case.path("bailiwick.toml"), config).unwrap();
    // The call that nobody answered is recorded, though this test's model never saw it.
    assert_eq!(ends_well(&case), Vec::<String>::new());
}

/// What was said of people and can not be read any more may have been a revocation. A server that
/// was killed left its note behind, with the number of a process that is now another's.
#[test]
fn damage_about_people_stops_the_work_until_somebody_accepts_it() {
    let add = ["user", "add", "eve", "--role", "reviewer"];
    let whole = Case::new(PLAIN);
    let added = whole.call(&add, "");
    assert!(added.status.success(), "{}", told(&added));
    let about_people = |case: &Case| {
        let of = |entry: &Entry| match &entry.event {
            Event::Fact(fact) => matches!(**fact, Fact::IdentityChanged { .. }),
            _ => false,
        };
        case.entries().iter().filter(|entry| of(entry)).map(|entry| entry.seq).collect::<Vec<_>>()
    };
    let all = about_people(&whole);
    let last = *all.last().unwrap();

    let case = Case::new(PLAIN);
    let output = case.call(&add, &format!("damage-after-append={}", last + 1));
    assert_eq!(output.status.signal(), Some(9), "{}", told(&output));
    let note = format!("{{\"url\":\"http://127.0.0.1:9\",\"pid\":{}}}", std::process::id());
    fs::write(case.data.join("server.json"), note).unwrap();
    let (code, message) = refusal(&case.call(&case.run_arguments(), ""));
    assert_eq!(code, "safeguards.unreadable", "{message}");
    assert!(message.contains(&format!("{{{last}}}")), "{message}");
    assert!(case.model.log().is_empty(), "a model was called meanwhile");
    let accept = ["ledger", "accept-damage", "--reason", "eve was added, no more"];
    let accepted = case.call(&accept, "");
    assert!(accepted.status.success(), "{}", told(&accepted));
    assert_eq!(object(&accepted)["accepted"], serde_json::json!([last]));
    let said = case.entries().into_iter().find_map(|entry| match entry.event {
        Event::Fact(fact) => match *fact {
            Fact::DamageAccepted(accepted) => Some(accepted),
            _ => None,
        },
        _ => None,
    });
    let said = said.expect("who accepted what is in the ledger");
    assert_eq!((said.entries, said.reason.as_str()), (vec![last], "eve was added, no more"));
    assert_eq!(ends_well(&case), Vec::<String>::new());
}

#[test]
fn a_read_only_data_directory_is_refused_and_stays_as_it_is() {
    let root = folder();
    let data = root.path().join("data");
    let Some(mounted) = Mount::memory(&data, 65_536) else {
        not_exercised();
        return;
    };
    let case = Case::at(PLAIN, root, data);
    let output = case.run("crash-after-append=60");
    assert_eq!(output.status.signal(), Some(9), "{}", told(&output));
    let before = content(&case.data);
    mounted.again("ro");
    for attempt in [case.run_arguments(), vec!["task", "list"], vec!["ledger", "show"]] {
        let (code, message) = refusal(&case.call(&attempt, ""));
        assert!(message.contains("Read-only file system"), "{attempt:?}: {code}: {message}");
    }
    assert!(before == content(&case.data));
    mounted.again("rw");
    assert_eq!(ends_well_in_mount(&case), Vec::<String>::new());
}

#[test]
fn a_torn_last_write_of_the_database_is_a_crash_before_it() {
    let numbers =
        if in_full() { (20..120).step_by(4).collect() } else { vec![36, 55, 78, 108, 121] };
    try_all(&numbers, |number: &usize| {
        let case = Case::new(PLAIN);
        let output = case.run(&format!("crash-after-append={number}"));
        assert_eq!(output.status.signal(), Some(9), "{}", told(&output));
        let wal = case.data.join("store/store.sqlite-wal");
        let length = fs::metadata(&wal).unwrap().len();
        let cut = 1 + u64::try_from(*number).unwrap() * 31 % 4_000;
        fs::File::options().write(true).open(&wal).unwrap().set_len(length - cut).unwrap();
        let entries = case.entries().len();
        let mut found = ends_well(&case);
        if entries >= *number {
            found.push(format!("the last of {entries} entries was not torn"));
        }
        found
    });
}

#[test]
fn damage_to_the_database_is_told_and_costs_no_published_entry() {
    let case = Case::new(PLAIN);
    assert!(case.run("").status.success());
    let entries = case.entries();
    let database = case.data.join("store/store.sqlite");

    // One letter of one row, wherever the database has it.
    let mark = b"every subtask is merged";
    let mut altered = 0;
    for file in [&database, &case.data.join("store/store.sqlite-wal")] {
        let Ok(mut bytes) = fs::read(file) else { continue };
        let found = bytes.windows(mark.len()).position(|window| window == mark);
        if let Some(at) = found {
            bytes[at + 3] ^= 1;
            fs::write(file, bytes).unwrap();
            altered += 1;
        }
    }
    assert_eq!(altered, 1);
    let output = case.call(&["ledger", "show", "--limit", "1000000"], "");
    let warned = String::from_utf8_lossy(&output.stderr).contains("quarantined");
    if output.status.success() {
        assert!(warned || case.entries() == entries, "{}", told(&output));
    } else {
        refusal(&output);
    }

    // No database at all any more.
    for beside in ["store.sqlite-wal", "store.sqlite-shm"] {
        drop(fs::remove_file(database.with_file_name(beside)));
    }
    fs::write(&database, vec![0x5a; 8192]).unwrap();
    let (code, message) = refusal(&case.call(&["task", "list"], ""));
    assert!(code.starts_with("store."), "{code}: {message}");
    assert_eq!(fs::read(&database).unwrap(), vec![0x5a; 8192], "the damaged file was touched");

    // Moved away, as the hint says, every published entry comes back.
    fs::rename(&database, case.path("damaged")).unwrap();
    assert_eq!(case.entries(), entries);
    assert_eq!(problems(&case, &entries), Vec::<String>::new());
}
