//! Repositories of tests, and checkouts of them without a cage.

use async_trait::async_trait;
use bailiwick_gates::{
    Change, Checkout, CommandRefusal, CommandResult, CommandRunner, ContentGate, Gate, GateContext,
    GitTree, Input, Keeps, Overlaid, ProjectFiles, ProtectedRules, Workbench, judge_content,
};
use bailiwick_git::{Git, RepoPath, Workspace};
use bailiwick_model::action::Command;
use bailiwick_model::evidence::{GateReport, Level};
use bailiwick_model::id::Oid;
use bailiwick_model::outcome::Ended;
use bailiwick_model::payload::Payload;
use bailiwick_model::plan::Check;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Runs commands without a cage, on files that these tests wrote.
struct LocalRunner {
    work_tree: PathBuf,
    build: PathBuf,
    /// How much output is kept.
    kept: usize,
}

#[async_trait]
impl CommandRunner for LocalRunner {
    async fn run(&self, command: Command) -> Result<CommandResult, CommandRefusal> {
        assert!(!command.network);
        let mut process = tokio::process::Command::new(&command.argv[0]);
        process
            .args(&command.argv[1..])
            .current_dir(self.work_tree.join(command.cwd.as_str()))
            .envs(&command.env)
            .env("CARGO_TARGET_DIR", &self.build)
            .env_remove("RUSTFLAGS")
            .kill_on_drop(true);
        let timeout = Duration::from_millis(command.timeout_ms);
        let (ended, output) = match tokio::time::timeout(timeout, process.output()).await {
            Ok(output) => {
                let output = output.unwrap();
                let ended = Ended::Exit { code: output.status.code().unwrap() };
                (ended, [output.stdout, output.stderr].concat())
            }
            Err(_) => (Ended::Limit { limit: "wall_clock".to_owned() }, Vec::new()),
        };
        Ok(CommandResult {
            ended,
            dropped_bytes: output.len().saturating_sub(self.kept) as u64,
            output: Payload::new(output.into_iter().take(self.kept).collect::<Vec<_>>()),
            duration_ms: 1,
        })
    }
}

/// A repository whose commits are written down as lists of files; `None` deletes one.
pub(crate) struct Repository {
    folder: TempDir,
    composed: AtomicUsize,
    pub(crate) git: Git,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("repository");
        std::fs::create_dir(&top).unwrap();
        run_git(&top, &["init", "-q", "-b", "main"]);
        let git = Git::open(&top.join(".git")).unwrap();
        Self { folder, git, composed: AtomicUsize::new(0) }
    }

    pub(crate) fn commit(&self, message: &str, files: &[(&str, Option<&str>)]) -> Oid {
        let top = self.folder.path().join("repository");
        for (path, content) in files {
            let path = top.join(path);
            match content {
                Some(content) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, content).unwrap();
                }
                None => std::fs::remove_file(path).unwrap(),
            }
        }
        run_git(&top, &["add", "-A"]);
        run_git(&top, &["commit", "-q", "--allow-empty", "-m", message]);
        Oid::parse(run_git(&top, &["rev-parse", "HEAD"]).trim()).unwrap()
    }

    pub(crate) fn checkout(&self, commit: &Oid, name: &str) -> Checkout {
        self.checkout_with(commit, name, 1 << 20)
    }

    fn checkout_with(&self, commit: &Oid, name: &str, kept: usize) -> Checkout {
        let work_tree = self.folder.path().join(name);
        std::fs::create_dir(&work_tree).unwrap();
        let index = self.folder.path().join(format!("{name}.index"));
        Workspace::checkout(&self.git, commit, &work_tree, &index).unwrap();
        let build = self.folder.path().join(format!("{name}.build"));
        let files = ProjectFiles::read(&self.git, commit).unwrap();
        Checkout::new(commit.clone(), files, Arc::new(LocalRunner { work_tree, build, kept }))
    }

    /// Runs a gate that reads content on the change from `base` to `head`, with rules from
    /// `base`.
    pub(crate) fn inspect(
        &self,
        gate: impl ContentGate + 'static,
        base: &Oid,
        head: &Oid,
    ) -> GateReport {
        let input = Input {
            change: Change::load(&self.git, base, head).unwrap(),
            base: Box::new(GitTree::new(self.git.clone(), base.clone())),
            head: Box::new(GitTree::new(self.git.clone(), head.clone())),
            settings: ProtectedRules::read(&self.git, base).unwrap().gates,
            now: "2026-06-01T00:00:00Z".parse().unwrap(),
            deadline: None,
        };
        judge_content(&[Arc::new(gate)], input, Duration::from_secs(60)).remove(0)
    }

    /// Runs a gate on the change from `base` to `head`, with rules from `base`.
    pub(crate) async fn judge(
        &self,
        gate: &dyn Gate,
        base: &Oid,
        head: &Oid,
        acceptance: &[Check],
    ) -> GateReport {
        let change = Change::load(&self.git, base, head).unwrap();
        let rules = ProtectedRules::read(&self.git, base).unwrap();
        gate.run(&GateContext {
            base: &self.checkout(base, "base"),
            head: &self.checkout(head, "head"),
            bench: self,
            change: &change,
            rules: &rules,
            acceptance,
            now: "2026-06-01T00:00:00Z".parse().unwrap(),
        })
        .await
    }
}

#[async_trait]
impl Workbench for Repository {
    async fn compose(
        &self,
        purpose: &'static str,
        commit: &Oid,
        files: Vec<Overlaid>,
        keeps: Keeps,
    ) -> Result<Checkout, CommandRefusal> {
        let files: Vec<_> = files
            .into_iter()
            .map(|file| (RepoPath::parse(file.path).unwrap(), file.content))
            .collect();
        let tree = self.git.overlay(commit, &files, self.folder.path()).unwrap();
        let nth = self.composed.fetch_add(1, Ordering::Relaxed);
        let kept = if keeps == Keeps::Reports { 16 << 20 } else { 1 << 20 };
        Ok(self.checkout_with(tree.oid(), &format!("{purpose}-{nth}"), kept))
    }
}

fn run_git(top: &Path, arguments: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .arg("-C")
        .arg(top)
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn findings(report: &GateReport) -> Vec<(&str, Level, &str)> {
    report
        .findings
        .iter()
        .map(|finding| (finding.rule.as_str(), finding.level, finding.message.as_str()))
        .collect()
}
