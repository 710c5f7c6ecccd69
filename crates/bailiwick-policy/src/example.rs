//! Examples kept beside a policy: what it is meant to decide, as a test that anybody can read.
//!
//! ```toml
//! [[case]]
//! name = "nobody publishes a package"
//! role = "implementor"
//! action = "command: npm publish"
//! deny = "policy.forbidden"
//! rules = ["limits.commands-deny"]
//! ```

use bailiwick_model::action::Action;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::tier::Tier;
use bailiwick_model::verdict::Verdict;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::{PolicyError, PolicyErrors, place};
use crate::load::PolicySource;
use crate::set::PolicySet;
use crate::shorthand::parse_action;

/// What a decision should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Permitted, by these rules.
    Permit(Vec<String>),
    /// Denied with this code, by these rules.
    Deny(String, Vec<String>),
    /// Asked of these groups, by these rules.
    Ask(Vec<String>, Vec<String>),
}

impl Expected {
    /// The expectation that a verdict meets.
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Permit { rules } => Self::Permit(rules.clone()),
            Verdict::Deny(denial) => Self::Deny(denial.code.clone(), denial.rules.clone()),
            Verdict::NeedsApproval { groups, rules } => Self::Ask(groups.clone(), rules.clone()),
        }
    }

    /// In a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::Permit(rules) => format!("permit by {}", rules.join(", ")),
            Self::Deny(code, rules) if rules.is_empty() => format!("deny [{code}]"),
            Self::Deny(code, rules) => format!("deny [{code}] by {}", rules.join(", ")),
            Self::Ask(groups, rules) => {
                format!("ask {} by {}", groups.join(", "), rules.join(", "))
            }
        }
    }
}

/// One example.
#[derive(Debug, Clone)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// The line of its name.
    pub line: u32,
    /// Who acts.
    pub subject: Subject,
    /// What is done.
    pub action: Action,
    /// In which circumstances.
    pub context: Context,
    /// What should come of it.
    pub expected: Expected,
    /// The sandbox tier that the rules should ask for.
    pub tier: Option<Tier>,
}

/// An example that is not decided as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The example.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// What it says.
    pub expected: String,
    /// What is decided.
    pub found: String,
    /// In a sentence.
    pub reason: String,
}

impl Example {
    /// Decides it.
    pub fn judge(&self, set: &PolicySet) -> Verdict {
        set.decide_in_tier(&self.subject, &self.action, &self.context).0
    }

    /// What is wrong with the decision, if it is not the one that is written.
    pub fn check(&self, set: &PolicySet) -> Option<Missed> {
        let (verdict, choice) = set.decide_in_tier(&self.subject, &self.action, &self.context);
        if let Some(tier) = self.tier
            && choice.as_ref().map(|choice| choice.tier) != Some(tier)
        {
            let found = choice.map_or_else(
                || "no tier is asked for".to_owned(),
                |choice| format!("tier {choice}"),
            );
            return Some(Missed {
                name: self.name.clone(),
                file: self.file.clone(),
                line: self.line,
                expected: format!("tier {tier}"),
                found,
                reason: String::new(),
            });
        }
        let found = Expected::of(&verdict);
        let reason = match verdict {
            Verdict::Deny(denial) => denial.reason,
            Verdict::Permit { .. } | Verdict::NeedsApproval { .. } => String::new(),
        };
        (found != self.expected).then(|| Missed {
            name: self.name.clone(),
            file: self.file.clone(),
            line: self.line,
            expected: self.expected.describe(),
            found: found.describe(),
            reason,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Spanned<String>,
    role: String,
    #[serde(default)]
    on_behalf_of: Option<String>,
    action: Value,
    #[serde(default)]
    context: serde_json::Map<String, Value>,
    permit: Option<Vec<String>>,
    deny: Option<String>,
    ask: Option<Vec<String>>,
    #[serde(default)]
    rules: Vec<String>,
    tier: Option<Tier>,
}

/// Reads the examples of a file.
pub fn examples(source: &PolicySource) -> Result<Vec<Example>, PolicyErrors> {
    let fault = |at: usize, what: String| {
        let (line, column) = place(&source.text, at);
        PolicyError {
            file: source.name.clone(),
            line,
            column,
            policy: None,
            what,
            why: "an example that is not understood tests nothing",
            fix: "a case has `name`, `role`, `action`, one of `permit`, `deny` and `ask`, and may have `rules`, `tier` and `context`".to_owned(),
        }
    };
    let file: File = toml::from_str(&source.text).map_err(|error| {
        fault(error.span().map_or(0, |span| span.start), error.message().replace('\n', " "))
    })?;
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for case in file.case {
        let at = case.name.span().start;
        match example(source, &case) {
            Ok(example) => found.push(example),
            Err(what) => errors.push(fault(at, what)),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(PolicyErrors { errors }) }
}

/// The circumstances of an example that says nothing of them.
pub fn usual_context(
    repo: &str,
    changes: &serde_json::Map<String, Value>,
) -> Result<Context, String> {
    let mut context = json!({
        "repo": repo, "protected_branch": "main", "taint": [], "scope": ["src/**"],
        "budget_left": 1_000_000, "denials": 0, "single_user": false, "approvals": [],
    });
    if let Some(fields) = context.as_object_mut() {
        fields.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    let known: Context =
        serde_json::from_value(context).map_err(|error| format!("`context`: {error}"))?;
    let written = serde_json::to_value(&known).map_err(|error| error.to_string())?;
    match changes.keys().find(|key| written.get(key.as_str()).is_none()) {
        Some(key) => Err(format!("`context` has no `{key}`")),
        None => Ok(known),
    }
}

fn example(source: &PolicySource, case: &Case) -> Result<Example, String> {
    let (line, _) = place(&source.text, case.name.span().start);
    let person = case.on_behalf_of.as_deref().unwrap_or("ana");
    let context = usual_context("shop", &case.context)?;
    let action = match &case.action {
        Value::String(text) => parse_action(text, context.repo.as_str(), person)?,
        other => {
            serde_json::from_value(other.clone()).map_err(|error| format!("`action`: {error}"))?
        }
    };
    let subject = serde_json::from_value(json!({ "role": case.role, "on_behalf_of": person }))
        .map_err(|error| format!("`role` or `on_behalf_of`: {error}"))?;
    let expected = match (&case.permit, &case.deny, &case.ask) {
        (Some(rules), None, None) if case.rules.is_empty() => Expected::Permit(rules.clone()),
        (None, Some(code), None) => Expected::Deny(code.clone(), case.rules.clone()),
        (None, None, Some(groups)) => Expected::Ask(groups.clone(), case.rules.clone()),
        _ => return Err("it needs exactly one of `permit`, `deny` and `ask`".to_owned()),
    };
    Ok(Example {
        name: case.name.get_ref().clone(),
        file: source.name.clone(),
        line,
        subject,
        action,
        context,
        expected,
        tier: case.tier,
    })
}
