//! The command line of approvals, freezes and emergencies.

use bailiwick_model::freeze::Frozen;
use bailiwick_model::id::{ApprovalId, EmergencyId, FreezeId, Person, RepoName};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalVerb {
    /// Lists the requests that wait for an answer.
    List {
        /// Those that are closed as well.
        #[arg(long)]
        all: bool,
    },
    /// Shows what is asked, whole, and what a grant would allow.
    Show {
        /// The request.
        approval: ApprovalId,
    },
    /// Approves it: exactly what is shown, one time unless said otherwise.
    Grant {
        #[command(flatten)]
        word: Word,
        /// As often as the task does exactly this, until the approval expires.
        #[arg(long)]
        repeated: bool,
    },
    /// Refuses it. One refusal is enough.
    Deny(Word),
    /// Lets somebody else answer in your place for a time.
    Delegate {
        /// Who answers instead.
        to: Person,
        /// For how many days.
        #[arg(long, default_value_t = 7)]
        days: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Word {
    /// The request.
    pub(crate) approval: ApprovalId,
    /// The digest of what you looked at (default: that of what is asked now, which is then shown).
    #[arg(long)]
    pub(crate) digest: Option<String>,
    /// What to say.
    #[arg(long, short, default_value = "")]
    pub(crate) message: String,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Why. It is recorded.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FreezeVerb {
    /// Lists what is frozen.
    List,
    /// No agent starts.
    Dispatch(Why),
    /// No branch moves and no pull request is opened.
    Push(Why),
    /// Nothing is merged.
    Merge(Why),
    /// A model is not asked.
    Model {
        /// The model.
        model: String,
        #[command(flatten)]
        why: Why,
    },
    /// A tool of agents is not used.
    Tool {
        /// The tool, such as `run`.
        tool: String,
        #[command(flatten)]
        why: Why,
    },
    /// Nothing is done to a repository.
    Repo {
        /// The repository.
        repo: RepoName,
        #[command(flatten)]
        why: Why,
    },
    /// Nothing is done at all.
    All(Why),
}

impl FreezeVerb {
    /// What is frozen and why; nothing for a list.
    pub(crate) fn order(self) -> Option<(Frozen, String)> {
        Some(match self {
            Self::List => return None,
            Self::Dispatch(why) => (Frozen::Dispatch, why.reason),
            Self::Push(why) => (Frozen::Push, why.reason),
            Self::Merge(why) => (Frozen::Merge, why.reason),
            Self::Model { model, why } => (Frozen::Model { model }, why.reason),
            Self::Tool { tool, why } => (Frozen::Tool { tool }, why.reason),
            Self::Repo { repo, why } => (Frozen::Repo { repo }, why.reason),
            Self::All(why) => (Frozen::All, why.reason),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ThawArguments {
    /// The freeze.
    pub(crate) freeze: FreezeId,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakGlassVerb {
    /// Lists emergencies.
    List,
    /// Declares an emergency: gates stand open for what is done on your behalf in a repository,
    /// once a second person has confirmed it.
    Declare {
        /// Its name, such as `payments-down`.
        name: String,
        /// The repository.
        #[arg(long)]
        repo: RepoName,
        /// How many minutes it lasts once it is confirmed, at most 240.
        #[arg(long, default_value_t = 60)]
        minutes: u32,
        #[command(flatten)]
        why: Why,
    },
    /// Confirms an emergency that somebody else declared.
    Confirm {
        /// The emergency.
        emergency: EmergencyId,
    },
    /// Ends an emergency before its time.
    End {
        /// The emergency.
        emergency: EmergencyId,
    },
}
