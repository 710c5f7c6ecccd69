//! The root of the cage: a `tmpfs` with the host's system directories read-only, the workspace,
//! and nothing else of the host.

mod etc;
mod layout;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::mounts::{FIXED, PLAIN, Tree, exists, place};
use super::sys;
use crate::reply::{CageError, NotApplied};
use crate::spec::{Access, Cage, Guard, HOME, Network, SCRATCH, WORKSPACE};
use layout::Layout;

/// Who the payload is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Where the host has programs and libraries. Any of them can be a symbolic link into `/usr`.
/// Of `/nix` the store only: beside it is the socket of a daemon that builds outside the cage.
const SYSTEM: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store"];

/// The device files a payload gets.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What of `/proc` tells about the host or lets it be changed, and is of no use inside.
const MASKED: [&str; 20] = [
    "kcore",
    "keys",
    "key-users",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "sched_debug",
    "latency_stats",
    "kmsg",
    "kallsyms",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "vmallocinfo",
    "slabinfo",
    "modules",
    "iomem",
    "ioports",
    "interrupts",
    "config.gz",
];
/// The same, as directories.
const EMPTIED: [&str; 4] = ["acpi", "scsi", "asound", "driver"];
/// What of `/proc` may be read only.
const FIXED_PROC: [&str; 4] = ["sys", "bus", "fs", "irq"];

/// An open place of the cage's `/proc`, from before it is locked.
#[derive(Debug)]
pub(super) struct ProcHandle {
    /// `/proc/self`.
    pub(super) this: OwnedFd,
    /// `/proc/sys/user`, where further user namespaces are limited.
    pub(super) namespaces: Option<OwnedFd>,
}

/// Builds the root and pivots into it. Gives a handle on `/proc` for what has to be written there
/// later; `None` when there can be no `/proc` here.
pub(super) fn build(
    cage: &Cage,
    owner: Owner,
    not_applied: &mut Vec<NotApplied>,
) -> Result<Option<ProcHandle>, CageError> {
    let at = |step: &'static str| move |error: io::Error| CageError::at(step)(error);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| at("separating the mounts")(error.into()))?;

    let hosts = HostTrees::open(cage)?;
    let options =
        [("mode", "755".to_owned()), ("size", "16M".to_owned()), ("nr_inodes", "4096".to_owned())];
    let root = Tree::new("tmpfs", &options, PLAIN).map_err(at("making the root"))?;
    // The copies of everything that is needed are open, so that it does not matter what the new
    // root covers; the workspace is a directory that certainly exists.
    let cover = rustix::fs::open(
        &cage.workspace,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|error| at("opening the workspace")(error.into()))?;
    let root = root.attach(&cover).map_err(at("placing the root"))?;
    drop(cover);

    let layout = Layout { root: root.as_fd(), owner };
    let handle = fill(cage, &layout, hosts, not_applied)?;
    sys::set_mount_attributes(&root, FIXED, false).map_err(at("closing the root"))?;
    enter(&root).map_err(at("entering the root"))?;
    Ok(handle)
}

/// Makes `root` the root and lets go of the old one.
fn enter(root: &OwnedFd) -> io::Result<()> {
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    // The old root now lies over the new one; taking it off leaves the new one alone.
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    Ok(())
}

/// Everything of the host that will be visible, opened before anything is covered.
struct HostTrees {
    system: Vec<(&'static str, System)>,
    devices: Vec<(&'static str, Tree)>,
    mounts: Vec<(String, Tree)>,
}

enum System {
    Link(String),
    Tree(Tree),
}

impl HostTrees {
    fn open(cage: &Cage) -> Result<Self, CageError> {
        let guarded = |attributes: MountAttrFlags| {
            [
                (Guard::NoSuid, MountAttrFlags::MOUNT_ATTR_NOSUID),
                (Guard::NoDev, MountAttrFlags::MOUNT_ATTR_NODEV),
                (Guard::ReadOnly, MountAttrFlags::MOUNT_ATTR_RDONLY),
            ]
            .into_iter()
            .filter(|(guard, _)| !cage.has(*guard))
            .fold(attributes, |attributes, (_, flag)| attributes.difference(flag))
        };
        let host = |path: &Path, attributes| {
            Tree::of_host(path, attributes)
                .map_err(CageError::at(format!("opening `{}`", path.display())))
        };
        let mut system = Vec::new();
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            match std::fs::read_link(&path) {
                Ok(target) => {
                    system.push((name, System::Link(target.to_string_lossy().into_owned())));
                }
                Err(_) if path.is_dir() => {
                    system.push((name, System::Tree(host(&path, guarded(FIXED))?)));
                }
                Err(_) => {}
            }
        }
        // Device files would be of no use under `nodev`.
        let device = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let devices = DEVICES
            .into_iter()
            .map(|name| Ok((name, host(&Path::new("/dev").join(name), device)?)));
        let devices = devices.collect::<Result<_, CageError>>()?;

        let attributes = |access| match access {
            Access::ReadOnly => guarded(FIXED),
            Access::ReadWrite => guarded(PLAIN),
        };
        let workspace =
            (WORKSPACE.to_owned(), host(&cage.workspace, attributes(cage.workspace_access))?);
        let mut mounts = vec![workspace];
        if let Some(scratch) = &cage.scratch {
            mounts.push((SCRATCH.to_owned(), host(scratch, attributes(Access::ReadWrite))?));
        }
        for mount in &cage.mounts {
            let target = layout::target(&mount.target)?;
            let taken = mounts.iter().any(|(other, _)| {
                Path::new(&target).starts_with(other) || Path::new(other).starts_with(&target)
            });
            if taken {
                return Err(CageError::new(
                    "checking mounts",
                    format!("`{target}` lies within another mount, or around one"),
                ));
            }
            mounts.push((target, host(&mount.source, attributes(mount.access))?));
        }
        Ok(Self { system, devices, mounts })
    }
}

fn fill(
    cage: &Cage,
    layout: &Layout<'_>,
    hosts: HostTrees,
    not_applied: &mut Vec<NotApplied>,
) -> Result<Option<ProcHandle>, CageError> {
    let step = |what: &str| CageError::at(format!("placing `{what}`"));
    for (name, system) in hosts.system {
        match system {
            System::Link(target) => layout.link(&target, name).map_err(step(name))?,
            System::Tree(tree) => layout.attach(tree, name).map_err(step(name))?,
        }
    }
    etc::fill(layout, cage.network == Network::Host, layout.owner)?;
    let tmpfs = |mode: &str, bytes: u64| {
        let options = [
            ("mode", mode.to_owned()),
            ("size", bytes.to_string()),
            ("nr_inodes", "200000".to_owned()),
            ("uid", layout.owner.uid.to_string()),
            ("gid", layout.owner.gid.to_string()),
        ];
        Tree::new("tmpfs", &options, PLAIN)
    };
    // 0 is no limit but the machine's memory.
    let largest = if cage.has(Guard::TmpfsLimits) { cage.limits.tmpfs_bytes } else { 0 };
    for (path, mode) in [("tmp", "1777"), ("home/agent", "700"), ("dev/shm", "1777")] {
        let tree = tmpfs(mode, largest).map_err(step(path))?;
        layout.attach(tree, path).map_err(step(path))?;
    }
    for (name, tree) in hosts.devices {
        layout.attach(tree, &format!("dev/{name}")).map_err(step(name))?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        layout
            .link(&format!("/proc/self/fd{target}"), &format!("dev/{name}"))
            .map_err(step(name))?;
    }
    for path in ["run", "sys", "var", "root", "opt"] {
        layout.directory(path).map_err(step(path))?;
    }
    layout.link("/tmp", "var/tmp").map_err(step("var/tmp"))?;
    let handle = process_tree(cage, layout, not_applied)?;
    for (target, tree) in hosts.mounts {
        let inner = target.trim_start_matches('/');
        if !format!("{target}/").starts_with(&format!("{HOME}/")) && exists(layout.root, inner) {
            return Err(CageError::new("checking mounts", format!("`{target}` is taken")));
        }
        layout.attach(tree, inner).map_err(step(inner))?;
    }
    fix(cage, layout, not_applied)?;
    Ok(handle)
}

/// Mounts parts of the workspace over themselves, read-only. Somebody may be at work in it: what
/// is found is opened without following a link, and nothing is looked up twice.
fn fix(
    cage: &Cage,
    layout: &Layout<'_>,
    not_applied: &mut Vec<NotApplied>,
) -> Result<(), CageError> {
    if cage.workspace_access == Access::ReadOnly || !cage.has(Guard::ReadOnly) {
        return Ok(());
    }
    let workspace = place(layout.root, WORKSPACE.trim_start_matches('/'))
        .map_err(CageError::at("opening the workspace"))?;
    for path in &cage.fixed {
        let left_out = match place(&workspace, path) {
            Err(error) => error,
            Ok(there) => match Tree::of_place(&there, FIXED).and_then(|tree| tree.attach(&there)) {
                Ok(_) => continue,
                // It was removed between two moments. Anything else is a cage that does not hold.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => error,
                Err(error) => return Err(CageError::at(format!("fixing `{path}`"))(error)),
            },
        };
        not_applied.push(NotApplied {
            name: format!("protected path `{path}`"),
            reason: format!("it is not what it was when the workspace was opened ({left_out})"),
        });
    }
    Ok(())
}

/// A `/proc` that shows the cage's own processes only.
fn process_tree(
    cage: &Cage,
    layout: &Layout<'_>,
    not_applied: &mut Vec<NotApplied>,
) -> Result<Option<ProcHandle>, CageError> {
    let step = |what: &str| CageError::at(format!("placing `/proc/{what}`"));
    let attributes = PLAIN | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let hidden = [("hidepid", "invisible".to_owned())];
    let tree = Tree::new("proc", &hidden, attributes)
        .or_else(|_| Tree::new("proc", &[("hidepid", "2".to_owned())], attributes));
    layout.directory("proc").map_err(step(""))?;
    let tree = match tree {
        Ok(tree) => tree,
        // Where parts of the host's own `/proc` are covered (as in most containers), the kernel
        // gives no ordinary user a new one. The host's instead would show the host's processes.
        Err(error) => {
            let reason =
                format!("the kernel refuses a new one ({error}); there is none in the cage");
            not_applied.push(NotApplied { name: "/proc".to_owned(), reason });
            return Ok(None);
        }
    };
    layout.attach(tree, "proc").map_err(step(""))?;
    let open = |path: &str| {
        use rustix::fs::{Mode, OFlags, openat};
        openat(layout.root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let this = open("proc/self").map_err(|error| step("self")(error.into()))?;
    let handle = ProcHandle { this, namespaces: open("proc/sys/user").ok() };
    if !cage.has(Guard::MaskedProc) {
        return Ok(Some(handle));
    }
    for name in MASKED {
        let path = format!("proc/{name}");
        if exists(layout.root, &path) {
            let null = Tree::copy(layout.root, Path::new("dev/null"), FIXED).map_err(step(name))?;
            layout.cover(null, &path).map_err(step(name))?;
        }
    }
    let mut empty = None;
    for name in EMPTIED.into_iter().filter(|name| exists(layout.root, &format!("proc/{name}"))) {
        let tree = match &empty {
            None => Tree::new(
                "tmpfs",
                &[("mode", "555".to_owned()), ("size", "4096".to_owned())],
                FIXED,
            ),
            Some(first) => Tree::copy(first, Path::new("."), FIXED),
        };
        let attached =
            layout.cover(tree.map_err(step(name))?, &format!("proc/{name}")).map_err(step(name))?;
        empty.get_or_insert(attached);
    }
    for name in FIXED_PROC {
        let path = format!("proc/{name}");
        if exists(layout.root, &path) {
            let fixed = FIXED | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            let tree = Tree::copy(layout.root, Path::new(&path), fixed).map_err(step(name))?;
            layout.cover(tree, &path).map_err(step(name))?;
        }
    }
    Ok(Some(handle))
}

/// `/proc/self` of the host, for a cage that has not got its own yet.
pub(super) fn host_process() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, openat};
    Ok(openat(
        CWD,
        "/proc/self",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
