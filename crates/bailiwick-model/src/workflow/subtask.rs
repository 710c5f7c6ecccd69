//! The state of one subtask.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::action::{Action, MergeMethod, ReviewVerdict};
use crate::event::{Candidate, Decided, Fact, Finished, SessionEnd, Stage, Verification};
use crate::evidence::{Autonomy, Finding, GateReport, RiskReport};
use crate::id::{ActionId, BranchName, Oid, Person, SessionId};
use crate::outcome::Outcome;
use crate::payload::Digest;
use crate::plan::Subtask;
use crate::subject::Role;
use crate::task::MicroUsd;
use crate::tier::{Tier, TierUse};
use crate::verdict::Verdict;

/// An agent run, as far as the workflow needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRef {
    /// Its id.
    pub id: SessionId,
    /// Its role.
    pub role: Role,
    /// The repair round.
    pub round: u32,
    /// The tree it started from.
    pub started_from: Option<Oid>,
    /// The tree of its workspace after its last step.
    pub tree: Option<Oid>,
    /// Its steps so far.
    pub steps: u32,
    /// The most of its actions that were denied.
    pub denials: u32,
    /// Labels of what it has read.
    pub taint: BTreeSet<crate::subject::Taint>,
    /// How it ended, once it has.
    pub end: Option<SessionEnd>,
    /// How often the task had been taken up again when it started.
    pub retry: u32,
}

impl SessionRef {
    pub(super) fn new(id: SessionId, role: Role, round: u32, tree: Option<Oid>) -> Self {
        Self {
            id,
            role,
            round,
            started_from: tree.clone(),
            tree,
            steps: 0,
            denials: 0,
            taint: BTreeSet::new(),
            end: None,
            retry: 0,
        }
    }
}

/// What a subtask works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The commit it starts from.
    pub base: Oid,
    /// The branch its pull request is for.
    pub base_branch: BranchName,
    /// What the set-up phase did.
    pub setup: String,
}

/// The pull request of a subtask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRef {
    /// Its number.
    pub number: u64,
    /// Its branch.
    pub branch: BranchName,
    /// Where that is.
    pub head: Oid,
    /// The branch it is for.
    pub base_branch: BranchName,
}

/// An approval in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub reviewer: Person,
    /// Of which commit.
    pub head: Oid,
    /// Whether the approver is simulated.
    pub simulated: bool,
}

/// What the platform asks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanQuestion {
    /// A stable code.
    pub code: String,
    /// Why it is asked.
    pub reason: String,
    /// What they can do.
    pub hint: String,
}

/// Everything that is known of a subtask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskState {
    /// The subtask as planned.
    pub subtask: Subtask,
    /// The repair round, counted from 0.
    pub round: u32,
    /// How many repairs gates and verifier have asked for since a person last looked.
    pub repairs: u32,
    /// All repairs that were asked for, by whomever.
    pub repairs_total: u32,
    /// What has to be mended in this round.
    pub findings: Vec<Finding>,
    /// What it works on.
    pub prepared: Option<Prepared>,
    /// The newest candidate.
    pub candidate: Option<Candidate>,
    /// Reports of the gates on that candidate.
    pub gates: Vec<GateReport>,
    /// What the verifier says of that candidate.
    pub verification: Option<(Verification, String, Vec<Finding>)>,
    /// What the reviewer says of that candidate.
    pub advice: Option<(String, Vec<Finding>)>,
    /// The risk of that candidate.
    pub risk: Option<RiskReport>,
    /// Its pull request.
    pub change: Option<ChangeRef>,
    /// Approvals of the pull request's head.
    pub approvals: Vec<Approval>,
    /// The merge that was asked for.
    pub merge: Option<(Person, MergeMethod)>,
    /// The commit the base branch is at because of it.
    pub merged: Option<Oid>,
    /// Whether a person gave it up.
    pub rejected: bool,
    /// What the platform asks a person.
    pub question: Option<HumanQuestion>,
    /// Its runs.
    pub sessions: Vec<SessionRef>,
    /// What its runs have cost.
    pub cost: MicroUsd,
    /// Where its commands and agents' programs ran, and why there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<Tier, TierUse>,
    /// Files that were written as people approved it, with the SHA-256 of what was written.
    #[serde(default)]
    pub approved_files: BTreeMap<String, Digest>,
    /// Approved writes that are under way.
    #[serde(default)]
    approved_writes: BTreeMap<ActionId, String>,
    retries: u32,
    stages: BTreeSet<Stage>,
}

impl SubtaskState {
    pub(super) fn new(subtask: Subtask) -> Self {
        Self {
            subtask,
            round: 0,
            repairs: 0,
            repairs_total: 0,
            findings: Vec::new(),
            prepared: None,
            candidate: None,
            gates: Vec::new(),
            verification: None,
            advice: None,
            risk: None,
            change: None,
            approvals: Vec::new(),
            merge: None,
            merged: None,
            rejected: false,
            question: None,
            sessions: Vec::new(),
            cost: MicroUsd(0),
            tiers: BTreeMap::new(),
            approved_files: BTreeMap::new(),
            approved_writes: BTreeMap::new(),
            retries: 0,
            stages: BTreeSet::new(),
        }
    }

    /// What it may still spend of its own budget; no bound when the plan gave it none.
    pub fn budget_left(&self) -> MicroUsd {
        self.subtask.budget.map_or(MicroUsd(u64::MAX), |budget| budget.minus(self.cost))
    }

    /// Whether a stage is under way, so that it is not begun twice after a restart.
    pub fn is_in(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }

    /// The branch of its pull request.
    pub fn is_done(&self) -> bool {
        self.merged.is_some() || self.rejected
    }

    pub(super) fn enter(&mut self, stage: Stage) -> bool {
        self.stages.insert(stage)
    }

    pub(super) fn leave(&mut self, stage: Stage) -> bool {
        self.stages.remove(&stage)
    }

    pub(super) fn retry(&mut self) {
        self.retries += 1;
        self.repairs = 0;
        if self.question.take().is_some() && self.judged_badly() {
            let findings = self.complaints();
            self.begin_round(findings);
        }
    }

    fn begin_round(&mut self, findings: Vec<Finding>) {
        self.round += 1;
        self.repairs_total += 1;
        self.findings = findings;
        self.approvals.clear();
        self.merge = None;
    }

    /// Whether a heuristic gate or the risk asks for a person's eyes, so that no simulated approver
    /// will do.
    pub fn asks_person(&self) -> bool {
        self.gates.iter().any(|report| report.state == crate::evidence::GateState::NeedsApproval)
            || self.risk.as_ref().is_some_and(|risk| risk.autonomy != Autonomy::Unattended)
    }

    /// How many people have to approve the newest candidate, by its risk. Where requester and
    /// approver may be one person there is nobody else to ask.
    pub fn required_reviewers(&self, single_user: bool) -> u32 {
        let required = self.risk.as_ref().map_or(0, |risk| risk.autonomy.reviewers());
        if single_user { required.min(1) } else { required }
    }

    /// The people who approved the newest candidate.
    pub fn people_who_approved(&self) -> BTreeSet<&Person> {
        let real = self.approvals.iter().filter(|approval| !approval.simulated);
        real.map(|approval| &approval.reviewer).collect()
    }

    /// Whether the newest candidate may be merged as far as its gates are concerned: none blocks,
    /// and what one wants a person to see was approved by one.
    pub fn gates_settled(&self) -> bool {
        !self.gates.is_empty()
            && !self.gates.iter().any(|report| report.state.blocks())
            && (!self.asks_person() || self.approvals.iter().any(|approval| !approval.simulated))
    }

    /// Whether a gate or the verifier stands against the newest candidate.
    pub fn judged_badly(&self) -> bool {
        self.gates.iter().any(|report| report.state.blocks())
            || self.verification.as_ref().is_some_and(|(v, _, _)| *v != Verification::Accepted)
    }

    /// Everything that gates and verifier found against the newest candidate.
    pub fn complaints(&self) -> Vec<Finding> {
        use crate::evidence::{GateState, Level};
        let mut findings: Vec<Finding> = Vec::new();
        for report in self.gates.iter().filter(|report| report.state.blocks()) {
            if report.findings.is_empty() {
                findings.push(Finding {
                    rule: format!(
                        "{}/{}",
                        report.gate,
                        if report.state == GateState::Fail { "fail" } else { "inconclusive" }
                    ),
                    level: Level::Error,
                    message: report.summary.clone(),
                    path: None,
                    line: None,
                    fingerprint: Digest::of(report.summary.as_bytes()),
                    explanation: None,
                });
            }
            findings.extend(report.findings.iter().cloned());
        }
        if let Some((verification, summary, found)) = &self.verification
            && *verification != Verification::Accepted
        {
            if found.is_empty() {
                findings.push(Finding {
                    rule: "verifier/refused".to_owned(),
                    level: Level::Error,
                    message: summary.clone(),
                    path: None,
                    line: None,
                    fingerprint: Digest::of(summary.as_bytes()),
                    explanation: None,
                });
            }
            findings.extend(found.iter().cloned());
        }
        findings
    }

    /// The run of a role on a tree that is not over, or is over with a result that may be taken.
    pub fn open_session(&self, role: Role, tree: Option<&Oid>) -> Option<&SessionRef> {
        self.sessions.iter().rev().find(|run| {
            run.role == role
                && run.round == self.round
                && run.retry == self.retries
                && tree.is_none_or(|tree| run.started_from.as_ref() == Some(tree))
                && !matches!(run.end, Some(SessionEnd::Stopped { .. }))
        })
    }

    /// Takes note of a write that people approved, and of the tier that something runs in.
    pub(super) fn decided(&mut self, decided: &Decided) {
        let runs = match &decided.action {
            Action::Command(_) => true,
            Action::AgentStart(start) => start.program.is_some(),
            _ => false,
        };
        if let (true, Verdict::Permit { .. }, Some(choice)) =
            (runs, &decided.decision, &decided.context.facts.tier)
        {
            self.tiers.entry(choice.tier).or_default().count(choice);
        }
        if let (Action::FileWrite(write), Verdict::Permit { .. }) =
            (&decided.action, &decided.decision)
            && !decided.context.approvals.is_empty()
        {
            self.approved_writes.insert(decided.id, write.path.as_str().to_owned());
        }
    }

    /// Takes note of what an approved write left behind.
    pub(super) fn finished(&mut self, finished: &Finished) {
        let path = self.approved_writes.remove(&finished.id);
        if let (Some(path), Outcome::Written { after, .. }) = (path, &finished.result) {
            self.approved_files.insert(path, *after);
        }
    }

    pub(super) fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::SessionStarted { session, role, round, tree, taint, .. } => {
                let mut run = SessionRef::new(*session, *role, *round, tree.clone());
                run.retry = self.retries;
                run.taint.clone_from(taint);
                self.sessions.push(run);
            }
            Fact::StepTaken(step) => {
                if let Some(run) = self.sessions.iter_mut().find(|run| run.id == step.session) {
                    run.steps = step.step;
                    run.denials = step.denials;
                    run.taint.clone_from(&step.taint);
                    if step.tree.is_some() {
                        run.tree.clone_from(&step.tree);
                    }
                }
            }
            Fact::SessionEnded { session, end, .. } => {
                if let Some(run) = self.sessions.iter_mut().find(|run| run.id == *session) {
                    run.end = Some(end.clone());
                }
            }
            Fact::SubtaskPrepared { base, base_branch, setup, .. } => {
                self.prepared = Some(Prepared {
                    base: base.clone(),
                    base_branch: base_branch.clone(),
                    setup: setup.clone(),
                });
            }
            Fact::CandidateCommitted { candidate, .. } => {
                self.candidate = Some(candidate.clone());
                self.gates.clear();
                self.verification = None;
                self.advice = None;
                self.risk = None;
                self.approvals.clear();
            }
            Fact::GateReported { commit, report, .. } if self.is_current(commit) => {
                self.gates.retain(|known| known.gate != report.gate);
                self.gates.push(report.clone());
            }
            Fact::Verified { commit, verification, summary, findings, .. }
                if self.is_current(commit) =>
            {
                self.verification = Some((*verification, summary.clone(), findings.clone()));
            }
            Fact::Advised { commit, summary, findings, .. } if self.is_current(commit) => {
                self.advice = Some((summary.clone(), findings.clone()));
            }
            Fact::RiskScored { commit, risk, .. } if self.is_current(commit) => {
                self.risk = Some(risk.clone());
            }
            Fact::RepairAsked { by, findings, .. } => {
                if *by == Role::Human {
                    self.repairs = 0;
                } else {
                    self.repairs += 1;
                }
                self.begin_round(findings.clone());
            }
            Fact::HumanAsked { code, reason, hint, .. } => {
                self.question = Some(HumanQuestion {
                    code: code.clone(),
                    reason: reason.clone(),
                    hint: hint.clone(),
                });
            }
            Fact::ChangePublished { number, branch, head, base_branch, .. } => {
                self.change = Some(ChangeRef {
                    number: *number,
                    branch: branch.clone(),
                    head: head.clone(),
                    base_branch: base_branch.clone(),
                });
            }
            Fact::Reviewed { reviewer, head, verdict, simulated, .. } => {
                self.approvals.retain(|approval| approval.reviewer != *reviewer);
                let shown = self.change.as_ref().is_some_and(|change| change.head == *head);
                match verdict {
                    ReviewVerdict::Approve if shown => self.approvals.push(Approval {
                        reviewer: reviewer.clone(),
                        head: head.clone(),
                        simulated: *simulated,
                    }),
                    ReviewVerdict::Approve | ReviewVerdict::RequestChanges => {}
                    ReviewVerdict::Reject => self.rejected = true,
                }
            }
            Fact::BaseMoved { to, base_branch, .. } => {
                if let Some(prepared) = &mut self.prepared {
                    prepared.base = to.clone();
                    prepared.base_branch = base_branch.clone();
                }
                self.approvals.clear();
            }
            Fact::MergeAsked { by, method, .. } => self.merge = Some((by.clone(), *method)),
            Fact::Merged { commit, .. } => self.merged = Some(commit.clone()),
            _ => {}
        }
    }

    fn is_current(&self, commit: &Oid) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.commit == *commit)
    }
}
