//! Damaged entries about people: noticed, told of once, and gone on without at an operator's word.

use bailiwick_model::emergency::{Alert, DamageAccepted};
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::id::Person;
use bailiwick_store::Query;

use crate::engine::Engine;
use crate::error::EngineError;

/// The code of the alert.
const CODE: &str = "alert.people_damaged";

impl Engine {
    /// Raises an alert about damaged entries that are, or may be, about people: once for each.
    /// Until an operator acts on it every action is refused and no token counts.
    pub async fn tell_of_damage(&self) -> Result<(), EngineError> {
        let damage = self.parts().store.people(|people| people.damage.clone());
        if damage.is_empty() {
            return Ok(());
        }
        let message = format!(
            "entries {damage:?} are damaged and are or may be about accounts, approvals or freezes: what is missing may have been a revocation; nothing is done until an operator looks at it (`bailiwick ledger accept-damage`)"
        );
        tracing::error!("{message}");
        let known = self.parts().store.entries(Query::default().named(&["alert_raised"])).await?;
        let told = known.iter().any(|entry| match &entry.event {
            Event::Fact(fact) => matches!(
                fact.as_ref(), Fact::AlertRaised(alert) if alert.code == CODE && alert.message == message
            ),
            Event::Decided(_) | Event::Finished(_) => false,
        });
        if told {
            return Ok(());
        }
        let alert = Alert { code: CODE.to_owned(), message, task: None, session: None };
        self.record(vec![Fact::AlertRaised(alert)]).await
    }

    /// Lets work go on without entries about people that are damaged. Gives their indices.
    pub async fn accept_damage(&self, by: &Person, reason: &str) -> Result<Vec<u64>, EngineError> {
        let _alone = self.one_at_a_time().await;
        let entries: Vec<u64> =
            self.parts().store.people(|people| people.damage.iter().copied().collect());
        let refuse = |code, message: &str, hint: &str| {
            Err(EngineError::State { code, message: message.to_owned(), hint: hint.to_owned() })
        };
        if entries.is_empty() {
            return refuse(
                "damage.none",
                "no entry about people is damaged",
                "there is nothing to do",
            );
        }
        if reason.trim().is_empty() {
            return refuse("damage.no_reason", "the reason is empty", "say what you found and did");
        }
        let reason = reason.trim().to_owned();
        let accepted = DamageAccepted { entries: entries.clone(), by: by.clone(), reason };
        self.record(vec![Fact::DamageAccepted(accepted)]).await?;
        Ok(entries)
    }
}
