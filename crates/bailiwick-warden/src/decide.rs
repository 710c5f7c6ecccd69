//! The decision itself: what people stopped, what policy says, what people allowed; then the record.

use std::collections::BTreeMap;

use bailiwick_model::Timestamp;
use bailiwick_model::action::{Act, Action};
use bailiwick_model::approval::{self, ApprovalRequest, ApprovalUsed, GroupNeed};
use bailiwick_model::emergency::{Alert, EmergencyUsed};
use bailiwick_model::event::{Decided, Event, Fact};
use bailiwick_model::id::{ActionId, ApprovalId};
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, InstallFacts, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_model::tier::{Tier, TierChoice};
use bailiwick_model::verdict::{Denial, Verdict};
use bailiwick_policy::{PolicySet, RuleEffect};
use uuid::Uuid;

use crate::narrowing::NoPolicy;
use crate::port::{Claim, JournalError, Reservation, SafeguardError, Safeguards, Standing};
use crate::token::{Use, needs_token};
use crate::warden::Warden;

/// What was decided and recorded.
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) reservation: Option<Reservation>,
    /// The request that people can answer.
    pub(crate) approval: Option<ApprovalId>,
    /// The weakest sandbox tier that will do for it.
    pub(crate) tier: Option<Tier>,
}

/// A decision in the making.
struct Draft<'a> {
    id: ActionId,
    subject: &'a Subject,
    context: Context,
    action: Action,
    now: Timestamp,
    verdict: Verdict,
    /// What is recorded together with the decision.
    facts: Vec<Fact>,
    approval: Option<ApprovalId>,
    /// An approval that is given back when the decision can't be recorded.
    claimed: Option<ApprovalId>,
}

impl Warden {
    pub(crate) async fn decide<A: Act>(
        &self,
        id: ActionId,
        subject: &Subject,
        context: &Context,
        action: &A,
    ) -> Result<Decision, JournalError> {
        let policy = self.policy_for(subject);
        let mut context = context.clone();
        // The caller may know of a smaller budget (a subtask's), never of a larger one.
        let left = subject.task.map_or(MicroUsd(0), |task| self.budget.left(task));
        context.budget_left = left.min(context.budget_left);
        let action_itself = action.to_action();
        // Never taken over from a caller: what is said of names is looked up here, or not at all.
        context.facts.installs = match (&self.installs, &action_itself) {
            (Some(installs), Action::Command(command)) => installs.look_at(command).await,
            _ => InstallFacts::default(),
        };
        let mut draft = Draft {
            id,
            subject,
            context,
            action: action_itself,
            now: Timestamp::now(),
            verdict: Verdict::Permit { rules: Vec::new() },
            facts: Vec::new(),
            approval: None,
            claimed: None,
        };
        match (&self.safeguards, &policy) {
            (_, Err(NoPolicy::Unreadable(error))) => draft.refuse(unreadable(error)),
            (_, Err(NoPolicy::Refused(denial))) => draft.refuse(denial.clone()),
            (None, Ok(policy)) => draft.by_policy(policy),
            (Some(safeguards), Ok(policy)) => {
                let safeguards = safeguards.as_ref();
                if let Err(error) = draft.judge(safeguards, policy, self.approval_seconds) {
                    draft.refuse(unreadable(&error));
                }
            }
        }
        let amount = action.reservation();
        // After policy, whose refusals say more, and before anything is paid. A question that is not
        // asked after all, and an approval that is not used, go with the refusal.
        if !matches!(draft.verdict, Verdict::Deny(_))
            && let Some(denial) = self.beyond_token(&mut draft, amount)
        {
            draft.refuse(denial);
        }
        if !matches!(draft.verdict, Verdict::Deny(_))
            && let Some(denial) = self.beyond_rights(subject, &draft.context, &draft.action).await
        {
            draft.refuse(denial);
        }
        let mut reservation = None;
        if let (Verdict::Permit { .. }, Some(task)) = (&draft.verdict, subject.task)
            && amount > MicroUsd(0)
        {
            match self.budget.reserve(task, amount) {
                Ok(reserved) => reservation = Some(reserved),
                Err(error) => draft.refuse(Denial {
                    code: "budget.exhausted".to_owned(),
                    rules: vec!["task budget".to_owned()],
                    reason: error.to_string(),
                    hint: "start the task again with a larger `--budget`, or ask for less output"
                        .to_owned(),
                }),
            }
        }
        if let (Some(safeguards), Verdict::Deny(_)) = (&self.safeguards, &draft.verdict) {
            let alert = safeguards.storm(subject, draft.now);
            draft.facts.extend(alert.map(Fact::AlertRaised));
            // What was refused used nothing up.
            if let Some(approval) = draft.claimed.take() {
                safeguards.release(approval);
                draft.facts.retain(|fact| !matches!(fact, Fact::ApprovalUsed(_)));
            }
        }
        let (verdict, approval, claimed) = (draft.verdict.clone(), draft.approval, draft.claimed);
        let tier = draft.context.facts.tier.as_ref().map(|choice| choice.tier);
        let decided_by = policy.map_or_else(|_| self.policy().digest(), |policy| policy.digest());
        match self.journal.append(draft.events(decided_by)).await {
            Ok(_) => Ok(Decision { verdict, reservation, approval, tier }),
            Err(error) => {
                if let Some(reservation) = reservation {
                    self.budget.settle(reservation, MicroUsd(0));
                }
                if let (Some(safeguards), Some(approval)) = (&self.safeguards, claimed) {
                    safeguards.release(approval);
                }
                Err(error)
            }
        }
    }
}

impl Warden {
    /// The sandbox tier that an action is to be done in: the one it has, or a stronger one that
    /// policy asks for. Whoever starts an agent's program asks this first, since its start names
    /// the tier; a command's tier is found when it is decided.
    pub fn tier(
        &self,
        subject: &Subject,
        context: &Context,
        action: &impl Act,
    ) -> Option<TierChoice> {
        // What can't be looked at is refused when the action is decided.
        let policy = self.policy_for(subject).ok()?;
        let mut context = context.clone();
        let now = Timestamp::now();
        context.facts.at = Some(now);
        if let Some(safeguards) = &self.safeguards {
            safeguards.facts(subject, &mut context.facts, now).ok()?;
        }
        policy.tier(subject, &action.to_action(), &context)
    }

    /// Why the token of an agent's run does not allow the action, if it does not.
    fn beyond_token(&self, draft: &mut Draft<'_>, estimate: MicroUsd) -> Option<Denial> {
        if !needs_token(draft.subject) {
            return None;
        }
        let using = Use {
            subject: draft.subject,
            context: &draft.context,
            action: &draft.action,
            estimate,
            now: draft.now,
        };
        let error = self.tokens().allows(&using).err()?;
        if error.is_alarming() {
            draft.facts.push(Fact::AlertRaised(Alert {
                code: "alert.session_token".to_owned(),
                message: format!("{error} [{}]", error.code()),
                task: draft.subject.task,
                session: draft.subject.session,
            }));
        }
        Some(Denial {
            code: error.code().to_owned(),
            rules: vec!["session token".to_owned()],
            reason: error.to_string(),
            hint: "a run can do no more than what started it: finish, and say what is missing"
                .to_owned(),
        })
    }
}

/// What people said can't be looked at: nothing is done.
fn unreadable(error: &SafeguardError) -> Denial {
    Denial {
        code: "safeguards.unreadable".to_owned(),
        rules: Vec::new(),
        reason: format!(
            "whether this is frozen, approved or allowed can't be found out: {}",
            error.message
        ),
        hint: "an operator has to mend the data directory; until then nothing is done".to_owned(),
    }
}

impl Draft<'_> {
    fn refuse(&mut self, denial: Denial) {
        self.verdict = Verdict::Deny(denial);
        self.approval = None;
        self.facts.retain(|fact| !matches!(fact, Fact::ApprovalAsked(_)));
    }

    fn by_policy(&mut self, policy: &PolicySet) {
        let decided = policy.decide_in_tier(self.subject, &self.action, &self.context);
        (self.verdict, self.context.facts.tier) = decided;
        // A rule can't name the package; who was refused has to know which one.
        let installs = &self.context.facts.installs;
        if let Verdict::Deny(denial) = &mut self.verdict
            && !installs.refused.is_empty()
            && denial.rules.iter().any(|rule| rule.contains("installs-refused"))
        {
            let names: Vec<&str> = installs.refused.iter().map(String::as_str).collect();
            denial.reason = format!("{}: {}", denial.reason, names.join("; "));
        }
    }

    /// Freezes first, then policy, then what people allowed of what policy asks them.
    fn judge(
        &mut self,
        safeguards: &dyn Safeguards,
        policy: &PolicySet,
        approval_seconds: i64,
    ) -> Result<(), SafeguardError> {
        self.context.facts.at = Some(self.now);
        safeguards.facts(self.subject, &mut self.context.facts, self.now)?;
        if let Some(stopped) = safeguards.frozen(self.subject, &self.context, &self.action)? {
            let freeze = stopped.freeze;
            self.refuse(Denial {
                code: "freeze.in_force".to_owned(),
                rules: vec![format!("freeze {}", freeze.id)],
                reason: format!(
                    "frozen ({}) by {} since {}: {}",
                    freeze.frozen, freeze.by, freeze.at, freeze.reason
                ),
                hint: "it goes on once somebody else thaws it: `bailiwick freeze list`".to_owned(),
            });
            if stopped.unrecorded {
                self.facts.push(Fact::Frozen(freeze));
            }
            return Ok(());
        }
        self.by_policy(policy);
        let Verdict::NeedsApproval { groups, rules } = self.verdict.clone() else { return Ok(()) };
        self.ask(safeguards, policy, groups, rules, approval_seconds)
    }

    fn ask(
        &mut self,
        safeguards: &dyn Safeguards,
        policy: &PolicySet,
        groups: Vec<String>,
        rules: Vec<String>,
        approval_seconds: i64,
    ) -> Result<(), SafeguardError> {
        let person = &self.subject.on_behalf_of;
        if let Some(emergency) = safeguards.emergency(person, &self.context.repo, self.now)? {
            let mut open = self.context.clone();
            open.approvals.extend(groups.iter().cloned());
            let (verdict, tier) = policy.decide_in_tier(self.subject, &self.action, &open);
            open.facts.tier = tier;
            if matches!(verdict, Verdict::Permit { .. }) {
                (self.verdict, self.context) = (verdict, open);
                self.facts.push(Fact::EmergencyUsed(EmergencyUsed {
                    emergency,
                    action: self.id,
                    rules,
                    task: self.subject.task,
                }));
                return Ok(());
            }
        }
        if approval::rests_on_tree(&self.action) && self.context.facts.tree_changed {
            self.refuse(Denial {
                code: "approval.ask_alone".to_owned(),
                rules,
                reason: "this needs approval, and the files it is done to were changed just before"
                    .to_owned(),
                hint: "call it again in a reply of its own: people approve it together with the files as they are then"
                    .to_owned(),
            });
            return Ok(());
        }
        let digest = approval::digest(self.subject, &self.context, &self.action);
        let digest = digest.map_err(|error| SafeguardError { message: error.to_string() })?;
        match safeguards.standing(self.subject, digest, self.now)? {
            Standing::Granted { approval, groups: agreed, once } => {
                if once && safeguards.claim(approval)? == Claim::Gone {
                    self.new_request(policy, groups, rules, digest, approval_seconds);
                    return Ok(());
                }
                self.claimed = once.then_some(approval);
                self.context.approvals.extend(agreed);
                self.by_policy(policy);
                if matches!(self.verdict, Verdict::Permit { .. }) {
                    self.facts.push(Fact::ApprovalUsed(ApprovalUsed {
                        approval,
                        action: self.id,
                        task: self.subject.task,
                    }));
                    return Ok(());
                }
                if let Some(approval) = self.claimed.take() {
                    safeguards.release(approval);
                }
                if let Verdict::NeedsApproval { groups, rules } = self.verdict.clone() {
                    self.new_request(policy, groups, rules, digest, approval_seconds);
                }
            }
            Standing::Open(approval) => self.approval = Some(approval),
            Standing::Refused(denial) => self.refuse(denial),
            Standing::Unasked => {
                self.new_request(policy, groups, rules, digest, approval_seconds);
            }
        }
        Ok(())
    }

    fn new_request(
        &mut self,
        policy: &PolicySet,
        groups: Vec<String>,
        rules: Vec<String>,
        digest: Digest,
        approval_seconds: i64,
    ) {
        let id = ApprovalId::new(Uuid::now_v7());
        let mut needs: BTreeMap<String, u32> = groups.into_iter().map(|group| (group, 1)).collect();
        let mut reasons = Vec::new();
        for rule in policy.rules().filter(|rule| rules.contains(&rule.id)) {
            reasons.push(rule.reason.clone());
            if let RuleEffect::Gate { group } = &rule.effect
                && let Some(quorum) = needs.get_mut(group)
            {
                *quorum = (*quorum).max(rule.quorum);
            }
        }
        reasons.extend(self.context.facts.installs.doubtful.iter().cloned());
        let ends = self.now.as_second().saturating_add(approval_seconds);
        self.facts.push(Fact::ApprovalAsked(Box::new(ApprovalRequest {
            id,
            decision: self.id,
            subject: self.subject.clone(),
            repo: self.context.repo.clone(),
            action: self.action.clone(),
            tree: approval::bound_tree(&self.context, &self.action).cloned(),
            digest,
            needs: needs.into_iter().map(|(group, quorum)| GroupNeed { group, quorum }).collect(),
            rules,
            reason: reasons.join("; "),
            single_user: self.context.single_user,
            expires_at: Timestamp::from_second(ends).unwrap_or(Timestamp::MAX),
        })));
        self.approval = Some(id);
    }

    fn events(self, policy: Digest) -> Vec<Event> {
        let decided = Decided {
            id: self.id,
            subject: self.subject.clone(),
            context: self.context,
            action: self.action,
            decision: self.verdict,
            policy,
        };
        let mut events = vec![Event::Decided(Box::new(decided))];
        events.extend(self.facts.into_iter().map(Event::fact));
        events
    }
}
