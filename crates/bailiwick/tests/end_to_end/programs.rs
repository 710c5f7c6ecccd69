//! Agents that are programs of others, the real ones, at the versions that `cargo xtask test`
//! installs: from a task to a merged pull request, with a model server on loopback as their only
//! counterpart. Judged from git, the ledger, and what the model server was asked.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::generate::{self, Generated};
use crate::harness::{
    Conversation, Ledger, ModelServer, Protocol, Ran, Reply, Seed, Work, Workbench, git, sed,
};

/// Where the program of a kind was installed; without it the test says aloud that it was skipped.
fn installed(kind: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("BAILIWICK_AGENT_TOOLS").map(PathBuf::from);
    let place =
        tools.map(|tools| tools.join(kind)).filter(|place| place.join("installed").is_file());
    if place.is_none() {
        let line = format!("SKIPPED: no `{kind}` here; `cargo xtask test` installs it");
        eprintln!("{line}");
        if let Some(log) = std::env::var_os("BAILIWICK_SKIP_LOG") {
            use std::io::Write as _;
            let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
            writeln!(file.unwrap(), "{line}").unwrap();
        }
    }
    place
}

/// A run with `--yes`, by an agent's program.
struct Done {
    bench: Workbench,
    server: ModelServer,
    base: String,
    ran: Ran,
}

fn run(
    generated: &Generated,
    kind: &str,
    place: &Path,
    protocol: Protocol,
    brain: impl Fn(&Conversation) -> Reply + Send + Sync + 'static,
) -> Done {
    let bench = Workbench::new();
    let source = bench.path(&generated.name);
    git::make_repository(&source, &generated.files);
    let base = git::git(&source, &["rev-parse", "main"]);
    let server = ModelServer::start(protocol, brain);
    bench.write("bailiwick.toml", &format!("[[agent]]\nkind = {kind:?}\npath = {place:?}\n"));
    let model = server.arguments("made-up-model");
    let repo = source.to_str().unwrap();
    let mut arguments =
        vec!["run", &generated.task, "--repo", repo, "--agent", kind, "--yes", "--json"];
    arguments.extend(model.iter().map(String::as_str));
    let ran = bench.bailiwick(&arguments);
    Done { bench, server, base, ran }
}

fn work<'a>(generated: &'a Generated, asked: &Conversation) -> &'a Work {
    let works = &generated.scenario.works;
    works.iter().find(|work| asked.opening.contains(&work.title)).unwrap()
}

/// The edit as a command, and attempts to reach anything but the model.
fn command(work: &Work, host_port: u16) -> String {
    let mut text = format!("{} && echo edited\n", sed(&work.chain[0], &work.path));
    for address in [
        format!("127.0.0.1/{host_port}"),
        "10.0.0.1/80".to_owned(),
        "169.254.169.254/80".to_owned(),
        "1.1.1.1/443".to_owned(),
    ] {
        text.push_str(&format!(
            "timeout 5 bash -c 'exec 3<>/dev/tcp/{address} && echo REACHED {address}' 2>&1\n"
        ));
    }
    text.push_str("getent hosts api.anthropic.com api.openai.com || echo no names\n");
    text.push_str("cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '\n");
    // What stands for a key is said in words: the platform would take it out of the next request.
    text.push_str(
        "env | grep -E '^(ANTHROPIC|OPENAI|BAILIWICK|AWS|GITHUB).*(KEY|TOKEN|SECRET)' | sed -E 's/=(bailiwick-session)-.*/ holds a \\1/' | sort\n",
    );
    text
}

/// What holds for every program: judged from outside.
fn judge(done: &Done, generated: &Generated, kind: &str) -> Ledger {
    done.ran.expect(0);
    assert_eq!(done.ran.json()["standing"], "merged");
    let ledger = done.bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    let bare = done.bench.bare(&generated.name);
    assert_eq!(ledger.facts("merged").len(), 1);
    let commits = git::commits(&bare, &done.base, "main");
    let change = commits.iter().find(|commit| git::parents(&bare, commit).len() == 1).unwrap();
    assert_eq!(git::trailer(&bare, change, "Bailiwick-Agent"), [kind]);

    // Every question to a model was decided first, whoever asked, and nothing else was asked.
    assert_eq!(ledger.permitted("model_call").len(), done.server.calls().len());
    assert!(done.server.calls().iter().all(|call| call.model == "made-up-model"));

    // What the program was started with and what went through its door.
    let starts = ledger.permitted("agent_start");
    let start = starts.iter().find(|start| start["action"]["agent"] == kind).unwrap();
    let session = &start["subject"]["session"];
    let finished =
        ledger.events().find(|event| event["event"] == "finished" && event["id"] == start["id"]);
    let result = &finished.unwrap()["result"];
    assert_eq!(result["outcome"], "agent", "{result}");
    let traffic = &result["traffic"];
    let number = |field: &str| traffic[field].as_u64().unwrap();
    let calls: Vec<&Value> = ledger
        .permitted("model_call")
        .into_iter()
        .filter(|call| call["subject"]["session"] == *session)
        .collect();
    assert!(!calls.is_empty());
    // Each request was a call of the record, a question that never left, or refused.
    assert!(number("requests") >= calls.len() as u64 + number("refused"), "{traffic}");
    // The bytes of the socket are those of the bodies and their heads, and nothing beside.
    let heads = number("requests") * 8192;
    for (all, bodies) in [("bytes_out", "body_bytes_out"), ("bytes_in", "body_bytes_in")] {
        assert!(number(bodies) > 0, "{traffic}");
        assert!(number(all) > number(bodies), "{traffic}");
        assert!(number(all) - number(bodies) < heads + number("body_bytes_in") * 2, "{traffic}");
    }
    ledger
}

/// What the agent's own command found in its cage.
fn judge_cage(done: &Done, result: &str, host_port: u16) {
    assert!(result.contains("edited"), "{result}");
    assert!(!result.contains("REACHED"), "{result}");
    assert!(result.contains(&format!("/dev/tcp/127.0.0.1/{host_port}: Connection refused")));
    for address in ["10.0.0.1/80", "169.254.169.254/80", "1.1.1.1/443"] {
        assert!(
            result.contains(&format!("/dev/tcp/{address}: Network is unreachable")),
            "{result}"
        );
    }
    assert!(result.contains("no names"), "{result}");
    // One interface, and for a key a placeholder that names the session.
    let lines: Vec<&str> = result.lines().map(str::trim).collect();
    assert!(lines.contains(&"lo") && !lines.iter().any(|line| line.starts_with("eth")), "{result}");
    let secrets = lines.iter().filter(|line| {
        ["KEY ", "TOKEN ", "SECRET ", "KEY=", "TOKEN=", "SECRET="]
            .iter()
            .any(|word| line.contains(word))
    });
    let secrets: Vec<&&str> = secrets.collect();
    assert!(!secrets.is_empty(), "{result}");
    assert!(secrets.iter().all(|line| line.ends_with(" holds a bailiwick-session")), "{result}");
    let upstream = done.server.url();
    assert!(!result.contains(upstream.trim_start_matches("http://")), "{result}");
}

/// What a program is asked to do in its first turn, by the tool that it has for commands.
fn tool(kind: &str, command: &str) -> (&'static str, Value) {
    match kind {
        "claude-code" => ("Bash", json!({"command": command, "description": "mend"})),
        "opencode" => ("bash", json!({"command": command, "description": "mend"})),
        "qwen-code" => {
            let input = json!({"command": command, "description": "mend", "is_background": false});
            ("run_shell_command", input)
        }
        _ => ("exec_command", json!({"cmd": command, "yield_time_ms": 20_000})),
    }
}

fn check(kind: &'static str, protocol: Protocol) {
    let Some(place) = installed(kind) else { return };
    let generated = generate::mend(&mut Seed::new(), 0);
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let host_port = host.local_addr().unwrap().port();
    let known = generated.clone();
    let done = run(&generated, kind, &place, protocol, move |asked| {
        if asked.role != "implementor" {
            return known.scenario.answer(asked);
        }
        match asked.turns {
            0 => {
                let (tool, input) = tool(kind, &command(work(&known, asked), host_port));
                Reply::text("I mend it.").call(tool, input)
            }
            _ => Reply::text("The line is mended; the test passes."),
        }
    });
    let ledger = judge(&done, &generated, kind);
    let calls = done.server.calls();
    let told = calls.iter().find(|call| call.role == "implementor" && call.turns > 0).unwrap();
    // Some repeat the command before what came of it.
    let told = told.last_result();
    let told = told.split_once("\nOutput: ").map_or(told, |(_, output)| output);
    judge_cage(&done, told, host_port);

    // The steps that it told are in the record, with the tree of the end.
    let (tool, _) = tool(kind, "");
    let steps = ledger.facts("step_taken");
    let own = steps.iter().filter(|step| {
        step["results"].as_array().unwrap().iter().any(|result| result["tool"] == tool)
    });
    assert_eq!(own.count(), 1, "{steps:?}");
    let message = git::git(&done.bench.bare(&generated.name), &["log", "--format=%B", "main"]);
    assert!(message.contains("The line is mended; the test passes."), "{message}");
}

#[test]
fn claude_code_mends_a_defect_and_it_is_merged() {
    check("claude-code", Protocol::Anthropic);
}

#[test]
fn claude_code_with_a_model_of_another_family() {
    check("claude-code", Protocol::Openai);
}

#[test]
fn codex_with_a_model_that_has_no_responses_api() {
    check("codex", Protocol::Openai);
}

#[test]
fn codex_with_a_model_of_another_family() {
    check("codex", Protocol::Anthropic);
}

#[test]
fn opencode_mends_a_defect_and_it_is_merged() {
    check("opencode", Protocol::Openai);
}

#[test]
fn opencode_with_a_model_of_another_family() {
    check("opencode", Protocol::Anthropic);
}

#[test]
fn qwen_code_mends_a_defect_and_it_is_merged() {
    check("qwen-code", Protocol::Openai);
}

#[test]
fn qwen_code_with_a_model_of_another_family() {
    check("qwen-code", Protocol::Anthropic);
}

#[test]
fn agents_are_listed_and_a_kind_that_is_not_there_changes_nothing() {
    let bench = Workbench::new();
    let listed = bench.bailiwick(&["agents", "--json"]);
    let listed = listed.expect(0).json();
    assert_eq!(listed["agents"][0]["kind"], "builtin", "{listed}");
    let available: Vec<&str> = listed["available"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["kind"].as_str().unwrap())
        .collect();
    assert_eq!(available, ["claude-code", "codex", "opencode", "qwen-code"]);
    assert!(bench.bailiwick(&["agents"]).stdout.contains("npm install"));

    let generated = generate::mend(&mut Seed::new(), 0);
    let source = bench.path(&generated.name);
    git::make_repository(&source, &generated.files);
    let server = ModelServer::start(Protocol::Anthropic, generated.scenario.clone().brain());
    let model = server.arguments("made-up-model");
    let repo = source.to_str().unwrap();
    let mut arguments = vec!["run", &generated.task, "--repo", repo, "--agent", "codex", "--yes"];
    arguments.extend(model.iter().map(String::as_str));
    let ran = bench.bailiwick(&arguments);
    assert_eq!(ran.expect(1).error_code(), "agent.unknown");
    assert!(server.calls().is_empty());
    let tasks = bench.bailiwick(&["task", "list", "--json"]).expect(0).json();
    assert_eq!(tasks, json!([]));

    for (text, code) in [
        ("[[agent]]\nkind = \"codex\"\npath = \"nowhere\"\n", "agent.missing"),
        ("[[agent]]\nkind = \"cobol\"\npath = \".\"\n", "agent.missing"),
        (
            "[[agent]]\nkind = \"codex\"\npath = \"a\"\n[[agent]]\nkind = \"codex\"\npath = \"b\"\n",
            "config.invalid",
        ),
        ("[[agent]]\nkind = \"codex\"\n", "config.invalid"),
    ] {
        bench.write("bailiwick.toml", text);
        assert_eq!(bench.bailiwick(&["agents"]).expect(1).error_code(), code, "{text}");
    }
}

/// The platform is killed while a program waits for its model: the cage ends with it, the call that
/// was cut off counts, and the run begins anew on a clean workspace.
#[test]
fn a_program_whose_platform_was_killed_begins_anew() {
    let Some(place) = installed("codex") else { return };
    let generated = generate::mend(&mut Seed::new(), 0);
    let bench = Workbench::new();
    let source = bench.path(&generated.name);
    git::make_repository(&source, &generated.files);
    let (asked_again, waiting) = std::sync::mpsc::channel::<()>();
    let (go_on, killed) = std::sync::mpsc::channel::<()>();
    let (killed, first) = (std::sync::Mutex::new(killed), std::sync::atomic::AtomicBool::new(true));
    let known = generated.clone();
    let server = ModelServer::start(Protocol::Openai, move |asked| {
        if asked.role != "implementor" {
            return known.scenario.answer(asked);
        }
        let work = work(&known, asked);
        if asked.turns == 0 {
            let edit = sed(&work.chain[0], &work.path);
            let command = format!("ls; touch left-behind; {edit} && echo edited");
            let (tool, input) = tool("codex", &command);
            return Reply::text("I mend it.").call(tool, input);
        }
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            asked_again.send(()).unwrap();
            killed.lock().unwrap().recv().unwrap();
        }
        // The second run removes what it left, so that what the first left would show.
        match asked.turns {
            1 => {
                let (tool, input) = tool("codex", "rm left-behind");
                Reply::text("I tidy up.").call(tool, input)
            }
            _ => Reply::text("Done."),
        }
    });
    bench.write(
        "bailiwick.toml",
        &format!(
            "[task]\nmodel = \"made-up-model\"\n[[provider]]\nname = \"p\"\nkind = \"openai\"\nbase_url = {:?}\nprice = \"free\"\n[[agent]]\nkind = \"codex\"\npath = {place:?}\n",
            server.url()
        ),
    );
    let repo = source.to_str().unwrap();
    let mut child = bench
        .command(&["run", &generated.task, "--repo", repo, "--agent", "codex", "--yes", "--json"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    waiting.recv().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    go_on.send(()).unwrap();

    let tasks = bench.bailiwick(&["task", "list", "--json"]).expect(0).json();
    let task = tasks[0]["id"].as_str().unwrap();
    bench.bailiwick(&["task", "resume", task]).expect(0);
    let ledger = bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    assert_eq!(ledger.facts("merged").len(), 1);
    let starts = ledger.permitted("agent_start");
    let starts: Vec<_> =
        starts.iter().filter(|start| start["action"]["agent"] == "codex").collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert_eq!(starts[0]["subject"]["session"], starts[1]["subject"]["session"]);
    // No number of a call was given twice.
    let calls = ledger.permitted("model_call");
    let mut numbers: Vec<u64> = calls
        .iter()
        .filter(|call| call["subject"]["session"] == starts[0]["subject"]["session"])
        .map(|call| call["action"]["step"].as_u64().unwrap())
        .collect();
    let count = numbers.len();
    numbers.dedup();
    assert_eq!((numbers.len(), numbers.first()), (count, Some(&1)), "{numbers:?}");
    let interrupted = ledger.events().filter(|event| {
        event["event"] == "finished" && event["result"]["code"] == "platform.interrupted"
    });
    assert_eq!(interrupted.count(), 2, "the program and its call");
    // The second run did not find what the first had left.
    let listings: Vec<String> = server
        .calls()
        .iter()
        .filter(|call| call.role == "implementor" && call.turns == 1)
        .map(|call| call.last_result().to_owned())
        .collect();
    assert_eq!(listings.len(), 2);
    assert!(listings.iter().all(|listing| !listing.contains("left-behind")), "{listings:?}");
    assert!(
        !git::git(&bench.bare(&generated.name), &["ls-tree", "--name-only", "main"])
            .contains("left-behind")
    );
}
