//! A directory of one test, and the real binary at work in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::Ledger;

/// The person in whose name commands run, unless `--as` says otherwise.
pub(crate) const PERSON: &str = "ada";

/// A directory of one test, with a data directory of its own.
#[derive(Debug)]
pub(crate) struct Workbench {
    dir: TempDir,
}

impl Workbench {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    /// A path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The bare repository of a name on the forge.
    pub(crate) fn bare(&self, repo: &str) -> PathBuf {
        self.data().join("forge").join(format!("{repo}.git"))
    }

    /// The binary with this bench's data directory, in the test's directory, as [`PERSON`], with
    /// nothing of the environment that could reach a model or a repository elsewhere.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.ends_with("_API_KEY")
                || name.starts_with("BAILIWICK_")
                || name.starts_with("GIT_")
            {
                command.env_remove(name.as_ref());
            }
        }
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .env("USER", PERSON)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn bailiwick(&self, arguments: &[&str]) -> Ran {
        Ran::of(arguments, self.command(arguments).output().unwrap())
    }

    /// The ledger's public key, as somebody would have kept it.
    pub(crate) fn key(&self) -> String {
        self.bailiwick(&["ledger", "key"]).expect(0).stdout.trim().to_owned()
    }

    /// The ledger as it lies on disk. Its commands must be over.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::read(&self.data().join("ledger"))
    }

    /// Verifies the ledger with its key; what it is of is read afterwards.
    pub(crate) fn verified_ledger(&self) -> Ledger {
        let (dir, key) = (self.data().join("ledger"), self.key());
        let ran =
            self.bailiwick(&["ledger", "verify", dir.to_str().unwrap(), "--key", &key, "--json"]);
        ran.expect(0);
        assert_eq!(ran.json()["trusted"], "key", "{ran:?}");
        Ledger::read(&dir)
    }

    /// Writes a file in the test's directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) arguments: Vec<String>,
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(arguments: &[&str], output: Output) -> Self {
        Self {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test with everything that was printed unless the exit code is this one.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "bailiwick {}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments.join(" "),
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as exactly one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The code of the error that was told.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        let told = self.stderr.split_once("error: ");
        let (_, told) = told.unwrap_or_else(|| panic!("no error was told: {self:?}"));
        // What an error quotes can have several lines; the hint comes after it.
        let told = told.split("\n hint: ").next().unwrap().trim_end();
        told.rsplit_once('[').unwrap().1.trim_end_matches(']').to_owned()
    }
}
