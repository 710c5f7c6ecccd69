//! The set of policies in force, and the decision.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use bailiwick_model::action::Action;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::verdict::{Denial, Verdict};
use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, Effect, EntityUid, Policy,
    PolicySet as CedarSet, PrincipalConstraint, Response,
};

use crate::error::{PolicyError, PolicyErrors};
use crate::explain;
use crate::load::{self, PolicySource, Rule, RuleEffect};
use crate::path::Scopes;
use crate::request::{self, Question};
use crate::schema::{ACTION_KINDS, ROLES, SCHEMA_TEXT, principal_type};

/// The organisation layer that is used when nothing else is configured.
pub const STANDARD_TEXT: &str = include_str!("../policies/standard.cedar");

/// A validated set of policies, ready to decide.
pub struct PolicySet {
    sources: Vec<PolicySource>,
    rules: BTreeMap<String, Rule>,
    index: HashMap<(&'static str, Role), Share>,
    digest: Digest,
    authorizer: Authorizer,
    scopes: Scopes,
}

/// The policies that can apply to one kind of action by one role.
#[derive(Default)]
struct Share {
    all: CedarSet,
    /// The permits alone: whether a gate's question is worth asking.
    permits: CedarSet,
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet")
            .field("rules", &self.rules.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl PolicySet {
    /// Reads, validates and indexes policies. One fault in any source and none is in force.
    pub fn load(sources: &[PolicySource]) -> Result<Self, PolicyErrors> {
        let loaded = load::load(sources)?;
        let mut index = HashMap::new();
        for kind in ACTION_KINDS {
            for role in ROLES {
                let mut share = Share::default();
                for one in &loaded {
                    if !can_apply(&one.policy, kind, role) {
                        continue;
                    }
                    let permit = one.policy.effect() == Effect::Permit;
                    share
                        .all
                        .add(one.policy.clone())
                        .map_err(|error| conflict(&one.rule, &error))?;
                    if permit {
                        share
                            .permits
                            .add(one.policy.clone())
                            .map_err(|error| conflict(&one.rule, &error))?;
                    }
                }
                index.insert((kind, role), share);
            }
        }
        Ok(Self {
            sources: sources.to_vec(),
            rules: loaded.into_iter().map(|one| (one.rule.id.clone(), one.rule)).collect(),
            index,
            digest: digest(sources),
            authorizer: Authorizer::new(),
            scopes: Scopes::default(),
        })
    }

    /// The embedded organisation layer.
    pub fn standard() -> Result<Self, PolicyErrors> {
        Self::load(&[Self::standard_source()])
    }

    /// The text of the embedded organisation layer, to load it together with others.
    pub fn standard_source() -> PolicySource {
        PolicySource { name: "standard.cedar".to_owned(), text: STANDARD_TEXT.to_owned() }
    }

    /// SHA-256 over the schema and every source with its name, in order; what a recorded decision
    /// names as the policy that made it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Every policy, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The text of a source, by its name.
    pub fn source_text(&self, name: &str) -> Option<&str> {
        self.sources.iter().find(|source| source.name == name).map(|source| source.text.as_str())
    }

    /// Decides. Whatever cannot be decided is denied, with a code of its own.
    pub fn decide(&self, subject: &Subject, action: &Action, context: &Context) -> Verdict {
        let question = match request::build(&self.scopes, subject, action, context) {
            Ok(question) => question,
            Err(what) => return explain::request_invalid(action, &what),
        };
        let Some(share) = self.index.get(&(action.kind(), subject.role)) else {
            return explain::request_invalid(
                action,
                "no policies are indexed for this kind of action",
            );
        };
        let response =
            self.authorizer.is_authorized(&question.request, &share.all, &question.entities);
        if let Some(denial) = evaluation_error(action, &response) {
            return Verdict::Deny(denial);
        }
        let determining = ids(&response);
        match response.decision() {
            Decision::Allow => Verdict::Permit { rules: determining },
            Decision::Deny => self.refuse(share, subject, action, &question, determining),
        }
    }

    fn refuse(
        &self,
        share: &Share,
        subject: &Subject,
        action: &Action,
        question: &Question,
        determining: Vec<String>,
    ) -> Verdict {
        let rules: Vec<&Rule> = determining.iter().filter_map(|id| self.rules.get(id)).collect();
        if rules.is_empty() || rules.len() != determining.len() {
            return explain::no_rule_permits(subject, action, question);
        }
        let hard: Vec<&Rule> = rules
            .iter()
            .copied()
            .filter(|rule| !matches!(rule.effect, RuleEffect::Gate { .. }))
            .collect();
        if !hard.is_empty() {
            return explain::forbidden(action, question, &hard);
        }
        // Only gates: worth asking a human if the action would be allowed once they have agreed.
        let response =
            self.authorizer.is_authorized(&question.request, &share.permits, &question.entities);
        if let Some(denial) = evaluation_error(action, &response) {
            return Verdict::Deny(denial);
        }
        match response.decision() {
            Decision::Deny => explain::no_rule_permits(subject, action, question),
            Decision::Allow => {
                let mut groups: Vec<String> = rules
                    .iter()
                    .filter_map(|rule| match &rule.effect {
                        RuleEffect::Gate { group } => Some(group.clone()),
                        RuleEffect::Permit | RuleEffect::Forbid => None,
                    })
                    .collect();
                groups.sort();
                groups.dedup();
                Verdict::NeedsApproval { groups, rules: determining }
            }
        }
    }
}

/// Cedar leaves out a policy that fails to evaluate, a `forbid` too, and would answer Allow.
fn evaluation_error(action: &Action, response: &Response) -> Option<Denial> {
    let mut failed: Vec<(String, String)> = response
        .diagnostics()
        .errors()
        .map(|error| {
            let AuthorizationError::PolicyEvaluationError(inner) = error;
            let id: &str = inner.policy_id().as_ref();
            (id.to_owned(), error.to_string())
        })
        .collect();
    failed.sort();
    (!failed.is_empty()).then(|| explain::evaluation_error(action, &failed))
}

fn ids(response: &Response) -> Vec<String> {
    let mut ids: Vec<String> = response
        .diagnostics()
        .reason()
        .map(|id| {
            let id: &str = id.as_ref();
            id.to_owned()
        })
        .collect();
    ids.sort();
    ids
}

/// Whether a policy's scope leaves it possible to apply. Sound: a principal's only parent is its
/// role, and the schema has no action groups; so what is left out here could never be satisfied,
/// nor could it fail, because Cedar evaluates conditions only when the scope matches.
fn can_apply(policy: &Policy, kind: &str, role: Role) -> bool {
    let is_action = |uid: &EntityUid| uid.id().unescaped() == kind;
    let action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => is_action(&uid),
        ActionConstraint::In(uids) => uids.iter().any(is_action),
    };
    let of_type = |name: &str| name == principal_type(role);
    let inside = |uid: &EntityUid| {
        let name = uid.type_name().to_string();
        if name == "Role" { uid.id().unescaped() == role.name() } else { of_type(&name) }
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

fn digest(sources: &[PolicySource]) -> Digest {
    let mut bytes = Vec::new();
    for part in std::iter::once(SCHEMA_TEXT)
        .chain(sources.iter().flat_map(|source| [source.name.as_str(), &source.text]))
    {
        // lengths keep the parts apart: no text can pass for another name and text
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::of(&bytes)
}

fn conflict(rule: &Rule, error: &cedar_policy::PolicySetError) -> PolicyErrors {
    PolicyError {
        file: rule.source.clone(),
        line: rule.line,
        column: 1,
        policy: Some(rule.id.clone()),
        what: error.to_string(),
        why: "a denial must name one policy",
        fix: "give it an `@id` of its own".to_owned(),
    }
    .into()
}
