//! What each role is told first. The instructions are the text files beside this one, the same
//! for every task; whatever comes from a task, a repository or another agent is put into the first
//! message as fenced data.

mod fence;

use std::collections::BTreeSet;

use bailiwick_model::chat::SystemBlock;
use bailiwick_model::evidence::{Finding, Level};
use bailiwick_model::plan::{Check, Subtask};
use bailiwick_model::subject::Taint;
use bailiwick_model::task::{Form, Task};

use crate::session::Opening;
use crate::telling::{capped, up_to};
use fence::Fence;

const RULES: &str = include_str!("rules.txt");
const MAX_INSTRUCTION_BYTES: usize = 24 * 1024;
const MAX_INSTRUCTION_FILES: usize = 4;
const MAX_DIFF_BYTES: usize = 96 * 1024;
const MAX_FINDINGS: usize = 50;
const MAX_MESSAGE_BYTES: usize = 2_000;
/// What people say is longer than what programs find, and quotes the lines that it is about.
const MAX_REMARK_BYTES: usize = 8 * 1024;

/// A repository's own instructions for agents, read from the protected branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryInstructions {
    /// The file, such as `AGENTS.md`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Tells a coordinator to plan `task`.
pub fn coordinator_opening(task: &Task, instructions: &[RepositoryInstructions]) -> Opening {
    let mut data = Data::default();
    data.task(task);
    data.instructions(instructions);
    let order = format!(
        "Plan the task that is given as data below. It may cost {} in all ({} millionths of a US dollar).",
        task.budget, task.budget.0
    );
    data.opening(include_str!("coordinator.txt"), &order)
}

/// Tells an implementor to do `subtask`, or with `findings` to mend what an earlier round left.
pub fn implementor_opening(
    task: &Task,
    subtask: &Subtask,
    instructions: &[RepositoryInstructions],
    findings: &[Finding],
) -> Opening {
    let mut data = Data::default();
    data.subtask(task, subtask);
    data.findings(findings);
    data.instructions(instructions);
    let order = if findings.is_empty() {
        "Do the subtask that is given as data below."
    } else {
        "The workspace has your earlier work on the subtask that is given as data below. It did not pass: mend the findings."
    };
    data.opening(include_str!("implementor.txt"), order)
}

/// Tells an agent's program to do `subtask`, or with `findings` to mend what an earlier round left.
pub fn program_opening(
    task: &Task,
    subtask: &Subtask,
    instructions: &[RepositoryInstructions],
    findings: &[Finding],
) -> Opening {
    let opening = implementor_opening(task, subtask, instructions, findings);
    let text = include_str!("program.txt");
    Opening { system: vec![SystemBlock::stable(text)], ..opening }
}

/// Tells a verifier to judge the change `diff` that was made for `subtask`.
pub fn verifier_opening(
    task: &Task,
    subtask: &Subtask,
    instructions: &[RepositoryInstructions],
    diff: &str,
) -> Opening {
    let mut data = Data::default();
    data.subtask(task, subtask);
    data.diff(diff);
    data.instructions(instructions);
    let order = "Verify the change that is given as data below, against the subtask that it was made for. The workspace has the change applied.";
    data.opening(include_str!("verifier.txt"), order)
}

/// Tells a reviewer to give advice on the change `diff` that was made for `subtask`.
pub fn reviewer_opening(
    task: &Task,
    subtask: &Subtask,
    instructions: &[RepositoryInstructions],
    diff: &str,
) -> Opening {
    let mut data = Data::default();
    data.subtask(task, subtask);
    data.diff(diff);
    data.instructions(instructions);
    let order =
        "Review the change that is given as data below. The workspace has the change applied.";
    data.opening(include_str!("reviewer.txt"), order)
}

/// The data of one opening.
#[derive(Default)]
struct Data {
    pieces: Vec<Piece>,
    taint: BTreeSet<Taint>,
}

struct Piece {
    what: &'static str,
    text: String,
    /// Whether its author may be anybody: not so for what a person let into the protected branch.
    anybody: bool,
}

impl Data {
    fn push(&mut self, what: &'static str, text: String, anybody: bool) {
        self.pieces.push(Piece { what, text, anybody });
    }

    fn task(&mut self, task: &Task) {
        self.taint.extend(task.taint.iter().copied());
        self.push("the task", task.text.clone(), true);
        if let Form::Specification { checks } = &task.form {
            self.push(
                "the specification's own checks, run on every subtask's result",
                checks_text(checks),
                true,
            );
        }
    }

    fn subtask(&mut self, task: &Task, subtask: &Subtask) {
        self.task(task);
        let mut text = format!(
            "Title: {}\n\n{}\n\nScope (only these paths):\n",
            subtask.title, subtask.description
        );
        for path in &subtask.scope.paths {
            text.push_str(&format!("- {path}\n"));
        }
        self.push("the subtask: the part of the task that this session is about", text, true);
        if !subtask.acceptance.is_empty() {
            self.push("the subtask's acceptance checks", checks_text(&subtask.acceptance), true);
        }
    }

    fn instructions(&mut self, instructions: &[RepositoryInstructions]) {
        for instructions in instructions.iter().take(MAX_INSTRUCTION_FILES) {
            self.taint.insert(Taint::Repository);
            let text = format!(
                "File {}\n\n{}",
                instructions.path,
                capped(&instructions.text, MAX_INSTRUCTION_BYTES)
            );
            self.push(
                "the repository's conventions for agents, from its protected branch",
                text,
                false,
            );
        }
    }

    fn findings(&mut self, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        // Findings quote what tests and gates printed.
        self.taint.insert(Taint::CommandOutput);
        let mut text: String = findings.iter().take(MAX_FINDINGS).map(finding_text).collect();
        let more = findings.len().saturating_sub(MAX_FINDINGS);
        if more > 0 {
            text.push_str(&format!("- and {more} more\n"));
        }
        self.push("findings of the earlier round", text, true);
    }

    fn diff(&mut self, diff: &str) {
        self.taint.insert(Taint::Repository);
        self.push("the change, as a unified diff", capped(diff, MAX_DIFF_BYTES), true);
    }

    fn opening(self, role: &'static str, order: &str) -> Opening {
        let texts: Vec<&str> = self.pieces.iter().map(|piece| piece.text.as_str()).collect();
        let fence = Fence::around(&texts);
        let name = fence.name();
        let mut user = format!(
            "{order} In this message, data stands between `BEGIN {name}` and `END {name}`.\n"
        );
        for piece in &self.pieces {
            user.push('\n');
            user.push_str(&fence.wrap(piece.what, &piece.text));
        }
        Opening {
            system: vec![SystemBlock::stable(format!("{RULES}\n{role}"))],
            user,
            taint: self.taint,
            untrusted: self
                .pieces
                .into_iter()
                .filter(|piece| piece.anybody)
                .map(|piece| piece.text)
                .collect(),
        }
    }
}

fn checks_text(checks: &[Check]) -> String {
    checks.iter().map(|check| format!("- {}: {}\n", check.name, check.command)).collect()
}

fn finding_text(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let place = match (&finding.path, finding.line) {
        (Some(path), Some(line)) => format!(" {path}:{line}"),
        (Some(path), None) => format!(" {path}"),
        (None, _) => String::new(),
    };
    let most =
        if finding.rule.starts_with("review/") { MAX_REMARK_BYTES } else { MAX_MESSAGE_BYTES };
    format!("- {level} ({}){place}: {}\n", finding.rule, up_to(&finding.message, most))
}

#[cfg(test)]
mod tests;
