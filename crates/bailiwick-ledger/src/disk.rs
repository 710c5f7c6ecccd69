//! The few file operations that the ledger is written with, each durable on return.
//!
//! They are gathered here so that a test can stop the writer after any of them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the name of a temporary file starts with.
pub(crate) const TEMP_PREFIX: &str = ".tmp-";

/// Numbers the temporary files of this process.
static TEMP_FILES: AtomicU64 = AtomicU64::new(0);

/// Writes files, and remembers which folders are to be synced before a checkpoint may name them.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    unsynced: BTreeSet<PathBuf>,
    #[cfg(test)]
    pub(crate) stop_after: Option<u64>,
}

impl Disk {
    #[cfg(test)]
    pub(crate) fn stopping_after(stop_after: Option<u64>) -> Self {
        Self { stop_after, ..Self::default() }
    }

    /// Counts one step; in a test the process may end here.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests stop here")
    )]
    fn step(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(left) = &mut self.stop_after {
            if *left == 0 {
                return Err(io::Error::other("stopped by the test"));
            }
            *left -= 1;
        }
        Ok(())
    }

    /// Makes a folder and those above it, up to `root`.
    pub(crate) fn create_folder(&mut self, root: &Path, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|_| folder != root) {
            self.create_folder(root, parent)?;
            self.unsynced.insert(parent.to_owned());
        }
        self.step()?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    /// Writes `bytes` at `offset` of a file, which ends with them.
    pub(crate) fn write_at(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        // A crash in the middle of a write leaves a torn file, so a test stops here too.
        self.step()?;
        file.write_all(second)?;
        self.step()?;
        file.sync_all()?;
        self.note_parent(path);
        Ok(())
    }

    /// Puts `bytes` into a file that never exists half written: beside it first, then renamed.
    ///
    /// The temporary file is made in `scratch`, which is on the same file system.
    pub(crate) fn replace(&mut self, scratch: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temp = scratch.join(format!(
            "{TEMP_PREFIX}{}-{}",
            std::process::id(),
            TEMP_FILES.fetch_add(1, Ordering::Relaxed)
        ));
        let done = self.write_at(&temp, 0, bytes).and_then(|()| {
            self.step()?;
            fs::rename(&temp, path)
        });
        // After a simulated crash nothing is tidied up, as after a real one.
        if done.is_err() && self.step().is_ok() {
            drop(fs::remove_file(&temp));
        }
        done?;
        self.sync_parent(path)
    }

    /// Shortens a file.
    pub(crate) fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
        self.step()?;
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    /// Removes a file; it is no error when it is gone.
    pub(crate) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Removes a folder if nothing is in it.
    pub(crate) fn remove_empty_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        match fs::remove_dir(path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }

    /// Makes the name of a file durable.
    pub(crate) fn sync_parent(&mut self, path: &Path) -> io::Result<()> {
        self.note_parent(path);
        self.sync_folders()
    }

    /// Makes every name that was added or changed so far durable.
    pub(crate) fn sync_folders(&mut self) -> io::Result<()> {
        for folder in std::mem::take(&mut self.unsynced) {
            self.step()?;
            File::open(&folder)?.sync_all()?;
        }
        Ok(())
    }

    fn note_parent(&mut self, path: &Path) {
        if let Some(parent) = path.parent() {
            self.unsynced.insert(parent.to_owned());
        }
    }
}
