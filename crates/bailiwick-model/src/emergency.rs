//! Break-glass: a named emergency in which gates stand open for a time, because two people said so.
//!
//! It lifts gates, which ask; it never lifts a hard rule, which forbids.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::{Entry, Event, Fact};
use crate::id::{ActionId, EmergencyId, Person, RepoName, SessionId, TaskId};

/// The longest that an emergency may last, in seconds.
pub const MAX_EMERGENCY_SECONDS: i64 = 4 * 3600;

/// An emergency, as one person declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emergency {
    /// Its id.
    pub id: EmergencyId,
    /// Its name, such as `payments-down`.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Who declares it: what is done on their behalf is what it is for.
    pub by: Person,
    /// The repository it is about.
    pub repo: RepoName,
    /// How long it lasts once it is confirmed, in seconds.
    pub seconds: i64,
    /// Whether one person may be both, which is a setting of the organisation.
    pub single_user: bool,
}

/// What somebody said of an emergency: that it is one, or that it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyWord {
    /// The emergency.
    pub emergency: EmergencyId,
    /// Who.
    pub by: Person,
}

/// That something was done under an emergency without the usual approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyUsed {
    /// The emergency.
    pub emergency: EmergencyId,
    /// The action.
    pub action: ActionId,
    /// The gates that stood open.
    pub rules: Vec<String>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// A stable code such as `alert.denial_storm`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The task it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The session it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// That an operator lets work go on without entries about people that are damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageAccepted {
    /// The entries' indices.
    pub entries: Vec<u64>,
    /// Who.
    pub by: Person,
    /// Why.
    pub reason: String,
}

/// An emergency with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyState {
    /// The emergency.
    pub emergency: Emergency,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// The second person, and when they confirmed.
    pub confirmed: Option<(Person, Timestamp)>,
    /// Who ended it early.
    pub ended: Option<Person>,
    /// What was done under it without the usual approval.
    pub used_by: Vec<ActionId>,
}

impl EmergencyState {
    /// Until when it is in force; nothing when it is not at this time.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let (second, at) = self.confirmed.as_ref()?;
        let two = *second != self.emergency.by || self.emergency.single_user;
        let seconds = self.emergency.seconds.clamp(0, MAX_EMERGENCY_SECONDS);
        let until = Timestamp::from_second(at.as_second().saturating_add(seconds)).ok()?;
        (two && self.ended.is_none() && *at <= now && now < until).then_some(until)
    }
}

/// Every emergency, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emergencies {
    /// The emergencies.
    pub all: BTreeMap<EmergencyId, EmergencyState>,
}

impl Emergencies {
    /// Takes one more entry into account.
    pub fn apply(&mut self, entry: &Entry) {
        let Event::Fact(fact) = &entry.event else { return };
        match fact.as_ref() {
            Fact::EmergencyDeclared(emergency) => {
                let state = EmergencyState {
                    emergency: emergency.clone(),
                    declared_at: entry.at,
                    confirmed: None,
                    ended: None,
                    used_by: Vec::new(),
                };
                self.all.entry(emergency.id).or_insert(state);
            }
            Fact::EmergencyConfirmed(word) => {
                if let Some(state) = self.all.get_mut(&word.emergency)
                    && state.confirmed.is_none()
                {
                    state.confirmed = Some((word.by.clone(), entry.at));
                }
            }
            Fact::EmergencyUsed(used) => {
                if let Some(state) = self.all.get_mut(&used.emergency) {
                    state.used_by.push(used.action);
                }
            }
            Fact::EmergencyEnded(word) => {
                if let Some(state) = self.all.get_mut(&word.emergency) {
                    state.ended = Some(word.by.clone());
                }
            }
            _ => {}
        }
    }

    /// The emergency under which something may be done on behalf of `person` in `repo`.
    pub fn in_force(
        &self,
        person: &Person,
        repo: &RepoName,
        now: Timestamp,
    ) -> Option<&EmergencyState> {
        self.all.values().find(|state| {
            state.emergency.by == *person
                && state.emergency.repo == *repo
                && state.until(now).is_some()
        })
    }
}
