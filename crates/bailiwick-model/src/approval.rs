//! Approvals: what a person was asked, what they answered, and what still stands of it.
//!
//! An approval is bound to the digest of exactly what was shown. It counts for that action and for
//! nothing that looks like it. The fold is [`Approvals`]; times are handed in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::action::{Action, WriteMode};
use crate::event::{Entry, Event, Fact};
use crate::id::{ActionId, ApprovalId, Oid, Person, RepoName, TaskId};
use crate::payload::Digest;
use crate::subject::{Context, Subject};

/// A group that is asked, and how many of it have to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupNeed {
    /// The group.
    pub group: String,
    /// How many different people of it.
    pub quorum: u32,
}

/// How often a granted approval may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalUse {
    /// Once.
    Once,
    /// As often as the same task does exactly the same thing, until the approval expires.
    Repeated,
}

impl ApprovalUse {
    /// What a grant of this kind allows, for whoever is about to give it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Once => "exactly this action, one time",
            Self::Repeated => {
                "exactly this action, as often as this task does it, until the approval expires"
            }
        }
    }
}

/// A request for approval: what is shown to whoever answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// Its id.
    pub id: ApprovalId,
    /// The decision that asks.
    pub decision: ActionId,
    /// Who wants to act, and for whom.
    pub subject: Subject,
    /// The repository.
    pub repo: RepoName,
    /// What is to be done.
    pub action: Action,
    /// The tree of the workspace it is to be done in, for commands and edits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Oid>,
    /// [`digest`] of it.
    pub digest: Digest,
    /// Who has to agree.
    pub needs: Vec<GroupNeed>,
    /// The gates that ask.
    pub rules: Vec<String>,
    /// Why they ask.
    pub reason: String,
    /// Whether requester and approver may be one person.
    pub single_user: bool,
    /// When it lapses, answered or not.
    pub expires_at: Timestamp,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalVerdict {
    /// It may be done.
    Grant,
    /// It must not be done. One denial is enough.
    Deny,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAnswer {
    /// The request.
    pub approval: ApprovalId,
    /// The task it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Who answers.
    pub by: Person,
    /// For whom they stand in, when somebody who is away delegated to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_person: Option<Person>,
    /// The groups whose voice it is.
    pub groups: BTreeSet<String>,
    /// What they say.
    pub verdict: ApprovalVerdict,
    /// How often a grant may be used.
    pub usage: ApprovalUse,
    /// The digest of what was shown to them.
    pub digest: Digest,
    /// In their words.
    pub note: String,
}

/// That an approval was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalUsed {
    /// The approval.
    pub approval: ApprovalId,
    /// The action.
    pub action: ActionId,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// That a request is worth nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalVoided {
    /// The approval.
    pub approval: ApprovalId,
    /// Why.
    pub reason: String,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// That a further group may answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalEscalated {
    /// The approval.
    pub approval: ApprovalId,
    /// The group.
    pub group: String,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// That people were told that a request lapses soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalReminded {
    /// The approval.
    pub approval: ApprovalId,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// The digest that an approval is bound to: the action with every operand, who acts for whom in
/// which task, and the tree it is done in. Not the session: a run that was cut off is the same.
pub fn digest(
    subject: &Subject,
    context: &Context,
    action: &Action,
) -> Result<Digest, serde_json::Error> {
    let bound = serde_json::to_vec(&(
        "bailiwick approval 1",
        &context.repo,
        subject.role,
        &subject.on_behalf_of,
        &subject.task,
        &subject.subtask,
        bound_tree(context, action),
        action,
    ))?;
    Ok(Digest::of(&bound))
}

/// The tree that an approval of this action is bound to.
pub fn bound_tree<'a>(context: &'a Context, action: &Action) -> Option<&'a Oid> {
    if rests_on_tree(action) { context.facts.tree.as_ref() } else { None }
}

/// Whether what an action does depends on the files it is done to: a command, and an edit, which
/// names a piece of a file and not the whole.
pub fn rests_on_tree(action: &Action) -> bool {
    match action {
        Action::Command(_) => true,
        Action::FileWrite(write) => matches!(write.mode, WriteMode::Edit { .. }),
        _ => false,
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// It waits for answers.
    Open,
    /// Enough people agreed, and it can be used.
    Granted,
    /// Somebody said no.
    Denied,
    /// It was granted and used up.
    Spent,
    /// Its time is over.
    Expired,
    /// What was shown is not what would be done any more.
    Void,
}

impl ApprovalStatus {
    /// The status in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }
}

/// Why a request is void that nobody answered in time.
pub const LAPSED: &str = "nobody answered in time";

/// A request with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalState {
    /// The request.
    pub request: ApprovalRequest,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// The answers, in order.
    pub answers: Vec<ApprovalAnswer>,
    /// The actions it was used for.
    pub used_by: Vec<ActionId>,
    /// Why it is void.
    pub void: Option<String>,
    /// Groups that were asked as well because nobody answered.
    pub escalated_to: BTreeSet<String>,
    /// Whether people were told that it lapses soon.
    #[serde(default)]
    pub reminded: bool,
}

impl ApprovalState {
    /// Where it stands at a time.
    pub fn status(&self, now: Timestamp) -> ApprovalStatus {
        if self.answers.iter().any(|answer| answer.verdict == ApprovalVerdict::Deny) {
            return ApprovalStatus::Denied;
        }
        match self.void.as_deref() {
            Some(LAPSED) => return ApprovalStatus::Expired,
            Some(_) => return ApprovalStatus::Void,
            None => {}
        }
        if self.is_complete() && self.usage() == ApprovalUse::Once && !self.used_by.is_empty() {
            return ApprovalStatus::Spent;
        }
        // A clock that was set back before the question makes nothing valid again.
        if now >= self.request.expires_at || now < self.asked_at {
            return ApprovalStatus::Expired;
        }
        if self.is_complete() { ApprovalStatus::Granted } else { ApprovalStatus::Open }
    }

    /// Whether it waits for an answer, whatever the time is. What waits for it goes on when it does
    /// not any more.
    pub fn is_waiting(&self) -> bool {
        self.void.is_none()
            && !self.is_complete()
            && !self.answers.iter().any(|answer| answer.verdict == ApprovalVerdict::Deny)
    }

    /// Whether its task, or the part of it that asks, goes no further before it is answered. A
    /// larger budget is asked for by people, and the task goes on with the one it has.
    pub fn holds_task(&self) -> bool {
        self.is_waiting() && !matches!(self.request.action, Action::TaskRaise(_))
    }

    /// How often it may be used: the narrowest that anybody granted.
    pub fn usage(&self) -> ApprovalUse {
        let repeated = self.answers.iter().all(|answer| answer.usage == ApprovalUse::Repeated);
        if repeated && !self.answers.is_empty() { ApprovalUse::Repeated } else { ApprovalUse::Once }
    }

    /// How many different people agreed for a group.
    pub fn agreed(&self, group: &str) -> usize {
        let people: BTreeSet<&Person> = self
            .answers
            .iter()
            .filter(|answer| answer.verdict == ApprovalVerdict::Grant)
            .filter(|answer| answer.groups.contains(group))
            // Who stands in for somebody is that one voice, not a second one.
            .map(|answer| answer.for_person.as_ref().unwrap_or(&answer.by))
            .collect();
        people.len()
    }

    fn is_complete(&self) -> bool {
        !self.request.needs.is_empty()
            && self.request.needs.iter().all(|need| {
                let quorum = usize::try_from(need.quorum.max(1)).unwrap_or(usize::MAX);
                self.agreed(&need.group) >= quorum
            })
    }
}

/// Somebody who is away lets somebody else answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Who is away.
    pub from: Person,
    /// Who answers instead.
    pub to: Person,
    /// Until when.
    pub until: Timestamp,
}

/// Every request for approval, by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Approvals {
    /// The requests.
    pub all: BTreeMap<ApprovalId, ApprovalState>,
    /// Who answers for whom.
    pub delegations: Vec<Delegation>,
}

impl Approvals {
    /// Takes one more entry into account.
    pub fn apply(&mut self, entry: &Entry) {
        let Event::Fact(fact) = &entry.event else { return };
        match fact.as_ref() {
            Fact::ApprovalAsked(request) => {
                let state = ApprovalState {
                    request: (**request).clone(),
                    asked_at: entry.at,
                    answers: Vec::new(),
                    used_by: Vec::new(),
                    void: None,
                    escalated_to: BTreeSet::new(),
                    reminded: false,
                };
                self.all.entry(request.id).or_insert(state);
            }
            Fact::ApprovalAnswered(answer) => {
                if let Some(state) = self.all.get_mut(&answer.approval)
                    && answer.digest == state.request.digest
                {
                    state.answers.push(answer.clone());
                }
            }
            Fact::ApprovalUsed(used) => {
                if let Some(state) = self.all.get_mut(&used.approval) {
                    state.used_by.push(used.action);
                }
            }
            Fact::ApprovalVoided(voided) => {
                if let Some(state) = self.all.get_mut(&voided.approval) {
                    state.void = Some(voided.reason.clone());
                }
            }
            Fact::ApprovalEscalated(escalated) => {
                if let Some(state) = self.all.get_mut(&escalated.approval) {
                    state.escalated_to.insert(escalated.group.clone());
                }
            }
            Fact::ApprovalReminded(reminded) => {
                if let Some(state) = self.all.get_mut(&reminded.approval) {
                    state.reminded = true;
                }
            }
            Fact::Delegated(delegation) => {
                self.delegations.retain(|other| other.from != delegation.from);
                self.delegations.push(delegation.clone());
            }
            _ => {}
        }
    }

    /// The newest request for exactly this action that needs the same, if there is one.
    pub fn of(&self, digest: Digest) -> Option<&ApprovalState> {
        // Ids are UUIDv7: the last is the newest.
        self.all.values().rev().find(|state| state.request.digest == digest)
    }

    /// Who may answer for whom at a time.
    pub fn stands_in(&self, by: &Person, now: Timestamp) -> BTreeSet<&Person> {
        let by = self.delegations.iter().filter(|delegation| delegation.to == *by);
        by.filter(|delegation| delegation.until > now).map(|delegation| &delegation.from).collect()
    }
}
