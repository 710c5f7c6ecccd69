#[path = "../../tests/gate/index_server.rs"]
mod index_server;

use super::*;
use async_trait::async_trait;
use bailiwick_deps::PackageFacts;
use bailiwick_model::action::Action;
use bailiwick_model::event::Event;
use bailiwick_model::id::{Person, TaskId};
use bailiwick_model::subject::Role;
use bailiwick_model::task::MicroUsd;
use bailiwick_model::verdict::Verdict;
use bailiwick_policy::{PolicySet, PolicySource};
use bailiwick_warden::{BudgetBook, BudgetExceeded, Journal, JournalError, Reservation};
use index_server::{IndexServer, reply};
use std::sync::atomic::{AtomicUsize, Ordering};

const NAME: &str = "quietly-there";
const THERE: &str = "{\"name\":\"quietly-there\",\"versions\":{\"1.0.0\":{}},\"time\":{\"created\":\"1970-01-11T00:00:00Z\"}}";

/// A ledger that can be full, and remembers how many requests the server had seen at each entry.
#[derive(Default)]
struct Ledger {
    entries: Mutex<Vec<(Event, usize)>>,
    is_full: bool,
    server: Option<Arc<IndexServer>>,
}

#[async_trait]
impl Journal for Ledger {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        if self.is_full {
            let message = "the disk is full".to_owned();
            return Err(JournalError { message, source: None });
        }
        let seen = self.server.as_ref().map_or(0, |server| server.asked().len());
        self.entries.lock().unwrap().extend(events.into_iter().map(|event| (event, seen)));
        Ok(0)
    }
}

struct NoBudget;

impl BudgetBook for NoBudget {
    fn left(&self, _: TaskId) -> MicroUsd {
        MicroUsd(0)
    }

    fn reserve(&self, _: TaskId, asked: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Err(BudgetExceeded { asked, left: MicroUsd(0) })
    }

    fn settle(&self, _: Reservation, _: MicroUsd) {}
}

struct World {
    server: Arc<IndexServer>,
    ledger: Arc<Ledger>,
    runtime: tokio::runtime::Runtime,
    index: Arc<dyn PackageIndex>,
}

/// An index for this role, by the standard policy or more than it, with answers kept below a
/// directory.
fn world(role: Role, more_policy: &str, cache: Option<PathBuf>, is_full: bool) -> World {
    let server = Arc::new(IndexServer::start(|path, stream| match path {
        "/quietly-there" => reply(stream, 200, THERE),
        _ => reply(stream, 404, ""),
    }));
    let ledger =
        Arc::new(Ledger { is_full, server: Some(Arc::clone(&server)), ..Ledger::default() });
    let policy = PolicySet::load(&[
        PolicySource::new("standard.cedar", bailiwick_policy::STANDARD_TEXT),
        PolicySource::new("more.cedar", more_policy),
    ])
    .unwrap();
    let warden = Warden::new(Arc::new(policy), Arc::clone(&ledger) as _, Arc::new(NoBudget));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let configured = BTreeMap::from([(Ecosystem::Npm, OnlineIndexConfig::at(&server.url("/")))]);
    let remote = {
        let _inside = runtime.enter();
        OnlineIndexes::open(&configured, cache, Arc::new(warden)).unwrap().unwrap()
    };
    let subject = Subject {
        role,
        on_behalf_of: Person::parse("ada").unwrap(),
        task: None,
        subtask: None,
        session: None,
    };
    let context = crate::command::trial::circumstances().unwrap();
    let index = remote.asked_by(subject, context, None);
    World { server, ledger, runtime, index }
}

fn npm(name: &str) -> PackageName {
    PackageName::new(Ecosystem::Npm, name)
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

const KNOWN: Lookup = Lookup::Known(PackageFacts { first_day: Some(10), downloads: None });

#[test]
fn each_question_is_decided_and_recorded_before_it_is_sent() {
    let world = world(Role::Gate, "", None, false);
    assert_eq!(world.index.look_up(&npm(NAME), now()), KNOWN);
    let absent = world.index.look_up(&npm("nowhere"), now());
    assert_eq!(absent, Lookup::Absent { index_age_days: 0 });
    let entries = world.ledger.entries.lock().unwrap();
    let told: Vec<(String, usize)> = entries
        .iter()
        .map(|(event, seen)| {
            let text = match event {
                Event::Decided(decided) => match (&decided.action, &decided.decision) {
                    (Action::HostRequest(request), Verdict::Permit { .. }) => {
                        format!("permitted {}", request.path)
                    }
                    other => format!("{other:?}"),
                },
                Event::Finished(_) => "finished".to_owned(),
                other => format!("{other:?}"),
            };
            (text, *seen)
        })
        .collect();
    let told: Vec<(&str, usize)> = told.iter().map(|(text, seen)| (text.as_str(), *seen)).collect();
    assert_eq!(
        told,
        [
            ("permitted /quietly-there", 0),
            ("finished", 1),
            ("permitted /nowhere", 1),
            ("finished", 2)
        ]
    );
}

#[test]
fn what_is_not_permitted_or_not_recorded_is_not_sent() {
    let never = "@id(\"no-index\")\n@reason(\"no index is asked here\")\n@hint(\"use a snapshot\")\nforbid (principal, action == Action::\"request\", resource);\n";
    for (role, policy, is_full, wanted) in [
        (Role::Gate, never, false, "no index is asked here"),
        (Role::Gate, "", true, "could not be recorded"),
        (Role::Implementor, "", false, ""),
    ] {
        let world = world(role, policy, None, is_full);
        let answer = world.index.look_up(&npm(NAME), now());
        let Lookup::Unavailable { reason } = answer else { panic!("{role:?}: {answer:?}") };
        assert!(reason.contains(wanted), "{reason}");
        assert_eq!(world.server.asked(), Vec::<String>::new(), "{role:?}");
        drop(world.runtime);
    }
}

#[test]
fn answers_are_kept_for_a_while_and_for_their_own_name_and_index() {
    let place = tempfile::tempdir().unwrap();
    let cache = Some(place.path().to_owned());
    let first = world(Role::Gate, "", cache.clone(), false);
    let asks = AtomicUsize::new(0);
    let ask = |world: &World, name: &str, now: &str, more: usize, wanted: Lookup| {
        let before = world.server.asked().len();
        assert_eq!(world.index.look_up(&npm(name), now.parse().unwrap()), wanted, "{name} {now}");
        assert_eq!(world.server.asked().len(), before + more, "{name} {now}");
        asks.fetch_add(1, Ordering::Relaxed);
    };
    let absent = |days| Lookup::Absent { index_age_days: days };
    ask(&first, NAME, "2026-01-01T00:00:00Z", 1, KNOWN);
    ask(&first, NAME, "2026-01-01T23:00:00Z", 0, KNOWN);
    ask(&first, "nowhere", "2026-01-01T00:00:00Z", 1, absent(0));
    ask(&first, "nowhere", "2026-01-01T01:00:00Z", 0, absent(0));
    // too old, or from a time that has not come yet
    ask(&first, NAME, "2026-01-02T00:00:00Z", 1, KNOWN);
    ask(&first, NAME, "2026-01-01T00:00:00Z", 1, KNOWN);
    // what is damaged, or was put there for another name, is not believed
    let files: Vec<PathBuf> = std::fs::read_dir(place.path().join("npm"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2);
    let [one, other] = [&files[0], &files[1]].map(|path| std::fs::read(path).unwrap());
    std::fs::write(&files[0], &other).unwrap();
    std::fs::write(&files[1], &one[..one.len() - 3]).unwrap();
    ask(&first, NAME, "2026-01-01T00:00:01Z", 1, KNOWN);
    ask(&first, "nowhere", "2026-01-01T00:00:01Z", 1, absent(0));
    // another index has its own answers
    let second = world(Role::Gate, "", cache, false);
    ask(&second, NAME, "2026-01-01T00:00:01Z", 1, KNOWN);
    assert_eq!(asks.load(Ordering::Relaxed), 9);
}

#[test]
fn an_index_that_does_not_answer_is_waited_for_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = IndexServer::start(|_, stream| drop(stream.shutdown(std::net::Shutdown::Both)));
    let policy =
        PolicySet::load(&[PolicySource::new("standard.cedar", bailiwick_policy::STANDARD_TEXT)])
            .unwrap();
    let warden = Warden::new(Arc::new(policy), Arc::new(Ledger::default()), Arc::new(NoBudget));
    let configured = BTreeMap::from([(Ecosystem::Npm, OnlineIndexConfig::at(&server.url("/")))]);
    let remote = {
        let _inside = runtime.enter();
        OnlineIndexes::open(&configured, None, Arc::new(warden)).unwrap().unwrap()
    };
    let subject = Subject {
        role: Role::Gate,
        on_behalf_of: Person::parse("ada").unwrap(),
        task: None,
        subtask: None,
        session: None,
    };
    let index = remote.asked_by(subject, crate::command::trial::circumstances().unwrap(), None);
    for name in ["one", "two", "three"] {
        let answer = index.look_up(&npm(name), now());
        assert!(matches!(answer, Lookup::Unavailable { .. }), "{answer:?}");
    }
    assert_eq!(server.asked(), ["/one"]);
}
