//! Going through a directory tree without following symbolic links.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};

use super::failure;
use crate::reply::FileError;

/// No tree is followed deeper.
const MAX_DEPTH: u32 = 64;
/// No directory is read further.
const MAX_NAMES: usize = 100_000;

/// One entry on the way.
pub(super) struct Step<'a> {
    /// The directory it is in.
    pub(super) directory: &'a OwnedFd,
    /// Its name there; not always UTF-8.
    pub(super) name: &'a std::ffi::CStr,
    /// Its path for people.
    pub(super) path: &'a str,
    /// What it is.
    pub(super) kind: FileType,
    /// The size of a file.
    pub(super) bytes: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// Into it, when it is a directory.
    On,
    /// Not into it.
    Past,
    /// Nowhere.
    Stop,
}

/// Visits what is below a directory, each directory's entries sorted by name, an entry before what
/// is in it. Directories that cannot be read are passed over.
pub(super) fn walk(
    directory: OwnedFd,
    path: &str,
    depth: u32,
    visit: &mut impl FnMut(&Step<'_>) -> Go,
) -> Result<(), FileError> {
    let prefix = if path == "." { "" } else { path };
    descend(&directory, prefix, depth.min(MAX_DEPTH), visit)
        .map_err(|errno| failure(path, errno))?;
    Ok(())
}

fn descend(
    directory: &OwnedFd,
    prefix: &str,
    depth: u32,
    visit: &mut impl FnMut(&Step<'_>) -> Go,
) -> rustix::io::Result<Go> {
    if depth == 0 {
        return Ok(Go::On);
    }
    let readable = openat(
        directory,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&readable)?.take(MAX_NAMES) {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    for name in &names {
        // It may be gone by now.
        let Ok(stat) = statat(directory, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let text = name.to_string_lossy();
        let path = if prefix.is_empty() { text.into_owned() } else { format!("{prefix}/{text}") };
        let bytes = if kind == FileType::RegularFile {
            u64::try_from(stat.st_size).unwrap_or(0)
        } else {
            0
        };
        let go = visit(&Step { directory, name, path: &path, kind, bytes });
        if go == Go::Stop {
            return Ok(Go::Stop);
        }
        if go == Go::On && kind == FileType::Directory {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(inner) = openat(directory.as_fd(), name.as_c_str(), flags, Mode::empty()) else {
                continue;
            };
            if descend(&inner, &path, depth - 1, visit) == Ok(Go::Stop) {
                return Ok(Go::Stop);
            }
        }
    }
    Ok(Go::On)
}
