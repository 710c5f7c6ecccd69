//! Giving a directory to the payload's user.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chownat, openat, statat};
use rustix::process::{Gid, Uid};

use crate::error::SetupError;

/// Makes everything in a directory belong to `id` as user and group. Follows no symbolic link and
/// touches nothing that belongs to it already. Only ever called before a payload is started.
pub(crate) fn hand_over(directory: &Path, id: u32) -> Result<(), SetupError> {
    let io = |source: rustix::io::Errno| SetupError::Directory {
        path: directory.to_owned(),
        source: source.into(),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(CWD, directory, flags, Mode::empty()).map_err(io)?;
    let owner = Owner { uid: Uid::from_raw(id), gid: Gid::from_raw(id) };
    let stat = rustix::fs::fstat(&opened).map_err(io)?;
    if stat.st_uid != id {
        rustix::fs::fchown(&opened, Some(owner.uid), Some(owner.gid)).map_err(io)?;
    }
    owner.take(&opened, directory)
}

struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    fn take(&self, directory: &OwnedFd, path: &Path) -> Result<(), SetupError> {
        let fail = |path: &Path, source: rustix::io::Errno| SetupError::Directory {
            path: path.to_owned(),
            source: source.into(),
        };
        let listing = Dir::read_from(directory).map_err(|errno| fail(path, errno))?;
        for entry in listing {
            let name: CString = entry.map_err(|errno| fail(path, errno))?.file_name().to_owned();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let inner: PathBuf = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let stat = statat(directory, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| fail(&inner, errno))?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if stat.st_uid != self.uid.as_raw() || stat.st_gid != self.gid.as_raw() {
                if kind != FileType::Directory && stat.st_nlink > 1 {
                    return Err(SetupError::SharedFile { path: inner });
                }
                chownat(
                    directory,
                    name.as_c_str(),
                    Some(self.uid),
                    Some(self.gid),
                    AtFlags::SYMLINK_NOFOLLOW,
                )
                .map_err(|errno| fail(&inner, errno))?;
            }
            if kind == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = openat(directory.as_fd(), name.as_c_str(), flags, Mode::empty())
                    .map_err(|errno| fail(&inner, errno))?;
                self.take(&opened, &inner)?;
            }
        }
        Ok(())
    }
}
