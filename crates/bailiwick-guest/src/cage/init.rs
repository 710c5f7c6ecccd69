//! The init of a cage: builds it around itself, locks itself in, does the operation.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::root::{self, Owner, ProcHandle};
use super::{door, filter, landlock, limits, namespaces, payload, privileges, sys};
use crate::cgroup::Controller;
use crate::files;
use crate::reply::{Applied, CageError, NotApplied};
use crate::spec::{Cage, CageSpec, Guard, Network, Operation};
use crate::supervise::Report;

/// Who started the cage, and who its payload therefore is. To be found out before the fork: in a
/// new user namespace nobody is anybody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host {
    root: bool,
    owner: Owner,
}

impl Host {
    /// Makes a file that has no name belong to the payload.
    pub(crate) fn give(self, file: &OwnedFd) -> std::io::Result<()> {
        if self.root {
            use rustix::process::{Gid, Uid};
            let Owner { uid, gid } = self.owner;
            rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(())
    }

    pub(crate) fn of(cage: &Cage) -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if uid.is_root() {
            return Self { root: true, owner: Owner { uid: cage.uid, gid: cage.gid } };
        }
        Self { root: false, owner: Owner { uid: uid.as_raw(), gid: gid.as_raw() } }
    }
}

/// The ends of the pipes that the init holds.
#[derive(Debug)]
pub(crate) struct InitPipes {
    /// One byte comes when the init is in its cgroup.
    pub(crate) go: OwnedFd,
    /// Takes [`Report`]s.
    pub(crate) report: OwnedFd,
    /// The payload's standard input, when it has one.
    pub(crate) stdin: Option<OwnedFd>,
    /// Its standard output.
    pub(crate) stdout: OwnedFd,
    /// Its standard error.
    pub(crate) stderr: OwnedFd,
}

/// Makes the launcher itself fit to start a cage: no leaked file, no terminal, no one looking in.
pub(crate) fn settle_launcher(cage: &Cage) -> Result<(), CageError> {
    if cage.has(Guard::ClosedFiles) {
        sys::close_from_3(false).map_err(CageError::at("closing inherited files"))?;
    }
    // A reader that goes away must be an error, not the end.
    sys::handle_by_default(libc::SIGPIPE, true);
    privileges::set_visible(false).map_err(CageError::at("hiding the launcher"))?;
    // It fails for a process that leads its group already, and has no terminal then either.
    let _leader_already = rustix::process::setsid();
    Ok(())
}

/// Everything from the fork to the end of the cage.
pub(crate) fn init(spec: &CageSpec, parts: &[Vec<u8>], host: Host, pipes: InitPipes) -> ! {
    let report = Reporter(pipes.report);
    let streams = Streams { stdin: pipes.stdin, stdout: pipes.stdout, stderr: pipes.stderr };
    let code =
        catch_unwind(AssertUnwindSafe(|| live(spec, parts, host, pipes.go, &report, streams)));
    match code {
        Ok(Ok(())) => sys::exit(0),
        Ok(Err(error)) => report.send(&Report::Refused(error)),
        Err(_) => {
            report.send(&Report::Refused(CageError::new("running the cage", "its init panicked")));
        }
    }
    sys::exit(1)
}

/// The way to tell the launcher something.
#[derive(Debug)]
pub(super) struct Reporter(OwnedFd);

impl Reporter {
    pub(super) fn send(&self, report: &Report) {
        let Ok(mut line) = serde_json::to_vec(report) else { return };
        line.push(b'\n');
        // Without a launcher there is nobody to tell, and the cage ends with it anyway.
        if let Ok(pipe) = self.0.as_fd().try_clone_to_owned() {
            drop(File::from(pipe).write_all(&line));
        }
    }

    /// Whether somebody can still read.
    fn is_heard(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok() && fds.iter().all(|fd| fd.revents().is_empty())
    }
}

struct Streams {
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn live(
    spec: &CageSpec,
    parts: &[Vec<u8>],
    host: Host,
    go: OwnedFd,
    report: &Reporter,
    streams: Streams,
) -> Result<(), CageError> {
    die_with_launcher(&spec.cage)?;
    let mut byte = [0u8; 1];
    if File::from(go).read_exact(&mut byte).is_err() {
        // The launcher died or gave up before the cage was in its cgroup.
        return Err(CageError::new("starting the cage", "the launcher gave up"));
    }
    let cage = &spec.cage;
    let way_out = cage.door.map(door::way_out).transpose()?;
    take_streams(streams)?;
    let mut applied = Vec::new();
    let mut not_applied = Vec::new();
    lock_down(cage, host, way_out, &mut applied, &mut not_applied)?;
    if !report.is_heard() {
        sys::exit(1);
    }
    report.send(&Report::Standing { applied, not_applied });
    match &spec.operation {
        Operation::Exec { argv, env, cwd } => payload::run(cage, argv, env, cwd, report),
        Operation::Read { .. }
        | Operation::List { .. }
        | Operation::Search { .. }
        | Operation::Write { .. } => {
            report.send(&Report::File { result: files::perform(&spec.operation, parts) });
            Ok(())
        }
    }
}

fn die_with_launcher(cage: &Cage) -> Result<(), CageError> {
    if !cage.has(Guard::DiesWithLauncher) {
        return Ok(());
    }
    let step =
        |error: rustix::io::Errno| CageError::at("tying the cage to the launcher")(error.into());
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(step)
}

/// Puts the payload's streams at 0, 1 and 2, in place of the launcher's own pipes.
fn take_streams(streams: Streams) -> Result<(), CageError> {
    let step = || CageError::at("connecting the standard streams");
    let stdin = match streams.stdin {
        Some(stdin) => stdin,
        None => File::open("/dev/null").map_err(step())?.into(),
    };
    sys::put_at(stdin, 0).map_err(step())?;
    sys::put_at(streams.stdout, 1).map_err(step())?;
    sys::put_at(streams.stderr, 2).map_err(step())
}

fn lock_down(
    cage: &Cage,
    host: Host,
    way_out: Option<door::WayOut>,
    applied: &mut Vec<Applied>,
    not_applied: &mut Vec<NotApplied>,
) -> Result<(), CageError> {
    let owner = host.owner;
    outer_namespaces(cage, host, applied, not_applied)?;
    if let Some(way_out) = way_out {
        applied.push(known("door", &way_out.open()?));
    }
    let handle = if cage.has(Guard::NewRoot) && cage.has(Guard::MountNamespace) {
        let handle = root::build(cage, owner, not_applied)?;
        applied.push(known("root", "its own, system directories read-only"));
        handle
    } else {
        root::host_process().ok().map(|this| ProcHandle { this, namespaces: None })
    };
    if host.root && cage.has(Guard::PayloadUser) {
        privileges::become_user(owner).map_err(CageError::at("becoming the payload's user"))?;
        privileges::raise_permitted().map_err(CageError::at("becoming the payload's user"))?;
        applied.push(known("user", &format!("{}:{}, not root", owner.uid, owner.gid)));
    }
    inner_namespaces(cage, handle, applied, not_applied)?;

    let has_cgroup = |controller: Controller| {
        cage.cgroups.iter().any(|home| home.controllers.contains(&controller))
    };
    if cage.has(Guard::ProcessLimits) {
        limits::lower(&cage.limits, !has_cgroup(Controller::Memory), has_cgroup(Controller::Pids))
            .map_err(CageError::at("lowering resource limits"))?;
        applied.push(known("rlimits", "cpu, files, file size, processes, no core dump"));
    }
    if cage.has(Guard::NoNewPrivileges) {
        privileges::forbid_new_privileges().map_err(CageError::at("forbidding new privileges"))?;
        applied.push(known("no_new_privs", "set"));
    }
    if cage.has(Guard::Landlock) && cage.has(Guard::NewRoot) && cage.has(Guard::MountNamespace) {
        match landlock::restrict(cage) {
            Ok(landlock) => applied.push(landlock),
            Err(reason) => not_applied.push(reason),
        }
    }
    if cage.has(Guard::NoCapabilities) {
        privileges::drop_capabilities().map_err(CageError::at("dropping capabilities"))?;
        applied.push(known("capabilities", "none, and no way back"));
    } else {
        #[cfg(feature = "test-support")]
        privileges::hand_on_capabilities().map_err(CageError::at("keeping capabilities"))?;
    }
    // Every change of user or capabilities undoes these two, so they come after the last.
    privileges::set_visible(!cage.has(Guard::HiddenInit))
        .map_err(CageError::at("hiding the init"))?;
    die_with_launcher(cage)?;
    if cage.has(Guard::Seccomp) {
        filter::install()?;
        applied.push(known("seccomp", "system call filter"));
    }
    Ok(())
}

/// Settles what the fork made: who we are, the host name, the loopback interface.
fn outer_namespaces(
    cage: &Cage,
    host: Host,
    applied: &mut Vec<Applied>,
    not_applied: &mut Vec<NotApplied>,
) -> Result<(), CageError> {
    let Host { root, owner } = host;
    let mut names = Vec::new();
    for (guard, name) in [
        (Guard::MountNamespace, "mount"),
        (Guard::IpcNamespace, "ipc"),
        (Guard::UtsNamespace, "uts"),
    ] {
        if cage.has(guard) {
            names.push(name);
        }
    }
    if !root {
        privileges::set_visible(true).map_err(CageError::at("mapping the user"))?;
        let process = root::host_process().map_err(CageError::at("opening `/proc/self`"))?;
        namespaces::map_only(process.as_fd(), owner.uid, owner.gid)
            .map_err(CageError::at("mapping the user"))?;
        names.push("user");
        if rustix::process::getgroups()
            .is_ok_and(|groups| groups.iter().any(|group| group.as_raw() != owner.gid))
        {
            let reason =
                "an ordinary user cannot leave them; they count for mounted files only".to_owned();
            not_applied
                .push(NotApplied { name: "dropping supplementary groups".to_owned(), reason });
        }
    }
    if cage.has(Guard::UtsNamespace) {
        rustix::system::sethostname(b"bailiwick")
            .map_err(|error| CageError::at("setting the host name")(error.into()))?;
    }
    if cage.has(Guard::PidNamespace) {
        names.push("pid");
    }
    match cage.network {
        Network::None if cage.has(Guard::NetworkNamespace) => {
            names.push("network");
            sys::loopback_up().map_err(CageError::at("bringing loopback up"))?;
        }
        Network::None => {}
        Network::Host => not_applied.push(NotApplied {
            name: "network namespace".to_owned(),
            reason: "this run was given the host's network".to_owned(),
        }),
    }
    applied.push(known("namespaces", &names.join(", ")));
    Ok(())
}

/// Enters the inner namespaces and closes the way to further ones.
fn inner_namespaces(
    cage: &Cage,
    handle: Option<ProcHandle>,
    applied: &mut Vec<Applied>,
    not_applied: &mut Vec<NotApplied>,
) -> Result<(), CageError> {
    if !cage.has(Guard::MountLock) {
        return Ok(());
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let missing = |reason: String| NotApplied { name: "inner user namespace".to_owned(), reason };
    let Some(handle) = handle else {
        not_applied.push(missing("without `/proc` its user cannot be mapped".to_owned()));
        return Ok(());
    };
    if let Err(error) = namespaces::enter_inner(cage) {
        not_applied.push(missing(format!("the kernel refuses it: {error}")));
        return Ok(());
    }
    privileges::set_visible(true).map_err(CageError::at("mapping the user inside"))?;
    namespaces::map_only(handle.this.as_fd(), uid, gid)
        .map_err(CageError::at("mapping the user inside"))?;
    applied.push(known("inner user namespace", "mount attributes locked"));
    if cage.has(Guard::NoNestedNamespaces) {
        let written = handle
            .namespaces
            .as_ref()
            .map(|directory| namespaces::write(directory.as_fd(), "max_user_namespaces", "0"));
        match written {
            Some(Ok(())) => applied.push(known("nested user namespaces", "none allowed")),
            other => not_applied.push(NotApplied {
                name: "limit on nested user namespaces".to_owned(),
                reason: match other {
                    Some(Err(error)) => {
                        format!("it cannot be set ({error}); the system call filter refuses them")
                    }
                    _ => "the kernel has none; the system call filter refuses them".to_owned(),
                },
            }),
        }
    }
    Ok(())
}

fn known(name: &str, detail: &str) -> Applied {
    Applied { name: name.to_owned(), detail: detail.to_owned() }
}
