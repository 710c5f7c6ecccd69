//! A forge with one repository, permits from a real warden, and the stock client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_forge::{EmbeddedForge, Forge as _, ForgeError, Merged, Platform, PullRequest};
use bailiwick_git::{Ed25519Signer, Git, NewCommit, Signature, TreeId, Workspace};
use bailiwick_model::action::{
    Act, BranchPush, MergeMethod, PullRequestMerge, PullRequestOpen, RepoRead, ReviewSubmit,
    ReviewVerdict,
};
use bailiwick_model::event::Event;
use bailiwick_model::id::{BranchName, Oid, Person, RepoName, TaskId};
use bailiwick_model::outcome::{Outcome, Recorded};
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::{PolicySet, PolicySource};
use bailiwick_warden::{
    BudgetBook, BudgetExceeded, Journal, JournalError, Permit, Reservation, Warden,
};
use tempfile::TempDir;

pub(crate) const KEY: [u8; 32] = [11; 32];
const ALL: &str = r#"@id("all") @reason("tests") permit (principal, action, resource);"#;

struct Memory(Mutex<Vec<Event>>);

#[async_trait]
impl Journal for Memory {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        let mut all = self.0.lock().unwrap();
        let first = all.len() as u64;
        all.extend(events);
        Ok(first)
    }
}

struct Free;

impl BudgetBook for Free {
    fn left(&self, _: TaskId) -> MicroUsd {
        MicroUsd(1)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Ok(Reservation { task, amount })
    }

    fn settle(&self, _: Reservation, _: MicroUsd) {}
}

pub(crate) fn warden() -> Warden {
    let source = PolicySource { name: "tests".to_owned(), text: ALL.to_owned() };
    let policy = PolicySet::load(&[source]).unwrap();
    Warden::new(Arc::new(policy), Arc::new(Memory(Mutex::default())), Arc::new(Free))
}

pub(crate) fn subject() -> Subject {
    Subject {
        role: Role::Human,
        on_behalf_of: person("uma"),
        task: None,
        subtask: None,
        session: None,
    }
}

pub(crate) fn context() -> Context {
    Context {
        repo: repo(),
        protected_branch: branch("main"),
        taint: Default::default(),
        scope: Vec::new(),
        budget_left: MicroUsd(0),
        denials: 0,
        single_user: true,
        approvals: Default::default(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    }
}

struct Held<A: Act>(Permit<A>);

impl<A: Act> Recorded for Held<A> {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

/// A permit, from a warden that permits everything.
pub(crate) async fn permit<A: Act>(action: A) -> Permit<A> {
    let (warden, subject, context) = (warden(), subject(), context());
    let held = warden
        .perform(&subject, &context, action, |permit| async { Ok::<_, ForgeError>(Held(permit)) });
    held.await.unwrap().0
}

pub(crate) fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

pub(crate) fn person(name: &str) -> Person {
    Person::parse(name).unwrap()
}

pub(crate) fn repo() -> RepoName {
    RepoName::parse("shop").unwrap()
}

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) forge: EmbeddedForge,
}

pub(crate) fn platform() -> Platform {
    let clock = AtomicI64::new(1_700_000_000);
    Platform {
        now: Arc::new(move || {
            jiff::Timestamp::from_second(clock.fetch_add(1, Ordering::SeqCst)).unwrap()
        }),
        ..Platform::new("Bailiwick", "bailiwick@localhost", Arc::new(Ed25519Signer::new(&KEY)))
    }
}

impl Fixture {
    /// A forge with the repository `shop`, whose `main` has the files `a` (nine lines) and `b`.
    pub(crate) async fn new() -> Self {
        let fixture = Self::empty();
        let source = fixture.path("source");
        user_repository(&source, &[("a", BASE), ("b", "b\n")]);
        fixture.forge.import(permit(import(&source)).await).await.unwrap();
        fixture
    }

    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let forge = EmbeddedForge::open(&dir.path().join("forge"), platform()).unwrap();
        Self { dir, forge }
    }

    pub(crate) fn reopen(&mut self) {
        self.forge = EmbeddedForge::open(&self.path("forge"), platform()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn git(&self) -> Git {
        self.forge.git(&repo()).unwrap()
    }

    pub(crate) fn at(&self, name: &str) -> Oid {
        self.git().branch(&branch(name)).unwrap().unwrap()
    }

    pub(crate) fn pull_file(&self, number: u64) -> PathBuf {
        self.path(&format!("forge/shop.pulls/{number:06}.json"))
    }

    /// A commit with these files, on no branch yet.
    pub(crate) fn commit(&self, parent: &Oid, message: &str, files: &[(&str, &str)]) -> Oid {
        self.commit_tree(parent, message, self.tree(files))
    }

    /// A commit that changes nothing, on no branch yet.
    pub(crate) fn empty_commit(&self, parent: &Oid, message: &str) -> Oid {
        self.commit_tree(parent, message, self.git().tree_of(parent).unwrap())
    }

    fn commit_tree(&self, parent: &Oid, message: &str, tree: TreeId) -> Oid {
        let at = jiff::Timestamp::from_second(1).unwrap();
        let who = Signature::new("ada", "ada@example.org", at).unwrap();
        let new = NewCommit {
            tree,
            parents: vec![parent.clone()],
            author: who.clone(),
            committer: who,
            message: message.to_owned(),
            trailers: Vec::new(),
        };
        self.git().write_commit(&new, None).unwrap()
    }

    fn tree(&self, files: &[(&str, &str)]) -> TreeId {
        let top = tempfile::tempdir().unwrap();
        let work = top.path().join("work");
        fs::create_dir(&work).unwrap();
        let workspace = Workspace::attach(&self.git(), &work, &top.path().join("index")).unwrap();
        for (name, content) in files {
            write(&work, name, content);
        }
        workspace.snapshot().unwrap()
    }

    pub(crate) async fn push(
        &self,
        name: &str,
        expected: Option<&Oid>,
        commit: Option<&Oid>,
    ) -> Result<(), ForgeError> {
        let push = BranchPush {
            repo: repo(),
            branch: branch(name),
            expected: expected.cloned(),
            commit: commit.cloned(),
            protected: false,
        };
        self.forge.push(permit(push).await).await.map(|_| ())
    }

    pub(crate) async fn open(&self, head: &str) -> Result<PullRequest, ForgeError> {
        self.forge.open_pull_request(permit(self.opening(head, "a title")).await).await
    }

    pub(crate) fn opening(&self, head: &str, title: &str) -> PullRequestOpen {
        PullRequestOpen {
            repo: repo(),
            head: branch(head),
            head_commit: self.at(head),
            base: branch("main"),
            title: title.to_owned(),
            body: "from recorded facts".into(),
            author: person("uma"),
            checks: Vec::new(),
        }
    }

    pub(crate) async fn review(
        &self,
        number: u64,
        who: &str,
        head: &Oid,
        verdict: ReviewVerdict,
    ) -> Result<PullRequest, ForgeError> {
        let submit = ReviewSubmit {
            repo: repo(),
            number,
            reviewer: person(who),
            head: head.clone(),
            verdict,
            body: "seen".into(),
            own_request: false,
            simulated: false,
        };
        self.forge.submit_review(permit(submit).await).await
    }

    pub(crate) fn merging(
        &self,
        pull: &PullRequest,
        method: MergeMethod,
        approved_by: &[&str],
    ) -> PullRequestMerge {
        PullRequestMerge {
            repo: repo(),
            number: pull.number,
            head: pull.head_commit.clone(),
            base: branch("main"),
            expected_base: self.at("main"),
            method,
            gates_passed: true,
            verified: true,
            approved_by: approved_by.iter().map(|name| person(name)).collect(),
            independent_approval: true,
            trailers: vec!["Bailiwick-Task: 7".to_owned()],
            size: None,
            required_reviewers: 0,
            owners_missing: Vec::new(),
        }
    }

    pub(crate) async fn merge(&self, merge: PullRequestMerge) -> Result<Merged, ForgeError> {
        self.forge.merge(permit(merge).await).await
    }

    /// A branch with two commits that change line 8 of `a` and add to `b`.
    pub(crate) async fn topic(&self, name: &str) -> Oid {
        let first = self.commit(
            &self.at("main"),
            "first",
            &[("a", &BASE.replace('8', "eight")), ("b", "b\n")],
        );
        let second =
            self.commit(&first, "second", &[("a", &BASE.replace('8', "eight")), ("b", "b\nc\n")]);
        self.push(name, None, Some(&second)).await.unwrap();
        second
    }

    /// Moves `main` as a merge of something else would.
    pub(crate) fn move_main(&self, files: &[(&str, &str)]) -> Oid {
        let old = self.at("main");
        let new = self.commit(&old, "elsewhere", files);
        bailiwick_git::RefWriter::new(&self.git())
            .update_ref(&bailiwick_git::RefName::branch(&branch("main")), Some(&old), Some(&new))
            .unwrap();
        new
    }
}

pub(crate) const BASE: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

pub(crate) fn import(source: &Path) -> RepoRead {
    RepoRead {
        repo: repo(),
        object: None,
        source: Some(source.to_str().unwrap().to_owned()),
        branch: branch("main"),
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
        .env("GIT_TERMINAL_PROMPT", "0")
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

/// A user's repository with one commit on `main`.
pub(crate) fn user_repository(dir: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(dir).unwrap();
    stock_ok(dir, &["init", "-q"]);
    for (name, content) in files {
        write(dir, name, content);
    }
    stock_ok(dir, &["add", "-A"]);
    stock_ok(dir, &["commit", "-q", "-m", "first"]);
}
