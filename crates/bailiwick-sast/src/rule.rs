//! Rules as data: what they look for, why, and how to mend it.

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::language::Language;

/// How bad it is when a rule is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Weakens a defence.
    Medium,
    /// Lets an attacker at data or users.
    High,
    /// Lets an attacker run code.
    Critical,
}

/// How far a rule can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Follows from the text: it blocks.
    Deterministic,
    /// A guess from how code of this kind is usually written: a person is asked.
    Heuristic,
}

/// One weakness and how it is recognised in each language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The stable name, such as `sql-injection`.
    pub id: String,
    /// What is wrong, in a few words.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// How far it can be trusted.
    pub confidence: Confidence,
    /// The number of the weakness in the Common Weakness Enumeration.
    pub cwe: u32,
    /// Why it matters.
    pub why: String,
    /// How to mend it.
    pub fix: String,
    /// What a value must come from, for a rule about flows.
    #[serde(default)]
    pub(crate) flow: Option<Label>,
    #[serde(default)]
    pub(crate) sink: Vec<Sink>,
    #[serde(default)]
    pub(crate) pattern: Vec<CodePattern>,
    #[serde(default)]
    pub(crate) route: Vec<RouteRule>,
    /// Constants whose absence in a value makes it harmless here.
    #[serde(default)]
    pub(crate) harmless_without: Vec<String>,
    /// As above, for the inside of a value without its ends.
    #[serde(default)]
    pub(crate) harmless_inside_without: Vec<String>,
    /// Whether a checked beginning of the value makes it harmless.
    #[serde(default)]
    pub(crate) harmless_with_prefix: bool,
    /// A known beginning with which a value is harmless.
    #[serde(default)]
    pub(crate) harmless_prefix: Option<String>,
    /// Code that shows the rule at work; tests run it.
    #[serde(default)]
    pub example: Vec<Example>,
}

/// What a tainted value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Label {
    /// Whoever sends requests.
    User,
    /// A generator that can be predicted.
    WeakRandom,
}

/// A place where a value does harm, or a call that is one by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sink {
    pub(crate) lang: Language,
    /// Called functions and methods, as [`crate::paths`] matches them.
    #[serde(default)]
    pub(crate) calls: Vec<String>,
    /// Assigned names, fields and keyed collections.
    #[serde(default)]
    pub(crate) assigns: Vec<String>,
    /// What a handler of requests returns.
    #[serde(default)]
    pub(crate) returned: bool,
    /// Positions that matter; all if empty.
    #[serde(default)]
    pub(crate) args: Vec<usize>,
    /// Named arguments that matter; all if `args` is empty, too.
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    /// The receiver instead of the arguments.
    #[serde(default)]
    pub(crate) receiver: bool,
    /// Only the value itself, not what it contains.
    #[serde(default)]
    pub(crate) shallow: bool,
    #[serde(default, rename = "where")]
    pub(crate) conditions: Vec<Condition>,
    /// A text that the file must contain.
    #[serde(default)]
    pub(crate) requires: Option<String>,
}

/// What must hold of an argument.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    #[serde(default)]
    pub(crate) arg: Option<usize>,
    #[serde(default)]
    pub(crate) keyword: Option<String>,
    /// An expression that the constant must match, without regard to case.
    #[serde(default)]
    pub(crate) is: Option<String>,
    /// The type of the argument.
    #[serde(default, rename = "type")]
    pub(crate) ty: Option<String>,
    /// Whether it holds without such an argument.
    #[serde(default)]
    pub(crate) absent: bool,
    /// Whether it holds if the value is not known.
    #[serde(default)]
    pub(crate) unknown: bool,
}

/// A pattern written as code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodePattern {
    pub(crate) lang: Language,
    pub(crate) code: String,
    /// The kind of node in `code` that is meant, if it is not all of it.
    #[serde(default)]
    pub(crate) kind: Option<String>,
    /// Metavariables and what their text must match.
    #[serde(default, rename = "where")]
    pub(crate) conditions: Vec<TextCondition>,
}

/// What the text of a metavariable must match.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextCondition {
    pub(crate) var: String,
    pub(crate) is: String,
}

/// A handler that changes something and lacks what its neighbours have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteRule {
    pub(crate) lang: Language,
    /// What marks a handler that changes something.
    pub(crate) handler: String,
    /// What marks a guard, on a handler or in its text.
    pub(crate) guard: String,
    /// Words of which a file with such handlers has at least one.
    pub(crate) words: Vec<String>,
    /// What a handler is about that needs no guard: log in, health.
    pub(crate) open: String,
}

/// Code that shows a rule at work.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The language.
    pub lang: Language,
    /// Code that the rule finds.
    pub bad: String,
    /// Code that it must let pass.
    pub good: String,
}

/// Where taint comes from and how it moves, for all rules.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flows {
    #[serde(default)]
    pub(crate) source: Vec<Source>,
    #[serde(default)]
    pub(crate) sanitizer: Vec<Sanitizer>,
    #[serde(default)]
    pub(crate) handler: Vec<Handler>,
}

/// Where taint comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) lang: Language,
    pub(crate) label: Label,
    /// Paths of values and calls.
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    /// Types of parameters.
    #[serde(default)]
    pub(crate) types: Vec<String>,
    /// Annotations of parameters.
    #[serde(default)]
    pub(crate) marks: Vec<String>,
    #[serde(default)]
    pub(crate) requires: Option<String>,
}

/// What makes a value harmless for some rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sanitizer {
    pub(crate) lang: Option<Language>,
    pub(crate) calls: Vec<String>,
    /// The rules; `*` is all of them.
    pub(crate) cleans: Vec<String>,
}

/// What marks a function whose parameters are a request's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handler {
    pub(crate) lang: Language,
    /// An expression over a function's marks.
    #[serde(default)]
    pub(crate) marks: Option<String>,
    /// An expression over the base classes.
    #[serde(default)]
    pub(crate) bases: Option<String>,
    /// Calls whose function arguments are handlers.
    #[serde(default)]
    pub(crate) calls: Vec<String>,
    /// Words of which a file with such handlers has at least one.
    #[serde(default)]
    pub(crate) words: Vec<String>,
    /// Whether the parameters carry what the user sent.
    pub(crate) tainted: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    rule: Vec<Rule>,
}

/// A rule pack that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The text is no TOML of the right shape.
    #[error("cannot read the rules")]
    Form {
        /// What is wrong.
        #[source]
        source: toml::de::Error,
    },
    /// An expression does not compile.
    #[error("the expression `{expression}` does not compile")]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong.
        #[source]
        source: regex::Error,
    },
    /// A pattern is no code of its language.
    #[error("the pattern of rule `{rule}` is no code: `{code}`")]
    Pattern {
        /// The rule.
        rule: String,
        /// The pattern.
        code: String,
    },
    /// There are more flow rules than bits.
    #[error("more than 48 flow rules")]
    TooMany,
    /// A sanitizer names a rule that is not there.
    #[error("a sanitizer names the rule `{rule}`, which does not exist")]
    UnknownRule {
        /// The name.
        rule: String,
    },
    /// The prefilter can't be built.
    #[error("cannot build the prefilter")]
    Prefilter {
        /// What is wrong.
        #[source]
        source: aho_corasick::BuildError,
    },
}

const BUNDLED: &[&str] = &[
    include_str!("../rules/injection.toml"),
    include_str!("../rules/web.toml"),
    include_str!("../rules/crypto.toml"),
    include_str!("../rules/configuration.toml"),
];
const FLOWS: &str = include_str!("../rules/flows.toml");

/// The rules that are part of the program.
pub(crate) fn bundled() -> Result<(Vec<Rule>, Flows), RuleError> {
    let mut rules = Vec::new();
    for text in BUNDLED {
        let file: RuleFile = toml::from_str(text).map_err(|source| RuleError::Form { source })?;
        rules.extend(file.rule);
    }
    let flows = toml::from_str(FLOWS).map_err(|source| RuleError::Form { source })?;
    Ok((rules, flows))
}

/// Compiles an expression that does not regard case.
pub(crate) fn expression(text: &str) -> Result<Regex, RuleError> {
    regex::RegexBuilder::new(text)
        .case_insensitive(true)
        .build()
        .map_err(|source| RuleError::Expression { expression: text.to_owned(), source })
}

/// Words of which a file must contain at least one for any rule of a language to hold.
pub(crate) fn prefilter(words: &[String]) -> Result<AhoCorasick, RuleError> {
    AhoCorasick::new(words).map_err(|source| RuleError::Prefilter { source })
}
