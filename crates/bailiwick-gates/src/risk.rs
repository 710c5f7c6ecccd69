//! A first, deterministic risk score of a change: 0 to 100, with each signal's points and reason.
//!
//! A pure function of recorded facts, so that anybody can compute it again. It orders a reviewer's
//! attention and chooses how many reviewers there must be; it is no probability. All weights stand
//! in [`WEIGHTS`].

use crate::path_class::{PathClass, classify};
use bailiwick_model::evidence::{Autonomy, RiskBand, RiskReport, RiskSignal};
use bailiwick_model::subject::Taint;
use std::collections::BTreeSet;

/// One file that differs between base and head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileDelta {
    /// The path after the change, or before it when the file is gone.
    pub path: String,
    /// The path before, when the file was renamed.
    pub old_path: Option<String>,
    /// Whether the file is gone.
    pub deleted: bool,
    /// Whether it is not text.
    pub binary: bool,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

impl FileDelta {
    fn classes(&self) -> BTreeSet<PathClass> {
        // moving a policy away changes it as much as an edit does
        let mut classes = classify(&self.path);
        classes.extend(self.old_path.as_deref().map(classify).unwrap_or_default());
        classes
    }

    fn lines(&self) -> u32 {
        self.added.saturating_add(self.removed)
    }
}

/// The recorded facts that the score is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RiskFacts {
    /// The files that differ.
    pub files: Vec<FileDelta>,
    /// New secrets that the `secrets` gate found and nobody ignored.
    pub secrets: u32,
    /// What the sessions of this change had read.
    pub taint: BTreeSet<Taint>,
    /// Repair rounds that were used.
    pub repair_rounds: u32,
    /// Actions that were denied to the sessions of this change.
    pub denials: u32,
    /// Files outside of the subtask's scope.
    pub out_of_scope: Vec<String>,
    /// What gates found for a person to look at, without blocking.
    pub findings: u32,
    /// Those whose code it is, as `CODEOWNERS` on the base says.
    pub owners: BTreeSet<String>,
    /// Packages that are added or changed.
    pub packages: u32,
    /// Lines changed that were written only lately.
    pub recent_lines: u32,
    /// What the coverage gate found: changed lines that no test runs.
    pub uncovered: u32,
}

/// How many points each signal adds. The one place to change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Points by lines added and removed (lock files not counted): each pair is the least number
    /// of lines and the points from there on.
    pub lines: [(u32, u32); 4],
    /// Points by files touched, in the same form.
    pub files: [(u32, u32); 3],
    /// Source changed and no test touched.
    pub no_test_touched: u32,
    /// A test file is gone.
    pub tests_deleted: u32,
    /// Tests lost more lines than they got.
    pub tests_shrunk: u32,
    /// A list of dependencies changed.
    pub dependency_manifest: u32,
    /// Pinned dependencies changed.
    pub lock_file: u32,
    /// What CI, hooks or builds run changed.
    pub ci_definition: u32,
    /// Instructions to agents changed.
    pub agent_rules: u32,
    /// The platform's rules in the repository changed.
    pub policy: u32,
    /// How it is deployed changed.
    pub deployment: u32,
    /// A database migration changed.
    pub migration: u32,
    /// A file that is not text changed: nobody can review it.
    pub binary: u32,
    /// A new secret.
    pub secrets: u32,
    /// A session read text that was addressed to an agent.
    pub taint_instructions: u32,
    /// A session read a secret.
    pub taint_secret: u32,
    /// The task's text may have been written by anybody.
    pub taint_task_text: u32,
    /// Each repair round, and the most for all.
    pub repair_round: (u32, u32),
    /// Each denied action, and the most for all.
    pub denial: (u32, u32),
    /// A file outside of the scope.
    pub out_of_scope: u32,
    /// Each finding for a person, and the most for all.
    pub finding: (u32, u32),
    /// The code of two owners or more.
    pub several_owners: u32,
    /// Each package that is added or changed, and the most for all.
    pub package: (u32, u32),
    /// Points by changed lines that were written only lately, in the form of `lines`.
    pub recent_lines: [(u32, u32); 2],
    /// Each place that no test runs, and the most for all.
    pub uncovered: (u32, u32),
}

/// The weights in use. What a reviewer would want to see whatever else the change does (policy,
/// CI, scope, secrets, injected text) is enough for the medium band by itself.
pub const WEIGHTS: Weights = Weights {
    lines: [(51, 5), (201, 12), (501, 20), (1001, 30)],
    files: [(4, 4), (11, 8), (26, 15)],
    no_test_touched: 10,
    tests_deleted: 20,
    tests_shrunk: 10,
    dependency_manifest: 10,
    lock_file: 5,
    ci_definition: 30,
    agent_rules: 30,
    policy: 40,
    deployment: 15,
    migration: 15,
    binary: 10,
    secrets: 60,
    taint_instructions: 30,
    taint_secret: 15,
    taint_task_text: 5,
    repair_round: (6, 12),
    denial: (4, 16),
    out_of_scope: 30,
    finding: (5, 25),
    several_owners: 10,
    package: (3, 15),
    recent_lines: [(20, 4), (100, 10)],
    uncovered: (2, 10),
};

/// Scores a change with [`WEIGHTS`].
pub fn assess(facts: &RiskFacts) -> RiskReport {
    assess_with(facts, &WEIGHTS)
}

/// Scores a change with the given weights.
pub fn assess_with(facts: &RiskFacts, weights: &Weights) -> RiskReport {
    let mut signals = Vec::new();
    size_signals(facts, weights, &mut signals);
    test_signals(facts, weights, &mut signals);
    path_signals(facts, weights, &mut signals);
    session_signals(facts, weights, &mut signals);
    let score = signals.iter().map(|signal| signal.points).fold(0, u32::saturating_add).min(100);
    let band = band(score);
    RiskReport {
        score,
        band,
        autonomy: autonomy(band, &signals),
        owners: if band == RiskBand::Low {
            Vec::new()
        } else {
            facts.owners.iter().cloned().collect()
        },
        signals,
    }
}

/// Signals after which a person looks whatever the score: what they are about decides over later
/// changes, or over what agents do.
const NEVER_UNATTENDED: [&str; 5] =
    ["ci-changed", "agent-rules-changed", "policy-changed", "scope-exceeded", "new-secrets"];

/// How far a change may go by itself.
fn autonomy(band: RiskBand, signals: &[RiskSignal]) -> Autonomy {
    if band == RiskBand::High {
        Autonomy::Joint
    } else if signals.iter().any(|one| NEVER_UNATTENDED.contains(&one.name.as_str())) {
        Autonomy::Reviewed
    } else {
        Autonomy::Unattended
    }
}

/// The band of a score: low below 30, medium below 60, else high.
pub fn band(score: u32) -> RiskBand {
    match score {
        0..=29 => RiskBand::Low,
        30..=59 => RiskBand::Medium,
        _ => RiskBand::High,
    }
}

fn size_signals(facts: &RiskFacts, weights: &Weights, signals: &mut Vec<RiskSignal>) {
    let lines = facts
        .files
        .iter()
        .filter(|file| !file.classes().contains(&PathClass::LockFile))
        .map(FileDelta::lines)
        .fold(0, u32::saturating_add);
    let files = u32::try_from(facts.files.len()).unwrap_or(u32::MAX);
    add(
        signals,
        "lines-changed",
        step(&weights.lines, lines),
        format!("{lines} lines added or removed"),
    );
    add(signals, "files-touched", step(&weights.files, files), format!("{files} files touched"));
    let binary: Vec<&FileDelta> = facts.files.iter().filter(|file| file.binary).collect();
    if !binary.is_empty() {
        add(signals, "binary-files", weights.binary, format!("not text: {}", names(&binary)));
    }
}

fn test_signals(facts: &RiskFacts, weights: &Weights, signals: &mut Vec<RiskSignal>) {
    let in_class = |class: PathClass| -> Vec<&FileDelta> {
        facts.files.iter().filter(|file| file.classes().contains(&class)).collect()
    };
    let tests = in_class(PathClass::Test);
    let source = in_class(PathClass::Source);
    if tests.is_empty() && !source.is_empty() {
        let reason = format!("{} source files changed, no test file", source.len());
        add(signals, "no-test-touched", weights.no_test_touched, reason);
    }
    let (deleted, kept): (Vec<&FileDelta>, Vec<&FileDelta>) =
        tests.into_iter().partition(|file| file.deleted);
    if !deleted.is_empty() {
        add(
            signals,
            "tests-deleted",
            weights.tests_deleted,
            format!("deleted: {}", names(&deleted)),
        );
    }
    let sum = |lines: fn(&FileDelta) -> u32| {
        kept.iter().map(|file| lines(file)).fold(0, u32::saturating_add)
    };
    let (added, removed) = (sum(|file| file.added), sum(|file| file.removed));
    if removed > added {
        let reason = format!("tests lost {removed} lines and got {added}");
        add(signals, "tests-shrunk", weights.tests_shrunk, reason);
    }
}

fn path_signals(facts: &RiskFacts, weights: &Weights, signals: &mut Vec<RiskSignal>) {
    for (class, name, points) in [
        (PathClass::DependencyManifest, "dependencies-changed", weights.dependency_manifest),
        (PathClass::LockFile, "lock-file-changed", weights.lock_file),
        (PathClass::CiDefinition, "ci-changed", weights.ci_definition),
        (PathClass::AgentRules, "agent-rules-changed", weights.agent_rules),
        (PathClass::Policy, "policy-changed", weights.policy),
        (PathClass::Deployment, "deployment-changed", weights.deployment),
        (PathClass::Migration, "migration-changed", weights.migration),
    ] {
        let touched: Vec<&FileDelta> =
            facts.files.iter().filter(|file| file.classes().contains(&class)).collect();
        if !touched.is_empty() {
            add(signals, name, points, format!("touched: {}", names(&touched)));
        }
    }
    add(
        signals,
        "packages-changed",
        facts.packages.saturating_mul(weights.package.0).min(weights.package.1),
        format!("{} packages added or changed", facts.packages),
    );
    add(
        signals,
        "recent-lines",
        step(&weights.recent_lines, facts.recent_lines),
        format!("{} of the changed lines were written only lately", facts.recent_lines),
    );
    if let Some(first) = facts.out_of_scope.first() {
        let reason = format!(
            "{} files outside of the subtask's scope, such as `{first}`",
            facts.out_of_scope.len()
        );
        add(signals, "scope-exceeded", weights.out_of_scope, reason);
    }
}

fn session_signals(facts: &RiskFacts, weights: &Weights, signals: &mut Vec<RiskSignal>) {
    if facts.secrets > 0 {
        add(signals, "new-secrets", weights.secrets, format!("{} new secrets", facts.secrets));
    }
    for taint in &facts.taint {
        let (points, reason) = match taint {
            Taint::Instructions => {
                (weights.taint_instructions, "a session read text that is addressed to an agent")
            }
            Taint::Secret => (weights.taint_secret, "a session read a secret"),
            Taint::TaskText => {
                (weights.taint_task_text, "the task's text may have been written by anybody")
            }
            // every session reads these, so they tell changes apart in no way
            Taint::Repository | Taint::CommandOutput => (0, ""),
        };
        add(
            signals,
            &format!("taint-{}", taint.name().replace('_', "-")),
            points,
            reason.to_owned(),
        );
    }
    let capped = |(each, most): (u32, u32), count: u32| each.saturating_mul(count).min(most);
    let rounds = facts.repair_rounds;
    add(
        signals,
        "repair-rounds",
        capped(weights.repair_round, rounds),
        format!("{rounds} repair rounds used"),
    );
    let findings = facts.findings;
    add(
        signals,
        "findings-for-a-person",
        capped(weights.finding, findings),
        format!("gates found {findings} things for a person to look at"),
    );
    add(
        signals,
        "uncovered",
        capped(weights.uncovered, facts.uncovered),
        format!("{} findings of changed lines that no test runs", facts.uncovered),
    );
    if facts.owners.len() > 1 {
        let owners: Vec<&str> = facts.owners.iter().map(String::as_str).take(5).collect();
        let reason = format!("the code of {} owners: {}", facts.owners.len(), owners.join(", "));
        add(signals, "several-owners", weights.several_owners, reason);
    }
    let denials = facts.denials;
    add(
        signals,
        "denials",
        capped(weights.denial, denials),
        format!("{denials} actions were denied"),
    );
}

/// Adds a signal that has points.
fn add(signals: &mut Vec<RiskSignal>, name: &str, points: u32, reason: String) {
    if points > 0 {
        signals.push(RiskSignal { name: name.to_owned(), points, reason });
    }
}

/// The points of the last step that `value` reaches.
fn step(steps: &[(u32, u32)], value: u32) -> u32 {
    steps.iter().rev().find(|(least, _)| value >= *least).map_or(0, |(_, points)| *points)
}

/// Up to three paths, and how many more there are.
fn names(files: &[&FileDelta]) -> String {
    let first: Vec<String> = files.iter().take(3).map(|file| format!("`{}`", file.path)).collect();
    match files.len().checked_sub(3) {
        Some(more @ 1..) => format!("{} and {more} more", first.join(", ")),
        Some(0) | None => first.join(", "),
    }
}

#[cfg(test)]
mod tests;
