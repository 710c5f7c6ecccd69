//! The launcher: the process outside the cage that builds and watches one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::cage::{self, Forked, Host, InitPipes};
use crate::cgroup::Group;
use crate::reply::{CageError, NotApplied, Reply};
use crate::spec::{Cage, CageSpec, Guard, Network};
use crate::supervise::{Supervised, supervise};
use crate::wire::{read_message, write_message};

/// The first argument that turns the program into the launcher. Private to Bailiwick: it gives
/// nobody a right that starting the program does not give them anyway.
pub const MARKER: &str = "__bailiwick-guest";

/// Becomes the launcher when the program was started as one; otherwise gives `None` at once.
///
/// To be called first thing in `main`, before any thread exists. When it gives an exit code,
/// `main` returns it.
pub fn dispatch() -> Option<ExitCode> {
    let is_launcher =
        std::env::args_os().nth(1).is_some_and(|argument| argument == OsStr::new(MARKER));
    is_launcher.then(launch)
}

/// Test programs are no launchers by themselves. With this they are: the C library calls the
/// function before `main`, as it does for everything in `.init_array`.
#[cfg(feature = "test-support")]
#[expect(
    unsafe_code,
    reason = "a function that runs before `main` has to be put into a linker section"
)]
// JUSTIFICATION: the test harness owns `main`, and the launcher must start before it makes threads.
// SAFETY: the section holds pointers to functions of the C calling convention, and this is one.
// The standard library has stored the program's arguments by then (its own entry comes first).
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        if let Some(code) = dispatch() {
            cage::exit(i32::from(code != ExitCode::SUCCESS));
        }
    }
    before_main
};

fn launch() -> ExitCode {
    let (reply, parts) = run().unwrap_or_else(|error| (Reply::Refused(error), Vec::new()));
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let Ok(stdout) = std::io::stdout().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    match write_message(&mut File::from(stdout), &reply, &parts) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever asked is gone. There is nobody left to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> Result<(Reply, Vec<Vec<u8>>), CageError> {
    let stdin =
        std::io::stdin().as_fd().try_clone_to_owned().map_err(CageError::at("standard input"))?;
    let (spec, parts) = read_message::<CageSpec>(&mut File::from(stdin))
        .map_err(|error| CageError::new("reading what to do", error.to_string()))?;
    cage::settle_launcher(&spec.cage)?;
    check(&spec.cage)?;

    let (mut applied, mut not_applied) = (Vec::new(), Vec::new());
    let homes = if spec.cage.has(Guard::Cgroup) { spec.cage.cgroups.as_slice() } else { &[] };
    let group =
        Group::make(homes, &spec.cage.name, &spec.cage.limits, &mut applied, &mut not_applied);
    without_cgroup(&group, &mut not_applied);
    let result = start(&spec, &parts, &group).and_then(|started| supervise(&spec, started, &group));
    group.remove();
    let Supervised { mut reply, parts } = result?;
    if let Reply::Ran { applied: a, not_applied: n, .. }
    | Reply::File { applied: a, not_applied: n, .. } = &mut reply
    {
        a.append(&mut applied);
        n.append(&mut not_applied);
    }
    Ok((reply, parts))
}

/// What stands in for limits that have no cgroup.
fn without_cgroup(group: &Group, not_applied: &mut Vec<NotApplied>) {
    use crate::cgroup::Controller;
    for (controller, name, stand_in) in [
        (
            Controller::Memory,
            "memory of the whole cage",
            "each process is limited instead (RLIMIT_DATA)",
        ),
        (Controller::Pids, "pids cgroup", "processes are counted by user instead (RLIMIT_NPROC)"),
        (
            Controller::Cpu,
            "processor time of the whole cage",
            "each process is limited instead (RLIMIT_CPU)",
        ),
    ] {
        if !group.limits(controller) {
            not_applied.push(NotApplied {
                name: name.to_owned(),
                reason: format!("no cgroup: {stand_in}"),
            });
        }
    }
}

fn check(cage: &Cage) -> Result<(), CageError> {
    let refuse = |detail: &str| Err(CageError::new("checking what to do", detail));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if cage.name.is_empty() || cage.name.len() > 100 || !cage.name.chars().all(plain) {
        return refuse("the cage's name may have letters, digits and `-` only");
    }
    if cage.has(Guard::PayloadUser) && (cage.uid == 0 || cage.gid == 0) {
        return refuse("the payload may not run as root");
    }
    if !cage.workspace.is_absolute() {
        return refuse("the workspace must be an absolute path");
    }
    // On the host's network the port would be the host's.
    if cage.door.is_some() && (cage.network != Network::None || !cage.has(Guard::NetworkNamespace))
    {
        return refuse("only a cage with a network of its own has a door");
    }
    Ok(())
}

/// A cage that stands or is being built.
pub(crate) struct Started {
    pub(crate) init: rustix::process::Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) report: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

fn start(spec: &CageSpec, parts: &[Vec<u8>], group: &Group) -> Result<Started, CageError> {
    let pipe = || {
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| CageError::at("making a pipe")(error.into()))
    };
    let (go, go_writer) = pipe()?;
    let (report, report_writer) = pipe()?;
    let (stdout, stdout_writer) = pipe()?;
    let (stderr, stderr_writer) = pipe()?;
    let stdin = match (&spec.operation, parts.first()) {
        (crate::spec::Operation::Exec { .. }, Some(bytes)) => {
            Some(input(bytes).map_err(CageError::at("standard input"))?)
        }
        _ => None,
    };
    let host = Host::of(&spec.cage);
    // Programs open their own streams again, by names such as `/dev/stdout`.
    for stream in [Some(&stdout_writer), Some(&stderr_writer), stdin.as_ref()].into_iter().flatten()
    {
        host.give(stream).map_err(CageError::at("giving the streams to the payload"))?;
    }
    let forked = cage::clone_init(&spec.cage).map_err(CageError::at("making the namespaces"))?;
    let init = match forked {
        Forked::Child => {
            drop((go_writer, report, stdout, stderr));
            let pipes = InitPipes {
                go,
                report: report_writer,
                stdin,
                stdout: stdout_writer,
                stderr: stderr_writer,
            };
            cage::init(spec, parts, host, pipes)
        }
        Forked::Parent(init) => init,
    };
    drop((go, report_writer, stdout_writer, stderr_writer, stdin));
    let pidfd = pidfd_open(init, PidfdFlags::empty())
        .map_err(|error| CageError::at("watching the cage")(error.into()))?;
    // If it cannot be moved into its cgroup, dropping `go_writer` makes it end without a payload.
    group.attach(init).map_err(CageError::at("moving the cage into its cgroup"))?;
    File::from(go_writer).write_all(b"g").map_err(CageError::at("starting the cage"))?;
    Ok(Started { init, pidfd, report, stdout, stderr })
}

/// Bytes as a file that can be read from its beginning.
fn input(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(bytes)?;
    file.rewind()?;
    file.as_fd().try_clone_to_owned()
}
