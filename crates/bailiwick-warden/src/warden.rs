//! Decide, record, effect, record.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use bailiwick_model::action::Act;
use bailiwick_model::event::{Decided, Event, Fact, Finished};
use bailiwick_model::id::{ActionId, ApprovalId};
use bailiwick_model::outcome::{EffectError, Outcome, Recorded};
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_model::verdict::{Denial, Verdict};
use bailiwick_policy::PolicySet;
use uuid::Uuid;

use crate::decide::Decision;
use crate::narrowing::Narrowed;
use crate::permit::Permit;
use crate::port::{BudgetBook, ForgeRights, InstallScreen, Journal, JournalError, Safeguards};
use crate::token::TokenAuthority;

/// Why an action did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ActError<E: EffectError> {
    /// Policy refused it. Nothing was done.
    #[error("{}", denial.reason)]
    Denied {
        /// The action's id in the ledger.
        id: ActionId,
        /// Why, by which rules, and what would allow it.
        denial: Denial,
    },
    /// Policy wants these groups to approve first. Nothing was done.
    #[error("needs the approval of {}", groups.join(", "))]
    NeedsApproval {
        /// The action's id in the ledger.
        id: ActionId,
        /// The groups.
        groups: Vec<String>,
        /// The gates that ask.
        rules: Vec<String>,
        /// The request that people can answer, when it was recorded.
        approval: Option<ApprovalId>,
    },
    /// It could not be recorded, so it was not done.
    #[error("the action was not done, because it could not be recorded")]
    Unrecordable(#[source] JournalError),
    /// It was permitted, recorded and tried, and it failed.
    #[error(transparent)]
    Effect(E),
    /// It was done, but what came of it could not be recorded. On restart it is found in the
    /// ledger without an outcome and is taken up from there.
    #[error("the action was done, but its outcome could not be recorded")]
    OutcomeUnrecorded(#[source] JournalError),
}

impl<E: EffectError> ActError<E> {
    /// A stable code.
    pub fn code(&self) -> String {
        match self {
            Self::Denied { denial, .. } => denial.code.clone(),
            Self::NeedsApproval { .. } => "policy.needs_approval".to_owned(),
            Self::Unrecordable(_) => "ledger.unwritable".to_owned(),
            Self::Effect(error) => error.code(),
            Self::OutcomeUnrecorded(_) => "ledger.outcome_unwritable".to_owned(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Denied { denial, .. } => denial.hint.clone(),
            Self::NeedsApproval { groups, approval: Some(approval), .. } => format!(
                "somebody of {} has to approve it: `bailiwick approval show {approval}`",
                groups.join(" and ")
            ),
            Self::NeedsApproval { groups, approval: None, .. } => {
                format!("somebody of {} has to approve it", groups.join(" and "))
            }
            Self::Unrecordable(_) | Self::OutcomeUnrecorded(_) => {
                "make room on the disk of the data directory or mend its permissions, then restart"
                    .to_owned()
            }
            Self::Effect(error) => error.hint().unwrap_or_default(),
        }
    }

    /// Whether the ledger failed, after which nothing more may be done.
    pub fn is_ledger_failure(&self) -> bool {
        matches!(self, Self::Unrecordable(_) | Self::OutcomeUnrecorded(_))
    }
}

/// The one decision point.
pub struct Warden {
    policy: RwLock<Arc<PolicySet>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) budget: Arc<dyn BudgetBook>,
    pub(crate) safeguards: Option<Arc<dyn Safeguards>>,
    pub(crate) installs: Option<Arc<dyn InstallScreen>>,
    pub(crate) approval_seconds: i64,
    pub(crate) narrowed: Narrowed,
    tokens: TokenAuthority,
    pub(crate) rights: Option<Arc<dyn ForgeRights>>,
}

/// How long a request for approval waits for an answer when nothing else is set: a day.
const APPROVAL_SECONDS: i64 = 24 * 3600;

impl std::fmt::Debug for Warden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warden").field("policy", &self.policy().digest()).finish_non_exhaustive()
    }
}

impl Warden {
    /// A warden that decides by `policy`, records in `journal` and reserves in `budget`.
    pub fn new(
        policy: Arc<PolicySet>,
        journal: Arc<dyn Journal>,
        budget: Arc<dyn BudgetBook>,
    ) -> Self {
        Self {
            policy: RwLock::new(policy),
            journal,
            budget,
            safeguards: None,
            installs: None,
            approval_seconds: APPROVAL_SECONDS,
            narrowed: Narrowed::default(),
            tokens: TokenAuthority::default(),
            rights: None,
        }
    }

    /// Who makes session tokens. What an agent does is refused without one that is held here: there
    /// is no warden that asks for none.
    pub fn tokens(&self) -> &TokenAuthority {
        &self.tokens
    }

    /// The same, with what people said: freezes stop actions, and what needs approval is asked.
    /// Without it nothing is frozen, and what needs approval is refused without being asked.
    #[must_use]
    pub fn with_safeguards(self, safeguards: Arc<dyn Safeguards>) -> Self {
        Self { safeguards: Some(safeguards), ..self }
    }

    /// The same, with a look at the names of packages before a command that installs them is
    /// decided. Without it such commands are decided by the rest of what they do.
    #[must_use]
    pub fn with_install_screen(self, installs: Arc<dyn InstallScreen>) -> Self {
        Self { installs: Some(installs), ..self }
    }

    /// The same, with another time after which a request for approval lapses.
    #[must_use]
    pub fn with_approval_seconds(self, approval_seconds: i64) -> Self {
        Self { approval_seconds, ..self }
    }

    /// The same, with what people may do on the forge: nothing is done for somebody beyond it.
    /// Without it no repository is on a forge, and policy alone decides.
    #[must_use]
    pub fn with_rights(self, rights: Arc<dyn ForgeRights>) -> Self {
        Self { rights: Some(rights), ..self }
    }

    /// The policy set in force.
    pub fn policy(&self) -> Arc<PolicySet> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another policy set in force, in one step: a decision is by the one or by the other, and
    /// none waits.
    pub fn replace_policy(&self, policy: Arc<PolicySet>) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Records facts that are no effect of their own.
    pub async fn record(&self, facts: Vec<Fact>) -> Result<u64, JournalError> {
        self.journal.append(facts.into_iter().map(Event::fact).collect()).await
    }

    /// Records that actions which a crash cut off have an outcome that nobody knows.
    pub async fn close_interrupted(&self, actions: Vec<Decided>) -> Result<(), JournalError> {
        let events: Vec<Event> = actions
            .into_iter()
            .map(|decided| {
                Event::Finished(Box::new(Finished {
                    id: decided.id,
                    task: decided.subject.task,
                    session: decided.subject.session,
                    result: Outcome::Failed {
                        code: "platform.interrupted".to_owned(),
                        message: "the platform was stopped before the outcome was recorded"
                            .to_owned(),
                        possibly_done: true,
                    },
                }))
            })
            .collect();
        if !events.is_empty() {
            self.journal.append(events).await?;
        }
        Ok(())
    }

    /// Decides `action`, records the decision, and only if it is permitted and recorded hands the
    /// permit to `effect`; then records what came of it.
    ///
    /// Not cancelled cleanly: if the future is dropped during the effect, the ledger has the
    /// decision without an outcome, as after a crash.
    pub async fn perform<A, T, E, F, Fut>(
        &self,
        subject: &Subject,
        context: &Context,
        action: A,
        effect: F,
    ) -> Result<T, ActError<E>>
    where
        A: Act,
        T: Recorded,
        E: EffectError,
        F: FnOnce(Permit<A>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let id = ActionId::new(Uuid::now_v7());
        let decided = self.decide(id, subject, context, &action).await;
        let Decision { verdict, reservation, approval, tier } =
            decided.map_err(ActError::Unrecordable)?;
        match verdict {
            Verdict::Permit { .. } => {}
            Verdict::Deny(denial) => return Err(ActError::Denied { id, denial }),
            Verdict::NeedsApproval { groups, rules } => {
                return Err(ActError::NeedsApproval { id, groups, rules, approval });
            }
        }
        let result = effect(Permit::new(id, action, tier)).await;
        let outcome = match &result {
            Ok(value) => value.outcome(),
            Err(error) => Outcome::Failed {
                code: error.code(),
                message: error.to_string(),
                possibly_done: error.possibly_done(),
            },
        };
        if let Some(reservation) = reservation {
            // A call that may have been billed is taken to have cost all that was set aside.
            let cost = match &outcome {
                Outcome::Failed { possibly_done: true, .. } => reservation.amount,
                other => other.cost().unwrap_or(MicroUsd(0)),
            };
            self.budget.settle(reservation, cost);
        }
        let finished =
            Finished { id, task: subject.task, session: subject.session, result: outcome };
        let recorded = self.journal.append(vec![Event::Finished(Box::new(finished))]).await;
        recorded.map_err(ActError::OutcomeUnrecorded)?;
        result.map_err(ActError::Effect)
    }
}

/// An error with its causes, each once: what a person needs to see of it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
