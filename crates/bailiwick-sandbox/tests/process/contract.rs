//! One contract for all tiers: the cases of `cases.toml`, run on each tier that this machine has.
//! A tier that it has not is said aloud, and counted by `cargo xtask test`.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command as HostCommand;

use bailiwick_model::action::Command;
use bailiwick_model::outcome::{EffectError as _, Ended};
use bailiwick_sandbox::{CageConfig, ProcessTier, Tier, Tiers};
use serde::Deserialize;

use super::office::{command, perform, place};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    run: String,
    #[serde(default)]
    argv: Vec<String>,
    control: Option<String>,
    exit: Option<i32>,
    signal: Option<i32>,
    limit: Option<String>,
    stdout: Option<String>,
    stderr: Option<String>,
    /// It exits with another code than 0, and says one of these.
    fails: Option<String>,
    /// It is refused with one of these words, or ended by the limit `pids`.
    refused_or_ended: Option<String>,
    /// The stable code of the error.
    code: Option<String>,
    /// A file of the workspace that is there afterwards.
    leaves: Option<String>,
    #[serde(default)]
    dropped: bool,
    #[serde(default)]
    memory_ends: bool,
    timeout_ms: Option<u64>,
    pids: Option<u64>,
    memory_mib: Option<u64>,
    output_total_mib: Option<u64>,
    disk_mib: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// A host with something to steal and somebody to talk to.
struct Host {
    outside: std::path::PathBuf,
    listener: TcpListener,
}

impl Host {
    fn fill_in(&self, text: &str) -> String {
        let port = self.listener.local_addr().unwrap().port();
        text.replace("{outside}", self.outside.to_str().unwrap())
            .replace("{port}", &port.to_string())
            .replace("{pid}", &std::process::id().to_string())
    }
}

pub(crate) fn skip(what: &str, tier: Tier, why: &str) {
    let line = format!("SKIPPED: {what} on tier `{tier}`: {why}\n");
    // Past the capture of test output: a skip is said aloud.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(log) = std::env::var_os("BAILIWICK_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
}

async fn holds(tier: Tier) {
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    if let Err(missing) = tiers.check(tier).await {
        let (_directory, workspace) = place();
        let error = tiers.open(tier, CageConfig::new(workspace)).await.err();
        // Missing is an error, never another tier.
        assert!(error.is_some_and(|error| error.code() == "sandbox.tier_missing"), "{missing}");
        assert!(!missing.how_to_get.is_empty(), "{missing}");
        return skip("contract", tier, &missing.reason);
    }
    let cases: Cases = toml::from_str(include_str!("contract.toml")).unwrap();
    let (directory, workspace) = place();
    let outside = directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let host = Host { outside, listener: TcpListener::bind(("127.0.0.1", 0)).unwrap() };
    std::fs::write(workspace.join("given"), "given\n").unwrap();
    let mut failures = Vec::new();
    for case in &cases.case {
        if let Err(why) = check(&tiers, tier, &host, &workspace, case).await {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(failures.is_empty(), "tier `{tier}`:\n{}", failures.join("\n"));
}

async fn check(
    tiers: &Tiers,
    tier: Tier,
    host: &Host,
    workspace: &Path,
    case: &Case,
) -> Result<(), String> {
    if let Some(control) = &case.control {
        let output = HostCommand::new("/bin/sh")
            .args(["-c", &host.fill_in(control)])
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("the control run failed: {output:?}"));
        }
    }
    let mut cage = CageConfig::new(workspace);
    if let Some(pids) = case.pids {
        cage.limits.pids = pids;
    }
    cage.limits.memory_bytes = case.memory_mib.unwrap_or(1024) << 20;
    if let Some(mebibytes) = case.output_total_mib {
        cage.limits.output_total_bytes = mebibytes << 20;
    }
    if let Some(mebibytes) = case.disk_mib {
        cage.limits.disk_bytes = mebibytes << 20;
    }
    cage.limits.tmpfs_bytes = 64 << 20;
    let sandbox = tiers.open(tier, cage).await.map_err(|error| error.to_string())?;
    let mut wanted = command(&host.fill_in(&case.run));
    if !case.argv.is_empty() {
        wanted.argv.clone_from(&case.argv);
    }
    let wanted = Command { timeout_ms: case.timeout_ms.unwrap_or(120_000), ..wanted };
    let outcome = match (perform(sandbox.as_ref(), wanted).await, &case.code) {
        (Err(error), Some(code)) if error.code() == *code => return Ok(()),
        (Err(error), _)
            if case.refused_or_ended.is_some()
                && tier == Tier::Gvisor
                && error.code() == "sandbox.runtime" =>
        {
            return Ok(());
        }
        (Err(error), _) => return Err(format!("{} [{}]", error, error.code())),
        (Ok(outcome), Some(_)) => return Err(format!("no error: {outcome:?}")),
        (Ok(outcome), None) => outcome,
    };
    let seen = format!(
        "{:?}, stdout {:?}, stderr {:?}",
        outcome.ended,
        outcome.stdout_text().chars().take(300).collect::<String>(),
        outcome.stderr_text().chars().take(300).collect::<String>()
    );
    let ended = match (&case.exit, &case.signal, &case.limit) {
        (Some(code), ..) => Some(Ended::Exit { code: *code }),
        (_, Some(signal), _) => Some(Ended::Signal { signal: *signal }),
        (.., Some(limit)) => Some(Ended::Limit { limit: limit.clone() }),
        _ => None,
    };
    if ended.is_some_and(|ended| ended != outcome.ended) {
        return Err(seen);
    }
    let same =
        |wanted: &Option<String>, is: String| wanted.as_ref().is_none_or(|wanted| *wanted == is);
    if !same(&case.stdout, outcome.stdout_text()) || !same(&case.stderr, outcome.stderr_text()) {
        return Err(seen);
    }
    if let Some(fails) = &case.fails {
        let text = outcome.output_text();
        if outcome.succeeded() || !fails.split('|').any(|word| text.contains(word)) {
            return Err(seen);
        }
    }
    if let Some(words) = &case.refused_or_ended {
        let text = outcome.output_text();
        let by_limit = outcome.ended == (Ended::Limit { limit: "pids".to_owned() });
        let refused = !outcome.succeeded() || !text.contains("all started");
        if !(by_limit || refused && words.split('|').any(|word| text.contains(word))) {
            return Err(seen);
        }
    }
    if case.dropped && outcome.dropped_bytes() == 0 {
        return Err("nothing was dropped".to_owned());
    }
    if case.memory_ends {
        let said = outcome.limits_reached.iter().any(|limit| limit == "memory");
        let refused = outcome.stderr_text().contains("MemoryError");
        if outcome.succeeded() || !(said || refused) {
            return Err(seen);
        }
    }
    if let Some(file) = &case.leaves
        && !workspace.join(file).is_file()
    {
        return Err(format!("`{file}` is not there"));
    }
    Ok(())
}

#[tokio::test]
async fn the_process_tier_keeps_it() {
    holds(Tier::Process).await;
}

#[tokio::test]
async fn the_container_tier_keeps_it() {
    holds(Tier::Container).await;
}

#[tokio::test]
async fn the_gvisor_tier_keeps_it() {
    holds(Tier::Gvisor).await;
}
