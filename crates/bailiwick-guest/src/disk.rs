//! Watching how much of the disk a run takes.
//!
//! There is no quota that an ordinary directory could be given, so the launcher looks: often and
//! cheaply at the free space of the file system, and closely when that fell by more than the limit.
//! Looking closely sums up what lies in the watched directories and was changed during the run (by
//! change time, which nothing inside can set), and what its processes hold open without a name.
//!
//! Others use the same file system, and what they free hides what the run takes. So the fall is
//! counted from the most that was ever free, and from time to time the launcher looks closely
//! whatever is free, more rarely the longer a look takes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long between two looks at the free space.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// How long at least between two close looks that the free space gives no reason for.
const CLOSE_INTERVAL: Duration = Duration::from_secs(1);
/// Such looks take at most one part in this of the time.
const CLOSE_SHARE: u32 = 50;
/// Blocks of `st_blocks` have this size, whatever the file system.
const BLOCK: u64 = 512;

/// The watch over how much of the disk one run takes.
#[derive(Debug)]
pub struct DiskWatch {
    directories: Vec<PathBuf>,
    limit: u64,
    since: SystemTime,
    most_free: u64,
    next_close: Instant,
}

impl DiskWatch {
    /// Begins to watch what is written below these directories.
    pub fn new(directories: Vec<PathBuf>, limit: u64) -> Self {
        let free = free(&directories);
        // A file system's clock can be one tick behind.
        let since = SystemTime::now().checked_sub(Duration::from_millis(20));
        Self {
            directories,
            limit,
            since: since.unwrap_or(SystemTime::UNIX_EPOCH),
            most_free: free,
            next_close: Instant::now() + CLOSE_INTERVAL,
        }
    }

    /// Whether the run took more than its limit. `processes` are those of its cage.
    pub fn is_over(&mut self, processes: impl FnOnce() -> Vec<u32>) -> bool {
        let now = Instant::now();
        if !self.fell() && now < self.next_close {
            return false;
        }
        let named = self.named();
        let over =
            named > self.limit || named.saturating_add(self.nameless(&processes())) > self.limit;
        self.next_close = now + CLOSE_INTERVAL.max(now.elapsed() * CLOSE_SHARE);
        over
    }

    /// Whether the run left more than its limit behind, after its last process has ended.
    pub fn left_too_much(&mut self) -> bool {
        self.fell() && self.named() > self.limit
    }

    /// Whether the free space fell by more than the limit.
    fn fell(&mut self) -> bool {
        let free = free(&self.directories);
        self.most_free = self.most_free.max(free);
        self.most_free.saturating_sub(free) > self.limit
    }

    fn named(&self) -> u64 {
        self.directories
            .iter()
            .map(|directory| self.changed(directory))
            .fold(0, u64::saturating_add)
    }

    fn changed(&self, directory: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(directory) else { return 0 };
        let mut sum = 0u64;
        for entry in entries.flatten() {
            // Of a symbolic link this is the link itself.
            let Ok(metadata) = entry.metadata() else { continue };
            let add = if metadata.is_dir() {
                self.changed(&entry.path())
            } else if self.is_new(&metadata) {
                metadata.blocks().saturating_mul(BLOCK)
            } else {
                0
            };
            sum = sum.saturating_add(add);
        }
        sum
    }

    fn is_new(&self, metadata: &fs::Metadata) -> bool {
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = u64::try_from(metadata.ctime()).unwrap_or(0);
        changed > since.as_secs()
            || (changed == since.as_secs()
                && metadata.ctime_nsec() >= i64::from(since.subsec_nanos()))
    }

    fn nameless(&self, processes: &[u32]) -> u64 {
        let devices: Vec<u64> = self
            .directories
            .iter()
            .filter_map(|directory| fs::metadata(directory).ok())
            .map(|metadata| metadata.dev())
            .collect();
        let mut seen = std::collections::BTreeMap::new();
        for process in processes {
            let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { continue };
            for metadata in files.flatten().filter_map(|file| fs::metadata(file.path()).ok()) {
                if metadata.is_file() && metadata.nlink() == 0 && devices.contains(&metadata.dev())
                {
                    seen.insert((metadata.dev(), metadata.ino()), metadata.blocks());
                }
            }
        }
        seen.values().fold(0u64, |sum, blocks| sum.saturating_add(blocks.saturating_mul(BLOCK)))
    }
}

/// The free space of the file systems, in bytes: the least of them.
fn free(directories: &[PathBuf]) -> u64 {
    let of = |directory: &PathBuf| {
        let stat = rustix::fs::statvfs(directory).ok()?;
        Some(stat.f_bfree.saturating_mul(stat.f_frsize))
    };
    directories.iter().filter_map(of).min().unwrap_or(u64::MAX)
}

/// The processes of a cage, by the pid namespace of its init.
pub(crate) fn processes_of(init: u32) -> Vec<u32> {
    let namespace = |process: u32| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    // An ordinary user may not look at an init that hides; its children do not hide.
    let wanted = fs::read_link(format!("/proc/{init}/ns/pid_for_children"))
        .ok()
        .or_else(|| children(init).into_iter().find_map(namespace));
    let Some(wanted) = wanted else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| namespace(*process).as_ref() == Some(&wanted))
        .collect()
}

fn children(process: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    list.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_does_not_count_and_what_has_no_name_does() {
        let directory = tempfile::tempdir().unwrap();
        let block = vec![1u8; 1 << 20];
        fs::write(directory.path().join("old"), &block).unwrap();
        let mut watch = DiskWatch::new(vec![directory.path().to_owned()], 1 << 20);
        watch.since = SystemTime::now() + Duration::from_secs(3600);
        assert_eq!(watch.changed(directory.path()), 0);
        watch.since = SystemTime::UNIX_EPOCH;
        assert!(watch.changed(directory.path()) >= 1 << 20);
        let held = fs::File::open(directory.path().join("old")).unwrap();
        fs::remove_file(directory.path().join("old")).unwrap();
        assert_eq!(watch.changed(directory.path()), 0);
        assert!(watch.nameless(&[std::process::id()]) >= 1 << 20);
        drop(held);
    }

    #[test]
    fn what_others_free_hides_nothing_for_long() {
        let directory = tempfile::tempdir().unwrap();
        let mut watch = DiskWatch::new(vec![directory.path().to_owned()], 1 << 20);
        watch.since = SystemTime::UNIX_EPOCH;
        fs::write(directory.path().join("new"), vec![1u8; 2 << 20]).unwrap();
        // As after somebody freed more than was written.
        watch.most_free = 0;
        assert!(!watch.is_over(Vec::new));
        watch.next_close = Instant::now();
        assert!(watch.is_over(Vec::new));
        watch.most_free = u64::MAX;
        assert!(watch.left_too_much());
    }
}
