//! Repositories made with the stock client, and bare ones to work in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bailiwick_git::{Git, NewCommit, RefName, RepoPath, Signature, TreeId, Workspace};
use bailiwick_model::id::{BranchName, Oid};
use tempfile::TempDir;

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) git: Git,
}

pub(crate) fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

pub(crate) fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn who(name: &str, second: i64) -> Signature {
    Signature::new(name, &format!("{name}@example.org"), at(second)).unwrap()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::init_bare(&dir.path().join("bare.git"), &branch("main")).unwrap();
        Self { dir, git }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tree with these files.
    pub(crate) fn tree(&self, files: &[(&str, &str)]) -> TreeId {
        let top = tempfile::tempdir().unwrap();
        let work = top.path().join("work");
        fs::create_dir(&work).unwrap();
        let workspace = Workspace::attach(&self.git, &work, &top.path().join("index")).unwrap();
        for (name, content) in files {
            write(&work, name, content);
        }
        workspace.snapshot().unwrap()
    }

    /// A commit with these files.
    pub(crate) fn commit(&self, parents: &[&Oid], message: &str, files: &[(&str, &str)]) -> Oid {
        let new = NewCommit {
            tree: self.tree(files),
            parents: parents.iter().map(|oid| (*oid).clone()).collect(),
            author: who("ada", 0),
            committer: who("bot", 1),
            message: message.to_owned(),
            trailers: Vec::new(),
        };
        self.git.write_commit(&new, None).unwrap()
    }

    pub(crate) fn set(&self, name: &str, oid: &Oid) {
        let name = RefName::branch(&branch(name));
        let expected = self.git.resolve(&name).unwrap();
        bailiwick_git::RefWriter::new(&self.git)
            .update_ref(&name, expected.as_ref(), Some(oid))
            .unwrap();
    }

    pub(crate) fn checkout(&self, treeish: &Oid, name: &str) -> Workspace {
        Workspace::checkout(
            &self.git,
            treeish,
            &self.path(name),
            &self.path(&format!("{name}.index")),
        )
        .unwrap()
    }

    pub(crate) fn names(&self, tree: &TreeId) -> Vec<String> {
        self.git.list_all(tree.oid()).unwrap().iter().map(|entry| entry.path.to_string()).collect()
    }
}

pub(crate) fn write(top: &Path, name: &str, content: impl AsRef<[u8]>) {
    let full = top.join(name);
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(full, content).unwrap();
}

/// Runs the stock client as a user would.
pub(crate) fn stock(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", dir)
        .args([
            "-c",
            "user.name=Uma",
            "-c",
            "user.email=uma@example.org",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn stock_ok(dir: &Path, args: &[&str]) -> String {
    let (ok, text) = stock(dir, args);
    assert!(ok, "git {args:?}: {text}");
    text
}

/// A user's repository with one commit.
pub(crate) fn user_repository(dir: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(dir).unwrap();
    stock_ok(dir, &["init", "-q"]);
    for (name, content) in files {
        write(dir, name, content);
    }
    stock_ok(dir, &["add", "-A"]);
    stock_ok(dir, &["commit", "-q", "-m", "first"]);
}
