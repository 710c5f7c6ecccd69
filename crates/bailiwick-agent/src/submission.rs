//! How an agent says that it is done, role by role, and what counts as such.

use std::fmt;
use std::sync::Arc;

use bailiwick_model::chat::ToolSpec;
use bailiwick_model::evidence::{Finding, Level};
use bailiwick_model::payload::Digest;
use bailiwick_model::plan::Plan;
use bailiwick_model::task::MicroUsd;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::compact_schema;

const MAX_FINDINGS: usize = 50;
const MAX_TEXT_CHARS: usize = 4_000;

/// Says what is wrong with a submission's arguments, in words that the model can act on.
pub type SubmissionCheck = Arc<dyn Fn(&Value) -> Result<(), String> + Send + Sync>;

/// The tool that ends a session, and the check that its arguments must pass first.
#[derive(Clone)]
pub struct Submission {
    /// How it is described to the model.
    pub tool: ToolSpec,
    /// What its arguments must pass. It has to give the same answer each time it is asked.
    pub check: SubmissionCheck,
}

impl Submission {
    /// `finish`: an implementor is done. The result is a [`FinishSubmission`].
    pub fn finish() -> Self {
        Self::of(
            "finish",
            "Say that the work is finished. Call it alone, after the last check.",
            |done: FinishSubmission| text("summary", &done.summary),
        )
    }

    /// `submit_verdict`: a verifier's verdict. The result is a [`VerdictSubmission`].
    pub fn verdict() -> Self {
        let description = "Give the verdict on the change. `refused` needs at least one finding; `inconclusive` means that you could not tell.";
        Self::of("submit_verdict", description, |verdict: VerdictSubmission| {
            text("summary", &verdict.summary)?;
            findings(&verdict.findings)?;
            if verdict.verdict == SubmittedVerdict::Refused && verdict.findings.is_empty() {
                return Err(
                    "`findings` is empty: a refusal must say what is to be mended".to_owned()
                );
            }
            Ok(())
        })
    }

    /// `submit_review`: a reviewer's advice. The result is a [`ReviewSubmission`].
    pub fn review() -> Self {
        Self::of(
            "submit_review",
            "Give the review. No findings means that there is nothing to remark.",
            |review: ReviewSubmission| {
                text("summary", &review.summary)?;
                findings(&review.findings)
            },
        )
    }

    /// `submit_plan`: a coordinator's plan, valid within the task's budget. The result is a
    /// [`Plan`].
    pub fn plan(budget: MicroUsd) -> Self {
        Self::of(
            "submit_plan",
            "Submit the plan. Each subtask becomes one pull request.",
            move |plan: Plan| plan.validate(budget).map_err(|error| error.to_string()),
        )
    }

    fn of<T, F>(name: &str, description: &str, check: F) -> Self
    where
        T: DeserializeOwned + JsonSchema,
        F: Fn(T) -> Result<(), String> + Send + Sync + 'static,
    {
        let input_schema = compact_schema::<T>();
        let check = move |input: &Value| {
            T::deserialize(input).map_err(|error| error.to_string()).and_then(&check)
        };
        let tool =
            ToolSpec { name: name.to_owned(), description: description.to_owned(), input_schema };
        Self { tool, check: Arc::new(check) }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("tool", &self.tool.name).finish_non_exhaustive()
    }
}

fn text(field: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() || value.chars().count() > MAX_TEXT_CHARS {
        return Err(format!("`{field}` must have 1 to {MAX_TEXT_CHARS} characters"));
    }
    Ok(())
}

fn findings(findings: &[SubmittedFinding]) -> Result<(), String> {
    if findings.len() > MAX_FINDINGS {
        return Err(format!(
            "there are {} findings: give at most {MAX_FINDINGS}, the most serious ones",
            findings.len()
        ));
    }
    for (at, finding) in findings.iter().enumerate() {
        text(&format!("findings[{at}].message"), &finding.message)?;
        if finding.line == Some(0) {
            return Err(format!("`findings[{at}].line` is 0: lines are counted from 1"));
        }
    }
    Ok(())
}

/// What an implementor says at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishSubmission {
    /// What was done and how it was checked, in a few sentences.
    pub summary: String,
}

/// What a verifier says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubmittedVerdict {
    /// The change does what the subtask asks.
    Accepted,
    /// It does not.
    Refused,
    /// It could not be told.
    Inconclusive,
}

impl From<SubmittedVerdict> for bailiwick_model::event::Verification {
    fn from(verdict: SubmittedVerdict) -> Self {
        match verdict {
            SubmittedVerdict::Accepted => Self::Accepted,
            SubmittedVerdict::Refused => Self::Refused,
            SubmittedVerdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// For information.
    Note,
    /// To be looked at.
    Warning,
    /// Must be mended.
    Error,
}

/// A finding as a model gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmittedFinding {
    /// How serious it is.
    pub level: FindingLevel,
    /// What is wrong and what would be right.
    pub message: String,
    /// The file, relative to the workspace root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl SubmittedFinding {
    /// The finding as it is recorded, under a rule such as `verifier/finding`.
    pub fn into_finding(self, rule: &str) -> Finding {
        let place = self.path.as_deref().unwrap_or_default();
        let fingerprint = Digest::of(format!("{rule}\0{place}\0{}", self.message).as_bytes());
        Finding {
            rule: rule.to_owned(),
            level: match self.level {
                FindingLevel::Note => Level::Note,
                FindingLevel::Warning => Level::Warning,
                FindingLevel::Error => Level::Error,
            },
            message: self.message,
            path: self.path,
            line: self.line,
            fingerprint,
            explanation: None,
        }
    }
}

/// A verifier's verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictSubmission {
    /// The verdict.
    pub verdict: SubmittedVerdict,
    /// Why, in a sentence or two: what was run and what came out.
    pub summary: String,
    /// What is wrong with the change.
    #[serde(default)]
    pub findings: Vec<SubmittedFinding>,
}

/// A reviewer's advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewSubmission {
    /// The advice in a sentence or two.
    pub summary: String,
    /// Remarks.
    #[serde(default)]
    pub findings: Vec<SubmittedFinding>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn submissions_are_checked_strictly() {
        let subtask = json!({"key": "a", "title": "A", "description": "do a", "scope": {"paths": ["src/**"]}});
        let dear = json!({"key": "a", "title": "A", "description": "do a", "scope": {"paths": ["src/**"]}, "budget": 11});
        let finding = json!({"level": "error", "message": "wrong", "path": "a.rs", "line": 3});
        for (submission, input, expected) in [
            (Submission::finish(), json!({"summary": "done"}), None),
            (Submission::finish(), json!({}), Some("missing field `summary`")),
            (Submission::finish(), json!({"summary": " "}), Some("1 to 4000 characters")),
            (
                Submission::finish(),
                json!({"summary": "done", "ok": true}),
                Some("unknown field `ok`"),
            ),
            (
                Submission::verdict(),
                json!({"verdict": "accepted", "summary": "ran the tests"}),
                None,
            ),
            (
                Submission::verdict(),
                json!({"verdict": "refused", "summary": "no", "findings": [finding]}),
                None,
            ),
            (
                Submission::verdict(),
                json!({"verdict": "refused", "summary": "no"}),
                Some("must say what is to be mended"),
            ),
            (
                Submission::verdict(),
                json!({"verdict": "pass", "summary": "ok"}),
                Some("unknown variant `pass`"),
            ),
            (
                Submission::verdict(),
                json!({"verdict": true, "summary": "ok"}),
                Some("invalid type: boolean `true`"),
            ),
            (Submission::review(), json!({"summary": "fine"}), None),
            (
                Submission::review(),
                json!({"summary": "fine", "findings": [{"level": "note", "message": ""}]}),
                Some("findings[0].message"),
            ),
            (
                Submission::review(),
                json!({"summary": "fine", "findings": [{"level": "note", "message": "m", "line": 0}]}),
                Some("counted from 1"),
            ),
            (Submission::plan(MicroUsd(10)), json!({"summary": "s", "subtasks": [subtask]}), None),
            (
                Submission::plan(MicroUsd(10)),
                json!({"summary": "s", "subtasks": [dear]}),
                Some("more than the task's"),
            ),
            (Submission::plan(MicroUsd(10)), json!({"summary": "s", "subtasks": []}), Some("")),
        ] {
            let checked = (submission.check)(&input);
            match (expected, &checked) {
                (None, Ok(())) => {}
                (Some(part), Err(error)) if error.contains(part) => {}
                _ => panic!("{submission:?} {input}: {checked:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn too_many_findings_are_sent_back() {
        let finding = json!({"level": "note", "message": "m"});
        let many = json!({"summary": "s", "findings": vec![finding; MAX_FINDINGS + 1]});
        assert!((Submission::review().check)(&many).unwrap_err().contains("at most 50"));
    }

    #[test]
    fn the_same_finding_has_the_same_fingerprint_wherever_it_moved() {
        let at = |line| SubmittedFinding {
            level: FindingLevel::Error,
            message: "m".into(),
            path: Some("a".into()),
            line: Some(line),
        };
        assert_eq!(
            at(1).into_finding("verifier/finding").fingerprint,
            at(9).into_finding("verifier/finding").fingerprint
        );
        assert_ne!(
            at(1).into_finding("verifier/finding").fingerprint,
            at(1).into_finding("reviewer/remark").fingerprint
        );
    }
}
