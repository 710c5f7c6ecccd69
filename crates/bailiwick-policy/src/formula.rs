//! Policies as propositional formulas: the prover that is there without a solver.
//!
//! For one kind of action and one role, what a policy's scope says of them is a constant; every
//! other condition that is not `&&`, `||`, `!` or `if` is an atom, whatever it means. A formula that
//! no assignment of its atoms satisfies is then satisfied by no request either. The converse does
//! not hold: two atoms may exclude each other by what they mean. So this proves, and never refutes.

use std::collections::HashMap;

use bailiwick_model::subject::Role;
use serde_json::Value;

use crate::schema::{principal_type, resource_type};

/// How many branches a proof may take.
const MOST_STEPS: usize = 20_000;

/// A formula over numbered atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formula {
    True,
    False,
    Atom(usize),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The atoms of one question, by their text.
#[derive(Debug, Default)]
pub(crate) struct Atoms {
    numbers: HashMap<String, usize>,
    /// What an atom compares with which constant: of several constants only one can be it.
    equalities: Vec<Option<(String, String)>>,
}

/// A kind of action by a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) kind: &'static str,
    pub(crate) role: Role,
}

impl Formula {
    pub(crate) fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(more) => kept.extend(more),
                other => kept.push(other),
            }
        }
        if kept.is_empty() { Self::True } else { Self::All(kept) }
    }

    pub(crate) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(more) => kept.extend(more),
                other => kept.push(other),
            }
        }
        if kept.is_empty() { Self::False } else { Self::Any(kept) }
    }

    fn with(&self, known: &HashMap<usize, bool>) -> Self {
        match self {
            Self::True | Self::False => self.clone(),
            Self::Atom(number) => match known.get(number) {
                Some(true) => Self::True,
                Some(false) => Self::False,
                None => self.clone(),
            },
            Self::Not(inner) => inner.with(known).not(),
            Self::All(parts) => Self::all(parts.iter().map(|part| part.with(known))),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.with(known))),
        }
    }

    /// An atom that has to have this value, or any atom to branch on.
    fn next(&self) -> Option<(usize, Option<bool>)> {
        match self {
            Self::True | Self::False => None,
            Self::Atom(number) => Some((*number, Some(true))),
            Self::Not(inner) => match inner.as_ref() {
                Self::Atom(number) => Some((*number, Some(false))),
                other => other.next().map(|(number, _)| (number, None)),
            },
            Self::All(parts) => {
                let mut first = None;
                for part in parts {
                    match part.next() {
                        Some((number, Some(value)))
                            if matches!(part, Self::Atom(_) | Self::Not(_)) =>
                        {
                            return Some((number, Some(value)));
                        }
                        Some((number, _)) => first = first.or(Some((number, None))),
                        None => {}
                    }
                }
                first
            }
            Self::Any(parts) => parts.iter().find_map(Self::next).map(|(number, _)| (number, None)),
        }
    }
}

impl Atoms {
    /// Whether no assignment satisfies it: `None` when it takes too long to say.
    pub(crate) fn unsatisfiable(&self, formula: &Formula) -> Option<bool> {
        let mut steps = MOST_STEPS;
        self.satisfiable(formula.clone(), &mut steps).map(|satisfiable| !satisfiable)
    }

    fn satisfiable(&self, formula: Formula, steps: &mut usize) -> Option<bool> {
        let mut formula = formula;
        loop {
            *steps = steps.checked_sub(1)?;
            let (number, forced) = match &formula {
                Formula::True => return Some(true),
                Formula::False => return Some(false),
                other => other.next()?,
            };
            match forced {
                Some(value) => formula = formula.with(&self.assume(number, value)),
                None => {
                    if self.satisfiable(formula.with(&self.assume(number, true)), steps)? {
                        return Some(true);
                    }
                    formula = formula.with(&self.assume(number, false));
                }
            }
        }
    }

    /// A value of an atom, and what follows for those that compare the same with other constants.
    fn assume(&self, number: usize, value: bool) -> HashMap<usize, bool> {
        let mut known = HashMap::from([(number, value)]);
        if let (true, Some(Some((subject, constant)))) = (value, self.equalities.get(number)) {
            for (other, equality) in self.equalities.iter().enumerate() {
                if let Some((same, another)) = equality
                    && same == subject
                    && another != constant
                {
                    known.insert(other, false);
                }
            }
        }
        known
    }

    fn atom(&mut self, text: String, equality: Option<(String, String)>) -> Formula {
        let next = self.equalities.len();
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.equalities.push(equality);
        }
        Formula::Atom(number)
    }

    /// When a policy applies to a case. `json` is the policy as Cedar writes it.
    pub(crate) fn policy(&mut self, json: &Value, case: Case) -> Formula {
        let mut parts = vec![
            self.scope(json, "principal", case),
            action_scope(json, case),
            self.scope(json, "resource", case),
        ];
        for condition in json.get("conditions").and_then(Value::as_array).into_iter().flatten() {
            let body =
                condition.get("body").map_or(Formula::False, |body| self.expression(body, case));
            let unless = condition.get("kind").and_then(Value::as_str) == Some("unless");
            parts.push(if unless { body.not() } else { body });
        }
        Formula::all(parts)
    }

    fn scope(&mut self, json: &Value, variable: &str, case: Case) -> Formula {
        let Some(scope) = json.get(variable) else { return Formula::True };
        let entity = scope.get("entity").cloned().unwrap_or_default();
        let this = serde_json::json!({ "Var": variable });
        match scope.get("op").and_then(Value::as_str) {
            Some("==") => {
                self.equal(&this, &serde_json::json!({ "Value": { "__entity": entity } }))
            }
            Some("in") => {
                self.inside(&this, &serde_json::json!({ "Value": { "__entity": entity } }), case)
            }
            Some("is") => {
                let is = self.is(&this, scope.get("entity_type"), case);
                let inside =
                    scope.get("in").and_then(|inside| inside.get("entity")).map(|entity| {
                        self.inside(
                            &this,
                            &serde_json::json!({ "Value": { "__entity": entity } }),
                            case,
                        )
                    });
                Formula::all(std::iter::once(is).chain(inside))
            }
            _ => Formula::True,
        }
    }

    /// A condition as it stands in a policy.
    pub(crate) fn condition(&mut self, json: &Value, case: Case) -> Formula {
        self.expression(json, case)
    }

    fn expression(&mut self, json: &Value, case: Case) -> Formula {
        let operator = json.as_object().and_then(|fields| fields.iter().next());
        let Some((name, inner)) = operator else { return self.opaque(json) };
        let side = |name: &str| inner.get(name).unwrap_or(&Value::Null);
        let (left, right) = (side("left"), side("right"));
        match name.as_str() {
            "Value" => match inner {
                Value::Bool(true) => Formula::True,
                Value::Bool(false) => Formula::False,
                _ => self.opaque(json),
            },
            "&&" => {
                let parts = [self.expression(left, case), self.expression(right, case)];
                Formula::all(parts)
            }
            "||" => {
                let parts = [self.expression(left, case), self.expression(right, case)];
                Formula::any(parts)
            }
            "!" => self.expression(side("arg"), case).not(),
            "if-then-else" => {
                let when = self.expression(side("if"), case);
                let then = self.expression(side("then"), case);
                let otherwise = self.expression(side("else"), case);
                Formula::any([
                    Formula::all([when.clone(), then]),
                    Formula::all([when.not(), otherwise]),
                ])
            }
            "==" => self.equal(left, right),
            "!=" => self.equal(left, right).not(),
            "<" => self.opaque(json),
            ">" => self.opaque(&serde_json::json!({ "<": { "left": right, "right": left } })),
            ">=" => {
                self.opaque(&serde_json::json!({ "<": { "left": left, "right": right } })).not()
            }
            "<=" => {
                self.opaque(&serde_json::json!({ "<": { "left": right, "right": left } })).not()
            }
            "in" => self.inside(left, right, case),
            "is" if inner.get("in").is_none() => self.is(left, inner.get("entity_type"), case),
            // one of a list of constants
            "contains" => match left.get("Set").and_then(Value::as_array) {
                Some(items) if items.iter().all(is_constant) => {
                    let parts: Vec<Formula> =
                        items.iter().map(|item| self.equal(right, item)).collect();
                    Formula::any(parts)
                }
                _ => self.opaque(json),
            },
            _ => self.opaque(json),
        }
    }

    fn opaque(&mut self, json: &Value) -> Formula {
        self.atom(json.to_string(), None)
    }

    fn equal(&mut self, left: &Value, right: &Value) -> Formula {
        let (subject, constant) = if is_constant(left) { (right, left) } else { (left, right) };
        match (is_constant(subject), is_constant(constant)) {
            (true, true) if subject == constant => Formula::True,
            (true, true) => Formula::False,
            (false, true) => {
                let equality = (subject.to_string(), constant.to_string());
                self.atom(format!("{} == {}", equality.0, equality.1), Some(equality))
            }
            _ => {
                let mut sides = [left.to_string(), right.to_string()];
                sides.sort();
                self.atom(sides.join(" == "), None)
            }
        }
    }

    fn inside(&mut self, left: &Value, right: &Value, case: Case) -> Formula {
        let role = right.pointer("/Value/__entity").filter(|entity| {
            entity.get("type").and_then(Value::as_str) == Some("Role")
                && is_variable(left, "principal")
        });
        match role.and_then(|entity| entity.get("id")).and_then(Value::as_str) {
            // each principal is in exactly one role
            Some(name) if name == case.role.name() => Formula::True,
            Some(_) => Formula::False,
            None => self.atom(format!("{left} in {right}"), None),
        }
    }

    fn is(&mut self, left: &Value, name: Option<&Value>, case: Case) -> Formula {
        let name = name.and_then(Value::as_str).unwrap_or_default();
        let own = if is_variable(left, "principal") {
            principal_type(case.role)
        } else if is_variable(left, "resource") {
            resource_type(case.kind)
        } else {
            return self.atom(format!("{left} is {name}"), None);
        };
        if own == name { Formula::True } else { Formula::False }
    }
}

fn action_scope(json: &Value, case: Case) -> Formula {
    let Some(scope) = json.get("action") else { return Formula::True };
    let is = |entity: &Value| entity.get("id").and_then(Value::as_str) == Some(case.kind);
    let applies = match scope.get("op").and_then(Value::as_str) {
        Some("==") => scope.get("entity").is_some_and(is),
        Some("in") => {
            scope.get("entity").is_some_and(is)
                || scope
                    .get("entities")
                    .and_then(Value::as_array)
                    .is_some_and(|all| all.iter().any(is))
        }
        _ => true,
    };
    if applies { Formula::True } else { Formula::False }
}

fn is_variable(json: &Value, name: &str) -> bool {
    json.get("Var").and_then(Value::as_str) == Some(name)
}

/// Two constants that are written differently are different.
fn is_constant(json: &Value) -> bool {
    json.get("Value").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proved(text: &str) -> bool {
        let case = Case { kind: "command", role: Role::Implementor };
        let policy: cedar_policy::Policy = text.parse().unwrap();
        let mut atoms = Atoms::default();
        let formula = atoms.policy(&policy.to_json().unwrap(), case);
        atoms.unsatisfiable(&formula) == Some(true)
    }

    #[test]
    fn contradictions_are_found_and_nothing_else() {
        let rule = |condition: &str| {
            format!("permit(principal, action, resource) when {{ {condition} }};")
        };
        for contradiction in [
            "context.a && !context.a",
            "context.n < 3 && context.n >= 3",
            "context.n > 3 && !(3 < context.n)",
            "context.p == Purpose::\"tool\" && context.p == Purpose::\"gate\"",
            "[\"a\", \"b\"].contains(context.t) && context.t == \"c\"",
            "principal in Role::\"verifier\"",
            "principal is Human",
            "(context.a || context.b) && !context.a && !context.b",
            "if context.a then !context.a else context.a",
            "!(context.a || !context.a)",
        ] {
            assert!(proved(&rule(contradiction)), "{contradiction}");
        }
        for possible in [
            "context.a && !context.b",
            "context.n < 3 && context.n >= 4",
            "context.p == Purpose::\"tool\" || context.p == Purpose::\"gate\"",
            "principal in Role::\"implementor\"",
            "principal is Agent && resource is Workspace",
            "(context.a || context.b) && !context.a",
        ] {
            assert!(!proved(&rule(possible)), "{possible}");
        }
        assert!(proved("permit(principal is Human, action, resource);"));
        assert!(proved("permit(principal, action == Action::\"file_read\", resource);"));
        assert!(!proved(
            "permit(principal in Role::\"implementor\", action in [Action::\"command\"], resource);"
        ));
    }
}
