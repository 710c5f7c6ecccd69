//! A clean checkout that gates run commands on.

use crate::tests_gate::detect::ProjectFiles;
use async_trait::async_trait;
use bailiwick_model::action::{Command, Purpose};
use bailiwick_model::evidence::{Evidence, TestCounts};
use bailiwick_model::id::Oid;
use bailiwick_model::outcome::Ended;
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::Payload;
use std::collections::BTreeMap;
use std::sync::Arc;

mod warden_runner;

pub use warden_runner::WardenRunner;

/// How a command ended, and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// How it ended.
    pub ended: Ended,
    /// Standard output and error, as far as they were kept.
    pub output: Payload,
    /// How many bytes of it were not kept.
    pub dropped_bytes: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What a command's end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Exit code 0.
    Succeeded,
    /// It ran and said no.
    Failed { code: i32 },
    /// It did not really run, so its end says nothing about the change.
    Nothing { reason: String },
}

impl CommandResult {
    /// The output as text, lossily decoded.
    pub fn text(&self) -> String {
        self.output.text().unwrap_or_default()
    }

    pub(crate) fn meaning(&self) -> Meaning {
        let nothing = |reason: String| Meaning::Nothing { reason };
        match &self.ended {
            Ended::Exit { code: 0 } => Meaning::Succeeded,
            // what the shell says of a command that it cannot start (POSIX, 2.8.2)
            Ended::Exit { code: 127 } => nothing("the command was not found".to_owned()),
            Ended::Exit { code: 126 } => nothing("the command cannot be executed".to_owned()),
            // and of one that was killed: 128 and the signal
            Ended::Exit { code: code @ (137 | 143) } => {
                nothing(format!("the command was killed (signal {})", code - 128))
            }
            Ended::Exit { code } => Meaning::Failed { code: *code },
            Ended::Signal { signal } => {
                nothing(format!("the command was killed (signal {signal})"))
            }
            Ended::Limit { limit } => {
                nothing(format!("the command was stopped at its limit `{limit}`"))
            }
        }
    }
}

/// Ends a report in what a command printed.
const END: &str = "--- bailiwick: end of report ---";
/// Stands in place of a report that is not there.
const NONE: &str = "--- bailiwick: no report ---";

/// A command that was to make a report.
#[derive(Debug, Clone)]
pub(crate) struct Reported {
    /// How it ended.
    pub(crate) result: CommandResult,
    /// The report, or why there is none.
    pub(crate) report: Result<String, String>,
}

/// A word that the shell takes as it is.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A command that was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not run ({code}): {reason}; {hint}")]
pub struct CommandRefusal {
    /// A stable code, such as `policy.denied`.
    pub code: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// Runs commands on one checkout. Outside of tests every implementation ends at [`WardenRunner`].
#[async_trait]
pub trait CommandRunner: Send + Sync {
    /// Runs one command to its end.
    async fn run(&self, command: Command) -> Result<CommandResult, CommandRefusal>;
}

/// A clean checkout of one commit in a sandbox of its own.
#[derive(Clone)]
pub struct Checkout {
    commit: Oid,
    files: Arc<ProjectFiles>,
    runner: Arc<dyn CommandRunner>,
}

impl std::fmt::Debug for Checkout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkout").field("commit", &self.commit).finish_non_exhaustive()
    }
}

impl Checkout {
    /// A checkout of `commit`, whose files are `files`, on which `runner` runs.
    pub fn new(commit: Oid, files: ProjectFiles, runner: Arc<dyn CommandRunner>) -> Self {
        Self { commit, files: Arc::new(files), runner }
    }

    /// The commit.
    pub fn commit(&self) -> &Oid {
        &self.commit
    }

    /// The files, as far as detection looks at them.
    pub fn files(&self) -> &ProjectFiles {
        &self.files
    }

    /// Runs a command line by `/bin/sh -c` without the network, with output meant for a file.
    pub async fn run(
        &self,
        command: &str,
        directory: &WorkPath,
        timeout_ms: u64,
    ) -> Result<CommandResult, CommandRefusal> {
        let env = [
            ("CARGO_NET_OFFLINE", "true"),
            ("CARGO_TERM_COLOR", "never"),
            ("CI", "true"),
            ("NO_COLOR", "1"),
        ];
        self.runner
            .run(Command {
                argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()],
                cwd: directory.clone(),
                env: BTreeMap::from(env.map(|(name, value)| (name.to_owned(), value.to_owned()))),
                purpose: Purpose::Gate,
                network: false,
                timeout_ms,
            })
            .await
    }

    /// Runs a command that makes a report: in a file, or on standard output where none is named.
    ///
    /// A report that lies there already (a change can bring one along) goes first, and what the
    /// command prints beside a report in a file is kept apart from it.
    pub(crate) async fn run_for_report(
        &self,
        command: &str,
        directory: &WorkPath,
        report: Option<&WorkPath>,
        timeout_ms: u64,
    ) -> Result<Reported, CommandRefusal> {
        let text = match report {
            // the command may end the shell it runs in, and may end with a comment
            None => format!("( {command}\n)\ncode=$?\nprintf '\\n%s\\n' '{END}'\nexit $code"),
            Some(file) => {
                let file = quoted(file.as_str());
                format!(
                    "rm -rf -- {file}\n( {command}\n) 1>&2\ncode=$?\nif [ -f {file} ]; then cat -- {file}; \
                     else printf '%s\\n' '{NONE}'; fi\nprintf '\\n%s\\n' '{END}'\nexit $code"
                )
            }
        };
        let result = self.run(&text, directory, timeout_ms).await?;
        let output = result.text();
        let report = if result.dropped_bytes > 0 {
            Err(format!(
                "the report has more than the {} bytes that are read",
                crate::workbench::Keeps::REPORT_BYTES
            ))
        } else {
            match output.split_once(&format!("\n{END}\n")) {
                Some((report, _)) if report.trim() == NONE => {
                    Err("the command wrote no report".to_owned())
                }
                Some((report, _)) => Ok(report.to_owned()),
                None => Err("the command did not come to its end".to_owned()),
            }
        };
        Ok(Reported { result, report })
    }

    /// The record of a run on this checkout.
    pub fn evidence(
        &self,
        name: &str,
        command: &str,
        result: &CommandResult,
        counts: Option<TestCounts>,
    ) -> Evidence {
        Evidence {
            name: name.to_owned(),
            command: command.to_owned(),
            commit: self.commit.clone(),
            exit_code: result.ended.code(),
            duration_ms: result.duration_ms,
            counts,
            log: result.output.clone(),
        }
    }
}
