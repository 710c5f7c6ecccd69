//! A workspace whose cages rise: each command runs in the tier that its decision asks for, and
//! never in a weaker one than the workspace was opened in.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::action::{AgentStart, Command, FileRead, FileWrite};
use bailiwick_warden::Permit;
use tokio::sync::Mutex;

use crate::door::Door;
use crate::error::{SandboxError, SetupError};
use crate::outcome::{CommandOutcome, ReadOutcome, WriteOutcome};
use crate::process::CageConfig;
use crate::tier::{Sandbox, Tier};
use crate::tiers::Tiers;

impl Tiers {
    /// Opens a workspace in `lowest`, and in stronger tiers once a decision asks for one. A tier
    /// that is missing is an error of the command that needs it; no weaker one is taken instead.
    pub async fn open_rising(
        &self,
        lowest: Tier,
        cage: CageConfig,
    ) -> Result<Arc<dyn Sandbox>, SetupError> {
        let first = self.open(lowest, cage.clone()).await?;
        let opened = Mutex::new(BTreeMap::from([(lowest, Arc::clone(&first))]));
        Ok(Arc::new(Rising { tiers: self.clone(), cage, first, opened }))
    }
}

#[derive(Debug)]
struct Rising {
    tiers: Tiers,
    cage: CageConfig,
    /// The weakest, where files are read and written.
    first: Arc<dyn Sandbox>,
    /// Each tier that was needed so far.
    opened: Mutex<BTreeMap<Tier, Arc<dyn Sandbox>>>,
}

impl Rising {
    async fn at(&self, asked: Option<Tier>) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let Some(tier) = asked.filter(|tier| *tier > self.first.tier()) else {
            return Ok(Arc::clone(&self.first));
        };
        let mut opened = self.opened.lock().await;
        if let Some(sandbox) = opened.get(&tier) {
            return Ok(Arc::clone(sandbox));
        }
        let missing = |missing| Err(SandboxError::Missing(missing));
        // Looked at by doing: a runtime that is there may still not work.
        if let Err(error) = self.tiers.check(tier).await {
            return missing(error);
        }
        let sandbox = match self.tiers.open(tier, self.cage.clone()).await {
            Ok(sandbox) => sandbox,
            Err(SetupError::Missing(error)) => return missing(error),
            Err(source) => return Err(SandboxError::Open { source }),
        };
        opened.insert(tier, Arc::clone(&sandbox));
        Ok(sandbox)
    }
}

#[async_trait]
impl Sandbox for Rising {
    fn tier(&self) -> Tier {
        self.first.tier()
    }

    async fn run(&self, permit: Permit<Command>) -> Result<CommandOutcome, SandboxError> {
        self.at(permit.tier()).await?.run(permit).await
    }

    async fn start(
        &self,
        permit: Permit<AgentStart>,
        door: Door<'_>,
    ) -> Result<CommandOutcome, SandboxError> {
        self.at(permit.tier()).await?.start(permit, door).await
    }

    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError> {
        self.first.read(permit).await
    }

    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError> {
        self.first.write(permit).await
    }
}
