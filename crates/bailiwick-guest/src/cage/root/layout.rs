//! Making the places of the new root, and putting things there.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, fchown, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::super::mounts::{Tree, place};
use super::Owner;
use crate::reply::CageError;
use crate::spec::HOME;

/// The new root while it is being filled. All paths are relative to it and hold plain names only.
pub(super) struct Layout<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) owner: Owner,
}

impl Layout<'_> {
    /// Makes a directory and its missing parents. What is made in the home directory belongs to
    /// the payload, because its programs want to write beside what is mounted there.
    pub(super) fn directory(&self, path: &str) -> io::Result<OwnedFd> {
        let mut directory = self.root.try_clone_to_owned()?;
        let mut so_far = String::new();
        for name in path.split('/') {
            so_far = format!("{so_far}/{name}");
            let made = match mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            directory = place(&directory, name)?;
            if made && so_far.starts_with(&format!("{HOME}/")) {
                let opened = openat(
                    &directory,
                    ".",
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                    Mode::empty(),
                )?;
                fchown(
                    opened,
                    Some(Uid::from_raw(self.owner.uid)),
                    Some(Gid::from_raw(self.owner.gid)),
                )?;
            }
        }
        Ok(directory)
    }

    /// Makes a file that anybody may read.
    pub(super) fn file(&self, path: &str, content: &[u8]) -> io::Result<OwnedFd> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
        let mut rest = content;
        while !rest.is_empty() {
            let written = rustix::io::write(&file, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        drop(file);
        place(&parent, name)
    }

    /// Makes a symbolic link.
    pub(super) fn link(&self, target: &str, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        Ok(symlinkat(target, parent, name)?)
    }

    /// Makes a place for a tree and attaches it there.
    pub(super) fn attach(&self, tree: Tree, path: &str) -> io::Result<()> {
        let target =
            if tree.is_directory() { self.directory(path)? } else { self.file(path, b"")? };
        tree.attach(target).map(drop)
    }

    /// Attaches a tree over something that is there already.
    pub(super) fn cover(&self, tree: Tree, path: &str) -> io::Result<OwnedFd> {
        tree.attach(place(self.root, path)?)
    }

    fn parent<'p>(&self, path: &'p str) -> io::Result<(OwnedFd, &'p str)> {
        Ok(match path.rsplit_once('/') {
            Some((parent, name)) => (self.directory(parent)?, name),
            None => (self.root.as_fd().try_clone_to_owned()?, path),
        })
    }
}

/// Places that belong to the cage itself. A mount at or around one would undo it.
const RESERVED: [&str; 6] = ["/proc", "/dev", "/sys", "/tmp", "/etc", "/usr"];

/// The place of a mount inside, as text, when it is one that can be given away.
pub(super) fn target(path: &Path) -> Result<String, CageError> {
    let refuse =
        |why: &str| Err(CageError::new("checking mounts", format!("`{}` {why}", path.display())));
    let Some(text) = path.to_str() else { return refuse("is not UTF-8") };
    let mut components = path.components();
    let absolute = components.next() == Some(Component::RootDir);
    let plain = components.clone().all(|part| matches!(part, Component::Normal(_)));
    let normal = !text.ends_with('/') && !text.contains("//") && !text.contains("/./");
    if !absolute || !plain || !normal || components.next().is_none() {
        return refuse("is not an absolute path in its shortest form");
    }
    if RESERVED.iter().any(|reserved| path.starts_with(reserved))
        || Path::new(HOME).starts_with(path)
    {
        return refuse("is a place of the cage itself");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_may_not_undo_the_cage() {
        for (path, good) in [
            ("/toolchains/rust", true),
            ("/home/agent/.cargo/registry", true),
            ("/opt/go", true),
            ("/", false),
            ("", false),
            ("toolchains", false),
            ("/toolchains/", false),
            ("/a/../proc", false),
            ("/a/./b", false),
            ("/a//b", false),
            ("/proc/sys", false),
            ("/proc", false),
            ("/etc/passwd", false),
            ("/usr/local", false),
            ("/home", false),
            ("/home/agent", false),
        ] {
            assert_eq!(target(Path::new(path)).is_ok(), good, "{path:?}");
        }
    }
}
