//! One table of every error path that ends a decision or a policy: each is forced, each ends in a
//! refusal with a code of its own, and nothing is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_ledger::{LedgerDir, LogKey, LogName, Note};
use bailiwick_model::Timestamp;
use bailiwick_model::action::{Act, Action};
use bailiwick_model::event::Event;
use bailiwick_model::id::{Person, RepoName, SessionId, TaskId};
use bailiwick_model::identity::RepoRight;
use bailiwick_model::outcome::NoEffect;
use bailiwick_model::subject::{Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::{
    BUNDLE_CODES, CODES, Heading, PolicySet, PolicySource, manifest, parse_action, usual_context,
    write,
};
use bailiwick_store::{Store, StoreConfig};
use bailiwick_warden::{
    ActError, Bounds, BudgetBook, BudgetExceeded, ForgeRights, Journal, JournalError, RIGHTS_CODES,
    Reservation, RightsError, SessionToken, TOKEN_CODES, Use, Warden,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::{Serve, Workbench, wait};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    decision: Vec<Decision>,
    fault: Vec<Fault>,
    bundle: Vec<BadBundle>,
    elsewhere: Vec<Elsewhere>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    name: String,
    policy: String,
    action: String,
    scope: Option<Vec<String>>,
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    fault: String,
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadBundle {
    bad: String,
    code: String,
    place: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    code: String,
    test: String,
}

fn table() -> Table {
    toml::from_str(include_str!("fail_closed.toml")).unwrap()
}

#[test]
fn every_code_that_there_is_has_its_row() {
    let table = table();
    let mut rows: BTreeSet<&str> = table.decision.iter().map(|row| row.code.as_str()).collect();
    rows.extend(table.fault.iter().map(|row| row.code.as_str()));
    rows.extend(table.bundle.iter().map(|row| row.code.as_str()));
    for row in &table.elsewhere {
        let (file, name) = row.test.split_once(": ").unwrap();
        assert_eq!(file, "policy.rs");
        let text = include_str!("policy.rs");
        assert!(text.contains(&format!("fn {name}()")) && text.contains(&row.code), "{}", row.code);
        rows.insert(&row.code);
    }
    let tables = [
        CODES.as_slice(),
        BUNDLE_CODES.as_slice(),
        TOKEN_CODES.as_slice(),
        RIGHTS_CODES.as_slice(),
    ];
    let mut known: BTreeSet<&str> = tables.into_iter().flatten().map(|(code, _)| *code).collect();
    known.extend(["safeguards.unreadable", "ledger.unwritable", "ledger.outcome_unwritable"]);
    assert_eq!(rows, known);
}

/// A ledger in memory that fails from the nth append on.
struct Book {
    appends: Mutex<Vec<Vec<Event>>>,
    fails_at: Option<usize>,
}

#[async_trait]
impl Journal for Book {
    async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
        let mut appends = self.appends.lock().unwrap();
        if self.fails_at.is_some_and(|at| appends.len() >= at) {
            return Err(JournalError { message: "the disk is full".to_owned(), source: None });
        }
        appends.push(events);
        Ok(0)
    }
}

struct Rich;

impl BudgetBook for Rich {
    fn left(&self, _task: TaskId) -> MicroUsd {
        MicroUsd(u64::MAX)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Ok(Reservation { task, amount })
    }

    fn settle(&self, _reservation: Reservation, _cost: MicroUsd) {}
}

/// A forge that says this of everybody, or nothing.
struct Forge(Option<RepoRight>);

#[async_trait]
impl ForgeRights for Forge {
    async fn right_of(&self, _: &Person, _: &RepoName) -> Result<RepoRight, RightsError> {
        self.0.ok_or_else(|| RightsError { message: "no answer".to_owned() })
    }
}

/// What is asked, on a warden in which something may be wrong.
struct Stand {
    warden: Warden,
    subject: Subject,
    action: Action,
    scope: Vec<String>,
}

const ALL: &str = "@id(\"all\") @reason(\"r\") permit(principal, action, resource);";

impl Stand {
    fn new(policy: &str, action: &str, fails_at: Option<usize>) -> Self {
        let policy = PolicySet::load(&[PolicySource::new("p.cedar", policy)]).unwrap();
        let book = Arc::new(Book { appends: Mutex::default(), fails_at });
        let warden = Warden::new(Arc::new(policy), book, Arc::new(Rich));
        let session: SessionId = "01980000-0000-7000-8000-0000000000aa".parse().unwrap();
        let subject = Subject {
            role: Role::Implementor,
            on_behalf_of: Person::parse("ada").unwrap(),
            task: None,
            subtask: None,
            session: Some(session),
        };
        let action = parse_action(action, "shop", "ada").unwrap();
        let stand = Self { warden, subject, action, scope: vec!["**".to_owned()] };
        stand.hold(stand.grant(3600));
        stand
    }

    fn grant(&self, seconds: i64) -> SessionToken {
        let now = Timestamp::now();
        self.warden.tokens().grant(&Bounds::lasting(seconds, now), now).unwrap()
    }

    fn hold(&self, token: SessionToken) {
        self.warden.tokens().hold(self.subject.session.unwrap(), token);
    }

    /// Does it; gives the code, and whether it was done.
    fn act(&self) -> (String, bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            match self.action.clone() {
                Action::ModelCall(act) => self.perform(act).await,
                Action::Command(act) => self.perform(act).await,
                Action::FileWrite(act) => self.perform(act).await,
                other => panic!("{other:?}"),
            }
        })
    }

    async fn perform<A: Act>(&self, act: A) -> (String, bool) {
        let context = json!({"scope": self.scope});
        let context = usual_context("shop", context.as_object().unwrap()).unwrap();
        let done = Mutex::new(false);
        let result = self
            .warden
            .perform(&self.subject, &context, act, |_permit| async {
                *done.lock().unwrap() = true;
                Ok::<(), NoEffect>(())
            })
            .await;
        let done = *done.lock().unwrap();
        (result.as_ref().map_or_else(ActError::code, |()| "done".to_owned()), done)
    }
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

#[test]
fn whatever_the_evaluator_can_not_decide_is_not_done() {
    for row in table().decision {
        // The control: the same is done where policy simply allows it.
        let control = Stand::new(ALL, &row.action, None);
        assert_eq!(control.act(), ("done".to_owned(), true), "{}", row.name);
        let mut stand = Stand::new(&row.policy, &row.action, None);
        stand.scope = row.scope.unwrap_or(stand.scope);
        assert_eq!(stand.act(), (row.code, false), "{}", row.name);
    }
}

#[test]
fn whatever_is_wrong_on_the_way_ends_in_a_refusal_of_its_own() {
    for row in table().fault {
        let fails_at = match row.fault.as_str() {
            "a ledger that can't be written before" => Some(0),
            "a ledger that can't be written after" => Some(1),
            _ => None,
        };
        let control = Stand::new(ALL, "command: true", None);
        assert_eq!(control.act(), ("done".to_owned(), true));
        let mut stand = Stand::new(ALL, "command: true", fails_at);
        let bench = Workbench::new();
        break_it(&mut stand, &row.fault, &bench);
        let (code, done) = stand.act();
        assert_eq!(code, row.code, "{}", row.fault);
        // What can't be recorded afterwards was done, and says that it may have been.
        assert_eq!(done, code == "ledger.outcome_unwritable", "{}", row.fault);
    }
}

fn break_it(stand: &mut Stand, fault: &str, bench: &Workbench) {
    let tokens = stand.warden.tokens();
    let session = stand.subject.session.unwrap();
    let bytes = stand.grant(3600).as_bytes().to_vec();
    let block = |code: &str| {
        use biscuit_auth::{BlockBuilder, UnverifiedBiscuit};
        let block = BlockBuilder::new().code(code).unwrap();
        let parent = stand.grant(3600);
        let parent = UnverifiedBiscuit::from(parent.biscuit().unwrap()).unwrap();
        SessionToken::around(&parent.append(block).unwrap().to_vec().unwrap())
    };
    match fault {
        "no token" => stand.subject.session = None,
        "a token that is text" => stand.hold(SessionToken::from_bytes(b"I may, I may".to_vec())),
        "half a token" => stand.hold(SessionToken::from_bytes(bytes[..bytes.len() / 2].to_vec())),
        "a token of 70 000 bytes" => stand.hold(SessionToken::from_bytes(vec![0; 70_000])),
        "a token of another platform" => {
            stand.hold(Stand::new(ALL, "command: true", None).grant(3600));
        }
        "a token with another end" => {
            // The last byte of the proof, which is a key.
            let mut altered = bytes;
            *altered.last_mut().unwrap() ^= 1;
            stand.hold(SessionToken::from_bytes(altered));
        }
        "a token of yesterday" => stand.hold(stand.grant(-86_400)),
        "a token of a run that ended" => tokens.end(session, Timestamp::now()),
        "a clock that went back" => {
            let context = usual_context("shop", &serde_json::Map::new()).unwrap();
            let seen = Use {
                subject: &stand.subject,
                context: &context,
                action: &stand.action,
                estimate: MicroUsd(0),
                now: later(3000),
            };
            tokens.verify(&stand.grant(3600), &seen).unwrap();
        }
        "a token with a fact in it" => stand.hold(block("kind(\"command\");")),
        "a token of another repository" => {
            let bounds = Bounds { repo: RepoName::parse("bank").ok(), ..Bounds::default() };
            stand.hold(stand.grant(3600).narrow(&bounds).unwrap());
        }
        "a token that can't be worked out" => {
            stand.hold(block("check if estimate($e), $e + 9223372036854775807 + 1 > 0;"));
        }
        "a person without the right" => {
            with(stand, |warden| warden.with_rights(Arc::new(Forge(Some(RepoRight::Nothing)))));
        }
        "a forge without an answer" => {
            with(stand, |warden| warden.with_rights(Arc::new(Forge(None))));
        }
        "a freeze order that can't be read" => {
            let store = store(bench.path("store-of-people"));
            std::fs::create_dir_all(store.dir().join("freeze")).unwrap();
            std::fs::write(store.dir().join("freeze/order.json"), "{").unwrap();
            with(stand, |warden| warden.with_safeguards(Arc::new(store)));
        }
        "a ledger that can't be written before" | "a ledger that can't be written after" => {}
        other => panic!("no such fault: {other}"),
    }
}

/// Changes the warden of a stand, which is then another one: its token is made anew.
fn with(stand: &mut Stand, change: impl FnOnce(Warden) -> Warden) {
    let fresh = Stand::new(ALL, "command: true", None);
    stand.warden = change(fresh.warden);
    stand.hold(stand.grant(3600));
}

fn store(dir: PathBuf) -> Store {
    let config = StoreConfig {
        dir: dir.join("store"),
        ledger_dir: dir.join("ledger"),
        open_ledger: Box::new(|path| {
            let name: LogName = "test".parse()?;
            Ok(LedgerDir::open(path, LogKey::from_seed(name, &[7; 32]))?)
        }),
    };
    Store::open(config).unwrap()
}

/// A site whose policy is a bundle that the test signs itself, whatever is in it.
struct Site {
    bench: Workbench,
    config: String,
}

const GOOD: &str = "include = [\"standard\"]\n[commands]\ndeny = [\"one-tool\"]\n";

/// What a bad bundle would allow, if it came into force.
const WIDE: &str = "@id(\"too-wide\") @reason(\"r\")\npermit(principal, action, resource);\n";

impl Site {
    fn new() -> Self {
        let bench = Workbench::new();
        let key = bench.bailiwick(&["policy", "key", "policy.key"]).expect(0).stdout.clone();
        bench.bailiwick(&["policy", "key", "other.key"]).expect(0);
        let config =
            format!("[policy]\nbundle = \"acme.bundle\"\ntrusted_keys = [\"{}\"]\n", key.trim());
        let config = bench.write("site.toml", &config).to_str().unwrap().to_owned();
        Self { bench, config }
    }

    fn signed(&self, serial: u64, with: &Signed) -> String {
        let files: Vec<PolicySource> =
            with.files.iter().map(|(name, text)| PolicySource::new(*name, *text)).collect();
        let heading = Heading {
            name: "organisation".to_owned(),
            serial,
            created: later(with.made).to_string(),
            expires: with.ends.map(|seconds| later(seconds).to_string()),
        };
        let text = manifest(&heading, &files).unwrap();
        let key = LogKey::load(&self.bench.path(with.key)).unwrap();
        write(&Note::sign(&text, &key).to_text(), &files).unwrap()
    }

    fn put(&self, text: &str) {
        let new = self.bench.write("acme.new", text);
        std::fs::rename(new, self.bench.path("acme.bundle")).unwrap();
    }

    /// A bad bundle of this kind; nothing when it is the file's absence.
    fn bad(&self, kind: &str, serial: u64) -> Option<String> {
        let wide = |more: &Signed| self.signed(serial, more);
        let usual = Signed::of(&[("acme.toml", GOOD), ("wide.cedar", WIDE)]);
        let whole = wide(&usual);
        let deep = format!(
            "\n@id(\"deep\") @reason(\"r\") @hint(\"h\")\nforbid(principal, action, resource) when {{ {}true{} }};\n",
            "(".repeat(80),
            ")".repeat(80)
        );
        let ghosts = "\n@id(\"ghosts\") @gate(\"ghosts\") @reason(\"r\") @hint(\"h\")\nforbid(principal is Human, action == Action::\"repo_read\", resource) unless { context.approvals.contains(\"ghosts\") };\n";
        Some(match kind {
            "not a bundle" => "[]".to_owned(),
            "half of it" => whole.split_at(whole.len() / 2).0.to_owned(),
            "without a signature" => whole.replace("\\n\\n", "\\n"),
            "signed by somebody else" => wide(&Signed { key: "other.key", ..usual }),
            "another file than was signed" => whole.replace("one-tool", "any-tool"),
            "nine mebibytes" => " ".repeat(9 << 20),
            "an earlier number" => self.signed(1, &usual),
            "an end in the past" => wide(&Signed { made: -86_400, ends: Some(-3600), ..usual }),
            "made tomorrow" => wide(&Signed { made: 86_400, ..usual }),
            "a policy that is no Cedar" => {
                wide(&Signed::of(&[("acme.toml", GOOD), ("acme.cedar", "\npermit(")]))
            }
            "files that include each other" => wide(&Signed::of(&[
                ("acme.toml", "include = [\"more.toml\"]\n"),
                ("more.toml", "include = [\"acme.toml\"]\n"),
            ])),
            "a policy too complex to analyse" => {
                wide(&Signed::of(&[("acme.toml", GOOD), ("acme.cedar", &deep)]))
            }
            "a group that does not exist" => wide(&Signed::of(&[
                ("acme.toml", GOOD),
                ("acme.cedar", ghosts),
                ("wide.cedar", WIDE),
            ])),
            "no file any more" => return None,
            other => panic!("no such bundle: {other}"),
        })
    }
}

struct Signed<'a> {
    files: Vec<(&'a str, &'a str)>,
    key: &'static str,
    made: i64,
    ends: Option<i64>,
}

impl<'a> Signed<'a> {
    fn of(files: &[(&'a str, &'a str)]) -> Self {
        Self { files: files.to_vec(), key: "policy.key", made: 0, ends: None }
    }
}

#[test]
fn a_bad_bundle_is_refused_with_its_place_and_the_good_one_stays() {
    let site = Site::new();
    site.put(&site.signed(5, &Signed::of(&[("acme.toml", GOOD)])));
    let serve = Serve::start(&site.bench, &["--config", &site.config]);
    // Somebody has an account, so that groups are looked at.
    let account = json!({"name": "bob", "kind": "human", "roles": ["requester"]});
    let change = json!({"change": "account_added", "account": account});
    serve.api("POST", "/identity/changes", &change).expect(200);
    let look = || serve.get("/policy").expect(200).json();
    let good = look();
    assert_eq!(good["alerts"], json!([]), "{good}");
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for (at, row) in table().bundle.into_iter().enumerate() {
        let serial = 6 + u64::try_from(at).unwrap();
        match site.bad(&row.bad, serial) {
            Some(text) => site.put(&text),
            None => std::fs::remove_file(site.bench.path("acme.bundle")).unwrap(),
        }
        let is = |found: &Value| found["alerts"][0]["code"] == row.code;
        let found = wait(look, is);
        assert_eq!(found["digest"], good["digest"], "{}", row.bad);
        assert!(!found["text"].as_str().unwrap().contains("too-wide"), "{}", row.bad);
        let fault = found["alerts"][0]["faults"][0].as_str().unwrap();
        let place = fault.rsplit_once("/acme.bundle").map_or_else(
            || fault.to_owned(),
            |(before, rest)| {
                assert!(before.starts_with('/'), "{fault}");
                format!("acme.bundle{rest}")
            },
        );
        assert!(place.starts_with(&row.place), "{}: {fault}", row.bad);
        *refused.entry(row.code).or_default() += 1;
        // The good one again, so that the next is refused by itself.
        site.put(&site.signed(5, &Signed::of(&[("acme.toml", GOOD)])));
        wait(look, |found| found["alerts"] == json!([]));
    }
    // The control: a good bundle with the same rule is taken.
    site.put(&site.signed(90, &Signed::of(&[("acme.toml", GOOD), ("wide.cedar", WIDE)])));
    wait(look, |found| found["text"].as_str().unwrap().contains("too-wide"));
    assert_eq!(serve.stop(), Some(0));
    // Each stands in the ledger as an alert, with what stayed in force.
    let ledger = site.bench.verified_ledger();
    let mut recorded: BTreeMap<String, usize> = BTreeMap::new();
    for fact in ledger.facts("policy_refused") {
        assert_eq!(fact["in_force"], good["digest"]);
        *recorded.entry(fact["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(recorded, refused);
}
