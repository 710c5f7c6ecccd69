//! What surrounds the sandboxes: victims on the host, and somebody who gives permits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::event::Event;
use bailiwick_model::id::{BranchName, Person, RepoName, SessionId, TaskId};
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::{PolicySet, PolicySource};
use bailiwick_warden::{
    Bounds, BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden,
};
use tempfile::TempDir;

/// The ordinary user that the suite becomes when it is started as root.
pub(crate) const USER: u32 = 61_001;
/// The payload's user when the platform is root.
pub(crate) const PAYLOAD: u32 = bailiwick_sandbox::PAYLOAD_ID;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user that payloads have on the host.
pub(crate) fn payload_user() -> u32 {
    if is_root() { PAYLOAD } else { rustix::process::geteuid().as_raw() }
}

/// Everything that lives as long as the suite. Dropping it ends the victims.
pub(crate) struct World {
    _directory: TempDir,
    pub(crate) probe: PathBuf,
    words: BTreeMap<String, String>,
    victim: Child,
    segments: Vec<String>,
    _open: (TcpListener, UdpSocket, UnixListener, UnixListener, UnixDatagram, File),
}

impl World {
    pub(crate) fn new(probe: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("escape-world-").tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let root = directory.path().canonicalize().unwrap();
        let own = root.join("probe");
        fs::copy(probe, &own).unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o755)).unwrap();
        fs::write(root.join("secret"), "the host's secret\n").unwrap();
        // A file that is not closed when programs are started: what a careless library leaves.
        let leak = File::open(root.join("secret")).unwrap();
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let name = format!("bailiwick-escape-{}", std::process::id());
        let hidden =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let socket = root.join("docker.sock");
        let open = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, Permissions::from_mode(0o777)).unwrap();
        let datagram = root.join("journal.sock");
        let log = UnixDatagram::bind(&datagram).unwrap();
        fs::set_permissions(&datagram, Permissions::from_mode(0o777)).unwrap();
        let mut sleeper = Process::new("/bin/sleep");
        sleeper.arg("900").env("VICTIM_TOKEN", "of another session").stdin(Stdio::null());
        if is_root() {
            sleeper.uid(PAYLOAD).gid(PAYLOAD);
        }
        let victim = sleeper.spawn().unwrap();
        let mut words = BTreeMap::new();
        let mut set = |name: &str, value: String| words.insert(name.to_owned(), value);
        set("world", root.display().to_string());
        set("tcp", tcp.local_addr().unwrap().port().to_string());
        set("udp", udp.local_addr().unwrap().port().to_string());
        set("abstract", name);
        set("victim", victim.id().to_string());
        set("suite", std::process::id().to_string());
        set("payload", payload_user().to_string());
        for kind in ["mnt", "pid", "ipc", "uts", "net", "user", "cgroup"] {
            let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            set(&format!("ns_{kind}"), link.display().to_string());
        }
        // Made by the probe, so that no binding of System V is needed here.
        let segments = ["-M 64", "-Q", "-S 1"]
            .into_iter()
            .filter_map(|arguments| {
                let mut make = Process::new("ipcmk");
                make.args(arguments.split(' ')).args(["-p", "0666"]);
                let output = make.output().ok()?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.trim().rsplit(' ').next().map(str::to_owned)
            })
            .collect::<Vec<_>>();
        let table = |file: &str, id: Option<&String>| {
            let text = fs::read_to_string(format!("/proc/sysvipc/{file}")).unwrap_or_default();
            let key = text.lines().skip(1).find_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                (words.get(1).copied() == id.map(String::as_str))
                    .then(|| words.first().map(|key| (*key).to_owned()))?
            });
            key.unwrap_or_else(|| "1".to_owned())
        };
        let shm = table("shm", segments.first());
        let msg = table("msg", segments.get(1));
        let sem = table("sem", segments.get(2));
        for (name, key) in [("shm", shm), ("msg", msg), ("sem", sem)] {
            words.insert(name.to_owned(), key);
        }
        Self {
            _directory: directory,
            probe: own,
            words,
            victim,
            segments,
            _open: (tcp, udp, hidden, open, log, leak),
        }
    }

    /// A text with `{names}` replaced by what they stand for here and in a scene.
    pub(crate) fn fill(&self, text: &str, scene: &Path) -> String {
        let mut text = text.replace("{scene}", &scene.display().to_string());
        for (name, value) in &self.words {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.victim.kill());
        drop(self.victim.wait());
        for (flag, id) in ["-m", "-q", "-s"].into_iter().zip(&self.segments) {
            drop(Process::new("ipcrm").args([flag, id]).stderr(Stdio::null()).status());
        }
    }
}

struct Nowhere;

#[async_trait]
impl Journal for Nowhere {
    async fn append(&self, _: Vec<Event>) -> Result<u64, JournalError> {
        Ok(1)
    }
}

struct Free;

impl BudgetBook for Free {
    fn left(&self, _: TaskId) -> MicroUsd {
        MicroUsd(0)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Ok(Reservation { task, amount })
    }

    fn settle(&self, _: Reservation, _: MicroUsd) {}
}

/// A warden that permits everything: what is tested here is the boundary, not the policy.
pub(crate) fn warden() -> Warden {
    let text =
        "@id(\"everything\") @reason(\"a test\") permit(principal, action, resource);".to_owned();
    let policy =
        PolicySet::load(&[PolicySource { name: "everything.cedar".to_owned(), text }]).unwrap();
    let warden = Warden::new(Arc::new(policy), Arc::new(Nowhere), Arc::new(Free));
    hold(&warden);
    warden
}

/// An agent does nothing without a token: here one that allows everything.
fn hold(warden: &Warden) {
    let now = bailiwick_model::Timestamp::now();
    let bounds = Bounds::lasting(86_400, now);
    let token = warden.tokens().grant(&bounds, now).unwrap();
    warden.tokens().hold(session(), token);
}

fn session() -> SessionId {
    "01980000-0000-7000-8000-0000000000aa".parse().unwrap()
}

pub(crate) fn subject() -> Subject {
    let on_behalf_of = Person::parse("tester").unwrap();
    Subject {
        role: Role::Implementor,
        on_behalf_of,
        task: None,
        subtask: None,
        session: Some(session()),
    }
}

pub(crate) fn context() -> Context {
    Context {
        repo: RepoName::parse("project").unwrap(),
        protected_branch: BranchName::parse("main").unwrap(),
        taint: BTreeSet::new(),
        scope: vec!["**".to_owned()],
        budget_left: MicroUsd(u64::MAX),
        denials: 0,
        single_user: false,
        approvals: BTreeSet::new(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    }
}
