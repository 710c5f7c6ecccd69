//! Files that are either as they were or as they should be, whenever the power goes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::ForgeError;

/// What unfinished files start with; the rest is removed when the forge is opened.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Replaces a file: written beside it, forced to disk, renamed, and the directory forced too.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ForgeError> {
    let failed = |source: io::Error| ForgeError::io("write", path)(source);
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let mut unfinished = std::ffi::OsString::from(UNFINISHED);
    unfinished.push(name);
    let unfinished = directory.join(unfinished);
    let mut file = File::create(&unfinished).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    sync_directory(directory)
}

/// Forces the names in a directory to disk.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), ForgeError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(ForgeError::io("sync", directory))
}

/// Removes what a crash left unfinished.
pub(crate) fn sweep(directory: &Path) -> Result<(), ForgeError> {
    for entry in fs::read_dir(directory).map_err(ForgeError::io("list", directory))? {
        let entry = entry.map_err(ForgeError::io("list", directory))?;
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let path = entry.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(ForgeError::io("remove", path))?;
    }
    Ok(())
}
