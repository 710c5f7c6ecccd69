//! People who say something to a run, each from a step on.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_agent::{Hearing, HearingError};
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::id::{MessageId, Person, SessionId, SubtaskKey, TaskId};
use bailiwick_model::remark::Message;
use bailiwick_warden::Journal as _;
use uuid::Uuid;

use crate::journal::MemoryJournal;

#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) journal: Arc<MemoryJournal>,
    /// What is said, by the step from which on it is.
    pub(crate) says: BTreeMap<u32, String>,
}

#[async_trait]
impl Hearing for Mailbox {
    async fn hear(&self, step: u32) -> Result<Vec<Message>, HearingError> {
        let mut heard = Vec::new();
        for entry in self.journal.entries() {
            let Event::Fact(fact) = entry.event else { continue };
            if let Fact::SteeringHeard { messages, .. } = *fact {
                heard.extend(messages.into_iter().map(|message| message.id));
            }
        }
        let fresh: Vec<Message> = self
            .says
            .range(..=step)
            .map(|(from, text)| Message {
                id: MessageId::new(Uuid::from_u128(u128::from(*from))),
                by: Person::parse("ada").unwrap(),
                text: text.clone(),
            })
            .filter(|message| !heard.contains(&message.id))
            .collect();
        if fresh.is_empty() {
            return Ok(fresh);
        }
        let fact = Fact::SteeringHeard {
            task: TaskId::new(Uuid::from_u128(1)),
            subtask: Some(SubtaskKey::parse("fix").unwrap()),
            session: SessionId::new(Uuid::from_u128(2)),
            step,
            messages: fresh.clone(),
        };
        self.journal.append(vec![Event::fact(fact)]).await.map_err(|error| HearingError {
            message: "no".into(),
            source: Some(Box::new(error)),
        })?;
        Ok(fresh)
    }
}
