//! More than a task was accepted with: a larger budget, or another sandbox tier.

use bailiwick_model::action::{BudgetRaise, TaskRaise, TierChange};
use bailiwick_model::event::TaskEnd;
use bailiwick_model::id::{Person, TaskId};
use bailiwick_model::outcome::NoEffect;
use bailiwick_model::subject::Context;
use bailiwick_model::task::{MicroUsd, Task};
use bailiwick_model::tier::{TierChoice, UnknownTier};
use bailiwick_model::workflow::SubtaskState;
use bailiwick_sandbox::Tier;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;

/// The longest reason, in characters.
const MOST_REASON: usize = 500;

impl Engine {
    /// Gives a task a larger budget or another tier, if policy and the people it asks agree. The
    /// recorded decision is all there is to it, so that no crash comes between the two.
    pub async fn raise(
        &self,
        id: TaskId,
        by: &Person,
        budget: Option<MicroUsd>,
        tier: Option<&str>,
        reason: &str,
    ) -> Result<(), EngineError> {
        let state = self.state(id).await?;
        let refuse = |code, message: String, hint: &str| {
            Err(EngineError::State { code, message, hint: hint.to_owned() })
        };
        if state.ending.as_ref().is_some_and(|ending| ending.end != TaskEnd::Failed) {
            let hint = format!("`bailiwick task show {id}`");
            return refuse("task.over", "the task is over".to_owned(), &hint);
        }
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > MOST_REASON {
            return refuse(
                "raise.no_reason",
                format!("the reason has to have 1 to {MOST_REASON} characters"),
                "say what the task needs it for: whoever is asked decides by it",
            );
        }
        let from = state.task.budget;
        if budget.is_some_and(|to| to <= from) {
            return refuse(
                "raise.not_more",
                format!("the task has a budget of {from} already"),
                "ask for more than that",
            );
        }
        let now = self.tier_of(id)?;
        let tier = tier.map(named).transpose()?.filter(|tier| *tier != now);
        if budget.is_none() && tier.is_none() {
            return refuse(
                "raise.nothing",
                "neither a larger budget nor another tier is asked for".to_owned(),
                "give `--budget USD`, `--tier TIER` or both",
            );
        }
        let raise = TaskRaise {
            task: id,
            repo: state.task.repo.clone(),
            budget: budget.map(|to| BudgetRaise { from, to }),
            tier: tier
                .map(|to| TierChange { from: now.name().to_owned(), to: to.name().to_owned() }),
            reason: reason.to_owned(),
        };
        let subject = actor::person(by, Some(&state.task), None);
        let context = actor::context(&state.task, None);
        let effect = |_permit| std::future::ready(Ok::<(), NoEffect>(()));
        self.parts().warden.perform(&subject, &context, raise, effect).await?;
        Ok(())
    }

    /// The circumstances of what runs in a cage: with the tier that it has before rules ask for a
    /// stronger one.
    pub(crate) fn caged_context(
        &self,
        task: &Task,
        subtask: Option<&SubtaskState>,
    ) -> Result<Context, EngineError> {
        let mut context = actor::context(task, subtask);
        context.facts.tier = Some(self.usual_tier(task.id)?);
        Ok(context)
    }

    /// The sandbox tier that a task's commands run in.
    pub(crate) fn tier_of(&self, task: TaskId) -> Result<Tier, EngineError> {
        Ok(self.usual_tier(task)?.tier)
    }

    /// That tier, and whose word it is.
    fn usual_tier(&self, task: TaskId) -> Result<TierChoice, EngineError> {
        let own = self.parts().store.people(|people| people.tier_of(task).map(str::to_owned));
        Ok(match own {
            Some(name) => TierChoice::usual(named(&name)?, "people let the task have it"),
            None => TierChoice::usual(self.settings().tier, "`sandbox.tier` of the configuration"),
        })
    }
}

fn named(name: &str) -> Result<Tier, EngineError> {
    name.parse().map_err(|UnknownTier { name }| EngineError::State {
        code: "sandbox.tier_unknown",
        message: format!("there is no tier `{name}`"),
        hint: format!("the tiers are {}", Tier::ALL.map(Tier::name).join(", ")),
    })
}
