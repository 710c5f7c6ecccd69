//! What every tier offers.

use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::action::{Act, AgentStart, Command, FileRead, FileWrite};
pub use bailiwick_model::tier::{Tier, UnknownTier};
use bailiwick_warden::Permit;

use crate::door::Door;
use crate::error::{SandboxError, SetupError};
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};
use crate::probe::Probe;
use crate::process::CageConfig;

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

/// Refuses what was decided to need a stronger tier than `tier`.
pub(crate) fn strong_enough<A: Act>(tier: Tier, permit: &Permit<A>) -> Result<(), SandboxError> {
    match permit.tier() {
        Some(asked) if asked > tier => Err(SandboxError::TierTooWeak { tier, asked }),
        _ => Ok(()),
    }
}
