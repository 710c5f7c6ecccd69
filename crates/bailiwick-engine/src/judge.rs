//! Stage 4: gates on clean checkouts, then a verifier, then a reviewer, then the risk. What is
//! against the candidate goes back to the implementor, and after that to a person.

use bailiwick_agent::prompts;
use bailiwick_agent::{ReviewSubmission, Submission, Tool, VerdictSubmission};
use bailiwick_gates::risk::{self, RiskFacts};
use bailiwick_gates::{
    Change, CodeOwners, ContentGate as _, GateContext, GitTree, Input, ProtectedRules, SecretsGate,
    check_settings, content_gates, judge_content, outside_scope, run_all, sandbox_gates,
    scope_report,
};
use bailiwick_model::event::{Candidate, Fact, SessionEnd, Stage, StageEnd};
use bailiwick_model::evidence::{Finding, GateReport, GateState};
use bailiwick_model::id::{SubtaskKey, TaskId};
use bailiwick_model::plan::Check;
use bailiwick_model::subject::{Role, Taint};
use bailiwick_model::task::{Form, Task};
use bailiwick_model::workflow::{SubtaskState, TaskState};
use bailiwick_sandbox::{Access, NetworkRule};
use jiff::Timestamp;

use crate::actor;
use crate::engine::Engine;
use crate::error::{EngineError, chain};
use crate::gate_runner::LedgerWatch;
use crate::gate_runner::bench::{GateBench, plain};
use crate::session::Run;
use crate::workspace::Spot;

impl Engine {
    /// Runs every gate on clean checkouts of base and candidate, outside the agents.
    pub(crate) async fn run_gates(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let Some(candidate) = subtask.candidate.clone() else { return Ok(()) };
        self.record(Self::enter(id, Some(&subtask), Stage::Review)).await?;
        let reports = self.gate_reports(&state, &subtask, &candidate).await?;
        // All reports in one append: half of them would pass for all of them after a crash.
        let facts = reports
            .into_iter()
            .map(|report| Fact::GateReported {
                task: id,
                subtask: key.clone(),
                commit: candidate.commit.clone(),
                report,
            })
            .collect();
        self.record(facts).await
    }

    async fn gate_reports(
        &self,
        state: &TaskState,
        subtask: &SubtaskState,
        candidate: &Candidate,
    ) -> Result<Vec<GateReport>, EngineError> {
        let task = &state.task;
        let forge = &self.parts().forge;
        let protected = forge.protected_branch(&task.repo).await?;
        let protected = forge.head(&task.repo, &protected).await?;
        let git = forge.git(&task.repo)?;
        let (from, to) = (candidate.base.clone(), candidate.commit.clone());
        let read = blocking("reading the change", move || {
            let rules = ProtectedRules::read(&git, &protected);
            let change = Change::load(&git, &from, &to);
            (rules, change)
        })
        .await?;
        let (rules, change) = match read {
            (Ok(rules), Ok(change)) => (rules, change),
            (Err(error), _) => return Ok(vec![not_judged("rules", &error, error.hint())]),
            (_, Err(error)) => {
                return Ok(vec![not_judged(
                    "change",
                    &error,
                    error.hint().unwrap_or("run `bailiwick doctor`"),
                )]);
            }
        };
        let change = change.with_text("subtask's title", &crate::implement::title(subtask));
        let (subject, circumstances) =
            (actor::subject(task, Some(subtask), Role::Gate), actor::context(task, Some(subtask)));
        let sources = self.settings().gate_sources.asked_by(subject, circumstances);
        let content = content_gates(&sources);
        if let Err(reason) = check_settings(&rules.gates, &content) {
            return Ok(vec![unusable_settings(&reason)]);
        }
        let watch = LedgerWatch::default();
        let base =
            self.gate_checkout(task, subtask, &plain("gate-base"), &candidate.base, &watch).await?;
        let head = self
            .gate_checkout(task, subtask, &plain("gate-head"), &candidate.commit, &watch)
            .await?;
        let acceptance = acceptance_of(task, subtask);
        let gates = sandbox_gates(&self.settings().gate_sources);
        let bench = GateBench { engine: self, task, subtask, watch: &watch };
        let context = GateContext {
            base: &base,
            head: &head,
            bench: &bench,
            change: &change,
            rules: &rules,
            acceptance: &acceptance,
            now: Timestamp::now(),
        };
        let mut reports =
            vec![scope_report(&change, &subtask.subtask.scope.paths, &subtask.approved_files)];
        // What only reads is read while the tests run.
        let git = forge.git(&task.repo)?;
        let (from, to) = (candidate.base.clone(), candidate.commit.clone());
        let input = Input {
            change: change.clone(),
            base: Box::new(GitTree::new(git.clone(), from)),
            head: Box::new(GitTree::new(git, to)),
            settings: rules.gates.clone(),
            now: Timestamp::now(),
            deadline: None,
        };
        let limit = rules.gates.timeout;
        let (ran, read) = tokio::join!(
            run_all(&gates, &context),
            blocking("running the gates", move || judge_content(&content, input, limit)),
        );
        reports.extend(ran);
        reports.extend(read?);
        watch.check()?;
        Ok(reports)
    }

    /// Lets a verifier, distinct from the implementor, judge the candidate on a clean checkout.
    pub(crate) async fn verify(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let Some(candidate) = subtask.candidate.clone() else { return Ok(()) };
        let end = self.judge_with(&state, &subtask, &candidate, Role::Verifier).await?;
        let verdict: VerdictSubmission = self.submitted(&end).await?;
        let findings = verdict
            .findings
            .into_iter()
            .map(|finding| finding.into_finding("verifier/finding"))
            .collect();
        self.record(vec![Fact::Verified {
            task: id,
            subtask: key.clone(),
            commit: candidate.commit,
            verification: verdict.verdict.into(),
            summary: verdict.summary,
            findings,
        }])
        .await
    }

    /// Lets a reviewer give advice on the candidate.
    pub(crate) async fn advise(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let Some(candidate) = subtask.candidate.clone() else { return Ok(()) };
        let end = self.judge_with(&state, &subtask, &candidate, Role::Reviewer).await?;
        let review: ReviewSubmission = self.submitted(&end).await?;
        let findings = review
            .findings
            .into_iter()
            .map(|finding| finding.into_finding("reviewer/remark"))
            .collect();
        self.record(vec![Fact::Advised {
            task: id,
            subtask: key.clone(),
            commit: candidate.commit,
            summary: review.summary,
            findings,
        }])
        .await
    }

    async fn judge_with(
        &self,
        state: &TaskState,
        subtask: &SubtaskState,
        candidate: &Candidate,
        role: Role,
    ) -> Result<SessionEnd, EngineError> {
        let task = &state.task;
        let earlier = subtask.open_session(role, Some(&candidate.tree)).cloned();
        if let Some(end) = earlier.as_ref().and_then(|run| run.end.clone()) {
            return Ok(end);
        }
        let subject = actor::subject(task, Some(subtask), Role::Setup);
        let context = actor::context(task, Some(subtask));
        let spot = Spot {
            task: task.id,
            subtask: Some(subtask.subtask.key.clone()),
            purpose: role.name().to_owned(),
            network: NetworkRule::Never,
            access: Access::ReadOnly,
            programs: Vec::new(),
            caches_of: None,
            output_bytes: None,
        };
        let place = self.place(task, &subject, &context, &spot, &candidate.commit).await?;
        if role == Role::Verifier {
            // The verifier may not write its checkout; the platform may, before it starts.
            let writable = Spot { access: Access::ReadWrite, ..spot.clone() };
            let cage = self.cage_over(task, &writable, &place).await?;
            self.install(task, subtask, &candidate.commit, cage).await?;
        }
        let rules = self.repository_rules(task).await?;
        let diff =
            self.parts().forge.diff_text(&task.repo, &candidate.base, &candidate.commit).await?;
        let (opening, submission) = if role == Role::Verifier {
            (
                prompts::verifier_opening(task, &subtask.subtask, &rules, &diff),
                Submission::verdict(),
            )
        } else {
            (prompts::reviewer_opening(task, &subtask.subtask, &rules, &diff), Submission::review())
        };
        let (_, end) = self
            .run_agent(Run {
                task,
                subtask: Some(subtask),
                role,
                opening,
                tools: Tool::for_role(role).to_vec(),
                submission,
                earlier,
                place: &place,
                tree: candidate.tree.clone(),
            })
            .await?;
        Ok(end)
    }

    /// Scores the risk of a candidate from recorded facts.
    pub(crate) async fn score_risk(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        let Some(candidate) = subtask.candidate.clone() else { return Ok(()) };
        let git = self.parts().forge.git(&state.task.repo)?;
        let (from, to) = (candidate.base.clone(), candidate.commit.clone());
        let (change, owners) = blocking("reading the change", move || {
            let owners = CodeOwners::read(&GitTree::new(git.clone(), from.clone()));
            (Change::load(&git, &from, &to), owners)
        })
        .await?;
        let change = change.map_err(|error| EngineError::machine("reading the change", &error))?;
        // a file of owners that can't be read stands in the way of its gate already
        let owners = owners.unwrap_or_default();
        let secrets = subtask
            .gates
            .iter()
            .filter(|report| report.gate == SecretsGate.name())
            .map(|report| u32::try_from(report.findings.len()).unwrap_or(u32::MAX))
            .sum();
        let outside = outside_scope(&change.files, &subtask.subtask.scope.paths);
        let facts = RiskFacts {
            owners: change.files.iter().flat_map(|file| owners.of(&file.path)).cloned().collect(),
            findings: subtask
                .gates
                .iter()
                .filter(|report| report.state == GateState::NeedsApproval)
                .map(|report| u32::try_from(report.findings.len()).unwrap_or(u32::MAX))
                .fold(0, u32::saturating_add),
            packages: findings_of(&subtask, "dependencies/changed"),
            recent_lines: recent_lines(&subtask),
            uncovered: findings_of(&subtask, "coverage/"),
            files: change.files,
            out_of_scope: outside,
            secrets,
            taint: taint_of(&state, &subtask),
            repair_rounds: subtask.repairs_total,
            denials: subtask.sessions.iter().map(|run| run.denials).sum(),
        };
        let mut out = vec![Fact::RiskScored {
            task: id,
            subtask: key.clone(),
            commit: candidate.commit,
            risk: risk::assess(&facts),
        }];
        out.extend(Self::leave(id, &subtask, Stage::Review, StageEnd::Done));
        self.record(out).await
    }

    /// Sends a candidate back to the implementor.
    pub(crate) async fn ask_repair(
        &self,
        id: TaskId,
        key: &SubtaskKey,
        findings: Vec<Finding>,
    ) -> Result<(), EngineError> {
        let (_, subtask) = self.subtask(id, key).await?;
        let by = match &subtask.verification {
            Some(_) => Role::Verifier,
            None => Role::Gate,
        };
        let mut facts = vec![Fact::RepairAsked {
            task: id,
            subtask: key.clone(),
            round: subtask.round + 1,
            by,
            findings,
        }];
        facts.extend(Self::leave(id, &subtask, Stage::Review, StageEnd::Failed));
        facts.extend(Self::enter(id, Some(&subtask), Stage::Execution));
        self.record(facts).await
    }

    /// Stops after the last repair and asks a person.
    pub(crate) async fn ask_about_repairs(
        &self,
        id: TaskId,
        key: &SubtaskKey,
    ) -> Result<(), EngineError> {
        let (_, subtask) = self.subtask(id, key).await?;
        let first = subtask.complaints().first().map(|finding| finding.message.clone());
        let mut facts = vec![Fact::HumanAsked {
            task: id,
            subtask: key.clone(),
            code: "review.rounds_used".to_owned(),
            reason: format!(
                "the candidate still does not pass after {} repair rounds: {}",
                subtask.repairs,
                first.unwrap_or_else(|| "it conflicts with its base branch".to_owned())
            ),
            hint: format!(
                "look at it with `bailiwick task show {id}`; `bailiwick task retry {id}` gives it another two rounds, `bailiwick task cancel {id}` ends it"
            ),
        }];
        facts.extend(Self::leave(id, &subtask, Stage::Review, StageEnd::Failed));
        self.record(facts).await
    }
}

/// The subtask's own checks, and those of the specification.
fn acceptance_of(task: &Task, subtask: &SubtaskState) -> Vec<Check> {
    let spec: &[Check] = match &task.form {
        Form::Text => &[],
        Form::Specification { checks } => checks,
    };
    subtask.subtask.acceptance.iter().chain(spec).cloned().collect()
}

/// How many findings of rules that begin like this the gates have.
fn findings_of(subtask: &SubtaskState, rule: &str) -> u32 {
    let found = subtask.gates.iter().flat_map(|report| &report.findings);
    let count = found.filter(|finding| finding.rule.starts_with(rule)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How many lines that were written only lately the candidate changes, as the quality gate counted
/// them.
fn recent_lines(subtask: &SubtaskState) -> u32 {
    let found = subtask.gates.iter().flat_map(|report| &report.findings);
    let counts = found
        .filter(|finding| finding.rule == bailiwick_gates::CHURN)
        .filter_map(|finding| finding.message.split(' ').next()?.parse::<u32>().ok());
    counts.fold(0, u32::saturating_add)
}

fn taint_of(state: &TaskState, subtask: &SubtaskState) -> std::collections::BTreeSet<Taint> {
    let mut taint = state.task.taint.clone();
    for run in subtask.sessions.iter().filter(|run| run.role == Role::Implementor) {
        taint.extend(run.taint.iter().copied());
    }
    taint
}

/// Settings on the protected branch that speak of what there is not.
fn unusable_settings(reason: &str) -> GateReport {
    GateReport {
        gate: "rules".to_owned(),
        state: GateState::Inconclusive,
        summary: format!(
            "`.bailiwick/gates.toml` on the protected branch is not valid: {reason}; `bailiwick gate list` names them all"
        ),
        findings: Vec::new(),
        evidence: Vec::new(),
    }
}

/// What can't be read can't be judged: inconclusive, which blocks.
fn not_judged(gate: &str, error: &dyn std::error::Error, hint: &str) -> GateReport {
    GateReport {
        gate: gate.to_owned(),
        state: GateState::Inconclusive,
        summary: format!("{}; {hint}", chain(error)),
        findings: Vec::new(),
        evidence: Vec::new(),
    }
}

/// Runs what blocks away from the async threads.
pub(crate) async fn blocking<T, F>(doing: &'static str, work: F) -> Result<T, EngineError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|error| EngineError::machine(doing, &error))
}
