//! The process tier: cages made of what the kernel has, without any other program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_guest::cgroup::{self, Detected};
use bailiwick_guest::{
    Access, Answer, Applied, Cage, CageSpec, Ended as GuestEnded, HOME, Limits, Mount, Network,
    NotApplied, Operation, Reply, WriteMode as GuestWrite,
};
use bailiwick_model::action::{
    AgentStart, Command, FileRead, FileWrite, Purpose, ReadMode, WriteMode,
};
use bailiwick_model::outcome::Ended;
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_warden::Permit;

use crate::door::Door;
use crate::environment::{self, Circumstances};
use crate::error::{SandboxError, SetupError};
use crate::launch::{launch, launch_with_door};
use crate::lease::{self, Lease, Orphans};
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};
use crate::probe::Probe;
use crate::protected;
use crate::tier::{Sandbox, Tier, TierDriver, strong_enough};
use crate::toolchains::{self, Toolchains};
use crate::workspace::hand_over;

/// The user and group that payloads have when Bailiwick runs as root: an id that no distribution
/// gives to anybody.
pub const PAYLOAD_ID: u32 = 61_000;

/// The most bytes of lines that one read hands out.
const MAX_READ_BYTES: u64 = 256 << 10;
/// The most entries of a listing.
const MAX_ENTRIES: u32 = 2_000;
/// The most matching lines of a search.
const MAX_MATCHES: u32 = 200;
/// How much of the beginning and of the end of what an agent's program prints is kept: its steps
/// are read from it.
const AGENT_OUTPUT_BYTES: u64 = 12 << 20;
/// The most time that a file operation takes, in milliseconds.
const FILE_OPERATION_MS: u64 = 30_000;

/// How the tier is set up.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// The program that becomes the launcher: one whose `main` calls `bailiwick_guest::dispatch`.
    pub launcher: PathBuf,
    /// The payload's user and group when Bailiwick runs as root; never 0.
    pub payload_id: u32,
    /// What cages get of the host's toolchains.
    pub toolchains: Toolchains,
    /// Where it is written down what has to be removed should this process be killed: below the
    /// data directory, so that nothing of another's is ever looked at.
    pub leases: PathBuf,
}

impl ProcessConfig {
    /// This program as launcher, and the toolchains that are found now (which blocks for as long
    /// as they need to say where they live).
    pub fn discover() -> Self {
        Self {
            launcher: PathBuf::from("/proc/self/exe"),
            payload_id: PAYLOAD_ID,
            toolchains: toolchains::discover(),
            leases: lease::common_home(),
        }
    }
}

/// Whether commands of a cage can ever have the host's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkRule {
    /// Never.
    Never,
    /// A command of [`Purpose::Setup`] that asks for it.
    Setup,
}

/// One workspace and what surrounds it.
#[derive(Debug, Clone)]
pub struct CageConfig {
    /// The absolute path of the workspace. As root everything in it is given to the payload's
    /// user, without following symbolic links.
    pub workspace: PathBuf,
    /// Whether commands and writes may change it (a verifier's may not).
    pub access: Access,
    /// A directory for build caches, outside the workspace, that lasts from command to command.
    pub scratch: Option<PathBuf>,
    /// A directory that keeps what the set-up phase fetches: writable in that phase only, mounted
    /// read-only in place of the host's package caches afterwards.
    pub dependencies: Option<PathBuf>,
    /// What else is visible inside, read-only: the programs of agents.
    pub programs: Vec<Mount>,
    /// The network.
    pub network: NetworkRule,
    /// The limits of each command.
    pub limits: Limits,
    /// Variables added to every command's environment; never a credential.
    pub env: BTreeMap<String, String>,
    /// Guards that are left off, to show in a test what they are good for.
    #[cfg(feature = "test-support")]
    pub off: Vec<bailiwick_guest::Guard>,
}

impl CageConfig {
    /// A writable workspace with the default limits and nothing around it.
    pub fn new(workspace: impl Into<PathBuf>) -> Self {
        Self {
            workspace: workspace.into(),
            access: Access::ReadWrite,
            scratch: None,
            dependencies: None,
            programs: Vec::new(),
            network: NetworkRule::Never,
            limits: default_limits(),
            env: BTreeMap::new(),
            #[cfg(feature = "test-support")]
            off: Vec::new(),
        }
    }
}

/// Limits that a build with its tests does not notice on an ordinary machine.
pub fn default_limits() -> Limits {
    let memory = rustix::system::sysinfo();
    let installed = memory.totalram.saturating_mul(memory.mem_unit.into());
    Limits {
        wall_clock_ms: 600_000,
        cpu_time_ms: 2_400_000,
        memory_bytes: (8 << 30).min(installed / 4 * 3),
        pids: 1_024,
        open_files: 8_192,
        file_size_bytes: 4 << 30,
        tmpfs_bytes: 2 << 30,
        output_bytes: 48 << 10,
        output_total_bytes: 256 << 20,
        disk_bytes: 16 << 30,
    }
}

/// The process tier on this machine.
#[derive(Debug)]
pub struct ProcessTier {
    pub(crate) config: ProcessConfig,
    pub(crate) cgroups: Detected,
    pub(crate) lease: Arc<Lease>,
    orphans: Orphans,
}

impl ProcessTier {
    /// The tier as [`ProcessConfig::discover`] sets it up.
    pub fn new() -> Result<Self, SetupError> {
        Self::with(ProcessConfig::discover())
    }

    /// The tier, with cgroups where this process can have them. Removes first what earlier runs
    /// left whose leases lie in the same place.
    pub fn with(config: ProcessConfig) -> Result<Self, SetupError> {
        if !config.launcher.is_file() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(SetupError::Directory { path: config.launcher, source });
        }
        let (lease, orphans) = Lease::take(&config.leases)?;
        let cgroups = cgroup::detect_as(&lease.name());
        Ok(Self { config, cgroups, lease: Arc::new(lease), orphans })
    }

    /// A new directory outside the data directory, for whoever has none. Should this process be
    /// killed, a later run removes it.
    pub fn temporary_directory(&self) -> Result<PathBuf, SetupError> {
        let failed = |source| SetupError::Directory { path: self.config.leases.clone(), source };
        self.lease.directory().map_err(failed)
    }

    /// What was left of earlier runs when this one began.
    pub fn orphans(&self) -> &Orphans {
        &self.orphans
    }

    /// Opens a workspace. Blocks no thread of the runtime while files are given to the payload.
    pub async fn open_cage(&self, mut cage: CageConfig) -> Result<ProcessSandbox, SetupError> {
        let caches = self.caches(&cage);
        let id = self.config.payload_id;
        let mut directories: Vec<PathBuf> = vec![cage.workspace.clone()];
        directories.extend(cage.scratch.clone());
        directories.extend(
            caches.iter().filter(|cache| cache.fetched).map(|cache| cache.mount.source.clone()),
        );
        let writable = cage.access == Access::ReadWrite;
        let prepared = tokio::task::spawn_blocking(move || -> Result<Vec<String>, SetupError> {
            for (number, directory) in directories.iter().enumerate() {
                prepare(directory, number > 0, id)?;
            }
            let workspace = directories.first().filter(|_| writable);
            workspace.map_or_else(|| Ok(Vec::new()), |workspace| protected::find(workspace))
        });
        let protected = prepared.await.map_err(|error| SetupError::Directory {
            path: cage.workspace.clone(),
            source: error.into(),
        })??;
        for directory in [Some(&mut cage.workspace), cage.scratch.as_mut()].into_iter().flatten() {
            let io = |source| SetupError::Directory { path: directory.clone(), source };
            *directory = directory.canonicalize().map_err(io)?;
        }
        Ok(ProcessSandbox {
            shared: Arc::new(Shared {
                launcher: self.config.launcher.clone(),
                payload_id: id,
                toolchains: self.config.toolchains.clone(),
                cgroups: self.cgroups.clone(),
                lease: Arc::clone(&self.lease),
                caches,
                protected,
                cage,
            }),
        })
    }

    /// Where packages are kept: of this repository when it has a place of its own, else of the host.
    fn caches(&self, cage: &CageConfig) -> Vec<Cache> {
        const FETCHED: [(&str, &str); 5] = [
            ("cargo-registry", ".cargo/registry"),
            ("cargo-git", ".cargo/git"),
            ("go-mod", "go/pkg/mod"),
            ("npm", ".npm"),
            ("pip", ".cache/pip"),
        ];
        let host = self
            .config
            .toolchains
            .caches
            .iter()
            .map(|mount| Cache { mount: mount.clone(), fetched: false });
        let Some(dependencies) = &cage.dependencies else { return host.collect() };
        let fetched = FETCHED.iter().map(|(name, target)| Cache {
            mount: Mount {
                source: dependencies.join(name),
                target: Path::new(HOME).join(target),
                access: Access::ReadOnly,
            },
            fetched: true,
        });
        host.chain(fetched).collect()
    }
}

fn prepare(directory: &Path, make: bool, id: u32) -> Result<(), SetupError> {
    if make {
        let io = |source| SetupError::Directory { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(io)?;
    }
    let is_directory = std::fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir());
    if !directory.is_absolute() || !is_directory {
        return Err(SetupError::NotADirectory { path: directory.to_owned() });
    }
    if rustix::process::geteuid().is_root() { hand_over(directory, id) } else { Ok(()) }
}

#[derive(Debug, Clone)]
struct Cache {
    mount: Mount,
    /// Whether the set-up phase fills it.
    fetched: bool,
}

impl Cache {
    fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.mount.source).map_or(true, |mut entries| entries.next().is_none())
    }
}

/// One workspace in the process tier. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProcessSandbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    launcher: PathBuf,
    payload_id: u32,
    toolchains: Toolchains,
    cgroups: Detected,
    lease: Arc<Lease>,
    caches: Vec<Cache>,
    /// What steers git, pipelines, policy or agents: no command changes it.
    protected: Vec<String>,
    cage: CageConfig,
}

impl Shared {
    fn mounts(&self, network: Network) -> Vec<Mount> {
        let mut mounts = self.toolchains.mounts.clone();
        let fixed = |mount: &Mount| Mount { access: Access::ReadOnly, ..mount.clone() };
        mounts.extend(self.cage.programs.iter().map(fixed));
        mounts.extend(self.cache_mounts(network));
        mounts
    }

    fn cage(&self, network: Network, limits: Limits) -> Cage {
        Cage {
            workspace_access: self.cage.access,
            scratch: self.cage.scratch.clone(),
            mounts: self.mounts(network),
            network,
            cgroups: self.cgroups.homes.clone(),
            #[cfg(feature = "test-support")]
            off: self.cage.off.clone(),
            ..Cage::new(self.lease.name(), self.cage.workspace.clone(), limits, self.payload_id)
        }
    }

    /// During set-up the repository's own caches are filled; afterwards those that hold something
    /// come before the host's.
    fn cache_mounts(&self, network: Network) -> Vec<Mount> {
        let mut mounts: Vec<Mount> = Vec::new();
        for cache in self.caches.iter().filter(|cache| cache.fetched) {
            match network {
                Network::Host => {
                    mounts.push(Mount { access: Access::ReadWrite, ..cache.mount.clone() });
                }
                Network::None if !cache.is_empty() => mounts.push(cache.mount.clone()),
                Network::None => {}
            }
        }
        for cache in self.caches.iter().filter(|cache| !cache.fetched) {
            if !mounts.iter().any(|mount| mount.target == cache.mount.target) {
                mounts.push(cache.mount.clone());
            }
        }
        mounts
    }

    /// A file operation: no toolchains, no network, little time.
    async fn file(&self, operation: Operation, parts: &[&[u8]]) -> Result<Answer, SandboxError> {
        let limits = Limits { wall_clock_ms: FILE_OPERATION_MS, ..self.cage.limits.clone() };
        let cage = Cage { mounts: Vec::new(), scratch: None, ..self.cage(Network::None, limits) };
        let (reply, _) = launch(&self.launcher, &CageSpec { cage, operation }, parts).await?;
        match reply {
            Reply::File { result, .. } => result.map_err(SandboxError::File),
            Reply::FileEnded { ended } => Err(SandboxError::FileEnded { ended }),
            Reply::Refused(error) => Err(SandboxError::Cage(error)),
            Reply::Ran { .. } | Reply::NotStarted { .. } => Err(SandboxError::WrongAnswer),
        }
    }
}

/// Everything that a command needs, whatever tier runs it.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Relative to the workspace.
    pub(crate) cwd: String,
    pub(crate) network: Network,
    pub(crate) limits: Limits,
    /// Toolchains and package caches.
    pub(crate) mounts: Vec<Mount>,
}

impl ProcessSandbox {
    /// What a command needs; the network only if the recorded set-up phase asks for it.
    pub(crate) fn errand(&self, command: &Command) -> Result<Errand, SandboxError> {
        let shared = &self.shared;
        let network = match (command.network, command.purpose, shared.cage.network) {
            (false, ..) => Network::None,
            (true, Purpose::Setup, NetworkRule::Setup) => Network::Host,
            (true, ..) => return Err(SandboxError::NetworkNotAllowed),
        };
        let limits = Limits {
            wall_clock_ms: shared.cage.limits.wall_clock_ms.min(command.timeout_ms),
            ..shared.cage.limits.clone()
        };
        let here = Circumstances {
            scratch: shared.cage.scratch.is_some(),
            network: network == Network::Host,
        };
        let mut env = environment::base(&shared.toolchains, here);
        env.extend(shared.cage.env.clone());
        env.extend(command.env.clone());
        Ok(Errand {
            argv: command.argv.clone(),
            env,
            cwd: command.cwd.as_str().to_owned(),
            network,
            limits,
            mounts: shared.mounts(network),
        })
    }

    /// The workspace and what surrounds it, prepared.
    pub(crate) fn config(&self) -> &CageConfig {
        &self.shared.cage
    }
}

#[async_trait]
impl TierDriver for ProcessTier {
    fn tier(&self) -> Tier {
        Tier::Process
    }

    async fn probe(&self) -> Vec<Probe> {
        self.look().await
    }

    async fn open(&self, cage: CageConfig) -> Result<Arc<dyn Sandbox>, SetupError> {
        Ok(Arc::new(self.open_cage(cage).await?))
    }
}

#[async_trait]
impl Sandbox for ProcessSandbox {
    fn tier(&self) -> Tier {
        Tier::Process
    }

    async fn run(&self, permit: Permit<Command>) -> Result<CommandOutcome, SandboxError> {
        strong_enough(Tier::Process, &permit)?;
        let errand = self.errand(permit.action())?;
        let fixed = self.shared.protected.clone();
        let cage = Cage { fixed, ..self.shared.cage(errand.network, errand.limits) };
        let operation = Operation::Exec { argv: errand.argv, env: errand.env, cwd: errand.cwd };
        let (reply, parts) =
            launch(&self.shared.launcher, &CageSpec { cage, operation }, &[]).await?;
        command_outcome(reply, parts)
    }

    async fn start(
        &self,
        permit: Permit<AgentStart>,
        door: Door<'_>,
    ) -> Result<CommandOutcome, SandboxError> {
        strong_enough(Tier::Process, &permit)?;
        let start = permit.action();
        let program = start.program.as_ref().ok_or(SandboxError::NoProgram)?;
        let shared = &self.shared;
        let limits = Limits {
            wall_clock_ms: shared.cage.limits.wall_clock_ms.min(program.timeout_ms),
            output_bytes: AGENT_OUTPUT_BYTES,
            ..shared.cage.limits.clone()
        };
        let here = Circumstances { scratch: shared.cage.scratch.is_some(), network: false };
        let mut env = environment::base(&shared.toolchains, here);
        env.extend(shared.cage.env.clone());
        env.extend(program.env.clone());
        let cage = Cage {
            door: Some(program.door),
            fixed: shared.protected.clone(),
            ..shared.cage(Network::None, limits)
        };
        let operation = Operation::Exec { argv: program.argv.clone(), env, cwd: ".".to_owned() };
        let spec = CageSpec { cage, operation };
        let stdin = at_hand(&start.instructions)?;
        let (reply, parts) = launch_with_door(&shared.launcher, &spec, &[stdin], &door).await?;
        command_outcome(reply, parts)
    }

    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError> {
        let FileRead { path, mode } = permit.action();
        let path = path.as_str().to_owned();
        let operation = match mode {
            ReadMode::Lines { first, count } => Operation::Read {
                path,
                first_line: u64::from(*first),
                max_lines: u64::from(*count),
                max_bytes: MAX_READ_BYTES,
            },
            ReadMode::List { depth } => Operation::List { path, depth: *depth, max: MAX_ENTRIES },
            ReadMode::Search { pattern } => {
                Operation::Search { path, pattern: pattern.clone(), max: MAX_MATCHES }
            }
        };
        match self.shared.file(operation, &[]).await? {
            Answer::Text { text, total_lines, total_bytes, sha256, cut } => Ok(ReadOutcome::Text {
                text,
                total_lines,
                total_bytes,
                file: digest(&sha256)?,
                cut,
            }),
            Answer::Entries { entries, cut } => Ok(ReadOutcome::Entries { entries, cut }),
            Answer::Matches { matches, cut, files, skipped } => {
                Ok(ReadOutcome::Matches { matches, cut, files, skipped })
            }
            Answer::Written { .. } => Err(SandboxError::WrongAnswer),
        }
    }

    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError> {
        let FileWrite { path, mode } = permit.action();
        let (mode, parts) = match mode {
            WriteMode::Whole { content } => (GuestWrite::Replace, vec![at_hand(content)?]),
            WriteMode::Edit { old, new } => (GuestWrite::Edit, vec![at_hand(old)?, at_hand(new)?]),
        };
        let operation =
            Operation::Write { path: path.as_str().to_owned(), mode, expected_sha256: None };
        match self.shared.file(operation, &parts).await? {
            Answer::Written { before_sha256, after_sha256, bytes } => Ok(WriteOutcome {
                before: before_sha256.as_deref().map(digest).transpose()?,
                after: digest(&after_sha256)?,
                bytes,
            }),
            Answer::Text { .. } | Answer::Entries { .. } | Answer::Matches { .. } => {
                Err(SandboxError::WrongAnswer)
            }
        }
    }
}

fn at_hand(payload: &Payload) -> Result<&[u8], SandboxError> {
    payload.bytes().ok_or(SandboxError::NoContent)
}

fn digest(text: &str) -> Result<Digest, SandboxError> {
    text.parse().map_err(|_| SandboxError::WrongAnswer)
}

/// A command's outcome from the launcher's answer and the output beside it.
pub(crate) fn command_outcome(
    reply: Reply,
    parts: Vec<Vec<u8>>,
) -> Result<CommandOutcome, SandboxError> {
    match reply {
        Reply::Ran {
            ended,
            reached,
            mut stdout,
            mut stderr,
            duration_ms,
            cpu_ms,
            peak_memory_bytes,
            applied,
            not_applied,
        } => {
            let mut parts = parts.into_iter();
            let mut next = || parts.next().unwrap_or_default();
            (stdout.head, stdout.tail, stderr.head, stderr.tail) = (next(), next(), next(), next());
            Ok(CommandOutcome {
                ended: ended_as_recorded(ended),
                limits_reached: reached.iter().map(|limit| limit.name().to_owned()).collect(),
                stdout,
                stderr,
                duration_ms,
                cpu_ms,
                peak_memory_bytes,
                applied: applied
                    .iter()
                    .map(|Applied { name, detail }| format!("{name}: {detail}"))
                    .collect(),
                not_applied: not_applied
                    .iter()
                    .map(|NotApplied { name, reason }| format!("{name}: {reason}"))
                    .collect(),
            })
        }
        Reply::NotStarted { program, detail, errno } => {
            Err(SandboxError::NotStarted { program, detail, errno })
        }
        Reply::Refused(error) => Err(SandboxError::Cage(error)),
        Reply::File { .. } | Reply::FileEnded { .. } => Err(SandboxError::WrongAnswer),
    }
}

fn ended_as_recorded(ended: GuestEnded) -> Ended {
    match ended {
        GuestEnded::Exit { code } => Ended::Exit { code },
        GuestEnded::Signal { signal } => Ended::Signal { signal },
        GuestEnded::Limit { limit } => Ended::Limit { limit: limit.name().to_owned() },
        // We are still here to read it, so it was not us who went away; the pipe did.
        GuestEnded::Abandoned => Ended::Limit { limit: "abandoned".to_owned() },
    }
}
