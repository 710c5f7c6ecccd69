//! `bailiwick sandbox …`: a person tries a command in a sandbox of their choice.
//!
//! It is decided by the policy like every command. It belongs to no task and opens no data
//! directory, so its decision and outcome are printed and not kept in a ledger.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_model::action::{Command, Purpose};
use bailiwick_model::outcome::Ended;
use bailiwick_model::path::WorkPath;
use bailiwick_model::subject::{Role, Subject};
use bailiwick_model::tier::TierChoice;
use bailiwick_sandbox::{
    Access, CageConfig, CommandOutcome, Limits, SandboxError, SetupError, Tiers,
};
use bailiwick_warden::ActError;
use serde_json::json;

use crate::arguments::{Common, SandboxRunArguments, SandboxVerb};
use crate::command::trial::{self, Trial};
use crate::command::{Done, Told, configuration, person};
use crate::install_screen::NameScreen;
use crate::{platform, terminal};

impl From<SetupError> for Told {
    fn from(error: SetupError) -> Self {
        let mut message = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            message.push_str(&format!(": {source}"));
        }
        Self { code: error.code().to_owned(), message, hint: error.hint() }
    }
}

pub(crate) async fn run(common: &Common, verb: SandboxVerb) -> Result<Done> {
    match verb {
        SandboxVerb::Run(run) => Box::pin(try_command(common, run)).await,
    }
}

async fn try_command(common: &Common, arguments: SandboxRunArguments) -> Result<Done> {
    let config = configuration(common)?;
    let (tier, reason) = match arguments.tier {
        Some(tier) => (tier, "asked for with `--tier`"),
        None => (config.sandbox.tier, "`sandbox.tier` of the configuration"),
    };
    let process = platform::process_tier(None)?;
    let directory = process.temporary_directory().map_err(Told::from)?;
    let tiers = Tiers::new(process);
    // After the tiers, so that it is gone before the lease under which it was made is given back.
    let place = Trial::at(directory);
    let workspace = place.path().join("workspace");
    prepare(arguments.repo.as_deref(), &workspace).await?;
    let mut cage = CageConfig::new(&workspace);
    if arguments.read_only {
        cage.access = Access::ReadOnly;
    }
    limit(&arguments, &mut cage.limits);
    let limits = cage.limits.clone();
    // Who names a tier gets that one, or is told that policy wants a stronger one.
    let opened = match arguments.tier {
        Some(_) => tiers.open(tier, cage).await,
        None => tiers.open_rising(tier, cage).await,
    };
    let sandbox = opened.map_err(Told::from)?;

    let screen = NameScreen::new(platform::gate_sources(&config)?.index);
    let warden = trial::warden(crate::policies::check(&config.policy).await?)
        .with_install_screen(Arc::new(screen));
    let on_behalf_of = person(common, &config)?;
    let subject =
        Subject { role: Role::Human, on_behalf_of, task: None, subtask: None, session: None };
    let command = Command {
        argv: arguments.command,
        cwd: WorkPath::root(),
        env: BTreeMap::new(),
        purpose: Purpose::Tool,
        network: false,
        timeout_ms: limits.wall_clock_ms,
    };
    let mut context = trial::circumstances()?;
    context.facts.tier = Some(TierChoice::usual(tier, reason));
    let choice = warden.tier(&subject, &context, &command);
    let choice = choice.unwrap_or_else(|| TierChoice::usual(tier, reason));
    let outcome = warden
        .perform(&subject, &context, command, |permit| sandbox.run(permit))
        .await
        .map_err(told)?;
    if common.json {
        terminal::out_json(&report(&choice, &limits, &outcome));
    } else {
        terminal::write_both(&outcome.stdout_bytes(), &outcome.stderr_bytes());
        if let Ended::Limit { limit } = &outcome.ended {
            terminal::say(&format!("bailiwick: ended by its limit `{limit}`"));
        }
    }
    Ok(Done::Code(exit_code(&outcome.ended)))
}

fn told(error: ActError<SandboxError>) -> Told {
    Told { code: error.code(), message: error.to_string(), hint: error.hint() }
}

/// A copy of the repository, or an empty directory: what a person tries never changes the original.
async fn prepare(repo: Option<&Path>, workspace: &Path) -> Result<()> {
    let Some(repo) = repo else {
        return std::fs::create_dir(workspace).context("cannot make the workspace");
    };
    let (from, to) = (repo.to_owned(), workspace.to_owned());
    let copied =
        tokio::task::spawn_blocking(move || bailiwick_sandbox::copy_tree(&from, &to)).await?;
    Ok(copied.map_err(Told::from)?)
}

fn limit(arguments: &SandboxRunArguments, limits: &mut Limits) {
    if let Some(seconds) = arguments.timeout {
        limits.wall_clock_ms = seconds.saturating_mul(1_000);
    }
    if let Some(mebibytes) = arguments.memory {
        limits.memory_bytes = mebibytes.saturating_mul(1 << 20);
    }
    if let Some(pids) = arguments.pids {
        limits.pids = pids;
    }
}

fn report(choice: &TierChoice, limits: &Limits, outcome: &CommandOutcome) -> serde_json::Value {
    json!({
        "tier": choice.tier,
        "isolation": choice.tier.isolation(),
        "reason": choice.reason,
        "rules": choice.rules,
        "ended": outcome.ended,
        "exit_code": exit_code(&outcome.ended),
        "limits": limits,
        "limits_reached": outcome.limits_reached,
        "applied": outcome.applied,
        "not_applied": outcome.not_applied,
        "stdout": outcome.stdout_text(),
        "stderr": outcome.stderr_text(),
        "dropped_bytes": outcome.dropped_bytes(),
        "duration_ms": outcome.duration_ms,
        "cpu_ms": outcome.cpu_ms,
        "peak_memory_bytes": outcome.peak_memory_bytes,
    })
}

/// What a shell would say of such an end: the code, 128 and the signal's number, 124 for a limit.
fn exit_code(ended: &Ended) -> u8 {
    let code = match ended {
        Ended::Exit { code } => *code,
        Ended::Signal { signal } => signal.saturating_add(128),
        Ended::Limit { .. } => 124,
    };
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}
