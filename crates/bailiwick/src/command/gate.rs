//! `bailiwick gate …`: the gates that read content, on any repository. Needs no data directory, no
//! configuration and no server, so that it can be a pre-commit hook or a step of any pipeline.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_gates::{
    Change, ContentGate, GitTree, Input, ProtectedRules, Rule, Sources, check_settings,
    content_gates, judge_content, sandbox_gates, sarif, verdict,
};
use bailiwick_git::{Discovered, Git, GitError};
use bailiwick_model::evidence::{GateReport, GateState, Level};
use bailiwick_model::id::Oid;
use jiff::Timestamp;
use serde_json::json;

use crate::arguments::{Common, GateRunArguments, GateVerb};
use crate::command::{Done, Told};
use crate::terminal;

/// Branches that are taken for the protected one, in this order.
const PROTECTED: [&str; 5] = ["origin/HEAD", "origin/main", "origin/master", "main", "master"];

/// The one gate that is neither of the two kinds: it needs a subtask.
const SCOPE: (&str, &str) =
    ("scope", "the change stays in its subtask's scope, and off what only people change");

pub(crate) fn run(common: &Common, verb: &GateVerb) -> Result<Done> {
    match verb {
        GateVerb::Run(arguments) => gate_run(common, arguments),
        GateVerb::List => {
            list(common);
            Ok(Done::Yes)
        }
        GateVerb::Explain { rule } => explain(common, rule),
    }
}

/// What is judged, by which rules.
struct Range {
    rules_at: Oid,
    base: Oid,
    head: Oid,
    tree: Oid,
}

fn gate_run(common: &Common, arguments: &GateRunArguments) -> Result<Done> {
    let sources =
        crate::gate_sources::load(arguments.advisories.as_deref(), arguments.index.as_deref())?;
    let all = content_gates(&sources);
    let gates = chosen(&all, &arguments.gates)?;
    let found = Git::discover(&arguments.repo).map_err(told)?;
    let scratch = tempfile::tempdir().context("cannot make a scratch directory")?;
    let range = range(&found, arguments, scratch.path())?;
    let git = found.git;

    let rules = ProtectedRules::read(&git, &range.rules_at).map_err(|error| Told {
        code: "gate.rules".to_owned(),
        hint: error.hint().to_owned(),
        message: full(&error),
    })?;
    check_settings(&rules.gates, &all).map_err(|reason| Told {
        code: "gate.rules".to_owned(),
        message: format!("`.bailiwick/gates.toml` at {} is not valid: {reason}", range.rules_at),
        hint: "`bailiwick gate list` names all gates and rules".to_owned(),
    })?;
    let mut change =
        Change::load_tree(&git, &range.base, &range.head, &range.tree).map_err(told)?;
    if let Some(path) = &arguments.message {
        let text = std::fs::read(path)
            .with_context(|| format!("cannot read the message in `{}`", path.display()))?;
        change = change.with_text("the message", &String::from_utf8_lossy(&text));
    }
    let limit = rules.gates.timeout;
    let input = Input {
        change,
        base: Box::new(GitTree::new(git.clone(), range.base.clone())),
        head: Box::new(GitTree::new(git, range.tree.clone())),
        settings: rules.gates,
        now: Timestamp::now(),
        deadline: None,
    };
    let reports = judge_content(&gates, input, limit);
    let state = verdict(&reports);
    if let Some(path) = &arguments.sarif {
        let rules: Vec<Rule> = gates.iter().flat_map(|gate| gate.rules()).collect();
        let text = serde_json::to_string_pretty(&sarif::to_sarif(&reports, &rules))
            .context("cannot write SARIF")?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    if common.json {
        terminal::out_json(&json!({
            "state": state,
            "base": range.base,
            "head": range.tree,
            "rules": range.rules_at,
            "reports": reports,
        }));
    } else {
        terminal::out(&text(&reports, state));
    }
    Ok(match state {
        GateState::Pass => Done::Yes,
        GateState::Fail => Done::No,
        GateState::NeedsApproval | GateState::Inconclusive => Done::NeedsPerson,
    })
}

fn chosen(
    all: &[Arc<dyn ContentGate>],
    names: &[String],
) -> Result<Vec<Arc<dyn ContentGate>>, Told> {
    if let Some(name) = names.iter().find(|name| !all.iter().any(|gate| gate.name() == **name)) {
        return Err(no_such(name));
    }
    Ok(all
        .iter()
        .filter(|gate| names.is_empty() || names.iter().any(|name| name == gate.name()))
        .cloned()
        .collect())
}

fn no_such(name: &str) -> Told {
    Told {
        code: "gate.unknown".to_owned(),
        message: format!("there is no gate or rule `{name}` that runs here"),
        hint: "`bailiwick gate list` names them".to_owned(),
    }
}

fn range(found: &Discovered, arguments: &GateRunArguments, scratch: &Path) -> Result<Range> {
    let git = &found.git;
    let (head, tree) = match (arguments.head.as_deref(), &found.top) {
        _ if arguments.staged => {
            let head = git.commit_named("HEAD").map_err(told)?;
            (head, git.staged_tree(scratch).map_err(told)?.oid().clone())
        }
        (Some("worktree") | None, Some(top)) => {
            let head = git.commit_named("HEAD").map_err(told)?;
            (head, git.work_tree_tree(top, scratch).map_err(told)?.oid().clone())
        }
        (Some("worktree"), None) => {
            return Err(Told {
                code: "gate.no_worktree".to_owned(),
                message: "the repository is bare: it has no working tree".to_owned(),
                hint: "name a branch or commit: `--head REV`".to_owned(),
            }
            .into());
        }
        (revision, _) => {
            let head = git.commit_named(revision.unwrap_or("HEAD")).map_err(told)?;
            (head.clone(), head)
        }
    };
    let protected = || PROTECTED.iter().find_map(|name| git.commit_named(name).ok());
    let (rules_at, against) = match &arguments.base {
        Some(revision) => {
            let base = git.commit_named(revision).map_err(told)?;
            (base.clone(), base)
        }
        None => {
            let protected = protected().unwrap_or_else(|| head.clone());
            let against = if arguments.staged { head.clone() } else { protected.clone() };
            (protected, against)
        }
    };
    let base = git.merge_base(&against, &head).map_err(told)?.unwrap_or(against);
    Ok(Range { rules_at, base, head, tree })
}

fn told(error: GitError) -> anyhow::Error {
    Told {
        code: "git".to_owned(),
        hint: error.hint().unwrap_or("run `bailiwick doctor`").to_owned(),
        message: full(&error),
    }
    .into()
}

/// An error with everything behind it.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn text(reports: &[GateReport], state: GateState) -> String {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!(
            "{:<14} {}: {}",
            report.gate,
            word(report.state),
            terminal::safe(&report.summary)
        ));
        for finding in &report.findings {
            let place = match (&finding.path, finding.line) {
                (Some(path), Some(line)) => format!("{}:{line}: ", terminal::safe(path)),
                (Some(path), None) => format!("{}: ", terminal::safe(path)),
                (None, _) => String::new(),
            };
            let level = match finding.level {
                Level::Note => "note",
                Level::Warning => "look",
                Level::Error => "stop",
            };
            lines.push(format!(
                "  {level} {place}{} [{}]",
                terminal::safe(&finding.message),
                finding.rule
            ));
            if finding.level > Level::Note {
                if let Some(explanation) = &finding.explanation {
                    lines.push(format!("       {}", terminal::safe(&explanation.fix)));
                }
                lines.push(format!("       fingerprint {}", finding.fingerprint));
            }
        }
    }
    lines.push(format!("together: {}", word(state)));
    lines.join("\n")
}

fn word(state: GateState) -> &'static str {
    match state {
        GateState::Pass => "pass",
        GateState::NeedsApproval => "a person has to look",
        GateState::Fail => "FAIL",
        GateState::Inconclusive => "INCONCLUSIVE",
    }
}

fn list(common: &Common) {
    let gates = content_gates(&Sources::default());
    if common.json {
        let mut listed: Vec<_> = gates
            .iter()
            .map(|gate| {
                let rules: Vec<_> = gate.rules().iter().map(rule_json).collect();
                json!({"name": gate.name(), "purpose": gate.purpose(), "runs_here": true, "rules": rules})
            })
            .collect();
        listed.push(json!({"name": SCOPE.0, "purpose": SCOPE.1, "runs_here": false, "rules": []}));
        listed.extend(sandbox_gates(&Sources::default()).iter().map(|gate| {
            let rules: Vec<_> = gate.rules().iter().map(rule_json).collect();
            json!({"name": gate.name(), "purpose": gate.purpose(), "runs_here": false, "rules": rules})
        }));
        terminal::out_json(&listed);
        return;
    }
    let mut lines = Vec::new();
    let mut add =
        |name: &str, purpose: &str, rules: Vec<Rule>| {
            lines.push(format!("{name:<14} {purpose}"));
            lines.extend(rules.iter().map(|rule| {
                format!("  {:<38} {:<13} {}", rule.id, rule.effect.as_str(), rule.title)
            }));
        };
    for gate in &gates {
        add(gate.name(), gate.purpose(), gate.rules());
    }
    add("\nonly on the platform, in a sandbox:", "", Vec::new());
    add(SCOPE.0, SCOPE.1, Vec::new());
    for gate in sandbox_gates(&Sources::default()) {
        add(gate.name(), gate.purpose(), gate.rules());
    }
    terminal::out(&lines.join("\n"));
}

fn rule_json(rule: &Rule) -> serde_json::Value {
    json!({
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "cwe": rule.cwe,
        "effect": rule.effect.as_str(),
        "why": rule.why,
        "fix": rule.fix,
    })
}

fn explain(common: &Common, name: &str) -> Result<Done> {
    let in_sandbox = sandbox_gates(&Sources::default());
    let rules: Vec<Rule> = content_gates(&Sources::default())
        .iter()
        .flat_map(|gate| gate.rules())
        .chain(in_sandbox.iter().flat_map(|gate| gate.rules()))
        .filter(|rule| rule.id == name || rule.id.split('/').next() == Some(name))
        .collect();
    if rules.is_empty() {
        return Err(no_such(name).into());
    }
    if common.json {
        terminal::out_json(&rules.iter().map(rule_json).collect::<Vec<_>>());
        return Ok(Done::Yes);
    }
    let lines: Vec<String> = rules
        .iter()
        .map(|rule| {
            let cwe = rule.cwe.map_or_else(String::new, |cwe| format!(", CWE-{cwe}"));
            format!(
                "{}: {}\n  {}{cwe}; {}\n  why: {}\n  fix: {}",
                rule.id,
                rule.title,
                format!("{:?}", rule.severity).to_lowercase(),
                rule.effect.as_str(),
                rule.why,
                rule.fix
            )
        })
        .collect();
    terminal::out(&lines.join("\n"));
    Ok(Done::Yes)
}
