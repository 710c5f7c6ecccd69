//! Runs commands through the warden: decided, recorded, then done by the sandbox, then recorded.

use super::{CommandRefusal, CommandResult, CommandRunner};
use async_trait::async_trait;
use bailiwick_model::action::Command;
use bailiwick_model::outcome::{EffectError, Outcome, Recorded};
use bailiwick_model::subject::{Context, Subject};
use bailiwick_warden::{Permit, Warden};
use std::future::Future;
use std::sync::Arc;

/// Asks the warden for each command, and hands the permit to `effect`: the sandbox that holds the
/// checkout.
///
/// Nothing here can run a command: without a permit `effect` cannot be called, and only the warden
/// makes permits.
pub struct WardenRunner<F> {
    warden: Arc<Warden>,
    subject: Subject,
    context: Context,
    effect: F,
}

impl<F> std::fmt::Debug for WardenRunner<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WardenRunner").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl<F> WardenRunner<F> {
    /// A runner for `subject` (whose role is `Gate`) in `context`; `effect` is the sandbox's `run`.
    pub fn new(warden: Arc<Warden>, subject: Subject, context: Context, effect: F) -> Self {
        Self { warden, subject, context, effect }
    }
}

#[async_trait]
impl<F, Fut, T, E> CommandRunner for WardenRunner<F>
where
    F: Fn(Permit<Command>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, E>> + Send,
    T: Recorded + Send + Sync,
    E: EffectError,
{
    async fn run(&self, command: Command) -> Result<CommandResult, CommandRefusal> {
        let done = self.warden.perform(&self.subject, &self.context, command, &self.effect).await;
        let done = done.map_err(|error| CommandRefusal {
            code: error.code(),
            reason: bailiwick_warden::chain(&error),
            hint: error.hint(),
        })?;
        // what is judged is what stands in the ledger
        match done.outcome() {
            Outcome::Command { ended, output, dropped_bytes, duration_ms, .. } => {
                Ok(CommandResult { ended, output, dropped_bytes, duration_ms })
            }
            Outcome::Model { .. }
            | Outcome::Agent { .. }
            | Outcome::Read { .. }
            | Outcome::Written { .. }
            | Outcome::Git { .. }
            | Outcome::PullRequest { .. }
            | Outcome::Done
            | Outcome::Failed { .. } => Err(CommandRefusal {
                code: "gate.no_command_outcome".to_owned(),
                reason: "the sandbox recorded no end of the command".to_owned(),
                hint: "report this as a defect of the sandbox tier".to_owned(),
            }),
        }
    }
}
