//! The narrowest change of the policy that would allow an action, in the short form.

use bailiwick_model::action::{Action, HostRequest};
use bailiwick_model::subject::Subject;
use bailiwick_model::verdict::Verdict;

use crate::command;
use crate::explain;
use crate::form::quote;
use crate::load::{Rule, RuleEffect};
use crate::set::PolicySet;

/// A change that would allow an action, or bring it one step nearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What to change, in a sentence.
    pub what: String,
    /// What to write, in the short form; none when nothing can be written that would do.
    pub toml: Option<String>,
}

/// What would have to change for this verdict to become a permit.
pub fn advise(
    set: &PolicySet,
    subject: &Subject,
    action: &Action,
    verdict: &Verdict,
) -> Vec<Advice> {
    match verdict {
        Verdict::Permit { .. } => vec![],
        Verdict::NeedsApproval { groups, .. } => vec![Advice {
            what: format!(
                "nothing needs to change: {} has to approve exactly this",
                groups.join(" and ")
            ),
            toml: None,
        }],
        Verdict::Deny(denial) if denial.code == explain::NO_RULE_PERMITS => vec![Advice {
            what: "the organisation can give the right to exactly this, in a file of its layer"
                .to_owned(),
            toml: Some(permit(subject, action)),
        }],
        Verdict::Deny(denial) if denial.code == explain::FORBIDDEN => denial
            .rules
            .iter()
            .filter_map(|id| set.rule(id))
            .map(|rule| lift(rule, action))
            .collect(),
        Verdict::Deny(denial) => vec![Advice {
            what: format!(
                "no rule decided this ({}): put right what could not be evaluated",
                denial.code
            ),
            toml: None,
        }],
    }
}

/// The right to exactly this action, for exactly this role.
fn permit(subject: &Subject, action: &Action) -> String {
    let matched = match action {
        Action::Command(command) => Some(command.display()),
        Action::ModelCall(call) => Some(format!("{}/{}", call.provider, call.model)),
        Action::ToolCall(call) => Some(call.tool.clone()),
        Action::FileRead(read) => Some(read.path.as_str().to_owned()),
        Action::FileWrite(write) => Some(write.path.as_str().to_owned()),
        Action::SecretUse(secret) => Some(secret.name.clone()),
        Action::HostRequest(request) => Some(place(request)),
        Action::BranchPush(push) => Some(push.branch.to_string()),
        Action::PullRequestOpen(open) => Some(open.head.to_string()),
        Action::AgentStart(start) => Some(start.agent.clone()),
        _ => None,
    };
    let mut lines = vec![
        "[[permit]]".to_owned(),
        format!("action = {}", quote(action.kind())),
        format!("roles = [{}]", quote(subject.role.name())),
    ];
    // a pattern would be more than this one action
    match matched {
        Some(text) if !text.contains('*') => lines.push(format!("match = [{}]", quote(&text))),
        Some(text) => lines.push(format!(
            "# `{}` has a `*`, which the short form takes for a pattern: write it in Cedar",
            text.escape_debug()
        )),
        None => {}
    }
    lines.push("reason = \"say here why\"".to_owned());
    lines.join("\n")
}

/// What would take one rule out of the way of one action.
fn lift(rule: &Rule, action: &Action) -> Advice {
    let at = format!("{}:{}", rule.source, rule.line);
    let name = rule.id.rsplit('.').next().unwrap_or_default();
    let operand = operand(action);
    let list = |section: &str, key: &str, entry: &str| Advice {
        what: format!("add it to the list of rule `{}` at {at} ({})", rule.id, rule.layer),
        toml: Some(format!("[{section}]\n{key} = [ …, {} ]", quote(entry))),
    };
    let short = rule.source.ends_with(".toml");
    match (short, name) {
        (true, "models-allow") => list("models", "allow", &operand),
        (true, "tools-allow") => list("tools", "allow", &operand),
        (true, "credentials-allow") => list("credentials", "allow", &operand),
        (true, "hosts-allow") => list("hosts", "allow", &operand),
        (true, "paths-write-allow") => list("paths", "write_allow", &operand),
        (true, "paths-read-allow") => list("paths", "read_allow", &operand),
        (true, "agents-tiers") => list("agents", "tiers", &operand),
        (true, "commands-programs" | "commands-operations") => Advice {
            what: format!(
                "add its programs to the list of rule `{}` at {at} ({})",
                rule.id, rule.layer
            ),
            toml: Some(named(name.trim_start_matches("commands-"), action)),
        },
        (true, name) if limit(name, action).is_some() => {
            let (section, key, value) = limit(name, action).unwrap_or_default();
            Advice {
                what: format!(
                    "{} `{key}` of `[{section}]` at {at} ({})",
                    if value.is_some() { "raise" } else { "take what matches it out of" },
                    rule.layer
                ),
                toml: value.map(|value| format!("[{section}]\n{key} = {value}")),
            }
        }
        _ => Advice {
            what: match &rule.effect {
                RuleEffect::Gate { group } => {
                    format!("{group} has to approve it (rule `{}` at {at})", rule.id)
                }
                RuleEffect::Permit | RuleEffect::Forbid => format!(
                    "rule `{}` at {at} ({}) has no exception: whoever owns that layer would have to narrow the rule itself. It says: {}",
                    rule.id, rule.layer, rule.reason
                ),
            },
            toml: None,
        },
    }
}

/// The key of the short form that a limit stands in, with the value that would be enough.
fn limit(name: &str, action: &Action) -> Option<(&'static str, &'static str, Option<String>)> {
    let size = match action {
        Action::PullRequestMerge(merge) => merge.size,
        _ => None,
    };
    let usd = |micro: u64| format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    let estimate = match action {
        Action::ModelCall(call) => Some(usd(call.estimate.0)),
        _ => None,
    };
    Some(match name {
        "models-deny" => ("models", "deny", None),
        "tools-deny" => ("tools", "deny", None),
        "credentials-deny" => ("credentials", "deny", None),
        "hosts-deny" => ("hosts", "deny", None),
        "commands-deny" => ("commands", "deny", None),
        "paths-write-deny" | "paths-write-deny-commands" => ("paths", "write_deny", None),
        "paths-read-deny" => ("paths", "read_deny", None),
        "budgets-call" => ("budgets", "call_usd", Some(estimate?)),
        "pull-requests-files" => ("pull_requests", "max_files", Some(size?.files.to_string())),
        "pull-requests-lines" => ("pull_requests", "max_lines", Some(size?.lines.to_string())),
        _ => return None,
    })
}

/// The list of programs, or of their sub-commands, with those of this command.
fn named(list: &str, action: &Action) -> String {
    let found = match action {
        Action::Command(command) => command::analyse(command),
        _ => command::Effects::default(),
    };
    let names = if list == "operations" { &found.operations } else { &found.programs };
    let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
    format!("[commands]\n{list} = [ …, {} ]", names.join(", "))
}

fn operand(action: &Action) -> String {
    match action {
        Action::ModelCall(call) => format!("{}/{}", call.provider, call.model),
        Action::ToolCall(call) => call.tool.clone(),
        Action::FileRead(read) => read.path.as_str().to_owned(),
        Action::FileWrite(write) => write.path.as_str().to_owned(),
        Action::SecretUse(secret) => secret.name.clone(),
        Action::AgentStart(start) => start.tier.clone(),
        Action::HostRequest(request) => place(request),
        other => other.summary(),
    }
}

/// Exactly this request, in the words of the short form.
fn place(request: &HostRequest) -> String {
    let port = match (request.scheme.as_str(), request.port) {
        ("https", 443) => String::new(),
        (_, port) => format!(":{port}"),
    };
    format!("{} {}{port}{}", request.method, request.host, request.path)
}
