//! The short form of policy: TOML for the common cases, compiled to Cedar that one can see.
//!
//! Everything but `[[permit]]` compiles to a `forbid` or a gate. So the form can be used in every
//! layer and can only narrow; `[[permit]]` gives a right, which the organisation alone can do.

mod compile;
mod hosts;
mod pattern;
mod tiers;

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::error::{PolicyError, place};
use crate::load::PolicySource;

pub(crate) use pattern::{places, quote};

/// A policy that the form was compiled to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Cedar text of one policy.
    pub(crate) text: String,
    /// Where in the form it comes from.
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Whether a source is in the short form.
pub(crate) fn is_form(name: &str) -> bool {
    name.ends_with(".toml") && !name.ends_with(crate::bundle::EXAMPLES)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    /// Other files of the same bundle, or a built-in bundle.
    include: Vec<Spanned<String>>,
    /// The common beginning of the ids of its rules; the file's name when absent.
    id: Option<Spanned<String>>,
    models: Option<Spanned<Lists>>,
    tools: Option<Spanned<Lists>>,
    credentials: Option<Spanned<Lists>>,
    hosts: Option<Spanned<Lists>>,
    commands: Option<Spanned<Commands>>,
    paths: Option<Spanned<Paths>>,
    budgets: Option<Spanned<Budgets>>,
    agents: Option<Spanned<Agents>>,
    pull_requests: Option<Spanned<PullRequests>>,
    sandbox: Vec<Spanned<SandboxTier>>,
    permit: Vec<Spanned<Permit>>,
}

type List = Option<Spanned<Vec<Spanned<String>>>>;

/// What is asked before it is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// The group that has to approve.
    group: String,
    /// What it has to approve.
    #[serde(rename = "match")]
    what: Vec<Spanned<String>>,
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Lists {
    allow: List,
    deny: List,
    ask: Vec<Spanned<Ask>>,
    reason: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Commands {
    /// Programs; no other may run.
    programs: List,
    /// Programs with their sub-commands; no other may run.
    operations: List,
    deny: List,
    ask: Vec<Spanned<Ask>>,
    reason: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Paths {
    write_allow: List,
    write_deny: List,
    write_ask: Vec<Spanned<Ask>>,
    read_allow: List,
    read_deny: List,
    reason: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Budgets {
    /// The most that a task may have to spend.
    task_usd: Option<Spanned<f64>>,
    /// The most that one model call may cost.
    call_usd: Option<Spanned<f64>>,
    /// What has to be left of the task's budget.
    reserve_usd: Option<Spanned<f64>>,
    reason: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Agents {
    /// The sandbox tiers that agents may be started in.
    tiers: List,
    reason: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PullRequests {
    /// The most files that a change may touch.
    max_files: Option<Spanned<u32>>,
    /// The most lines that a change may add and remove.
    max_lines: Option<Spanned<u32>>,
    /// Whether a change must stay in one part of the repository.
    single_purpose: Option<Spanned<bool>>,
    /// Whether a change has to touch tests.
    tests: Option<Spanned<bool>>,
    /// How many people have to approve.
    approvals: Option<Spanned<u32>>,
    /// People of whom one has to approve.
    reviewers: List,
    /// Groups that all have to approve.
    groups: List,
    reason: Option<String>,
    hint: Option<String>,
}

/// The weakest sandbox tier for what matches all that is said; without any condition, for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SandboxTier {
    id: Option<String>,
    /// At least this one.
    tier: Spanned<String>,
    /// In one of these repositories.
    repositories: List,
    /// For a task of one of these classes.
    classes: List,
    /// Done by one of these roles.
    roles: List,
    /// A command that runs one of these: a program, or a program with its sub-command.
    commands: List,
    /// In a session that has read something with one of these labels.
    taint: List,
    reason: Option<String>,
    hint: Option<String>,
}

/// A right, which only the organisation can give.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permit {
    id: Option<String>,
    action: Spanned<String>,
    roles: Spanned<Vec<Spanned<String>>>,
    #[serde(rename = "match")]
    what: List,
    programs: List,
    operations: List,
    repositories: List,
    reason: String,
}

/// The files that a form includes, with where it says so.
pub(crate) fn includes(source: &PolicySource) -> Result<Vec<(String, u32, u32)>, PolicyError> {
    let form = read(source)?;
    Ok(form
        .include
        .into_iter()
        .map(|one| {
            let (line, column) = place(&source.text, one.span().start);
            (one.into_inner(), line, column)
        })
        .collect())
}

/// Compiles a form.
pub(crate) fn compile(source: &PolicySource) -> Result<Vec<Generated>, Vec<PolicyError>> {
    let form = read(source).map_err(|error| vec![error])?;
    compile::Compiler::new(source, &form).run(&form)
}

fn read(source: &PolicySource) -> Result<Form, PolicyError> {
    toml::from_str(&source.text).map_err(|error| {
        let start = error.span().map_or(0, |span: Range<usize>| span.start);
        let (line, column) = place(&source.text, start);
        PolicyError {
            file: source.name.clone(),
            line,
            column,
            policy: None,
            what: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
            why: "it is not a policy in the short form; what is not understood could have been a limit",
            fix: "docs/policy.md lists every section and key".to_owned(),
        }
    })
}
