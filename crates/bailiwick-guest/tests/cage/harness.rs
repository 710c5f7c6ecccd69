//! Running one cage and hearing its answer.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use bailiwick_guest::{
    Access, Cage, CageSpec, Ended, Guard, Limits, MARKER, Mount, Operation, Reply, cgroup,
    read_message, write_message,
};
use tempfile::TempDir;

/// Who starts the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    Root,
    User,
}

/// The ordinary user's id when the tests run as root.
pub(crate) const USER: u32 = 61_001;
/// The payload's id when the launcher is root.
pub(crate) const PAYLOAD: u32 = 61_000;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn starters() -> Vec<Starter> {
    if is_root() { vec![Starter::Root, Starter::User] } else { vec![Starter::User] }
}

impl Starter {
    /// The id that the payload has on the host.
    pub(crate) fn payload(self) -> u32 {
        match self {
            Self::Root => PAYLOAD,
            Self::User if is_root() => USER,
            Self::User => rustix::process::geteuid().as_raw(),
        }
    }
}

/// A workspace, a place beside it that no cage may reach, and a cage to be.
pub(crate) struct Scene {
    pub(crate) starter: Starter,
    pub(crate) cage: Cage,
    pub(crate) directory: TempDir,
    /// Files of the test that the launcher inherits.
    pub(crate) leak: Option<File>,
}

/// How a run went, with its output as text.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) reply: Reply,
}

pub(crate) fn limits() -> Limits {
    Limits {
        wall_clock_ms: 60_000,
        cpu_time_ms: 60_000,
        memory_bytes: 512 << 20,
        pids: 200,
        open_files: 1_024,
        file_size_bytes: 64 << 20,
        tmpfs_bytes: 64 << 20,
        output_bytes: 48 << 10,
        output_total_bytes: 256 << 20,
        disk_bytes: 4 << 30,
    }
}

impl Scene {
    pub(crate) fn new(starter: Starter) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new().prefix("cage-").tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["workspace", "beside", "bait"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        }
        let root = directory.path().canonicalize().unwrap();
        let name =
            format!("bailiwick-{}-t{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut cage = Cage::new(name, root.join("workspace"), limits(), PAYLOAD);
        cage.workspace_access = Access::ReadWrite;
        cage.cgroups =
            if starter == Starter::User && is_root() { Vec::new() } else { cgroup::detect().homes };
        // The attacker is this program; a hard link costs nothing and can be reached by anybody.
        let exe = std::env::current_exe().unwrap();
        let attacker = root.join("attacker");
        if fs::hard_link(&exe, &attacker).is_err() {
            fs::copy(&exe, &attacker).unwrap();
        }
        for (source, target) in [(attacker, "/attacker"), (root.join("bait"), "/bait")] {
            cage.mounts.push(Mount { source, target: target.into(), access: Access::ReadOnly });
        }
        if is_root() {
            rustix::fs::chown(
                root.join("workspace"),
                Some(rustix::process::Uid::from_raw(starter.payload())),
                Some(rustix::process::Gid::from_raw(starter.payload())),
            )
            .unwrap();
        }
        Self { starter, cage, directory, leak: None }
    }

    pub(crate) fn off(mut self, guards: &[Guard]) -> Self {
        self.cage.off = guards.to_vec();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    /// Starts the launcher and tells it what to do. Its standard input stays open with the child.
    pub(crate) fn start(&self, operation: Operation, parts: &[&[u8]]) -> Child {
        let mut command = Command::new("/proc/self/exe");
        command.arg(MARKER).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        if self.starter == Starter::User && is_root() {
            command.uid(USER).gid(USER);
        }
        if let Some(leak) = &self.leak {
            rustix::io::fcntl_setfd(leak, rustix::io::FdFlags::empty()).unwrap();
        }
        let mut child = command.spawn().unwrap();
        let spec = CageSpec { cage: self.cage.clone(), operation };
        write_message(child.stdin.as_mut().unwrap(), &spec, parts).unwrap();
        child
    }

    pub(crate) fn finish(child: &mut Child) -> (Reply, Vec<Vec<u8>>) {
        let answer = read_message(child.stdout.as_mut().unwrap()).unwrap();
        assert!(child.wait().unwrap().success());
        answer
    }

    pub(crate) fn ask(&self, operation: Operation, parts: &[&[u8]]) -> (Reply, Vec<Vec<u8>>) {
        Self::finish(&mut self.start(operation, parts))
    }

    pub(crate) fn exec(&self, argv: &[&str]) -> Operation {
        let env = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/agent")];
        Operation::Exec {
            argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
            env: env
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>(),
            cwd: ".".to_owned(),
        }
    }

    pub(crate) fn run(&self, argv: &[&str]) -> Ran {
        let (reply, parts) = self.ask(self.exec(argv), &[]);
        let Reply::Ran { ended, .. } = &reply else { panic!("{reply:?}") };
        let text = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(&parts[range].concat()).into_owned()
        };
        Ran { ended: *ended, out: text(0..2), err: text(2..4), reply }
    }

    /// Runs one attack and gives its one line.
    pub(crate) fn attack(&self, arguments: &[&str]) -> String {
        let own = self.path("attacker");
        let program = if self.cage.off.contains(&Guard::NewRoot) {
            own.to_str().unwrap()
        } else {
            "/attacker"
        };
        let argv: Vec<&str> =
            [program, super::attack::MARKER].into_iter().chain(arguments.iter().copied()).collect();
        let ran = self.run(&argv);
        match ran.ended {
            Ended::Exit { code: 0 } => ran.out.trim().to_owned(),
            ended => format!("{ended:?} {}{}", ran.out, ran.err).trim().to_owned(),
        }
    }
}

/// The processes of the machine whose command line has this word in it.
pub(crate) fn processes_with(word: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if arguments.contains(&word.as_bytes()) {
            found.push(pid);
        }
    }
    found
}

/// Whether a condition comes true within half a minute. Yields in between; says nothing of time.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs() < 30 {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

pub(crate) fn write(path: impl AsRef<Path>, content: &str) {
    fs::write(path, content).unwrap();
}
