//! What a run's own entries say about how far it came.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_model::action::Action;
use bailiwick_model::chat::{ChatReply, SystemBlock};
use bailiwick_model::event::{Entry, Event, Fact, SessionEnd, Step};
use bailiwick_model::id::{ActionId, Oid, SessionId};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::payload::Payload;
use bailiwick_model::remark::Message as Heard;
use bailiwick_model::subject::Taint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::hearing::told;
use crate::session::Opening;
use crate::transcript::{TakenStep, ToldResult};

/// Recorded events that a run can't be taken up from.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A blob is not at hand.
    #[error("entry {seq}: the bytes of its {what} are not at hand")]
    Missing {
        /// The entry.
        seq: u64,
        /// What is missing.
        what: &'static str,
    },
    /// Recorded JSON that this version does not understand.
    #[error("entry {seq}: its {what} can't be read")]
    Unreadable {
        /// The entry.
        seq: u64,
        /// What can't be read.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Steps are missing or stand twice.
    #[error("entry {seq}: step {found} stands where step {expected} should be")]
    OutOfOrder {
        /// The entry.
        seq: u64,
        /// The step that is there.
        found: u32,
        /// The step that should be there.
        expected: u32,
    },
}

/// How far a run came.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Set once the run is recorded as started.
    pub(crate) start: Option<Start>,
    /// Whether the start was permitted and is done.
    pub(crate) agent_started: bool,
    /// The steps that are over.
    pub(crate) steps: Vec<TakenStep>,
    /// The reply of a model to the step that is not over.
    pub(crate) pending: Option<ChatReply>,
    /// What the step that is not over was told by people.
    pub(crate) said: Vec<Heard>,
    /// Set once the run is recorded as ended.
    pub(crate) end: Option<SessionEnd>,
}

/// What the run started with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) opening: RecordedOpening,
    pub(crate) tree: Option<Oid>,
    pub(crate) taint: BTreeSet<Taint>,
}

/// An opening as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedOpening {
    pub(crate) system: Vec<SystemBlock>,
    pub(crate) user: String,
}

impl From<&Opening> for RecordedOpening {
    fn from(opening: &Opening) -> Self {
        Self { system: opening.system.clone(), user: opening.user.clone() }
    }
}

impl RecordedOpening {
    /// Adds what people said before the first step.
    pub(crate) fn hear(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            self.user.push_str("\n\n");
            self.user.push_str(&text);
        }
    }
}

impl Progress {
    /// Puts what was said before a step where its model call had it.
    fn hear(&mut self, step: u32, messages: &[Heard]) {
        let texts = messages.iter().map(told);
        let before = usize::try_from(step).unwrap_or(usize::MAX).checked_sub(2);
        match (before.and_then(|at| self.steps.get_mut(at)), &mut self.start) {
            (Some(earlier), _) => earlier.heard.extend(texts),
            (None, Some(start)) => start.opening.hear(texts),
            (None, None) => {}
        }
    }
}

enum Permitted {
    Start,
    Model { step: u32 },
}

/// Reads the entries of `session` among `history`, in order.
pub(crate) fn progress(session: SessionId, history: &[Entry]) -> Result<Progress, HistoryError> {
    let mut progress = Progress::default();
    let mut permitted: BTreeMap<ActionId, Permitted> = BTreeMap::new();
    let mut replies: BTreeMap<u32, ChatReply> = BTreeMap::new();
    let mut heard: BTreeMap<u32, Vec<Heard>> = BTreeMap::new();
    for entry in history.iter().filter(|entry| entry.event.session() == Some(session)) {
        let seq = entry.seq;
        match &entry.event {
            Event::Decided(decided) => match &decided.action {
                Action::AgentStart(_) => {
                    permitted.insert(decided.id, Permitted::Start);
                }
                Action::ModelCall(call) => {
                    permitted.insert(decided.id, Permitted::Model { step: call.step });
                }
                // Other actions of a step that is not over are done again from its tree.
                _ => {}
            },
            Event::Finished(finished) => match (permitted.get(&finished.id), &finished.result) {
                (Some(Permitted::Start), Outcome::Done) => progress.agent_started = true,
                (Some(Permitted::Model { step }), Outcome::Model { reply, .. }) => {
                    replies.insert(*step, json(seq, "model reply", reply)?);
                }
                _ => {}
            },
            Event::Fact(fact) => match fact.as_ref() {
                Fact::SessionStarted { opening, tree, taint, .. } => {
                    let opening = json(seq, "opening", opening)?;
                    progress.start =
                        Some(Start { opening, tree: tree.clone(), taint: taint.clone() });
                }
                Fact::StepTaken(step) => {
                    let expected = number_after(progress.steps.len());
                    if step.step != expected {
                        return Err(HistoryError::OutOfOrder { seq, found: step.step, expected });
                    }
                    progress.steps.push(taken(seq, step)?);
                }
                Fact::SteeringHeard { step, messages, .. } => {
                    heard.entry(*step).or_default().extend(messages.iter().cloned());
                }
                Fact::SessionEnded { end, .. } => progress.end = Some(end.clone()),
                _ => {}
            },
        }
    }
    for (step, messages) in heard {
        progress.hear(step, &messages);
        if step == number_after(progress.steps.len()) {
            progress.said = messages;
        }
    }
    progress.pending = replies.remove(&number_after(progress.steps.len()));
    Ok(progress)
}

/// The number of the step that comes after so many.
pub(crate) fn number_after(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX).saturating_add(1)
}

fn taken(seq: u64, step: &Step) -> Result<TakenStep, HistoryError> {
    let results = step.results.iter().map(|recorded| {
        let text =
            recorded.content.text().ok_or(HistoryError::Missing { seq, what: "tool result" })?;
        Ok(ToldResult { recorded: recorded.clone(), text })
    });
    Ok(TakenStep {
        reply: json(seq, "step's reply", &step.reply)?,
        results: results.collect::<Result<_, _>>()?,
        tree: step.tree.clone(),
        taint: step.taint.clone(),
        denials: step.denials,
        origins: step.origins.clone(),
        heard: Vec::new(),
    })
}

fn json<T: DeserializeOwned>(
    seq: u64,
    what: &'static str,
    payload: &Payload,
) -> Result<T, HistoryError> {
    let bytes = payload.bytes().ok_or(HistoryError::Missing { seq, what })?;
    serde_json::from_slice(bytes).map_err(|source| HistoryError::Unreadable { seq, what, source })
}
