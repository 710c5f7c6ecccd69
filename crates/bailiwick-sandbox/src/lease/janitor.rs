//! Removing what a run left behind that is no more.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bailiwick_guest::{MARKER, cgroup};
use rustix::fs::{FlockOperation, flock};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{ENDING, Places, lock};

/// How long processes may take to be gone once they are killed.
const GONE: Duration = Duration::from_secs(10);

/// What was removed of earlier runs, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Runs that ended without cleaning up.
    pub runs: usize,
    /// Launchers and runtimes that were killed.
    pub processes: usize,
    /// Containers that were ended.
    pub containers: usize,
    /// Mounts that were taken away.
    pub mounts: usize,
    /// Cgroups that were removed.
    pub cgroups: usize,
    /// Directories that were removed.
    pub directories: usize,
    /// What is still there, each with the reason. Its lease stays, so that the next run tries again.
    pub left: Vec<String>,
}

impl Orphans {
    /// Whether there was anything to remove beyond a lease.
    pub fn is_empty(&self) -> bool {
        let Self { runs: _, processes, containers, mounts, cgroups, directories, left } = self;
        *processes == 0
            && *containers == 0
            && *mounts == 0
            && *cgroups == 0
            && *directories == 0
            && left.is_empty()
    }
}

impl std::fmt::Display for Orphans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} processes, {} containers, {} mounts, {} cgroups and {} directories of {} earlier runs were removed",
            self.processes, self.containers, self.mounts, self.cgroups, self.directories, self.runs
        )?;
        if !self.left.is_empty() {
            write!(f, "; still there: {}", self.left.join("; "))?;
        }
        Ok(())
    }
}

/// Cleans up after every lease in `home` that nobody holds.
pub(super) fn clean(home: &Path) -> io::Result<Orphans> {
    let mut orphans = Orphans::default();
    for (path, file) in abandoned(home)? {
        match read(&path) {
            Ok(places) => {
                orphans.runs = orphans.runs.saturating_add(1);
                if orphans.remove(&places) {
                    fs::remove_file(&path)?;
                }
            }
            // Cut off while it was written: before anything was made.
            Err(_) if is_empty(&path) => fs::remove_file(&path)?,
            Err(error) => orphans.left.push(format!(
                "`{}` cannot be read ({error}); remove it once nothing of that run is left",
                path.display()
            )),
        }
        drop(file);
    }
    Ok(orphans)
}

/// Leases that could be locked, locked from now on.
fn abandoned(home: &Path) -> io::Result<Vec<(PathBuf, File)>> {
    let _alone = lock(home)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new(ENDING)) {
            continue;
        }
        // One that was given back meanwhile is of no interest.
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            found.push((path, file));
        }
    }
    Ok(found)
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0)
}

/// A lease says what is removed, so its token has to be one.
fn read(path: &Path) -> io::Result<Places> {
    let places: Places = serde_json::from_slice(&fs::read(path)?)?;
    let of_the_file = path.file_stem().and_then(OsStr::to_str) == Some(places.token.as_str());
    let drawn = places.token.len() == 16 && places.token.bytes().all(|b| b.is_ascii_hexdigit());
    if of_the_file && drawn {
        return Ok(places);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "its token is not that of its name"))
}

impl Orphans {
    /// Whether nothing is left.
    fn remove(&mut self, places: &Places) -> bool {
        let before = self.left.len();
        // Launchers and runtimes first, so that nothing new is made by them. What a launcher's
        // cage holds ends with it.
        self.kill(places);
        for directory in places.directories() {
            self.end_containers(places, &directory);
        }
        self.kill(places);
        let swept = cgroup::sweep(&places.cgroups, &places.prefix());
        self.cgroups = self.cgroups.saturating_add(swept.removed);
        if swept.left > 0 {
            self.left.push(format!("{} cgroups of run {}", swept.left, places.token));
        }
        for directory in places.directories() {
            self.unmount_below(&directory);
            self.remove_directory(&directory);
        }
        self.left.len() == before
    }

    fn kill(&mut self, places: &Places) {
        let begun = Instant::now();
        let mut killed = BTreeSet::new();
        loop {
            let found = processes_of(places);
            if found.is_empty() {
                break;
            }
            if begun.elapsed() > GONE {
                self.left.push(format!("processes {found:?} of run {}", places.token));
                break;
            }
            for pid in found {
                if end(pid, places) {
                    killed.insert(pid.as_raw_nonzero());
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.processes = self.processes.saturating_add(killed.len());
    }

    fn end_containers(&mut self, places: &Places, directory: &Path) {
        let states = directory.join("state");
        // Which runtime it was, its directory says.
        let runtime = fs::read_to_string(directory.join("runtime")).unwrap_or_default();
        let Some((_, program)) = places.runtimes.iter().find(|(name, _)| *name == runtime) else {
            return;
        };
        let entries = fs::read_dir(&states).into_iter().flatten().flatten();
        let names: BTreeSet<String> = entries
            .filter_map(|entry| container_name(&entry.file_name(), &places.prefix()))
            .collect();
        for name in names {
            let ended = Command::new(program)
                .arg("--root")
                .arg(&states)
                .args(["delete", "--force", &name])
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if ended.is_ok_and(|status| status.success()) {
                self.containers = self.containers.saturating_add(1);
            }
        }
    }

    /// What is mounted below a directory is somebody's workspace: it must be gone before the
    /// directory is removed with all that is in it.
    fn unmount_below(&mut self, directory: &Path) {
        for point in mounts_below(directory) {
            match unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => self.mounts = self.mounts.saturating_add(1),
                Err(error) => self.left.push(format!("the mount `{}`: {error}", point.display())),
            }
        }
    }

    fn remove_directory(&mut self, directory: &Path) {
        if !mounts_below(directory).is_empty() {
            self.left.push(format!("`{}`: something is mounted in it", directory.display()));
            return;
        }
        match fs::remove_dir_all(directory) {
            Ok(()) => self.directories = self.directories.saturating_add(1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.left.push(format!("`{}`: {error}", directory.display())),
        }
    }
}

/// `runc` calls the directory of a container by its name; `runsc` puts words around it.
fn container_name(entry: &OsStr, prefix: &str) -> Option<String> {
    let (_, number) = entry.to_str()?.split_once(prefix)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("{prefix}{digits}"))
}

/// Mount points below a directory, the innermost first.
fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let points = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let point = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(unescape(point))))
    });
    let mut points: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    points.reverse();
    points
}

/// Undoes the octal escapes of `proc_pid_mountinfo(5)`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..3).filter(|_| *first == b'\\');
        let number = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match number {
            Some(byte) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

/// Launchers, and runtimes of containers, that were started with this run's token.
fn processes_of(places: &Places) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let pids = ids.filter_map(Pid::from_raw);
    pids.filter(|pid| *pid != rustix::process::getpid() && is_of(*pid, places)).collect()
}

/// Whether the command line is one that only we write: a launcher's second argument is the name of
/// its cage, a runtime's `--root` is a directory of the run. Merely to name one is not enough.
fn is_of(pid: Pid, places: &Places) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    // A process that is dead already has no command line any more.
    let Ok(line) = fs::read(path) else { return false };
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let root = places.temporary.join(places.prefix());
    is_ours(&words, places.prefix().as_bytes(), root.as_os_str().as_bytes())
}

fn is_ours(words: &[&[u8]], prefix: &[u8], root: &[u8]) -> bool {
    let launcher = words.get(1) == Some(&MARKER.as_bytes())
        && words.get(2).is_some_and(|name| name.starts_with(prefix));
    let program = words.first().and_then(|word| word.rsplit(|byte| *byte == b'/').next());
    let named = program.is_some_and(|name| {
        [&b"runc"[..], b"runsc", b"runsc-sandbox", b"runsc-gofer"].contains(&name)
    });
    let rooted = words.windows(2).any(|pair| match pair {
        [option, value] => *option == b"--root" && value.starts_with(root),
        _ => false,
    }) || words
        .iter()
        .any(|word| word.strip_prefix(b"--root=").is_some_and(|value| value.starts_with(root)));
    launcher || (named && rooted)
}

/// Ends one process, looked at again once its id can't pass to another.
fn end(pid: Pid, places: &Places) -> bool {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    is_of(pid, places) && pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_start_is_ours() {
        let prefix = b"bailiwick-00aa-";
        let root = b"/tmp/bailiwick-00aa-";
        for (line, ours) in [
            ("/proc/self/exe\0__bailiwick-guest\0bailiwick-00aa-7", true),
            ("/proc/self/exe\0__bailiwick-guest\0bailiwick-00ab-7", false),
            ("/proc/self/exe\0bailiwick-00aa-7\0__bailiwick-guest", false),
            ("/usr/sbin/runc\0--root\0/tmp/bailiwick-00aa-0/state\0run", true),
            ("runsc-sandbox\0--root=/tmp/bailiwick-00aa-0/state\0boot", true),
            ("/usr/sbin/runc\0--root\0/tmp/bailiwick-00ab-0/state\0run", false),
            ("less\0/tmp/bailiwick-00aa-0/state", false),
            ("less\0--root\0/tmp/bailiwick-00aa-0/state", false),
            ("", false),
        ] {
            let words: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == 0).collect();
            assert_eq!(is_ours(&words, prefix, root), ours, "{line:?}");
        }
    }

    #[test]
    fn names_of_containers_are_found_in_what_runtimes_call_their_files() {
        for entry in ["bailiwick-00aa-12", "_sandbox:bailiwick-00aa-12_container:x.state"] {
            let name = container_name(OsStr::new(entry), "bailiwick-00aa-");
            assert_eq!(name.as_deref(), Some("bailiwick-00aa-12"));
        }
        assert_eq!(container_name(OsStr::new("bailiwick-00ab-12"), "bailiwick-00aa-"), None);
    }

    #[test]
    fn mount_points_are_read_as_they_are() {
        assert_eq!(unescape(b"/a\\040b\\134c\\"), b"/a b\\c\\");
    }
}
