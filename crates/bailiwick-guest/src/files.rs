//! File operations, done inside the cage under the same locks as a command.
//!
//! Every path is resolved by the kernel below the workspace (`RESOLVE_BENEATH`): a symbolic link
//! that leads out is an error, and one that leads nowhere on the host's terms leads nowhere here,
//! because the host's tree does not exist inside.

mod list;
mod read;
mod search;
mod walk;
mod write;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::reply::{Answer, FileError};
use crate::spec::{Operation, WORKSPACE};

/// The largest file that is read or written.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Does a file operation in the workspace.
pub(crate) fn perform(operation: &Operation, parts: &[Vec<u8>]) -> Result<Answer, FileError> {
    let root =
        openat(CWD, WORKSPACE, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failure(".", errno))?;
    perform_in(&root, operation, parts)
}

fn perform_in(
    root: &OwnedFd,
    operation: &Operation,
    parts: &[Vec<u8>],
) -> Result<Answer, FileError> {
    if let Operation::Read { path, .. }
    | Operation::List { path, .. }
    | Operation::Search { path, .. }
    | Operation::Write { path, .. } = operation
        && (path.starts_with('/') || path.split('/').any(|part| part == ".."))
    {
        return Err(FileError::OutsideWorkspace { path: path.clone() });
    }
    match operation {
        Operation::Read { path, first_line, max_lines, max_bytes } => {
            read::read(root, path, *first_line, *max_lines, *max_bytes)
        }
        Operation::List { path, depth, max } => list::list(root, path, *depth, *max),
        Operation::Search { path, pattern, max } => search::search(root, path, pattern, *max),
        Operation::Write { path, mode, expected_sha256 } => {
            write::write(root, path, mode, expected_sha256.as_deref(), parts)
        }
        Operation::Exec { .. } => {
            let detail = "running a program is no file operation".to_owned();
            Err(FileError::Io { path: ".".to_owned(), detail, errno: None })
        }
    }
}

/// Opens a path below `root`, whatever symbolic links the agent has put on the way.
fn open_beneath(root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, FileError> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        match openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(opened) => return Ok(opened),
            // Something on the way was renamed meanwhile, so that the kernel cannot be sure.
            Err(Errno::AGAIN) if attempts < 8 => attempts += 1,
            Err(errno) => return Err(failure(path, errno)),
        }
    }
}

/// Opens a regular file for reading, and says how long it is.
fn open_regular(root: impl AsFd, path: &str) -> Result<(OwnedFd, u64), FileError> {
    // Without `O_NONBLOCK`, opening a named pipe would wait for a writer.
    let file = open_beneath(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let bytes = regular(&file, path)?;
    Ok((file, bytes))
}

/// The size of what is a regular file of bearable size.
fn regular(file: impl AsFd, path: &str) -> Result<u64, FileError> {
    let stat = rustix::fs::fstat(file).map_err(|errno| failure(path, errno))?;
    let path = path.to_owned();
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(FileError::IsDirectory { path }),
        _ => return Err(FileError::NotRegular { path }),
    }
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    if bytes > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { path, bytes, max: MAX_FILE_BYTES });
    }
    Ok(bytes)
}

/// Reads a file to its end, which may have moved since it was measured.
fn read_all(file: OwnedFd, path: &str) -> Result<Vec<u8>, FileError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::from(file).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| io_failure(path, &error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            max: MAX_FILE_BYTES,
        });
    }
    Ok(bytes)
}

fn failure(path: &str, errno: Errno) -> FileError {
    io_failure(path, &errno.into())
}

fn io_failure(path: &str, error: &std::io::Error) -> FileError {
    let (path, detail) = (path.to_owned(), error.to_string());
    match error.raw_os_error() {
        Some(libc::ENOENT) => FileError::NotFound { path },
        Some(libc::EISDIR) => FileError::IsDirectory { path },
        Some(libc::ENOTDIR) => FileError::NotDirectory { path },
        Some(libc::EXDEV) => FileError::OutsideWorkspace { path },
        Some(libc::ENXIO) => FileError::NotRegular { path },
        Some(libc::EACCES | libc::EPERM | libc::EROFS | libc::ELOOP) => {
            FileError::Denied { path, detail }
        }
        errno => FileError::Io { path, detail, errno },
    }
}

#[cfg(test)]
mod tests;
