//! The tier `worktree`: no isolation. A command is a process of this machine like any other, in a
//! checkout of its own; for trusted work that mostly reads, where a rule names it.
//!
//! It is never root's: where Bailiwick runs as root there is no such tier. A command's time and its
//! output are bounded, and its process group ends with it. Nothing else is promised, and the
//! outcome says so. Files are read and written in a cage of the process tier, as in every tier.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bailiwick_guest::{Access, Limits, Network, SCRATCH, WORKSPACE};
use bailiwick_model::action::{Command, FileRead, FileWrite};
use bailiwick_model::outcome::Ended;
use bailiwick_warden::Permit;
use rustix::process::{Pid, Signal};
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

use crate::error::{SandboxError, SetupError, TierMissing};
use crate::inside::Keeper;
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};
use crate::probe::{Probe, good};
use crate::process::{CageConfig, Errand, ProcessSandbox, ProcessTier};
use crate::tier::{Sandbox, Tier, TierDriver};

/// What does not hold in this tier, as every outcome and `doctor` say it.
const NOT_THERE: [&str; 5] = [
    "isolation: none in this tier; the command sees and reaches what its user does",
    "network: the host's",
    "limits: time and output only; not memory, processes or disk",
    "system call filter, capabilities, namespaces, Landlock: none",
    "protected paths: what a command does to them is left to the gates in this tier",
];

/// How long is waited for output that something left behind holds open.
const DRAIN: Duration = Duration::from_millis(500);

/// The tier without isolation.
#[derive(Debug)]
pub struct WorktreeTier {
    process: Arc<ProcessTier>,
}

impl WorktreeTier {
    /// The tier, whose files are read and written in cages of `process`.
    pub fn new(process: Arc<ProcessTier>) -> Self {
        Self { process }
    }
}

fn missing() -> Option<TierMissing> {
    rustix::process::geteuid().is_root().then(|| TierMissing {
        tier: Tier::Worktree,
        reason: "Bailiwick runs as root, and a command without isolation would be root's"
            .to_owned(),
        how_to_get: "run Bailiwick as an ordinary user, or use the tier `process`".to_owned(),
    })
}

#[async_trait]
impl TierDriver for WorktreeTier {
    fn tier(&self) -> Tier {
        Tier::Worktree
    }

    async fn probe(&self) -> Vec<Probe> {
        let mut probes = vec![Probe {
            ok: false,
            ..good("isolation", "NONE: only for trusted work, and only where a rule names it")
        }];
        if let Some(TierMissing { reason, how_to_get, .. }) = missing() {
            probes.push(Probe {
                ok: false,
                needed: true,
                how_to_get: Some(how_to_get),
                ..good("user", &reason)
            });
        }
        // What files are read and written with, where it is missing.
        probes.extend(
            self.process.look().await.into_iter().filter(|probe| probe.needed && !probe.ok),
        );
        probes
    }

    async fn open(&self, cage: CageConfig) -> Result<Arc<dyn Sandbox>, SetupError> {
        if let Some(missing) = missing() {
            return Err(SetupError::Missing(missing));
        }
        if cage.access == Access::ReadOnly {
            return Err(SetupError::Missing(TierMissing {
                tier: Tier::Worktree,
                reason: "without isolation nothing keeps a workspace from being written".to_owned(),
                how_to_get: "use the tier `process` for it, which needs no other program"
                    .to_owned(),
            }));
        }
        Ok(Arc::new(WorktreeSandbox { files: self.process.open_cage(cage).await? }))
    }
}

#[derive(Debug)]
struct WorktreeSandbox {
    files: ProcessSandbox,
}

#[async_trait]
impl Sandbox for WorktreeSandbox {
    fn tier(&self) -> Tier {
        Tier::Worktree
    }

    async fn run(&self, permit: Permit<Command>) -> Result<CommandOutcome, SandboxError> {
        // Not even where nothing is known of a tier: this one has to be named.
        if permit.tier() != Some(Tier::Worktree) {
            let asked = permit.tier().unwrap_or(Tier::Process);
            return Err(SandboxError::TierTooWeak { tier: Tier::Worktree, asked });
        }
        let errand = self.files.errand(permit.action())?;
        // A set-up command fetches what later sessions build on.
        if errand.network == Network::Host {
            return Err(SandboxError::NetworkNotAllowed);
        }
        self.on_the_host(errand).await
    }

    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError> {
        self.files.read(permit).await
    }

    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError> {
        self.files.write(permit).await
    }
}

impl WorktreeSandbox {
    /// Starts a process in a group of its own.
    fn spawn(&self, errand: &Errand) -> Result<Child, SandboxError> {
        let config = self.files.config();
        let (program, arguments) = errand.argv.split_first().ok_or(SandboxError::NoProgram)?;
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .current_dir(config.workspace.join(&errand.cwd))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let scratch = config.scratch.as_ref().unwrap_or(&config.workspace);
        for (name, value) in &errand.env {
            // Where a cage shows directories under names of its own.
            let value = value
                .replace(WORKSPACE, &config.workspace.to_string_lossy())
                .replace(SCRATCH, &scratch.to_string_lossy());
            command.env(name, value);
        }
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true).spawn().map_err(|error| SandboxError::NotStarted {
            program: program.clone(),
            detail: error.to_string(),
            errno: error.raw_os_error().unwrap_or(0),
        })
    }

    async fn on_the_host(&self, errand: Errand) -> Result<CommandOutcome, SandboxError> {
        let mut child = self.spawn(&errand)?;
        let begun = Instant::now();
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let launch = || SandboxError::Launch { source: std::io::Error::other("a pipe is missing") };
        let mut out = child.stdout.take().ok_or_else(launch)?;
        let mut err = child.stderr.take().ok_or_else(launch)?;
        let mut course = Course::new(&errand.limits);
        let deadline =
            tokio::time::Instant::now() + Duration::from_millis(errand.limits.wall_clock_ms);
        let (mut from_out, mut from_err) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let (mut out_open, mut err_open) = (true, true);
        let mut status: Option<ExitStatus> = None;
        let mut drained = None;
        while status.is_none() || out_open || err_open {
            let until = drained.unwrap_or(deadline);
            tokio::select! {
                read = out.read(&mut from_out), if out_open => {
                    out_open = course.take_in(Stream::Out, &from_out, read);
                }
                read = err.read(&mut from_err), if err_open => {
                    err_open = course.take_in(Stream::Err, &from_err, read);
                }
                ended = child.wait(), if status.is_none() => {
                    status = Some(ended.map_err(|source| SandboxError::Launch { source })?);
                    // Whoever was left behind in the group holds the pipes no longer.
                    group.end();
                    drained = Some(tokio::time::Instant::now() + DRAIN);
                }
                () = tokio::time::sleep_until(until) => {
                    if status.is_none() {
                        course.limit = Some("wall_clock");
                    }
                    break;
                }
            }
            if course.limit.is_some() {
                break;
            }
        }
        group.end();
        let status = match status {
            Some(status) => status,
            None => child.wait().await.map_err(|source| SandboxError::Launch { source })?,
        };
        Ok(course.outcome(status, begun.elapsed()))
    }
}

/// A process group that is ended when nobody waits for it any more.
struct Group(Option<Pid>);

impl Group {
    fn end(&self) {
        if let Some(group) = self.0 {
            let _gone_already = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// How a run goes.
struct Course {
    out: Keeper,
    err: Keeper,
    left: u64,
    limit: Option<&'static str>,
}

impl Course {
    fn new(limits: &Limits) -> Self {
        Self {
            out: Keeper::new(limits.output_bytes),
            err: Keeper::new(limits.output_bytes),
            left: limits.output_total_bytes,
            limit: None,
        }
    }

    /// Whether there may be more.
    fn take_in(&mut self, stream: Stream, buffer: &[u8], read: std::io::Result<usize>) -> bool {
        let bytes = read.ok().and_then(|count| buffer.get(..count)).unwrap_or_default();
        match stream {
            Stream::Out => self.out.take_in(bytes),
            Stream::Err => self.err.take_in(bytes),
        }
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => self.left = left,
            None => self.limit = Some("output"),
        }
        !bytes.is_empty()
    }

    fn outcome(self, status: ExitStatus, duration: Duration) -> CommandOutcome {
        let ended = match (self.limit, status.code(), status.signal()) {
            (Some(limit), ..) => Ended::Limit { limit: limit.to_owned() },
            (None, Some(code), _) => Ended::Exit { code },
            (None, None, signal) => Ended::Signal { signal: signal.unwrap_or(0) },
        };
        CommandOutcome {
            ended,
            limits_reached: self.limit.map(str::to_owned).into_iter().collect(),
            stdout: self.out.finish(),
            stderr: self.err.finish(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            cpu_ms: None,
            peak_memory_bytes: None,
            applied: vec!["user: the platform's own, not root".to_owned()],
            not_applied: NOT_THERE.map(str::to_owned).to_vec(),
        }
    }
}
