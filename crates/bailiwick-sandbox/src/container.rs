//! The tiers `container` and `gvisor`: OCI bundles run by `runc` and `runsc`, without a daemon.
//!
//! One container for each command, made of the host's read-only system directories like the cage
//! of the process tier. What is no command (reading and writing files) runs nothing of an agent's
//! and is done in a cage of the process tier over the same workspace.
//!
//! The first process of a container is ours (see [`crate::inside`]): it ends everything as soon as
//! its standard input does, so a container does not outlive the platform.

mod bundle;
mod figures;
mod run;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_guest::cgroup::Detected;
use bailiwick_guest::{Limits, Network};
use bailiwick_model::action::{Command, FileRead, FileWrite};
use bailiwick_warden::Permit;

use crate::error::{SandboxError, SetupError, TierMissing};
use crate::inside;
use crate::lease::Lease;
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};
use crate::probe::{Probe, good};
use crate::process::{CageConfig, Errand, ProcessSandbox, ProcessTier};
use crate::tier::{Sandbox, Tier, TierDriver, strong_enough};

/// Which OCI runtime makes the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// `runc`: containers on the host's kernel.
    Runc,
    /// `runsc`: containers on gVisor's kernel.
    Runsc,
}

impl Runtime {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Runsc => "runsc",
        }
    }

    fn tier(self) -> Tier {
        match self {
            Self::Runc => Tier::Container,
            Self::Runsc => Tier::Gvisor,
        }
    }

    fn how_to_get(self) -> &'static str {
        match self {
            Self::Runc => "`apt-get install runc`",
            Self::Runsc => "`apt-get install runsc`, or a newer one from https://gvisor.dev",
        }
    }
}

/// A tier of containers on this machine.
#[derive(Debug)]
pub struct ContainerTier {
    runtime: Runtime,
    process: Arc<ProcessTier>,
    program: Option<PathBuf>,
    state: Arc<State>,
}

impl ContainerTier {
    /// The tier with the runtime that is on the `PATH`, and a directory for its state below the
    /// temporary directory.
    pub fn new(runtime: Runtime, process: Arc<ProcessTier>) -> Self {
        let program = find(runtime.program());
        let state = Arc::new(State::new(runtime, Arc::clone(&process.lease)));
        Self { runtime, process, program, state }
    }

    fn missing(&self) -> Option<TierMissing> {
        let because = |reason: &str, how_to_get: &str| TierMissing {
            tier: self.runtime.tier(),
            reason: reason.to_owned(),
            how_to_get: how_to_get.to_owned(),
        };
        if self.program.is_none() {
            let reason = format!("there is no `{}` on the PATH", self.runtime.program());
            return Some(because(&reason, self.runtime.how_to_get()));
        }
        if !rustix::process::geteuid().is_root() {
            return Some(because(
                "its containers are made by root, and Bailiwick does not run as root",
                "run Bailiwick as root, or use the tier `process`",
            ));
        }
        if !inside::is_built() {
            return Some(because(
                "this build has no static first process for containers",
                "build Bailiwick where the C library has a static form (Debian: `libc6-dev`)",
            ));
        }
        None
    }

    async fn open_container(&self, cage: CageConfig) -> Result<ContainerSandbox, SetupError> {
        if let Some(missing) = self.missing() {
            return Err(SetupError::Missing(missing));
        }
        let Some(program) = self.program.clone() else {
            return Err(SetupError::NotADirectory { path: PathBuf::new() });
        };
        self.state.make()?;
        let files = self.process.open_cage(cage).await?;
        Ok(ContainerSandbox {
            engine: Arc::new(Engine {
                runtime: self.runtime,
                program,
                state: Arc::clone(&self.state),
                cgroups: self.process.cgroups.clone(),
                payload_id: self.process.config.payload_id,
            }),
            files,
        })
    }

    /// Runs something harmless and says what held.
    async fn try_one(&self, script: &str) -> Result<CommandOutcome, String> {
        let place = self.state.place("probe").map_err(|error| error.to_string())?;
        let sandbox = self
            .open_container(CageConfig::new(&place))
            .await
            .map_err(|error| error.to_string())?;
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let limits = Limits { wall_clock_ms: 30_000, ..sandbox.files.config().limits.clone() };
        let errand = Errand {
            argv,
            env: std::iter::once(("PATH".to_owned(), "/usr/bin:/bin".to_owned())).collect(),
            cwd: ".".to_owned(),
            network: Network::None,
            limits,
            mounts: Vec::new(),
        };
        let ran = sandbox.engine.run(sandbox.files.config(), errand).await;
        ran.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl TierDriver for ContainerTier {
    fn tier(&self) -> Tier {
        self.runtime.tier()
    }

    async fn probe(&self) -> Vec<Probe> {
        let needed = |name: &str, result: Result<String, (String, String)>| match result {
            Ok(detail) => Probe { needed: true, ..good(name, &detail) },
            Err((detail, how)) => Probe {
                name: name.to_owned(),
                ok: false,
                needed: true,
                detail,
                how_to_get: Some(how),
            },
        };
        if let Some(missing) = self.missing() {
            return vec![needed(self.runtime.program(), Err((missing.reason, missing.how_to_get)))];
        }
        let mut probes = vec![needed(self.runtime.program(), Ok(self.version().await))];
        match self.try_one("test \"$(id -u)\" != 0 && ! touch /usr/x 2>/dev/null").await {
            Ok(outcome) if outcome.succeeded() => {
                probes.push(needed("a container", Ok("started, not root, read-only".to_owned())));
                probes.extend(outcome.not_applied.iter().map(|line| {
                    let (name, reason) = line.split_once(": ").unwrap_or((line, ""));
                    Probe { ok: false, ..good(name, reason) }
                }));
            }
            Ok(outcome) => probes.push(needed(
                "a container",
                Err((
                    format!("{:?}: {}", outcome.ended, outcome.output_text()),
                    "see what the runtime's own documentation asks of the host".to_owned(),
                )),
            )),
            Err(error) => probes.push(needed(
                "a container",
                Err((
                    error,
                    "see what the runtime's own documentation asks of the host".to_owned(),
                )),
            )),
        }
        if self.runtime == Runtime::Runsc {
            probes.push(match self.try_one("ls / >/dev/null").await {
                Ok(outcome) if outcome.succeeded() => good("`ls` inside", "works"),
                _ => Probe {
                    ok: false,
                    how_to_get: Some("a newer `runsc` from https://gvisor.dev".to_owned()),
                    ..good(
                        "`ls` inside",
                        "this version of gVisor does not know a flag that newer coreutils use",
                    )
                },
            });
        }
        probes
    }

    async fn open(&self, cage: CageConfig) -> Result<Arc<dyn Sandbox>, SetupError> {
        Ok(Arc::new(self.open_container(cage).await?))
    }
}

impl ContainerTier {
    async fn version(&self) -> String {
        let Some(program) = &self.program else { return String::new() };
        let output = tokio::process::Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .await;
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    }
}

/// One workspace whose commands run in containers.
#[derive(Debug)]
struct ContainerSandbox {
    engine: Arc<Engine>,
    files: ProcessSandbox,
}

#[async_trait]
impl Sandbox for ContainerSandbox {
    fn tier(&self) -> Tier {
        self.engine.runtime.tier()
    }

    async fn run(&self, permit: Permit<Command>) -> Result<CommandOutcome, SandboxError> {
        strong_enough(self.tier(), &permit)?;
        let errand = self.files.errand(permit.action())?;
        self.engine.run(self.files.config(), errand).await
    }

    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError> {
        self.files.read(permit).await
    }

    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError> {
        self.files.write(permit).await
    }
}

/// What makes containers.
#[derive(Debug)]
struct Engine {
    runtime: Runtime,
    program: PathBuf,
    state: Arc<State>,
    cgroups: Detected,
    payload_id: u32,
}

/// A directory with the runtime's state, the first process and the bundles.
#[derive(Debug)]
struct State {
    runtime: Runtime,
    directory: PathBuf,
    lease: Arc<Lease>,
}

impl State {
    fn new(runtime: Runtime, lease: Arc<Lease>) -> Self {
        Self { runtime, directory: lease.path(), lease }
    }

    /// Makes it, once. A directory of that name that somebody else made is an error.
    fn make(&self) -> Result<(), SetupError> {
        use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
        let at = |source| SetupError::Directory { path: self.directory.clone(), source };
        // Anybody may pass through, and nobody but us may list or write: the runtime's own
        // processes have other users in the container's namespace.
        match std::fs::DirBuilder::new().mode(0o711).create(&self.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let metadata = std::fs::symlink_metadata(&self.directory).map_err(at)?;
                let ours =
                    metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
                return if ours { Ok(()) } else { Err(at(error)) };
            }
            Err(error) => return Err(at(error)),
        }
        // For whoever has to end what is in it after us.
        std::fs::write(self.directory.join("runtime"), self.runtime.program()).map_err(at)?;
        inside::install(&self.inside()).map_err(at)
    }

    fn inside(&self) -> PathBuf {
        self.directory.join("inside")
    }

    fn runtime(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn place(&self, name: &str) -> Result<PathBuf, SetupError> {
        self.make()?;
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|source| SetupError::Directory { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run, as the lease stays with it.
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The first program of this name on the `PATH` or where system programs are.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin"].map(PathBuf::from))
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}
