//! Gates that read what a change holds, and run nothing: the ones that `bailiwick gate run` can run
//! on any repository.
//!
//! A [`ContentGate`] says what it sees; [`judge_content`] decides what that means: which findings
//! are new, which are suppressed, whether the change passes. A gate that panics, takes too long or
//! can't judge is *inconclusive*, which blocks.

mod input;
mod judge;

pub(crate) use input::only_new;
pub use input::{EmptyTree, FilePair, GitTree, Input, LineRange, MapTree, Tree};
pub(crate) use judge::conclude;
pub use judge::judge_content;

use crate::rule::Rule;
use bailiwick_model::payload::Digest;
use std::borrow::Cow;

/// Something that a gate sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule's id; one of the gate's own.
    pub rule: Cow<'static, str>,
    /// What it is, in a sentence, without any secret.
    pub message: String,
    /// The file.
    pub path: Option<String>,
    /// The first line, counted from 1.
    pub line: Option<u32>,
    /// What it is told apart by, wherever it stands in its file: the line's text, a name. Makes the
    /// fingerprint, together with rule and path. May hold a secret, since only its hash is kept.
    pub anchor: String,
    /// The fingerprint itself, for what is the same in whatever file it stands.
    pub fingerprint: Option<Digest>,
}

impl Hit {
    /// A hit in a line of a file, anchored at the line's text.
    pub fn at(rule: &'static str, path: &str, line: u32, text: &str, message: String) -> Self {
        Self {
            rule: Cow::Borrowed(rule),
            message,
            path: Some(path.to_owned()),
            line: Some(line),
            anchor: text.split_whitespace().collect::<Vec<_>>().join(" "),
            fingerprint: None,
        }
    }

    /// A hit in a file as a whole.
    pub fn in_file(rule: &'static str, path: &str, anchor: &str, message: String) -> Self {
        Self {
            rule: Cow::Borrowed(rule),
            message,
            path: Some(path.to_owned()),
            line: None,
            anchor: anchor.to_owned(),
            fingerprint: None,
        }
    }

    /// A hit in the change as a whole.
    pub fn in_change(rule: &'static str, anchor: &str, message: String) -> Self {
        Self {
            rule: Cow::Borrowed(rule),
            message,
            path: None,
            line: None,
            anchor: anchor.to_owned(),
            fingerprint: None,
        }
    }
}

/// What a gate says of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// New hits: those that the change brings.
    pub hits: Vec<Hit>,
    /// What could not be judged, each with its reason: makes the gate inconclusive.
    pub doubts: Vec<String>,
    /// What was looked at, such as `14 files`.
    pub looked_at: String,
}

impl Inspected {
    /// Nothing could be judged, and why.
    pub(crate) fn doubt(reason: impl Into<String>) -> Self {
        Self { doubts: vec![reason.into()], ..Self::default() }
    }

    /// Nothing was found in this.
    pub(crate) fn looked_at(what: impl Into<String>) -> Self {
        Self { looked_at: what.into(), ..Self::default() }
    }
}

/// A gate that reads the content of a change. Pure but for what its [`Input`] lets it read.
pub trait ContentGate: Send + Sync {
    /// Its stable name; its rules' ids begin with it.
    fn name(&self) -> &'static str;

    /// What it does, in a sentence.
    fn purpose(&self) -> &'static str;

    /// All its rules. A hit of any other rule makes the gate inconclusive.
    fn rules(&self) -> Vec<Rule>;

    /// Looks at the change. Called on a thread of its own; should look at [`Input::is_late`] between
    /// files.
    fn inspect(&self, input: &Input) -> Inspected;
}
