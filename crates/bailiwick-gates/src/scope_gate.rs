//! What a subtask may touch. A tool call that writes outside the scope is refused when it is made;
//! this finds what commands changed, from the diff, which nothing in the workspace can avoid.

use std::collections::BTreeMap;

use bailiwick_model::evidence::{Finding, GateReport, GateState, Level, Severity};
use bailiwick_model::payload::Digest;
use bailiwick_model::plan::compile_scope;
use bailiwick_model::steering::{is_a_question, is_protected};
use globset::GlobSet;

use crate::change::Change;
use crate::path_class::{PathClass, classify};
use crate::risk::FileDelta;
use crate::rule::Rule;

/// The gate's name.
pub const SCOPE_GATE: &str = "scope";

/// A file outside of the scope.
const OUTSIDE: &str = "scope/outside";
/// A file that steers others.
const PROTECTED: &str = "scope/protected";

/// Its rules.
pub fn scope_rules() -> Vec<Rule> {
    vec![
        Rule::blocks(
            OUTSIDE,
            "change outside of the subtask's scope",
            Severity::Medium,
            None,
            [
                "nobody asked for it, and nobody who approved the plan has seen it",
                "undo the change to it, or ask for a plan whose scope has it",
            ],
        ),
        Rule::blocks(
            PROTECTED,
            "change to what steers pipelines, hooks, policy or agents",
            Severity::High,
            Some(829),
            [
                "it changes how this and later changes are made and judged",
                "undo the change to it, or let people approve exactly it",
            ],
        ),
    ]
}

/// The mode of a file that is not executable.
const PLAIN_FILE: u32 = 0o100_644;

fn paths(files: &[FileDelta]) -> impl Iterator<Item = &str> {
    files.iter().flat_map(|file| [Some(file.path.as_str()), file.old_path.as_deref()]).flatten()
}

/// Whether a path steers pipelines, hooks, policy or agents. A `build.rs` is code under review like
/// any other, though it counts for the risk.
fn is_steering(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let classes = classify(path);
    is_protected(path)
        || classes.contains(&PathClass::AgentRules)
        || classes.contains(&PathClass::Policy)
        || (classes.contains(&PathClass::CiDefinition) && name != "build.rs")
}

/// Whether people were asked about a path, and it has exactly the content that they agreed to.
fn as_approved(change: &Change, path: &str, approved: &BTreeMap<String, Digest>) -> bool {
    let content = change.pairs.iter().find(|pair| pair.path == path).and_then(|pair| {
        // What was another file before is a change to that one as well, and nobody was asked about
        // a mode.
        let moved = pair.old_path.as_deref().is_some_and(|old| old != path);
        let mode = if pair.is_new() { PLAIN_FILE } else { pair.old_mode };
        pair.after.as_deref().filter(|_| !moved && pair.new_mode == mode)
    });
    is_a_question(path)
        && content.is_some_and(|content| approved.get(path) == Some(&Digest::of(content)))
}

/// The touched paths that no glob of the scope matches; all of them when a glob is not one.
pub fn outside_scope(files: &[FileDelta], scope: &[String]) -> Vec<String> {
    let set = compile_scope(scope).unwrap_or_else(|_| GlobSet::empty());
    paths(files).filter(|path| !set.is_match(path)).map(str::to_owned).collect()
}

/// Judges a change against its subtask's scope, and against the paths that steer others: those have
/// to be as people approved them (`approved`: path and SHA-256 of the content), or as they were.
pub fn scope_report(
    change: &Change,
    scope: &[String],
    approved: &BTreeMap<String, Digest>,
) -> GateReport {
    if let Err(error) = compile_scope(scope) {
        return GateReport {
            gate: SCOPE_GATE.to_owned(),
            state: GateState::Inconclusive,
            summary: format!("the scope is not usable: {error}; ask for a new plan"),
            findings: Vec::new(),
            evidence: Vec::new(),
        };
    }
    let finding = |rule: &str, path: &str, message: String| Finding {
        rule: rule.to_owned(),
        level: Level::Error,
        message,
        path: Some(path.to_owned()),
        line: None,
        fingerprint: Digest::of(format!("{rule}\0{path}").as_bytes()),
        explanation: None,
    };
    let mut findings: Vec<Finding> = outside_scope(&change.files, scope)
        .iter()
        .map(|path| {
            finding(
                OUTSIDE,
                path,
                format!("`{path}` is outside of the subtask's scope; undo the change to it"),
            )
        })
        .collect();
    let unapproved = |path: &&str| is_steering(path) && !as_approved(change, path, approved);
    findings.extend(paths(&change.files).filter(unapproved).map(|path| {
        let what = if is_a_question(path) {
            "steers pipelines or agents, and nobody approved it as it is now; undo the change to it, or write it with the file tools, where people are asked"
        } else {
            "steers pipelines, hooks, policy or agents, which only people change; undo the change to it"
        };
        finding(PROTECTED, path, format!("`{path}` {what}"))
    }));
    let (state, summary) = match findings.len() {
        0 => {
            (GateState::Pass, format!("all {} touched files are in the scope", change.files.len()))
        }
        n => (GateState::Fail, format!("{n} changes to files that the subtask may not touch")),
    };
    GateReport { gate: SCOPE_GATE.to_owned(), state, summary, findings, evidence: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content_gate::FilePair;

    fn change(paths: &[&str]) -> Change {
        let files = paths
            .iter()
            .map(|path| FileDelta {
                path: (*path).to_owned(),
                old_path: None,
                deleted: false,
                binary: false,
                added: 1,
                removed: 0,
            })
            .collect();
        Change { files, ..Change::default() }
    }

    fn judged(change: &Change, scope: &[String]) -> GateReport {
        scope_report(change, scope, &BTreeMap::new())
    }

    fn with_content(path: &str, old_path: Option<&str>, content: &str) -> Change {
        let mut change = change(&[path]);
        change.pairs = vec![FilePair {
            path: path.to_owned(),
            old_path: old_path.map(str::to_owned),
            old_mode: 0,
            new_mode: PLAIN_FILE,
            before: None,
            after: Some(content.as_bytes().into()),
            added: Vec::new(),
            removed: Vec::new(),
            binary: false,
        }];
        change
    }

    #[test]
    fn what_people_approved_passes_exactly_as_they_saw_it() {
        let wide = ["**".to_owned()];
        let approved = |path: &str| BTreeMap::from([(path.to_owned(), Digest::of(b"on: push"))]);
        let state =
            |change: &Change, path: &str| scope_report(change, &wide, &approved(path)).state;
        for path in [".github/workflows/ci.yml", "AGENTS.md"] {
            let as_shown = with_content(path, None, "on: push");
            assert_eq!(state(&as_shown, path), GateState::Pass, "{path}");
            // The control, and each way in which it is something else.
            assert_eq!(judged(&as_shown, &wide).state, GateState::Fail, "{path}");
            assert_eq!(state(&as_shown, ".gitlab-ci.yml"), GateState::Fail, "{path}");
            let later = with_content(path, None, "on: push # and more");
            assert_eq!(state(&later, path), GateState::Fail, "{path}");
            let moved = with_content(path, Some("other/AGENTS.md"), "on: push");
            assert_eq!(state(&moved, path), GateState::Fail, "{path}");
            let mut executable = as_shown.clone();
            executable.pairs[0].new_mode = 0o100_755;
            assert_eq!(state(&executable, path), GateState::Fail, "{path}");
            assert_eq!(state(&change(&[path]), path), GateState::Fail, "gone: {path}");
        }
        // What is no question is none, whoever is said to have approved it.
        for path in [".bailiwick/gates.toml", ".gitattributes", ".github/CODEOWNERS"] {
            assert_eq!(state(&with_content(path, None, "on: push"), path), GateState::Fail);
        }
    }

    #[test]
    fn what_a_command_changed_outside_the_scope_is_found() {
        let scope = ["src/**".to_owned()];
        let state = |paths: &[&str]| judged(&change(paths), &scope).state;
        assert_eq!(state(&["src/a.rs", "src/deep/b.rs"]), GateState::Pass);
        assert_eq!(state(&["src/a.rs", "docs/b.md"]), GateState::Fail);
        assert_eq!(judged(&change(&["a"]), &["[".to_owned()]).state, GateState::Inconclusive);
        assert_eq!(judged(&change(&["a"]), &[]).state, GateState::Fail);
    }

    #[test]
    fn steering_files_are_refused_inside_a_wide_scope_too() {
        let wide = ["**".to_owned()];
        for path in
            [".github/workflows/ci.yml", "AGENTS.md", ".bailiwick/gates.toml", ".gitlab-ci.yml"]
        {
            let report = judged(&change(&[path]), &wide);
            assert_eq!(report.state, GateState::Fail, "{path}");
            assert_eq!(report.findings[0].rule, "scope/protected", "{path}");
        }
        assert_eq!(judged(&change(&["src/agents.rs"]), &wide).state, GateState::Pass);
    }

    #[test]
    fn a_rename_out_of_the_scope_counts_on_both_sides() {
        let mut moved = change(&["src/new.rs"]);
        moved.files[0].old_path = Some("secret/old.rs".to_owned());
        assert_eq!(outside_scope(&moved.files, &["src/**".to_owned()]), ["secret/old.rs"]);
    }
}
