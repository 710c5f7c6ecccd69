//! Starting a launcher, asking it for one thing, and hearing its answer.
//!
//! Private on purpose: whoever can call this needs no permit.

use std::future::Future;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bailiwick_guest::{CageSpec, MARKER, Reply, WireError, cgroup, read_message, write_message};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::door::{Door, Way, served};
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
    let message = encoded(spec, parts)?;
    let io = |source| SandboxError::Launch { source };
    let mut child = spawn(launcher, spec, Stdio::piped()).map_err(io)?;
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let talk = async {
        // It may exit before it has read everything; its answer or its silence tells more then.
        let sent = stdin.write_all(&message).await;
        Ok((hear(&mut child).await?, sent))
    };
    let talked = in_time(spec, talk).await;
    drop(stdin);
    understood(spec, &mut child, talked).await
}

/// The same with a door, which is served for as long as the cage stands.
pub(crate) async fn launch_with_door(
    launcher: &Path,
    spec: &CageSpec,
    parts: &[&[u8]],
    door: &Door<'_>,
) -> Result<(Reply, Vec<Vec<u8>>), SandboxError> {
    let message = encoded(spec, parts)?;
    let io = |source| SandboxError::Launch { source };
    let (mut way, theirs) = Way::open().map_err(io)?;
    let mut child = spawn(launcher, spec, theirs).map_err(io)?;
    let talk = async {
        let sent = way.write_all(&message).await;
        Ok((served(&way, door, hear(&mut child)).await?, sent))
    };
    let talked = in_time(spec, talk).await;
    drop(way);
    understood(spec, &mut child, talked).await
}

fn encoded(spec: &CageSpec, parts: &[&[u8]]) -> Result<Vec<u8>, SandboxError> {
    let mut message = Vec::new();
    write_message(&mut message, spec, parts)
        .map_err(|source| SandboxError::Launcher { stderr: String::new(), source })?;
    Ok(message)
}

fn spawn(launcher: &Path, spec: &CageSpec, stdin: Stdio) -> std::io::Result<Child> {
    let mut command = Command::new(launcher);
    // What is secret in our environment is no business of a process that agents come near to.
    if has_own_environment(spec) {
        command.env_clear();
    }
    command
        .arg(MARKER)
        // It reads its name from what it is told. Here it is for whoever looks for it.
        .arg(&spec.cage.name)
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn missing() -> SandboxError {
    SandboxError::Launch { source: std::io::Error::other("a pipe is missing") }
}

/// What a launcher wrote to its standard output and error.
type Heard = (Vec<u8>, Vec<u8>);

/// Waits for the end of a launcher, and gives what it said.
async fn hear(child: &mut Child) -> Result<Heard, SandboxError> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = (stdout.ok_or_else(missing)?, stderr.ok_or_else(missing)?);
    let (answered, complained, status) = tokio::join!(
        up_to(stdout, MAX_ANSWER_BYTES),
        up_to(stderr, MAX_STDERR_BYTES),
        child.wait()
    );
    let (answer, answered) = answered;
    let io = |source| SandboxError::Launch { source };
    answered.map_err(io)?;
    status.map_err(io)?;
    Ok((answer, complained.0))
}

async fn up_to(pipe: impl AsyncRead + Unpin, bytes: u64) -> (Vec<u8>, std::io::Result<usize>) {
    let mut read = Vec::new();
    let done = pipe.take(bytes).read_to_end(&mut read).await;
    (read, done)
}

/// What was heard, and whether everything could be said.
type Talked = Result<(Heard, std::io::Result<()>), SandboxError>;

/// None when the launcher took longer than its cage may.
async fn in_time(spec: &CageSpec, talk: impl Future<Output = Talked>) -> Option<Talked> {
    let deadline = Duration::from_millis(spec.cage.limits.wall_clock_ms).saturating_add(GRACE);
    tokio::time::timeout(deadline, talk).await.ok()
}

async fn understood(
    spec: &CageSpec,
    child: &mut Child,
    talked: Option<Talked>,
) -> Result<(Reply, Vec<Vec<u8>>), SandboxError> {
    let Some(talked) = talked else {
        // Its death is the death of the cage; only the cgroup is left to remove.
        let _exited_meanwhile = child.start_kill();
        let _reaped = child.wait().await;
        cgroup::remove(&spec.cage.cgroups, &spec.cage.name);
        return Err(SandboxError::LauncherHung);
    };
    let ((answer, complaint), sent) = talked?;
    let stderr = || String::from_utf8_lossy(&complaint).trim().to_owned();
    read_message(&mut answer.as_slice()).map_err(|source| {
        cgroup::remove(&spec.cage.cgroups, &spec.cage.name);
        match sent {
            Err(error) => SandboxError::Launcher {
                stderr: stderr(),
                source: WireError::Pipe { source: error },
            },
            Ok(()) => SandboxError::Launcher { stderr: stderr(), source },
        }
    })
}
