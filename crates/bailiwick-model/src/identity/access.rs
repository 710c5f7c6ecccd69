//! Who may do what in which repository of the embedded forge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{Person, RepoName};

/// What somebody may do in a repository, on the forge that has it. Each right includes those before.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RepoRight {
    /// Nothing: to them it is as if it were not there.
    #[default]
    Nothing,
    /// Looking at it, and at what is done in it.
    Read,
    /// Having it changed: giving tasks, pushing branches, reviewing, merging.
    Write,
}

impl RepoRight {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Read, Self::Write];

    /// The right's name as it stands in events and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The right of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == text)
    }

    /// What an action needs, of whoever it is done for, in the repositories that it is about.
    pub fn needed(action: &Action) -> Self {
        match action {
            Action::FileWrite(_)
            | Action::BranchPush(_)
            | Action::PullRequestOpen(_)
            | Action::ReviewSubmit(_)
            | Action::PullRequestMerge(_)
            | Action::TaskRaise(_) => Self::Write,
            // An import moves the protected branch.
            Action::RepoRead(read) if read.source.is_some() => Self::Write,
            Action::RepoRead(_)
            | Action::ModelCall(_)
            | Action::ToolCall(_)
            | Action::Command(_)
            | Action::FileRead(_)
            | Action::SecretUse(_)
            | Action::HostRequest(_)
            | Action::AgentStart(_) => Self::Read,
        }
    }
}

/// The repository that an action names itself, which need not be the one it is done in.
pub fn repo_of(action: &Action) -> Option<&RepoName> {
    match action {
        Action::RepoRead(read) => Some(&read.repo),
        Action::BranchPush(push) => Some(&push.repo),
        Action::PullRequestOpen(open) => Some(&open.repo),
        Action::ReviewSubmit(review) => Some(&review.repo),
        Action::PullRequestMerge(merge) => Some(&merge.repo),
        Action::ModelCall(_)
        | Action::ToolCall(_)
        | Action::Command(_)
        | Action::FileRead(_)
        | Action::FileWrite(_)
        | Action::SecretUse(_)
        | Action::HostRequest(_)
        | Action::TaskRaise(_)
        | Action::AgentStart(_) => None,
    }
}

/// Who may do what in one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepoAccess {
    /// Whoever has an account and is not named below.
    pub everybody: RepoRight,
    /// Those who have more, or less.
    #[serde(default)]
    pub people: BTreeMap<Person, RepoRight>,
}

impl RepoAccess {
    /// What somebody with an account may do.
    pub fn of(&self, person: &Person) -> RepoRight {
        self.people.get(person).copied().unwrap_or(self.everybody)
    }
}
