//! A workspace in memory, with what a sandbox does to it and snapshots of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_agent::{SnapshotError, Snapshots};
use bailiwick_model::action::{
    Act as _, Action, Command, FileRead, FileWrite, ReadMode, WriteMode,
};
use bailiwick_model::id::Oid;
use bailiwick_model::outcome::Ended;
use bailiwick_model::payload::Digest;
use bailiwick_sandbox::{
    CommandOutcome, Entry, Match, ReadOutcome, Sandbox, SandboxError, Tier, WriteOutcome,
};
use bailiwick_warden::Permit;
use serde::Deserialize;

pub(crate) type Files = BTreeMap<String, String>;

/// What a command does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behaviour {
    #[serde(default)]
    pub(crate) exit: i32,
    #[serde(default)]
    pub(crate) output: String,
    /// So often.
    #[serde(default)]
    pub(crate) repeat: usize,
    #[serde(default)]
    pub(crate) writes: Files,
    #[serde(default)]
    pub(crate) times_out: bool,
    #[serde(default)]
    pub(crate) hangs: bool,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryWorkspace {
    pub(crate) files: Arc<Mutex<Files>>,
    pub(crate) trees: Arc<Mutex<BTreeMap<Oid, Files>>>,
    pub(crate) commands: BTreeMap<String, Behaviour>,
    /// Every permit that came in, in words.
    pub(crate) effects: Mutex<Vec<String>>,
}

impl MemoryWorkspace {
    pub(crate) fn new(files: &Files, commands: &BTreeMap<String, Behaviour>) -> Self {
        Self {
            files: Arc::new(Mutex::new(files.clone())),
            commands: commands.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn files(&self) -> Files {
        self.files.lock().unwrap().clone()
    }

    pub(crate) fn effects(&self) -> Vec<String> {
        self.effects.lock().unwrap().clone()
    }

    fn note(&self, action: &Action) {
        self.effects.lock().unwrap().push(action.summary());
    }
}

/// The error of the real cage, by the name it has on its wire.
fn file_error(error: &str, path: &str, detail: &str) -> SandboxError {
    let value = serde_json::json!({"error": error, "path": path, "detail": detail});
    SandboxError::File(serde_json::from_value(value).unwrap())
}

fn command_outcome(ended: Ended, output: &str) -> CommandOutcome {
    let mut outcome = CommandOutcome {
        ended,
        limits_reached: vec![],
        stdout: Default::default(),
        stderr: Default::default(),
        duration_ms: 1,
        cpu_ms: None,
        peak_memory_bytes: None,
        applied: vec![],
        not_applied: vec![],
    };
    outcome.stdout.head = output.as_bytes().to_vec();
    outcome.stdout.total_bytes = output.len() as u64;
    outcome
}

fn text_of(payload: &bailiwick_model::payload::Payload) -> String {
    payload.text().unwrap()
}

#[async_trait]
impl Sandbox for MemoryWorkspace {
    fn tier(&self) -> Tier {
        Tier::Process
    }

    async fn read(&self, permit: Permit<FileRead>) -> Result<ReadOutcome, SandboxError> {
        let read = permit.action();
        self.note(&read.to_action());
        let files = self.files();
        let path = read.path.as_str();
        let below = |name: &str| {
            read.path.is_root() || name == path || name.starts_with(&format!("{path}/"))
        };
        Ok(match &read.mode {
            ReadMode::Lines { first, count } => {
                let file = files.get(path).ok_or_else(|| file_error("not_found", path, ""))?;
                let lines = file.lines().skip(*first as usize - 1).take(*count as usize);
                ReadOutcome::Text {
                    text: lines.map(|line| format!("{line}\n")).collect(),
                    total_lines: file.lines().count() as u64,
                    total_bytes: file.len() as u64,
                    file: Digest::of(file.as_bytes()),
                    cut: false,
                }
            }
            ReadMode::List { .. } => {
                let names = files.iter().filter(|(name, _)| below(name));
                let entry = |(name, file): (&String, &String)| Entry {
                    path: name.clone(),
                    kind: "file".into(),
                    bytes: file.len() as u64,
                };
                ReadOutcome::Entries { entries: names.map(entry).collect(), cut: false }
            }
            ReadMode::Search { pattern } => {
                let mut matches = Vec::new();
                for (name, file) in files.iter().filter(|(name, _)| below(name)) {
                    for (at, line) in
                        (1u64..).zip(file.lines()).filter(|(_, line)| line.contains(pattern))
                    {
                        matches.push(Match { path: name.clone(), line: at, text: line.into() });
                    }
                }
                ReadOutcome::Matches { matches, cut: false, files: files.len() as u64, skipped: 0 }
            }
        })
    }

    async fn write(&self, permit: Permit<FileWrite>) -> Result<WriteOutcome, SandboxError> {
        let write = permit.action();
        self.note(&write.to_action());
        let path = write.path.as_str();
        let mut files = self.files.lock().unwrap();
        let before = files.get(path).cloned();
        let content = match (&write.mode, &before) {
            (WriteMode::Whole { content }, _) => text_of(content),
            (WriteMode::Edit { .. }, None) => return Err(file_error("not_found", path, "")),
            (WriteMode::Edit { old, new }, Some(file)) => {
                let times = file.matches(&text_of(old)).count();
                if times != 1 {
                    return Err(file_error(
                        "conflict",
                        path,
                        &format!("the text occurs {times} times"),
                    ));
                }
                file.replace(&text_of(old), &text_of(new))
            }
        };
        let outcome = WriteOutcome {
            before: before.map(|file| Digest::of(file.as_bytes())),
            after: Digest::of(content.as_bytes()),
            bytes: content.len() as u64,
        };
        files.insert(path.to_owned(), content);
        Ok(outcome)
    }

    async fn run(&self, permit: Permit<Command>) -> Result<CommandOutcome, SandboxError> {
        let command = permit.action();
        self.note(&command.to_action());
        assert!(!command.network);
        let Some(behaviour) = self.commands.get(command.shell_text().unwrap()) else {
            return Ok(command_outcome(Ended::Exit { code: 127 }, "not found"));
        };
        self.files.lock().unwrap().extend(behaviour.writes.clone());
        if behaviour.hangs {
            std::future::pending::<()>().await;
        }
        let ended = if behaviour.times_out {
            Ended::Limit { limit: "wall_clock".into() }
        } else {
            Ended::Exit { code: behaviour.exit }
        };
        Ok(command_outcome(ended, &behaviour.output.repeat(behaviour.repeat.max(1))))
    }
}

/// Snapshots of the same files.
#[derive(Debug)]
pub(crate) struct MemorySnapshots {
    pub(crate) files: Arc<Mutex<Files>>,
    pub(crate) trees: Arc<Mutex<BTreeMap<Oid, Files>>>,
    pub(crate) restored: Mutex<Vec<Oid>>,
    pub(crate) broken: bool,
}

impl MemorySnapshots {
    pub(crate) fn of(workspace: &MemoryWorkspace) -> Self {
        Self {
            files: Arc::clone(&workspace.files),
            trees: Arc::clone(&workspace.trees),
            restored: Mutex::default(),
            broken: false,
        }
    }
}

pub(crate) fn tree_of(files: &Files) -> Oid {
    let digest = Digest::of(serde_json::to_string(files).unwrap().as_bytes()).to_string();
    Oid::parse(&digest).unwrap()
}

#[async_trait]
impl Snapshots for MemorySnapshots {
    async fn snapshot(&self) -> Result<Oid, SnapshotError> {
        if self.broken {
            return Err(SnapshotError { message: "no space left".into(), source: None });
        }
        let files = self.files.lock().unwrap().clone();
        let tree = tree_of(&files);
        self.trees.lock().unwrap().insert(tree.clone(), files);
        Ok(tree)
    }

    async fn restore(&self, tree: &Oid) -> Result<(), SnapshotError> {
        self.restored.lock().unwrap().push(tree.clone());
        let files = self.trees.lock().unwrap().get(tree).cloned();
        *self.files.lock().unwrap() = files.ok_or_else(|| SnapshotError {
            message: format!("there is no tree `{tree}`"),
            source: None,
        })?;
        Ok(())
    }
}
