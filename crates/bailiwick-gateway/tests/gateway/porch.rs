//! A door in front of a fixture server, and a client that knows HTTP and nothing else.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_gateway::door::{Door, DoorSession};
use bailiwick_gateway::{Gateway, ProviderConfig};
use bailiwick_model::event::Event;
use bailiwick_model::id::{BranchName, Person, RepoName, SubtaskKey, TaskId};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::subject::{Context, Role, Subject, Taint};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::{PolicySet, PolicySource};
use bailiwick_warden::{BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::ask::{gateway, hold, on_runtime, session};

pub(crate) const TOKEN: &str = "session-token";

/// A ledger in memory, which can be told to fail.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) full: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Journal for Book {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(JournalError { message: "no space left".into(), source: None });
        }
        let mut kept = self.events.lock().unwrap();
        kept.extend(events);
        Ok(kept.len() as u64)
    }
}

/// A purse for one task.
pub(crate) struct Purse(pub(crate) Mutex<MicroUsd>);

impl BudgetBook for Purse {
    fn left(&self, _: TaskId) -> MicroUsd {
        *self.0.lock().unwrap()
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        let mut left = self.0.lock().unwrap();
        if amount > *left {
            return Err(BudgetExceeded { asked: amount, left: *left });
        }
        *left = left.minus(amount);
        Ok(Reservation { task, amount })
    }

    fn settle(&self, reservation: Reservation, cost: MicroUsd) {
        let mut left = self.0.lock().unwrap();
        *left = left.plus(reservation.amount).minus(cost);
    }
}

/// A door, what it recorded, and where it is.
pub(crate) struct Porch {
    pub(crate) door: Arc<Door>,
    pub(crate) book: Arc<Book>,
    pub(crate) purse: Arc<Purse>,
    address: SocketAddr,
    closed: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

pub(crate) const ALLOW: &str = r#"
@id("tests-ask") @reason("tests call models")
permit (principal, action == Action::"model_call", resource);
@id("tests-use-keys") @reason("tests send keys")
permit (principal, action == Action::"secret_use", resource);
"#;

impl Porch {
    pub(crate) fn open(config: &ProviderConfig) -> Self {
        Self::with(gateway(std::slice::from_ref(config)), &config.name, ALLOW, |_| ())
    }

    pub(crate) fn with(
        gateway: Gateway,
        provider: &str,
        policy: &str,
        adjust: impl FnOnce(&mut DoorSession),
    ) -> Self {
        let source = PolicySource { name: "test.cedar".into(), text: policy.into() };
        let policy = Arc::new(PolicySet::load(&[source]).unwrap());
        let book = Arc::new(Book::default());
        let purse = Arc::new(Purse(Mutex::new(MicroUsd(1_000_000))));
        let mut session = DoorSession {
            warden: Arc::new(Warden::new(policy, book.clone(), purse.clone())),
            gateway: Arc::new(gateway),
            subject: Subject {
                role: Role::Implementor,
                on_behalf_of: Person::parse("ada").unwrap(),
                task: Some(TaskId::new("0192e4a0-7b1c-7def-8000-000000000001".parse().unwrap())),
                subtask: None,
                session: Some(session()),
            },
            context: Context {
                repo: RepoName::parse("demo").unwrap(),
                protected_branch: BranchName::parse("main").unwrap(),
                taint: BTreeSet::new(),
                scope: vec![],
                budget_left: MicroUsd(u64::MAX),
                denials: 0,
                single_user: false,
                approvals: BTreeSet::new(),
                facts: bailiwick_model::subject::SessionFacts::default(),
            },
            role: Role::Implementor,
            subtask: Some(SubtaskKey::parse("fix").unwrap()),
            round: 0,
            provider: provider.to_owned(),
            model: "the-model".to_owned(),
            token: TOKEN.to_owned(),
            calls_before: 0,
            max_calls: 50,
            max_denials: 3,
            labeller: Arc::new(|text| match text.contains("ignore all") {
                true => BTreeSet::from([Taint::Instructions]),
                false => BTreeSet::new(),
            }),
        };
        adjust(&mut session);
        hold(&session.warden);
        let door = Door::new(session);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let closed = CancellationToken::new();
        let (served, until) = (Arc::clone(&door), closed.clone());
        let thread = std::thread::spawn(move || {
            on_runtime(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                served.serve(listener, until).await;
            });
        });
        Self { door, book, purse, address, closed, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Sends bytes as they are and reads until the other side closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Heard {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Heard::read(&mut stream)
    }

    pub(crate) fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Heard {
        let mut head = format!("{line} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// A call with the session's token.
    pub(crate) fn post(&self, path: &str, body: &str) -> Heard {
        self.ask(&format!("POST {path}"), &["x-api-key: session-token"], body.as_bytes())
    }

    /// Shuts the door, and gives the outcomes that the ledger has.
    pub(crate) fn close(&mut self) -> Vec<Outcome> {
        self.closed.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        let events = self.book.events.lock().unwrap();
        let finished = events.iter().filter_map(|event| match event {
            Event::Finished(finished) => Some(finished.result.clone()),
            _ => None,
        });
        finished.collect()
    }

    /// The model calls that were decided.
    pub(crate) fn decided(&self) -> Vec<bailiwick_model::action::ModelCall> {
        let events = self.book.events.lock().unwrap();
        let calls = events.iter().filter_map(|event| match event {
            Event::Decided(decided) => match &decided.action {
                bailiwick_model::action::Action::ModelCall(call) => Some(call.clone()),
                _ => None,
            },
            _ => None,
        });
        calls.collect()
    }
}

impl Drop for Porch {
    fn drop(&mut self) {
        self.close();
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else { return Self { status: 0, head: String::new(), body: bytes } };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = bytes[end + 4..].to_vec();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Self { status, body: if chunked { unchunked(&body) } else { body }, head }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    out
}
