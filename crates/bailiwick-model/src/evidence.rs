//! Recorded facts about a change: gate reports, findings, evidence, risk.

use serde::{Deserialize, Serialize};

use crate::id::Oid;
use crate::payload::{Digest, Payload};

/// What a gate says of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// It ran, and nothing stands against the change.
    Pass,
    /// It ran, and a person must look at what it found: a heuristic speaks, which proves nothing.
    /// It neither sends the change back nor lets it be merged without a person's approval.
    NeedsApproval,
    /// It ran, and something stands against the change.
    Fail,
    /// It could not run, or its result means nothing. Blocks like a failure.
    Inconclusive,
}

impl GateState {
    /// Whether the change can't go on as it is.
    pub fn blocks(self) -> bool {
        match self {
            Self::Pass | Self::NeedsApproval => false,
            Self::Fail | Self::Inconclusive => true,
        }
    }
}

/// How serious a finding is (SARIF 2.1.0 section 3.27.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For information.
    Note,
    /// To be looked at.
    Warning,
    /// Must be mended.
    Error,
}

/// One thing that a gate, a verifier or a reviewer found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule, such as `tests/failed` or `secrets/aws-access-key`.
    pub rule: String,
    /// How serious.
    pub level: Level,
    /// What was found, in a sentence, without any secret.
    pub message: String,
    /// The file, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The first line, counted from 1, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The same for the same finding at another commit.
    pub fingerprint: Digest,
    /// Why it matters and what to do, where the rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

/// How much harm a finding could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// None by itself.
    Info,
    /// Little.
    Low,
    /// Some, under conditions.
    Medium,
    /// Much.
    High,
    /// As much as there is.
    Critical,
}

/// What a rule says about each of its findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// How much harm it could do.
    pub severity: Severity,
    /// The weakness in the Common Weakness Enumeration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwe: Option<u32>,
    /// Why it matters.
    pub why: String,
    /// How to mend it.
    pub fix: String,
    /// A heuristic found it: it asks a person instead of blocking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heuristic: bool,
}

/// What was run, and what came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it shows, such as `tests before` or `acceptance: parses empty input`.
    pub name: String,
    /// The exact command line.
    pub command: String,
    /// The commit whose clean checkout it ran on.
    pub commit: Oid,
    /// The exit code; none when it did not end by itself.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Tests passed and failed, when the runner is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<TestCounts>,
    /// The log: standard output and error, as far as they were kept.
    pub log: Payload,
}

/// How many tests a run had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Passed.
    pub passed: u32,
    /// Failed.
    pub failed: u32,
    /// Ignored or skipped.
    pub ignored: u32,
}

/// The report of one gate on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// The gate's name.
    pub gate: String,
    /// What it says.
    pub state: GateState,
    /// Why, in a sentence; for `Inconclusive` also what to do.
    pub summary: String,
    /// New findings.
    pub findings: Vec<Finding>,
    /// What was run.
    pub evidence: Vec<Evidence>,
}

/// How risky a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskBand {
    /// 0 to 29 points.
    Low,
    /// 30 to 59 points.
    Medium,
    /// 60 points or more.
    High,
}

/// One reason for a risk score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskSignal {
    /// Its name.
    pub name: String,
    /// What it adds to the score.
    pub points: u32,
    /// The recorded fact behind it.
    pub reason: String,
}

/// How far a change may go by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// It may be merged without a person, where the task was given like that.
    Unattended,
    /// A person has to approve it. What was scored before there were degrees is of this one.
    #[default]
    Reviewed,
    /// Two people have to approve it.
    Joint,
}

impl Autonomy {
    /// How many people have to approve.
    pub fn reviewers(self) -> u32 {
        match self {
            Self::Unattended => 0,
            Self::Reviewed => 1,
            Self::Joint => 2,
        }
    }

    /// In a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unattended => "may be merged unattended",
            Self::Reviewed => "needs a person's approval",
            Self::Joint => "needs the approval of two people",
        }
    }
}

/// The risk of a change, with every reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskReport {
    /// 0 to 100: the points of the signals, capped.
    pub score: u32,
    /// The band the score falls in.
    pub band: RiskBand,
    /// The reasons.
    pub signals: Vec<RiskSignal>,
    /// How far it may go by itself.
    #[serde(default)]
    pub autonomy: Autonomy,
    /// Whose code it is, as the repository says: one of them has to be among those who approve,
    /// where they have accounts or groups here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
}
