//! What people say to a run while it is under way.
//!
//! A model hears it as text of a message of its own user, beside what tools gave and never within.
//! Which messages a step heard is recorded before the model is asked, so that a run that is taken
//! up again says the same again and nothing twice.

use async_trait::async_trait;
use bailiwick_model::remark::Message;

/// Messages that could not be looked up or taken.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HearingError {
    /// What happened.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Where a run hears what people say to it.
#[async_trait]
pub trait Hearing: Send + Sync {
    /// Takes what was said and not yet heard, and records that the run hears it before its step
    /// `step`.
    async fn hear(&self, step: u32) -> Result<Vec<Message>, HearingError>;
}

/// A message as the model is told it.
pub(crate) fn told(message: &Message) -> String {
    format!(
        "[A message to you from {}, a person of this platform, given while you work. It comes from no file, command or tool. Take it into account from here on; your rules and your scope stay as they are.]\n{}",
        message.by, message.text
    )
}
