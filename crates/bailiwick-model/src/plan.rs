//! A plan: a task split into subtasks, each one reviewable pull request.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::SubtaskKey;
use crate::task::MicroUsd;

/// The most subtasks a plan may have.
pub const MAX_SUBTASKS: usize = 20;

/// A command whose exit code 0 means that a requirement is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is checked, in a few words.
    pub name: String,
    /// The command line, run by `/bin/sh -c` at the workspace root.
    pub command: String,
}

/// What a subtask may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Globs relative to the workspace root (`*` within a part, `**` across parts). Empty: nothing.
    pub paths: Vec<String>,
}

/// The one dialect of scope globs, so that plan, policy and gates can't read a scope differently.
fn scope_glob(glob: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build()
}

/// Compiles a scope's globs into what tells whether a path relative to the workspace is inside.
///
/// # Errors
/// The error names the glob that is none.
pub fn compile_scope(globs: &[String]) -> Result<GlobSet, globset::Error> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(scope_glob(glob)?);
    }
    builder.build()
}

/// One part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subtask {
    /// Its name in this plan.
    pub key: SubtaskKey,
    /// The title of its pull request.
    pub title: String,
    /// What is to be done, for the implementor.
    pub description: String,
    /// Subtasks that must be done first. One: this subtask stacks on its branch. Several: it waits
    /// until all of them are merged.
    #[serde(default)]
    pub depends_on: Vec<SubtaskKey>,
    /// What it may touch.
    pub scope: Scope,
    /// The most it may cost, in millionths of a US dollar.
    #[serde(default)]
    #[schemars(with = "Option<u64>")]
    pub budget: Option<MicroUsd>,
    /// Commands that must succeed on its result.
    #[serde(default)]
    pub acceptance: Vec<Check>,
}

/// A plan as the coordinator proposes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What will be done, in a sentence or two.
    pub summary: String,
    /// The parts.
    pub subtasks: Vec<Subtask>,
}

/// Why a plan is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No subtask at all.
    #[error("the plan has no subtask")]
    Empty,
    /// More than [`MAX_SUBTASKS`].
    #[error("the plan has {count} subtasks, more than the {MAX_SUBTASKS} allowed")]
    TooMany {
        /// How many it has.
        count: usize,
    },
    /// Two subtasks with one key.
    #[error("two subtasks have the key `{key}`")]
    DuplicateKey {
        /// The key.
        key: SubtaskKey,
    },
    /// A dependency that does not exist.
    #[error("subtask `{key}` depends on `{missing}`, which is not in the plan")]
    UnknownDependency {
        /// The subtask.
        key: SubtaskKey,
        /// What it names.
        missing: SubtaskKey,
    },
    /// A cycle.
    #[error("the subtasks around `{key}` depend on each other in a circle")]
    Cycle {
        /// One of them.
        key: SubtaskKey,
    },
    /// A text field that is empty or too long.
    #[error("subtask `{key}`: {field} must have 1 to {max} characters")]
    Text {
        /// The subtask.
        key: SubtaskKey,
        /// Which field.
        field: &'static str,
        /// The limit.
        max: usize,
    },
    /// A scope without a path, or with one that leaves the workspace.
    #[error("subtask `{key}`: scope path `{path}` is not a relative glob inside the workspace")]
    Scope {
        /// The subtask.
        key: SubtaskKey,
        /// The offending path, empty when there is none at all.
        path: String,
    },
    /// The parts may cost more than the whole.
    #[error("the subtasks' budgets add up to {sum}, more than the task's {budget}")]
    OverBudget {
        /// The sum of the parts.
        sum: MicroUsd,
        /// The task's budget.
        budget: MicroUsd,
    },
}

fn text(key: &SubtaskKey, field: &'static str, value: &str, max: usize) -> Result<(), PlanError> {
    if value.trim().is_empty() || value.chars().count() > max {
        return Err(PlanError::Text { key: key.clone(), field, max });
    }
    Ok(())
}

impl Plan {
    /// Checks everything that the schema cannot say, against the task's budget.
    pub fn validate(&self, budget: MicroUsd) -> Result<(), PlanError> {
        if self.subtasks.is_empty() {
            return Err(PlanError::Empty);
        }
        if self.subtasks.len() > MAX_SUBTASKS {
            return Err(PlanError::TooMany { count: self.subtasks.len() });
        }
        let mut keys = BTreeSet::new();
        for subtask in &self.subtasks {
            if !keys.insert(&subtask.key) {
                return Err(PlanError::DuplicateKey { key: subtask.key.clone() });
            }
        }
        let mut sum = MicroUsd(0);
        for subtask in &self.subtasks {
            subtask.validate()?;
            sum = sum.plus(subtask.budget.unwrap_or_default());
            if let Some(missing) = subtask.depends_on.iter().find(|key| !keys.contains(key)) {
                return Err(PlanError::UnknownDependency {
                    key: subtask.key.clone(),
                    missing: missing.clone(),
                });
            }
        }
        if sum > budget {
            return Err(PlanError::OverBudget { sum, budget });
        }
        self.order().map(|_| ())
    }

    /// The subtasks' keys, each after what it depends on.
    pub fn order(&self) -> Result<Vec<SubtaskKey>, PlanError> {
        let mut waiting: BTreeMap<&SubtaskKey, &Subtask> =
            self.subtasks.iter().map(|subtask| (&subtask.key, subtask)).collect();
        let mut done: Vec<SubtaskKey> = Vec::new();
        while !waiting.is_empty() {
            let ready: Vec<&SubtaskKey> = self
                .subtasks
                .iter()
                .filter(|s| {
                    waiting.contains_key(&s.key) && s.depends_on.iter().all(|d| done.contains(d))
                })
                .map(|s| &s.key)
                .collect();
            if ready.is_empty() {
                let key = waiting.keys().next().map(|key| (*key).clone());
                return Err(key.map_or(PlanError::Empty, |key| PlanError::Cycle { key }));
            }
            for key in ready {
                waiting.remove(key);
                done.push(key.clone());
            }
        }
        Ok(done)
    }

    /// The subtask with a key.
    pub fn subtask(&self, key: &SubtaskKey) -> Option<&Subtask> {
        self.subtasks.iter().find(|subtask| subtask.key == *key)
    }
}

impl Subtask {
    fn validate(&self) -> Result<(), PlanError> {
        text(&self.key, "title", &self.title, 200)?;
        text(&self.key, "description", &self.description, 20_000)?;
        if self.scope.paths.is_empty() {
            return Err(PlanError::Scope { key: self.key.clone(), path: String::new() });
        }
        for path in &self.scope.paths {
            let outside = path.is_empty()
                || path.len() > 500
                || path.starts_with('/')
                || path.split('/').any(|part| part == "..")
                || path.chars().any(char::is_control)
                || scope_glob(path).is_err();
            if outside {
                return Err(PlanError::Scope { key: self.key.clone(), path: path.clone() });
            }
        }
        for check in &self.acceptance {
            text(&self.key, "acceptance check name", &check.name, 200)?;
            text(&self.key, "acceptance check command", &check.command, 4_000)?;
        }
        Ok(())
    }
}
