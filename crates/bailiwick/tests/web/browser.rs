//! In a real browser. `cargo xtask test` installs what it takes and says where it is; without it
//! these tests say aloud that they were skipped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::visit::{Visit, give_task};
use super::{remarks, steering};
use crate::harness::{Serve, Site};

/// Where the browser's driver was installed.
pub(super) fn tools() -> Option<PathBuf> {
    let tools = std::env::var_os("BAILIWICK_WEB_TOOLS").map(PathBuf::from);
    if tools.is_none() {
        eprintln!("SKIPPED: no browser here; `cargo xtask test` installs one");
    }
    tools
}

/// Runs a journey against a server; it fails with what the browser saw.
#[track_caller]
pub(super) fn journey(name: &str, tools: &Path, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/journeys").join(name);
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .env("BAILIWICK_WEB_TOOLS", tools)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{said}");
}

/// A journey that the test has a word with on its way.
struct Journey {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Journey {
    fn start(name: &str, tools: &Path, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/journeys").join(name);
        let mut child = Command::new("node")
            .arg(script)
            .args(arguments)
            .env("BAILIWICK_WEB_TOOLS", tools)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    #[track_caller]
    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), word, "the journey ended before");
    }

    fn say(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    #[track_caller]
    fn end(mut self) {
        assert!(self.child.wait().unwrap().success(), "what the browser saw stands above");
    }
}

/// A link that signs in once more.
fn another_link(site: &Site) -> String {
    let link = site.bench.bailiwick(&["sign-in", "--json"]).json()["url"].clone();
    let link = link.as_str().unwrap();
    link.get(link.find("/sign-in").unwrap()..).unwrap().to_owned()
}

#[test]
fn a_change_is_read_and_approved_with_scripts_off() {
    let Some(tools) = tools() else { return };
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let id = {
        let visit = Visit::with_link(&serve, &another_link(&site));
        let id = give_task(&site, &visit);
        visit.until(&id, "change_published");
        id
    };
    let change = format!("/changes/{}/1", site.generated.name);
    let base = format!("http://{}", serve.address);
    let task = format!("/tasks/{id}");
    journey("scriptless.mjs", &tools, &[&base, &serve.sign_in, &change, &task]);
    drop(serve);
    let ledger = site.bench.verified_ledger();
    assert_eq!((ledger.facts("merged").len(), ledger.facts("commented").len()), (1, 1));
}

#[test]
fn a_change_is_sent_back_looked_at_again_and_merged_by_keyboard_alone() {
    let Some(tools) = tools() else { return };
    let (site, server) = remarks::site();
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::with_link(&serve, &another_link(&site));
    let id = give_task(&site, &visit);
    visit.until(&id, "change_published");
    let base = format!("http://{}", serve.address);
    let task = format!("/tasks/{id}");
    journey("keyboard.mjs", &tools, &[&base, &serve.sign_in, &site.generated.name, &task]);
    let calls = server.calls();
    let told = calls.iter().find(|call| call.is_repair()).unwrap();
    assert!(told.opening.contains("says: Say what it computes."), "{}", told.opening);
    drop(serve);
    assert_eq!(site.bench.verified_ledger().facts("merged").len(), 1);
}

#[test]
fn two_browsers_see_every_step_of_one_task_as_it_comes() {
    let Some(tools) = tools() else { return };
    let (site, _server, gate) = steering::held_site();
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::with_link(&serve, &another_link(&site));
    let id = give_task(&site, &visit);
    gate.wait();
    let base = format!("http://{}", serve.address);
    let task = format!("/tasks/{id}");
    let mut journey = Journey::start(
        "together.mjs",
        &tools,
        &[&base, &serve.sign_in, &another_link(&site), &task],
    );
    journey.hear("watching");
    gate.open();
    journey.say("on");
    visit.until(&id, "change_published");
    quiet(&serve, &id);
    journey.say("quiet");
    journey.end();
}

/// Waits until nothing more is recorded of a task without a person.
fn quiet(serve: &Serve, id: &str) {
    let standing = || serve.get("/tasks").json()[0]["standing"].clone();
    crate::harness::wait(standing, |standing| *standing == "waits for review");
    assert!(serve.get(&format!("/tasks/{id}")).status == 200);
}

#[test]
fn a_stream_goes_on_where_it_was_when_the_server_is_killed_and_started_again() {
    let Some(tools) = tools() else { return };
    let (site, _server, gate) = steering::held_site();
    let serve = site.serve();
    site.import(&serve);
    let id = give_task(&site, &Visit::with_link(&serve, &another_link(&site)));
    gate.wait();
    let (address, sign_in) = (serve.address.clone(), serve.sign_in.clone());
    let base = format!("http://{address}");
    let task = format!("/tasks/{id}");
    let mut journey = Journey::start("restart.mjs", &tools, &[&base, &sign_in, &task]);
    journey.hear("watching");
    drop(serve);
    journey.say("killed");
    journey.hear("lost");
    let serve = Serve::start_at(&site.bench, &address, &["--config", &site.config]);
    journey.say("on");
    gate.wait();
    gate.open();
    serve.events(&id).until("change_published");
    quiet(&serve, &id);
    journey.say("quiet");
    journey.end();
}

#[test]
fn a_task_is_given_watched_reviewed_by_keyboard_and_merged() {
    let Some(tools) = tools() else { return };
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let base = format!("http://{}", serve.address);
    journey(
        "developer.mjs",
        &tools,
        &[&base, &serve.sign_in, &site.generated.name, &site.generated.task],
    );
    drop(serve);
    let ledger = site.bench.verified_ledger();
    assert_eq!(ledger.facts("merged").len(), 1);
}
