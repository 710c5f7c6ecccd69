//! What a subtask may touch. A tool call that writes outside the scope is refused when it is made;
//! this finds what commands changed, from the diff, which nothing in the workspace can avoid.

use bailiwick_model::evidence::{Finding, GateReport, GateState, Level};
use bailiwick_model::payload::Digest;
use bailiwick_model::plan::compile_scope;
use bailiwick_model::steering::is_protected;
use globset::GlobSet;

use crate::change::Change;
use crate::path_class::{PathClass, classify};
use crate::risk::FileDelta;

/// The gate's name.
pub const SCOPE_GATE: &str = "scope";

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

/// The touched paths that no glob of the scope matches; all of them when a glob is not one.
pub fn outside_scope(files: &[FileDelta], scope: &[String]) -> Vec<String> {
    let set = compile_scope(scope).unwrap_or_else(|_| GlobSet::empty());
    paths(files).filter(|path| !set.is_match(path)).map(str::to_owned).collect()
}

/// Judges a change against its subtask's scope, and against the paths that only people change.
pub fn scope_report(change: &Change, scope: &[String]) -> GateReport {
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
                "scope/outside",
                path,
                format!("`{path}` is outside of the subtask's scope; undo the change to it"),
            )
        })
        .collect();
    findings.extend(paths(&change.files).filter(|path| is_steering(path)).map(|path| {
        finding(
            "scope/protected",
            path,
            format!("`{path}` steers pipelines, hooks, policy or agents, which only people change; undo the change to it"),
        )
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

    #[test]
    fn what_a_command_changed_outside_the_scope_is_found() {
        let scope = ["src/**".to_owned()];
        let state = |paths: &[&str]| scope_report(&change(paths), &scope).state;
        assert_eq!(state(&["src/a.rs", "src/deep/b.rs"]), GateState::Pass);
        assert_eq!(state(&["src/a.rs", "docs/b.md"]), GateState::Fail);
        assert_eq!(scope_report(&change(&["a"]), &["[".to_owned()]).state, GateState::Inconclusive);
        assert_eq!(scope_report(&change(&["a"]), &[]).state, GateState::Fail);
    }

    #[test]
    fn steering_files_are_refused_inside_a_wide_scope_too() {
        let wide = ["**".to_owned()];
        for path in
            [".github/workflows/ci.yml", "AGENTS.md", ".bailiwick/gates.toml", ".gitlab-ci.yml"]
        {
            let report = scope_report(&change(&[path]), &wide);
            assert_eq!(report.state, GateState::Fail, "{path}");
            assert_eq!(report.findings[0].rule, "scope/protected", "{path}");
        }
        assert_eq!(scope_report(&change(&["src/agents.rs"]), &wide).state, GateState::Pass);
    }

    #[test]
    fn a_rename_out_of_the_scope_counts_on_both_sides() {
        let mut moved = change(&["src/new.rs"]);
        moved.files[0].old_path = Some("secret/old.rs".to_owned());
        assert_eq!(outside_scope(&moved.files, &["src/**".to_owned()]), ["secret/old.rs"]);
    }
}
