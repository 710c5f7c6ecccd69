//! Puts the parts together on a data directory.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_agent::Agents;
use bailiwick_engine::{Engine, EngineError, Escalation, Parts, Settings};
use bailiwick_forge::{EmbeddedForge, Platform as ForgePlatform};
use bailiwick_gates::Sources;
use bailiwick_gateway::{Gateway, PriceTable, ProviderConfig, ProviderKind, Scripted};
use bailiwick_git::Ed25519Signer;
use bailiwick_ledger::{LedgerDir, LogKey, LogName, VerifierKey};
use bailiwick_model::event::Fact;
use bailiwick_model::subject::Taint;
use bailiwick_sandbox::{ProcessConfig, ProcessTier, Tiers};
use bailiwick_store::{Store, StoreConfig};
use bailiwick_warden::Warden;

use crate::command::Told;
use crate::config::Config;
use crate::data_dir::{DataDir, random};
use crate::install_screen::NameScreen;
use crate::online_index::OnlineIndexes;
use crate::policies::Policies;

/// A platform at work on a data directory.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) engine: Engine,
    pub(crate) policies: Arc<Policies>,
    pub(crate) dir: DataDir,
    /// The key that others verify the ledger with.
    pub(crate) ledger_key: VerifierKey,
}

/// A script that comes with the program.
pub(crate) struct EmbeddedScript {
    pub(crate) name: &'static str,
    pub(crate) script: Scripted,
}

impl Platform {
    /// Opens a data directory, which nobody else may have open.
    pub(crate) async fn open(
        dir: DataDir,
        config: &Config,
        script: Option<EmbeddedScript>,
    ) -> Result<Self> {
        let ledger_key = ledger_key(&dir)?.verifier().clone();
        let store = open_store(&dir)?;
        let policies = Arc::new(Policies::open(&config.policy, &dir, &store).await?);
        let policy = policies.current().await;
        let wait = i64::from(config.approval.wait_minutes).saturating_mul(60);
        let warden = Warden::new(policy, Arc::new(store.clone()), Arc::new(store.clone()));
        let warden = warden
            .with_safeguards(Arc::new(store.clone()))
            .with_rights(Arc::new(store.clone()))
            .with_approval_seconds(wait);
        let mut gate_sources = gate_sources(config)?;
        let screen = NameScreen::new(gate_sources.index.clone());
        let warden = Arc::new(warden.with_install_screen(Arc::new(screen)));
        gate_sources.remote = OnlineIndexes::open(
            &config.dependencies.online,
            Some(dir.index_answers()),
            Arc::clone(&warden),
        )?;
        announce(&store, ledger_key.name().to_string(), &warden).await?;
        let gateway = Arc::new(gateway(config, script)?);
        let forge = EmbeddedForge::open(&dir.forge(), forge_platform(&dir)?)
            .context("cannot open the forge")?;
        policies.refresh(&forge, &warden, &store).await?;
        clear_work(&dir)?;
        let parts = Parts {
            store,
            warden,
            agents: Arc::new(agents(config, &gateway)?),
            models: Arc::clone(&gateway) as Arc<dyn bailiwick_agent::ModelPort>,
            forge: Arc::new(forge),
            tiers: Arc::new(Tiers::new(process_tier(Some(&dir))?)),
            labeller: Arc::new(label),
        };
        let engine = Engine::new(parts, settings(&dir, config, &ledger_key, gate_sources));
        engine.tell_of_damage().await.map_err(Told::from)?;
        Ok(Self { engine, policies, dir, ledger_key })
    }
}

impl Platform {
    /// Looks at the policy's sources now: a repository that was just imported may have one.
    pub(crate) async fn refresh_policy(&self) -> Result<()> {
        let parts = self.engine.parts();
        self.policies.refresh(&parts.forge, &parts.warden, &parts.store).await
    }
}

/// The sandbox tier of this machine that the others stand on. Removes first what earlier runs on
/// this data directory left behind; without one, what earlier runs without one did.
pub(crate) fn process_tier(dir: Option<&DataDir>) -> Result<ProcessTier> {
    let mut config = ProcessConfig::discover();
    if let Some(dir) = dir {
        config.leases = dir.leases();
    }
    let tier = ProcessTier::with(config).map_err(Told::from)?;
    let orphans = tier.orphans();
    if !orphans.left.is_empty() {
        tracing::error!(%orphans, "an earlier run was cut off, and something of it is still there");
    } else if !orphans.is_empty() {
        tracing::warn!(%orphans, "an earlier run was cut off");
    }
    Ok(tier)
}

/// Removes what the work of an earlier process left on disk. Nothing is lost: a run that is taken
/// up again restores its workspace from the tree of its last step.
fn clear_work(dir: &DataDir) -> Result<()> {
    match std::fs::remove_dir_all(dir.work()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("cannot remove the work of an earlier process")
        }
        _ => Ok(()),
    }
}

/// The ledger's signing key, made on first use.
pub(crate) fn ledger_key(dir: &DataDir) -> Result<LogKey> {
    let path = dir.ledger_key();
    if path.exists() {
        return LogKey::load(&path).context("cannot read the ledger's signing key");
    }
    let name: LogName = format!("bailiwick/{}", hex(&random::<6>()?)).parse()?;
    let key = LogKey::from_seed(name, &random::<32>()?);
    key.save(&path).context("cannot save the ledger's signing key")?;
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_store(dir: &DataDir) -> Result<Store> {
    let keys = dir.clone();
    let config = StoreConfig {
        dir: dir.store(),
        ledger_dir: dir.ledger(),
        open_ledger: Box::new(move |path| {
            let key = ledger_key(&keys)?;
            Ok(LedgerDir::open(path, key)?)
        }),
    };
    #[cfg(feature = "test-support")]
    let store = Store::open_with_faults(config, crate::command::faults()?);
    #[cfg(not(feature = "test-support"))]
    let store = Store::open(config);
    Ok(store?)
}

/// In whose name the forge commits, and with which key it signs.
fn forge_platform(dir: &DataDir) -> Result<ForgePlatform> {
    let signer = Ed25519Signer::new(&dir.signing_seed()?);
    Ok(ForgePlatform::new("Bailiwick", "platform@bailiwick.invalid", Arc::new(signer)))
}

/// Records the beginning of the ledger.
async fn announce(store: &Store, origin: String, warden: &Warden) -> Result<()> {
    if store.head().size == 0 {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let facts = vec![Fact::LedgerOpened { version, origin }];
        warden.record(facts).await.map_err(EngineError::from).map_err(Told::from)?;
    }
    Ok(())
}

pub(crate) fn gateway(config: &Config, script: Option<EmbeddedScript>) -> Result<Gateway> {
    let prices = PriceTable::built_in().context("the price table is not valid")?;
    let gateway =
        Gateway::new(&config.providers, prices).context("the model providers are not usable")?;
    match script {
        Some(embedded) => Ok(gateway.with_script(embedded.name, embedded.script)?),
        None => Ok(gateway),
    }
}

/// The built-in loop, and the programs that the configuration names.
pub(crate) fn agents(config: &Config, gateway: &Arc<Gateway>) -> Result<Agents> {
    let mut agents = Agents::default();
    for agent in &config.agents {
        let gateway = Arc::clone(gateway);
        let program =
            bailiwick_agent::program(&agent.kind, &agent.path, agent.version.as_deref(), gateway);
        let program = program.map_err(|error| Told {
            code: "agent.missing".to_owned(),
            message: error.to_string(),
            hint: error.hint(),
        })?;
        agents = agents.with(Arc::new(program));
    }
    Ok(agents)
}

/// Whether a provider answers from a script.
pub(crate) fn is_scripted(provider: &ProviderConfig) -> bool {
    provider.kind == ProviderKind::Scripted
}

/// What gates and the look at names go by.
pub(crate) fn gate_sources(config: &Config) -> Result<Sources> {
    let mut sources = crate::gate_sources::load(
        config.dependencies.advisories.as_deref(),
        config.dependencies.index.as_deref(),
    )?;
    sources.analysers = crate::gate_sources::load_analysers(&config.gates.analyser)?;
    Ok(sources)
}

fn settings(
    dir: &DataDir,
    config: &Config,
    ledger_key: &VerifierKey,
    gate_sources: Sources,
) -> Settings {
    let mut limits = bailiwick_agent::Limits::STANDARD;
    limits.max_steps = config.task.max_steps;
    limits.context_tokens = config.task.context_tokens;
    limits.max_output_tokens = config.task.max_output_tokens;
    Settings {
        gate_sources,
        running_tasks: config.task.running_tasks,
        work_dir: dir.work(),
        dependencies_dir: dir.dependencies(),
        limits,
        fetch_dependencies: config.setup.fetch_dependencies,
        tier: config.sandbox.tier,
        ledger_name: ledger_key.to_string(),
        remind_seconds: i64::from(config.approval.remind_minutes).saturating_mul(60),
        escalation: config.approval.escalate_to.as_ref().map(|group| Escalation {
            after_seconds: i64::from(config.approval.escalate_minutes).saturating_mul(60),
            group: group.to_string(),
        }),
    }
}

/// Labels text that an agent is about to read.
fn label(text: &str) -> BTreeSet<Taint> {
    use bailiwick_scan::InstructionStrength;
    let mut taint = BTreeSet::new();
    let found = bailiwick_scan::inspect(text.as_bytes());
    let spoken_to =
        found.instructions.iter().any(|found| found.strength >= InstructionStrength::Moderate);
    if spoken_to || !found.hidden.is_empty() {
        taint.insert(Taint::Instructions);
    }
    if !found.secrets.is_empty() {
        taint.insert(Taint::Secret);
    }
    taint
}
