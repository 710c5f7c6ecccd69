//! What can go wrong, for the person who asked.

use bailiwick_model::id::{IdError, RepoName, TaskId};
use bailiwick_model::outcome::EffectError;
use bailiwick_model::task::TaskTextError;
use bailiwick_model::verdict::Denial;
pub(crate) use bailiwick_warden::chain;
use bailiwick_warden::{ActError, JournalError};

/// Why the engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The task's text is not acceptable.
    #[error(transparent)]
    Task(#[from] TaskTextError),
    /// A name is not acceptable.
    #[error(transparent)]
    Name(#[from] IdError),
    /// There is no such task.
    #[error("there is no task `{id}`")]
    NoTask {
        /// What was asked for.
        id: TaskId,
    },
    /// There is no such repository.
    #[error("there is no repository `{repo}` on this forge")]
    NoRepository {
        /// What was asked for.
        repo: RepoName,
    },
    /// There is no such pull request.
    #[error("there is no pull request #{number} of repository `{repo}` that belongs to a task")]
    NoChange {
        /// The repository.
        repo: RepoName,
        /// The number.
        number: u64,
    },
    /// What was asked does not fit the state of things.
    #[error("{message}")]
    State {
        /// A stable code.
        code: &'static str,
        /// What does not fit.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// An action was refused, or it failed.
    #[error("{message}")]
    Action {
        /// A stable code.
        code: String,
        /// What happened.
        message: String,
        /// The rules that decided, when policy refused it.
        rules: Vec<String>,
        /// What to do next.
        hint: String,
    },
    /// The ledger failed. Nothing more is done until it is mended.
    #[error("{message}")]
    Ledger {
        /// What happened.
        message: String,
    },
    /// The store can't be read.
    #[error("the store can't be read: {message}")]
    Store {
        /// What happened.
        message: String,
    },
    /// The machine failed: a file, a process, a thread.
    #[error("{doing} failed: {message}")]
    Machine {
        /// What was being done.
        doing: &'static str,
        /// What happened.
        message: String,
    },
    /// People have to approve it first.
    #[error("{message}")]
    WaitsForApproval {
        /// What is waited for.
        message: String,
        /// How it is answered.
        hint: String,
    },
    /// It is frozen, and goes on once it is thawed.
    #[error("{message}")]
    Frozen {
        /// What is frozen, by whom and why.
        message: String,
    },
    /// The task was cancelled meanwhile.
    #[error("the task was cancelled")]
    Cancelled,
}

impl EngineError {
    /// A stable code.
    pub fn code(&self) -> String {
        match self {
            Self::Task(_) => "task.text".to_owned(),
            Self::Name(_) => "name.invalid".to_owned(),
            Self::NoTask { .. } => "task.unknown".to_owned(),
            Self::NoRepository { .. } => "repository.unknown".to_owned(),
            Self::NoChange { .. } => "pull_request.unknown".to_owned(),
            Self::State { code, .. } => (*code).to_owned(),
            Self::Action { code, .. } => code.clone(),
            Self::Ledger { .. } => "ledger.unwritable".to_owned(),
            Self::Store { .. } => "store.unreadable".to_owned(),
            Self::Machine { .. } => "machine.failed".to_owned(),
            Self::WaitsForApproval { .. } => "policy.needs_approval".to_owned(),
            Self::Frozen { .. } => "freeze.in_force".to_owned(),
            Self::Cancelled => "task.cancelled".to_owned(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Task(_) => "describe in up to 64 KiB of text what is to be done".to_owned(),
            Self::Name(_) => "correct the name and try again".to_owned(),
            Self::NoTask { .. } => "`bailiwick task list` shows the tasks there are".to_owned(),
            Self::NoRepository { .. } => {
                "`bailiwick run \"TASK\" --repo PATH` imports a repository from a path".to_owned()
            }
            Self::NoChange { .. } => "`bailiwick pr list` shows the pull requests there are".to_owned(),
            Self::State { hint, .. }
            | Self::Action { hint, .. }
            | Self::WaitsForApproval { hint, .. } => hint.clone(),
            Self::Frozen { .. } => "`bailiwick freeze list` shows what is frozen".to_owned(),
            Self::Ledger { .. } => {
                "make room on the disk of the data directory or mend its permissions, then start again: nothing is lost"
                    .to_owned()
            }
            Self::Store { .. } => "`bailiwick doctor` looks at the data directory".to_owned(),
            Self::Machine { .. } => {
                "`bailiwick doctor` shows what works on this machine; `bailiwick task retry` takes the task up again"
                    .to_owned()
            }
            Self::Cancelled => "`bailiwick task retry` takes it up again".to_owned(),
        }
    }

    /// Whether nothing more may be done in this process.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Ledger { .. } | Self::Store { .. } | Self::Cancelled)
    }

    /// What was refused before it was an action.
    pub fn refused(denial: Denial) -> Self {
        let Denial { code, rules, reason, hint } = denial;
        Self::Action { code, message: reason, rules, hint }
    }

    pub(crate) fn machine(doing: &'static str, error: &impl std::fmt::Display) -> Self {
        Self::Machine { doing, message: error.to_string() }
    }
}

impl<E: EffectError> From<ActError<E>> for EngineError {
    fn from(error: ActError<E>) -> Self {
        if error.is_ledger_failure() {
            return Self::Ledger { message: chain(&error) };
        }
        match &error {
            ActError::NeedsApproval { approval: Some(_), .. } => {
                return Self::WaitsForApproval { message: error.to_string(), hint: error.hint() };
            }
            ActError::Denied { denial, .. } if denial.code == "freeze.in_force" => {
                return Self::Frozen { message: denial.reason.clone() };
            }
            _ => {}
        }
        let rules = match &error {
            ActError::Denied { denial, .. } => denial.rules.clone(),
            ActError::NeedsApproval { rules, .. } => rules.clone(),
            ActError::Unrecordable(_) | ActError::OutcomeUnrecorded(_) | ActError::Effect(_) => {
                Vec::new()
            }
        };
        Self::Action { code: error.code(), message: chain(&error), rules, hint: error.hint() }
    }
}

impl From<JournalError> for EngineError {
    fn from(error: JournalError) -> Self {
        Self::Ledger { message: chain(&error) }
    }
}

impl From<bailiwick_forge::ForgeError> for EngineError {
    fn from(error: bailiwick_forge::ForgeError) -> Self {
        match error {
            bailiwick_forge::ForgeError::NoRepository { repo } => Self::NoRepository { repo },
            bailiwick_forge::ForgeError::NoPullRequest { repo, number } => {
                Self::NoChange { repo, number }
            }
            other => Self::Action {
                code: other.code(),
                message: chain(&other),
                rules: Vec::new(),
                hint: EffectError::hint(&other).unwrap_or_default(),
            },
        }
    }
}

impl From<bailiwick_store::StoreError> for EngineError {
    fn from(error: bailiwick_store::StoreError) -> Self {
        Self::Store { message: chain(&error) }
    }
}
