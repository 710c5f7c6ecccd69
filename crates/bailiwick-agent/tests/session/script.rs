//! A case: what the workspace has, what the model does, and what must come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use bailiwick_agent::{Deps, Limits, Opening, RunError, Session, Submission, Tool, run};
use bailiwick_model::chat::{Block, SystemBlock};
use bailiwick_model::event::{Entry, Event, Fact, SessionEnd};
use bailiwick_model::id::{BranchName, Person, RepoName, SessionId, SubtaskKey, TaskId};
use bailiwick_model::subject::{Context, Role, Taint};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::PolicySet;
use bailiwick_warden::{Bounds, Warden};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::journal::{MemoryJournal, Purse};
use crate::mailbox::Mailbox;
use crate::model::{Reply, ScriptedModel};
use crate::workspace::{Behaviour, Files, MemorySnapshots, MemoryWorkspace};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// What the case shows.
    #[expect(dead_code, reason = "for whoever reads the file")]
    pub(crate) about: String,
    #[serde(default = "implementor")]
    pub(crate) role: Role,
    #[serde(default = "unlimited")]
    pub(crate) budget: u64,
    #[serde(default = "model_name")]
    pub(crate) model_name: String,
    #[serde(default)]
    pub(crate) files: Files,
    #[serde(default)]
    pub(crate) commands: BTreeMap<String, Behaviour>,
    #[serde(default)]
    pub(crate) limits: LimitChanges,
    /// Globs that the subtask may touch.
    #[serde(default = "everything")]
    pub(crate) scope: Vec<String>,
    pub(crate) model: Vec<Reply>,
    /// What people say to it, by the step from which on it is said.
    #[serde(default)]
    pub(crate) says: BTreeMap<u32, String>,
    pub(crate) expect: Expected,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitChanges {
    pub(crate) max_steps: Option<u32>,
    pub(crate) max_denials: Option<u32>,
    pub(crate) max_nudges: Option<u32>,
    pub(crate) max_submission_attempts: Option<u32>,
    pub(crate) max_tool_result_bytes: Option<usize>,
    pub(crate) max_calls_per_step: Option<usize>,
    pub(crate) context_tokens: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// `finished`, or the code it stopped with.
    pub(crate) end: String,
    /// Part of the reason.
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) result: Option<Value>,
    /// For each step and call: `ok: ` or `error: ` and a part of what the model is told.
    #[serde(default)]
    pub(crate) told: Vec<Vec<String>>,
    /// Every effect, in order.
    #[serde(default)]
    pub(crate) effects: Vec<String>,
    #[serde(default)]
    pub(crate) files: Option<Files>,
    /// Of the last step.
    #[serde(default)]
    pub(crate) taint: Option<BTreeSet<Taint>>,
    #[serde(default)]
    pub(crate) denials: u32,
}

fn implementor() -> Role {
    Role::Implementor
}

fn unlimited() -> u64 {
    1_000_000_000
}

fn model_name() -> String {
    "scripted-1".into()
}

fn everything() -> Vec<String> {
    vec!["**".into()]
}

/// All scripts beside this crate, with their names.
pub(crate) fn all() -> Vec<(String, Script)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let script = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        scripts.push((path.file_stem().unwrap().to_string_lossy().into_owned(), script));
    }
    scripts.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(scripts.len() > 15, "only {} scripts found", scripts.len());
    scripts
}

pub(crate) fn named(name: &str) -> Script {
    all().into_iter().find(|(found, _)| found == name).unwrap().1
}

/// A session on a workspace of its own.
pub(crate) struct Stage {
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) purse: Arc<Purse>,
    pub(crate) model: Arc<ScriptedModel>,
    pub(crate) workspace: Arc<MemoryWorkspace>,
    pub(crate) snapshots: Arc<MemorySnapshots>,
    pub(crate) session: Session,
}

impl Script {
    pub(crate) fn stage(&self) -> Stage {
        self.stage_with(MemoryJournal::default())
    }

    pub(crate) fn stage_with(&self, journal: MemoryJournal) -> Stage {
        let workspace = Arc::new(MemoryWorkspace::new(&self.files, &self.commands));
        let snapshots = Arc::new(MemorySnapshots::of(&workspace));
        let journal = Arc::new(journal);
        let mut session = self.session(Arc::clone(&workspace), Arc::clone(&snapshots));
        let mailbox = Mailbox { journal: Arc::clone(&journal), says: self.says.clone() };
        session.hearing = Some(Arc::new(mailbox));
        Stage {
            journal,
            purse: Arc::new(Purse(Mutex::new(MicroUsd(self.budget)))),
            model: Arc::new(ScriptedModel::new(&self.model)),
            workspace,
            snapshots,
            session,
        }
    }

    fn session(&self, sandbox: Arc<MemoryWorkspace>, snapshots: Arc<MemorySnapshots>) -> Session {
        Session {
            task: TaskId::new(Uuid::from_u128(1)),
            subtask: Some(SubtaskKey::parse("fix").unwrap()),
            id: SessionId::new(Uuid::from_u128(2)),
            role: self.role,
            round: 0,
            on_behalf_of: Person::parse("ada").unwrap(),
            context: Context {
                repo: RepoName::parse("demo").unwrap(),
                protected_branch: BranchName::parse("main").unwrap(),
                taint: BTreeSet::new(),
                scope: self.scope.clone(),
                budget_left: MicroUsd(u64::MAX),
                denials: 0,
                single_user: true,
                approvals: BTreeSet::new(),
                facts: bailiwick_model::subject::SessionFacts::default(),
            },
            provider: "scripted".into(),
            model: self.model_name.clone(),
            opening: Opening {
                system: vec![SystemBlock::stable("be careful")],
                user: "do it".into(),
                taint: BTreeSet::new(),
                untrusted: vec!["do it".into()],
            },
            tools: Tool::for_role(self.role).to_vec(),
            submission: match self.role {
                Role::Verifier => Submission::verdict(),
                Role::Reviewer => Submission::review(),
                Role::Coordinator => Submission::plan(MicroUsd(1_000_000)),
                _ => Submission::finish(),
            },
            limits: self.limits.applied(),
            start_tree: None,
            sandbox: Some(sandbox),
            snapshots: Some(snapshots),
            labeller: Arc::new(label),
            hearing: None,
            cancel: CancellationToken::new(),
        }
    }
}

impl LimitChanges {
    fn applied(&self) -> Limits {
        let standard = Limits::STANDARD;
        Limits {
            max_steps: self.max_steps.unwrap_or(standard.max_steps),
            max_denials: self.max_denials.unwrap_or(standard.max_denials),
            max_nudges: self.max_nudges.unwrap_or(standard.max_nudges),
            max_submission_attempts: self
                .max_submission_attempts
                .unwrap_or(standard.max_submission_attempts),
            max_tool_result_bytes: self
                .max_tool_result_bytes
                .unwrap_or(standard.max_tool_result_bytes),
            max_calls_per_step: self.max_calls_per_step.unwrap_or(standard.max_calls_per_step),
            context_tokens: self.context_tokens.unwrap_or(standard.context_tokens),
            ..standard
        }
    }
}

fn label(text: &str) -> BTreeSet<Taint> {
    let text = text.to_lowercase();
    let rules =
        [("ignore all previous instructions", Taint::Instructions), ("akia", Taint::Secret)];
    rules.into_iter().filter(|(part, _)| text.contains(part)).map(|(_, taint)| taint).collect()
}

/// The one that is in force when nothing else is configured.
static POLICY: LazyLock<Arc<PolicySet>> =
    LazyLock::new(|| Arc::new(PolicySet::standard().unwrap()));

impl Stage {
    pub(crate) async fn run(&self, history: &[Entry]) -> Result<SessionEnd, RunError> {
        self.run_under(Arc::clone(&POLICY), history).await
    }

    pub(crate) async fn run_under(
        &self,
        policy: Arc<PolicySet>,
        history: &[Entry],
    ) -> Result<SessionEnd, RunError> {
        let warden = Warden::new(policy, self.journal.clone(), self.purse.clone());
        let now = bailiwick_model::Timestamp::now();
        let bounds = Bounds::lasting(86_400, now);
        let token = warden.tokens().grant(&bounds, now).unwrap();
        warden.tokens().hold(self.session.id, token);
        let deps = Deps { warden: Arc::new(warden), gateway: self.model.clone() };
        run(&deps, &self.session, history).await
    }

    pub(crate) fn steps(&self) -> Vec<bailiwick_model::event::Step> {
        steps(&self.journal.entries())
    }
}

pub(crate) fn steps(entries: &[Entry]) -> Vec<bailiwick_model::event::Step> {
    let facts = entries.iter().filter_map(|entry| match &entry.event {
        Event::Fact(fact) => Some(fact.as_ref()),
        Event::Decided(_) | Event::Finished(_) => None,
    });
    facts
        .filter_map(|fact| if let Fact::StepTaken(step) = fact { Some(step.clone()) } else { None })
        .collect()
}

pub(crate) fn count(entries: &[Entry], name: &str) -> usize {
    entries.iter().filter(|entry| entry.event.name() == name).count()
}

/// All tool results of a request, in order.
pub(crate) fn results(request: &bailiwick_model::chat::ChatRequest) -> Vec<String> {
    let blocks = request.messages.iter().flat_map(|message| &message.blocks);
    blocks
        .filter_map(|block| match block {
            Block::ToolResult { content, .. } => Some(content.clone()),
            _ => None,
        })
        .collect()
}
