//! The scripted provider: answers from a file, so that the loop can be exercised without a key.
//!
//! An answer depends on the call's labels (role, subtask, round, step) and nothing else, so a
//! restart gets the same one. What was asked is asserted, not used: a script that no longer fits
//! the loop fails loudly. A script in TOML:
//!
//! ```toml
//! [[reply]]
//! role = "implementor"          # each label may be left out, and then matches any
//! subtask = "fix"
//! round = 0
//! step = 1
//! expect_system_contains = ["implementor"]
//! expect_contains = ["test result: FAILED"]   # in the last message
//! expect_tool_offered = ["edit"]
//! text = "I see."
//! usage = { input_tokens = 900, output_tokens = 40 }
//!
//! [[reply.tool]]
//! name = "edit"
//! input = { path = "src/lib.rs", old = "-", new = "+" }
//! ```

mod answer;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bailiwick_model::subject::Role;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

pub use answer::{Labels, ScriptMismatch};

/// The model name that a script reports.
pub const SCRIPTED_MODEL: &str = "scripted";

/// A checked script.
#[derive(Debug, Clone)]
pub struct Scripted {
    source: String,
    replies: Vec<ScriptedReply>,
}

/// One reply of a script, with the place where it stands.
#[derive(Debug, Clone)]
struct ScriptedReply {
    /// Such as `demo.toml:12 (reply 3)`.
    place: String,
    entry: Entry,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    role: Option<Role>,
    subtask: Option<String>,
    round: Option<u32>,
    step: Option<u32>,
    #[serde(default)]
    expect_system_contains: Vec<String>,
    #[serde(default)]
    expect_contains: Vec<String>,
    #[serde(default)]
    expect_tool_offered: Vec<String>,
    text: Option<String>,
    #[serde(default)]
    tool: Vec<ToolEntry>,
    usage: Option<UsageEntry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolEntry {
    name: String,
    #[serde(default)]
    input: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageEntry {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    cache_read_tokens: u64,
    #[serde(default)]
    cache_write_tokens: u64,
}

/// Why a script can't be used.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// The file can't be read.
    #[error("`{}` can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML of this form.
    #[error("`{file}` line {line} is not a script")]
    Toml {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: toml::de::Error,
    },
    /// It is not JSON of this form.
    #[error("`{file}` line {line} is not a script")]
    Json {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It has no replies.
    #[error("`{file}` has no `[[reply]]`")]
    NoReplies {
        /// The file.
        file: String,
    },
    /// A reply makes no sense.
    #[error("{place}: {problem}")]
    Reply {
        /// File, line and number of the reply.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlScript {
    #[serde(default)]
    reply: Vec<toml::Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonScript {
    #[serde(default)]
    reply: Vec<Entry>,
}

impl Scripted {
    /// Reads a script: JSON when the name ends in `.json`, TOML otherwise.
    ///
    /// # Errors
    /// Fails with file and line on anything that is not a script.
    pub fn from_file(path: &Path) -> Result<Self, ScriptError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ScriptError::Unreadable { path: path.to_owned(), source })?;
        let file = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "json") {
            Self::from_json(&text, &file)
        } else {
            Self::from_toml(&text, &file)
        }
    }

    /// Reads an embedded script in TOML; `name` stands for the file in messages.
    ///
    /// # Errors
    /// Fails with name and line on anything that is not a script.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ScriptError> {
        let script: TomlScript = toml::from_str(text).map_err(|source| ScriptError::Toml {
            file: name.to_owned(),
            line: source.span().map_or(1, |span| line_of(text, &span)),
            source,
        })?;
        let replies = script.reply.into_iter().enumerate().map(|(at, entry)| {
            let line = line_of(text, &entry.span());
            let place = format!("`{name}` line {line} (reply {})", at.saturating_add(1));
            ScriptedReply { place, entry: entry.into_inner() }
        });
        Self::checked(name, replies.collect())
    }

    /// Reads an embedded script in JSON; `name` stands for the file in messages.
    ///
    /// # Errors
    /// Fails with name and line, or the number of the reply, on anything that is not a script.
    pub fn from_json(text: &str, name: &str) -> Result<Self, ScriptError> {
        let script: JsonScript = serde_json::from_str(text).map_err(|source| {
            ScriptError::Json { file: name.to_owned(), line: source.line(), source }
        })?;
        let replies = script.reply.into_iter().enumerate().map(|(at, entry)| {
            let place = format!("`{name}` (reply {})", at.saturating_add(1));
            ScriptedReply { place, entry }
        });
        Self::checked(name, replies.collect())
    }

    fn checked(source: &str, replies: Vec<ScriptedReply>) -> Result<Self, ScriptError> {
        if replies.is_empty() {
            return Err(ScriptError::NoReplies { file: source.to_owned() });
        }
        for (at, reply) in replies.iter().enumerate() {
            let earlier = replies.iter().take(at);
            if let Some(problem) = reply.entry.problem(earlier) {
                return Err(ScriptError::Reply { place: reply.place.clone(), problem });
            }
        }
        Ok(Self { source: source.to_owned(), replies })
    }
}

impl FromStr for Scripted {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        Self::from_toml(text, "embedded script")
    }
}

impl Entry {
    fn problem<'a>(&self, mut earlier: impl Iterator<Item = &'a ScriptedReply>) -> Option<String> {
        if self.text.as_deref().unwrap_or_default().is_empty() && self.tool.is_empty() {
            return Some("it has neither `text` nor `[[reply.tool]]`".to_owned());
        }
        if self.tool.iter().any(|tool| tool.name.is_empty()) {
            return Some("a tool has an empty `name`".to_owned());
        }
        let expectations = self
            .expect_system_contains
            .iter()
            .chain(&self.expect_contains)
            .chain(&self.expect_tool_offered);
        if expectations.into_iter().any(String::is_empty) {
            return Some("an empty expectation is always met".to_owned());
        }
        earlier
            .find(|reply| reply.entry.covers(self))
            .map(|reply| format!("it can never be used, because {} matches first", reply.place))
    }

    /// Whether every call that matches `other` matches this entry too.
    fn covers(&self, other: &Self) -> bool {
        fn wider<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.is_none() || one == other
        }
        wider(self.role.as_ref(), other.role.as_ref())
            && wider(self.subtask.as_ref(), other.subtask.as_ref())
            && wider(self.round.as_ref(), other.round.as_ref())
            && wider(self.step.as_ref(), other.step.as_ref())
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1)
}
