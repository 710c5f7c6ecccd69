//! What the platform itself costs: `cargo bench -p bailiwick --bench platform`.
//!
//! * One action through the warden, decided and durably recorded, alone and with many at once.
//!   (`cargo bench -p bailiwick-store` has the append alone beside its peer, plain `SQLite`.)
//! * The demonstration's wall-clock time, and what of it is neither commands in sandboxes nor git
//!   (the scripted model takes no time): the platform's overhead.
//! * The memory of an idle server.
//!
//! Prints a table; `docs/benchmarks.md` keeps one with the machine it was measured on.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bailiwick_ledger::{LedgerDir, LogKey, LogName};
use bailiwick_model::action::ToolCall;
use bailiwick_model::id::{BranchName, Person, RepoName};
use bailiwick_model::outcome::{EffectError, Outcome, Recorded};
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::PolicySet;
use bailiwick_store::{Store, StoreConfig};
use bailiwick_warden::{Bounds, Warden};
use serde_json::Value;

const ALONE: usize = 1_000;
const AT_ONCE: usize = 128;
const EACH: usize = 200;
const DEMOS: usize = 5;

struct Nothing;

impl Recorded for Nothing {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl EffectError for Never {
    fn code(&self) -> String {
        String::new()
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to see that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(actions())?;
    demonstrations()?;
    idle_server()
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
}

/// The run that acts.
const SESSION: &str = "01980000-0000-7000-8000-0000000000aa";

async fn actions() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let seed = [7u8; 32];
    let store = Store::open(StoreConfig {
        dir: dir.path().join("store"),
        ledger_dir: dir.path().join("ledger"),
        open_ledger: Box::new(move |path| {
            let name: LogName = "bench".parse()?;
            Ok(LedgerDir::open(path, LogKey::from_seed(name, &seed))?)
        }),
    })?;
    let warden = Arc::new(Warden::new(
        Arc::new(PolicySet::standard()?),
        Arc::new(store.clone()),
        Arc::new(store.clone()),
    ));
    let now = bailiwick_model::Timestamp::now();
    let bounds = Bounds::lasting(86_400, now);
    warden.tokens().hold(SESSION.parse()?, warden.tokens().grant(&bounds, now)?);
    let mut alone = Vec::with_capacity(ALONE);
    for _ in 0..ALONE {
        let begun = Instant::now();
        act(&warden).await?;
        alone.push(begun.elapsed());
    }
    alone.sort_unstable();
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let warden = Arc::clone(&warden);
        tasks.spawn(async move {
            for _ in 0..EACH {
                act(&warden).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let rate = (AT_ONCE * EACH) as f64 / begun.elapsed().as_secs_f64();
    say("| figure | value |");
    say("|---|---|");
    say(&format!(
        "| one action, decide + record + outcome (2 durable appends), p50 / p95 | {:.2} / {:.2} ms |",
        percentile(&alone, 50),
        percentile(&alone, 95)
    ));
    say(&format!("| actions a second, {AT_ONCE} at once (2 durable appends each) | {rate:.0} |"));
    Ok(())
}

async fn act(warden: &Warden) -> Result<()> {
    let subject = Subject {
        role: Role::Implementor,
        on_behalf_of: Person::parse("ada")?,
        task: None,
        subtask: None,
        session: Some(SESSION.parse()?),
    };
    let context = Context {
        repo: RepoName::parse("demo")?,
        protected_branch: BranchName::parse("main")?,
        taint: BTreeSet::new(),
        scope: vec!["**".to_owned()],
        budget_left: MicroUsd(0),
        denials: 0,
        single_user: false,
        approvals: BTreeSet::new(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    };
    let call =
        ToolCall { tool: "finish".to_owned(), arguments: Payload::from("{\"summary\":\"x\"}") };
    let done = warden
        .perform(&subject, &context, call, |permit| async move {
            drop(permit);
            Ok::<Nothing, Never>(Nothing)
        })
        .await;
    done.map(|_| ()).map_err(|error| anyhow::anyhow!("{error}"))
}

fn bailiwick() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bailiwick"))
}

/// A `git` that notes how long the real one took, in microseconds.
fn shim(dir: &Path) -> Result<()> {
    let output = Command::new("sh").args(["-c", "command -v git"]).output()?;
    let real = String::from_utf8(output.stdout)?;
    let script = format!(
        "#!/bin/sh\nb=$(date +%s%N)\n{} \"$@\"\nr=$?\ne=$(date +%s%N)\necho $(( (e - b) / 1000 )) >> {}/git.log\nexit $r\n",
        real.trim(),
        dir.display()
    );
    let path = dir.join("git");
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn demonstrations() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // How long git takes, from runs of their own: noting it costs time that is not the platform's.
    let mut gits = Vec::new();
    for number in 0..DEMOS {
        let tools = dir.path().join(format!("tools{number}"));
        std::fs::create_dir_all(&tools)?;
        shim(&tools)?;
        demo(&dir.path().join(format!("noted{number}")), Some(&tools))?;
        let log = std::fs::read_to_string(tools.join("git.log"))?;
        gits.push(Duration::from_micros(
            log.lines().filter_map(|line| line.parse::<u64>().ok()).sum(),
        ));
    }
    gits.sort_unstable();
    let git = gits.get(DEMOS / 2).copied().unwrap_or_default();
    let (mut walls, mut commands, mut overheads) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..DEMOS {
        let data = dir.path().join(format!("plain{number}"));
        let begun = Instant::now();
        demo(&data, None)?;
        let wall = begun.elapsed();
        let command = Duration::from_millis(command_ms(&data)?);
        walls.push(wall);
        commands.push(command);
        overheads.push(wall.saturating_sub(command).saturating_sub(git));
    }
    for list in [&mut walls, &mut commands, &mut overheads] {
        list.sort_unstable();
    }
    say(&format!(
        "| `demo --yes`, wall-clock, median of {DEMOS} | {:.0} ms |",
        percentile(&walls, 50)
    ));
    say(&format!(
        "| of it commands in sandboxes (the tests), median | {:.0} ms |",
        percentile(&commands, 50)
    ));
    say(&format!("| of it git, median | {:.0} ms |", percentile(&gits, 50)));
    say(&format!(
        "| of it all the rest: the platform's overhead, median | {:.0} ms |",
        percentile(&overheads, 50)
    ));
    Ok(())
}

fn demo(data: &Path, tools: Option<&Path>) -> Result<()> {
    let mut command = bailiwick();
    command.args(["demo", "--yes", "--json", "--data"]).arg(data).stdout(Stdio::null());
    if let Some(tools) = tools {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", tools.display()));
    }
    let status = command.status()?;
    ensure!(status.success(), "the demonstration failed: {status}");
    Ok(())
}

/// The time of all commands in the ledger of a data directory, in milliseconds.
fn command_ms(data: &Path) -> Result<u64> {
    let mut sum = 0;
    let mut waiting = vec![data.join("ledger/events")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path)?.filter_map(|entry| Some(entry.ok()?.path())));
            continue;
        }
        for line in std::fs::read_to_string(&path)?.lines() {
            let (_, json) = line.split_once(' ').context("not a ledger line")?;
            let entry: Value = serde_json::from_str(json)?;
            if entry.pointer("/event/result/outcome").and_then(Value::as_str) == Some("command") {
                sum +=
                    entry.pointer("/event/result/duration_ms").and_then(Value::as_u64).unwrap_or(0);
            }
        }
    }
    Ok(sum)
}

fn idle_server() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = bailiwick()
        .args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"])
        .arg(dir.path().join("data"))
        .stdout(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(3));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()));
    server.kill()?;
    server.wait()?;
    let status = status?;
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("unknown").trim();
    say(&format!("| idle `serve`, resident memory | {resident} |"));
    Ok(())
}
