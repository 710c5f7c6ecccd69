//! Sets of rules: our own, and any in the form of gitleaks.
//!
//! The form is that of `gitleaks.toml`: `[[rules]]` with `id`, `description`, `regex`,
//! `secretGroup`, `entropy`, `keywords`, `path` and `[[rules.allowlists]]`, and `[[allowlists]]` for
//! all rules. `filter`, `general`, `check` and `context` are our own. Regular expressions have no
//! Unicode classes and a bounded size, and matching is linear, so that a rule can be slow but never
//! a bomb.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How much a match says by its form alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// The form belongs to one issuer: hardly anything else looks like it.
    Precise,
    /// The surroundings suggest a secret (`password = "…"`).
    General,
}

/// What a captured value must survive to count, besides its entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Filter {
    /// Not a placeholder.
    #[default]
    Token,
    /// Anything.
    Any,
    /// A PEM-like block that has a real body.
    KeyBlock,
    /// A password in a URL: anything but a stand-in.
    UrlPassword,
    /// A quoted or assigned value: with letters and digits, not code.
    Assigned,
    /// Base64 of `name:password`, or of other text.
    Base64Pair,
}

/// What can be told of a value without asking its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// The last six characters are the CRC-32 of those before, in base 62.
    Base62Crc32,
    /// Header and claims are JSON.
    Jwt,
    /// The characters are base 32.
    AwsKeyId,
    /// The body is base 64.
    Pem,
}

/// What is let through although it matches.
#[derive(Debug, Default)]
pub(super) struct Allow {
    paths: Vec<Regex>,
    regexes: Vec<Regex>,
    stopwords: Vec<String>,
    target: Target,
    all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

/// One format of secret.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: Cow<'static, str>,
    pub(super) description: String,
    pub(super) precision: Precision,
    pub(super) regex: Option<Regex>,
    pub(super) group: usize,
    entropy: f64,
    filter: Filter,
    pub(super) check: Option<Check>,
    context: Vec<String>,
    path: Option<Regex>,
    allow: Vec<Allow>,
    keywords: Vec<String>,
}

/// A set of rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSetError {
    message: String,
}

impl std::fmt::Display for RuleSetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RuleSetError {}

/// Rules, with the one automaton that finds out which of them can match where.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) rules: Vec<Rule>,
    pub(super) prefilter: AhoCorasick,
    /// For each keyword of the prefilter, the rules that it wakes.
    pub(super) woken: Vec<Vec<usize>>,
    /// Rules without keywords: always awake.
    pub(super) always: Vec<usize>,
    allow: Vec<Allow>,
}

#[derive(Deserialize)]
struct FileForm {
    #[serde(default)]
    rules: Vec<RuleForm>,
    #[serde(default)]
    allowlists: Vec<AllowForm>,
    allowlist: Option<AllowForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleForm {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    #[serde(default)]
    secret_group: usize,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    keywords: Vec<String>,
    path: Option<String>,
    #[serde(default)]
    allowlists: Vec<AllowForm>,
    allowlist: Option<AllowForm>,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    general: bool,
    check: Option<Check>,
    #[serde(default)]
    context: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AllowForm {
    paths: Vec<String>,
    regexes: Vec<String>,
    stopwords: Vec<String>,
    regex_target: Target,
    condition: String,
}

/// Our own rules.
const OWN: &str = include_str!("rules.toml");
/// The largest compiled regular expression.
const REGEX_BYTES: usize = 8 << 20;
/// The most rules in a set.
const MOST_RULES: usize = 2_000;

/// Our own rules, most precise first.
pub(super) fn own() -> &'static RuleSet {
    static SET: LazyLock<RuleSet> = LazyLock::new(own_set);
    &SET
}

#[expect(
    clippy::expect_used,
    reason = "a constant file, parsed by a test; dropping one that is not valid would be a detector \
    that is silently off"
)]
fn own_set() -> RuleSet {
    RuleSet::parse_alone(OWN).expect("constant rules")
}

impl RuleSet {
    /// Our own rules and those of a file in the form of gitleaks, which stand before ours.
    pub fn with_own(text: &str) -> Result<Self, RuleSetError> {
        Self::build(&[text, OWN])
    }

    /// The rules of a file in the form of gitleaks alone.
    pub fn parse_alone(text: &str) -> Result<Self, RuleSetError> {
        Self::build(&[text])
    }

    /// Ids and one-line descriptions of all rules, in order of precedence.
    pub fn catalogue(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().map(|rule| (rule.id.as_ref(), rule.description.as_str()))
    }

    /// The same rules without one of them.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        for rule in self.rules.iter_mut().filter(|rule| rule.id == id) {
            rule.regex = None;
            rule.path = None;
        }
        self
    }

    fn build(texts: &[&str]) -> Result<Self, RuleSetError> {
        let wrong = |message: String| RuleSetError { message };
        let mut rules = Vec::new();
        let mut allow = Vec::new();
        for text in texts {
            let form: FileForm = toml::from_str(text).map_err(|error| {
                wrong(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
            })?;
            for one in form.allowlists.into_iter().chain(form.allowlist) {
                allow.push(Allow::read(one)?);
            }
            for rule in form.rules {
                rules.push(Rule::read(rule)?);
            }
        }
        if rules.len() > MOST_RULES {
            return Err(wrong(format!("{} rules, more than {MOST_RULES}", rules.len())));
        }
        let mut by_word: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut always = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            if rule.keywords.is_empty() {
                always.push(index);
            }
            for word in &rule.keywords {
                by_word.entry(word).or_default().push(index);
            }
        }
        let prefilter = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(by_word.keys())
            .map_err(|error| wrong(error.to_string()))?;
        let woken = by_word.into_values().collect();
        Ok(Self { prefilter, woken, always, rules, allow })
    }

    /// Whether the set lets a path through altogether.
    pub(super) fn allows_path(&self, path: &str) -> bool {
        self.allow.iter().any(|allow| !allow.all && allow.allows_path(path))
    }

    pub(super) fn accepts(&self, rule: &Rule, found: &Found<'_>) -> bool {
        rule.accepts(found) && !self.allow.iter().any(|allow| allow.allows(found))
    }
}

/// A match, as filters see it.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) path: &'a str,
    pub(super) line: &'a [u8],
    pub(super) whole: &'a [u8],
    pub(super) secret: &'a [u8],
    /// The name that the value is assigned to, as far as it stands before the match.
    pub(super) name: &'a [u8],
}

fn compile(pattern: &str) -> Result<Regex, RuleSetError> {
    // secrets are ASCII: byte classes keep the automata small and on the fast path
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| RuleSetError { message: error.to_string() })
}

fn compile_all(patterns: &[String]) -> Result<Vec<Regex>, RuleSetError> {
    patterns.iter().map(|pattern| compile(pattern)).collect()
}

impl Allow {
    fn read(form: AllowForm) -> Result<Self, RuleSetError> {
        Ok(Self {
            paths: compile_all(&form.paths)?,
            regexes: compile_all(&form.regexes)?,
            stopwords: form.stopwords.into_iter().map(|word| word.to_lowercase()).collect(),
            target: form.regex_target,
            all: form.condition.eq_ignore_ascii_case("and"),
        })
    }

    fn allows_path(&self, path: &str) -> bool {
        self.paths.iter().any(|regex| regex.is_match(path.as_bytes()))
    }

    fn allows(&self, found: &Found<'_>) -> bool {
        let target = match self.target {
            Target::Secret => found.secret,
            Target::Match => found.whole,
            Target::Line => found.line,
        };
        let secret = String::from_utf8_lossy(found.secret).to_lowercase();
        let said = [
            (!self.paths.is_empty(), self.allows_path(found.path)),
            (!self.regexes.is_empty(), self.regexes.iter().any(|regex| regex.is_match(target))),
            (
                !self.stopwords.is_empty(),
                self.stopwords.iter().any(|word| secret.contains(word.as_str())),
            ),
        ];
        let mut asked = said.iter().filter(|(given, _)| *given).map(|(_, holds)| *holds).peekable();
        if self.all {
            asked.peek().is_some() && asked.all(|holds| holds)
        } else {
            asked.any(|holds| holds)
        }
    }
}

impl Rule {
    fn read(form: RuleForm) -> Result<Self, RuleSetError> {
        let in_rule = |error: RuleSetError| RuleSetError {
            message: format!("rule `{}`: {}", form.id, error.message),
        };
        let regex = form.regex.as_deref().map(compile).transpose().map_err(in_rule)?;
        let path = form.path.as_deref().map(compile).transpose().map_err(in_rule)?;
        if regex.is_none() && path.is_none() {
            return Err(in_rule(RuleSetError {
                message: "it has no `regex` and no `path`".to_owned(),
            }));
        }
        if let Some(regex) = &regex
            && form.secret_group >= regex.captures_len()
        {
            return Err(in_rule(RuleSetError {
                message: format!("it has no group {}", form.secret_group),
            }));
        }
        let allow = form
            .allowlists
            .into_iter()
            .chain(form.allowlist)
            .map(Allow::read)
            .collect::<Result<_, _>>()
            .map_err(|error| RuleSetError {
                message: format!("rule `{}`: {}", form.id, error.message),
            })?;
        Ok(Self {
            id: Cow::Owned(form.id),
            description: form.description,
            precision: if form.general { Precision::General } else { Precision::Precise },
            regex,
            group: form.secret_group,
            entropy: form.entropy,
            filter: form.filter,
            check: form.check,
            context: form.context,
            path,
            allow,
            keywords: form.keywords.into_iter().map(|word| word.to_lowercase()).collect(),
        })
    }

    /// Whether the rule looks at files of this path. A text without a path is looked at by all that
    /// have an expression.
    pub(super) fn wants(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|regex| regex.is_match(path.as_bytes()))
    }

    /// Whether the captured value is a secret and not something that only looks like one.
    fn accepts(&self, found: &Found<'_>) -> bool {
        if self.entropy > 0.0 && super::placeholder::entropy(found.secret) < self.entropy {
            return false;
        }
        if self.check == Some(Check::Jwt)
            && super::validity::is_sample_jwt(&String::from_utf8_lossy(found.secret))
        {
            return false;
        }
        if !self.context.is_empty() {
            let line = String::from_utf8_lossy(found.line).to_lowercase();
            if !self.context.iter().any(|word| line.contains(word.as_str())) {
                return false;
            }
        }
        super::filter::passes(self.filter, self.precision, found)
            && !self.allow.iter().any(|allow| allow.allows(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_rules_are_valid_and_their_ids_unique() {
        let mut ids = std::collections::BTreeSet::new();
        for rule in &own().rules {
            let regex = rule.regex.as_ref().unwrap();
            assert_eq!(regex.captures_len(), 2, "{}", rule.id);
            assert!(!regex.is_match(b""), "{}", rule.id);
            assert!(!rule.description.is_empty(), "{}", rule.id);
            assert!(!rule.keywords.is_empty(), "{}: not prefiltered", rule.id);
            assert!(ids.insert(rule.id.clone()), "{} twice", rule.id);
        }
        assert!(ids.len() > 60);
    }

    #[test]
    fn precise_rules_stand_before_general_ones() {
        let mut seen_general = false;
        for rule in &own().rules {
            seen_general |= rule.precision == Precision::General;
            assert!(!(seen_general && rule.precision == Precision::Precise), "{}", rule.id);
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_the_rule_named() {
        for (text, wanted) in [
            ("[[rules]]\nid = 'a'\n", "rule `a`: it has no `regex`"),
            ("[[rules]]\nid = 'a'\nregex = '('\n", "rule `a`"),
            ("[[rules]]\nid = 'a'\nregex = 'x'\nsecretGroup = 1\n", "no group 1"),
            ("[[rules]]\nregex = 'x'\n", "missing field `id`"),
            ("[[rules]]\nid = 'a'\nregex = '(a{1000}){1000}'\n", "rule `a`"),
            ("[[rules]\n", "line 1"),
        ] {
            let message = RuleSet::with_own(text).unwrap_err().to_string();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }
}
