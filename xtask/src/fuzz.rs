//! `cargo xtask fuzz` and `cargo xtask deny`: tools that may not be installed, and what is done
//! without them, said aloud.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::verbs::{cargo, say};

/// The readers of untrusted bytes; a test holds them against `fuzz/targets`.
const TARGETS: [&str; 19] = [
    "command",
    "policy",
    "ledger_text",
    "ledger_proof",
    "git_diff",
    "guest_wire",
    "scan",
    "names",
    "sse",
    "anthropic",
    "openai_chat",
    "openai_responses",
    "gemini",
    "sarif",
    "coverage",
    "mutants",
    "sast",
    "lock_files",
    "index_answers",
];

fn installed(subcommand: &str) -> bool {
    Command::new(env!("CARGO"))
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs each target for some seconds (60 unless told otherwise), or one.
pub(crate) fn run(rest: &[&str]) -> Result<()> {
    let (target, seconds) = match rest {
        [] => (None, 60),
        ["--seconds", seconds] => (None, number(seconds)?),
        [target] => (Some(*target), 60),
        [target, "--seconds", seconds] => (Some(*target), number(seconds)?),
        other => bail!("unknown arguments `{}`; `[TARGET] [--seconds N]`", other.join(" ")),
    };
    let chosen: Vec<&str> =
        TARGETS.into_iter().filter(|name| target.is_none_or(|target| target == *name)).collect();
    if chosen.is_empty() {
        bail!("no target `{}`; they are {}", target.unwrap_or_default(), TARGETS.join(", "));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let guided = installed("fuzz");
    if !guided {
        say(
            "cargo-fuzz is not installed (`cargo install cargo-fuzz`): the seeds are changed at random, with no feedback from the code",
        );
    }
    let mut broken = Vec::new();
    for name in chosen {
        let done = if guided {
            // the sanitizers need an unstable compiler, the feedback from the code does not
            let limit = format!("-max_total_time={seconds}");
            cargo(
                &[
                    "fuzz",
                    "run",
                    "--sanitizer",
                    "none",
                    name,
                    "--",
                    &limit,
                    "-timeout=20",
                    "-rss_limit_mb=2048",
                    "-max_len=16384",
                    "-print_final_stats=1",
                ],
                &[],
            )
        } else {
            let corpus = root.join("fuzz/corpus").display().to_string();
            let seconds = seconds.to_string();
            cargo(
                &[
                    "run",
                    "-q",
                    "--package",
                    "fuzz-targets",
                    "--bin",
                    "mutate",
                    "--",
                    &corpus,
                    name,
                    &seconds,
                ],
                &[],
            )
        };
        if done.is_err() {
            broken.push(name);
        }
    }
    if !broken.is_empty() {
        bail!("these targets broke: {} (the inputs are in fuzz/artifacts)", broken.join(", "));
    }
    Ok(())
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("`{text}` is no number of seconds"))
}

/// Licences, banned crates and sources; advisories too where their database is at hand.
pub(crate) fn deny() -> Result<()> {
    if !installed("deny") {
        say(
            "SKIPPED: cargo-deny is not installed (`cargo install cargo-deny`); licences, bans and sources were not checked",
        );
        return Ok(());
    }
    cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"], &[])?;
    if cargo(&["deny", "check", "advisories"], &[]).is_err() {
        say(
            "SKIPPED: advisories were not checked, or one applies: see above; their database is fetched from the network",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    #[test]
    fn every_fuzzer_is_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
        let found: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, TARGETS.into_iter().map(str::to_owned).collect());
    }
}
