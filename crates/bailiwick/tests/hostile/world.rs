//! The surroundings of one case: a repository, decoys on the host, listeners on loopback; and the
//! looks from outside that every case ends with.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::case::{Case, Model};

/// The longest that one program of a case may take.
const SECONDS: &str = "150";

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) canary: String,
    pub(crate) outputs: Vec<String>,
    pub(crate) server: Option<Child>,
    pub(crate) api: String,
    pub(crate) model: String,
    pub(crate) runs: usize,
    port: u16,
    connections: Arc<AtomicUsize>,
    datagrams: UdpSocket,
    decoys_before: String,
    base: String,
}

impl World {
    pub(crate) fn new(case: &Case) -> Self {
        let dir = tempfile::Builder::new().prefix("hostile").tempdir().unwrap();
        let root = dir.path().to_owned();
        let canary = format!("canary-{}", uuid::Uuid::now_v7().simple());
        let (port, connections) = listen(|_| String::new());
        let datagrams = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        for (path, text) in [
            ("home/.cargo/credentials.toml", format!("[registry]\ntoken = \"{canary}\"\n")),
            ("home/.cargo/registry/index/keep", String::new()),
            ("home/.ssh/id_ed25519", format!("{canary}\n")),
            ("home/.bashrc", "# untouched\n".into()),
            (
                "home/.gitconfig",
                "[user]\n\tname = person\n\temail = person@example.invalid\n".into(),
            ),
            ("host/secret.txt", format!("{canary}\n")),
            ("host/run.sh", format!("echo {canary}\n")),
        ] {
            put(&root.join(path), &text);
        }
        // Only the platform's locks are to stand in the way, not the modes of the decoys.
        let open = Command::new("chmod").arg("-R").arg("a+rwX").arg(&root).status().unwrap();
        assert!(open.success());
        let mut world = Self {
            canary,
            outputs: Vec::new(),
            server: None,
            api: String::new(),
            model: String::new(),
            runs: 0,
            port,
            connections,
            datagrams,
            decoys_before: String::new(),
            base: String::new(),
            dir,
        };
        let repo = root.join("repo");
        put(&repo.join(".bailiwick/gates.toml"), "[tests]\ncommand = \"sh test.sh\"\n");
        put(&repo.join("test.sh"), "grep -q note src/note.txt\n");
        put(&repo.join("src/note.txt"), "a note\n");
        for (path, text) in &case.files {
            let text = world.fill(text);
            put(&repo.join(path), &text);
        }
        let prepare = case.prepare.clone().unwrap_or_default();
        let made = world.sh(&format!(
            "set -e; cd repo; git init -q -b main; {prepare}\ngit add -A -f; git commit -q -m base"
        ));
        assert!(made.status.success(), "{}", text_of(&made));
        world.decoys_before = world.decoys();
        world.base = world.base_now();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts the names of this world in place of `@NAME@`.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut text = text
            .replace("@DIR@", &self.dir.path().display().to_string())
            .replace("@DATA@", &self.path("data").display().to_string())
            .replace("@PORT@", &self.port.to_string())
            .replace("@API@", &self.api)
            .replace("@APIPORT@", self.api.rsplit(':').next().unwrap_or_default())
            .replace("@MODEL@", &self.model)
            .replace("@ESC@", "\u{1b}")
            .replace("@RLO@", "\u{202e}")
            .replace("@NUL@", "\u{0}");
        for (name, reference) in [("@HEAD@", "refs/pull/1/head"), ("@MAIN@", "refs/heads/main")] {
            if text.contains(name) {
                text = text.replace(name, &self.reference(reference));
            }
        }
        if text.contains("@TOKEN@") {
            text = text.replace("@TOKEN@", &self.token());
        }
        while let Some((before, rest)) = text.split_once("@BIG:") {
            let (count, after) = rest.split_once('@').unwrap();
            text = format!("{before}{}{after}", "A".repeat(count.parse().unwrap()));
        }
        text
    }

    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.path("data/keys/api.token")).unwrap_or_default().trim().to_owned()
    }

    fn reference(&self, name: &str) -> String {
        let out = self
            .command("git")
            .arg("-C")
            .arg(self.path("data/forge/repo.git"))
            .args(["rev-parse", "--verify", "--quiet", name])
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// A program with a cleared environment, the case's directory and a limit of time.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", SECONDS, program]);
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("USER", "alice")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // What a cage must not get to see.
            .env("HOSTILE_CANARY", &self.canary);
        command
    }

    pub(crate) fn platform(&self) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_bailiwick"));
        command.arg("--data").arg(self.path("data"));
        command
    }

    pub(crate) fn sh(&mut self, text: &str) -> Output {
        let text = self.fill(text);
        let output = self
            .command("bash")
            .args(["-c", &text])
            .env("BW", env!("CARGO_BIN_EXE_bailiwick"))
            .env("BAILIWICK_DATA", self.path("data"))
            .env("DATA", self.path("data"))
            .env("FORGE", self.path("data/forge/repo.git"))
            .env("TOKEN", self.token())
            .env("API", &self.api)
            .env("GITURL", self.api.replace("http://", &format!("http://me:{}@", self.token())))
            .output()
            .unwrap();
        self.outputs.push(text_of(&output));
        output
    }

    pub(crate) fn serve(&mut self, args: &[String]) {
        use std::io::BufRead as _;
        let mut child = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        child
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(self.path("data"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("USER", "alice")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null());
        let mut child = child.spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        self.server = Some(child);
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains("http://"));
        let line = line.expect("the server says its address");
        let rest = line.split_once("http://").unwrap().1;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
        self.api = format!(
            "http://{}",
            rest.get(..end.unwrap_or(rest.len())).unwrap().trim_end_matches('.')
        );
        // A full pipe must not stop the server.
        std::thread::spawn(move || lines.map_while(Result::ok).count());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.server.take() {
            let pid = child.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status().unwrap();
            child.wait().unwrap();
        }
    }

    /// One raw request; the status and the whole answer.
    pub(crate) fn http(&mut self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.api.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // The server may hang up before a body that is too large has arrived.
        drop(stream.write_all(body));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        self.outputs.push(answer.clone());
        (status.unwrap_or(0), answer)
    }

    pub(crate) fn serve_model(&mut self, model: &Model) {
        let model = Model { body: self.fill(&model.body), ..model.clone() };
        let (port, _) = listen(move |stream| {
            let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", model.status);
            for (name, value) in &model.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            let mut request = [0; 65536];
            let read = stream.read(&mut request).unwrap_or(0);
            // What the server was told it may say again: the key, if the body asks for it.
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let key = request.split("earer ").nth(1).and_then(|rest| rest.split('\r').next());
            let body = model.body.replace("@KEY@", key.unwrap_or_default());
            drop(stream.write_all(head.as_bytes()));
            while stream.write_all(body.as_bytes()).is_ok() && model.endless {}
            String::new()
        });
        self.model = format!("http://127.0.0.1:{port}");
    }

    /// The decoys as they are: names, modes, sizes and contents.
    fn decoys(&self) -> String {
        let out = Command::new("sh")
            .arg("-c")
            .arg("find host home -printf '%p %y %m %s %l\n' | sort; find host home -type f -print0 | sort -z | xargs -0 cksum")
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// The imported repository: its references, configuration, hooks and work tree.
    fn base_now(&mut self) -> String {
        let out = self.sh(
            "cd repo; git for-each-ref; cat .git/config; ls .git/hooks | sort; git status --porcelain -uall --ignored",
        );
        text_of(&out)
    }

    /// What must hold at the end of every case, whatever it tried.
    pub(crate) fn look_from_outside(&mut self, case: &Case) -> Vec<String> {
        let mut wrong = Vec::new();
        self.stop();
        // The control of the listener: a connection does arrive and is counted.
        drop(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        let mut buffer = [0; 16];
        if self.datagrams.recv(&mut buffer).is_ok() {
            wrong.push("a datagram left the cage".into());
        }
        while self.connections.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let connections = self.connections.load(Ordering::SeqCst);
        if connections != 1 {
            wrong.push(format!("{} connections left the cage", connections - 1));
        }
        if self.decoys() != self.decoys_before {
            wrong.push(format!("files of the host were changed: {}", self.decoys()));
        }
        let base = self.base_now();
        if base != self.base {
            wrong.push(format!("the imported repository was changed: {base}"));
        }
        let mut secrets = vec![("the decoy", self.canary.clone())];
        for name in ["ledger.key", "api.token"] {
            if let Ok(key) = fs::read_to_string(self.path("data/keys").join(name)) {
                secrets.push((name, key.trim().to_owned()));
            }
        }
        for (what, secret) in &secrets {
            if *what != "api.token" && self.outputs.iter().any(|output| output.contains(secret)) {
                wrong.push(format!("{what} is in an output"));
            }
            for below in ["data/ledger", "data/work", "data/forge", "data/store"] {
                let found = Command::new("grep")
                    .args(["-rlaF", "--", secret])
                    .arg(self.path(below))
                    .output()
                    .unwrap();
                if !found.stdout.is_empty() {
                    wrong.push(format!("{what} is in {}", String::from_utf8_lossy(&found.stdout)));
                }
            }
        }
        let ledger = self.path("data/ledger");
        if ledger.exists() && !case.damages_ledger {
            let verified =
                self.platform().args(["ledger", "verify"]).arg(&ledger).output().unwrap();
            if !verified.status.success() {
                wrong.push(format!("the ledger does not verify: {}", text_of(&verified)));
            }
        }
        wrong
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Accepts connections on loopback for as long as the test runs, and counts them.
fn listen(
    answer: impl Fn(&mut TcpStream) -> String + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            answer(&mut stream);
        }
    });
    (port, count)
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn text_of(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
