//! One process at a time: an advisory lock on a file that names its holder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use crate::error::StoreError;

/// How often the lock is tried: somebody may only have looked whether it is held, or a process that
/// was started beside may not have let go of what it inherited.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// The lock on a data directory; given up when it is dropped, also by a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the directory (mode 0700) if it is not there, and locks it.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { action, path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io("create the data directory", dir))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("open the lock file", &path))?;
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempts > 0 => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::InUse { dir: dir.to_owned(), pid: holder(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(io("lock", &path)(source)),
            }
        }
        write_holder(&mut file).map_err(io("write the lock file", &path))?;
        Ok(Self { _file: file })
    }
}

/// The process that has a data directory open, as far as its lock tells: none when nobody has it,
/// whatever a process that was killed left lying there.
pub fn holder_of(dir: &Path) -> Option<u32> {
    let mut file = File::open(dir.join("lock")).ok()?;
    // Given up at once: whoever opens the store meanwhile tries again.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| holder(&mut file))?
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
