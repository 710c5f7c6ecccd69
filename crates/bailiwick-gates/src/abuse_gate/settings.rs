//! `[settings.abuse]`: how the program is started, and what is known to work.

use bailiwick_model::path::WorkPath;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most addresses and programs that are misused.
const MOST_INTERFACES: usize = 40;

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Globs of the files that are, or make, the interface; every source file when empty.
    pub(super) interface: Vec<String>,
    /// What builds the program, before it is started.
    pub(super) build: Option<String>,
    /// What starts it, and stays in the foreground.
    pub(super) start: Option<String>,
    /// Where it listens, on the loopback of its cage.
    pub(super) port: Option<u16>,
    /// Where commands are run.
    pub(super) directory: WorkPath,
    /// For how many seconds it may start.
    pub(super) ready_seconds: u64,
    /// For how many seconds one answer is waited for.
    pub(super) answer_seconds: u64,
    /// Longest time for everything, in seconds.
    pub(super) timeout_seconds: u64,
    /// Its addresses.
    pub(super) endpoint: Vec<Endpoint>,
    /// Programs that read their standard input.
    pub(super) command: Vec<Program>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interface: Vec::new(),
            build: None,
            start: None,
            port: None,
            directory: WorkPath::root(),
            ready_seconds: 20,
            answer_seconds: 5,
            timeout_seconds: 900,
            endpoint: Vec::new(),
            command: Vec::new(),
        }
    }
}

/// An address, with a request that works. `{{n}}` becomes a number that no other request has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    /// The method.
    pub(super) method: String,
    /// The path, and the query if it needs one.
    pub(super) path: String,
    /// The body.
    #[serde(default)]
    pub(super) body: String,
    /// Its type.
    #[serde(default = "json")]
    pub(super) content_type: String,
    /// Further headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Credentials that it needs: they are good for the started program only.
    #[serde(default)]
    pub(super) credentials: Option<String>,
    /// The header that they stand in.
    #[serde(default = "authorization")]
    pub(super) credentials_header: String,
    /// Whether the same request may be done only once.
    #[serde(default)]
    pub(super) once: bool,
    /// The most bytes of a body that it takes.
    #[serde(default)]
    pub(super) max_body_bytes: Option<u64>,
}

impl Endpoint {
    pub(super) fn is_json(&self) -> bool {
        !self.body.is_empty() && self.content_type.contains("json")
    }
}

fn json() -> String {
    "application/json".to_owned()
}

fn authorization() -> String {
    "Authorization".to_owned()
}

/// A program that reads its standard input.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    /// What it is called in findings.
    pub(super) name: String,
    /// The command line, run by `/bin/sh -c`.
    pub(super) run: String,
    /// Input that works.
    pub(super) input: String,
}

impl Settings {
    /// Whether there is anything to misuse.
    pub(super) fn says_nothing(&self) -> bool {
        self.endpoint.is_empty() && self.command.is_empty()
    }

    /// The globs of the interface, or why the table can't be used.
    pub(super) fn check(&self) -> Result<GlobSet, String> {
        let bad = |reason: &str| Err(format!("`[settings.abuse]`: {reason}"));
        if !self.endpoint.is_empty()
            && (self.start.is_none() || self.port.is_none_or(|port| port == 0))
        {
            return bad("an endpoint needs `start` and `port`");
        }
        if self.endpoint.len() + self.command.len() > MOST_INTERFACES {
            return bad(&format!("more than {MOST_INTERFACES} endpoints and commands"));
        }
        let times = [self.ready_seconds, self.answer_seconds, self.timeout_seconds];
        if times.contains(&0) || self.answer_seconds > 120 || self.ready_seconds > 600 {
            return bad(
                "`ready_seconds` is 1 to 600, `answer_seconds` 1 to 120, `timeout_seconds` at least 1",
            );
        }
        let one_line = |text: &str| !text.contains(['\r', '\n', '\0']);
        for endpoint in &self.endpoint {
            let method = endpoint.method.bytes().all(|byte| byte.is_ascii_uppercase());
            if endpoint.method.is_empty() || !method || !endpoint.path.starts_with('/') {
                return bad(
                    "an endpoint needs `method` in capitals and a `path` that begins with `/`",
                );
            }
            let texts = [&endpoint.path, &endpoint.content_type, &endpoint.credentials_header];
            let headers = endpoint.headers.iter().flat_map(|(name, value)| [name, value]);
            let all = texts.into_iter().chain(headers).chain(&endpoint.credentials);
            if !all.into_iter().all(|text| one_line(text)) || endpoint.path.contains(' ') {
                return bad(
                    "paths and headers of endpoints are on one line, a path without spaces",
                );
            }
        }
        let unnamed = |program: &&Program| {
            program.name.trim().is_empty()
                || program.run.trim().is_empty()
                || !one_line(&program.name)
        };
        if self.command.iter().any(|program| unnamed(&program)) {
            return bad("a command needs `name` and `run`");
        }
        let mut globs = GlobSetBuilder::new();
        for glob in &self.interface {
            globs.add(Glob::new(glob).map_err(|error| format!("`[settings.abuse]`: {error}"))?);
        }
        globs.build().map_err(|error| format!("`[settings.abuse]`: {error}"))
    }
}
