//! What an engine is made of.

use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_agent::{Agents, Labeller, Limits, ModelPort};
use bailiwick_forge::EmbeddedForge;
use bailiwick_sandbox::{Tier, Tiers};
use bailiwick_store::Store;
use bailiwick_warden::Warden;

/// The parts, made by the program.
#[derive(Clone)]
pub struct Parts {
    /// Events, projections, blobs.
    pub store: Store,
    /// The one decision point.
    pub warden: Arc<Warden>,
    /// The way to models.
    pub models: Arc<dyn ModelPort>,
    /// The kinds of agents.
    pub agents: Arc<Agents>,
    /// The forge.
    pub forge: Arc<EmbeddedForge>,
    /// The sandbox tiers of this machine.
    pub tiers: Arc<Tiers>,
    /// Names the taint of what an agent reads.
    pub labeller: Labeller,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("warden", &self.warden).finish_non_exhaustive()
    }
}

/// What an operator can choose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many tasks are worked on at once; the others wait their turn.
    pub running_tasks: usize,
    /// Where workspaces and build caches of running tasks lie.
    pub work_dir: PathBuf,
    /// Where fetched dependencies lie, per repository.
    pub dependencies_dir: PathBuf,
    /// Caps of every agent run.
    pub limits: Limits,
    /// Whether the set-up phase may have the host's network to fetch dependencies.
    pub fetch_dependencies: bool,
    /// The sandbox tier of agents, gates and set-up.
    pub tier: Tier,
    /// What gates need from outside: advisories, indexes of names.
    pub gate_sources: bailiwick_gates::Sources,
    /// How the ledger is named in a pull request.
    pub ledger_name: String,
    /// Who is asked when nobody answers a request for approval.
    pub escalation: Option<Escalation>,
    /// How many seconds before a request for approval lapses people are told.
    pub remind_seconds: i64,
}

/// Who is asked when nobody answers a request for approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// After how many seconds.
    pub after_seconds: i64,
    /// The group.
    pub group: String,
}
