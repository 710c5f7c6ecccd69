//! Layers: the organisation's policy, and what teams, repositories and sessions add to it.
//!
//! A lower layer can only narrow, and that by construction: an action is permitted when the
//! organisation permits it *and* no layer that applies forbids it *and* each layer that is an
//! allow-list for this kind of action lists it. Nothing that a lower layer says is ever a reason
//! to allow. Beyond that a lower layer with a `permit` that the organisation does not back is
//! refused when it is read, so that nobody believes in a right that does not exist.

use std::collections::BTreeSet;
use std::fmt;

use bailiwick_model::id::{RepoName, SessionId, TaskId};
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, Subject};

use crate::error::PolicyErrors;
use crate::load::{self, PolicySource};

/// Whose rules they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The organisation's: managed, signed; the only one that can give rights.
    Organisation,
    /// A team's, for the repositories it names.
    Team {
        /// The team.
        name: String,
        /// Its repositories.
        repositories: BTreeSet<RepoName>,
    },
    /// A repository's, from its protected branch.
    Repository(RepoName),
    /// One session's.
    Session(SessionId),
    /// One task's: what came with it, for every session and everything else that is done for it.
    Task(TaskId),
}

impl Layer {
    /// Whether it has a say in this decision.
    pub fn applies(&self, subject: &Subject, context: &Context) -> bool {
        match self {
            Self::Organisation => true,
            Self::Team { repositories, .. } => repositories.contains(&context.repo),
            Self::Repository(repo) => context.repo == *repo,
            Self::Session(session) => subject.session == Some(*session),
            Self::Task(task) => subject.task == Some(*task),
        }
    }

    /// The id under which the rest of the platform knows a rule of this layer. A policy's own id
    /// has no `/` and no `:`, so no layer can give a rule the name of another layer's.
    pub(crate) fn qualified(&self, id: &str) -> String {
        match self {
            Self::Organisation => id.to_owned(),
            Self::Team { name, .. } => format!("team:{name}/{id}"),
            Self::Repository(repo) => format!("repository:{repo}/{id}"),
            Self::Session(session) => format!("session:{session}/{id}"),
            Self::Task(task) => format!("task:{task}/{id}"),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation => f.write_str("organisation"),
            Self::Team { name, .. } => write!(f, "team {name}"),
            Self::Repository(repo) => write!(f, "repository {repo}"),
            Self::Session(session) => write!(f, "session {session}"),
            Self::Task(task) => write!(f, "task {task}"),
        }
    }
}

/// The sources of a lower layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSource {
    /// Whose they are.
    pub layer: Layer,
    /// Its files.
    pub sources: Vec<PolicySource>,
}

impl LayerSource {
    /// What a proof about this layer is bound to: the organisation's digest and every text of the
    /// layer, so that it is a proof of nothing else.
    pub fn digest(&self, organisation: &Digest) -> Digest {
        let layer = self.layer.to_string();
        let texts = self.sources.iter().flat_map(|one| [one.name.as_str(), &one.text]);
        Digest::of_parts(organisation.as_bytes(), std::iter::once(layer.as_str()).chain(texts))
    }
}

/// What a lower layer's `permit`s list, for whoever proves that the organisation gives it already.
pub fn rights(source: &LayerSource) -> Result<Vec<cedar_policy::Policy>, PolicyErrors> {
    let loaded = load::load(&source.layer, &source.sources)?;
    Ok(loaded
        .into_iter()
        .filter(|one| one.policy.effect() == cedar_policy::Effect::Permit)
        .map(|one| one.policy)
        .collect())
}

/// The lower layers that a solver proved to only narrow, by [`LayerSource::digest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proved {
    layers: BTreeSet<Digest>,
}

impl Proved {
    /// Nothing was proved: the propositional prover that is always there has to do.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Takes note that a solver proved this layer.
    pub fn add(&mut self, layer: Digest) {
        self.layers.insert(layer);
    }

    pub(crate) fn has(&self, layer: &Digest) -> bool {
        self.layers.contains(layer)
    }
}
