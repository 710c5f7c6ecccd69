//! The loop: ask, do, record, until the session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_model::action::{AgentStart, ModelCall};
use bailiwick_model::chat::{Block, ChatReply, ChatRequest, Message, canonical_json};
use bailiwick_model::event::{Entry, Fact, SessionEnd, Step};
use bailiwick_model::id::ApprovalId;
use bailiwick_model::outcome::EffectError;
use bailiwick_model::payload::Payload;
use bailiwick_model::remark::Message as Said;
use bailiwick_model::subject::{Context, Taint, TaintOrigin};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::{ActError, JournalError, Warden};
use serde::Serialize;

use crate::ending::{ending, stopped};
use crate::hearing::{HearingError, told};
use crate::port::{Interruptible, ModelPort, interruptible};
use crate::replay::{self, HistoryError, RecordedOpening, Start, number_after};
use crate::session::{Session, SnapshotError};
use crate::transcript::{ContextFull, TakenStep, Transcript};
use crate::turn::Turn;

/// What a run works with.
#[derive(Clone)]
pub struct Deps {
    /// The one decision point.
    pub warden: Arc<Warden>,
    /// The way to models.
    pub gateway: Arc<dyn ModelPort>,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("warden", &self.warden).finish_non_exhaustive()
    }
}

/// Why a run did not come to an end. Nothing of it is lost: it can be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger can't be written, so nothing more may be done.
    #[error("the session stopped, because the ledger can't be written")]
    Ledger {
        /// The cause.
        #[source]
        source: JournalError,
    },
    /// The workspace can't be recorded or taken back.
    #[error("the session stopped, because its workspace can't be recorded or taken back")]
    Snapshot {
        /// The cause.
        #[source]
        source: SnapshotError,
    },
    /// The recorded events don't say how far the run came.
    #[error("the session can't be taken up from its recorded events")]
    History {
        /// The cause.
        #[source]
        source: HistoryError,
    },
    /// Something can't be written as JSON.
    #[error("the session stopped, because something of it can't be written as JSON")]
    Encode {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// What people say to the run can't be looked up.
    #[error("the session stopped, because what people say to it can't be read")]
    Hearing {
        /// The cause.
        #[source]
        source: HearingError,
    },
    /// Policy asks for a sandbox tier that is not to be had.
    #[error("the session stopped: {reason}")]
    TierMissing {
        /// Which tier is missing, why, and how to get it.
        reason: String,
    },
    /// The run was cancelled.
    #[error("the session was cancelled")]
    Cancelled,
    /// People have to approve something first. The run goes on from here once they answered.
    #[error("the session waits for the approval of {}", groups.join(" and "))]
    WaitsForApproval {
        /// The request.
        approval: ApprovalId,
        /// Who is asked.
        groups: Vec<String>,
    },
    /// What it does is frozen. The run goes on from here once that is thawed.
    #[error("the session waits: {reason}")]
    Frozen {
        /// What is frozen, by whom and why.
        reason: String,
    },
}

impl RunError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Ledger { .. } => "ledger.unwritable",
            Self::Snapshot { .. } => "session.snapshot_failed",
            Self::History { .. } => "session.history_unreadable",
            Self::Encode { .. } => "session.unencodable",
            Self::Hearing { .. } => "session.messages_unreadable",
            Self::TierMissing { .. } => TIER_MISSING,
            Self::Cancelled => "session.cancelled",
            Self::WaitsForApproval { .. } => "policy.needs_approval",
            Self::Frozen { .. } => FROZEN,
        }
    }

    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Ledger { .. } | Self::Snapshot { .. } => {
                "make room on the disk of the data directory or mend its permissions, and see that the workspace has no file too large to record; then restart"
            }
            Self::History { .. } | Self::Hearing { .. } => {
                "run `bailiwick ledger verify` on the data directory: an entry or a blob is damaged or missing"
            }
            Self::Encode { .. } => "report this with the session's id",
            Self::TierMissing { .. } => {
                "install what the tier needs (`bailiwick doctor`), or change the rule that asks for it"
            }
            Self::Cancelled => "`bailiwick task retry` takes the task up again",
            Self::WaitsForApproval { .. } => "`bailiwick approval list` shows what is asked",
            Self::Frozen { .. } => "`bailiwick freeze list` shows what is frozen",
        }
    }
}

impl From<JournalError> for RunError {
    fn from(source: JournalError) -> Self {
        Self::Ledger { source }
    }
}

impl From<SnapshotError> for RunError {
    fn from(source: SnapshotError) -> Self {
        Self::Snapshot { source }
    }
}

impl From<HistoryError> for RunError {
    fn from(source: HistoryError) -> Self {
        Self::History { source }
    }
}

/// Runs a session to its end, or takes it up again.
///
/// `history` is what the ledger has of this session so far, in order, with the bytes of its
/// payloads at hand; empty for a new one. A recorded reply of a model is used and not asked for
/// again; the calls of a step that is not recorded are done again, from the tree that the step
/// began with. A session that is recorded as ended is not touched.
///
/// Being denied, a model that fails and used-up limits are ends, not errors.
///
/// Cancel it by its token; dropping the future is safe too, and leaves the ledger as a crash does.
///
/// # Errors
/// See [`RunError`]: the session has no recorded end then and can be taken up again.
pub async fn run(
    deps: &Deps,
    session: &Session,
    history: &[Entry],
) -> Result<SessionEnd, RunError> {
    let progress = replay::progress(session.id, history)?;
    if let Some(end) = progress.end {
        return Ok(end);
    }
    let run = Run { deps, session, spent: AtomicU64::new(0) };
    let start = run.begin(progress.start, &progress.steps).await?;
    if !progress.agent_started
        && let Some(end) = run.start_agent(&start).await?
    {
        return run.end(Vec::new(), end).await;
    }
    run.turns(start, progress.steps, progress.pending, progress.said).await
}

pub(crate) struct Run<'a> {
    pub(crate) deps: &'a Deps,
    pub(crate) session: &'a Session,
    /// What this run has cost since it was started or taken up, in millionths of a US dollar.
    pub(crate) spent: AtomicU64,
}

impl Run<'_> {
    /// Where the run begins: from its recorded start with the workspace of the last of `steps`, or
    /// anew.
    pub(crate) async fn begin(
        &self,
        recorded: Option<Start>,
        steps: &[TakenStep],
    ) -> Result<Start, RunError> {
        let Some(start) = recorded else { return self.start().await };
        self.restore(&start, steps).await?;
        Ok(start)
    }

    async fn start(&self) -> Result<Start, RunError> {
        let session = self.session;
        let tree = match (&session.start_tree, &session.snapshots) {
            (Some(tree), _) => Some(tree.clone()),
            (None, Some(snapshots)) => Some(snapshots.snapshot().await?),
            (None, None) => None,
        };
        let mut taint = session.context.taint.clone();
        taint.extend(session.opening.taint.iter().copied());
        for text in &session.opening.untrusted {
            taint.extend((session.labeller)(text));
        }
        let opening = RecordedOpening::from(&session.opening);
        let started = Fact::SessionStarted {
            task: session.task,
            subtask: session.subtask.clone(),
            session: session.id,
            role: session.role,
            round: session.round,
            opening: payload(&opening)?,
            tree: tree.clone(),
            taint: taint.clone(),
        };
        self.deps.warden.record(vec![started]).await?;
        Ok(Start { opening, tree, taint })
    }

    async fn restore(&self, start: &Start, steps: &[TakenStep]) -> Result<(), RunError> {
        let tree = steps.last().map_or(&start.tree, |step| &step.tree);
        if let (Some(tree), Some(snapshots)) = (tree, &self.session.snapshots) {
            snapshots.restore(tree).await?;
        }
        Ok(())
    }

    /// Gives an end when the agent may not start.
    async fn start_agent(&self, start: &Start) -> Result<Option<SessionEnd>, RunError> {
        let session = self.session;
        let instructions: Vec<&str> =
            start.opening.system.iter().map(|block| block.text.as_str()).collect();
        let action = AgentStart {
            role: session.role,
            agent: "builtin".to_owned(),
            provider: session.provider.clone(),
            model: session.model.clone(),
            tier: session.tier().to_owned(),
            instructions: instructions.join("\n\n").into(),
            program: None,
        };
        let context = Context { taint: start.taint.clone(), denials: 0, ..session.context.clone() };
        let (context, action) = in_tier(self.deps, session, context, action);
        let done = self
            .deps
            .warden
            .perform(&session.subject(), &context, action, |_permit| {
                std::future::ready(Ok::<(), bailiwick_gateway::ModelError>(()))
            })
            .await;
        match done {
            Ok(()) => Ok(None),
            Err(error) => stop_or_fail(error).map(Some),
        }
    }

    async fn turns(
        &self,
        mut start: Start,
        mut steps: Vec<TakenStep>,
        mut pending: Option<ChatReply>,
        mut said: Vec<Said>,
    ) -> Result<SessionEnd, RunError> {
        let session = self.session;
        if let Some(end) = ending(session, &steps) {
            return self.end(Vec::new(), end).await;
        }
        let mut transcript = self.transcript(&start, &steps)?;
        loop {
            let (taint, denials, tree) = steps.last().map_or_else(
                || (start.taint.clone(), 0, start.tree.clone()),
                |step| (step.taint.clone(), step.denials, step.tree.clone()),
            );
            let mut turn = Turn::new(&self.deps.warden, session, taint, denials);
            turn.tree.clone_from(&tree);
            turn.origins = steps.last().map_or_else(
                || start.taint.iter().map(|&taint| told_at_the_start(taint)).collect(),
                |step| step.origins.clone(),
            );
            for message in std::mem::take(&mut said) {
                turn.heard(&message);
            }
            let reply = match pending.take() {
                Some(reply) => reply,
                None => {
                    self.hear(&mut start, &mut steps, &mut transcript, &mut turn).await?;
                    let asked = self.ask(&start, &steps, &transcript, turn.context()).await?;
                    match asked {
                        Asked::Reply(reply) => reply,
                        Asked::End(end) => return self.end(Vec::new(), end).await,
                    }
                }
            };
            turn.take(&reply).await?;
            let tree = match &session.snapshots {
                Some(snapshots) if turn.changed => Some(snapshots.snapshot().await?),
                _ => tree,
            };
            let step = TakenStep {
                reply: reply.blocks,
                results: turn.results,
                tree,
                taint: turn.taint,
                denials: turn.denials,
                origins: turn.origins,
                heard: Vec::new(),
            };
            let taken = self.step_taken(number_after(steps.len()), &step)?;
            let waits = turn.waits.take();
            transcript.push(&step);
            steps.push(step);
            match ending(session, &steps) {
                Some(end) => return self.end(vec![taken], end).await,
                None => self.deps.warden.record(vec![taken]).await?,
            };
            // The step stands in the ledger: whoever takes the run up again asks the model what it
            // makes of the answer. Nothing is held meanwhile.
            if let Some((approval, groups)) = waits {
                return Err(RunError::WaitsForApproval { approval, groups });
            }
        }
    }

    /// Puts what people said meanwhile where the model reads it next. Recorded before it is asked.
    async fn hear(
        &self,
        start: &mut Start,
        steps: &mut [TakenStep],
        transcript: &mut Transcript,
        turn: &mut Turn<'_>,
    ) -> Result<(), RunError> {
        let Some(hearing) = &self.session.hearing else { return Ok(()) };
        let messages = hearing
            .hear(number_after(steps.len()))
            .await
            .map_err(|source| RunError::Hearing { source })?;
        if messages.is_empty() {
            return Ok(());
        }
        for message in &messages {
            turn.heard(message);
        }
        let texts = messages.iter().map(told);
        match steps.last_mut() {
            Some(latest) => {
                latest.heard.extend(texts);
                transcript.hear(latest);
            }
            None => {
                start.opening.hear(texts);
                transcript.hear_at_start(&start.opening.user);
            }
        }
        Ok(())
    }

    fn transcript(&self, start: &Start, steps: &[TakenStep]) -> Result<Transcript, RunError> {
        let fixed = encode(&start.opening.system)?
            .len()
            .saturating_add(encode(&self.session.offered())?.len());
        let mut transcript =
            Transcript::new(&start.opening.user, fixed, self.session.limits.context_tokens);
        for step in steps {
            transcript.push(step);
        }
        Ok(transcript)
    }

    async fn ask(
        &self,
        start: &Start,
        steps: &[TakenStep],
        transcript: &Transcript,
        mut context: Context,
    ) -> Result<Asked, RunError> {
        let session = self.session;
        let spent = MicroUsd(self.spent.load(Ordering::Relaxed));
        context.budget_left = session.context.budget_left.minus(spent);
        if session.cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let messages = match transcript.messages() {
            Ok(messages) => messages,
            Err(full) => return Ok(Asked::End(self.context_full(full))),
        };
        let new = steps
            .last()
            .map_or_else(|| Message::user(start.opening.user.clone()), TakenStep::answer);
        let request = ChatRequest {
            model: session.model.clone(),
            system: start.opening.system.clone(),
            messages,
            tools: session.offered(),
            max_output_tokens: session.limits.max_output_tokens,
            temperature: None,
        };
        let gateway = &self.deps.gateway;
        let estimate = match gateway.estimate(&session.provider, &request) {
            Ok(estimate) => estimate.cost,
            Err(error) => {
                let end = stopped(error.code(), &error.to_string(), &error.hint());
                return Ok(Asked::End(end));
            }
        };
        let action = ModelCall {
            provider: session.provider.clone(),
            model: session.model.clone(),
            role: session.role,
            subtask: session.subtask.clone(),
            round: session.round,
            step: number_after(steps.len()),
            prompt: payload(&[new])?,
            request_digest: request.digest().map_err(|source| RunError::Encode { source })?,
            estimate,
            request: Some(Arc::new(request)),
        };
        let subject = session.subject();
        let key = match gateway.credential(&session.provider) {
            None => None,
            Some(used) => {
                let unlocked = self
                    .deps
                    .warden
                    .perform(&subject, &context, used, |permit| async { gateway.unlock(permit) })
                    .await;
                match unlocked {
                    Ok(grant) => Some(grant),
                    Err(error) => return stop_or_fail(error).map(Asked::End),
                }
            }
        };
        let done = self
            .deps
            .warden
            .perform(&subject, &context, action, |permit| {
                interruptible(&session.cancel, gateway.call(permit, key))
            })
            .await;
        match done {
            Ok(answer) => {
                self.spent.fetch_add(answer.cost.0, Ordering::Relaxed);
                Ok(Asked::Reply(answer.reply))
            }
            Err(ActError::Effect(Interruptible::Cancelled)) => Err(RunError::Cancelled),
            Err(error) => stop_or_fail(error).map(Asked::End),
        }
    }

    fn context_full(&self, full: ContextFull) -> SessionEnd {
        let reason = format!(
            "the session's context needs {} tokens even with its earlier steps left out, more than the {} that are allowed",
            full.needed_tokens, self.session.limits.context_tokens
        );
        stopped(
            "session.context_full",
            &reason,
            "split the task, or use a model with a larger context and raise the limit",
        )
    }

    fn step_taken(&self, number: u32, step: &TakenStep) -> Result<Fact, RunError> {
        Ok(Fact::StepTaken(Step {
            task: self.session.task,
            subtask: self.session.subtask.clone(),
            session: self.session.id,
            step: number,
            reply: payload::<[Block]>(&step.reply)?,
            results: step.results.iter().map(|result| result.recorded.clone()).collect(),
            tree: step.tree.clone(),
            taint: step.taint.clone(),
            denials: step.denials,
            origins: step.origins.clone(),
        }))
    }

    /// Records the end in one piece with what led to it.
    pub(crate) async fn end(
        &self,
        mut facts: Vec<Fact>,
        end: SessionEnd,
    ) -> Result<SessionEnd, RunError> {
        facts.push(Fact::SessionEnded {
            task: self.session.task,
            subtask: self.session.subtask.clone(),
            session: self.session.id,
            role: self.session.role,
            round: self.session.round,
            end: end.clone(),
        });
        self.deps.warden.record(facts).await?;
        Ok(end)
    }
}

/// The start in the sandbox tier that policy asks for, so that no cage is opened in a weaker one.
pub(crate) fn in_tier(
    deps: &Deps,
    session: &Session,
    mut context: Context,
    mut start: AgentStart,
) -> (Context, AgentStart) {
    let choice = deps.warden.tier(&session.subject(), &context, &start);
    if let Some(choice) = choice.filter(|choice| !choice.rules.is_empty()) {
        choice.tier.name().clone_into(&mut start.tier);
        context.facts.tier = Some(choice);
    }
    (context, start)
}

enum Asked {
    Reply(ChatReply),
    End(SessionEnd),
}

pub(crate) fn told_at_the_start(taint: Taint) -> TaintOrigin {
    TaintOrigin { taint, from: "the task".to_owned() }
}

/// The code of what could not be done because the sandbox tier that it needs is missing.
pub(crate) const TIER_MISSING: &str = "sandbox.tier_missing";

/// The code of a denial because of a freeze.
pub(crate) const FROZEN: &str = "freeze.in_force";

/// A refused or failed action of the loop's own ends the session; a failing ledger does not, since
/// its end could not be recorded either.
pub(crate) fn stop_or_fail<E: EffectError>(error: ActError<E>) -> Result<SessionEnd, RunError> {
    match error {
        ActError::Unrecordable(source) | ActError::OutcomeUnrecorded(source) => {
            Err(RunError::Ledger { source })
        }
        ActError::NeedsApproval { groups, approval: Some(approval), .. } => {
            Err(RunError::WaitsForApproval { approval, groups })
        }
        ActError::Denied { denial, .. } if denial.code == FROZEN => {
            Err(RunError::Frozen { reason: denial.reason })
        }
        error
        @ (ActError::Denied { .. } | ActError::NeedsApproval { .. } | ActError::Effect(_)) => {
            Ok(stopped(&error.code(), &error.to_string(), &error.hint()))
        }
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, RunError> {
    canonical_json(&value).map_err(|source| RunError::Encode { source })
}

pub(crate) fn payload<T: Serialize + ?Sized>(value: &T) -> Result<Payload, RunError> {
    encode(value).map(Payload::from)
}
