//! Namespaces: which ones, and who is who in them.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::thread::UnshareFlags;

use super::sys::{self, Forked};
use crate::spec::{Cage, Guard, Network};

/// Whether this process has the whole machine's root, rather than an ordinary user.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Forks the init of a cage into its outer namespaces. An ordinary user needs a user namespace to
/// be allowed the others.
pub(crate) fn clone_init(cage: &Cage) -> io::Result<Forked> {
    let mut flags = 0;
    for (guard, wanted, flag) in [
        (Guard::MountNamespace, true, libc::CLONE_NEWNS),
        (Guard::IpcNamespace, true, libc::CLONE_NEWIPC),
        (Guard::UtsNamespace, true, libc::CLONE_NEWUTS),
        (Guard::PidNamespace, true, libc::CLONE_NEWPID),
        (Guard::NetworkNamespace, cage.network == Network::None, libc::CLONE_NEWNET),
    ] {
        if wanted && cage.has(guard) {
            flags |= flag;
        }
    }
    if !is_root() {
        flags |= libc::CLONE_NEWUSER;
    }
    sys::fork_into(flags)
}

/// Maps one user and one group to themselves in the user namespace that was just entered.
///
/// `process` is a `/proc/<pid>` directory of this process. Nobody but the owner may do this for a
/// single id without privileges, and never for another id (`user_namespaces(7)`).
pub(super) fn map_only(process: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    // Without this an ordinary user may not map a group: dropping groups could give access.
    write(process, "setgroups", "deny")?;
    write(process, "uid_map", &format!("{uid} {uid} 1"))?;
    write(process, "gid_map", &format!("{gid} {gid} 1"))
}

/// Enters the inner namespaces; see the module `cage` for why.
pub(super) fn enter_inner(cage: &Cage) -> io::Result<()> {
    let mut flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
    if cage.has(Guard::CgroupNamespace) {
        flags |= UnshareFlags::NEWCGROUP;
    }
    sys::unshare(flags)
}

/// Writes a small file below an open directory of `/proc`, in one write as `/proc` wants it.
pub(super) fn write(directory: BorrowedFd<'_>, name: &str, text: &str) -> io::Result<()> {
    let file = openat(directory, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let written = rustix::io::write(&file, text.as_bytes())?;
    if written == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
