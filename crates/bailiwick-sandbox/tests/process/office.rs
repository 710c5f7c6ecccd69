//! A warden that permits everything and keeps its ledger in memory, and workspaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_model::action::{
    AgentStart, Command, FileRead, FileWrite, Purpose, ReadMode, WriteMode,
};
use bailiwick_model::event::Event;
use bailiwick_model::id::{BranchName, Person, RepoName, SessionId, TaskId};
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_model::tier::{Tier, TierChoice};
use bailiwick_policy::{PolicySet, PolicySource};
use bailiwick_sandbox::{
    CageConfig, CommandOutcome, Door, ProcessSandbox, ProcessTier, ReadOutcome, Sandbox,
    SandboxError, WriteOutcome,
};
use bailiwick_warden::{
    ActError, Bounds, BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden,
};
use tempfile::TempDir;

struct Memory(Mutex<Vec<Event>>);

#[async_trait]
impl Journal for Memory {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        let mut kept = self.0.lock().unwrap();
        kept.extend(events);
        Ok(kept.len() as u64)
    }
}

struct Free;

impl BudgetBook for Free {
    fn left(&self, _: TaskId) -> MicroUsd {
        MicroUsd(0)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Ok(Reservation { task, amount })
    }

    fn settle(&self, _: Reservation, _: MicroUsd) {}
}

/// A workspace in a cage, and somebody who gives permits for it.
pub(crate) struct Office {
    pub(crate) directory: TempDir,
    pub(crate) sandbox: ProcessSandbox,
    warden: Warden,
}

/// The tier, its toolchains looked for once.
pub(crate) fn tier() -> &'static ProcessTier {
    static TIER: std::sync::LazyLock<ProcessTier> =
        std::sync::LazyLock::new(|| ProcessTier::new().unwrap());
    &TIER
}

pub(crate) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("sandbox-").tempdir().unwrap();
    let workspace = directory.path().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    (directory, workspace)
}

pub(crate) fn command(script: &str) -> Command {
    Command {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        cwd: WorkPath::root(),
        env: BTreeMap::new(),
        purpose: Purpose::Tool,
        network: false,
        timeout_ms: 120_000,
    }
}

impl Office {
    pub(crate) async fn open(change: impl FnOnce(&mut CageConfig)) -> Self {
        let (directory, workspace) = place();
        let mut cage = CageConfig::new(workspace);
        change(&mut cage);
        let sandbox = tier().open_cage(cage).await.unwrap();
        Self { directory, sandbox, warden: warden() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn run(&self, command: Command) -> Result<CommandOutcome, SandboxError> {
        let sandbox = &self.sandbox;
        unpack(
            self.warden
                .perform(&subject(), &context(), command, |permit| sandbox.run(permit))
                .await,
        )
    }

    pub(crate) async fn shell(&self, script: &str) -> CommandOutcome {
        self.run(command(script)).await.unwrap()
    }

    pub(crate) async fn read(
        &self,
        path: &str,
        mode: ReadMode,
    ) -> Result<ReadOutcome, SandboxError> {
        let sandbox = &self.sandbox;
        let read = FileRead { path: WorkPath::parse(path).unwrap(), mode };
        unpack(
            self.warden.perform(&subject(), &context(), read, |permit| sandbox.read(permit)).await,
        )
    }

    pub(crate) async fn write(
        &self,
        path: &str,
        mode: WriteMode,
    ) -> Result<WriteOutcome, SandboxError> {
        let sandbox = &self.sandbox;
        let write = FileWrite { path: WorkPath::parse(path).unwrap(), mode };
        unpack(
            self.warden
                .perform(&subject(), &context(), write, |permit| sandbox.write(permit))
                .await,
        )
    }
}

/// Runs a command in any tier's sandbox.
pub(crate) async fn perform(
    sandbox: &dyn Sandbox,
    command: Command,
) -> Result<CommandOutcome, SandboxError> {
    unpack(warden().perform(&subject(), &context(), command, |permit| sandbox.run(permit)).await)
}

/// The same, as a warden of one's own decides it, in a tier that is known.
pub(crate) async fn perform_with(
    warden: &Warden,
    tier: Option<TierChoice>,
    sandbox: &dyn Sandbox,
    command: Command,
) -> Result<CommandOutcome, SandboxError> {
    let mut context = context();
    context.facts.tier = tier;
    unpack(warden.perform(&subject(), &context, command, |permit| sandbox.run(permit)).await)
}

/// Starts an agent's program in any tier's sandbox.
pub(crate) async fn start(
    sandbox: &dyn Sandbox,
    agent: AgentStart,
    door: Door<'_>,
) -> Result<CommandOutcome, SandboxError> {
    let started = |permit| sandbox.start(permit, door);
    unpack(warden().perform(&subject(), &context(), agent, started).await)
}

pub(crate) fn whole(content: &str) -> WriteMode {
    WriteMode::Whole { content: Payload::from(content) }
}

fn unpack<T>(result: Result<T, ActError<SandboxError>>) -> Result<T, SandboxError> {
    result.map_err(|error| match error {
        ActError::Effect(error) => error,
        other => panic!("{other:?}"),
    })
}

fn warden() -> Warden {
    deciding(Vec::new())
}

/// A warden whose policy asks for at least this tier for commands that end in `# rises`.
pub(crate) fn asking(tier: &str) -> Warden {
    let weaker: Vec<&str> =
        Tier::ALL.into_iter().map(Tier::name).take_while(|name| *name != tier).collect();
    let text = format!(
        "@id(\"rises\") @tier(\"{tier}\") @reason(\"a test\") @hint(\"none\") forbid(principal, action == Action::\"command\", resource) when {{ {weaker:?}.contains(context.tier) && context.text like \"*# rises\" }};"
    );
    deciding(vec![PolicySource { name: "rises.cedar".to_owned(), text }])
}

/// A warden whose policy names the tier without isolation for everything.
pub(crate) fn trusting() -> Warden {
    let text = "@id(\"trusts\") @tier(\"worktree\") @reason(\"a test\") permit(principal, action == Action::\"command\", resource) when { context.tier == \"worktree\" };".to_owned();
    deciding(vec![PolicySource { name: "trusts.cedar".to_owned(), text }])
}

fn deciding(more: Vec<PolicySource>) -> Warden {
    let text =
        "@id(\"everything\") @reason(\"a test\") permit(principal, action, resource);".to_owned();
    let mut sources = vec![PolicySource { name: "everything.cedar".to_owned(), text }];
    sources.extend(more);
    let policy = PolicySet::load(&sources).unwrap();
    let warden = Warden::new(Arc::new(policy), Arc::new(Memory(Mutex::default())), Arc::new(Free));
    hold(&warden);
    warden
}

/// An agent does nothing without a token: here one that allows everything.
fn hold(warden: &Warden) {
    let now = bailiwick_model::Timestamp::now();
    let bounds = Bounds::lasting(86_400, now);
    let token = warden.tokens().grant(&bounds, now).unwrap();
    warden.tokens().hold(session(), token);
}

fn session() -> SessionId {
    "01980000-0000-7000-8000-0000000000aa".parse().unwrap()
}

fn subject() -> Subject {
    let on_behalf_of = Person::parse("tester").unwrap();
    Subject {
        role: Role::Implementor,
        on_behalf_of,
        task: None,
        subtask: None,
        session: Some(session()),
    }
}

fn context() -> Context {
    Context {
        repo: RepoName::parse("project").unwrap(),
        protected_branch: BranchName::parse("main").unwrap(),
        taint: BTreeSet::new(),
        scope: vec!["**".to_owned()],
        budget_left: MicroUsd(u64::MAX),
        denials: 0,
        single_user: false,
        approvals: BTreeSet::new(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    }
}
