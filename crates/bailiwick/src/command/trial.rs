//! What is decided by policy and belongs to no task: what a person tries by hand, and what
//! `bailiwick gate run` does on a repository of its own. No data directory is open, so decisions and
//! outcomes are kept for as long as the command runs, and in no ledger.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use async_trait::async_trait;
use bailiwick_model::event::Event;
use bailiwick_model::id::{BranchName, RepoName, TaskId};
use bailiwick_model::subject::Context;
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::PolicySet;
use bailiwick_warden::{BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden};

use crate::terminal;

/// A warden that decides by this policy.
pub(crate) fn warden(policy: PolicySet) -> Warden {
    Warden::new(Arc::new(policy), Arc::new(Kept(Mutex::default())), Arc::new(NoBudget))
}

/// The circumstances of an action that belongs to no task.
pub(crate) fn circumstances() -> Result<Context> {
    let name = |error: bailiwick_model::id::IdError| anyhow::Error::from(error);
    Ok(Context {
        repo: RepoName::parse("trial").map_err(name)?,
        protected_branch: BranchName::parse("main").map_err(name)?,
        taint: BTreeSet::new(),
        scope: vec!["**".to_owned()],
        budget_left: MicroUsd(0),
        denials: 0,
        single_user: false,
        approvals: BTreeSet::new(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    })
}

/// A directory that is removed with everything in it.
#[derive(Debug)]
pub(crate) struct Trial(PathBuf);

impl Trial {
    /// What is there already.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            terminal::say(&format!("`{}` was not removed: {error}", self.0.display()));
        }
    }
}

/// Keeps what is decided for as long as the command runs.
struct Kept(Mutex<Vec<Event>>);

#[async_trait]
impl Journal for Kept {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.len() as u64;
        kept.extend(events);
        Ok(first)
    }
}

/// No task, so nothing to spend.
struct NoBudget;

impl BudgetBook for NoBudget {
    fn left(&self, _: TaskId) -> MicroUsd {
        MicroUsd(0)
    }

    fn reserve(&self, _: TaskId, asked: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Err(BudgetExceeded { asked, left: MicroUsd(0) })
    }

    fn settle(&self, _: Reservation, _: MicroUsd) {}
}
