//! A repository of its own for each test.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Nothing that looks like a token stands in this file.
pub(crate) fn token(n: u32) -> String {
    format!("gh{}aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW3xY5z{n:02}", "p_")
}

pub(crate) struct Repository(TempDir);

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "-q", "-b", "main"]);
        repository.write("readme.txt", "hello\n");
        repository.commit("first");
        repository
    }

    pub(crate) fn top(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.top().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(self.top())
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What git answers to this on its standard input, without the end of the line.
    pub(crate) fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let file = self.top().join(".git/input");
        std::fs::write(&file, input).unwrap();
        let input = std::fs::File::open(file).unwrap();
        let output = self.command(arguments).stdin(input).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// The exit code, and standard output and error together.
    pub(crate) fn gate(&self, arguments: &[&str]) -> (i32, String) {
        self.run(Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("gate").args(arguments))
    }

    /// The same with at most this much memory, in KiB of addresses; a crash has no exit code.
    pub(crate) fn gate_within(&self, kibibytes: u32, arguments: &[&str]) -> (i32, String) {
        let limited = format!("ulimit -v {kibibytes}; exec \"$0\" gate \"$@\"");
        let program = env!("CARGO_BIN_EXE_bailiwick");
        self.run(Command::new("/bin/sh").args(["-c", &limited, program]).args(arguments))
    }

    fn run(&self, command: &mut Command) -> (i32, String) {
        let output = command.current_dir(self.top()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}
