//! What is suspicious about a set that is valid: rules that can fail, that never decide, that
//! another rule covers, that give more than anybody needs.

use cedar_policy::{ActionConstraint, Effect, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

use crate::formula::{Atoms, Case, Formula};
use crate::index::can_apply;
use crate::load::{Rule, RuleEffect};
use crate::schema::is_record;
use crate::set::{PolicySet, cases};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintKind {
    /// It is not certain that the rule can always be evaluated.
    MayFail,
    /// The rule can never apply.
    Unreachable,
    /// Whatever the rule says, another rule says already.
    Shadowed,
    /// The rule gives a right without a limit.
    TooBroad,
}

impl LintKind {
    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::MayFail => "policy.may_fail",
            Self::Unreachable => "policy.unreachable",
            Self::Shadowed => "policy.shadowed",
            Self::TooBroad => "policy.too_broad",
        }
    }
}

/// Something suspicious about a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// What it is about.
    pub kind: LintKind,
    /// The rule.
    pub rule: String,
    /// Its source.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Its column.
    pub column: u32,
    /// What is wrong.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: String,
}

/// What a set that is about to be published must not have.
pub fn may_fail(set: &PolicySet) -> Vec<Lint> {
    set.policies()
        .filter_map(|(rule, policy)| {
            let what = failure(policy)?;
            Some(lint(LintKind::MayFail, rule, what, "a rule that fails makes every decision it has a part in a refusal; a rule is published only if it is proved never to fail", "compare numbers instead of computing with them, and ask attributes of `principal`, `resource` and `context` only".to_owned()))
        })
        .collect()
}

/// Everything suspicious about a set.
pub fn lint_set(set: &PolicySet) -> Vec<Lint> {
    let mut found = may_fail(set);
    let policies: Vec<(&Rule, &Policy, Value)> = set
        .policies()
        // One that names a tier gives no right: it neither covers another nor gives too much.
        .filter(|(rule, _)| !rule.names_worktree())
        .filter_map(|(rule, policy)| Some((rule, policy, policy.to_json().ok()?)))
        .collect();
    for (at, (rule, policy, _)) in policies.iter().enumerate() {
        found.extend(broad(rule, policy));
        found.extend(idle(&policies, at, rule, policy));
    }
    found.sort_by(|a, b| (&a.file, a.line, a.kind).cmp(&(&b.file, b.line, b.kind)));
    found
}

fn lint(kind: LintKind, rule: &Rule, what: String, why: &'static str, fix: String) -> Lint {
    Lint {
        kind,
        rule: rule.id.clone(),
        file: rule.source.clone(),
        line: rule.line,
        column: rule.column,
        what,
        why,
        fix,
    }
}

/// The first part of a policy that could fail. Everything else that strict validation lets pass
/// cannot: it knows every attribute and type, optional attributes need a `has`, and the arguments
/// of extension functions are constants that it has evaluated.
pub(crate) fn failure(policy: &Policy) -> Option<String> {
    let json = policy.to_json().ok()?;
    let kinds: Vec<&str> = cases()
        .filter(|case| can_apply(policy, case.kind, case.role))
        .map(|case| case.kind)
        .collect();
    json.get("conditions")?
        .as_array()?
        .iter()
        .find_map(|condition| part(condition.get("body")?, &kinds))
}

fn part(json: &Value, kinds: &[&str]) -> Option<String> {
    match json {
        Value::Array(items) => items.iter().find_map(|item| part(item, kinds)),
        Value::Object(fields) => fields.iter().find_map(|(name, inner)| match name.as_str() {
            "Value" => None,
            "+" | "-" | "*" | "neg" => Some(format!("`{name}` overflows for large numbers")),
            "." if !is_there(inner.get("left")?, kinds) => Some(format!(
                "the attribute `{}` is asked of something that need not be known",
                inner.get("attr").and_then(Value::as_str).unwrap_or_default()
            )),
            "getTag" => Some("a tag need not be there".to_owned()),
            _ => part(inner, kinds),
        }),
        _ => None,
    }
}

/// Whether something is always there to be asked for its attributes: a variable, a record of the
/// context, the repository of the context, the person behind a principal.
fn is_there(json: &Value, kinds: &[&str]) -> bool {
    if json.get("Var").is_some() {
        return true;
    }
    let Some(access) = json.get(".") else { return false };
    let of = access.pointer("/left/Var").and_then(Value::as_str);
    match (of, access.get("attr").and_then(Value::as_str)) {
        (Some("context"), Some("repository")) => true,
        (Some("context"), Some(attribute)) => kinds.iter().all(|kind| is_record(kind, attribute)),
        _ => false,
    }
}

fn broad(rule: &Rule, policy: &Policy) -> Option<Lint> {
    if policy.effect() != Effect::Permit {
        return None;
    }
    let anybody = policy.principal_constraint() == PrincipalConstraint::Any;
    let anything = policy.resource_constraint() == ResourceConstraint::Any;
    let unconditional = policy
        .to_json()
        .ok()?
        .get("conditions")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty);
    let what = if policy.action_constraint() == ActionConstraint::Any {
        "it permits every kind of action, also those that come with a later version"
    } else if anybody && anything && unconditional {
        "it permits everybody, agents too, to do this to anything"
    } else {
        return None;
    };
    let fix = "name the role, the action and the resources, or add a condition".to_owned();
    Some(lint(
        LintKind::TooBroad,
        rule,
        what.to_owned(),
        "a right that names nothing cannot be reviewed",
        fix,
    ))
}

fn idle(
    policies: &[(&Rule, &Policy, Value)],
    at: usize,
    rule: &Rule,
    policy: &Policy,
) -> Option<Lint> {
    let mut reachable = false;
    // the rules that cover it in some case; it is shadowed when it is covered in every case
    let mut by: Vec<&str> = Vec::new();
    for case in cases().filter(|case| can_apply(policy, case.kind, case.role)) {
        let mut atoms = Atoms::default();
        let own = atoms.policy(&policies.get(at)?.2, case);
        if atoms.unsatisfiable(&own) == Some(true) {
            continue;
        }
        reachable = true;
        by.push(covering(policies, at, rule, case, own, atoms)?);
    }
    if !reachable {
        let fix = "correct the condition, or take the rule out".to_owned();
        return Some(lint(
            LintKind::Unreachable,
            rule,
            "it can never apply".to_owned(),
            "a rule that never applies protects nobody",
            fix,
        ));
    }
    by.sort_unstable();
    by.dedup();
    let fix = "take one of them out, or make the conditions differ".to_owned();
    let what = format!("wherever it applies, {} decides already", by.join(" and "));
    Some(lint(
        LintKind::Shadowed,
        rule,
        what,
        "a rule that changes nothing hides what is really in force",
        fix,
    ))
}

/// A rule that says the same or more wherever this one applies in a case.
fn covering<'a>(
    policies: &'a [(&Rule, &Policy, Value)],
    at: usize,
    rule: &Rule,
    case: Case,
    own: Formula,
    mut atoms: Atoms,
) -> Option<&'a str> {
    policies
        .iter()
        .enumerate()
        .filter(|(other, (another, policy, _))| {
            *other != at
                && another.layer == rule.layer
                && can_apply(policy, case.kind, case.role)
                && covers(&another.effect, &rule.effect)
        })
        .find(|(other, (_, _, json))| {
            let formula = atoms.policy(json, case);
            // of two that are the same, the later one is the one too many
            let implied = atoms.unsatisfiable(&Formula::all([own.clone(), formula.clone().not()]))
                == Some(true);
            let same =
                atoms.unsatisfiable(&Formula::all([formula, own.clone().not()])) == Some(true);
            implied
                && !(same
                    && *other > at
                    && policies.get(*other).is_some_and(|one| one.0.effect == rule.effect))
        })
        .map(|(_, (rule, _, _))| rule.id.as_str())
}

/// Whether a rule of one effect makes one of the other pointless where both apply.
fn covers(one: &RuleEffect, other: &RuleEffect) -> bool {
    match (one, other) {
        (RuleEffect::Forbid, _) | (RuleEffect::Permit, RuleEffect::Permit) => true,
        (RuleEffect::Gate { group }, RuleEffect::Gate { group: same }) => group == same,
        _ => false,
    }
}
