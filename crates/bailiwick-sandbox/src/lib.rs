//! The cages that agents work in.
//!
//! [`Sandbox`] is what the rest of Bailiwick sees: run a command, read files, write a file, each
//! against a [`Permit`](bailiwick_warden::Permit) that only the warden can make and that holds
//! every operand. [`ProcessTier`] is the tier that needs nothing but a Linux kernel.
//!
//! Deliberately absent: any public function that runs a command or touches a workspace file for an
//! agent without a permit. What is public beside the trait is the platform's own preparation:
//! probing the machine, finding toolchains, making a workspace directory.
//!
//! A program that uses [`ProcessTier`] must call `bailiwick_guest::dispatch` first thing in
//! `main`: the launcher of a cage is the program itself, started again.

mod container;
mod copy;
mod door;
mod environment;
mod error;
mod inside;
mod launch;
mod lease;
mod outcome;
mod probe;
mod process;
mod protected;
mod rising;
mod tier;
mod tiers;
pub mod toolchains;
mod workspace;
mod worktree;

pub use bailiwick_guest::{Access, Captured, FileError, Limits, Mount, WORKSPACE};
pub use container::{ContainerTier, Runtime};
pub use copy::copy_tree;
pub use door::{Door, Doorkeeper};
pub use error::{SandboxError, SetupError, TierMissing};
pub use lease::Orphans;
pub use outcome::{CommandOutcome, Entry, Match, ReadOutcome, WriteOutcome};
pub use probe::Probe;
pub use process::{
    CageConfig, NetworkRule, PAYLOAD_ID, ProcessConfig, ProcessSandbox, ProcessTier, default_limits,
};
pub use tier::{Sandbox, Tier, TierDriver, UnknownTier};
pub use tiers::{TierReport, Tiers};
pub use toolchains::Toolchains;
pub use worktree::WorktreeTier;
