//! What a rule says about itself: shown with each of its findings, by `bailiwick gate explain`, and
//! in SARIF.

use bailiwick_model::evidence::{Explanation, Level, Severity};
use std::borrow::Cow;

/// What a rule's finding does to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// For information.
    Informs,
    /// A heuristic: a person has to look and approve.
    AsksPerson,
    /// Deterministic: the change is stopped.
    Blocks,
}

impl Effect {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informs => "informs",
            Self::AsksPerson => "asks a person",
            Self::Blocks => "blocks",
        }
    }
}

/// A rule of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The stable id, `GATE/NAME`.
    pub id: Cow<'static, str>,
    /// What it finds, in a few words.
    pub title: Cow<'static, str>,
    /// How much harm a finding could do.
    pub severity: Severity,
    /// The weakness in the Common Weakness Enumeration.
    pub cwe: Option<u32>,
    /// What a finding does to the change.
    pub effect: Effect,
    /// Why a finding matters.
    pub why: Cow<'static, str>,
    /// How to mend one.
    pub fix: Cow<'static, str>,
}

impl Rule {
    /// A rule that blocks.
    pub const fn blocks(
        id: &'static str,
        title: &'static str,
        severity: Severity,
        cwe: Option<u32>,
        [why, fix]: [&'static str; 2],
    ) -> Self {
        Self {
            id: Cow::Borrowed(id),
            title: Cow::Borrowed(title),
            severity,
            cwe,
            effect: Effect::Blocks,
            why: Cow::Borrowed(why),
            fix: Cow::Borrowed(fix),
        }
    }

    /// A rule that asks a person.
    pub const fn asks(
        id: &'static str,
        title: &'static str,
        severity: Severity,
        cwe: Option<u32>,
        texts: [&'static str; 2],
    ) -> Self {
        let mut rule = Self::blocks(id, title, severity, cwe, texts);
        rule.effect = Effect::AsksPerson;
        rule
    }

    /// A rule that informs.
    pub const fn informs(id: &'static str, title: &'static str, texts: [&'static str; 2]) -> Self {
        let mut rule = Self::blocks(id, title, Severity::Info, None, texts);
        rule.effect = Effect::Informs;
        rule
    }

    /// The SARIF level of its findings.
    pub fn level(&self) -> Level {
        match self.effect {
            Effect::Informs => Level::Note,
            Effect::AsksPerson => Level::Warning,
            Effect::Blocks => Level::Error,
        }
    }

    /// What goes with each finding.
    pub fn explanation(&self) -> Explanation {
        Explanation {
            severity: self.severity,
            cwe: self.cwe,
            why: self.why.clone().into_owned(),
            fix: self.fix.clone().into_owned(),
            heuristic: self.effect == Effect::AsksPerson,
        }
    }
}
