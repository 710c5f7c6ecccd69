//! Named invariants: what must hold under every organisation's policy, checked at each publish.
//!
//! An invariant names the requests that must never be permitted, as a Cedar policy. It holds when
//! no request is both among them and permitted. A gate that asks counts as not permitted.

use bailiwick_model::subject::Role;
use cedar_policy::Policy;
use serde_json::Value;

use crate::formula::{Atoms, Formula};
use crate::index::can_apply;
use crate::load::RuleEffect;
use crate::schema::{ROLES, principal_type};
use crate::set::{PolicySet, cases};

/// What must never be permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    /// Its name, as `policy prove` takes it.
    pub name: &'static str,
    /// Why it has to hold.
    pub why: &'static str,
    /// The requests that must never be permitted, as a Cedar `permit`.
    pub never: &'static str,
}

/// Every invariant that is checked at each publish.
pub const INVARIANTS: [Invariant; 14] = [
    Invariant {
        name: "no merge without approval",
        why: "a person decides what gets into a protected branch",
        never: r#"permit(principal, action == Action::"pull_request_merge", resource)
when { !context.approvals.contains("reviewers") };"#,
    },
    Invariant {
        name: "no merge without passed gates",
        why: "an approval says that a person wants the change, not that it works",
        never: r#"permit(principal, action == Action::"pull_request_merge", resource)
when { !context.gates_passed };"#,
    },
    Invariant {
        name: "no merge without a verifier",
        why: "whoever wrote a change is not the one who says that it is good",
        never: r#"permit(principal, action == Action::"pull_request_merge", resource)
when { !context.verified };"#,
    },
    Invariant {
        name: "no merge on the requester's approval alone",
        why: "separation of duties; a machine with one user says so",
        never: r#"permit(principal, action == Action::"pull_request_merge", resource)
when { !context.independent_approval && !context.single_user };"#,
    },
    Invariant {
        name: "no agent reviews, merges, pushes or opens a pull request",
        why: "what an agent made leaves its cage by the platform's hands only",
        never: r#"permit(principal is Agent, action in [Action::"review_submit", Action::"pull_request_merge",
  Action::"branch_push", Action::"pull_request_open"], resource);"#,
    },
    Invariant {
        name: "no push to a protected branch",
        why: "a change gets there by a pull request and by nothing else",
        never: r#"permit(principal, action == Action::"branch_push", resource) when { context.protected };"#,
    },
    Invariant {
        name: "no approval of one's own request",
        why: "separation of duties; a machine with one user says so",
        never: r#"permit(principal, action == Action::"review_submit", resource)
when { context.own_request && context.verdict == Review::"approve" && !context.single_user && !context.simulated };"#,
    },
    Invariant {
        name: "no network for agents",
        why: "what an agent read must not leave by a way of its own",
        never: r#"permit(principal is Agent, action == Action::"command", resource) when { context.network };"#,
    },
    Invariant {
        name: "no network for code nobody can read in advance",
        why: "the one phase with a network runs plain fetches",
        never: r#"permit(principal, action == Action::"command", resource)
when { context.network && (context.undecidable || context.inline_code) };"#,
    },
    Invariant {
        name: "no agent writes outside its scope",
        why: "a subtask is about the paths that its plan names",
        never: r#"permit(principal is Agent, action == Action::"file_write", resource) when { !context.scope_ok };"#,
    },
    Invariant {
        name: "no agent steers git, hooks or policy",
        why: "those run on the machines of people, or decide what agents may do",
        never: r#"permit(principal is Agent, action == Action::"file_write", resource)
when { context.protected_path && !["pipeline", "agents"].containsAll(context.steers) };"#,
    },
    Invariant {
        name: "no agent changes a pipeline without approval",
        why: "pipelines run outside the cage, with the rights of the organisation",
        never: r#"permit(principal is Agent, action == Action::"file_write", resource)
when { context.steers.contains("pipeline") && !context.approvals.contains("pipeline-owners") };"#,
    },
    Invariant {
        name: "no agent changes the rules of agents without approval",
        why: "the next agent believes them",
        never: r#"permit(principal is Agent, action == Action::"file_write", resource)
when { context.steers.contains("agents") && !context.approvals.contains("agent-rule-owners") };"#,
    },
    Invariant {
        name: "no more rights than the cage has",
        why: "nothing that an agent or the platform runs in a cage needs them",
        never: r#"permit(principal, action == Action::"command", resource)
when { context.privileged && !(principal is Human) };"#,
    },
];

/// What could be said of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It holds for every request.
    Proved,
    /// It could not be proved; nothing is said of whether it holds.
    NotProved {
        /// For which action and role, and why.
        why: String,
    },
    /// It does not hold.
    Refuted {
        /// A request that breaks it.
        example: String,
    },
}

impl Invariant {
    /// The invariant of this name.
    pub fn find(name: &str) -> Option<Self> {
        INVARIANTS.into_iter().find(|one| one.name == name)
    }
}

/// A policy about what can happen: one that holds of no request but those that the platform makes,
/// in which each principal is in exactly one role, and that of its kind. `principal` is the type.
///
/// A solver knows the schema and not this; without it, it would find requests by an agent that is
/// a person as well.
pub fn certain(policy: &Policy, principal: &str) -> Result<Policy, String> {
    let role = |role: Role| {
        serde_json::json!({ "in": {
            "left": { "Var": "principal" },
            "right": { "Value": { "__entity": { "type": "Role", "id": role.name() } } },
        }})
    };
    let joined = |operator: &str, parts: Vec<Value>| {
        parts
            .into_iter()
            .reduce(|left, right| serde_json::json!({ operator: { "left": left, "right": right } }))
    };
    let exactly = |one: Role| {
        let others = ROLES
            .into_iter()
            .filter(|other| *other != one)
            .map(|other| serde_json::json!({ "!": { "arg": role(other) } }));
        joined("&&", std::iter::once(role(one)).chain(others).collect())
    };
    let own: Vec<Value> = ROLES
        .into_iter()
        .filter(|role| principal_type(*role) == principal)
        .filter_map(exactly)
        .collect();
    let body = joined("||", own).ok_or_else(|| format!("`{principal}` is no kind of principal"))?;
    let mut json = policy.to_json().map_err(|error| error.to_string())?;
    let condition = serde_json::json!({ "kind": "when", "body": body });
    match json.get_mut("conditions").and_then(Value::as_array_mut) {
        Some(conditions) => conditions.push(condition),
        None => return Err("the policy has no list of conditions".to_owned()),
    }
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| error.to_string())
}

/// Proves, without a solver, that a set permits none of the requests that `never` (a Cedar
/// `permit`) names.
pub fn prove(set: &PolicySet, never: &str) -> Result<Proof, String> {
    let bad: Policy = never
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| format!("it is not a Cedar policy: {error}"))?;
    let json = bad.to_json().map_err(|error| error.to_string())?;
    for case in cases().filter(|case| can_apply(&bad, case.kind, case.role)) {
        let mut atoms = Atoms::default();
        let mut parts = vec![atoms.policy(&json, case)];
        let mut rights = Vec::new();
        for (rule, policy) in set.policies() {
            // only the organisation's rules hold everywhere; the others can but narrow
            if rule.layer != crate::Layer::Organisation || !can_apply(policy, case.kind, case.role)
            {
                continue;
            }
            let json = policy.to_json().map_err(|error| error.to_string())?;
            let formula = atoms.policy(&json, case);
            match rule.effect {
                // names a tier, and gives no right
                RuleEffect::Permit if rule.names_worktree() => {}
                RuleEffect::Permit => rights.push(formula),
                RuleEffect::Forbid | RuleEffect::Gate { .. } => parts.push(formula.not()),
            }
        }
        parts.push(Formula::any(rights));
        let why = match atoms.unsatisfiable(&Formula::all(parts)) {
            Some(true) => continue,
            Some(false) => "no rule is seen to rule it out",
            None => "it takes too many steps",
        };
        return Ok(Proof::NotProved {
            why: format!(
                "for `{}` by the role {}, {why} without a solver",
                case.kind,
                case.role.name()
            ),
        });
    }
    Ok(Proof::Proved)
}
