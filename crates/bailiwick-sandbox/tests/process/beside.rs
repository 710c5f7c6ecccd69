//! One hostile session beside ten that work: it ends with a reason, they do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bailiwick_model::action::Command;
use bailiwick_model::outcome::{EffectError as _, Ended};
use bailiwick_sandbox::{
    CageConfig, CommandOutcome, ProcessTier, Sandbox, SandboxError, Tier, Tiers,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::contract::skip;
use super::office::{command, perform, place};

/// Sessions that work.
const HEALTHY: u64 = 10;
/// What each of them counts up to in each round.
const TERMS: u64 = 120;

/// A session that is up to no good.
struct Hostile {
    name: &'static str,
    /// Run by `bash`: the shell that opens more than ten files.
    script: &'static str,
    /// The limit that ends it; none for what is refused to it until it gives up.
    limit: Option<&'static str>,
    /// What it says when it was refused.
    refused: &'static str,
}

const HOSTILE: [Hostile; 5] = [
    Hostile {
        name: "a fork bomb",
        script: r#"python3 -c '
import os
while True:
    try:
        os.fork()
    except OSError as error:
        last = error
'; exit 3"#,
        limit: Some("pids"),
        refused: "fork",
    },
    Hostile {
        name: "a disk filler",
        script: "i=0; while :; do head -c 4000000 /dev/zero > full$i; i=$((i+1)); done",
        limit: Some("disk"),
        refused: "No space left",
    },
    Hostile {
        name: "a memory hog",
        script: "tail /dev/zero; exit $?",
        limit: Some("memory"),
        refused: "memory exhausted",
    },
    Hostile { name: "an output flood", script: "yes; exit $?", limit: Some("output"), refused: "" },
    Hostile {
        name: "a descriptor hog",
        script: "while exec {file}</dev/null; do :; done; echo $file opened; exit 3",
        limit: None,
        refused: "Too many open files",
    },
];

/// A place in a tier, kept for as long as it is used.
struct Session {
    sandbox: Arc<dyn Sandbox>,
    _directory: TempDir,
}

impl Session {
    async fn open(tiers: &Tiers, tier: Tier) -> Self {
        let (directory, workspace) = place();
        let mut cage = CageConfig::new(workspace);
        // gVisor's own threads count.
        cage.limits.pids = if tier == Tier::Gvisor { 512 } else { 96 };
        cage.limits.memory_bytes = 192 << 20;
        cage.limits.disk_bytes = 48 << 20;
        cage.limits.tmpfs_bytes = 32 << 20;
        cage.limits.output_total_bytes = 8 << 20;
        cage.limits.open_files = 256;
        Self { sandbox: tiers.open(tier, cage).await.unwrap(), _directory: directory }
    }

    async fn run(&self, wanted: Command) -> Result<CommandOutcome, SandboxError> {
        perform(self.sandbox.as_ref(), wanted).await
    }

    /// Works until the others are done, and at least two rounds.
    async fn work(&self, number: u64, done: &AtomicBool) {
        let mut round = 0;
        while round < 2 || !done.load(Ordering::Acquire) {
            let begin = number * 1_000 + round;
            let script = format!(
                "n=0; s={begin}; while [ $n -lt {TERMS} ]; do n=$((n+1)); s=$((s+n)); echo $s; done > sums{round}; \
                 tail -n 1 sums{round}; wc -l < sums{round}; ls | wc -l; rm -f sums$(({round}-1))"
            );
            let outcome = self.run(command(&script)).await.unwrap();
            let sum = begin + TERMS * (TERMS + 1) / 2;
            let files = if round == 0 { 1 } else { 2 };
            assert_eq!(outcome.ended, Ended::Exit { code: 0 }, "session {number}, round {round}");
            assert_eq!(outcome.stdout_text(), format!("{sum}\n{TERMS}\n{files}\n"));
            assert_eq!((outcome.stderr_text().as_str(), outcome.limits_reached.len()), ("", 0));
            round += 1;
        }
    }

    async fn attack(&self, hostile: &Hostile, word: &str, tier: Tier) {
        let argv = ["/bin/bash", "-c", &format!("{}; : {word}", hostile.script)];
        let wanted = Command { argv: argv.map(str::to_owned).to_vec(), ..command("") };
        let name = hostile.name;
        let outcome = match self.run(wanted).await {
            Ok(outcome) => outcome,
            // gVisor's kernel ends as a whole, before the host's counter can be read.
            Err(error)
                if tier == Tier::Gvisor && matches!(hostile.limit, Some("pids" | "memory")) =>
            {
                return assert_eq!(error.code(), "sandbox.runtime", "{name}: {error}");
            }
            Err(error) => panic!("{name}: {error} [{}]", error.code()),
        };
        let said = outcome.output_text();
        match (&outcome.ended, hostile.limit) {
            // A kernel of its own takes memory for each process, so either may be first.
            (Ended::Limit { limit }, Some("pids")) if tier == Tier::Gvisor => {
                assert!(["pids", "memory"].contains(&limit.as_str()), "{name}: {limit}");
            }
            (Ended::Limit { limit }, Some(wanted)) => assert_eq!(limit, wanted, "{name}"),
            // Without a cgroup each process has its limits, and a bomb the clock.
            (Ended::Limit { limit }, None) => panic!("{name} was ended by {limit}"),
            (ended, limit) => {
                let named = limit.is_none()
                    || outcome.not_applied.iter().any(|line| line.contains("cgroup"))
                    || tier == Tier::Gvisor;
                assert!(
                    named && !outcome.succeeded() && said.contains(hostile.refused),
                    "{name}: {ended:?} {:?} {:?}",
                    outcome.limits_reached,
                    said.chars().take(300).collect::<String>()
                );
            }
        }
    }
}

/// Processes with this word on their command line.
fn processes_with(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(word)).collect()
}

async fn beside(tier: Tier, at_once: bool) {
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    if let Err(missing) = tiers.check(tier).await {
        return skip("hostile sessions beside others", tier, &missing.reason);
    }
    let word = format!("beside-{}-{}", tier.name(), std::process::id());
    let mut turns: Vec<Vec<&'static Hostile>> = Vec::new();
    match at_once {
        true => turns.push(HOSTILE.iter().collect()),
        false => turns.extend(HOSTILE.iter().map(|hostile| vec![hostile])),
    }
    for turn in turns {
        let done = Arc::new(AtomicBool::new(false));
        let mut healthy = JoinSet::new();
        for number in 0..HEALTHY {
            let (session, done) = (Session::open(&tiers, tier).await, Arc::clone(&done));
            healthy.spawn(async move { session.work(number, &done).await });
        }
        let mut attacks = JoinSet::new();
        for hostile in turn {
            let (session, word) = (Session::open(&tiers, tier).await, word.clone());
            attacks.spawn(async move { session.attack(hostile, &word, tier).await });
        }
        while let Some(attacked) = attacks.join_next().await {
            attacked.unwrap();
        }
        done.store(true, Ordering::Release);
        while let Some(worked) = healthy.join_next().await {
            worked.unwrap();
        }
        assert_eq!(processes_with(&word), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_sessions_of_the_process_tier_do_not_notice_one_hostile_one() {
    beside(Tier::Process, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_containers_do_not_notice_five_hostile_ones() {
    beside(Tier::Container, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_sessions_in_gvisor_do_not_notice_five_hostile_ones() {
    beside(Tier::Gvisor, true).await;
}
