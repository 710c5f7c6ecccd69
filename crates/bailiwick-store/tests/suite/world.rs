//! What the tests stand on: a store in a folder of its own, and events to put into it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_ledger::{LedgerDir, LogKey, Report, TreeHead, Trust, verify::verify};
use bailiwick_model::action::{Action, ModelCall, ToolCall};
use bailiwick_model::chat::Usage;
use bailiwick_model::event::{Decided, Event, Fact, Finished, Stage, StageEnd, TaskEnd};
use bailiwick_model::id::{ActionId, BranchName, Person, RepoName, SessionId, TaskId};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::{ApproverMode, Form, MicroUsd, Source, Task};
use bailiwick_model::verdict::{Denial, Verdict};
use bailiwick_store::{Store, StoreConfig, StoreError};
use tempfile::TempDir;
use uuid::Uuid;

/// A folder with a data directory in it.
pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.data().join("ledger")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("store.sqlite")
    }

    pub(crate) fn config(&self) -> StoreConfig {
        config(&self.data())
    }

    pub(crate) fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(self.config())
    }

    /// Opens it. A program that another test starts at the same moment holds a copy of the lock
    /// until it runs, so that what was just closed may seem open for a little longer.
    pub(crate) fn open(&self) -> Store {
        for _ in 0..200 {
            match self.try_open() {
                Err(StoreError::InUse { .. }) => std::thread::sleep(Duration::from_millis(10)),
                opened => return opened.unwrap(),
            }
        }
        self.try_open().unwrap()
    }

    pub(crate) fn verify(&self) -> Report {
        verify_ledger(&self.ledger())
    }

    /// Publishes, verifies, and checks that the verifier sees what the store says.
    pub(crate) async fn verify_published(&self, store: &Store) {
        let checkpoint = store.checkpoint().await.unwrap();
        assert_eq!(checkpoint.head(), store.head());
        let report = self.verify();
        assert_eq!(report.problems, []);
        assert_eq!(TreeHead { size: report.entries, root: report.root }, store.head());
    }

    /// Changes the database behind the store's back.
    pub(crate) fn sql(&self, sql: &str) {
        rusqlite::Connection::open(self.database()).unwrap().execute_batch(sql).unwrap();
    }
}

pub(crate) fn key() -> LogKey {
    LogKey::from_seed("test".parse().unwrap(), &[7; 32])
}

pub(crate) fn verify_ledger(dir: &Path) -> Report {
    verify(dir, &Trust { key: Some(key().verifier().clone()), checkpoint: None })
}

pub(crate) fn config(data: &Path) -> StoreConfig {
    StoreConfig {
        dir: data.to_owned(),
        ledger_dir: data.join("ledger"),
        open_ledger: Box::new(|dir| Ok(LedgerDir::open(dir, key())?)),
    }
}

pub(crate) fn task_id() -> TaskId {
    TaskId::new(Uuid::now_v7())
}

pub(crate) fn session_id() -> SessionId {
    SessionId::new(Uuid::now_v7())
}

pub(crate) fn action_id() -> ActionId {
    ActionId::new(Uuid::now_v7())
}

pub(crate) fn submitted(id: TaskId, budget: u64) -> Event {
    Event::fact(Fact::TaskSubmitted {
        task: Task {
            id,
            title: "Mend the sum".to_owned(),
            text: "Mend the sum".to_owned(),
            form: Form::Text,
            source: Source::Cli,
            taint: Default::default(),
            repo: RepoName::parse("calc").unwrap(),
            base_branch: BranchName::parse("main").unwrap(),
            requester: Person::parse("ada").unwrap(),
            budget: MicroUsd(budget),
            provider: "scripted".to_owned(),
            model: "scripted".to_owned(),
            agent: "builtin".to_owned(),
            scripted: true,
            single_user: true,
            approver: ApproverMode::Simulated,
            created_at: jiff_epoch(),
        },
    })
}

fn jiff_epoch() -> bailiwick_model::Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn stage_started(task: TaskId, stage: Stage) -> Event {
    Event::fact(Fact::StageStarted { task, subtask: None, stage })
}

pub(crate) fn stage_ended(task: TaskId, stage: Stage) -> Event {
    Event::fact(Fact::StageEnded { task, subtask: None, stage, ok: StageEnd::Done })
}

pub(crate) fn ended(task: TaskId, end: TaskEnd) -> Event {
    Event::fact(Fact::TaskEnded {
        task,
        end,
        code: None,
        reason: "because".to_owned(),
        hint: None,
        cost: MicroUsd(0),
    })
}

pub(crate) fn retried(task: TaskId) -> Event {
    Event::fact(Fact::TaskRetried { task, by: Person::parse("ada").unwrap() })
}

/// A small event whose text tells it from the others.
pub(crate) fn note(text: &str) -> Event {
    Event::fact(Fact::LedgerOpened { version: "0.1.0".to_owned(), origin: text.to_owned() })
}

/// The text of a [`note`].
pub(crate) fn text_of(event: &Event) -> String {
    match event {
        Event::Fact(fact) => match fact.as_ref() {
            Fact::LedgerOpened { origin, .. } => origin.clone(),
            other => panic!("not a note: {other:?}"),
        },
        other => panic!("not a note: {other:?}"),
    }
}

pub(crate) fn decided(task: TaskId, id: ActionId, action: Action, decision: Verdict) -> Event {
    Event::Decided(Box::new(Decided {
        id,
        subject: Subject {
            role: Role::Implementor,
            on_behalf_of: Person::parse("ada").unwrap(),
            task: Some(task),
            subtask: None,
            session: None,
        },
        context: Context {
            repo: RepoName::parse("calc").unwrap(),
            protected_branch: BranchName::parse("main").unwrap(),
            taint: Default::default(),
            scope: vec!["src/**".to_owned()],
            budget_left: MicroUsd(5),
            denials: 0,
            single_user: true,
            approvals: Default::default(),
            facts: bailiwick_model::subject::SessionFacts::default(),
        },
        action,
        decision,
        policy: Digest::of(b"policy"),
    }))
}

pub(crate) fn model_call(task: TaskId, id: ActionId, estimate: u64) -> Event {
    let call = ModelCall {
        provider: "scripted".to_owned(),
        model: "scripted".to_owned(),
        role: Role::Implementor,
        subtask: None,
        round: 0,
        step: 1,
        prompt: Payload::from("hello"),
        request_digest: Digest::of(b"request"),
        estimate: MicroUsd(estimate),
        request: None,
    };
    decided(task, id, Action::ModelCall(call), Verdict::Permit { rules: vec!["models".to_owned()] })
}

pub(crate) fn tool_call(task: TaskId, id: ActionId, arguments: Payload) -> Event {
    let call = ToolCall { tool: "finish".to_owned(), arguments };
    decided(task, id, Action::ToolCall(call), Verdict::Permit { rules: vec!["tools".to_owned()] })
}

pub(crate) fn denied(task: TaskId, id: ActionId) -> Event {
    let denial = Denial {
        code: "policy.no_rule_permits".to_owned(),
        rules: Vec::new(),
        reason: "no rule permits it".to_owned(),
        hint: "ask".to_owned(),
    };
    let call = ToolCall { tool: "finish".to_owned(), arguments: Payload::from("{}") };
    decided(task, id, Action::ToolCall(call), Verdict::Deny(denial))
}

pub(crate) fn finished(task: TaskId, id: ActionId, result: Outcome) -> Event {
    Event::Finished(Box::new(Finished { id, task: Some(task), session: None, result }))
}

pub(crate) fn replied(cost: u64) -> Outcome {
    Outcome::Model {
        reply: Payload::from("hi"),
        usage: Usage::default(),
        cost: MicroUsd(cost),
        duration_ms: 1,
    }
}

pub(crate) fn failed(possibly_done: bool) -> Outcome {
    Outcome::Failed {
        code: "model.cut_off".to_owned(),
        message: "cut off".to_owned(),
        possibly_done,
    }
}
