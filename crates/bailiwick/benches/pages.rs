//! What the pages cost: `cargo bench -p bailiwick --bench pages`.
//!
//! A data directory with 100,000 agent runs (tasks copied from one that the platform did itself),
//! one run of 10,000 steps and one change of 20,000 lines, and then:
//!
//! * the time from a request to the last byte of each page, p50 and p99;
//! * both large pages in Chromium, when `BAILIWICK_WEB_TOOLS` says where its driver is;
//! * how late the last of 500 watchers of one task's stream sees what happens;
//! * the bytes of first-party scripts.
//!
//! `BAILIWICK_BENCH_TASKS` makes fewer tasks, `BAILIWICK_BENCH_BINARY` measures another binary.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bailiwick_ledger::{LedgerDir, LogKey};
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::id::TaskId;
use bailiwick_store::{Query, Store, StoreConfig};
use bailiwick_warden::Journal as _;
use serde_json::{Value, json};
use uuid::Uuid;

const RUNS: usize = 100_000;
const STEPS: usize = 10_000;
const LINES: usize = 20_000;
const LOOKS: usize = 100;
const WATCHERS: usize = 500;
/// Entries that are appended in one piece.
const BATCH: usize = 2_000;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> Result<()> {
    // `cargo test --benches` only wants to see that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let bench = Bench::prepare(dir.path())?;
    say("| figure | value |");
    say("|---|---|");
    let server = Server::start(&bench)?;
    pages(&bench, &server)?;
    watchers(&server)?;
    scripts()?;
    browser(&bench, &server)
}

fn binary() -> PathBuf {
    let given = std::env::var_os("BAILIWICK_BENCH_BINARY");
    given.map_or_else(|| env!("CARGO_BIN_EXE_bailiwick").into(), PathBuf::from)
}

/// A data directory with a past.
struct Bench {
    root: PathBuf,
    /// A task like most.
    task: TaskId,
    /// One of many steps.
    long: TaskId,
    runs: usize,
    entries: u64,
}

impl Bench {
    fn prepare(root: &Path) -> Result<Self> {
        std::fs::write(root.join("site.toml"), CONFIG)?;
        std::fs::write(root.join("script.toml"), script())?;
        repository(&root.join("calc"))?;
        let mut bench = Self {
            root: root.to_owned(),
            task: TaskId::new(Uuid::nil()),
            long: TaskId::new(Uuid::now_v7()),
            runs: 0,
            entries: 0,
        };
        let server = Server::start(&bench)?;
        server.api("POST", "/repositories", &json!({"path": root.join("calc")}))?;
        let task = json!({"text": "Write the numbers down.", "repo": "calc"});
        let id = server.api("POST", "/tasks", &task)?;
        let id = id.get("id").and_then(Value::as_str).context("no task")?.to_owned();
        let end = Instant::now() + Duration::from_secs(300);
        loop {
            let state = server.api("GET", &format!("/tasks/{id}"), &Value::Null)?;
            if state.pointer("/stages/human_review/state") == Some(&json!("running")) {
                break;
            }
            ensure!(Instant::now() < end, "the task came to no pull request: {state}");
            std::thread::sleep(Duration::from_millis(200));
        }
        drop(server);
        let begun = Instant::now();
        bench.task = id.parse()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(bench.multiply())?;
        say(&format!(
            "{} runs in {} entries were written in {:.0} s\n",
            bench.runs,
            bench.entries,
            begun.elapsed().as_secs_f64()
        ));
        Ok(bench)
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Copies the task, ended, until there are enough runs; and one run with many steps.
    async fn multiply(&mut self) -> Result<()> {
        let key = self.data().join("keys/ledger.key");
        let store = Store::open(StoreConfig {
            dir: self.data().join("store"),
            ledger_dir: self.data().join("ledger"),
            open_ledger: Box::new(move |path| Ok(LedgerDir::open(path, LogKey::load(&key)?)?)),
        })?;
        let all = store.entries(Query::task(self.task)).await?;
        // The facts of a task, without what its commands and questions did: most of a page.
        let facts: Vec<&Entry> =
            all.iter().filter(|entry| matches!(entry.event, Event::Fact(_))).collect();
        let per_task = facts.iter().filter(|one| one.event.name() == "session_started").count();
        ensure!(per_task > 0, "the task has no run");
        let wanted = std::env::var("BAILIWICK_BENCH_TASKS").ok().and_then(|text| text.parse().ok());
        let tasks = wanted.unwrap_or_else(|| RUNS.div_ceil(per_task));
        let text = facts
            .iter()
            .map(|entry| serde_json::to_string(&entry.event))
            .collect::<Result<Vec<_>, _>>()?;
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..tasks {
            let mut ids = Ids::default();
            for event in &text {
                batch.push(serde_json::from_str::<Event>(&ids.anew(event))?);
            }
            batch.push(serde_json::from_str(&ids.anew(&over(self.task)?))?);
            if batch.len() >= BATCH {
                store.append(std::mem::take(&mut batch)).await?;
            }
        }
        self.runs = tasks * per_task;
        self.lengthen(&all, &mut batch)?;
        store.append(batch).await?;
        store.checkpoint().await?;
        self.entries = store.head().size;
        Ok(())
    }

    /// One run of many steps: each asks its model and reads a file.
    fn lengthen(&self, all: &[Entry], batch: &mut Vec<Event>) -> Result<()> {
        let mut ids = Ids::default();
        ids.0.insert(self.task.to_string(), self.long.to_string());
        let step = all.iter().position(|entry| entry.event.name() == "step_taken");
        let step = step.context("the task has no step")?;
        let begins = all.get(..step).context("no beginning")?.iter().rposition(|entry| {
            matches!(&entry.event, Event::Decided(decided) if decided.action.kind() == "model_call")
        });
        let begins = begins.context("the step asked no model")?;
        for entry in all.get(..begins).context("no beginning")? {
            batch.push(serde_json::from_str(&ids.anew(&serde_json::to_string(&entry.event)?))?);
        }
        let turn = all.get(begins..=step).context("no step")?;
        let turn = turn
            .iter()
            .map(|entry| serde_json::to_value(&entry.event))
            .collect::<Result<Vec<_>, _>>()?;
        for number in 1..=STEPS {
            // The same task and run, and every action another one.
            let mut once = ids.clone();
            for event in &turn {
                let mut event = event.clone();
                for place in ["/step", "/action/step"] {
                    if let Some(step) = event.pointer_mut(place) {
                        *step = json!(number);
                    }
                }
                batch.push(serde_json::from_str(&once.anew(&event.to_string()))?);
            }
        }
        // It is over, so that nobody takes it up again while it is looked at.
        batch.push(serde_json::from_str(&ids.anew(&over(self.task)?))?);
        Ok(())
    }
}

/// The end of a task, as JSON.
fn over(task: TaskId) -> Result<String> {
    Ok(serde_json::to_string(&Event::fact(Fact::TaskEnded {
        task,
        end: bailiwick_model::event::TaskEnd::Rejected,
        code: None,
        reason: "a person rejected the change".to_owned(),
        hint: None,
        cost: bailiwick_model::task::MicroUsd(0),
    }))?)
}

/// New ids for old ones, the same for the same.
#[derive(Default, Clone)]
struct Ids(HashMap<String, String>);

impl Ids {
    fn anew(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('"') {
            let (before, after) = rest.split_at(at + 1);
            out.push_str(before);
            let word = after.get(..36).filter(|word| Uuid::parse_str(word).is_ok());
            match word {
                Some(word) => {
                    let new = self.0.entry(word.to_owned());
                    out.push_str(new.or_insert_with(|| Uuid::now_v7().to_string()));
                    rest = after.get(36..).unwrap_or_default();
                }
                None => rest = after,
            }
        }
        out.push_str(rest);
        out
    }
}

const CONFIG: &str = "[platform]\nsingle_user = true\n[[provider]]\nname = \"from-file\"\nkind = \"scripted\"\nscript = \"script.toml\"\n";

/// A task whose change has many lines.
fn script() -> String {
    let plan = "{summary = \"Numbers.\", subtasks = [{key = \"numbers\", title = \"Numbers\", description = \"All of them.\", scope = {paths = [\"numbers.txt\"]}, acceptance = [{name = \"there\", command = \"test -s numbers.txt\"}]}]}";
    let reply = |role: &str, step: u32, tool: &str, input: &str| {
        format!(
            "[[reply]]\nrole = \"{role}\"\nstep = {step}\ntext = \"as in the script\"\n[[reply.tool]]\nname = \"{tool}\"\ninput = {input}\n"
        )
    };
    [
        reply("coordinator", 1, "submit_plan", plan),
        reply("implementor", 1, "read", "{path = \"Makefile\"}"),
        reply(
            "implementor",
            2,
            "run",
            &format!("{{command = \"seq -f 'line %.0f of many' 1 {LINES} > numbers.txt\"}}"),
        ),
        reply("implementor", 3, "finish", "{summary = \"written\"}"),
        reply("verifier", 1, "run", "{command = \"test -s numbers.txt\"}"),
        reply("verifier", 2, "submit_verdict", "{verdict = \"accepted\", summary = \"right\"}"),
        reply("reviewer", 1, "submit_review", "{summary = \"fine\"}"),
    ]
    .concat()
}

fn repository(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::write(path.join("Makefile"), ".PHONY: test\ntest:\n\ttrue\n")?;
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "begin"],
    ] {
        let status = Command::new("git").args(arguments).current_dir(path).status()?;
        ensure!(status.success(), "git {arguments:?}");
    }
    Ok(())
}

struct Server {
    child: Child,
    address: String,
    token: String,
    sign_in: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(bench: &Bench) -> Result<Self> {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--config"])
            .arg(bench.root.join("site.toml"))
            .arg("--data")
            .arg(bench.data())
            .current_dir(&bench.root)
            .env("USER", "ada")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut text = String::new();
        let said: Value = loop {
            ensure!(lines.read_line(&mut text)? > 0, "the server ended: {text}");
            if let Ok(said) = serde_json::from_str(&text) {
                break said;
            }
        };
        let part =
            |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let address = part("url").trim_start_matches("http://").to_owned();
        let sign_in = part("sign_in");
        let sign_in = sign_in.split_once(&address).context("no link")?.1.to_owned();
        Ok(Self { child, address, token: part("token"), sign_in })
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let headers =
            format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, &format!("/api/v1{path}"), &headers, &body)?;
        let (head, rest) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        let from = rest.find(['{', '[']).unwrap_or_default();
        let to = rest.rfind(['}', ']']).unwrap_or_default();
        Ok(serde_json::from_str(rest.get(from..=to).unwrap_or_default()).unwrap_or_default())
    }

    /// Signs in, and gives the header of the session.
    fn cookie(&self) -> Result<String> {
        let code = self.sign_in.split_once("code=").context("no code")?.1;
        let headers = format!(
            "content-type: application/x-www-form-urlencoded\r\norigin: http://{}\r\n",
            self.address
        );
        let answer = self.send("POST", "/sign-in", &headers, &format!("code={code}&next=%2F"))?;
        let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = line.and_then(|line| line.split(';').next()).context("no session")?;
        Ok(format!("cookie: {cookie}\r\naccept: text/html\r\n"))
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
}

fn pages(bench: &Bench, server: &Server) -> Result<()> {
    let cookie = server.cookie()?;
    let (task, long) = (bench.task, bench.long);
    for (name, path, looks) in [
        ("home", "/".to_owned(), LOOKS),
        ("tasks", "/tasks".to_owned(), LOOKS),
        ("tasks, words that no task has", "/tasks?q=zzzz".to_owned(), 3),
        ("a task", format!("/tasks/{task}"), LOOKS),
        ("a task of 10,000 steps", format!("/tasks/{long}"), 10),
        ("reviews", "/changes".to_owned(), LOOKS),
        ("a change of 20,000 lines", "/changes/calc/1".to_owned(), 10),
        ("approvals", "/approvals".to_owned(), LOOKS),
        ("policy", "/policy".to_owned(), LOOKS),
        ("audit", "/audit".to_owned(), LOOKS),
        ("an entry", format!("/audit/{}", bench.entries / 2), LOOKS),
        ("platform", "/platform".to_owned(), LOOKS),
    ] {
        let mut times = Vec::with_capacity(looks);
        for _ in 0..looks {
            let begun = Instant::now();
            let answer = server.send("GET", &path, &cookie, "")?;
            times.push(begun.elapsed());
            ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer:.300}");
        }
        let first = times.first().copied().unwrap_or_default().as_secs_f64() * 1_000.0;
        times.sort_unstable();
        say(&format!(
            "| {name}, at {} runs and {} entries: p50 / p99, the first | {:.0} / {:.0}, {first:.0} ms |",
            bench.runs,
            bench.entries,
            percentile(&times, 50),
            percentile(&times, 99)
        ));
    }
    Ok(())
}

/// How late watchers of a stream see an entry: from before it is asked for to its arrival.
fn watchers(server: &Server) -> Result<()> {
    let task = json!({"text": "Write the numbers down once more.", "repo": "calc"});
    let id = server.api("POST", "/tasks", &task)?;
    let id = id.get("id").and_then(Value::as_str).context("no task")?.to_owned();
    let mut watching = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS {
        let mut stream = TcpStream::connect(&server.address)?;
        write!(
            stream,
            "GET /api/v1/tasks/{id}/events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\nauthorization: Bearer {}\r\n\r\n",
            server.address, server.token
        )?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        watching.push(std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let mut lines = BufReader::new(stream).lines();
            let seen = lines.any(|line| line.is_ok_and(|line| line == "event: task_cancelled"));
            seen.then(Instant::now)
        })?);
    }
    std::thread::sleep(Duration::from_secs(5));
    let begun = Instant::now();
    server.api("POST", &format!("/tasks/{id}/cancel"), &json!({}))?;
    let mut delays = Vec::with_capacity(WATCHERS);
    for one in watching {
        match one.join() {
            Ok(Some(at)) => delays.push(at.saturating_duration_since(begun)),
            _ => bail!("a watcher saw nothing"),
        }
    }
    delays.sort_unstable();
    say(&format!(
        "| {WATCHERS} watchers of one task, from the request to its event: p50 / most | {:.0} / {:.0} ms |",
        percentile(&delays, 50),
        percentile(&delays, 100)
    ));
    Ok(())
}

fn scripts() -> Result<()> {
    let mut bytes = 0;
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"))? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "js") {
            bytes += std::fs::metadata(path)?.len();
        }
    }
    say(&format!("| first-party scripts, all pages together | {bytes} bytes |"));
    Ok(())
}

/// The two large pages in a browser, timed by the page's own clock.
fn browser(bench: &Bench, server: &Server) -> Result<()> {
    let Some(tools) = std::env::var_os("BAILIWICK_WEB_TOOLS") else {
        say("| in Chromium | not measured: `BAILIWICK_WEB_TOOLS` names no driver |");
        return Ok(());
    };
    let link = server.api("POST", "/sign-in-links", &json!({}))?;
    let link = link.get("path").and_then(Value::as_str).context("no link")?.to_owned();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/journeys/timed.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(format!("http://{}", server.address))
        .args([link, "/changes/calc/1".to_owned(), format!("/tasks/{}", bench.long)])
        .env("BAILIWICK_WEB_TOOLS", tools)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the browser failed");
    say(String::from_utf8_lossy(&output.stdout).trim_end());
    Ok(())
}
