//! The gates' way to commands, watched for a failing ledger. A gate takes a command that was not
//! run for something it can't judge; when the ledger is the reason, nothing may go on at all.

pub(crate) mod bench;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bailiwick_gates::{CommandRefusal, CommandResult, CommandRunner};
use bailiwick_model::action::Command;

use crate::error::EngineError;

/// Whether the ledger failed while gates ran. Clones watch together.
#[derive(Debug, Clone, Default)]
pub(crate) struct LedgerWatch {
    failure: Arc<OnceLock<CommandRefusal>>,
}

impl LedgerWatch {
    /// Lets `runner` run nothing more once the ledger failed.
    pub(crate) fn over<R: CommandRunner>(&self, runner: R) -> Watched<R> {
        Watched { runner, watch: self.clone() }
    }

    /// Remembers a refusal whose reason is the ledger.
    pub(crate) fn note(&self, refusal: &CommandRefusal) {
        if refusal.code.starts_with("ledger.") {
            self.failure.get_or_init(|| refusal.clone());
        }
    }

    /// The failure, if there was one.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        match self.failure.get() {
            Some(failure) => Err(EngineError::Ledger { message: failure.reason.clone() }),
            None => Ok(()),
        }
    }
}

/// A runner that stops at the first failure of the ledger.
pub(crate) struct Watched<R> {
    runner: R,
    watch: LedgerWatch,
}

#[async_trait]
impl<R: CommandRunner> CommandRunner for Watched<R> {
    async fn run(&self, command: Command) -> Result<CommandResult, CommandRefusal> {
        if let Some(failure) = self.watch.failure.get() {
            return Err(failure.clone());
        }
        let done = self.runner.run(command).await;
        if let Err(refusal) = &done {
            self.watch.note(refusal);
        }
        done
    }
}
