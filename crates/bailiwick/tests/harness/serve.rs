//! `bailiwick serve`, running.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Workbench;
use super::http::{self, Answer, Events};

/// A server on a bench's data directory. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Serve {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    pub(crate) token: String,
    /// The path of the link that signs in once.
    pub(crate) sign_in: String,
}

impl Serve {
    /// Starts it on a free port, with further arguments such as `--config FILE`.
    pub(crate) fn start(bench: &Workbench, arguments: &[&str]) -> Self {
        Self::start_at(bench, "127.0.0.1:0", arguments)
    }

    /// Starts it at an address, such as that of one that was there before.
    pub(crate) fn start_at(bench: &Workbench, address: &str, arguments: &[&str]) -> Self {
        let log = std::fs::File::create(bench.path("serve.log")).unwrap();
        let mut child = bench
            .command(&["serve", "--listen", address, "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let greeting: Value = loop {
            let read = lines.read_line(&mut text).unwrap();
            let said = std::fs::read_to_string(bench.path("serve.log")).unwrap();
            assert!(read > 0, "the server ended: {text}\n{said}");
            if let Ok(value) = serde_json::from_str(&text) {
                break value;
            }
        };
        let address = greeting["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let token = greeting["token"].as_str().unwrap().to_owned();
        let sign_in = greeting["sign_in"].as_str().unwrap();
        let sign_in = sign_in.split_once(&address).unwrap().1.to_owned();
        Self { child, address, token, sign_in }
    }

    fn authorization(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }

    /// A request below `/api/v1` with the token.
    pub(crate) fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let headers = [self.authorization(), "content-type: application/json".to_owned()];
        http::send(&self.address, method, &format!("/api/v1{path}"), &headers, &body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.api("GET", path, &Value::Null)
    }

    /// The events of a task, live.
    pub(crate) fn events(&self, task: &str) -> Events {
        Events::open(
            &self.address,
            &format!("/api/v1/tasks/{task}/events"),
            &[self.authorization()],
        )
    }

    /// The address of a repository for git, with a password.
    pub(crate) fn git_url(&self, repo: &str, password: &str) -> String {
        format!("http://me:{password}@{}/git/{repo}.git", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as an init system does, and waits for it.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
