//! Processes that should be no more.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn processes() -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The processes that have this word as an argument.
fn with(word: &str) -> Vec<i32> {
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    // The probe itself is told the word too.
    let sleeps = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
    };
    processes().into_iter().filter(has).filter(sleeps).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended by itself meanwhile.
        let _gone_already = kill_process(pid, Signal::KILL);
    }
}

/// Whether such a process is still there after a while.
pub(crate) fn outlive(word: &str, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if with(word).is_empty() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Ends them, and the inits that would wait for them for ever.
pub(crate) fn end(word: &str) {
    for pid in with(word) {
        kill(pid);
    }
}

/// Waits for such a process and kills the launcher that it comes from.
pub(crate) fn kill_launcher_of(word: &str) {
    let own = i32::try_from(std::process::id()).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        for pid in with(word) {
            let mut at = pid;
            while let Some(above) = parent(at) {
                if above == own {
                    kill(at);
                    return;
                }
                if above <= 1 {
                    break;
                }
                at = above;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
