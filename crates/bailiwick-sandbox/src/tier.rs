//! What every tier offers.

use async_trait::async_trait;
use bailiwick_model::action::{Command, FileRead, FileWrite};
use bailiwick_warden::Permit;

use crate::error::SandboxError;
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};

/// The strength of a sandbox. A tier that is missing is an error, never a weaker one instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Namespaces, Landlock, seccomp and cgroups or rlimits of the kernel it runs on.
    Process,
}

impl Tier {
    /// The name in policies, records and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
        }
    }
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

    /// Reads a file, lists a directory or searches below one.
    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError>;

    /// Writes a file, whole or not at all.
    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError>;
}
