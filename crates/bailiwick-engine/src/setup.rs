//! The set-up phase: a repository's dependencies are fetched before any agent starts, by commands
//! that are recorded like every other, on a commit that people reviewed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_model::action::{Command, Purpose};
use bailiwick_model::id::Oid;
use bailiwick_model::outcome::Ended;
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::Role;
use bailiwick_model::task::Task;
use bailiwick_model::workflow::SubtaskState;
use bailiwick_sandbox::{Access, CageConfig, NetworkRule, Sandbox, SetupError};

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::workspace::{Place, Spot};

const FETCH_TIMEOUT_MS: u64 = 900_000;
/// Six hours, as long as a repository may give its tests.
const LONGEST_COMMAND_MS: u64 = 6 * 3_600_000;

/// One way of fetching.
struct Fetcher {
    /// The file that names what is fetched.
    lock: &'static str,
    command: &'static [&'static str],
    /// Run in every checkout afterwards, without the network.
    install: &'static [&'static str],
}

const FETCHERS: [Fetcher; 3] = [
    Fetcher { lock: "Cargo.lock", command: &["cargo", "fetch", "--locked"], install: &[] },
    Fetcher {
        lock: "package-lock.json",
        command: &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        install: &["npm", "ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"],
    },
    Fetcher { lock: "go.sum", command: &["go", "mod", "download"], install: &[] },
];

impl Fetcher {
    /// Whether the lock file names anything that is not in the repository itself.
    fn is_needed(&self, lock: &[u8]) -> bool {
        let text = String::from_utf8_lossy(lock);
        match self.lock {
            "Cargo.lock" => text.contains("\nsource = \""),
            "package-lock.json" => text.contains("\"resolved\""),
            _ => !text.trim().is_empty(),
        }
    }
}

fn command(argv: &[&str], network: bool) -> Command {
    Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: WorkPath::root(),
        env: BTreeMap::new(),
        purpose: Purpose::Setup,
        network,
        timeout_ms: FETCH_TIMEOUT_MS,
    }
}

impl Engine {
    fn dependencies_dir(&self, task: &Task) -> PathBuf {
        self.settings().dependencies_dir.join(task.repo.as_str())
    }

    /// The cage around a checkout.
    pub(crate) async fn cage(
        &self,
        task: &Task,
        spot: &Spot,
        workspace: &Path,
        scratch: &Path,
    ) -> Result<Arc<dyn Sandbox>, EngineError> {
        let dependencies = self.dependencies_dir(task);
        crate::workspace::create(&dependencies).await?;
        let mut config = CageConfig::new(workspace);
        config.scratch = Some(scratch.to_owned());
        config.dependencies = Some(dependencies);
        config.network = spot.network;
        config.access = spot.access;
        config.programs.clone_from(&spot.programs);
        if let Some(bytes) = spot.output_bytes {
            config.limits.output_bytes = bytes;
        }
        // Each command brings its own limit; this only has to be longer than any of them.
        config.limits.wall_clock_ms = LONGEST_COMMAND_MS;
        let tier = self.tier_of(task.id)?;
        self.parts().tiers.open_rising(tier, config).await.map_err(|error| match error {
            SetupError::Missing(missing) => EngineError::State {
                code: "sandbox.tier_missing",
                message: missing.to_string(),
                hint: missing.how_to_get,
            },
            other => EngineError::machine("opening a sandbox", &crate::error::chain(&other)),
        })
    }

    /// Another cage around a checkout that is there already.
    pub(crate) async fn cage_over(
        &self,
        task: &Task,
        spot: &Spot,
        place: &Place,
    ) -> Result<Arc<dyn Sandbox>, EngineError> {
        self.cage(task, spot, place.tree.path(), &self.scratch_of(spot)).await
    }

    /// Fetches what the base's lock files name. Says what was done, in a sentence.
    pub(crate) async fn set_up(
        &self,
        task: &Task,
        subtask: &SubtaskState,
        base: &Oid,
    ) -> Result<String, EngineError> {
        let mut done = Vec::new();
        for fetcher in &FETCHERS {
            let lock = self.parts().forge.read_file(&task.repo, base, fetcher.lock).await?;
            let Some(lock) = lock.filter(|lock| fetcher.is_needed(lock)) else { continue };
            let marker = self.marker(task, fetcher, &lock);
            if tokio::fs::try_exists(&marker).await.unwrap_or(false) {
                done.push(format!("{} was fetched before", fetcher.lock));
                continue;
            }
            if !self.settings().fetch_dependencies {
                done.push(format!(
                    "{} was not fetched: `setup.fetch_dependencies` is off",
                    fetcher.lock
                ));
                continue;
            }
            self.fetch(task, subtask, base, fetcher).await?;
            tokio::fs::write(&marker, b"")
                .await
                .map_err(|error| EngineError::machine("marking fetched dependencies", &error))?;
            done.push(format!("{} was fetched", fetcher.lock));
        }
        Ok(if done.is_empty() { "nothing to fetch".to_owned() } else { done.join("; ") })
    }

    fn marker(&self, task: &Task, fetcher: &Fetcher, lock: &[u8]) -> PathBuf {
        self.dependencies_dir(task).join(format!(".{}-{}", fetcher.lock, Digest::of(lock)))
    }

    async fn fetch(
        &self,
        task: &Task,
        subtask: &SubtaskState,
        base: &Oid,
        fetcher: &Fetcher,
    ) -> Result<(), EngineError> {
        let subject = actor::subject(task, Some(subtask), Role::Setup);
        let context = actor::context(task, Some(subtask));
        let spot = Spot {
            task: task.id,
            subtask: Some(subtask.subtask.key.clone()),
            purpose: "setup".to_owned(),
            network: NetworkRule::Setup,
            access: Access::ReadWrite,
            programs: Vec::new(),
            caches_of: None,
            output_bytes: None,
        };
        let place = self.place(task, &subject, &context, &spot, base).await?;
        self.run_setup(task, subtask, place.sandbox, command(fetcher.command, true)).await
    }

    /// Installs what was fetched into a checkout, where a package manager wants it there.
    pub(crate) async fn install(
        &self,
        task: &Task,
        subtask: &SubtaskState,
        tree: &Oid,
        sandbox: Arc<dyn Sandbox>,
    ) -> Result<(), EngineError> {
        for fetcher in FETCHERS.iter().filter(|fetcher| !fetcher.install.is_empty()) {
            let lock = self.parts().forge.read_file(&task.repo, tree, fetcher.lock).await?;
            if lock.is_some_and(|lock| fetcher.is_needed(&lock)) {
                let run = command(fetcher.install, false);
                self.run_setup(task, subtask, Arc::clone(&sandbox), run).await?;
            }
        }
        Ok(())
    }

    async fn run_setup(
        &self,
        task: &Task,
        subtask: &SubtaskState,
        sandbox: Arc<dyn Sandbox>,
        command: Command,
    ) -> Result<(), EngineError> {
        let subject = actor::subject(task, Some(subtask), Role::Setup);
        let context = self.caged_context(task, Some(subtask))?;
        let line = command.display();
        let outcome = self
            .parts()
            .warden
            .perform(&subject, &context, command, |permit| async move { sandbox.run(permit).await })
            .await?;
        if outcome.ended == (Ended::Exit { code: 0 }) {
            return Ok(());
        }
        let output = outcome.output_text();
        let last: String = output
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n");
        Err(EngineError::Action {
            code: "setup.failed".to_owned(),
            message: format!("the set-up command `{line}` ended with {:?}: {last}", outcome.ended),
            rules: Vec::new(),
            hint:
                "see that the lock file is right and the package registry can be reached from here"
                    .to_owned(),
        })
    }
}
