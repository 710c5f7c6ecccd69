//! The state of a task: a pure fold over its events, and from it what comes next.
//!
//! Nothing is kept beside the events. A process that was killed anywhere folds them again and
//! goes on from [`TaskState::next`].

mod next;
mod subtask;

pub use next::{MAX_REPAIRS, Next};
pub use subtask::{Approval, ChangeRef, HumanQuestion, Prepared, SessionRef, SubtaskState};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::action::{Action, TaskRaise};
use crate::approval::{ApprovalState, Approvals};
use crate::chat::Usage;
use crate::event::{Entry, Event, Fact, SessionEnd, Stage, StageEnd, TaskEnd};
use crate::freeze::Freeze;
use crate::id::{ActionId, SubtaskKey, TaskId};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::subject::Role;
use crate::task::{MicroUsd, PolicyText, Task};
use crate::verdict::Verdict;

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// Not begun.
    Pending,
    /// Begun, for at least one subtask.
    Running,
    /// What it is for was reached, for every subtask that came to it.
    Done,
    /// It was not.
    Failed,
}

/// The progress of one stage over all subtasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageProgress {
    /// Where it stands.
    pub state: StageState,
    /// How long at least one subtask was in it, in milliseconds, up to the last event folded.
    pub ms: u64,
    /// When it was entered and not yet left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    running: u32,
}

impl StageProgress {
    fn new() -> Self {
        Self { state: StageState::Pending, ms: 0, since: None, running: 0 }
    }

    fn start(&mut self, at: Timestamp) {
        if self.running == 0 {
            self.since = Some(at);
        }
        self.running += 1;
        self.state = StageState::Running;
    }

    fn end(&mut self, at: Timestamp, end: StageEnd) {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            if let Some(since) = self.since.take() {
                let ms = at.duration_since(since).as_millis();
                self.ms = self.ms.saturating_add(u64::try_from(ms).unwrap_or(0));
            }
            self.state = match end {
                StageEnd::Done => StageState::Done,
                StageEnd::Failed => StageState::Failed,
            };
        }
    }
}

/// An action that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its entry in the ledger.
    pub entry: u64,
    /// Its id.
    pub action: ActionId,
    /// Its kind.
    pub kind: String,
    /// The action in one line.
    pub summary: String,
    /// Who tried.
    pub role: Role,
    /// The denial's code.
    pub code: String,
    /// The rules that decided.
    pub rules: Vec<String>,
    /// What would allow it, or what to do instead.
    pub hint: String,
}

/// How a task ended, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// How.
    pub end: TaskEnd,
    /// A stable code when it failed.
    pub code: Option<String>,
    /// Why.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// Everything that is known of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    /// The task.
    pub task: Task,
    /// The seven stages.
    pub stages: BTreeMap<Stage, StageProgress>,
    /// The plan, once accepted.
    pub plan: Option<Plan>,
    /// Runs that belong to no subtask: the coordinator's.
    pub sessions: Vec<SessionRef>,
    /// The subtasks of the plan.
    pub subtasks: BTreeMap<SubtaskKey, SubtaskState>,
    /// The end, once it has come.
    pub ending: Option<Ending>,
    /// Tokens of all its runs.
    pub usage: Usage,
    /// Cost of all its runs.
    pub cost: MicroUsd,
    /// What was refused.
    pub refusals: Vec<Refusal>,
    /// How many actions were decided.
    pub actions: u64,
    /// Rules of its own, which only narrow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrowing: Vec<PolicyText>,
    /// The sandbox tier that people let it have; the platform's where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// How often it was taken up again by a person.
    pub retries: u32,
    /// What people were asked to approve for it.
    #[serde(default)]
    pub approvals: Approvals,
    /// Set while somebody holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Freeze>,
    /// The last event folded.
    pub last_seq: u64,
    /// When that was.
    pub updated_at: Timestamp,
}

impl TaskState {
    /// Folds a task's entries, the first of which must be its `TaskSubmitted`.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<Self> {
        let mut state: Option<Self> = None;
        for entry in entries {
            match &mut state {
                Some(state) => state.apply(entry),
                None => state = Self::open(entry),
            }
        }
        state
    }

    fn open(entry: &Entry) -> Option<Self> {
        let Event::Fact(fact) = &entry.event else { return None };
        let Fact::TaskSubmitted { task } = fact.as_ref() else { return None };
        Some(Self {
            task: task.clone(),
            stages: Stage::ALL.iter().map(|stage| (*stage, StageProgress::new())).collect(),
            plan: None,
            sessions: Vec::new(),
            subtasks: BTreeMap::new(),
            ending: None,
            usage: Usage::default(),
            cost: MicroUsd(0),
            refusals: Vec::new(),
            actions: 0,
            narrowing: Vec::new(),
            tier: None,
            retries: 0,
            approvals: Approvals::default(),
            paused: None,
            last_seq: entry.seq,
            updated_at: entry.at,
        })
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.task.id
    }

    /// Takes one more entry of the same task into account. Entries of other tasks change nothing.
    pub fn apply(&mut self, entry: &Entry) {
        if entry.event.task() != Some(self.task.id) || entry.seq <= self.last_seq {
            return;
        }
        self.last_seq = entry.seq;
        self.updated_at = entry.at;
        self.approvals.apply(entry);
        match &entry.event {
            Event::Decided(decided) => {
                self.actions += 1;
                let subtask = decided.subject.subtask.as_ref();
                if let Some(subtask) = subtask.and_then(|key| self.subtasks.get_mut(key)) {
                    subtask.decided(decided);
                }
                if let (Action::TaskRaise(raise), Verdict::Permit { .. }) =
                    (&decided.action, &decided.decision)
                {
                    self.raise(raise);
                }
                if let Verdict::Deny(denial) = &decided.decision {
                    self.refusals.push(Refusal {
                        entry: entry.seq,
                        action: decided.id,
                        kind: decided.action.kind().to_owned(),
                        summary: decided.action.summary(),
                        role: decided.subject.role,
                        code: denial.code.clone(),
                        rules: denial.rules.clone(),
                        hint: denial.hint.clone(),
                    });
                }
            }
            Event::Finished(finished) => {
                for subtask in self.subtasks.values_mut() {
                    subtask.finished(finished);
                }
                if let Outcome::Model { usage, cost, .. } = &finished.result {
                    self.usage = self.usage.plus(usage);
                    self.cost = self.cost.plus(*cost);
                    let owner = self.subtasks.values_mut().find(|subtask| {
                        subtask.sessions.iter().any(|run| Some(run.id) == finished.session)
                    });
                    if let Some(subtask) = owner {
                        subtask.cost = subtask.cost.plus(*cost);
                    }
                }
            }
            Event::Fact(fact) => self.apply_fact(entry.at, fact),
        }
    }

    fn raise(&mut self, raise: &TaskRaise) {
        if let Some(budget) = raise.budget {
            // What the plan gave its parts was cut to the budget of then.
            let more = budget.to.minus(budget.from);
            for subtask in self.subtasks.values_mut() {
                let own = &mut subtask.subtask.budget;
                *own = own.map(|own| own.plus(more));
            }
            self.task.budget = budget.to;
        }
        if let Some(tier) = &raise.tier {
            self.tier = Some(tier.to.clone());
        }
    }

    fn apply_fact(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Frozen(freeze) => self.paused = Some(freeze.clone()),
            Fact::Thawed(thaw) => {
                self.paused.take_if(|freeze| freeze.id == thaw.freeze);
            }
            Fact::StageStarted { stage, subtask, .. } => {
                let fresh = subtask
                    .as_ref()
                    .and_then(|key| self.subtasks.get_mut(key))
                    .is_none_or(|state| state.enter(*stage));
                if fresh && let Some(progress) = self.stages.get_mut(stage) {
                    progress.start(at);
                }
            }
            Fact::StageEnded { stage, subtask, ok, .. } => {
                let inside = subtask
                    .as_ref()
                    .and_then(|key| self.subtasks.get_mut(key))
                    .is_none_or(|state| state.leave(*stage));
                if inside && let Some(progress) = self.stages.get_mut(stage) {
                    progress.end(at, *ok);
                }
            }
            Fact::PlanAccepted { plan, .. } => {
                self.subtasks = plan
                    .subtasks
                    .iter()
                    .map(|subtask| (subtask.key.clone(), SubtaskState::new(subtask.clone())))
                    .collect();
                self.plan = Some(plan.clone());
            }
            Fact::TaskNarrowed { files, .. } => self.narrowing.extend(files.iter().cloned()),
            Fact::TaskRetried { .. } => {
                self.retries += 1;
                self.ending = None;
                for progress in self.stages.values_mut().filter(|p| p.state == StageState::Failed) {
                    progress.state = StageState::Pending;
                }
                for subtask in self.subtasks.values_mut() {
                    subtask.retry();
                }
            }
            Fact::TaskEnded { end, code, reason, hint, .. } => {
                self.ending = Some(Ending {
                    end: *end,
                    code: code.clone(),
                    reason: reason.clone(),
                    hint: hint.clone(),
                });
            }
            Fact::SessionStarted { subtask: None, session, role, round, tree, .. } => {
                let mut run = SessionRef::new(*session, *role, *round, tree.clone());
                run.retry = self.retries;
                self.sessions.push(run);
            }
            Fact::SessionEnded { subtask: None, session, end, .. } => {
                if let Some(run) = self.sessions.iter_mut().find(|run| run.id == *session) {
                    run.end = Some(end.clone());
                }
            }
            other => {
                if let Some(state) = other.subtask().and_then(|key| self.subtasks.get_mut(key)) {
                    state.apply(other);
                }
            }
        }
    }

    /// A run of the coordinator that is not over, or that is over with a result not yet taken.
    pub fn open_plan_session(&self) -> Option<&SessionRef> {
        self.sessions.iter().rev().find(|run| {
            run.retry == self.retries && !matches!(run.end, Some(SessionEnd::Stopped { .. }))
        })
    }

    /// Whether a person cancelled or ended it.
    pub fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// The requests for approval that a subtask waits for, or without one the task as a whole.
    pub fn waits_for(&self, key: Option<&SubtaskKey>) -> Option<&ApprovalState> {
        self.approvals
            .all
            .values()
            .find(|state| state.request.subject.subtask.as_ref() == key && state.holds_task())
    }

    /// What comes next for a subtask.
    pub fn next(&self, key: &SubtaskKey) -> Option<Next> {
        next::next(self, key)
    }
}

impl Fact {
    /// The subtask it is about.
    pub fn subtask(&self) -> Option<&SubtaskKey> {
        match self {
            Self::StageStarted { subtask, .. }
            | Self::StageEnded { subtask, .. }
            | Self::SessionStarted { subtask, .. }
            | Self::Steered { subtask, .. }
            | Self::SteeringHeard { subtask, .. }
            | Self::SessionEnded { subtask, .. } => subtask.as_ref(),
            Self::StepTaken(step) => step.subtask.as_ref(),
            Self::ApprovalAsked(request) => request.subject.subtask.as_ref(),
            Self::SubtaskPrepared { subtask, .. }
            | Self::CandidateCommitted { subtask, .. }
            | Self::GateReported { subtask, .. }
            | Self::Verified { subtask, .. }
            | Self::Advised { subtask, .. }
            | Self::RepairAsked { subtask, .. }
            | Self::HumanAsked { subtask, .. }
            | Self::RiskScored { subtask, .. }
            | Self::ChangePublished { subtask, .. }
            | Self::Reviewed { subtask, .. }
            | Self::Commented { subtask, .. }
            | Self::ThreadMarked { subtask, .. }
            | Self::BaseMoved { subtask, .. }
            | Self::MergeAsked { subtask, .. }
            | Self::Merged { subtask, .. }
            | Self::Reverted { subtask, .. } => Some(subtask),
            Self::LedgerOpened { .. }
            | Self::PolicyLoaded { .. }
            | Self::IdentityChanged { .. }
            | Self::ApprovalAnswered(_)
            | Self::ApprovalUsed(_)
            | Self::ApprovalVoided(_)
            | Self::ApprovalEscalated(_)
            | Self::ApprovalReminded(_)
            | Self::Delegated(_)
            | Self::Frozen(_)
            | Self::Thawed(_)
            | Self::EmergencyDeclared(_)
            | Self::EmergencyConfirmed(_)
            | Self::EmergencyUsed(_)
            | Self::EmergencyEnded(_)
            | Self::AlertRaised(_)
            | Self::PolicyRefused { .. }
            | Self::RepositoryImported { .. }
            | Self::TaskSubmitted { .. }
            | Self::TaskNarrowed { .. }
            | Self::DamageAccepted { .. }
            | Self::PlanAccepted { .. }
            | Self::TaskCancelled { .. }
            | Self::TaskRetried { .. }
            | Self::TaskEnded { .. } => None,
        }
    }
}
