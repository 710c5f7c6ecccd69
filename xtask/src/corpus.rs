//! Measurements on labelled corpora, beside the tools that others use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::verbs::{cargo, say};

const USAGE: &str = "usage: cargo xtask corpus sast --corpus DIR";

/// `corpus sast --corpus DIR`. Without the directory the measurement is skipped, aloud.
pub(crate) fn run(rest: &[&str]) -> Result<()> {
    let ["sast", "--corpus", directory] = rest else { bail!(USAGE) };
    let corpus = PathBuf::from(directory);
    if !corpus.is_dir() {
        say(&format!("corpus: SKIPPED, nothing measured: there is no directory `{directory}`"));
        return Ok(());
    }
    let mut arguments =
        vec!["run", "--release", "-q", "-p", "bailiwick-sast", "--example", "corpus", "--"];
    arguments.push(directory);
    let peer = match bandit(&corpus) {
        Ok(list) => Some(format!("bandit={}", list.display())),
        Err(error) => {
            say(&format!("corpus: bandit is left out: {error:#}"));
            None
        }
    };
    arguments.extend(peer.as_deref());
    say("corpus: semgrep is left out: its rules are not part of its package");
    cargo(&arguments, &[])
}

/// Runs bandit, installed under `target/`, and gives the list of what it found.
fn bandit(corpus: &Path) -> Result<PathBuf> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let program = peers.join("bin/bandit");
    if !program.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&peers))?;
        succeed(Command::new(peers.join("bin/pip")).args(["install", "-q", "bandit"]))?;
    }
    // it ends with 1 when it finds something
    let output = Command::new(program)
        .args(["-q", "-f", "json", "-r"])
        .arg(corpus)
        .output()
        .context("cannot start bandit")?;
    let found: Value = serde_json::from_slice(&output.stdout).context("cannot read bandit")?;
    let text = |value: Option<&Value>| value.map(ToString::to_string).unwrap_or_default();
    let broken = found.get("errors").and_then(Value::as_array).map_or(0, Vec::len);
    if broken > 0 {
        say(&format!("corpus: bandit could not parse {broken} files; they count as passed by it"));
    }
    let mut list = String::new();
    for result in found.get("results").and_then(Value::as_array).into_iter().flatten() {
        let path = result.get("filename").and_then(Value::as_str).unwrap_or_default();
        let cwe = text(result.get("issue_cwe").and_then(|cwe| cwe.get("id")));
        list.push_str(&format!("{path},{cwe}\n"));
    }
    let file = peers.join("bandit.list");
    std::fs::write(&file, list).with_context(|| file.display().to_string())?;
    Ok(file)
}

fn succeed(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| shown.clone())?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}
