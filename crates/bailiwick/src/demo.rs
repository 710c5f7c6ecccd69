//! `bailiwick demo`: the whole loop on a bundled repository with a scripted model.
//!
//! Only the model is scripted. The repository, the failing test, the sandbox, the policy, the
//! refusal, the ledger and the merge are real.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bailiwick_gateway::{SCRIPTED_MODEL, Scripted};
use bailiwick_model::task::{ApproverMode, Source};

use crate::arguments::{Common, DemoArguments};
use crate::command::run::{Approval, finish, submit_and_follow};
use crate::command::{Done, Told, person};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::operations::{self, CreateTaskParams, ImportParams, TaskDefaults};
use crate::platform::{EmbeddedScript, Platform};
use crate::terminal;

const ISSUE: &str = include_str!("../demo/issue.md");
const SCRIPT: &str = include_str!("../demo/script.toml");
const PROVIDER: &str = "demo-script";
const MARKER: &str = "demo";

const FILES: [(&str, &str); 8] = [
    (".gitignore", include_str!("../demo/project/gitignore.in")),
    ("Cargo.lock", include_str!("../demo/project/Cargo.lock.in")),
    ("Cargo.toml", include_str!("../demo/project/Cargo.toml.in")),
    ("README.md", include_str!("../demo/project/README.md.in")),
    ("deploy/release.key", include_str!("../demo/project/deploy/release.key.in")),
    ("docs/contributing.md", include_str!("../demo/project/docs/contributing.md.in")),
    ("src/lib.rs", include_str!("../demo/project/src/lib.rs.in")),
    ("tests/durations.rs", include_str!("../demo/project/tests/durations.rs.in")),
];

pub(crate) async fn run(common: &Common, arguments: &DemoArguments) -> Result<Done> {
    let mut config = Config::default();
    // One person at a terminal is requester and approver: said, shown and recorded.
    config.platform.single_user = !arguments.yes;
    let person = person(common, &config)?;
    let root = data_root(common, arguments)?;
    let dir = DataDir::open(&root)?;
    fs::write(dir.root().join(MARKER), "this directory belongs to `bailiwick demo`\n")
        .context("cannot write the data directory")?;
    let source = dir.root().join("stopwatch");
    let at = source.clone();
    tokio::task::spawn_blocking(move || make_repository(&at))
        .await?
        .context("cannot make the demonstration's repository")?;
    let script =
        EmbeddedScript { name: PROVIDER, script: Scripted::from_toml(SCRIPT, "demo script")? };
    let platform = Platform::open(dir, &config, Some(script)).await?;
    let import = ImportParams { path: source, name: None, branch: None };
    let repo =
        operations::import(&platform.engine, &person, import).await.map_err(Told::from)?.name;
    platform.refresh_policy().await?;
    let params = CreateTaskParams {
        narrow: Vec::new(),
        text: ISSUE.to_owned(),
        repo,
        branch: None,
        checks: None,
        // The issue's text came from somebody else.
        untrusted: true,
        provider: None,
        model: None,
        agent: None,
        budget_micro_usd: None,
    };
    let defaults = TaskDefaults {
        single_user: config.platform.single_user,
        approver: if arguments.yes { ApproverMode::Simulated } else { ApproverMode::Human },
        source: Source::Demo,
        budget: config.task.budget_micro_usd,
        scripted: true,
        provider: PROVIDER.to_owned(),
        model: SCRIPTED_MODEL.to_owned(),
        agent: bailiwick_model::task::BUILTIN_AGENT.to_owned(),
    };
    let approval = match (arguments.yes, terminal::can_ask()) {
        (true, _) => Approval::Simulated,
        (false, true) => Approval::Ask,
        (false, false) => {
            terminal::say(
                "nobody can be asked here: the pull request will wait; `--yes` lets a simulated approver answer",
            );
            Approval::Stop
        }
    };
    let outcome = submit_and_follow(common, &platform, &person, params, defaults, approval).await?;
    finish(common, &outcome)
}

/// The demonstration's own directory. An earlier one is cleared away; anything else is not touched.
fn data_root(common: &Common, arguments: &DemoArguments) -> Result<PathBuf> {
    let root = if common.data == Path::new("bailiwick-data") {
        PathBuf::from("bailiwick-data/demo")
    } else {
        common.data.clone()
    };
    let occupied = root.is_dir() && fs::read_dir(&root)?.next().is_some();
    if !occupied {
        return Ok(root);
    }
    if !root.join(MARKER).is_file() {
        return Err(Told {
            code: "demo.not_empty".to_owned(),
            message: format!("`{}` is not empty and not an earlier demonstration", root.display()),
            hint: "give an empty directory with `--data DIR`".to_owned(),
        }
        .into());
    }
    if arguments.keep {
        return Ok(root);
    }
    fs::remove_dir_all(&root).with_context(|| format!("cannot clear `{}`", root.display()))?;
    Ok(root)
}

/// Makes the bundled project's repository, as somebody would have left it.
fn make_repository(at: &Path) -> Result<()> {
    if at.join(".git").is_dir() {
        return Ok(());
    }
    for (path, text) in FILES {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap_or(at))?;
        fs::write(path, text)?;
    }
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message=Read and write durations"],
    ] {
        let status = std::process::Command::new("git")
            .args(["-c", "user.name=Stopwatch", "-c", "user.email=stopwatch@example.invalid"])
            .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
            .args(arguments)
            .current_dir(at)
            .env_remove("GIT_DIR")
            .status()
            .context("cannot start git")?;
        anyhow::ensure!(status.success(), "`git {}` failed: {status}", arguments.join(" "));
    }
    Ok(())
}
