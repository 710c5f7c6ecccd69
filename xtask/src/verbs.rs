//! The verbs, each a short list of commands.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{outcome, tidy, tools};

#[expect(clippy::print_stderr, reason = "a development tool speaks on standard error")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

pub(crate) fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    say(&format!("+ cargo {}", arguments.join(" ")));
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed: {status}", arguments.join(" "));
    }
    Ok(())
}

pub(crate) fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])
}

pub(crate) fn lint() -> Result<()> {
    cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            "bailiwick/test-support",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )
}

pub(crate) fn docs() -> Result<()> {
    cargo(
        &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

/// The escape suite alone, on every tier that can be had, with its options (`--tier NAME`,
/// `--only WORD`, `--no-matrix`).
pub(crate) fn escape(rest: &[&str]) -> Result<()> {
    let mut arguments =
        vec!["test", "-p", "bailiwick-sandbox", "--test", "escape", "--locked", "--"];
    arguments.extend(rest);
    if !rest.contains(&"--tier") {
        runtimes();
        arguments.extend(["--tier", "all"]);
    }
    cargo(&arguments, &[])
}

/// Installs the runtimes of the tiers where that is possible. What then is missing says so itself.
fn runtimes() {
    for program in ["runc", "runsc"] {
        let installed = Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
        if installed {
            continue;
        }
        let arguments = ["install", "--yes", "--no-install-recommends", program];
        say(&format!("+ apt-get {}", arguments.join(" ")));
        let status = Command::new("apt-get").args(arguments).status();
        if !status.is_ok_and(|status| status.success()) {
            say(&format!("`{program}` could not be installed"));
        }
    }
}

/// Every test, with the same generated cases each time. With `--full` the long campaigns (more crash
/// points, more property cases, chosen anew in each run) run too.
/// With `tiers` only the contract of the sandbox tiers, after what they need was installed.
pub(crate) fn test(rest: &[&str]) -> Result<()> {
    let environment: &[(&str, &str)] = match rest {
        [] => &[("PROPTEST_RNG_SEED", "20260725")],
        ["--full"] => &[("BAILIWICK_TEST_FULL", "1"), ("PROPTEST_CASES", "20000")],
        ["tiers"] => return tiers(),
        other => bail!("unknown option `{}`; there are `--full` and `tiers`", other.join(" ")),
    };
    tidy::run()?;
    let tools = tools::prepare();
    let tools = tools.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let environment: Vec<(&str, &str)> = environment.iter().copied().chain(tools).collect();
    listing_skips(
        &[
            "test",
            "--workspace",
            "--features",
            "bailiwick/test-support",
            "--locked",
            "--no-fail-fast",
        ],
        &environment,
    )
}

/// Pictures of every page, light and dark, wide and narrow, into a folder.
pub(crate) fn screenshots(folder: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let folder = std::fs::canonicalize(folder)?.display().to_string();
    let tools = tools::prepare();
    let tools = tools.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let environment: Vec<(&str, &str)> =
        [("BAILIWICK_SCREENSHOTS", folder.as_str())].into_iter().chain(tools).collect();
    cargo(
        &[
            "test",
            "-p",
            "bailiwick",
            "--features",
            "bailiwick/test-support",
            "--test",
            "web",
            "browser",
        ],
        &environment,
    )
}

/// Runs the contract on each tier, after its runtime was installed where that is possible.
fn tiers() -> Result<()> {
    runtimes();
    listing_skips(
        &["test", "-p", "bailiwick-sandbox", "--locked", "--test", "process", "contract"],
        &[],
    )
}

/// Runs tests, then counts and lists what they say they skipped.
fn listing_skips(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let log = std::env::temp_dir().join(format!("bailiwick-skipped-{}", std::process::id()));
    let path = log.to_string_lossy().into_owned();
    let environment: Vec<(&str, &str)> =
        environment.iter().copied().chain([("BAILIWICK_SKIP_LOG", path.as_str())]).collect();
    say(&format!("+ cargo {}", arguments.join(" ")));
    let mut command = Command::new(env!("CARGO"));
    let (status, failures) = outcome::watched(command.args(arguments).envs(environment))?;
    let skipped = std::fs::read_to_string(&log).unwrap_or_default();
    if log.exists() {
        std::fs::remove_file(&log).context("cannot remove the list of skipped tests")?;
    }
    say(&format!("{} skipped", skipped.lines().count()));
    for line in skipped.lines() {
        say(line);
    }
    if status.success() {
        return Ok(());
    }
    say("what failed, once more:");
    for line in failures.told() {
        say(line);
    }
    bail!("`cargo {}` failed: {status}", arguments.join(" "));
}

/// Measures a gate on a labelled corpus, which is never part of this repository. Without it the run
/// is skipped, and says so.
pub(crate) fn corpus(kind: &str, rest: &[&str]) -> Result<()> {
    let (example, package, dir, more) = match (kind, rest) {
        ("secrets", ["--corpus", dir, more @ ..]) => {
            ("secrets_corpus", "bailiwick-scan", *dir, more)
        }
        ("unicode", ["--corpus", dir, more @ ..]) => {
            ("unicode_corpus", "bailiwick-scan", *dir, more)
        }
        _ => bail!("usage: cargo xtask corpus secrets|unicode --corpus DIR [--list]"),
    };
    if !std::path::Path::new(dir).is_dir() {
        say(&format!(
            "SKIPPED: there is no corpus at `{dir}`; docs/benchmarks.md says how to get it"
        ));
        return Ok(());
    }
    let mut arguments =
        vec!["run", "--release", "--locked", "-p", package, "--example", example, "--", dir];
    arguments.extend(more);
    cargo(&arguments, &[])
}

pub(crate) fn bench() -> Result<()> {
    cargo(&["bench", "--workspace", "--benches", "--locked"], &[])
}

pub(crate) fn ci() -> Result<()> {
    format()?;
    lint()?;
    docs()?;
    test(&[])
}
