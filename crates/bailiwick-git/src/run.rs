//! The one hardened runner. Nothing else in Bailiwick starts `git`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Exit, GitError};
use crate::known::Known;

/// Configuration given on each command line, where it overrides what any repository says.
const CONFIG: &[&str] = &[
    // nothing that a repository can name is ever run
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sshCommand=false",
    "core.askPass=",
    "core.alternateRefsCommand=",
    "core.pager=cat",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "receive.autogc=false",
    // the working tree is what the tree says, byte for byte
    "core.symlinks=true",
    "core.fileMode=true",
    "core.ignoreCase=false",
    "core.precomposeUnicode=false",
    "core.protectNTFS=true",
    "core.protectHFS=true",
    "core.autocrlf=false",
    "core.eol=lf",
    "core.safecrlf=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.trustctime=true",
    "core.checkStat=default",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.sparseCheckout=false",
    "index.sparse=false",
    // the same answer whatever a repository prefers
    "core.quotePath=true",
    "diff.algorithm=histogram",
    "diff.renames=true",
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.renormalize=false",
    "i18n.commitEncoding=utf-8",
    "i18n.logOutputEncoding=utf-8",
    "safe.directory=*",
    "safe.bareRepository=all",
    // what the ledger names survives a power cut
    "core.fsync=committed,reference",
    "core.fsyncMethod=batch",
];

/// Bounds on one git process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most wall-clock time.
    pub timeout: Duration,
    /// The most bytes of standard output.
    pub output_bytes: u64,
}

impl Limits {
    /// Two minutes and 64 MiB.
    pub const STANDARD: Self = Self { timeout: Duration::from_secs(120), output_bytes: 64 << 20 };
}

/// The server side of git's transport, spoken over the standard streams of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Serves a fetch or a clone.
    UploadPack,
    /// Takes a push.
    ReceivePack,
}

impl Service {
    /// The service's name in requests, such as `git-upload-pack`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// Parses the name used in requests.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::UploadPack, Self::ReceivePack].into_iter().find(|service| service.name() == name)
    }
}

/// One git directory, and the only way to run `git` on it.
#[derive(Debug, Clone)]
pub struct Git {
    git_dir: PathBuf,
    limits: Limits,
    /// The empty tree, whose (absent) attributes stand in for every `.gitattributes`.
    attributes: Option<&'static str>,
    known: Arc<Known>,
}

impl Git {
    pub(crate) fn unchecked(git_dir: PathBuf, limits: Limits) -> Self {
        Self { git_dir, limits, attributes: None, known: Arc::default() }
    }

    pub(crate) fn with_attributes(mut self, empty_tree: &'static str) -> Self {
        self.attributes = Some(empty_tree);
        self
    }

    /// The same repository with other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The git directory, absolute.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    pub(crate) fn command<const N: usize>(&self, args: [&str; N]) -> Invocation<'_> {
        Invocation {
            git: self,
            args: args.iter().map(OsString::from).collect(),
            work_tree: None,
            index: None,
            input: Vec::new(),
            transport: Transport::None,
            pathspecs: Pathspecs::Literal,
        }
    }

    /// Prepares a process that serves one request of git's smart HTTP protocol on its standard
    /// streams; the caller starts it, bounds it and waits for it.
    ///
    /// `protocol` is the request's `Git-Protocol` header and is dropped unless it is
    /// `version=0`, `1` or `2`. With `advertise` it lists the references instead.
    pub fn serve(&self, service: Service, protocol: Option<&str>, advertise: Advertise) -> Command {
        let mut command = self.prepare();
        for setting in [
            "uploadpack.allowAnySHA1InWant=false",
            "uploadpack.allowFilter=true",
            "receive.fsckObjects=true",
            "receive.advertisePushOptions=false",
            "receive.denyDeletes=false",
            "receive.shallowUpdate=false",
            "receive.maxInputSize=1g",
        ] {
            command.args(["-c", setting]);
        }
        command.arg(match service {
            Service::UploadPack => "upload-pack",
            Service::ReceivePack => "receive-pack",
        });
        command.arg("--stateless-rpc");
        match advertise {
            Advertise::References => {
                command.arg("--http-backend-info-refs");
            }
            Advertise::Nothing => {}
        }
        command.arg("--").arg(&self.git_dir);
        if let Some(version) =
            protocol.filter(|text| matches!(*text, "version=0" | "version=1" | "version=2"))
        {
            command.env("GIT_PROTOCOL", version);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn prepare(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_GRAFT_FILE", "/dev/null")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .env("GIT_ADVICE", "0")
            .env("GIT_DIR", &self.git_dir)
            .current_dir(&self.git_dir)
            .arg("--no-pager");
        for setting in CONFIG {
            command.args(["-c", setting]);
        }
        command
    }
}

/// Whether a transport process lists references or serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advertise {
    /// It lists the references (`info/refs`).
    References,
    /// It serves a request.
    Nothing,
}

/// Which protocols a git process may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    None,
    File,
}

/// One git process, before it runs.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    git: &'a Git,
    args: Vec<OsString>,
    work_tree: Option<PathBuf>,
    index: Option<PathBuf>,
    input: Vec<u8>,
    transport: Transport,
    pathspecs: Pathspecs,
}

/// Whether paths given to git are taken as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pathspecs {
    Literal,
    /// For the one command that refuses the other; its paths start with `./`.
    Prefixed,
}

impl Invocation<'_> {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn work_tree(mut self, path: &Path) -> Self {
        self.work_tree = Some(path.to_owned());
        self
    }

    pub(crate) fn index(mut self, path: &Path) -> Self {
        self.index = Some(path.to_owned());
        self
    }

    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    pub(crate) fn file_transport(mut self) -> Self {
        self.transport = Transport::File;
        self
    }

    pub(crate) fn prefixed_pathspecs(mut self) -> Self {
        self.pathspecs = Pathspecs::Prefixed;
        self
    }

    /// Runs to the end; only exit code 0 is a success.
    pub(crate) fn run(self) -> Result<Vec<u8>, GitError> {
        self.run_codes(&[0]).map(|(_, stdout)| stdout)
    }

    /// As [`Self::run`], for a question that names objects only by their ids: its answer never
    /// changes, and git is asked once.
    pub(crate) fn run_known(self) -> Result<Vec<u8>, GitError> {
        if let Some(answer) = self.git.known.answer(&self.args) {
            return Ok(answer);
        }
        let (known, question) = (Arc::clone(&self.git.known), self.args.clone());
        let answer = self.run()?;
        known.keep(question, &answer);
        Ok(answer)
    }

    /// Runs to the end and gives the exit code, which must be one of those expected.
    pub(crate) fn run_codes(self, expected: &[i32]) -> Result<(i32, Vec<u8>), GitError> {
        self.finish(expected).map(|(code, finished)| (code, finished.stdout))
    }

    /// Runs to the end and gives what it said on its standard error, although it succeeded.
    pub(crate) fn run_warnings(self) -> Result<String, GitError> {
        self.finish(&[0]).map(|(_, finished)| tail(&finished.stderr))
    }

    fn finish(mut self, expected: &[i32]) -> Result<(i32, Finished), GitError> {
        let name = self.name();
        let limits = self.git.limits;
        let mut command = self.git.prepare();
        if let Some(tree) = self.git.attributes {
            command.env("GIT_ATTR_SOURCE", tree);
        }
        if let Some(work_tree) = &self.work_tree {
            command.env("GIT_WORK_TREE", work_tree).current_dir(work_tree);
        }
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        match self.transport {
            Transport::None => {}
            Transport::File => {
                command.env("GIT_ALLOW_PROTOCOL", "file").env_remove("GIT_ATTR_SOURCE");
            }
        }
        match self.pathspecs {
            Pathspecs::Literal => {}
            Pathspecs::Prefixed => {
                command.env_remove("GIT_LITERAL_PATHSPECS");
            }
        }
        command.args(&self.args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = std::mem::take(&mut self.input);
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let child = command.spawn().map_err(|source| GitError::Start { source })?;
        let finished = supervise(child, input, limits, &name)?;
        let exit = finished.status.code().map_or(Exit::Signal, Exit::Code);
        match exit {
            Exit::Code(code) if expected.contains(&code) => Ok((code, finished)),
            Exit::Code(_) | Exit::Signal => {
                Err(GitError::Failed { command: name, exit, stderr: tail(&finished.stderr) })
            }
        }
    }

    fn name(&self) -> String {
        let words: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        words.join(" ").chars().take(300).collect()
    }
}

struct Finished {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

enum Report {
    Stdout(Option<Vec<u8>>),
    Stderr(Vec<u8>),
}

const STDERR_BYTES: usize = 8 << 10;

fn supervise(
    mut child: Child,
    input: Vec<u8>,
    limits: Limits,
    name: &str,
) -> Result<Finished, GitError> {
    let deadline = Instant::now() + limits.timeout;
    let (sender, reports) = mpsc::channel();
    // The threads are not joined: a process that outlives its parent could hold a pipe open.
    // They end with the pipe.
    if let Some(mut stdin) = child.stdin.take() {
        thread::spawn(move || {
            // a process that ends before it has read everything says why on its standard error
            stdin.write_all(&input).ok();
        });
    }
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(limits.output_bytes.saturating_add(1)).read_to_end(&mut bytes);
            let within = read.is_ok() && bytes.len() as u64 <= limits.output_bytes;
            sender.send(Report::Stdout(within.then_some(bytes))).ok();
        });
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || {
            sender.send(Report::Stderr(last_bytes(stderr))).ok();
        });
    }
    let timed_out = || GitError::TimedOut { command: name.to_owned(), limit: limits.timeout };
    let (mut stdout, mut stderr) = (None, None);
    while stdout.is_none() || stderr.is_none() {
        if Instant::now() >= deadline {
            stop(&mut child);
            return Err(timed_out());
        }
        match reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Report::Stdout(Some(bytes))) => stdout = Some(bytes),
            Ok(Report::Stdout(None)) => {
                stop(&mut child);
                let limit_bytes = limits.output_bytes;
                return Err(GitError::OutputTooLarge { command: name.to_owned(), limit_bytes });
            }
            Ok(Report::Stderr(bytes)) => stderr = Some(bytes),
            Err(_) => {
                stop(&mut child);
                return Err(timed_out());
            }
        }
    }
    loop {
        match child.try_wait().map_err(|source| GitError::Start { source })? {
            Some(status) => {
                let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
                return Ok(Finished { status, stdout, stderr });
            }
            None if Instant::now() >= deadline => {
                stop(&mut child);
                return Err(timed_out());
            }
            None => thread::sleep(Duration::from_micros(100)),
        }
    }
}

fn stop(child: &mut Child) {
    // both fail only when the process has already ended
    child.kill().ok();
    child.wait().ok();
}

fn last_bytes(mut stream: impl Read) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return kept,
            Ok(n) => {
                kept.extend(chunk.iter().take(n));
                let excess = kept.len().saturating_sub(STDERR_BYTES);
                kept.drain(..excess);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
    }
}

fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skip = lines.len().saturating_sub(8);
    lines.into_iter().skip(skip).collect::<Vec<_>>().join("; ")
}
