//! Playing one case once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bailiwick_git::{Git, Workspace};
use bailiwick_guest::{Access, Guard, Mount};
use bailiwick_model::action::{Command, Purpose};
use bailiwick_model::id::BranchName;
use bailiwick_model::outcome::Ended;
use bailiwick_model::path::WorkPath;
use bailiwick_sandbox::{
    CageConfig, CommandOutcome, Limits, NetworkRule, ProcessConfig, ProcessTier, Sandbox,
    SandboxError, Tier, Tiers, Toolchains,
};
use bailiwick_warden::ActError;

use super::case::{Case, Then, call_number};
use super::survivors;
use super::world::{World, context, is_root, payload_user, subject, warden};

/// Where a case is played.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// In a sandbox of a tier.
    Tier(String),
    /// In the process tier without these guards.
    Without(Vec<Guard>),
    /// On the host, as the payload's user.
    Host,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Played {
    /// The last line of its output.
    pub(crate) line: String,
    /// How it ended: `exit 0`, `signal 9`, `limit memory`, `refused`.
    pub(crate) ended: String,
    /// Whether the trace of success is there.
    pub(crate) trace: bool,
    /// All that it said, for whoever has to find out why.
    pub(crate) all: String,
}

/// The limits of the suite: small, so that reaching them takes no time.
fn limits(case: &Case) -> Limits {
    let mut limits = Limits {
        wall_clock_ms: 20_000,
        cpu_time_ms: 15_000,
        memory_bytes: 256 << 20,
        pids: 128,
        open_files: 1_024,
        file_size_bytes: 32 << 20,
        tmpfs_bytes: 64 << 20,
        output_bytes: 16 << 10,
        output_total_bytes: 64 << 20,
        disk_bytes: 256 << 20,
    };
    for (name, value) in &case.limits {
        match name.as_str() {
            "wall_clock_ms" => limits.wall_clock_ms = *value,
            "cpu_time_ms" => limits.cpu_time_ms = *value,
            "memory_bytes" => limits.memory_bytes = *value,
            "pids" => limits.pids = *value,
            "open_files" => limits.open_files = *value,
            "file_size_bytes" => limits.file_size_bytes = *value,
            "tmpfs_bytes" => limits.tmpfs_bytes = *value,
            "output_total_bytes" => limits.output_total_bytes = *value,
            "disk_bytes" => limits.disk_bytes = *value,
            other => panic!("`{}` sets a limit `{other}` that there is not", case.name),
        }
    }
    limits
}

fn scene(world: &World, case: &Case) -> tempfile::TempDir {
    let scene = tempfile::Builder::new().prefix("escape-").tempdir().unwrap();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    open(scene.path(), 0o755);
    for name in ["workspace", "beside", "bait", "cache", "other"] {
        let path = scene.path().join(name);
        fs::create_dir(&path).unwrap();
        open(&path, 0o777);
        fs::write(path.join("public"), "open\n").unwrap();
        open(&path.join("public"), 0o666);
    }
    let workspace = scene.path().join("workspace");
    for (name, content) in &case.files {
        let path = workspace.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, world.fill(content, scene.path())).unwrap();
    }
    let probe = workspace.join("probe");
    fs::copy(&world.probe, &probe).unwrap();
    open(&probe, 0o755);
    if is_root() {
        // What only root can plant: a device, and a set-user-id program of root's.
        let device = rustix::fs::makedev(1, 3);
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let path = scene.path().join("bait/device");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::CharacterDevice,
            mode,
            device,
        )
        .unwrap();
        open(&path, 0o666);
        let su = scene.path().join("bait/su");
        fs::copy(&world.probe, &su).unwrap();
        open(&su, 0o4755);
    }
    scene
}

fn argv(world: &World, case: &Case, scene: &Path, probe: &str) -> Vec<String> {
    if !case.sh.is_empty() {
        return vec!["/bin/sh".to_owned(), "-c".to_owned(), world.fill(&case.sh, scene)];
    }
    let words = case.probe.iter().map(|word| match word.strip_prefix("nr:") {
        Some(name) => call_number(name).to_string(),
        None => world.fill(word, scene),
    });
    std::iter::once(probe.to_owned()).chain(words).collect()
}

/// A case with a word of its own in it, by which its processes are known.
fn unique(case: &Case) -> Case {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let word = (u64::from(std::process::id()) * 1_000_000 + next).to_string();
    let fill = |text: &String| text.replace("{unique}", &word);
    Case {
        probe: case.probe.iter().map(fill).collect(),
        sh: fill(&case.sh),
        survives: case.survives.as_ref().map(fill),
        ..case.clone()
    }
}

/// Plays a case.
pub(crate) fn play(world: &World, case: &Case, stage: &Stage) -> Played {
    let case = &unique(case);
    let scene = scene(world, case);
    let root = scene.path().canonicalize().unwrap();
    let mut played = match stage {
        Stage::Host => on_host(world, case, &root),
        Stage::Tier(tier) => in_sandbox(world, case, &root, tier, &[]),
        Stage::Without(off) => in_sandbox(world, case, &root, "process", off),
    };
    match (case.then, stage) {
        (Some(Then::Record), Stage::Tier(_)) => record(&root),
        (Some(Then::Record), _) => record_carelessly(&root),
        (Some(Then::KillLauncher) | None, _) => {}
    }
    if let Some(word) = &case.survives {
        let patience = if matches!(stage, Stage::Tier(_)) { 10_000 } else { 700 };
        played.trace = survivors::outlive(word, Duration::from_millis(patience));
        survivors::end(word);
        return played;
    }
    played.trace = case
        .trace
        .as_ref()
        .is_some_and(|trace| fs::symlink_metadata(world.fill(trace, &root)).is_ok());
    played
}

fn last_line(text: &str) -> String {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn on_host(world: &World, case: &Case, root: &Path) -> Played {
    let argv = argv(world, case, root, "./probe");
    let mut process = Process::new(&argv[0]);
    process.args(&argv[1..]).current_dir(root.join("workspace")).stdin(Stdio::null());
    if is_root() {
        rustix::fs::chown(
            root.join("workspace"),
            Some(rustix::process::Uid::from_raw(payload_user())),
            None,
        )
        .unwrap();
        process.uid(payload_user()).gid(payload_user());
    }
    let output = process.output().unwrap();
    let all = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    let ended =
        output.status.code().map_or_else(|| "signal".to_owned(), |code| format!("exit {code}"));
    Played { line: last_line(&all), ended, trace: false, all }
}

fn in_sandbox(world: &World, case: &Case, root: &Path, tier: &str, off: &[Guard]) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let killer = match (case.then, &case.survives) {
        (Some(Then::KillLauncher), Some(word)) => {
            let word = word.clone();
            Some(std::thread::spawn(move || survivors::kill_launcher_of(&word)))
        }
        _ => None,
    };
    let result = runtime.block_on(async {
        let sandbox = open(case, root, tier, off).await;
        let command = Command {
            argv: argv(world, case, root, "./probe"),
            cwd: WorkPath::root(),
            env: std::collections::BTreeMap::new(),
            purpose: if case.network { Purpose::Setup } else { Purpose::Tool },
            network: case.network,
            timeout_ms: 60_000,
        };
        warden()
            .perform(&subject(), &context(), command, |permit| {
                let sandbox = &sandbox;
                async move { sandbox.run(permit).await }
            })
            .await
    });
    if let Some(killer) = killer {
        killer.join().unwrap();
    }
    told(result)
}

fn told(result: Result<CommandOutcome, ActError<SandboxError>>) -> Played {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            let all = error.to_string();
            return Played { line: all.clone(), ended: "refused".to_owned(), trace: false, all };
        }
    };
    let ended = match &outcome.ended {
        Ended::Exit { code } => format!("exit {code}"),
        Ended::Signal { signal } => format!("signal {signal}"),
        Ended::Limit { limit } => format!("limit {limit}"),
    };
    let all = format!("{}{}", outcome.stderr_text(), outcome.stdout_text());
    Played { line: last_line(&all), ended, trace: false, all }
}

async fn open(case: &Case, root: &Path, tier: &str, off: &[Guard]) -> Arc<dyn Sandbox> {
    let tier: Tier = tier.parse().unwrap();
    let mut toolchains = Toolchains::default();
    for (name, target) in [("bait", "/bait"), ("cache", "/home/agent/.cache/packages")] {
        let source = root.join(name);
        toolchains.mounts.push(Mount { source, target: target.into(), access: Access::ReadOnly });
    }
    let config = ProcessConfig {
        launcher: "/proc/self/exe".into(),
        payload_id: bailiwick_sandbox::PAYLOAD_ID,
        toolchains,
        leases: root.join("leases"),
    };
    let mut cage = CageConfig::new(root.join("workspace"));
    cage.limits = limits(case);
    cage.off = off.to_vec();
    if case.network {
        cage.network = NetworkRule::Setup;
    }
    if case.read_only {
        cage.access = Access::ReadOnly;
    }
    let process = ProcessTier::with(config).unwrap();
    Tiers::new(process).open(tier, cage).await.unwrap()
}

/// What the platform does with a workspace after a step.
fn record(root: &Path) {
    let main = BranchName::parse("main").unwrap();
    let git = Git::init_bare(&root.join("store.git"), &main).unwrap();
    let workspace = Workspace::attach(&git, &root.join("workspace"), &root.join("index")).unwrap();
    drop(workspace.snapshot());
}

/// What a person does who trusts a directory: git with its own configuration, in place.
fn record_carelessly(root: &Path) {
    for arguments in [
        &["status"][..],
        &["add", "--all"],
        &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-m", "x"],
        &["diff", "HEAD"],
        &["checkout", "-f", "HEAD", "--", "."],
        &["submodule", "update", "--init"],
        &["log", "-p", "-1"],
    ] {
        if arguments.first() == Some(&"checkout") {
            drop(fs::remove_file(root.join("workspace/a")));
        }
        let mut git = Process::new("git");
        git.args(arguments).current_dir(root.join("workspace"));
        git.env("HOME", root).env("GIT_CONFIG_NOSYSTEM", "1");
        git.env("GIT_CONFIG_COUNT", "1");
        git.env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
        git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(git.status());
    }
}
