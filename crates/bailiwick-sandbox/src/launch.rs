//! Starting a launcher, asking it for one thing, and hearing its answer.
//!
//! Private on purpose: whoever can call this needs no permit.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bailiwick_guest::{CageSpec, MARKER, Reply, WireError, cgroup, read_message, write_message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::error::SandboxError;

/// How long after its own deadline a launcher may be silent.
const GRACE: Duration = Duration::from_secs(15);
/// How much of a launcher's standard error is kept.
const MAX_STDERR_BYTES: u64 = 4096;
/// The most that a launcher may answer.
const MAX_ANSWER_BYTES: u64 = 65 << 20;

#[cfg(feature = "test-support")]
fn has_own_environment(spec: &CageSpec) -> bool {
    !spec.cage.off.contains(&bailiwick_guest::Guard::OwnEnvironment)
}

#[cfg(not(feature = "test-support"))]
fn has_own_environment(_: &CageSpec) -> bool {
    true
}

/// Runs one launcher to its end.
///
/// Safe to cancel: with the future its end of the pipe goes away, upon which the launcher ends the
/// cage, cleans up and exits. The same happens when this process is killed.
pub(crate) async fn launch(
    launcher: &Path,
    spec: &CageSpec,
    parts: &[&[u8]],
) -> Result<(Reply, Vec<Vec<u8>>), SandboxError> {
    let mut message = Vec::new();
    write_message(&mut message, spec, parts)
        .map_err(|source| SandboxError::Launcher { stderr: String::new(), source })?;
    let io = |source| SandboxError::Launch { source };
    let mut command = Command::new(launcher);
    // What is secret in our environment is no business of a process that agents come near to.
    if has_own_environment(spec) {
        command.env_clear();
    }
    let mut child = command
        .arg(MARKER)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let missing = || SandboxError::Launch { source: std::io::Error::other("a pipe is missing") };
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;

    let deadline = Duration::from_millis(spec.cage.limits.wall_clock_ms).saturating_add(GRACE);
    let talk = async {
        // It may exit before it has read everything; its answer or its silence tells more then.
        let sent = stdin.write_all(&message).await;
        let (mut answer, mut complaint) = (Vec::new(), Vec::new());
        let mut stdout = stdout.take(MAX_ANSWER_BYTES);
        let mut stderr = stderr.take(MAX_STDERR_BYTES);
        let (answered, _, status) = tokio::join!(
            stdout.read_to_end(&mut answer),
            stderr.read_to_end(&mut complaint),
            child.wait()
        );
        answered.and(status).map(|_| (answer, complaint, sent))
    };
    let Ok(talked) = tokio::time::timeout(deadline, talk).await else {
        // Its death is the death of the cage; only the cgroup is left to remove.
        let _exited_meanwhile = child.start_kill();
        let _reaped = child.wait().await;
        cgroup::remove(&spec.cage.cgroups, &spec.cage.name);
        return Err(SandboxError::LauncherHung);
    };
    drop(stdin);
    let (answer, complaint, sent) = talked.map_err(io)?;
    let stderr = || String::from_utf8_lossy(&complaint).trim().to_owned();
    let (reply, parts) = read_message(&mut answer.as_slice()).map_err(|source| {
        cgroup::remove(&spec.cage.cgroups, &spec.cage.name);
        match sent {
            Err(error) => SandboxError::Launcher {
                stderr: stderr(),
                source: WireError::Pipe { source: error },
            },
            Ok(()) => SandboxError::Launcher { stderr: stderr(), source },
        }
    })?;
    Ok((reply, parts))
}
