//! What people say to a task under way: a message to its agent, a pause, and going on.
//!
//! A pause is a freeze of one task, so it holds in every process and across restarts, before the
//! next action, whichever that is. People's own actions are not held.

use async_trait::async_trait;
use bailiwick_agent::{Hearing, HearingError};
use bailiwick_model::Timestamp;
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::freeze::{Freeze, Frozen, Thaw};
use bailiwick_model::id::{FreezeId, MessageId, Person, SessionId, SubtaskKey, TaskId};
use bailiwick_model::remark::Message;
use bailiwick_model::task::BUILTIN_AGENT;
use bailiwick_model::workflow::TaskState;
use bailiwick_store::Query;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::EngineError;

/// The most bytes of one message.
const MAX_MESSAGE: usize = 4 * 1024;
/// The most messages of a task that nobody has heard.
const MAX_UNHEARD: usize = 20;

fn refuse(code: &'static str, message: String, hint: String) -> EngineError {
    EngineError::State { code, message, hint }
}

fn over(id: TaskId) -> EngineError {
    refuse(
        "task.over",
        "the task is over already".to_owned(),
        format!("`bailiwick task retry {id}` takes up one that failed or was cancelled"),
    )
}

/// A message with whom it is for and whether somebody heard it.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) subtask: Option<SubtaskKey>,
    pub(crate) message: Message,
    pub(crate) heard: bool,
}

impl Engine {
    /// Says something to the agent at work on a task. It hears it before its next model call, or
    /// the next run does.
    pub async fn steer(
        &self,
        id: TaskId,
        by: &Person,
        subtask: Option<SubtaskKey>,
        text: &str,
    ) -> Result<Message, EngineError> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_MESSAGE {
            return Err(refuse(
                "steer.bad_text",
                format!("a message has between 1 and {MAX_MESSAGE} bytes"),
                "say it in a sentence or two".to_owned(),
            ));
        }
        let _alone = self.one_at_a_time().await;
        let state = self.state(id).await?;
        if state.is_over() {
            return Err(over(id));
        }
        if state.task.agent != BUILTIN_AGENT {
            return Err(refuse(
                "steer.program",
                format!("the agent `{}` takes no messages while it runs", state.task.agent),
                format!("`bailiwick task cancel {id}`, or ask for changes when it is done"),
            ));
        }
        let subtask = addressee(&state, subtask)?;
        let unheard = self.said(id).await?.iter().filter(|said| !said.heard).count();
        if unheard >= MAX_UNHEARD {
            return Err(refuse(
                "steer.too_many",
                format!("{unheard} messages wait to be heard already"),
                "wait until the agent has heard them".to_owned(),
            ));
        }
        let message =
            Message { id: MessageId::new(Uuid::now_v7()), by: by.clone(), text: text.to_owned() };
        self.record(vec![Fact::Steered { task: id, subtask, message: message.clone() }]).await?;
        Ok(message)
    }

    /// Holds a task before its next action.
    pub async fn pause(&self, id: TaskId, by: &Person, reason: &str) -> Result<(), EngineError> {
        let _alone = self.one_at_a_time().await;
        let state = self.state(id).await?;
        if state.is_over() {
            return Err(over(id));
        }
        if let Some(freeze) = &state.paused {
            return Err(refuse(
                "task.paused",
                format!("`{}` paused the task already", freeze.by),
                format!("`bailiwick task resume {id}` lets it go on"),
            ));
        }
        let reason = reason.trim();
        if reason.len() > 2_000 {
            return Err(refuse(
                "reason.missing",
                "a reason has up to 2000 bytes".to_owned(),
                "say it in a sentence or two".to_owned(),
            ));
        }
        let reason = if reason.is_empty() { "paused" } else { reason };
        self.record(vec![Fact::Frozen(Freeze {
            id: FreezeId::new(Uuid::now_v7()),
            frozen: Frozen::Task { task: id },
            reason: reason.to_owned(),
            by: by.clone(),
            at: Timestamp::now(),
        })])
        .await
    }

    /// Lets a paused task go on. Who paused it may: a pause is no emergency stop.
    pub async fn unpause(&self, id: TaskId, by: &Person) -> Result<(), EngineError> {
        let _alone = self.one_at_a_time().await;
        let state = self.state(id).await?;
        let Some(freeze) = &state.paused else {
            return Err(refuse(
                "task.not_paused",
                "the task is not paused".to_owned(),
                format!("`bailiwick task show {id}`"),
            ));
        };
        let same = freeze.by == *by;
        self.record(vec![Fact::Thawed(Thaw {
            freeze: freeze.id,
            by: by.clone(),
            single_user: same,
            task: Some(id),
        })])
        .await
    }

    /// Everything that was said to a task's agents, in order.
    pub(crate) async fn said(&self, id: TaskId) -> Result<Vec<Said>, EngineError> {
        let query = Query { task: Some(id), ..Query::default() };
        let entries = self.parts().store.entries(query.named(&["steered", "steering_heard"]));
        let mut all: Vec<Said> = Vec::new();
        for entry in entries.await? {
            let Event::Fact(fact) = entry.event else { continue };
            match *fact {
                Fact::Steered { subtask, message, .. } => {
                    all.push(Said { subtask, message, heard: false });
                }
                Fact::SteeringHeard { messages, .. } => {
                    for said in &mut all {
                        said.heard |= messages.iter().any(|heard| heard.id == said.message.id);
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }
}

/// Whom a message is for: the only subtask that is not done, or the one that is named.
fn addressee(
    state: &TaskState,
    named: Option<SubtaskKey>,
) -> Result<Option<SubtaskKey>, EngineError> {
    let open: Vec<&SubtaskKey> = state
        .subtasks
        .iter()
        .filter(|(_, subtask)| !subtask.is_done())
        .map(|(key, _)| key)
        .collect();
    let names = || open.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match named {
        Some(named) if open.contains(&&named) => Ok(Some(named)),
        Some(named) => Err(refuse(
            "steer.subtask",
            format!("`{named}` is no subtask that is at work"),
            format!("there are: {}", names()),
        )),
        None => match open.as_slice() {
            // Before there is a plan, whoever comes first hears it.
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            _ => Err(refuse(
                "steer.subtask",
                "the task has several subtasks at work".to_owned(),
                format!("name one with `--subtask`: {}", names()),
            )),
        },
    }
}

/// Where a run hears what is said to it.
pub(crate) struct Ear {
    pub(crate) engine: Engine,
    pub(crate) task: TaskId,
    pub(crate) subtask: Option<SubtaskKey>,
    pub(crate) session: SessionId,
}

#[async_trait]
impl Hearing for Ear {
    async fn hear(&self, step: u32) -> Result<Vec<Message>, HearingError> {
        self.take(step).await.map_err(|error| HearingError {
            message: error.to_string(),
            source: Some(Box::new(error)),
        })
    }
}

impl Ear {
    async fn take(&self, step: u32) -> Result<Vec<Message>, EngineError> {
        // One at a time, so that of two runs that could hear a message only one does.
        let _alone = self.engine.one_at_a_time().await;
        let waiting: Vec<Message> = self
            .engine
            .said(self.task)
            .await?
            .into_iter()
            .filter(|said| !said.heard && (said.subtask.is_none() || said.subtask == self.subtask))
            .map(|said| said.message)
            .collect();
        if !waiting.is_empty() {
            self.engine
                .record(vec![Fact::SteeringHeard {
                    task: self.task,
                    subtask: self.subtask.clone(),
                    session: self.session,
                    step,
                    messages: waiting.clone(),
                }])
                .await?;
        }
        Ok(waiting)
    }
}
