//! Freezing and thawing, and emergencies: what people stop and what they open.

use bailiwick_model::Timestamp;
use bailiwick_model::emergency::{
    Alert, Emergency, EmergencyState, EmergencyWord, MAX_EMERGENCY_SECONDS,
};
use bailiwick_model::event::Fact;
use bailiwick_model::freeze::{Freeze, Frozen, Thaw};
use bailiwick_model::id::{EmergencyId, FreezeId, RepoName};
use bailiwick_model::identity::Caller;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::EngineError;

/// An emergency, as it is declared.
#[derive(Debug, Clone)]
pub struct NewEmergency {
    /// Its name.
    pub name: String,
    /// The repository it is about.
    pub repo: RepoName,
    /// Why.
    pub reason: String,
    /// How many minutes it lasts once it is confirmed.
    pub minutes: u32,
    /// Whether one person may be both, which is a setting of the organisation.
    pub single_user: bool,
}

fn refuse(code: &'static str, message: String, hint: &str) -> EngineError {
    EngineError::State { code, message, hint: hint.to_owned() }
}

fn with_reason(reason: &str) -> Result<String, EngineError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > 2_000 {
        return Err(refuse(
            "reason.missing",
            "a reason of up to 2000 bytes is needed: it is recorded".to_owned(),
            "give it with `--reason \"…\"`",
        ));
    }
    Ok(reason.to_owned())
}

impl Engine {
    /// The freezes in force, those included that were ordered beside this process.
    pub async fn freezes(&self) -> Result<Vec<Freeze>, EngineError> {
        let _alone = self.one_at_a_time().await;
        let ordered = self.parts().store.ordered_freezes()?;
        let unrecorded: Vec<Fact> = self.parts().store.people(|people| {
            let freezes = &people.freezes;
            let fresh = ordered.into_iter().filter(|freeze| {
                !freezes.thawed.contains(&freeze.id) && !freezes.in_force.contains_key(&freeze.id)
            });
            fresh.map(Fact::Frozen).collect()
        });
        self.record(unrecorded).await?;
        Ok(self.parts().store.people(|people| people.freezes.in_force.values().cloned().collect()))
    }

    /// Stops something at once.
    pub async fn freeze(
        &self,
        caller: &Caller,
        frozen: Frozen,
        reason: &str,
    ) -> Result<Freeze, EngineError> {
        let freeze = Freeze {
            id: FreezeId::new(Uuid::now_v7()),
            frozen,
            reason: with_reason(reason)?,
            by: caller.person.clone(),
            at: Timestamp::now(),
        };
        self.record(vec![Fact::Frozen(freeze.clone())]).await?;
        Ok(freeze)
    }

    /// Lets something go on. The second person; in single-user mode the same, and labelled so.
    pub async fn thaw(
        &self,
        caller: &Caller,
        id: FreezeId,
        single_user: bool,
    ) -> Result<Thaw, EngineError> {
        let in_force = self.freezes().await?;
        let _alone = self.one_at_a_time().await;
        let Some(freeze) = in_force.into_iter().find(|freeze| freeze.id == id) else {
            return Err(refuse(
                "freeze.unknown",
                format!("there is no freeze `{id}` in force"),
                "`bailiwick freeze list` shows those there are",
            ));
        };
        let same = freeze.by == caller.person;
        if same && !single_user {
            return Err(refuse(
                "freeze.second_person",
                format!("`{}` froze it, so somebody else has to thaw it", caller.person),
                "ask another operator or approver; on a machine with one user, set `single_user = true`",
            ));
        }
        let thaw = Thaw {
            freeze: id,
            by: caller.person.clone(),
            single_user: same,
            task: freeze.frozen.task(),
        };
        self.record(vec![Fact::Thawed(thaw.clone())]).await?;
        self.parts().store.forget_order(id)?;
        Ok(thaw)
    }

    /// Every emergency, the newest first.
    pub fn emergencies(&self) -> Vec<EmergencyState> {
        let all = |people: &bailiwick_store::People| {
            people.emergencies.all.values().rev().cloned().collect()
        };
        self.parts().store.people(all)
    }

    /// Declares an emergency. Nothing is open before a second person confirms it.
    pub async fn declare_emergency(
        &self,
        caller: &Caller,
        new: NewEmergency,
    ) -> Result<EmergencyState, EngineError> {
        let NewEmergency { name, repo, reason, minutes, single_user } = new;
        let seconds = i64::from(minutes).saturating_mul(60);
        if !(60..=MAX_EMERGENCY_SECONDS).contains(&seconds) {
            return Err(refuse(
                "break_glass.bad_time",
                "an emergency lasts from 1 to 240 minutes".to_owned(),
                "give `--minutes`",
            ));
        }
        if name.trim().is_empty() || name.len() > 100 {
            return Err(refuse(
                "break_glass.no_name",
                "an emergency has a name of up to 100 bytes".to_owned(),
                "such as `payments-down`",
            ));
        }
        if caller.service {
            return Err(refuse(
                "identity.service",
                "a program declares no emergency".to_owned(),
                "a person has to",
            ));
        }
        let emergency = Emergency {
            id: EmergencyId::new(Uuid::now_v7()),
            name: name.trim().to_owned(),
            reason: with_reason(&reason)?,
            by: caller.person.clone(),
            repo,
            seconds,
            single_user,
        };
        let alert = Alert {
            code: "alert.break_glass_declared".to_owned(),
            message: format!(
                "`{}` declared the emergency `{}` for {}: {}",
                emergency.by, emergency.name, emergency.repo, emergency.reason
            ),
            task: None,
            session: None,
        };
        let id = emergency.id;
        self.record(vec![Fact::EmergencyDeclared(emergency), Fact::AlertRaised(alert)]).await?;
        self.emergency(id)
    }

    /// Confirms an emergency: the second person.
    pub async fn confirm_emergency(
        &self,
        caller: &Caller,
        id: EmergencyId,
    ) -> Result<EmergencyState, EngineError> {
        let _alone = self.one_at_a_time().await;
        let state = self.emergency(id)?;
        if state.confirmed.is_some() || state.ended.is_some() {
            return Err(refuse(
                "break_glass.closed",
                "the emergency was confirmed or ended already".to_owned(),
                "declare another one",
            ));
        }
        // Who declared it in the morning does not open it at night.
        let age = Timestamp::now().as_second().saturating_sub(state.declared_at.as_second());
        if age > MAX_EMERGENCY_SECONDS {
            return Err(refuse(
                "break_glass.stale",
                "the emergency was declared more than four hours ago".to_owned(),
                "declare another one",
            ));
        }
        if caller.service || (caller.person == state.emergency.by && !state.emergency.single_user) {
            return Err(refuse(
                "break_glass.second_person",
                "an emergency needs a second person".to_owned(),
                "ask another operator or approver; on a machine with one user, set `single_user = true`",
            ));
        }
        let alert = Alert {
            code: "alert.break_glass".to_owned(),
            message: format!(
                "the emergency `{}` is in force for {} seconds: gates stand open for what is done on behalf of `{}` in {}; confirmed by `{}`",
                state.emergency.name,
                state.emergency.seconds,
                state.emergency.by,
                state.emergency.repo,
                caller.person
            ),
            task: None,
            session: None,
        };
        let word = EmergencyWord { emergency: id, by: caller.person.clone() };
        self.record(vec![Fact::EmergencyConfirmed(word), Fact::AlertRaised(alert)]).await?;
        self.emergency(id)
    }

    /// Ends an emergency before its time.
    pub async fn end_emergency(
        &self,
        caller: &Caller,
        id: EmergencyId,
    ) -> Result<EmergencyState, EngineError> {
        self.emergency(id)?;
        let word = EmergencyWord { emergency: id, by: caller.person.clone() };
        self.record(vec![Fact::EmergencyEnded(word)]).await?;
        self.emergency(id)
    }

    fn emergency(&self, id: EmergencyId) -> Result<EmergencyState, EngineError> {
        let found = self.parts().store.people(|people| people.emergencies.all.get(&id).cloned());
        found.ok_or_else(|| {
            refuse(
                "break_glass.unknown",
                format!("there is no emergency `{id}`"),
                "`bailiwick break-glass list` shows those there are",
            )
        })
    }
}
