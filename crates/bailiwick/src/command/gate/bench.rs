//! Where `gate run` runs what a gate needs to run: checkouts of its own, each in a cage, each
//! command decided by policy. What can't be had is a refusal with its reason, which makes a gate
//! inconclusive.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use async_trait::async_trait;
use bailiwick_gates::{
    Checkout, CommandRefusal, CommandResult, CommandRunner, Keeps, Overlaid, ProjectFiles,
    WardenRunner, Workbench,
};
use bailiwick_git::{Git, RepoPath, Workspace};
use bailiwick_model::action::Command;
use bailiwick_model::id::{Oid, Person};
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::tier::TierChoice;
use bailiwick_sandbox::{CageConfig, NetworkRule, Tier, Tiers};
use bailiwick_warden::Warden;
use tokio::sync::OnceCell;

use crate::command::{Told, trial};
use crate::config::PolicyConfig;
use crate::platform;

/// Longer than any command of a gate: each brings its own limit.
const LONGEST_COMMAND_MS: u64 = 24 * 3_600_000;

/// Makes checkouts in cages for one change.
pub(super) struct CageBench {
    git: Git,
    tier: Tier,
    policy: PolicyConfig,
    subject: Subject,
    context: Context,
    made: AtomicU32,
    /// Looking for toolchains takes a while, and most changes need no cage at all.
    behind: OnceCell<Behind>,
}

/// A gate at work for somebody, on no task.
pub(super) fn subject(person: Person) -> Subject {
    Subject { role: Role::Gate, on_behalf_of: person, task: None, subtask: None, session: None }
}

/// What every cage needs.
struct Behind {
    /// Removed before the lease under which the tier made it is given back.
    place: trial::Trial,
    tiers: Tiers,
    warden: Arc<Warden>,
}

fn refusal(code: &str, reason: String, hint: &str) -> CommandRefusal {
    CommandRefusal { code: code.to_owned(), reason, hint: hint.to_owned() }
}

fn of_error(error: &anyhow::Error) -> CommandRefusal {
    match error.downcast_ref::<Told>() {
        Some(told) => refusal(&told.code, told.message.clone(), &told.hint),
        None => refusal("gate.no_sandbox", format!("{error:#}"), "run `bailiwick doctor`"),
    }
}

fn of_git(error: &bailiwick_git::GitError) -> CommandRefusal {
    refusal("git", super::full(error), error.hint().unwrap_or("run `bailiwick doctor`"))
}

impl CageBench {
    /// A bench for a repository, whose cages are of this tier.
    pub(super) fn new(git: Git, tier: Tier, policy: PolicyConfig, person: Person) -> Result<Self> {
        Ok(Self {
            git,
            tier,
            policy,
            subject: subject(person),
            context: trial::circumstances()?,
            made: AtomicU32::new(0),
            behind: OnceCell::new(),
        })
    }

    async fn behind(&self) -> Result<&Behind, CommandRefusal> {
        let open = async || {
            let process = tokio::task::spawn_blocking(|| platform::process_tier(None)).await??;
            let place = trial::Trial::at(process.temporary_directory().map_err(Told::from)?);
            let policy = crate::policies::check(&self.policy).await?;
            let warden = Arc::new(trial::warden(policy));
            Ok(Behind { place, tiers: Tiers::new(process), warden })
        };
        self.behind.get_or_try_init(open).await.map_err(|error: anyhow::Error| of_error(&error))
    }

    /// A checkout of a commit or tree that is made when its first command runs.
    pub(super) fn lazily(self: &Arc<Self>, object: &Oid, files: ProjectFiles) -> Checkout {
        let runner =
            LazyRunner { bench: Arc::clone(self), object: object.clone(), made: OnceCell::new() };
        Checkout::new(object.clone(), files, Arc::new(runner))
    }

    /// What an object holds, in a cage.
    async fn caged(
        &self,
        object: &Oid,
        keeps: Keeps,
    ) -> Result<Arc<dyn CommandRunner>, CommandRefusal> {
        let behind = self.behind().await?;
        let dir = self.new_dir(behind);
        let (git, at, to) = (self.git.clone(), object.clone(), dir.clone());
        let made = tokio::task::spawn_blocking(move || {
            Workspace::checkout(&git, &at, &to.join("tree"), &to.join("index")).map(drop)
        });
        made.await.map_err(|error| of_error(&error.into()))?.map_err(|error| of_git(&error))?;
        let mut cage = CageConfig::new(dir.join("tree"));
        cage.scratch = Some(dir.join("scratch"));
        cage.network = NetworkRule::Never;
        cage.limits.wall_clock_ms = LONGEST_COMMAND_MS;
        if keeps == Keeps::Reports {
            cage.limits.output_bytes = Keeps::REPORT_BYTES;
        }
        let opened = behind.tiers.open_rising(self.tier, cage).await;
        let sandbox = opened.map_err(|error| of_error(&Told::from(error).into()))?;
        let effect = move |permit| {
            let sandbox = Arc::clone(&sandbox);
            async move { sandbox.run(permit).await }
        };
        let warden = Arc::clone(&behind.warden);
        let mut context = self.context.clone();
        context.facts.tier =
            Some(TierChoice::usual(self.tier, "`sandbox.tier` of the configuration"));
        Ok(Arc::new(WardenRunner::new(warden, self.subject.clone(), context, effect)))
    }

    fn new_dir(&self, behind: &Behind) -> PathBuf {
        let nth = self.made.fetch_add(1, Ordering::Relaxed);
        behind.place.path().join(nth.to_string())
    }
}

#[async_trait]
impl Workbench for CageBench {
    async fn compose(
        &self,
        _: &'static str,
        commit: &Oid,
        files: Vec<Overlaid>,
        keeps: Keeps,
    ) -> Result<Checkout, CommandRefusal> {
        let (git, from, dir) =
            (self.git.clone(), commit.clone(), self.new_dir(self.behind().await?));
        let composed = tokio::task::spawn_blocking(move || {
            let io =
                |source| bailiwick_git::GitError::Io { doing: "create", path: dir.clone(), source };
            std::fs::create_dir_all(&dir).map_err(io)?;
            let mut overlaid = Vec::with_capacity(files.len());
            for file in files {
                overlaid.push((RepoPath::parse(file.path)?, file.content));
            }
            let tree = git.overlay(&from, &overlaid, &dir)?.oid().clone();
            let files = ProjectFiles::read(&git, &tree)?;
            Ok((tree, files))
        });
        let (tree, files) = composed
            .await
            .map_err(|error| of_error(&error.into()))?
            .map_err(|error: bailiwick_git::GitError| of_git(&error))?;
        let runner = self.caged(&tree, keeps).await?;
        Ok(Checkout::new(tree, files, runner))
    }
}

/// Makes its checkout when it is first needed: most gates only compose their own.
struct LazyRunner {
    bench: Arc<CageBench>,
    object: Oid,
    made: OnceCell<Arc<dyn CommandRunner>>,
}

#[async_trait]
impl CommandRunner for LazyRunner {
    async fn run(&self, command: Command) -> Result<CommandResult, CommandRefusal> {
        let make = || self.bench.caged(&self.object, Keeps::Usual);
        self.made.get_or_try_init(make).await?.run(command).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where no sandbox can be had nothing is run outside of one.
    #[tokio::test]
    async fn without_a_sandbox_there_is_no_checkout() {
        let place = tempfile::tempdir().unwrap();
        let main = bailiwick_model::id::BranchName::parse("main").unwrap();
        let git = Git::init_bare(&place.path().join("x.git"), &main).unwrap();
        let empty = Oid::parse("4b825dc642cb6eb9a060e54bf8d69288fbee4904").unwrap();
        let person = Person::parse("ada").unwrap();
        let policy = PolicyConfig::default();
        let bench = CageBench::new(git, Tier::Process, policy.clone(), person).unwrap();
        let set = crate::policies::check(&policy).await.unwrap();
        let none = Behind {
            place: trial::Trial::at(place.path().join("trial")),
            tiers: Tiers::of(Vec::new()),
            warden: Arc::new(trial::warden(set)),
        };
        std::fs::create_dir(none.place.path()).unwrap();
        assert!(bench.behind.set(none).is_ok());
        let files = vec![Overlaid::file("a.txt", "a")];
        let refused = bench.compose("gate-analyser", &empty, files, Keeps::Reports).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, "sandbox.tier_missing", "{refused}");
        // and what is made only when it is needed is refused then
        let lazy = Arc::new(bench).lazily(&empty, ProjectFiles::default());
        let refused = lazy.run("true", &bailiwick_model::path::WorkPath::root(), 1_000).await;
        assert_eq!(refused.unwrap_err().code, "sandbox.tier_missing");
    }
}
