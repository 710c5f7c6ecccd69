//! Whether a lower layer only narrows, proved without a solver.

use cedar_policy::Effect;
use serde_json::Value;

use crate::error::PolicyError;
use crate::formula::{Atoms, Case, Formula};
use crate::index::can_apply;
use crate::load::{Loaded, RuleEffect};
use crate::set::cases;

/// The permits of a lower layer that are not proved to permit only what the layer above permits or
/// would ask for.
pub(crate) fn unproved(upper: &[Loaded], lower: &[Loaded]) -> Vec<PolicyError> {
    lower
        .iter()
        .filter(|one| one.policy.effect() == Effect::Permit)
        .filter(|one| !cases().all(|case| narrows(upper, one, case)))
        .map(|one| PolicyError {
            file: one.rule.source.clone(),
            line: one.rule.line,
            column: one.rule.column,
            policy: Some(one.rule.id.clone()),
            what: format!("this `permit` is not proved to be within what the organisation permits ({})", one.rule.layer),
            why: "a lower layer can only narrow; a right that is not the organisation's to begin with is none",
            fix: "write the limit as a `forbid`, repeat the condition of the organisation's rule in it, or ask the organisation for the right".to_owned(),
        })
        .collect()
}

fn narrows(upper: &[Loaded], permit: &Loaded, case: Case) -> bool {
    if !can_apply(&permit.policy, case.kind, case.role) {
        return true;
    }
    let mut atoms = Atoms::default();
    let Some(lower) = formula(&mut atoms, permit, case) else { return false };
    let mut escapes = Vec::new();
    let mut rights = Vec::new();
    for one in upper.iter().filter(|one| can_apply(&one.policy, case.kind, case.role)) {
        let Some(formula) = formula(&mut atoms, one, case) else { return false };
        match one.rule.effect {
            RuleEffect::Permit => rights.push(formula),
            RuleEffect::Forbid => escapes.push(formula),
            RuleEffect::Gate { .. } => {}
        }
    }
    // what it permits and the organisation does not: permitted by no right, or forbidden
    let beyond = Formula::any([Formula::any(rights).not(), Formula::any(escapes)]);
    atoms.unsatisfiable(&Formula::all([lower, beyond])) == Some(true)
}

fn formula(atoms: &mut Atoms, one: &Loaded, case: Case) -> Option<Formula> {
    let json: Value = one.policy.to_json().ok()?;
    Some(atoms.policy(&json, case))
}
