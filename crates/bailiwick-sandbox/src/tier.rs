//! What every tier offers.

use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::action::{AgentStart, Command, FileRead, FileWrite};
use bailiwick_warden::Permit;

use crate::door::Door;
use crate::error::{SandboxError, SetupError};
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};
use crate::probe::Probe;
use crate::process::CageConfig;

/// The strength of a sandbox, from the weakest to the strongest. A tier that is missing is an
/// error, never a weaker one instead.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// No isolation: a checkout of its own and nothing more, for trusted work that mostly reads.
    Worktree,
    /// Namespaces, Landlock, seccomp and cgroups or rlimits of the kernel it runs on.
    Process,
    /// An OCI runtime's container on the kernel it runs on.
    Container,
    /// A container whose system calls are answered by gVisor's kernel, not by the host's.
    Gvisor,
    /// A virtual machine with a kernel of its own.
    Microvm,
}

impl Tier {
    /// Every tier, the weakest first.
    pub const ALL: [Self; 5] =
        [Self::Worktree, Self::Process, Self::Container, Self::Gvisor, Self::Microvm];

    /// The name in policies, records and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worktree => "worktree",
            Self::Process => "process",
            Self::Container => "container",
            Self::Gvisor => "gvisor",
            Self::Microvm => "microvm",
        }
    }

    /// What keeps a command in, in a few words.
    pub fn isolation(self) -> &'static str {
        match self {
            Self::Worktree => "no isolation",
            Self::Process => "namespaces, Landlock and seccomp on the host's kernel",
            Self::Container => "an OCI container on the host's kernel",
            Self::Gvisor => "a container on gVisor's user-space kernel",
            Self::Microvm => "a virtual machine with its own kernel",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no tier's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tier `{name}`; there are: {}", Tier::ALL.map(Tier::name).join(", "))]
pub struct UnknownTier {
    /// The name.
    pub name: String,
}

impl std::str::FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|tier| tier.name() == name);
        found.ok_or_else(|| UnknownTier { name: name.to_owned() })
    }
}

/// A tier on this machine: can be looked at, and opens workspaces.
#[async_trait]
pub trait TierDriver: std::fmt::Debug + Send + Sync {
    /// The tier it is.
    fn tier(&self) -> Tier;

    /// What of it works here, found out by doing it.
    async fn probe(&self) -> Vec<Probe>;

    /// Opens a workspace.
    async fn open(&self, cage: CageConfig) -> Result<Arc<dyn Sandbox>, SetupError>;
}

/// One workspace in one cage. Calls may run at the same time; each is a cage of its own over the
/// same workspace.
///
/// Dropping the future of a call ends what it started.
///
/// No call can be made without a permit, which only the warden makes:
///
/// ```compile_fail,E0308
/// # async fn f(sandbox: &dyn bailiwick_sandbox::Sandbox, command: bailiwick_model::action::Command) {
/// sandbox.run(command).await;
/// # }
/// ```
///
/// ```no_run
/// # use bailiwick_warden::Permit;
/// # async fn f(sandbox: &dyn bailiwick_sandbox::Sandbox, permit: Permit<bailiwick_model::action::Command>) {
/// sandbox.run(permit).await;
/// # }
/// ```
#[async_trait]
pub trait Sandbox: std::fmt::Debug + Send + Sync {
    /// The tier it is.
    fn tier(&self) -> Tier;

    /// Runs a command to its end. A command that fails is no error: see [`CommandOutcome::ended`].
    async fn run(&self, permit: Permit<Command>) -> Result<CommandOutcome, SandboxError>;

    /// Runs an agent's program to its end, wholly inside, with the one port as its way out.
    async fn start(
        &self,
        permit: Permit<AgentStart>,
        door: Door<'_>,
    ) -> Result<CommandOutcome, SandboxError> {
        let (_, _) = (permit, door);
        Err(SandboxError::NoDoor { tier: self.tier() })
    }

    /// Reads a file, lists a directory or searches below one.
    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError>;

    /// Writes a file, whole or not at all.
    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError>;
}
