//! Which policies can apply to a question: by kind of action, role and resource.
//!
//! Cedar looks at every policy for every question. Here a question meets only the policies whose
//! *scope* could match it: those for its kind and role about any resource, and those about just
//! this resource or its repository. What is left out could never be satisfied, nor could it fail,
//! because Cedar evaluates conditions only when the scope matches; so the decision is the same
//! (`tests/index.rs` holds it against Cedar alone).

use std::collections::HashMap;

use bailiwick_model::subject::Role;
use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Effect, Entity, EntityUid, Policy,
    PolicySet as CedarSet, PolicySetError, PrincipalConstraint, ResourceConstraint, Response,
};

use crate::constants;
use crate::load::Loaded;
use crate::request::Question;
use crate::schema::{ACTION_KINDS, ROLES, principal_type};

/// The policies of one layer, by what they can apply to.
#[derive(Default)]
pub(crate) struct Index {
    shares: HashMap<(&'static str, Role), Share>,
}

/// The policies that can apply to one kind of action by one role.
#[derive(Default)]
struct Share {
    any: Part,
    /// About exactly this resource.
    same: HashMap<EntityUid, Part>,
    /// About this resource and what lies in it.
    inside: HashMap<EntityUid, Part>,
}

/// Policies that are evaluated together.
#[derive(Default)]
struct Part {
    permits: CedarSet,
    forbids: CedarSet,
    /// What their sets are attributes of.
    sets: Vec<Entity>,
}

/// What the policies of a layer say of a question.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The permits that are satisfied.
    pub(crate) permits: Vec<String>,
    /// The forbids that are satisfied.
    pub(crate) forbids: Vec<String>,
    /// The policies that failed, with how.
    pub(crate) errors: Vec<(String, String)>,
}

impl Index {
    pub(crate) fn new(loaded: &[Loaded]) -> Result<Self, (usize, Box<PolicySetError>)> {
        let mut index = Self::default();
        for (at, one) in loaded.iter().enumerate() {
            let (lighter, sets) = constants::take_out(&one.policy);
            for kind in ACTION_KINDS {
                for role in ROLES {
                    if !can_apply(&one.policy, kind, role) {
                        continue;
                    }
                    let share = index.shares.entry((kind, role)).or_default();
                    let part = match one.policy.resource_constraint() {
                        ResourceConstraint::Any | ResourceConstraint::Is(_) => &mut share.any,
                        ResourceConstraint::Eq(uid) => share.same.entry(uid).or_default(),
                        ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                            share.inside.entry(uid).or_default()
                        }
                    };
                    let set = match one.policy.effect() {
                        Effect::Permit => &mut part.permits,
                        Effect::Forbid => &mut part.forbids,
                    };
                    set.add(lighter.clone()).map_err(|error| (at, Box::new(error)))?;
                    part.sets.extend(sets.clone());
                }
            }
        }
        Ok(index)
    }

    /// Evaluates every policy that can apply.
    pub(crate) fn ask(&self, authorizer: &Authorizer, question: &Question) -> Found {
        let mut found = Found::default();
        let Some(share) = self.shares.get(&(question.kind, question.role)) else {
            return found;
        };
        let resource = &question.resource_uid;
        let parts = std::iter::once(&share.any)
            .chain(share.same.get(resource))
            .chain(share.inside.get(resource))
            .chain(question.parents.iter().filter_map(|parent| share.inside.get(parent)));
        for part in parts {
            let with_sets;
            let entities = if part.sets.is_empty() {
                &question.entities
            } else {
                match question.entities.clone().add_entities(part.sets.iter().cloned(), None) {
                    Ok(entities) => with_sets = entities,
                    Err(error) => {
                        found.errors.push(("sets of policies".to_owned(), error.to_string()));
                        continue;
                    }
                }
                &with_sets
            };
            let mut said = |set: &CedarSet, satisfied: &mut Vec<String>| {
                if !set.is_empty() {
                    let response = authorizer.is_authorized(&question.request, set, entities);
                    collect(&response, satisfied, &mut found.errors);
                }
            };
            said(&part.forbids, &mut found.forbids);
            said(&part.permits, &mut found.permits);
        }
        found.permits.sort();
        found.forbids.sort();
        found.errors.sort();
        found
    }
}

/// The satisfied policies of a set that holds policies of one effect only, from what was said of it.
/// In such a set they are exactly Cedar's reasons.
fn collect(response: &Response, satisfied: &mut Vec<String>, errors: &mut Vec<(String, String)>) {
    let diagnostics = response.diagnostics();
    satisfied.extend(diagnostics.reason().map(|id| {
        let id: &str = id.as_ref();
        id.to_owned()
    }));
    errors.extend(diagnostics.errors().map(|error| {
        let AuthorizationError::PolicyEvaluationError(inner) = error;
        let id: &str = inner.policy_id().as_ref();
        (id.to_owned(), error.to_string())
    }));
}

/// Whether a policy's scope leaves it possible to apply to a kind of action by a role, whatever
/// the resource. Sound: the schema has no action groups.
pub(crate) fn can_apply(policy: &Policy, kind: &str, role: Role) -> bool {
    let is_action = |uid: &EntityUid| uid.id().unescaped() == kind;
    let action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => is_action(&uid),
        ActionConstraint::In(uids) => uids.iter().any(is_action),
    };
    let of_type = |name: &str| name == principal_type(role);
    let inside = |uid: &EntityUid| {
        let name = uid.type_name().to_string();
        // of the other types anything may have become a parent of a principal
        name != "Role" || uid.id().unescaped() == role.name()
    };
    action
        && match policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => of_type(&uid.type_name().to_string()),
            PrincipalConstraint::In(uid) => inside(&uid),
            PrincipalConstraint::Is(name) => of_type(&name.to_string()),
            PrincipalConstraint::IsIn(name, uid) => of_type(&name.to_string()) && inside(&uid),
        }
}
