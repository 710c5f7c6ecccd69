//! A task's entries as a readable timeline: a pure fold, so that a page and a live stream show
//! the same, and a viewer who comes back gets exactly what is missing.
//!
//! One item is one thing a person wants to see: a fact, a step of an agent with all its calls, or
//! an action outside of any agent run. Items never move; an entry adds one or changes one.

use std::collections::HashMap;

use bailiwick_model::Timestamp;
use bailiwick_model::action::Action;
use bailiwick_model::chat::Usage;
use bailiwick_model::event::{Decided, Entry, Event, Fact, Finished, StageEnd, Step};
use bailiwick_model::id::{ActionId, SessionId, SubtaskKey};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::Role;
use bailiwick_model::task::MicroUsd;
use bailiwick_model::tier::TierChoice;
use bailiwick_model::verdict::Verdict;

/// One action, with what was decided and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The entry of the decision.
    pub(crate) seq: u64,
    /// Who acts.
    pub(crate) role: Role,
    /// Its kind.
    pub(crate) kind: &'static str,
    /// The action in one line.
    pub(crate) summary: String,
    /// What was decided.
    pub(crate) verdict: Verdict,
    /// The sandbox tier that it runs in.
    pub(crate) tier: Option<TierChoice>,
    /// What came of it.
    pub(crate) outcome: Option<Outcome>,
    /// What the agent was told.
    pub(crate) told: Option<Payload>,
    id: ActionId,
}

impl Call {
    fn new(entry: &Entry, decided: &Decided) -> Self {
        Self {
            seq: entry.seq,
            role: decided.subject.role,
            kind: decided.action.kind(),
            summary: decided.action.summary(),
            verdict: decided.decision.clone(),
            tier: decided.context.facts.tier.clone(),
            outcome: None,
            told: None,
            id: decided.id,
        }
    }

    /// Whether policy refused it.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.verdict, Verdict::Deny(_))
    }
}

/// One step of an agent: a question to the model, its reply, and the calls that the reply made.
#[derive(Debug, Clone)]
pub(crate) struct StepItem {
    /// The subtask.
    pub(crate) subtask: Option<SubtaskKey>,
    /// Who.
    pub(crate) role: Role,
    /// The repair round.
    pub(crate) round: u32,
    /// The step, counted from 1.
    pub(crate) step: u32,
    /// What was new in the prompt.
    pub(crate) prompt: Option<Payload>,
    /// The model's reply.
    pub(crate) reply: Option<Payload>,
    /// What the model call consumed.
    pub(crate) usage: Usage,
    /// What it cost.
    pub(crate) cost: MicroUsd,
    /// How long the model took, in milliseconds.
    pub(crate) model_ms: u64,
    /// The model call itself, and then what the reply asked for.
    pub(crate) calls: Vec<Call>,
    /// Whether the step is over.
    pub(crate) over: bool,
}

/// What an item is.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A fact.
    Fact(Box<Fact>),
    /// A step of an agent.
    Step(Box<StepItem>),
    /// An action outside of any step.
    Act(Box<Call>),
}

/// One line of the timeline.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The entry that began it; its name on the page.
    pub(crate) seq: u64,
    /// When that was.
    pub(crate) at: Timestamp,
    /// What it is.
    pub(crate) what: What,
}

impl Item {
    /// The subtask it belongs to.
    pub(crate) fn subtask(&self) -> Option<&SubtaskKey> {
        match &self.what {
            What::Fact(fact) => fact.subtask(),
            What::Step(step) => step.subtask.as_ref(),
            What::Act(_) => None,
        }
    }

    /// Whether something in it was refused.
    pub(crate) fn has_refusal(&self) -> bool {
        match &self.what {
            What::Fact(_) => false,
            What::Step(step) => step.calls.iter().any(Call::is_refused),
            What::Act(call) => call.is_refused(),
        }
    }
}

/// A timeline under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    items: Vec<Item>,
    /// The open step of each run.
    open: HashMap<SessionId, usize>,
    /// The subtask and round of each run.
    runs: HashMap<SessionId, (Role, Option<SubtaskKey>, u32)>,
    /// Where an action stands: the item, and the call in a step.
    actions: HashMap<ActionId, usize>,
    last_seq: Option<u64>,
}

impl Trace {
    /// The items so far.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The last entry taken into account.
    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// Folds entries.
    pub(crate) fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut trace = Self::default();
        for entry in entries {
            trace.apply(entry);
        }
        trace
    }

    /// Takes one more entry into account, and gives the item that is new or changed by it.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<&Item> {
        self.last_seq = Some(entry.seq);
        let index = match &entry.event {
            Event::Decided(decided) => Some(self.decided(entry, decided)),
            Event::Finished(finished) => self.finished(finished),
            Event::Fact(fact) => self.fact(entry, fact),
        };
        self.items.get(index?)
    }

    fn decided(&mut self, entry: &Entry, decided: &Decided) -> usize {
        let call = Call::new(entry, decided);
        let session = decided.subject.session;
        let index = match (&decided.action, session) {
            (Action::ModelCall(model), Some(session)) => {
                let known = self.runs.get(&session);
                let step = StepItem {
                    subtask: model.subtask.clone(),
                    role: decided.subject.role,
                    round: known.map_or(model.round, |(_, _, round)| *round),
                    step: model.step,
                    prompt: Some(model.prompt.clone()),
                    reply: None,
                    usage: Usage::default(),
                    cost: MicroUsd(0),
                    model_ms: 0,
                    calls: vec![call],
                    over: false,
                };
                let index = self.push(entry, What::Step(Box::new(step)));
                self.open.insert(session, index);
                index
            }
            (_, Some(session)) if self.open.contains_key(&session) => {
                let index = self.open.get(&session).copied().unwrap_or_default();
                if let Some(Item { what: What::Step(step), .. }) = self.items.get_mut(index) {
                    step.calls.push(call);
                }
                index
            }
            _ => self.push(entry, What::Act(Box::new(call))),
        };
        self.actions.insert(decided.id, index);
        index
    }

    fn push(&mut self, entry: &Entry, what: What) -> usize {
        self.items.push(Item { seq: entry.seq, at: entry.at, what });
        self.items.len() - 1
    }

    fn finished(&mut self, finished: &Finished) -> Option<usize> {
        let index = *self.actions.get(&finished.id)?;
        match &mut self.items.get_mut(index)?.what {
            What::Step(step) => {
                if let Outcome::Model { usage, cost, duration_ms, .. } = &finished.result {
                    step.usage = step.usage.plus(usage);
                    step.cost = step.cost.plus(*cost);
                    step.model_ms = step.model_ms.saturating_add(*duration_ms);
                }
                let call = step.calls.iter_mut().find(|call| call.id == finished.id)?;
                call.outcome = Some(finished.result.clone());
            }
            What::Act(call) => call.outcome = Some(finished.result.clone()),
            What::Fact(_) => return None,
        }
        Some(index)
    }

    fn fact(&mut self, entry: &Entry, fact: &Fact) -> Option<usize> {
        match fact {
            Fact::StepTaken(step) => return self.step_taken(step),
            Fact::SessionStarted { session, role, subtask, round, .. } => {
                self.runs.insert(*session, (*role, subtask.clone(), *round));
            }
            Fact::SessionEnded { session, .. } => {
                self.open.remove(session);
            }
            // The head of the page has the stages; only one that was missed is worth a line.
            Fact::StageEnded { ok: StageEnd::Done, .. } => return None,
            _ => {}
        }
        Some(self.push(entry, What::Fact(Box::new(fact.clone()))))
    }

    fn step_taken(&mut self, taken: &Step) -> Option<usize> {
        let index = self.open.remove(&taken.session)?;
        let Item { what: What::Step(step), .. } = self.items.get_mut(index)? else { return None };
        step.over = true;
        step.reply = Some(taken.reply.clone());
        for result in &taken.results {
            let call = step.calls.iter_mut().find(|call| Some(call.id) == result.action);
            if let Some(call) = call {
                call.told = Some(result.content.clone());
            }
        }
        Some(index)
    }
}
