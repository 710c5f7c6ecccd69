//! Agents that are programs of others: run headless and wholly inside the session's cage, with the
//! door as their only way out.
//!
//! What such a program says of itself (its steps, its success) is recorded and not believed: the
//! session is judged by what is in the workspace when every process of it has ended. Its files and
//! commands are not asked one by one; the cage bounds them. Its model calls are actions like any
//! other, since they go through the gateway.
//!
//! An adapter knows one program: where its files lie, how it is started and configured, and how to
//! read what it prints. It does no input or output while the program runs.

mod claude_code;
mod codex;
mod opencode;
mod package;
mod qwen_code;
mod run;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_gateway::Gateway;
use bailiwick_gateway::inbound::Protocol;
use bailiwick_model::action::AgentProgram;
use bailiwick_model::chat::Block;
use bailiwick_model::event::{Entry, SessionEnd};
use bailiwick_sandbox::{Access, Mount};

pub use claude_code::ClaudeCode;
pub use codex::Codex;
pub use opencode::OpenCode;
pub use qwen_code::QwenCode;

use crate::agents::{Agent, AgentInfo};
use crate::run::{Deps, RunError};
use crate::session::Session;

/// Where programs are mounted inside.
const AGENTS: &str = "/agents";
/// The variable that programs take their key from which can be told of one.
const TOKEN_VARIABLE: &str = "BAILIWICK_DOOR_TOKEN";

/// Where a program was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The directory that is mounted.
    pub directory: PathBuf,
    /// The program in it.
    pub file: String,
    /// Its version, as its package says.
    pub version: String,
}

/// What a program is started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The program, inside.
    pub program: String,
    /// What was mounted, inside.
    pub home: String,
    /// Its version.
    pub version: String,
    /// The model that the session uses. The program may wish for another; it gets this one.
    pub model: String,
    /// What it shows the door for a key.
    pub token: String,
    /// The port of the door.
    pub door: u16,
    /// The most turns.
    pub max_turns: u32,
    /// The most tokens of a reply, where the program can be told.
    pub max_output_tokens: u32,
    /// The most wall-clock time, in milliseconds.
    pub timeout_ms: u64,
}

impl Assignment {
    /// The program as it is started.
    fn command<'a, const N: usize>(
        &self,
        argv: impl IntoIterator<Item = &'a str>,
        env: [(&str, String); N],
    ) -> AgentProgram {
        AgentProgram {
            version: self.version.clone(),
            argv: argv.into_iter().map(str::to_owned).collect(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            door: self.door,
            timeout_ms: self.timeout_ms,
        }
    }
}

/// What a program said it did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Its steps, as far as they can be read.
    pub steps: Vec<ReportedStep>,
    /// Its last words.
    pub summary: String,
    /// How many lines could not be read.
    pub unread: u32,
}

/// One step: what the model said, and what the tools answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportedStep {
    /// The model's reply.
    pub reply: Vec<Block>,
    /// The answers of tools: the call's id, the tool, the text, and whether it is an error.
    pub results: Vec<(String, String, String, bool)>,
}

/// What an adapter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The kind.
    pub kind: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The version that this release was tested with.
    pub tested_version: &'static str,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The npm package that it comes in.
    pub package: &'static str,
    /// Whether it is a script for Node.js, which is installed beside it then.
    pub needs_node: bool,
}

impl About {
    /// How it is installed.
    #[must_use]
    pub fn install_hint(&self) -> String {
        let node = match self.needs_node {
            true => format!(" {}@{}", package::node_package(), package::NODE_VERSION),
            false => String::new(),
        };
        format!(
            "npm install --prefix DIR {}@{}{node}, then `[[agent]]` with `kind = \"{}\"` and `path = \"DIR\"`",
            self.package, self.tested_version, self.kind
        )
    }
}

/// What is known of one program.
pub trait Adapter: Send + Sync {
    /// What it is for.
    fn about(&self) -> &'static About;

    /// Looks for it below a directory that an operator named.
    ///
    /// # Errors
    /// Fails when it is not there.
    fn locate(&self, directory: &Path) -> Result<Located, ProgramError>;

    /// How it is started. Its instructions are its standard input.
    fn start(&self, assignment: &Assignment) -> AgentProgram;

    /// Reads what it printed. It may be anything, and of any size up to what is kept.
    fn read(&self, stdout: &[u8]) -> Report;
}

/// A program that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// No adapter for the kind.
    #[error("`{kind}` is no kind of agent; there are: {known}")]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// What there is.
        known: String,
    },
    /// It is not where it should be.
    #[error("agent `{kind}`: there is no `{}`", path.display())]
    Missing {
        /// The kind.
        kind: &'static str,
        /// What is missing.
        path: PathBuf,
        /// How to get it.
        install: String,
    },
    /// Its package does not say its version.
    #[error("agent `{kind}`: `{}` does not say a version", path.display())]
    NoVersion {
        /// The kind.
        kind: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It is another version than the configuration names.
    #[error("agent `{kind}`: version {found} is installed, and the configuration wants {wanted}")]
    WrongVersion {
        /// The kind.
        kind: &'static str,
        /// What is installed.
        found: String,
        /// What should be.
        wanted: String,
    },
}

impl ProgramError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownKind { .. } => "correct `kind` of `[[agent]]`".to_owned(),
            Self::Missing { install, .. } => install.clone(),
            Self::NoVersion { .. } => "install it again from its package".to_owned(),
            Self::WrongVersion { .. } => {
                "install that version, or correct `version` of `[[agent]]`".to_owned()
            }
        }
    }
}

/// The adapters that there are.
fn adapters() -> Vec<Arc<dyn Adapter>> {
    vec![Arc::new(ClaudeCode), Arc::new(Codex), Arc::new(OpenCode), Arc::new(QwenCode)]
}

/// The kinds of programs that can be used once they are installed, each with how to install it.
pub fn program_kinds() -> Vec<(&'static str, &'static str, String)> {
    adapters()
        .into_iter()
        .map(|adapter| adapter.about())
        .map(|about| (about.kind, about.tested_version, about.install_hint()))
        .collect()
}

/// A program of a kind that is installed below `directory`, in this version when one is named.
///
/// # Errors
/// Fails when there is no such kind, or it is not installed there.
pub fn program(
    kind: &str,
    directory: &Path,
    version: Option<&str>,
    gateway: Arc<Gateway>,
) -> Result<Program, ProgramError> {
    let adapters = adapters();
    let known: Vec<&str> = adapters.iter().map(|adapter| adapter.about().kind).collect();
    let known = known.join(", ");
    let adapter = adapters
        .into_iter()
        .find(|adapter| adapter.about().kind == kind)
        .ok_or_else(|| ProgramError::UnknownKind { kind: kind.to_owned(), known })?;
    let located = adapter.locate(directory)?;
    if let Some(wanted) = version.filter(|wanted| *wanted != located.version) {
        return Err(ProgramError::WrongVersion {
            kind: adapter.about().kind,
            found: located.version,
            wanted: wanted.to_owned(),
        });
    }
    Ok(Program { adapter, located, gateway })
}

/// A kind of agent that is a program.
#[derive(Clone)]
pub struct Program {
    adapter: Arc<dyn Adapter>,
    located: Located,
    gateway: Arc<Gateway>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("located", &self.located).finish_non_exhaustive()
    }
}

impl Program {
    fn target(&self) -> String {
        format!("{AGENTS}/{}", self.adapter.about().kind)
    }
}

#[async_trait]
impl Agent for Program {
    fn info(&self) -> AgentInfo {
        let about = self.adapter.about();
        AgentInfo {
            kind: about.kind.to_owned(),
            title: about.title.to_owned(),
            version: self.located.version.clone(),
            tested_version: about.tested_version.to_owned(),
            runs_in: "sandbox",
            protocol: about.protocol.name(),
            roles: vec!["implementor"],
            can: vec![
                "every model call is decided, recorded and paid from the task's budget",
                "no way out of its cage but to its model",
                "stopped at any time with everything that it started",
            ],
            cannot: vec![
                "its commands and files are not decided one by one: the cage bounds them",
                "a run that was cut off begins anew",
                "hunks are led back to the run, not to its steps",
            ],
        }
    }

    fn is_program(&self) -> bool {
        true
    }

    fn mounts(&self) -> Vec<Mount> {
        vec![Mount {
            source: self.located.directory.clone(),
            target: self.target().into(),
            access: Access::ReadOnly,
        }]
    }

    async fn run(
        &self,
        deps: &Deps,
        session: &Session,
        history: &[Entry],
    ) -> Result<SessionEnd, RunError> {
        run::run(self, deps, session, history).await
    }
}

#[cfg(test)]
mod tests;
