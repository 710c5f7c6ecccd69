//! Starting the payload, and being its init until it ends.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::init::Reporter;
use super::sys::{self, Forked};
use crate::reply::CageError;
use crate::spec::{Cage, Guard, WORKSPACE};
use crate::supervise::Report;

/// Runs a program and reports how it ended. The kernel ends everything that it leaves behind as
/// soon as the init, which this is, returns and exits.
pub(super) fn run(
    cage: &Cage,
    argv: &[String],
    env: &BTreeMap<String, String>,
    cwd: &str,
    report: &Reporter,
) -> Result<(), CageError> {
    let program = argv.first().cloned().unwrap_or_default();
    let refuse = |detail: &str| CageError::new("checking the command", detail);
    if program.is_empty() {
        return Err(refuse("it has no program"));
    }
    let text = |text: &str| CString::new(text).map_err(|_| refuse("it has a NUL character"));
    let arguments = argv.iter().map(|argument| text(argument)).collect::<Result<Vec<_>, _>>()?;
    if env.keys().any(|name| name.is_empty() || name.contains('=')) {
        return Err(refuse("a variable's name is empty or has a `=`"));
    }
    let variables = env
        .iter()
        .map(|(name, value)| text(&format!("{name}={value}")))
        .collect::<Result<Vec<_>, _>>()?;
    let inherited = inherited(cage);
    let variables = [variables, inherited].concat();
    let places = lookup(&program, env.get("PATH").map(String::as_str).unwrap_or_default());

    let forked = sys::fork_into(0).map_err(CageError::at("starting the payload"))?;
    let pid = match forked {
        Forked::Child => {
            let error = become_program(cage, &places, &arguments, &variables, cwd);
            let errno = error.raw_os_error().unwrap_or(0);
            report.send(&Report::NotStarted { program, detail: error.to_string(), errno });
            sys::exit(127)
        }
        Forked::Parent(pid) => pid,
    };
    let status = reap_until(pid)?;
    report.send(&match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => Report::Signaled { signal },
        (code, None) => Report::Exited { code: code.unwrap_or(-1) },
    });
    Ok(())
}

/// What a payload has of its launcher's environment: nothing.
fn inherited(cage: &Cage) -> Vec<CString> {
    if cage.has(Guard::OwnEnvironment) {
        return Vec::new();
    }
    std::env::vars()
        .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
        .collect()
}

/// Where a program may be, as `execvp` looks for it.
fn lookup(program: &str, path: &str) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| Path::new(directory).join(program))
        .collect()
}

fn become_program(
    cage: &Cage,
    places: &[PathBuf],
    argv: &[CString],
    env: &[CString],
    cwd: &str,
) -> io::Error {
    if cage.has(Guard::ClosedFiles)
        && let Err(error) = sys::close_from_3(true)
    {
        return error;
    }
    // Whatever was ignored by whoever started us; where it cannot be changed it is not.
    for signal in 1..=64 {
        sys::handle_by_default(signal, false);
    }
    sys::unblock_signals();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if let Err(error) = rustix::process::setsid() {
        return error.into();
    }
    let base = if cage.has(Guard::NewRoot) && cage.has(Guard::MountNamespace) {
        Path::new(WORKSPACE)
    } else {
        cage.workspace.as_path()
    };
    if let Err(error) = rustix::process::chdir(base.join(cwd)) {
        return error.into();
    }
    let mut worst = io::Error::from_raw_os_error(libc::ENOENT);
    for place in places {
        let Ok(path) = CString::new(place.as_os_str().as_bytes()) else { continue };
        let error = sys::execute(&path, argv, env);
        if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) {
            worst = error;
        }
    }
    worst
}

fn reap_until(payload: Pid) -> Result<WaitStatus, CageError> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == payload => return Ok(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(CageError::at("waiting for the payload")(error.into())),
        }
    }
}
