//! What a token grants or narrows to, and how it is written into a block: as checks and nothing
//! else.

use std::collections::BTreeSet;

use bailiwick_model::Timestamp;
use bailiwick_model::id::{Person, RepoName, SessionId, SubtaskKey, TaskId};
use bailiwick_model::subject::Role;
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::ACTION_KINDS;
use biscuit_auth::builder::{
    Binary, Check, CheckKind, Expression, Op, Predicate, Rule, Term, int, pred, string, var,
};

/// What a token grants, or narrows to. What is not said is not narrowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The task.
    pub task: Option<TaskId>,
    /// The subtask.
    pub subtask: Option<SubtaskKey>,
    /// The repository.
    pub repo: Option<RepoName>,
    /// For whom it is done.
    pub on_behalf_of: Option<Person>,
    /// The agent run.
    pub session: Option<SessionId>,
    /// The role.
    pub role: Option<Role>,
    /// The kinds of action.
    pub kinds: Option<BTreeSet<String>>,
    /// Globs of the paths that may be written.
    pub scope: Option<Vec<String>>,
    /// The most that one action may cost.
    pub spend: Option<MicroUsd>,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl Bounds {
    /// Nothing but an end, so many seconds from now.
    pub fn lasting(seconds: i64, now: Timestamp) -> Self {
        let end = now.as_second().saturating_add(seconds);
        let until = Timestamp::from_second(end).unwrap_or(Timestamp::MAX);
        Self { until: Some(until), ..Self::default() }
    }
}

/// What no agent ever does, whatever its role.
const NEVER: [&str; 6] = [
    "repo_read",
    "branch_push",
    "pull_request_open",
    "review_submit",
    "pull_request_merge",
    "task_raise",
];

/// The kinds of action that a role may have at all. Only agents have any.
pub fn kinds_of(role: Role) -> BTreeSet<String> {
    let less: &[&str] = match role {
        Role::Implementor => &[],
        Role::Verifier => &["file_write"],
        Role::Coordinator | Role::Reviewer => &["file_write", "command"],
        Role::Setup | Role::Gate | Role::Publisher | Role::Human => &ACTION_KINDS,
    };
    let kinds = ACTION_KINDS.iter().filter(|kind| !NEVER.contains(kind) && !less.contains(kind));
    kinds.map(|&kind| kind.to_owned()).collect()
}

/// The fact that a path which is written lies in a glob.
pub(super) const MATCHES: &str = "matches";
/// The fact that nothing of the workspace is written.
pub(super) const WRITES_NOTHING: &str = "writes_nothing";
/// The fact that says what time it is.
pub(super) const TIME: &str = "time";
/// The fact that says what it may cost.
pub(super) const ESTIMATE: &str = "estimate";

impl Bounds {
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let mut is = |name: &str, value: Option<String>| {
            checks.extend(value.map(|value| any(vec![states(name, &value)])));
        };
        is("task", self.task.map(|task| task.to_string()));
        is("subtask", self.subtask.as_ref().map(ToString::to_string));
        is("repo", self.repo.as_ref().map(ToString::to_string));
        is("behalf", self.on_behalf_of.as_ref().map(ToString::to_string));
        is("session", self.session.map(|session| session.to_string()));
        is("role", self.role.map(|role| role.name().to_owned()));
        if let Some(kinds) = &self.kinds {
            checks.push(any(kinds.iter().map(|kind| states("kind", kind)).collect()));
        }
        if let Some(scope) = &self.scope {
            let globs = scope.iter().map(|glob| states(MATCHES, glob));
            checks.push(any(globs.chain([states(WRITES_NOTHING, "")]).collect()));
        }
        if let Some(spend) = self.spend {
            let most = i64::try_from(spend.0).unwrap_or(i64::MAX);
            checks.push(at_most(ESTIMATE, int(most)));
        }
        if let Some(until) = self.until {
            let seconds = u64::try_from(until.as_second()).unwrap_or(0);
            checks.push(at_most(TIME, Term::Date(seconds)));
        }
        checks
    }
}

fn states(name: &str, value: &str) -> Rule {
    query(vec![pred(name, &[text(value)])], vec![])
}

fn query(body: Vec<Predicate>, expressions: Vec<Expression>) -> Rule {
    let nothing: [Term; 0] = [];
    Rule::new(pred("query", &nothing), body, expressions, vec![])
}

/// A check that one of these holds. Of no alternatives none does.
fn any(mut queries: Vec<Rule>) -> Check {
    if queries.is_empty() {
        queries.push(states("nothing", ""));
    }
    Check { queries, kind: CheckKind::One }
}

fn at_most(name: &str, most: Term) -> Check {
    let less = Expression {
        ops: vec![Op::Value(var("v")), Op::Value(most), Op::Binary(Binary::LessOrEqual)],
    };
    any(vec![query(vec![pred(name, &[var("v")])], vec![less])])
}

/// Text as a value of the token's language. What its printer would not escape is written in
/// hexadecimal, the same on both sides, so that no text can pass for a piece of the language.
pub(super) fn text(text: &str) -> Term {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '%' || c == '"' || c == '\\' || c.is_control() {
            safe.push_str(&format!("%{:x};", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    string(&safe)
}

/// The text that [`text`] was given.
pub(super) fn read(safe: &str) -> Option<String> {
    let mut parts = safe.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_once(';')?;
        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_has_in_it_comes_back_and_nothing_of_it_is_language() {
        for given in ["src/**", "", "a\"); fact(\"b", "100%", "%22;", "tab\there\\", "ü/ß*"] {
            let Term::Str(safe) = text(given) else { panic!("no string") };
            assert!(!safe.contains(['"', '\\', '\t']), "{safe}");
            assert_eq!(read(&safe).as_deref(), Some(given));
        }
        assert_eq!(read("%zz;"), None);
        assert_eq!(read("%22"), None);
    }
}
