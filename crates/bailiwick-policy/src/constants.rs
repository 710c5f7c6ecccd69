//! Sets that are written out in policies, evaluated once.
//!
//! Cedar makes a set that a condition writes out anew for every question: hashes and sorts each
//! element, some three hundred for the programs that a command may run. Here each such set becomes
//! an attribute of an entity that no policy can name, since its type is not in the schema, and that
//! comes with the policies it was taken from. The value is the same, so the decision is too
//! (`tests/index.rs` holds it against Cedar alone). What people are shown is the policy as written.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, Policy, RestrictedExpression};
use serde_json::{Value, json};

const KIND: &str = "Constant";
/// Shorter ones are not worth the detour.
const WORTH: usize = 4;

/// The policy with its sets taken out, and the entity that has them; as it is when there are none to
/// take.
pub(crate) fn take_out(policy: &Policy) -> (Policy, Option<Entity>) {
    lighter(policy).map_or_else(|| (policy.clone(), None), |(policy, sets)| (policy, Some(sets)))
}

fn lighter(policy: &Policy) -> Option<(Policy, Entity)> {
    // what no bracket opens has no set, and reading takes its time
    if !policy.to_string().contains('[') {
        return None;
    }
    let mut written = policy.to_json().ok()?;
    let owner: &str = policy.id().as_ref();
    let mut sets = HashMap::new();
    take(written.get_mut("conditions")?, owner, &mut sets);
    if sets.is_empty() {
        return None;
    }
    let lighter = Policy::from_json(Some(policy.id().clone()), written).ok()?;
    let kind: EntityTypeName = KIND.parse().ok()?;
    let uid = EntityUid::from_type_name_and_id(kind, EntityId::new(owner));
    Some((lighter, Entity::new(uid, sets, HashSet::new()).ok()?))
}

/// Takes the sets of literals out of an expression in Cedar's JSON form.
fn take(expression: &mut Value, owner: &str, taken: &mut HashMap<String, RestrictedExpression>) {
    if let Some(set) = literals(expression) {
        let name = format!("set{}", taken.len());
        let entity = json!({"Value": {"__entity": {"type": KIND, "id": owner}}});
        *expression = json!({".": {"left": entity, "attr": name}});
        taken.insert(name, set);
        return;
    }
    match expression {
        Value::Array(parts) => parts.iter_mut().for_each(|part| take(part, owner, taken)),
        Value::Object(parts) => parts.values_mut().for_each(|part| take(part, owner, taken)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The set that an expression writes out, if it has texts and numbers only.
fn literals(expression: &Value) -> Option<RestrictedExpression> {
    let only = expression.as_object().filter(|object| object.len() == 1)?;
    let elements = only.get("Set")?.as_array().filter(|elements| elements.len() >= WORTH)?;
    let literal = |element: &Value| {
        let object = element.as_object().filter(|object| object.len() == 1)?;
        match object.get("Value")? {
            Value::String(text) => Some(RestrictedExpression::new_string(text.clone())),
            Value::Number(number) => number.as_i64().map(RestrictedExpression::new_long),
            _ => None,
        }
    };
    let elements: Vec<RestrictedExpression> =
        elements.iter().map(literal).collect::<Option<_>>()?;
    Some(RestrictedExpression::new_set(elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::parse(None, text).unwrap()
    }

    #[test]
    fn only_sets_of_literals_that_are_long_enough_are_taken_out() {
        for (condition, sets) in [
            (r#"["a", "b", "c", "d"].contains(context.x)"#, 1),
            (r#"["a", "b", "c", "d"].containsAll(context.x) && ![1, 2, 3, 4].contains(3)"#, 2),
            (r#"context.x == {y: ["a", "b", "c", "d"]}"#, 1),
            (r#"["a", "b", "c"].contains(context.x)"#, 0),
            (r#"["a", "b", "c", context.y].contains(context.x)"#, 0),
            (r#"[User::"a", User::"b", User::"c", User::"d"].contains(principal)"#, 0),
            ("context.x == \"[a]\"", 0),
        ] {
            let written =
                policy(&format!("permit (principal, action, resource) when {{ {condition} }};"));
            let (lighter, entity) = take_out(&written);
            assert_eq!(lighter.id(), written.id());
            let text = lighter.to_json().unwrap().to_string();
            assert_eq!(text.matches("Constant").count(), sets, "{text}");
            let has = |at: &usize| entity.as_ref().unwrap().attr(&format!("set{at}")).is_some();
            assert_eq!((0..sets).filter(has).count(), sets);
            assert_eq!(entity.is_some(), sets > 0);
        }
    }
}
