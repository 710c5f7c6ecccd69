//! The kinds of agents, and the one trait that they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::event::{Entry, SessionEnd};
use bailiwick_model::task::BUILTIN_AGENT;
use bailiwick_sandbox::Mount;
use serde::Serialize;

use crate::run::{Deps, RunError, run};
use crate::session::Session;

/// What there is to say of a kind of agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentInfo {
    /// The kind, as it is named on the command line and in policies.
    pub kind: String,
    /// What it is, for people.
    pub title: String,
    /// Its version.
    pub version: String,
    /// The version that this release of the platform was tested with.
    pub tested_version: String,
    /// Where it runs: `control plane` or `sandbox`.
    pub runs_in: &'static str,
    /// The protocol that it speaks to its model.
    pub protocol: &'static str,
    /// The roles that it can have.
    pub roles: Vec<&'static str>,
    /// What the platform can do with it.
    pub can: Vec<&'static str>,
    /// What the platform can't do with it.
    pub cannot: Vec<&'static str>,
}

/// A kind of agent.
#[async_trait]
pub trait Agent: Send + Sync {
    /// What there is to say of it.
    fn info(&self) -> AgentInfo;

    /// Whether it is a program that runs inside the cage.
    fn is_program(&self) -> bool {
        false
    }

    /// What its cage needs to see of the host, read-only.
    fn mounts(&self) -> Vec<Mount> {
        Vec::new()
    }

    /// Runs a session to its end, or takes it up again; see [`run`](crate::run()).
    ///
    /// # Errors
    /// See [`RunError`]: the session has no recorded end then.
    async fn run(
        &self,
        deps: &Deps,
        session: &Session,
        history: &[Entry],
    ) -> Result<SessionEnd, RunError>;
}

/// The built-in loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuiltIn;

#[async_trait]
impl Agent for BuiltIn {
    fn info(&self) -> AgentInfo {
        AgentInfo {
            kind: BUILTIN_AGENT.to_owned(),
            title: "the built-in loop".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tested_version: env!("CARGO_PKG_VERSION").to_owned(),
            runs_in: "control plane",
            protocol: "neutral",
            roles: vec!["coordinator", "implementor", "verifier", "reviewer"],
            can: vec![
                "every tool call is decided by policy before it is done",
                "approvals in the middle of a run",
                "a run that was cut off goes on where it was",
                "each hunk is led back to its step",
            ],
            cannot: Vec::new(),
        }
    }

    async fn run(
        &self,
        deps: &Deps,
        session: &Session,
        history: &[Entry],
    ) -> Result<SessionEnd, RunError> {
        run(deps, session, history).await
    }
}

/// The kinds that are to be had.
#[derive(Clone)]
pub struct Agents(BTreeMap<String, Arc<dyn Agent>>);

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Agents").field(&self.names()).finish()
    }
}

impl Default for Agents {
    fn default() -> Self {
        Self(BTreeMap::new()).with(Arc::new(BuiltIn))
    }
}

impl Agents {
    /// The same with one more kind, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, agent: Arc<dyn Agent>) -> Self {
        self.0.insert(agent.info().kind, agent);
        self
    }

    /// The kind of this name.
    pub fn get(&self, kind: &str) -> Option<Arc<dyn Agent>> {
        self.0.get(kind).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Agent>> {
        self.0.values()
    }

    /// Their names, for people.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.join(", ")
    }
}
