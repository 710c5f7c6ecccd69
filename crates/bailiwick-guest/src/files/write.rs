//! Writing a file, whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fchmod, fstat, fsync, mkdirat, openat, readlinkat,
    renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::{MAX_FILE_BYTES, failure, io_failure, open_beneath, open_regular, read_all};
use crate::capture::sha256;
use crate::reply::{Answer, FileError};
use crate::spec::WriteMode;

pub(super) fn write(
    root: &OwnedFd,
    path: &str,
    mode: &WriteMode,
    expected_sha256: Option<&str>,
    parts: &[Vec<u8>],
) -> Result<Answer, FileError> {
    let existing = match open_regular(root, path) {
        Ok((file, _)) => {
            let permissions = fstat(&file).map_err(|errno| failure(path, errno))?.st_mode & 0o777;
            let copy = file.try_clone().map_err(|error| io_failure(path, &error))?;
            Some(Existing { bytes: read_all(copy, path)?, permissions, file })
        }
        Err(FileError::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    let before_sha256 = existing.as_ref().map(|existing| sha256(&existing.bytes));
    let conflict =
        |detail: &str| FileError::Conflict { path: path.to_owned(), detail: detail.to_owned() };
    if expected_sha256.is_some() && expected_sha256 != before_sha256.as_deref() {
        return Err(conflict("it was changed meanwhile"));
    }
    let content = match (mode, existing.as_ref(), parts) {
        (WriteMode::Create, Some(_), _) => return Err(conflict("it exists already")),
        (WriteMode::Edit, None, _) => return Err(FileError::NotFound { path: path.to_owned() }),
        (WriteMode::Create | WriteMode::Replace, _, [content]) => content.clone(),
        (WriteMode::Edit, Some(existing), [old, new]) => edited(path, &existing.bytes, old, new)?,
        _ => return Err(conflict("the content to write is missing")),
    };
    let bytes = content.len() as u64;
    if bytes > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes, max: MAX_FILE_BYTES });
    }
    put(root, path, existing.as_ref(), &content)?;
    Ok(Answer::Written { before_sha256, after_sha256: sha256(&content), bytes })
}

struct Existing {
    bytes: Vec<u8>,
    permissions: u32,
    file: OwnedFd,
}

/// Replaces the one place where `old` stands.
fn edited(path: &str, text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, FileError> {
    let utf8 = |bytes| {
        std::str::from_utf8(bytes).map_err(|_| FileError::NotUtf8 { path: path.to_owned() })
    };
    let conflict = |detail: &str| {
        Err(FileError::Conflict { path: path.to_owned(), detail: detail.to_owned() })
    };
    let (text, old, new) = (utf8(text)?, utf8(old)?, utf8(new)?);
    if old.is_empty() {
        return conflict("the text to replace is empty");
    }
    let Some((before, after)) = text.split_once(old) else {
        return conflict("the text to replace does not occur in it");
    };
    // A second place may overlap the first.
    let next = before.len() + old.chars().next().map_or(1, char::len_utf8);
    if text.get(next..).is_some_and(|rest| rest.contains(old)) {
        return conflict("the text to replace occurs more than once in it");
    }
    Ok([before, new, after].concat().into_bytes())
}

/// Writes beside the file and puts the result in its place in one step.
fn put(
    root: &OwnedFd,
    path: &str,
    existing: Option<&Existing>,
    content: &[u8],
) -> Result<(), FileError> {
    let fail = |errno: Errno| failure(path, errno);
    // A symbolic link stays one: what it leads to is written.
    let real = match existing {
        Some(existing) => real_path(root, path, existing)?,
        None => path.to_owned(),
    };
    let (parent, name) = real.rsplit_once('/').unwrap_or((".", real.as_str()));
    if matches!(name, "" | "." | "..") {
        return Err(FileError::IsDirectory { path: path.to_owned() });
    }
    let directory = make_directories(root, parent, path)?;
    let temporary = format!(".bailiwick-{}-{name}.new", std::process::id());
    let temporary = temporary.chars().take(200).collect::<String>();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        openat(&directory, temporary.as_str(), flags, Mode::from_raw_mode(0o644)).map_err(fail)?;
    let written = (|| {
        let copy = file.try_clone().map_err(|error| io_failure(path, &error))?;
        File::from(copy).write_all(content).map_err(|error| io_failure(path, &error))?;
        if let Some(existing) = existing {
            fchmod(&file, Mode::from_raw_mode(existing.permissions)).map_err(fail)?;
        }
        fsync(&file).map_err(fail)?;
        match existing {
            Some(_) => renameat(&directory, temporary.as_str(), &directory, name).map_err(fail),
            None => match renameat_with(
                &directory,
                temporary.as_str(),
                &directory,
                name,
                RenameFlags::NOREPLACE,
            ) {
                Err(Errno::EXIST) => {
                    // A symbolic link that leads nowhere, or a file that came meanwhile.
                    let detail = "something else is there already".to_owned();
                    Err(FileError::Conflict { path: path.to_owned(), detail })
                }
                other => other.map_err(fail),
            },
        }
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _second_error = unlinkat(&directory, temporary.as_str(), AtFlags::empty());
    }
    written
}

/// Where an open file is, below the workspace, with no symbolic link on the way.
fn real_path(root: &OwnedFd, path: &str, existing: &Existing) -> Result<String, FileError> {
    let outside = || FileError::OutsideWorkspace { path: path.to_owned() };
    let of = |file: &OwnedFd| {
        let link =
            readlinkat(rustix::fs::CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new());
        link.ok().and_then(|link| link.into_string().ok())
    };
    let inner = match (of(root), of(&existing.file)) {
        (Some(base), Some(real)) => real
            .strip_prefix(&base)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(outside)?
            .to_owned(),
        // Without `/proc` only a path that is no symbolic link can be written.
        _ => path.to_owned(),
    };
    // It may have been moved or removed meanwhile, which the kernel says in words in the link.
    let opened = fstat(&existing.file).map_err(|errno| failure(path, errno))?;
    match statat(root, inner.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if (stat.st_dev, stat.st_ino) == (opened.st_dev, opened.st_ino) => Ok(inner),
        _ => {
            let detail = "it was moved or removed meanwhile".to_owned();
            Err(FileError::Conflict { path: path.to_owned(), detail })
        }
    }
}

/// Opens a directory below the workspace, making what is missing.
fn make_directories(root: &OwnedFd, parent: &str, path: &str) -> Result<OwnedFd, FileError> {
    match open_beneath(root, parent, OFlags::PATH | OFlags::DIRECTORY) {
        Err(FileError::NotFound { .. }) => {}
        Err(FileError::OutsideWorkspace { .. }) => {
            return Err(FileError::OutsideWorkspace { path: path.to_owned() });
        }
        other => return other,
    }
    let (above, name) = parent.rsplit_once('/').unwrap_or((".", parent));
    // INVARIANT: what is opened below by name alone must not lead upwards.
    if matches!(name, "" | "." | "..") {
        return Err(FileError::OutsideWorkspace { path: path.to_owned() });
    }
    let above = make_directories(root, above, path)?;
    match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
        // Made meanwhile, or a symbolic link that leads nowhere: the next step tells.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(failure(path, errno)),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(above.as_fd(), name, flags, Mode::empty()).map_err(|errno| failure(path, errno))
}
