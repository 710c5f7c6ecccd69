//! Mounts as open files: made or copied first, restricted next, attached last.
//!
//! A mount that is only an open file cannot be reached by name, so there is no moment in which a
//! path could lead somewhere else than when it was looked at, nor one in which a tree is visible
//! before it is read-only.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat2, statat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::sys;

/// What everything in the cage is mounted with, device files excepted.
pub(super) const PLAIN: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
/// [`PLAIN`] and read-only.
pub(super) const FIXED: MountAttrFlags = PLAIN.union(MountAttrFlags::MOUNT_ATTR_RDONLY);

/// A mount, or a tree of them, that is not attached yet.
pub(super) struct Tree {
    mount: OwnedFd,
    directory: bool,
}

impl Tree {
    /// A private copy of what is mounted at and below `path` (below `at`, when relative).
    pub(super) fn copy(at: impl AsFd, path: &Path, attributes: MountAttrFlags) -> io::Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
            | OpenTreeFlags::AT_NO_AUTOMOUNT;
        let mount = open_tree(at, path, flags)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&mount)?.st_mode);
        if kind == FileType::Symlink {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        sys::set_mount_attributes(&mount, attributes, true)?;
        Ok(Self { mount, directory: kind == FileType::Directory })
    }

    /// A private copy of what an open place is, whatever its path leads to by now.
    pub(super) fn of_place(place: impl AsFd, attributes: MountAttrFlags) -> io::Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let mount = open_tree(place, "", flags)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&mount)?.st_mode);
        sys::set_mount_attributes(&mount, attributes, true)?;
        Ok(Self { mount, directory: kind == FileType::Directory })
    }

    /// A copy of what is at `path` on the host.
    pub(super) fn of_host(path: &Path, attributes: MountAttrFlags) -> io::Result<Self> {
        Self::copy(CWD, path, attributes)
    }

    /// A new file system.
    pub(super) fn new(
        kind: &str,
        options: &[(&str, String)],
        attributes: MountAttrFlags,
    ) -> io::Result<Self> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            fsconfig_set_string(&context, *key, value.as_str())?;
        }
        fsconfig_create(&context)?;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(Self { mount, directory: true })
    }

    /// Whether its root is a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.directory
    }

    /// Attaches it over the file or directory that `target` is, which is never a symbolic link's
    /// destination: `target` was opened without following any.
    pub(super) fn attach(self, target: impl AsFd) -> io::Result<OwnedFd> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.mount, "", target, "", flags)?;
        Ok(self.mount)
    }
}

/// Opens a path below `root` as a place, crossing mounts but no symbolic link.
pub(super) fn place(root: impl AsFd, path: &str) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        resolve,
    )?)
}

/// Whether something is there, of whatever kind.
pub(super) fn exists(root: impl AsFd, path: &str) -> bool {
    statat(root, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
