//! One contract for all tiers: the cases of `cases.toml`, run on each tier that this machine has.
//! A tier that it has not is said aloud, and counted by `cargo xtask test`.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command as HostCommand;

use bailiwick_model::action::Command;
use bailiwick_model::outcome::{EffectError as _, Ended};
use bailiwick_model::tier::TierChoice;
use bailiwick_sandbox::{CageConfig, ProcessTier, Tier, Tiers};
use serde::Deserialize;

use super::office::{asking, command, perform, perform_with, place, trusting};

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
    /// It holds without isolation as well.
    #[serde(default)]
    unguarded: bool,
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
    let there = |case: &&Case| tier != Tier::Worktree || case.unguarded;
    for case in cases.case.iter().filter(there) {
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
    let done = match tier {
        Tier::Worktree => {
            let named = Some(TierChoice::usual(tier, "a test"));
            perform_with(&trusting(), named, sandbox.as_ref(), wanted).await
        }
        _ => perform(sandbox.as_ref(), wanted).await,
    };
    let outcome = match (done, &case.code) {
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

/// What has no isolation is never root's: as root the tier is missing, and the cases are run again
/// as an ordinary user.
#[tokio::test]
async fn the_worktree_tier_keeps_what_it_can() {
    if !again_as_user("contract::the_worktree_tier_keeps_what_it_can") {
        holds(Tier::Worktree).await;
    }
}

#[tokio::test]
async fn without_isolation_nothing_runs_that_no_rule_names() {
    if again_as_user("contract::without_isolation_nothing_runs_that_no_rule_names") {
        return;
    }
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    if let Err(missing) = tiers.check(Tier::Worktree).await {
        return skip("a tier that no rule names", Tier::Worktree, &missing.reason);
    }
    let (_directory, workspace) = place();
    let sandbox = tiers.open_rising(Tier::Worktree, CageConfig::new(&workspace)).await.unwrap();
    let named = |tier| Some(TierChoice::usual(tier, "a test"));
    let runs_on_the_host = |outcome: &bailiwick_sandbox::CommandOutcome| {
        outcome.not_applied.iter().any(|line| line.starts_with("isolation: none"))
    };
    let run = |warden, tier| {
        let sandbox = std::sync::Arc::clone(&sandbox);
        async move { perform_with(&warden, tier, sandbox.as_ref(), command("pwd")).await }
    };
    // Configured, and named by no rule: the process tier.
    let outcome = run(asking("process"), named(Tier::Worktree)).await.unwrap();
    assert!(!runs_on_the_host(&outcome), "{outcome:?}");
    assert_eq!(outcome.stdout_text(), "/workspace\n");
    // No tier is known of: refused.
    let error = run(trusting(), None).await.unwrap_err();
    assert_eq!(error.code(), "sandbox.tier_too_weak");
    // The control: configured and named.
    let outcome = run(trusting(), named(Tier::Worktree)).await.unwrap();
    assert!(runs_on_the_host(&outcome), "{outcome:?}");
    assert_eq!(outcome.stdout_text(), format!("{}\n", workspace.display()));
    // What must not be written can't be kept so.
    let mut cage = CageConfig::new(&workspace);
    cage.access = bailiwick_sandbox::Access::ReadOnly;
    let error = tiers.open(Tier::Worktree, cage).await.unwrap_err();
    assert_eq!(error.code(), "sandbox.tier_missing");
}

/// Runs a test of this file again as somebody who is not root, if somebody is; then it says so.
fn again_as_user(test: &str) -> bool {
    use std::os::unix::process::CommandExt as _;
    /// An id that no distribution gives to anybody.
    const USER: u32 = 60_123;
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let output = HostCommand::new("/proc/self/exe")
        .args(["--exact", test, "--nocapture"])
        .env("HOME", "/nonexistent")
        .env_remove("TMPDIR")
        .env_remove("BAILIWICK_SKIP_LOG")
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{text}");
    for line in text.lines().filter(|line| line.starts_with("SKIPPED: ")) {
        let why = line.rsplit_once(": ").map_or(line, |(_, why)| why);
        skip("the same as an ordinary user", Tier::Worktree, why);
    }
    true
}

#[tokio::test]
async fn as_root_there_is_no_tier_without_isolation() {
    if !rustix::process::geteuid().is_root() {
        return skip("the refusal to root", Tier::Worktree, "these tests do not run as root");
    }
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    let (_directory, workspace) = place();
    let opened = tiers.open(Tier::Worktree, CageConfig::new(workspace)).await;
    assert_eq!(opened.unwrap_err().code(), "sandbox.tier_missing");
    assert!(tiers.check(Tier::Worktree).await.unwrap_err().reason.contains("runs as root"));
}
