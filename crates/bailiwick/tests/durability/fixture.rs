//! Two tiny repositories, what the model does with them, and a place to run the program on them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use bailiwick_ledger::{LedgerDir, LogKey};
use bailiwick_model::event::Entry;
use bailiwick_store::{Query, Store, StoreConfig, StoreError};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::model_server::{Answers, Asked, ModelServer};

/// The name of the repository on the forge.
pub(crate) const REPO: &str = "greeter";

/// Many times what a run takes on a busy machine.
const HANGS: Duration = Duration::from_secs(180);

/// What is asked for, and how a model goes about it.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    pub(crate) answers: Answers,
    /// How many pull requests it comes to.
    pub(crate) pulls: usize,
    pub(crate) task: &'static str,
    /// What the model's writes leave in the implementors' checkouts: subtask, file, text.
    pub(crate) writes: &'static [(&'static str, &'static str, &'static str)],
    /// What the first implementor reads, each file once and nobody else before.
    pub(crate) reads: &'static [&'static str],
}

/// One subtask with an action of every kind.
pub(crate) const PLAIN: Story = Story {
    answers: plain,
    pulls: 1,
    task: "Say hello properly.",
    writes: &[("first", "greet.sh", "hello"), ("first", "bye.sh", "bye() {")],
    reads: &["notes.txt", "test.sh"],
};

/// Three subtasks: one whose first attempt the verifier refuses, one stacked on it, and one beside
/// them whose base moves under it.
pub(crate) const WIDE: Story = Story {
    answers: wide,
    pulls: 3,
    task: "Say hello properly, and more.",
    writes: &[
        ("first", "greet.sh", "hello"),
        ("first", "bye.sh", "bye() {"),
        ("second", "second.txt", "second"),
        ("third", "third.txt", "third"),
        ("third", "greet.sh", "hello"),
    ],
    reads: &[],
};

const FILES: [(&str, &str); 5] = [
    (".bailiwick/gates.toml", "[tests]\ncommand = \"sh test.sh\"\n"),
    (".gitignore", "ran\n"),
    ("greet.sh", "greet() { echo helo; }\n"),
    ("notes.txt", "how to greet\n"),
    // Each run leaves a line behind, for who looks from outside.
    (
        "test.sh",
        "{ echo test >> ran; } 2>&- || echo test >> \"${CARGO_TARGET_DIR%/*}/ran\"\n. ./greet.sh\ntest \"$(greet)\" = hello\n",
    ),
];

fn subtask(key: &str, depends_on: &[&str], paths: &[&str]) -> Value {
    json!({
        "key": key,
        "title": format!("Greet: {key}"),
        "description": format!("The part mark-of-{key}."),
        "depends_on": depends_on,
        "scope": {"paths": paths},
        "acceptance": [{"name": "it is there", "command": "echo check >> ran; test -e greet.sh"}],
    })
}

fn plain(asked: &Asked) -> Vec<(&'static str, Value)> {
    match (asked.role, asked.step) {
        ("coordinator", 1) => vec![("read", json!({"path": "greet.sh"}))],
        ("coordinator", _) => {
            let parts = [subtask("first", &[], &["greet.sh", "bye.sh", "more.txt", "ran"])];
            vec![("submit_plan", json!({"summary": "One part.", "subtasks": parts}))]
        }
        ("implementor", 1) => vec![
            ("read", json!({"path": "notes.txt"})),
            ("read", json!({"path": "test.sh"})),
            ("edit", json!({"path": "greet.sh", "old": "helo", "new": "hello"})),
            ("run", json!({"command": "sh test.sh"})),
            // Refused, being outside the subtask's scope.
            ("write", json!({"path": "refused.txt", "content": "no\n"})),
        ],
        ("implementor", 2) => vec![
            ("write", json!({"path": "bye.sh", "content": "bye() { echo bye; }\n"})),
            ("run", json!({"command": "echo more > more.txt; echo tool >> ran"})),
        ],
        ("implementor", _) => vec![("finish", json!({"summary": "It says hello now."}))],
        ("verifier", 1) => {
            vec![("read", json!({"path": "bye.sh"})), ("run", json!({"command": "sh test.sh"}))]
        }
        ("verifier", _) => vec![("submit_verdict", accepted())],
        _ => vec![("submit_review", json!({"summary": "Fine.", "findings": []}))],
    }
}

fn accepted() -> Value {
    json!({"verdict": "accepted", "summary": "It does what was asked.", "findings": []})
}

fn wide(asked: &Asked) -> Vec<(&'static str, Value)> {
    let part = asked.subtask.as_deref().unwrap_or_default();
    let mending = asked.text.contains("bye-is-missing");
    match (asked.role, part, asked.step) {
        ("coordinator", ..) => {
            let parts = [
                subtask("first", &[], &["greet.sh", "bye.sh"]),
                subtask("second", &["first"], &["second.txt"]),
                subtask("third", &[], &["third.txt", "greet.sh"]),
            ];
            vec![("submit_plan", json!({"summary": "Three parts.", "subtasks": parts}))]
        }
        ("implementor", "first", 1) if mending => {
            vec![("write", json!({"path": "bye.sh", "content": "bye() { echo bye; }\n"}))]
        }
        ("implementor", "third", 1) => vec![
            ("write", json!({"path": "third.txt", "content": "third\n"})),
            ("edit", json!({"path": "greet.sh", "old": "helo", "new": "hello"})),
        ],
        ("implementor", "second", 1) => {
            vec![("write", json!({"path": "second.txt", "content": "second\n"}))]
        }
        ("implementor", _, 1) => {
            vec![("edit", json!({"path": "greet.sh", "old": "helo", "new": "hello"}))]
        }
        ("implementor", ..) => vec![("finish", json!({"summary": "It is done."}))],
        ("verifier", "first", _) if !asked.text.contains("bye() {") => {
            let finding = json!({"message": "bye-is-missing", "level": "error"});
            let summary = "It does not say bye.";
            let refused = json!({"verdict": "refused", "summary": summary, "findings": [finding]});
            vec![("submit_verdict", refused)]
        }
        ("verifier", ..) => vec![("submit_verdict", accepted())],
        _ => vec![("submit_review", json!({"summary": "Fine.", "findings": []}))],
    }
}

/// A repository, a data directory, a model, and the processes that were started on them.
pub(crate) struct Case {
    pub(crate) root: TempDir,
    pub(crate) data: PathBuf,
    pub(crate) model: ModelServer,
    pub(crate) story: Story,
    pids: Mutex<BTreeSet<u32>>,
}

impl Case {
    pub(crate) fn new(story: Story) -> Self {
        let root = folder();
        let data = root.path().join("data");
        Self::at(story, root, data)
    }

    pub(crate) fn at(story: Story, root: TempDir, data: PathBuf) -> Self {
        let model = ModelServer::start(story.answers);
        make_repository(&root.path().join(REPO));
        fs::create_dir(root.path().join("tmp")).unwrap();
        let config = format!(
            "[[provider]]\nname = \"loopback\"\nkind = \"openai\"\nbase_url = \"{}\"\nprice = \"free\"\n[task]\nmodel = \"tiny\"\n",
            model.url()
        );
        fs::write(root.path().join("bailiwick.toml"), config).unwrap();
        Self { root, data, model, story, pids: Mutex::default() }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// The bare repository on the forge.
    pub(crate) fn forge_git(&self) -> PathBuf {
        self.data.join("forge").join(format!("{REPO}.git"))
    }

    fn command(&self, arguments: &[&str], faults: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command
            .arg("--config")
            .arg(self.path("bailiwick.toml"))
            .arg("--data")
            .arg(&self.data)
            .arg("--json")
            .args(["--as", "requester"])
            .args(arguments)
            .current_dir(self.root.path())
            .env("BAILIWICK_FAULTS", faults)
            .env("TMPDIR", self.path("tmp"))
            .env_remove("BAILIWICK_DATA")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, arguments: &[&str], faults: &str) -> Child {
        let child = self.command(arguments, faults).spawn().unwrap();
        self.pids.lock().unwrap().insert(child.id());
        child
    }

    pub(crate) fn call(&self, arguments: &[&str], faults: &str) -> Output {
        ended(self.start(arguments, faults))
    }

    /// The command line that gives the task.
    pub(crate) fn run_arguments(&self) -> Vec<&'static str> {
        vec!["run", self.story.task, "--repo", REPO, "--yes"]
    }

    pub(crate) fn run(&self, faults: &str) -> Output {
        self.call(&self.run_arguments(), faults)
    }

    /// The same with other programs in front of the usual ones.
    pub(crate) fn run_with_path(&self, first: &Path) -> Output {
        let usual = std::env::var_os("PATH").unwrap();
        let paths = std::iter::once(first.to_owned()).chain(std::env::split_paths(&usual));
        let path = std::env::join_paths(paths).unwrap();
        let child = self.command(&self.run_arguments(), "").env("PATH", path).spawn().unwrap();
        self.pids.lock().unwrap().insert(child.id());
        ended(child)
    }

    /// Every entry that is recorded, as the next process finds it.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let key = self.data.join("keys/ledger.key");
        if !key.is_file() {
            return Vec::new();
        }
        let config = || StoreConfig {
            dir: self.data.join("store"),
            ledger_dir: self.data.join("ledger"),
            open_ledger: {
                let key = key.clone();
                Box::new(move |path| Ok(LedgerDir::open(path, LogKey::load(&key)?)?))
            },
        };
        let store = loop {
            match Store::open(config()) {
                // A child of another thread has the lock's descriptor until it executes.
                Err(StoreError::InUse { pid, .. }) if pid == Some(std::process::id()) => {
                    std::thread::yield_now();
                }
                store => break store.unwrap(),
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.entries(Query::default())).unwrap()
    }

    /// The process ids of everything that was started here.
    pub(crate) fn pids(&self) -> BTreeSet<u32> {
        self.pids.lock().unwrap().clone()
    }
}

/// A folder of its own, in memory where there is such a place: what is looked at is kill -9, which
/// no file system forgets anything at.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Waits for a process; one that hangs is killed, which fails the case that it belongs to.
fn ended(child: Child) -> Output {
    let pid = child.id().to_string();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                drop(Command::new("kill").args(["-9", &pid]).status());
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(done);
        output
    })
}

/// What a process said, for who reads a failed test.
pub(crate) fn told(output: &Output) -> String {
    format!(
        "{:?}\n--- standard output\n{}\n--- standard error\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The object that a process printed.
pub(crate) fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", told(output)))
}

fn make_repository(at: &Path) {
    for (path, text) in FILES {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(at, &["init", "--quiet", "--initial-branch=main"]);
    git(at, &["add", "--all"]);
    git(at, &["commit", "--quiet", "--message=Greet"]);
}

/// Runs git; gives what it printed.
pub(crate) fn git(at: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Greeter", "-c", "user.email=greeter@example.invalid"])
        .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
        .args(["-c", "safe.directory=*", "-c", "gc.auto=0"])
        .args(arguments)
        .current_dir(at)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}
