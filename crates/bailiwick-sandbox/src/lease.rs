//! What a run of the platform makes outside its data directory, and how a later one finds it.
//!
//! Cgroups, directories, containers and launchers have names, and in each stands a *token* that
//! this run drew. The token is written down, with every place in which something of that name may
//! come to be, in a *lease*: a file that is locked for as long as this process lives. The kernel
//! takes the lock away with the process, whatever ended it. So a lease that can be locked is of a
//! run that is no more, and what bears its token is an orphan; see [`janitor`].
//!
//! Nothing is ever judged by a process id, which is given out again, and means nothing in another
//! namespace. Leases of another data directory lie elsewhere and are not looked at.

mod janitor;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

pub use janitor::Orphans;

use crate::error::SetupError;

const ENDING: &str = "lease";
/// Held for as long as a lease is made or taken over, so that none is seen half made.
const LOCK: &str = "lock";

/// What stands in a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    token: String,
    /// For people only: nothing is concluded from it.
    pid: u32,
    /// Where directories are made.
    temporary: PathBuf,
    /// Where cgroups are made.
    cgroups: Vec<PathBuf>,
    /// Programs that make containers: their names and where they are.
    runtimes: Vec<(String, PathBuf)>,
}

impl Places {
    /// What the name of everything begins with.
    fn prefix(&self) -> String {
        format!("bailiwick-{}-", self.token)
    }

    /// Directories of this token.
    fn directories(&self) -> Vec<PathBuf> {
        let prefix = self.prefix();
        let entries = fs::read_dir(&self.temporary).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| {
            let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix));
            named && is_own_directory(&entry.path())
        });
        ours.map(|entry| entry.path()).collect()
    }
}

/// A lease of this process. Dropping it gives it back if nothing is left that it stands for.
#[derive(Debug)]
pub(crate) struct Lease {
    file: PathBuf,
    places: Places,
    next: AtomicU64,
    /// Locked until it is closed.
    held: File,
}

impl Lease {
    /// Takes a lease, and removes what runs left behind whose leases lie in the same directory.
    pub(crate) fn take(home: &Path) -> Result<(Self, Orphans), SetupError> {
        let at = |source| SetupError::Directory { path: home.to_owned(), source };
        make_home(home).map_err(at)?;
        let orphans = janitor::clean(home).map_err(at)?;
        let token = token().map_err(at)?;
        let runtimes = ["runc", "runsc"].into_iter().filter_map(|name| {
            crate::container::find(name).map(|program| (name.to_owned(), program))
        });
        let places = Places {
            pid: std::process::id(),
            temporary: std::env::temp_dir(),
            cgroups: bailiwick_guest::cgroup::places(),
            runtimes: runtimes.collect(),
            token,
        };
        let file = home.join(format!("{}.{ENDING}", places.token));
        let held = write(home, &file, &places).map_err(at)?;
        Ok((Self { file, places, next: AtomicU64::new(0), held }, orphans))
    }

    /// A name for a cage that no other process and no other run has.
    pub(crate) fn name(&self) -> String {
        format!("{}{}", self.places.prefix(), self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The path of a directory that is removed after this run at the latest. It has to be made
    /// such that nobody else can write to it.
    pub(crate) fn path(&self) -> PathBuf {
        self.places.temporary.join(self.name())
    }

    /// Makes such a directory.
    pub(crate) fn directory(&self) -> io::Result<PathBuf> {
        let path = self.path();
        fs::DirBuilder::new().mode(0o755).create(&path)?;
        Ok(path)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let prefix = self.places.prefix();
        let cgroups = self.places.cgroups.iter().flat_map(fs::read_dir).flatten().flatten();
        let mut names = cgroups.map(|entry| entry.file_name());
        let nothing_left = self.places.directories().is_empty()
            && !names.any(|name| name.to_str().is_some_and(|name| name.starts_with(&prefix)));
        if nothing_left {
            // One that stays is found by the next run, which then has nothing else to remove.
            drop(fs::remove_file(&self.file));
        }
        let _unlocked_by_closing = flock(&self.held, FlockOperation::Unlock);
    }
}

/// Where leases lie that belong to no data directory.
pub(crate) fn common_home() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("bailiwick-leases-{user}"))
}

/// A directory that only we can write to. One of that name that is somebody else's is an error:
/// whoever writes leases says what is removed.
fn make_home(home: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(home) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_own_directory(home) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it is not a directory of this user that nobody else can write to",
    ))
}

/// Whether it is a directory (and no link to one), ours, and not for others to write to.
fn is_own_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0
    })
}

fn token() -> io::Result<String> {
    let mut bytes = [0u8; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Keeps others from making and taking over leases for as long as it is held.
fn lock(home: &Path) -> io::Result<File> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(home.join(LOCK))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

fn write(home: &Path, path: &Path, places: &Places) -> io::Result<File> {
    let _alone = lock(home)?;
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(&serde_json::to_vec(places)?)?;
    // Before anything is made that it stands for.
    file.sync_all()?;
    Ok(file)
}
