//! Events: everything that happened, in the order in which it was recorded. Each is one entry of
//! the ledger.

mod stage;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::action::{Action, MergeMethod, ReviewVerdict};
use crate::approval::{
    ApprovalAnswer, ApprovalEscalated, ApprovalReminded, ApprovalRequest, ApprovalUsed,
    ApprovalVoided, Delegation,
};
use crate::emergency::{Alert, DamageAccepted, Emergency, EmergencyUsed, EmergencyWord};
use crate::evidence::{Finding, GateReport, RiskReport};
use crate::freeze::{Freeze, Thaw};
use crate::id::{
    ActionId, BranchName, CommentId, Oid, Person, RepoName, SessionId, SubtaskKey, TaskId,
};
use crate::identity::IdentityChange;
use crate::outcome::Outcome;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::remark::{LineComment, Message, ThreadState};
use crate::subject::{Context, Role, Subject, Taint, TaintOrigin};
use crate::task::{MicroUsd, PolicyText, Task};
use crate::verdict::Verdict;

pub use stage::{SessionEnd, Stage, StageEnd, TaskEnd, Verification};

/// An event with its place in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its index in the ledger, counted from 0.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An action was decided. Recorded before its effect.
    Decided(Box<Decided>),
    /// An action that was permitted is over.
    Finished(Box<Finished>),
    /// A fact about a task or the platform.
    Fact(Box<Fact>),
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The action's id.
    pub id: ActionId,
    /// Who acts.
    pub subject: Subject,
    /// In what circumstances.
    pub context: Context,
    /// What is to be done.
    pub action: Action,
    /// What was decided.
    pub decision: Verdict,
    /// SHA-256 of the policy set that decided.
    pub policy: crate::payload::Digest,
}

/// The end of a permitted action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The action's id.
    pub id: ActionId,
    /// The task it was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The agent run it was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What came of it.
    pub result: Outcome,
}

/// What a step's tool call gave back to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The model's id of the call.
    pub tool_use_id: String,
    /// The tool.
    pub tool: String,
    /// The action it became, when it became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionId>,
    /// What the model is told.
    pub content: Payload,
    /// Whether that is an error or a denial.
    pub is_error: bool,
}

/// A step of an agent run: one reply of the model and what its tool calls gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The task.
    pub task: TaskId,
    /// The subtask, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtask: Option<SubtaskKey>,
    /// The agent run.
    pub session: SessionId,
    /// Counted from 1.
    pub step: u32,
    /// The model's reply, as JSON blocks.
    pub reply: Payload,
    /// What its tool calls gave.
    pub results: Vec<ToolResult>,
    /// The tree of the workspace after the step, when there is a workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Oid>,
    /// What the session has read so far.
    pub taint: BTreeSet<Taint>,
    /// How many of the session's actions were denied so far.
    pub denials: u32,
    /// Where the labels came from, the first of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<TaintOrigin>,
}

/// A commit that an implementor's work became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The commit.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The commit it was made on.
    pub base: Oid,
    /// The branch it is for.
    pub base_branch: BranchName,
    /// The repair round it comes from.
    pub round: u32,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The ledger begins.
    LedgerOpened {
        /// The version of the program.
        version: String,
        /// The ledger's origin line.
        origin: String,
    },
    /// A policy set is in force from here on.
    PolicyLoaded {
        /// SHA-256 of the set.
        digest: crate::payload::Digest,
        /// Its source text.
        source: Payload,
    },
    /// Who may use the platform changed.
    IdentityChanged {
        /// Who changed it.
        by: Person,
        /// What.
        change: IdentityChange,
    },
    /// Something needs the approval of people.
    ApprovalAsked(Box<ApprovalRequest>),
    /// Somebody answered a request for approval.
    ApprovalAnswered(ApprovalAnswer),
    /// An approval was used. Recorded with the decision that it made possible.
    ApprovalUsed(ApprovalUsed),
    /// A request for approval is worth nothing any more.
    ApprovalVoided(ApprovalVoided),
    /// Nobody answered, so a further group may.
    ApprovalEscalated(ApprovalEscalated),
    /// A request lapses soon, and people were told.
    ApprovalReminded(ApprovalReminded),
    /// Somebody lets somebody else answer in their place.
    Delegated(Delegation),
    /// Something is stopped at once.
    Frozen(Freeze),
    /// What was frozen goes on.
    Thawed(Thaw),
    /// An emergency was declared; it needs a second person.
    EmergencyDeclared(Emergency),
    /// The second person confirmed an emergency.
    EmergencyConfirmed(EmergencyWord),
    /// Something was done under an emergency without the usual approval.
    EmergencyUsed(EmergencyUsed),
    /// An emergency was ended before its time.
    EmergencyEnded(EmergencyWord),
    /// Something that a person should look at.
    AlertRaised(Alert),
    /// A policy was refused; the last good one stays in force. An alert.
    PolicyRefused {
        /// Whose it is: `organisation`, `team …`, `repository …`.
        layer: String,
        /// A stable code.
        code: String,
        /// What is wrong, with file and line; one sentence for each fault.
        faults: Vec<String>,
        /// SHA-256 of the set that stays in force.
        in_force: crate::payload::Digest,
    },
    /// A repository was imported or updated.
    RepositoryImported {
        /// Its name.
        repo: RepoName,
        /// The protected branch.
        branch: BranchName,
        /// Where that is now.
        head: Oid,
        /// Where it came from.
        source: String,
    },
    /// A task was accepted.
    TaskSubmitted {
        /// The task.
        task: Task,
    },
    /// A task came with rules of its own, which only narrow what is done for it.
    TaskNarrowed {
        /// The task.
        task: TaskId,
        /// Who wants it so.
        by: Person,
        /// The rules.
        files: Vec<PolicyText>,
    },
    /// An operator looked at damaged entries about people and lets work go on without them.
    DamageAccepted(DamageAccepted),
    /// A stage began, for one subtask or for the task as a whole.
    StageStarted {
        /// The task.
        task: TaskId,
        /// The subtask, when the stage is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskKey>,
        /// The stage.
        stage: Stage,
    },
    /// A stage ended.
    StageEnded {
        /// The task.
        task: TaskId,
        /// The subtask, when the stage is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskKey>,
        /// The stage.
        stage: Stage,
        /// Whether what the stage is for was reached.
        ok: StageEnd,
    },
    /// A plan passed its schema and its checks.
    PlanAccepted {
        /// The task.
        task: TaskId,
        /// The run that proposed it.
        session: SessionId,
        /// The plan.
        plan: Plan,
    },
    /// An agent run started.
    SessionStarted {
        /// The task.
        task: TaskId,
        /// The subtask, when there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskKey>,
        /// The run.
        session: SessionId,
        /// The role.
        role: Role,
        /// The repair round.
        round: u32,
        /// The system prompt and the first message, as JSON.
        opening: Payload,
        /// The commit or tree that its workspace starts from.
        #[serde(skip_serializing_if = "Option::is_none")]
        tree: Option<Oid>,
        /// What the run starts with.
        taint: BTreeSet<Taint>,
    },
    /// A step of an agent run is over.
    StepTaken(Step),
    /// An agent run ended.
    SessionEnded {
        /// The task.
        task: TaskId,
        /// The subtask, when there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskKey>,
        /// The run.
        session: SessionId,
        /// The role.
        role: Role,
        /// The repair round.
        round: u32,
        /// How.
        end: SessionEnd,
    },
    /// The base of a subtask is known, and its dependencies are there.
    SubtaskPrepared {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The commit it works on.
        base: Oid,
        /// The branch its pull request is for.
        base_branch: BranchName,
        /// What the set-up phase did, in a sentence.
        setup: String,
    },
    /// The implementor's work became a commit.
    CandidateCommitted {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The commit.
        candidate: Candidate,
    },
    /// A gate reported on a candidate.
    GateReported {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The candidate.
        commit: Oid,
        /// The report.
        report: GateReport,
    },
    /// The verifier reported on a candidate.
    Verified {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The candidate.
        commit: Oid,
        /// What it says.
        verification: Verification,
        /// In a sentence or two.
        summary: String,
        /// Why.
        findings: Vec<Finding>,
    },
    /// The reviewer model gave advice on a candidate.
    Advised {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The candidate.
        commit: Oid,
        /// In a sentence or two.
        summary: String,
        /// Its remarks.
        findings: Vec<Finding>,
    },
    /// A candidate goes back to the implementor.
    RepairAsked {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The round that begins.
        round: u32,
        /// Who asks.
        by: Role,
        /// What is to be mended.
        findings: Vec<Finding>,
    },
    /// The platform cannot go on without a person.
    HumanAsked {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// A stable code such as `review.rounds_used`.
        code: String,
        /// Why.
        reason: String,
        /// What they can do.
        hint: String,
    },
    /// The risk of a candidate.
    RiskScored {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The candidate.
        commit: Oid,
        /// The score and its reasons.
        risk: RiskReport,
    },
    /// A pull request was opened or brought up to date.
    ChangePublished {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The repository.
        repo: RepoName,
        /// Its number.
        number: u64,
        /// The branch.
        branch: BranchName,
        /// The commit.
        head: Oid,
        /// The branch it is for.
        base_branch: BranchName,
    },
    /// A person reviewed.
    Reviewed {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The pull request.
        number: u64,
        /// Who.
        reviewer: Person,
        /// The commit that was shown.
        head: Oid,
        /// What they say.
        verdict: ReviewVerdict,
        /// In their words.
        body: Payload,
        /// Whether the approver is simulated.
        simulated: bool,
    },
    /// A person remarked on a line of a change.
    Commented {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The pull request.
        number: u64,
        /// The remark.
        comment: Box<LineComment>,
    },
    /// A person said that a thread of remarks is done with, or is not.
    ThreadMarked {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The pull request.
        number: u64,
        /// The remark that began the thread.
        comment: CommentId,
        /// Who.
        by: Person,
        /// Where it stands from here on.
        state: ThreadState,
    },
    /// A person has something to say to the agent at work on a task.
    Steered {
        /// The task.
        task: TaskId,
        /// The subtask, when the message is for its implementor alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskKey>,
        /// What is said.
        message: Message,
    },
    /// An agent run hears messages from here on. Recorded before its model is asked.
    SteeringHeard {
        /// The task.
        task: TaskId,
        /// The subtask, when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subtask: Option<SubtaskKey>,
        /// The run.
        session: SessionId,
        /// The step whose model call is the first with them.
        step: u32,
        /// What it hears.
        messages: Vec<Message>,
    },
    /// The base branch moved; the candidate has to be made anew, and approvals are void.
    BaseMoved {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// Where the base was.
        from: Oid,
        /// Where it is now.
        to: Oid,
        /// The branch it is for from now on.
        base_branch: BranchName,
        /// How many approvals are void because of it.
        void_approvals: u32,
    },
    /// A person asked for the merge.
    MergeAsked {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The pull request.
        number: u64,
        /// Who.
        by: Person,
        /// How.
        method: MergeMethod,
    },
    /// A pull request was merged.
    Merged {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The pull request.
        number: u64,
        /// The commit that the base branch is at because of it.
        commit: Oid,
        /// How.
        method: MergeMethod,
    },
    /// What was merged was taken back by a later commit on the branch.
    Reverted {
        /// The task.
        task: TaskId,
        /// The subtask.
        subtask: SubtaskKey,
        /// The pull request.
        number: u64,
        /// The commit that was taken back.
        commit: Oid,
        /// The commit that takes it back.
        by: Oid,
    },
    /// A person cancelled a task.
    TaskCancelled {
        /// The task.
        task: TaskId,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// A person took a task up again.
    TaskRetried {
        /// The task.
        task: TaskId,
        /// Who.
        by: Person,
    },
    /// A task is over.
    TaskEnded {
        /// The task.
        task: TaskId,
        /// How.
        end: TaskEnd,
        /// A stable code when it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Why, in a sentence.
        reason: String,
        /// What to do next, when there is something.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// What it cost.
        cost: MicroUsd,
    },
}

impl Event {
    /// A fact as an event.
    pub fn fact(fact: Fact) -> Self {
        Self::Fact(Box::new(fact))
    }

    /// The task the event is about.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Decided(decided) => decided.subject.task,
            Self::Finished(finished) => finished.task,
            Self::Fact(fact) => fact.task(),
        }
    }

    /// The agent run the event is about.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Decided(decided) => decided.subject.session,
            Self::Finished(finished) => finished.session,
            Self::Fact(fact) => match fact.as_ref() {
                Fact::SessionStarted { session, .. }
                | Fact::SessionEnded { session, .. }
                | Fact::SteeringHeard { session, .. }
                | Fact::PlanAccepted { session, .. } => Some(*session),
                Fact::StepTaken(step) => Some(step.session),
                _ => None,
            },
        }
    }

    /// The event's name: `decided`, `finished`, or the fact's.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Decided(_) => "decided",
            Self::Finished(_) => "finished",
            Self::Fact(fact) => fact.name(),
        }
    }

    /// The payloads that an agent run is taken up again from.
    pub fn payloads_mut(&mut self) -> Vec<&mut Payload> {
        match self {
            Self::Decided(_) => Vec::new(),
            Self::Finished(finished) => match &mut finished.result {
                Outcome::Model { reply, .. } => vec![reply],
                Outcome::Command { output, .. } | Outcome::Agent { output, .. } => vec![output],
                _ => Vec::new(),
            },
            Self::Fact(fact) => match fact.as_mut() {
                Fact::SessionStarted { opening, .. } => vec![opening],
                Fact::StepTaken(step) => step
                    .results
                    .iter_mut()
                    .map(|result| &mut result.content)
                    .chain([&mut step.reply])
                    .collect(),
                Fact::SessionEnded { end: SessionEnd::Finished { result }, .. } => vec![result],
                _ => Vec::new(),
            },
        }
    }

    /// Every payload in it, so that blobs are stored before the event that names them.
    pub fn payloads(&self) -> Vec<&Payload> {
        match self {
            Self::Decided(decided) => decided.action.payloads(),
            Self::Finished(finished) => finished.result.payloads(),
            Self::Fact(fact) => fact.payloads(),
        }
    }
}

impl Fact {
    /// The task it is about.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::LedgerOpened { .. }
            | Self::PolicyLoaded { .. }
            | Self::IdentityChanged { .. }
            | Self::Delegated(_)
            | Self::EmergencyDeclared(_)
            | Self::EmergencyConfirmed(_)
            | Self::EmergencyEnded(_)
            | Self::PolicyRefused { .. }
            | Self::DamageAccepted { .. }
            | Self::RepositoryImported { .. } => None,
            Self::TaskSubmitted { task } => Some(task.id),
            Self::Frozen(freeze) => freeze.frozen.task(),
            Self::Thawed(thaw) => thaw.task,
            Self::StepTaken(step) => Some(step.task),
            Self::ApprovalAsked(request) => request.subject.task,
            Self::ApprovalAnswered(answer) => answer.task,
            Self::ApprovalUsed(used) => used.task,
            Self::ApprovalVoided(voided) => voided.task,
            Self::ApprovalEscalated(escalated) => escalated.task,
            Self::ApprovalReminded(reminded) => reminded.task,
            Self::EmergencyUsed(used) => used.task,
            Self::AlertRaised(alert) => alert.task,
            Self::TaskNarrowed { task, .. }
            | Self::StageStarted { task, .. }
            | Self::StageEnded { task, .. }
            | Self::PlanAccepted { task, .. }
            | Self::SessionStarted { task, .. }
            | Self::SessionEnded { task, .. }
            | Self::SubtaskPrepared { task, .. }
            | Self::CandidateCommitted { task, .. }
            | Self::GateReported { task, .. }
            | Self::Verified { task, .. }
            | Self::Advised { task, .. }
            | Self::RepairAsked { task, .. }
            | Self::HumanAsked { task, .. }
            | Self::RiskScored { task, .. }
            | Self::ChangePublished { task, .. }
            | Self::Reviewed { task, .. }
            | Self::Commented { task, .. }
            | Self::ThreadMarked { task, .. }
            | Self::Steered { task, .. }
            | Self::SteeringHeard { task, .. }
            | Self::BaseMoved { task, .. }
            | Self::MergeAsked { task, .. }
            | Self::Merged { task, .. }
            | Self::Reverted { task, .. }
            | Self::TaskCancelled { task, .. }
            | Self::TaskRetried { task, .. }
            | Self::TaskEnded { task, .. } => Some(*task),
        }
    }

    /// The fact's name as it stands in the ledger.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LedgerOpened { .. } => "ledger_opened",
            Self::PolicyLoaded { .. } => "policy_loaded",
            Self::IdentityChanged { .. } => "identity_changed",
            Self::ApprovalAsked(_) => "approval_asked",
            Self::ApprovalAnswered(_) => "approval_answered",
            Self::ApprovalUsed(_) => "approval_used",
            Self::ApprovalVoided(_) => "approval_voided",
            Self::ApprovalEscalated(_) => "approval_escalated",
            Self::ApprovalReminded(_) => "approval_reminded",
            Self::Delegated(_) => "delegated",
            Self::Frozen(_) => "frozen",
            Self::Thawed(_) => "thawed",
            Self::EmergencyDeclared(_) => "emergency_declared",
            Self::EmergencyConfirmed(_) => "emergency_confirmed",
            Self::EmergencyUsed(_) => "emergency_used",
            Self::EmergencyEnded(_) => "emergency_ended",
            Self::AlertRaised(_) => "alert_raised",
            Self::PolicyRefused { .. } => "policy_refused",
            Self::RepositoryImported { .. } => "repository_imported",
            Self::TaskSubmitted { .. } => "task_submitted",
            Self::TaskNarrowed { .. } => "task_narrowed",
            Self::DamageAccepted { .. } => "damage_accepted",
            Self::StageStarted { .. } => "stage_started",
            Self::StageEnded { .. } => "stage_ended",
            Self::PlanAccepted { .. } => "plan_accepted",
            Self::SessionStarted { .. } => "session_started",
            Self::StepTaken(_) => "step_taken",
            Self::SessionEnded { .. } => "session_ended",
            Self::SubtaskPrepared { .. } => "subtask_prepared",
            Self::CandidateCommitted { .. } => "candidate_committed",
            Self::GateReported { .. } => "gate_reported",
            Self::Verified { .. } => "verified",
            Self::Advised { .. } => "advised",
            Self::RepairAsked { .. } => "repair_asked",
            Self::HumanAsked { .. } => "human_asked",
            Self::RiskScored { .. } => "risk_scored",
            Self::ChangePublished { .. } => "change_published",
            Self::Reviewed { .. } => "reviewed",
            Self::Commented { .. } => "commented",
            Self::ThreadMarked { .. } => "thread_marked",
            Self::Steered { .. } => "steered",
            Self::SteeringHeard { .. } => "steering_heard",
            Self::BaseMoved { .. } => "base_moved",
            Self::MergeAsked { .. } => "merge_asked",
            Self::Merged { .. } => "merged",
            Self::Reverted { .. } => "reverted",
            Self::TaskCancelled { .. } => "task_cancelled",
            Self::TaskRetried { .. } => "task_retried",
            Self::TaskEnded { .. } => "task_ended",
        }
    }

    fn payloads(&self) -> Vec<&Payload> {
        match self {
            Self::PolicyLoaded { source, .. } => vec![source],
            Self::ApprovalAsked(request) => request.action.payloads(),
            Self::SessionStarted { opening, .. } => vec![opening],
            Self::StepTaken(step) => {
                step.results.iter().map(|result| &result.content).chain([&step.reply]).collect()
            }
            Self::SessionEnded { end: SessionEnd::Finished { result }, .. } => vec![result],
            Self::GateReported { report, .. } => report.evidence.iter().map(|e| &e.log).collect(),
            Self::Reviewed { body, .. } => vec![body],
            _ => Vec::new(),
        }
    }
}
