//! The tiers of this machine.

use std::sync::Arc;

use crate::container::{ContainerTier, Runtime};
use crate::error::{SetupError, TierMissing};
use crate::probe::Probe;
use crate::process::{CageConfig, ProcessTier};
use crate::tier::{Sandbox, Tier, TierDriver};
use crate::worktree::WorktreeTier;

/// What a tier is worth on this machine.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TierReport {
    /// Which.
    pub tier: Tier,
    /// Whether it can be used.
    pub usable: bool,
    /// What was found.
    pub probes: Vec<Probe>,
}

/// Every tier that this program has, on this machine.
#[derive(Debug, Clone)]
pub struct Tiers {
    drivers: Vec<Arc<dyn TierDriver>>,
}

impl Tiers {
    /// All tiers, around one process tier, which the others use for what is no command.
    pub fn new(process: ProcessTier) -> Self {
        let process = Arc::new(process);
        let container = ContainerTier::new(Runtime::Runc, Arc::clone(&process));
        let gvisor = ContainerTier::new(Runtime::Runsc, Arc::clone(&process));
        let worktree = WorktreeTier::new(Arc::clone(&process));
        let (worktree, container, gvisor) =
            (Arc::new(worktree), Arc::new(container), Arc::new(gvisor));
        Self { drivers: vec![worktree, process, container, gvisor] }
    }

    /// A set of one's own making, for tests.
    pub fn of(drivers: Vec<Arc<dyn TierDriver>>) -> Self {
        Self { drivers }
    }

    /// The driver of a tier, whether or not it works here.
    pub fn driver(&self, tier: Tier) -> Result<&Arc<dyn TierDriver>, TierMissing> {
        self.drivers.iter().find(|driver| driver.tier() == tier).ok_or_else(|| TierMissing {
            tier,
            reason: "this program has no driver for it".to_owned(),
            how_to_get: "choose one that `bailiwick doctor` shows as working".to_owned(),
        })
    }

    /// Whether a tier works here; the error says how to get it.
    pub async fn check(&self, tier: Tier) -> Result<(), TierMissing> {
        let probes = self.driver(tier)?.probe().await;
        missing(tier, &probes).map_or(Ok(()), Err)
    }

    /// Opens a workspace in a tier that works here. Never falls to another tier.
    pub async fn open(&self, tier: Tier, cage: CageConfig) -> Result<Arc<dyn Sandbox>, SetupError> {
        self.driver(tier)?.open(cage).await
    }

    /// What each tier is worth here, the weakest first.
    pub async fn report(&self) -> Vec<TierReport> {
        let mut reports = Vec::new();
        for driver in &self.drivers {
            let (tier, probes) = (driver.tier(), driver.probe().await);
            reports.push(TierReport { tier, usable: missing(tier, &probes).is_none(), probes });
        }
        reports.sort_by_key(|report| report.tier);
        reports
    }
}

/// The first thing that a tier cannot do without and has not.
fn missing(tier: Tier, probes: &[Probe]) -> Option<TierMissing> {
    let probe = probes.iter().find(|probe| probe.needed && !probe.ok)?;
    Some(TierMissing {
        tier,
        reason: format!("{}: {}", probe.name, probe.detail),
        how_to_get: probe.how_to_get.clone().unwrap_or_default(),
    })
}
