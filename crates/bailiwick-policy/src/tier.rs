//! Which sandbox tier an action has to have: the weakest in which no rule with `@tier` forbids it.
//!
//! Such a rule is an ordinary `forbid` on the tier that an action would run in. What the annotation
//! adds is that the platform takes the stronger tier by itself and is not refused first. Whoever
//! does not take it is refused by the same rule.
//!
//! The tier `worktree`, which has no isolation, is taken only where a `permit` with
//! `@tier("worktree")` of the organisation names it; such a rule gives no right to do anything.

use std::borrow::Cow;

use bailiwick_model::action::Action;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::tier::{Tier, TierChoice};
use bailiwick_model::verdict::Verdict;

use crate::load::Rule;
use crate::set::{PolicySet, Said};

/// Why a command that would run without isolation does not.
const NOT_NAMED: &str = "no rule names the tier `worktree`, which has no isolation, for it";

/// The tier that a command would run in, as far as its circumstances say.
pub(crate) fn of_command(context: &Context) -> Tier {
    context.facts.tier.as_ref().map_or(Tier::Process, |choice| choice.tier)
}

/// A question that no rule raises the tier of any more, and what is said of it.
struct Settled<'q> {
    context: Cow<'q, Context>,
    choice: Option<TierChoice>,
    said: Result<Said, String>,
}

impl PolicySet {
    /// The tier of a command or of an agent's program: the one it would have anyway, or the
    /// weakest that every rule with `@tier` agrees to. None where no tier is known and none is
    /// asked for. A tier is never lowered.
    pub fn tier(
        &self,
        subject: &Subject,
        action: &Action,
        context: &Context,
    ) -> Option<TierChoice> {
        let choice = match action {
            Action::Command(_) => context.facts.tier.clone(),
            // A run that has no sandbox has no tier to raise.
            Action::AgentStart(start) => Some(TierChoice::usual(start.tier.parse().ok()?, "")),
            _ => return None,
        };
        self.settle(subject, action, context, choice).choice
    }

    /// Asks until no rule raises the tier any more: once, where none does.
    fn settle<'q>(
        &self,
        subject: &Subject,
        action: &'q Action,
        context: &'q Context,
        mut choice: Option<TierChoice>,
    ) -> Settled<'q> {
        let (mut action, mut context) = (Cow::Borrowed(action), Cow::Borrowed(context));
        loop {
            let said = self.ask(subject, &action, &context);
            let now = choice.as_ref().map_or(Tier::Process, |choice| choice.tier);
            let (forbids, naming) = match &said {
                Ok(said) => (said.found.forbids.as_slice(), said.naming.as_slice()),
                Err(_) => Default::default(),
            };
            let raising: Vec<&Rule> = forbids
                .iter()
                .filter_map(|id| self.rule(id))
                .filter(|rule| rule.tier.is_some_and(|tier| tier > now))
                .collect();
            // INVARIANT: each turn takes a stronger tier than the one before, and there are five.
            let raised = match raising.iter().filter_map(|rule| rule.tier).max() {
                Some(tier) => {
                    let mut rules = choice.map(|choice| choice.rules).unwrap_or_default();
                    rules.extend(raising.iter().map(|rule| rule.id.clone()));
                    let mut reasons: Vec<&str> = rules
                        .iter()
                        .filter_map(|id| self.rule(id))
                        .map(|rule| rule.reason.as_str())
                        .collect();
                    reasons.dedup();
                    TierChoice { tier, reason: reasons.join("; "), rules }
                }
                None if now == Tier::Worktree => {
                    match naming.first().and_then(|id| self.rule(id)) {
                        Some(rule) => {
                            let (rules, reason) = (naming.to_vec(), rule.reason.clone());
                            choice = Some(TierChoice { tier: now, rules, reason });
                            return Settled { context, choice, said };
                        }
                        None => TierChoice::usual(Tier::Process, NOT_NAMED),
                    }
                }
                None => return Settled { context, choice, said },
            };
            if let Action::AgentStart(_) = &*action
                && let Action::AgentStart(start) = action.to_mut()
            {
                raised.tier.name().clone_into(&mut start.tier);
            }
            context.to_mut().facts.tier = Some(raised.clone());
            choice = Some(raised);
        }
    }

    /// Decides a command in the tier that the rules ask for, and says which that is. An agent's
    /// start is decided in the tier that it names: whoever starts it has asked before.
    pub fn decide_in_tier(
        &self,
        subject: &Subject,
        action: &Action,
        context: &Context,
    ) -> (Verdict, Option<TierChoice>) {
        if !matches!(action, Action::Command(_)) {
            let starts = matches!(action, Action::AgentStart(_));
            let named = context.facts.tier.clone().filter(|_| starts);
            return (self.decide(subject, action, context), named);
        }
        let known = context.facts.tier.clone();
        let Settled { context, choice, said } = self.settle(subject, action, context, known);
        (self.verdict(subject, action, &context, said), choice)
    }
}
