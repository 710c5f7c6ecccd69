//! `bailiwick gate …`: the gates on any repository. Needs no data directory, no configuration and no
//! server, so that it can be a pre-commit hook or a step of any pipeline.
//!
//! Gates that read content always run, and so do the external tools that the base names, in cages
//! like those of the platform. The other gates that run something do so when they are named. A
//! configuration counts only when it is named: one that lies in the repository is the change's own.

mod bench;
mod show;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_gates::{
    AcceptanceGate, Change, ContentGate, Gate, GateContext, GitTree, Input, ProjectFiles,
    ProtectedRules, Rule, Sources, check_settings, content_gates, judge_content, run_all,
    sandbox_gates, sarif, verdict,
};
use bailiwick_git::{Discovered, Git, GitError};
use bailiwick_model::evidence::{GateReport, GateState};
use bailiwick_model::id::{Oid, Person};
use jiff::Timestamp;
use serde_json::json;

use self::bench::CageBench;
use crate::arguments::{Common, GateRunArguments, GateVerb};
use crate::command::{Done, Told, configuration, person, trial};
use crate::config::Config;
use crate::online_index::{OnlineIndexConfig, OnlineIndexes};
use crate::terminal;

/// Branches that are taken for the protected one, in this order.
const PROTECTED: [&str; 5] = ["origin/HEAD", "origin/main", "origin/master", "main", "master"];

pub(crate) async fn run(common: &Common, verb: &GateVerb) -> Result<Done> {
    match verb {
        GateVerb::Run(arguments) => Box::pin(gate_run(common, arguments)).await,
        GateVerb::List => {
            show::list(common);
            Ok(Done::Yes)
        }
        GateVerb::Explain { rule } => show::explain(common, rule),
    }
}

/// When a gate that runs something does so outside of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// Always: what it runs is named on the base for that.
    Always,
    /// When it is named: it takes as long as tests do.
    WhenNamed,
    /// Not at all: it needs a subtask.
    OnPlatform,
}

impl Runs {
    fn of(gate: &dyn Gate) -> Self {
        match gate.name() {
            name if name.ends_with("analysers") => Self::Always,
            name if name == AcceptanceGate.name() => Self::OnPlatform,
            _ => Self::WhenNamed,
        }
    }
}

/// What is judged, by which rules.
struct Range {
    rules_at: Oid,
    base: Oid,
    head: Oid,
    tree: Oid,
}

async fn gate_run(common: &Common, arguments: &GateRunArguments) -> Result<Done> {
    let config = match &common.config {
        Some(_) => configuration(common)?,
        None => Config::default(),
    };
    let named = &config.dependencies;
    let mut sources = crate::gate_sources::load(
        arguments.advisories.as_deref().or(named.advisories.as_deref()),
        arguments.index.as_deref().or(named.index.as_deref()),
    )?;
    sources.analysers = crate::gate_sources::load_analysers(&config.gates.analyser)?;
    let person = person(common, &config)?;
    let sources = online(sources, arguments, &config, &person).await?;
    let all = content_gates(&sources);
    let chosen = Chosen::of(&all, &sources, &arguments.gates)?;
    let found = Git::discover(&arguments.repo).map_err(told)?;
    let scratch = tempfile::tempdir().context("cannot make a scratch directory")?;
    let range = match range(&found, arguments, scratch.path())? {
        Ok(range) => range,
        Err(error) => return reported(common, arguments, &[not_judged(&error)], &[], None),
    };
    let git = found.git;

    let rules = ProtectedRules::read(&git, &range.rules_at).map_err(|error| Told {
        code: "gate.rules".to_owned(),
        hint: error.hint().to_owned(),
        message: full(&error),
    })?;
    check_settings(&rules.gates, &all).map_err(|reason| Told {
        code: "gate.rules".to_owned(),
        message: format!("`.bailiwick/gates.toml` at {} is not valid: {reason}", range.rules_at),
        hint: "`bailiwick gate list` names all gates and rules".to_owned(),
    })?;
    let loaded = Change::load_tree(&git, &range.base, &range.head, &range.tree);
    let mut change = match loaded {
        Ok(change) => change,
        Err(error) => return reported(common, arguments, &[not_judged(&error)], &[], Some(&range)),
    };
    if let Some(path) = &arguments.message {
        let text = std::fs::read(path)
            .with_context(|| format!("cannot read the message in `{}`", path.display()))?;
        change = change.with_text("the message", &String::from_utf8_lossy(&text));
    }
    let bench = CageBench::new(git.clone(), config.sandbox.tier, config.policy.clone(), person)?;
    let ran = chosen.run_in_cages(bench, &git, &range, &change, &rules).await?;
    let known: Vec<Rule> = chosen.rules();
    let limit = rules.gates.timeout;
    let input = Input {
        change,
        base: Box::new(GitTree::new(git.clone(), range.base.clone())),
        head: Box::new(GitTree::new(git, range.tree.clone())),
        settings: rules.gates,
        now: Timestamp::now(),
        deadline: None,
    };
    let content = chosen.content;
    let judged = tokio::task::spawn_blocking(move || judge_content(&content, input, limit));
    let mut reports = judged.await.context("the gates broke down")?;
    reports.extend(ran);
    reported(common, arguments, &reports, &known, Some(&range))
}

/// The sources with the indexes that may be asked over HTTP. There is no data directory, so
/// answers are not kept.
async fn online(
    mut sources: Sources,
    arguments: &GateRunArguments,
    config: &Config,
    person: &Person,
) -> Result<Sources> {
    let mut named = config.dependencies.online.clone();
    for one in &arguments.online_index {
        named.insert(one.ecosystem, OnlineIndexConfig::at(&one.url));
    }
    if named.is_empty() {
        return Ok(sources);
    }
    let warden = Arc::new(trial::warden(crate::policies::check(&config.policy).await?));
    sources.remote = OnlineIndexes::open(&named, None, warden)?;
    Ok(sources.asked_by(bench::subject(person.clone()), trial::circumstances()?))
}

/// What can't be read can't be judged: inconclusive, which blocks.
fn not_judged(error: &GitError) -> GateReport {
    GateReport {
        gate: "change".to_owned(),
        state: GateState::Inconclusive,
        summary: format!("{}; {}", full(error), error.hint().unwrap_or("run `bailiwick doctor`")),
        findings: Vec::new(),
        evidence: Vec::new(),
    }
}

/// Tells what the gates say.
fn reported(
    common: &Common,
    arguments: &GateRunArguments,
    reports: &[GateReport],
    rules: &[Rule],
    range: Option<&Range>,
) -> Result<Done> {
    let state = verdict(reports);
    if let Some(path) = &arguments.sarif {
        let text = serde_json::to_string_pretty(&sarif::to_sarif(reports, rules))
            .context("cannot write SARIF")?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    if common.json {
        terminal::out_json(&json!({
            "state": state,
            "base": range.map(|range| &range.base),
            "head": range.map(|range| &range.tree),
            "rules": range.map(|range| &range.rules_at),
            "reports": reports,
        }));
    } else {
        terminal::out(&show::text(reports, state));
    }
    Ok(match state {
        GateState::Pass => Done::Yes,
        GateState::Fail => Done::No,
        GateState::NeedsApproval | GateState::Inconclusive => Done::NeedsPerson,
    })
}

/// The gates of one run.
struct Chosen {
    content: Vec<Arc<dyn ContentGate>>,
    running: Vec<Box<dyn Gate>>,
}

impl Chosen {
    fn of(all: &[Arc<dyn ContentGate>], sources: &Sources, names: &[String]) -> Result<Self, Told> {
        let is_named = |name: &str| names.iter().any(|one| one == name);
        let content: Vec<_> =
            all.iter().filter(|gate| names.is_empty() || is_named(gate.name())).cloned().collect();
        let running: Vec<_> = sandbox_gates(sources)
            .into_iter()
            .filter(|gate| match Runs::of(&**gate) {
                Runs::Always => names.is_empty() || is_named(gate.name()),
                Runs::WhenNamed => is_named(gate.name()),
                Runs::OnPlatform => false,
            })
            .collect();
        let is_there = |name: &String| {
            content.iter().any(|gate| gate.name() == name)
                || running.iter().any(|gate| gate.name() == name)
        };
        match names.iter().find(|name| !is_there(name)) {
            Some(name) => Err(no_such(name)),
            None => Ok(Self { content, running }),
        }
    }

    fn rules(&self) -> Vec<Rule> {
        let running = self.running.iter().flat_map(|gate| gate.rules());
        self.content.iter().flat_map(|gate| gate.rules()).chain(running).collect()
    }

    /// Runs the gates that run something.
    async fn run_in_cages(
        &self,
        bench: CageBench,
        git: &Git,
        range: &Range,
        change: &Change,
        rules: &ProtectedRules,
    ) -> Result<Vec<GateReport>> {
        // tools are run on checkouts of their own, and no test is looked for
        let files = |at: &Oid| {
            if self.running.iter().all(|gate| Runs::of(&**gate) == Runs::Always) {
                return Ok(ProjectFiles::default());
            }
            ProjectFiles::read(git, at).map_err(told)
        };
        let bench = Arc::new(bench);
        let context = GateContext {
            base: &bench.lazily(&range.base, files(&range.base)?),
            head: &bench.lazily(&range.tree, files(&range.tree)?),
            bench: &*bench,
            change,
            rules,
            acceptance: &[],
            now: Timestamp::now(),
        };
        Ok(run_all(&self.running, &context).await)
    }
}

fn no_such(name: &str) -> Told {
    Told {
        code: "gate.unknown".to_owned(),
        message: format!("there is no gate or rule `{name}` that runs here"),
        hint: "`bailiwick gate list` names them".to_owned(),
    }
}

/// What is to be judged; inside, why it can't be: files that can't be taken for a tree are no fault of
/// who asked.
fn range(
    found: &Discovered,
    arguments: &GateRunArguments,
    scratch: &Path,
) -> Result<Result<Range, GitError>> {
    let git = &found.git;
    let (head, tree) = match (arguments.head.as_deref(), &found.top) {
        _ if arguments.staged => {
            let head = git.commit_named("HEAD").map_err(told)?;
            (head, git.staged_tree(scratch).map(|tree| tree.oid().clone()))
        }
        (Some("worktree") | None, Some(top)) => {
            let head = git.commit_named("HEAD").map_err(told)?;
            (head, git.work_tree_tree(top, scratch).map(|tree| tree.oid().clone()))
        }
        (Some("worktree"), None) => {
            return Err(Told {
                code: "gate.no_worktree".to_owned(),
                message: "the repository is bare: it has no working tree".to_owned(),
                hint: "name a branch or commit: `--head REV`".to_owned(),
            }
            .into());
        }
        (revision, _) => {
            let head = git.commit_named(revision.unwrap_or("HEAD")).map_err(told)?;
            (head.clone(), Ok(head))
        }
    };
    let tree = match tree {
        Ok(tree) => tree,
        Err(error) => return Ok(Err(error)),
    };
    let protected = || PROTECTED.iter().find_map(|name| git.commit_named(name).ok());
    let (rules_at, against) = match &arguments.base {
        Some(revision) => {
            let base = git.commit_named(revision).map_err(told)?;
            (base.clone(), base)
        }
        None => {
            let protected = protected().unwrap_or_else(|| head.clone());
            let against = if arguments.staged { head.clone() } else { protected.clone() };
            (protected, against)
        }
    };
    let base = git.merge_base(&against, &head).map_err(told)?.unwrap_or(against);
    Ok(Ok(Range { rules_at, base, head, tree }))
}

fn told(error: GitError) -> anyhow::Error {
    Told {
        code: "git".to_owned(),
        hint: error.hint().unwrap_or("run `bailiwick doctor`").to_owned(),
        message: full(&error),
    }
    .into()
}

/// An error with everything behind it.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
