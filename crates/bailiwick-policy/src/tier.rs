//! Which sandbox tier an action has to have: the weakest in which no rule with `@tier` forbids it.
//!
//! Such a rule is an ordinary `forbid` on the tier that an action would run in. What the annotation
//! adds is that the platform takes the stronger tier by itself and is not refused first. Whoever
//! does not take it is refused by the same rule.
//!
//! The tier `worktree`, which has no isolation, is taken only where a `permit` with
//! `@tier("worktree")` of the organisation names it; such a rule gives no right to do anything.

use bailiwick_model::action::Action;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::tier::{Tier, TierChoice};
use bailiwick_model::verdict::Verdict;

use crate::load::Rule;
use crate::set::PolicySet;

/// Why a command that would run without isolation does not.
const NOT_NAMED: &str = "no rule names the tier `worktree`, which has no isolation, for it";

/// The tier that a command would run in, as far as its circumstances say.
pub(crate) fn of_command(context: &Context) -> Tier {
    context.facts.tier.as_ref().map_or(Tier::Process, |choice| choice.tier)
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
        let mut choice = match action {
            Action::Command(_) => context.facts.tier.clone(),
            // A run that has no sandbox has no tier to raise.
            Action::AgentStart(start) => Some(TierChoice::usual(start.tier.parse().ok()?, "")),
            _ => return None,
        };
        let known = choice.as_ref().map_or(Tier::Process, |choice| choice.tier);
        // What names the tier without isolation says nothing to whoever is in another one.
        let raises = |rule: &Rule| rule.tier.is_some() && !rule.names_worktree();
        if known != Tier::Worktree && !self.rules().any(raises) {
            return choice;
        }
        let (mut action, mut context) = (action.clone(), context.clone());
        loop {
            let now = choice.as_ref().map_or(Tier::Process, |choice| choice.tier);
            let (naming, forbidding): (Vec<&Rule>, Vec<&Rule>) = self
                .about_tiers(subject, &action, &context)
                .into_iter()
                .partition(|rule| rule.names_worktree());
            let raising: Vec<&Rule> = forbidding
                .into_iter()
                .filter(|rule| rule.tier.is_some_and(|tier| tier > now))
                .collect();
            // INVARIANT: each turn takes a stronger tier than the one before, and there are five.
            let Some(tier) = raising.iter().filter_map(|rule| rule.tier).max() else {
                match (now, naming.first()) {
                    (Tier::Worktree, Some(rule)) => {
                        let rules = naming.iter().map(|rule| rule.id.clone()).collect();
                        let reason = rule.reason.clone();
                        return Some(TierChoice { tier: now, rules, reason });
                    }
                    (Tier::Worktree, None) => {
                        choice = Some(TierChoice::usual(Tier::Process, NOT_NAMED));
                        context.facts.tier.clone_from(&choice);
                        continue;
                    }
                    _ => return choice,
                }
            };
            let mut rules = choice.map(|choice| choice.rules).unwrap_or_default();
            rules.extend(raising.iter().map(|rule| rule.id.clone()));
            let mut reasons: Vec<&str> = rules
                .iter()
                .filter_map(|id| self.rule(id))
                .map(|rule| rule.reason.as_str())
                .collect();
            reasons.dedup();
            let raised = TierChoice { tier, reason: reasons.join("; "), rules };
            if let Action::AgentStart(start) = &mut action {
                tier.name().clone_into(&mut start.tier);
            }
            context.facts.tier = Some(raised.clone());
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
        let choice = self.tier(subject, action, context);
        if choice == context.facts.tier {
            return (self.decide(subject, action, context), choice);
        }
        let mut context = context.clone();
        context.facts.tier.clone_from(&choice);
        (self.decide(subject, action, &context), choice)
    }
}
