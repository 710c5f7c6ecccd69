//! The set of policies in force, and the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bailiwick_model::action::Action;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::tier::Tier;
use bailiwick_model::verdict::Verdict;
use cedar_policy::{Authorizer, Effect};

use crate::error::{PolicyError, PolicyErrors};
use crate::explain;
use crate::formula::Case;
use crate::index::{self, Found, Index};
use crate::layer::{Layer, LayerSource, Proved};
use crate::load::{self, Loaded, PolicySource, Rule, RuleEffect};
use crate::narrow;
use crate::path::Scopes;
use crate::request::{self, Question};
use crate::schema::{ACTION_KINDS, ROLES, SCHEMA_TEXT};
use crate::tier;

/// The organisation layer that is used when nothing else is configured.
pub const STANDARD_TEXT: &str = include_str!("../policies/standard.cedar");

/// A validated set of policies, ready to decide.
pub struct PolicySet {
    /// The organisation's first.
    layers: Vec<Arc<LayerSet>>,
    rules: BTreeMap<String, Rule>,
    digest: Digest,
    authorizer: Authorizer,
    scopes: Scopes,
}

/// One layer.
struct LayerSet {
    layer: Layer,
    sources: Vec<PolicySource>,
    loaded: Vec<Loaded>,
    index: Index,
    /// The kinds of action for which it is an allow-list.
    lists: BTreeSet<&'static str>,
}

/// What the layers say of a question, before it is made a verdict.
pub(crate) struct Said {
    question: Question,
    pub(crate) found: Found,
    /// Whether each layer that has a say allows it, gates aside.
    backed: bool,
    /// The rules that name the tier without isolation for it.
    pub(crate) naming: Vec<String>,
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet")
            .field("rules", &self.rules.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Clone for PolicySet {
    fn clone(&self) -> Self {
        Self::of(self.layers.clone(), self.digest)
    }
}

impl PolicySet {
    /// Reads, validates and indexes the organisation's policies. One fault in any source and none
    /// is in force.
    pub fn load(sources: &[PolicySource]) -> Result<Self, PolicyErrors> {
        Self::load_layers(sources, &[], &Proved::nothing())
    }

    /// The same with lower layers, each of which can only narrow. A `permit` in a lower layer is
    /// accepted when the organisation is proved to permit, or ask for, all that it permits: by a
    /// solver (`proved`) or here. One fault in any layer and none is in force.
    pub fn load_layers(
        sources: &[PolicySource],
        lower: &[LayerSource],
        proved: &Proved,
    ) -> Result<Self, PolicyErrors> {
        let organisation = LayerSet::new(Layer::Organisation, sources)?;
        let mut set = Self::of(vec![Arc::new(organisation)], digest(sources));
        let mut errors = Vec::new();
        for source in lower {
            match set.narrowed(source, proved) {
                Ok(with) => set = with,
                Err(found) => errors.extend(found.errors),
            }
        }
        if errors.is_empty() { Ok(set) } else { Err(PolicyErrors { errors }) }
    }

    /// This set with one more lower layer.
    pub fn narrowed(&self, source: &LayerSource, proved: &Proved) -> Result<Self, PolicyErrors> {
        let layer = LayerSet::new(source.layer.clone(), &source.sources)?;
        let top = self.layers.first();
        if !top.is_some_and(|top| proved.has(&source.digest(&digest(&top.sources)))) {
            let above = top.map_or(&[][..], |top| top.loaded.as_slice());
            let errors = narrow::unproved(above, &layer.loaded);
            if !errors.is_empty() {
                return Err(PolicyErrors { errors });
            }
        }
        let mut layers = self.layers.clone();
        layers.push(Arc::new(layer));
        Ok(Self::of(layers, source.digest(&self.digest)))
    }

    /// The organisation's layer alone.
    #[must_use]
    pub fn organisation(&self) -> Self {
        let layers: Vec<Arc<LayerSet>> = self.layers.iter().take(1).cloned().collect();
        let digest = layers.first().map_or(self.digest, |top| digest(&top.sources));
        Self::of(layers, digest)
    }

    fn of(layers: Vec<Arc<LayerSet>>, digest: Digest) -> Self {
        let rules = layers
            .iter()
            .flat_map(|layer| &layer.loaded)
            .map(|one| (one.rule.id.clone(), one.rule.clone()))
            .collect();
        Self { layers, rules, digest, authorizer: Authorizer::new(), scopes: Scopes::default() }
    }

    /// No policy at all: everything is denied.
    pub fn nothing() -> Self {
        Self::of(Vec::new(), digest(&[]))
    }

    /// The embedded organisation layer.
    pub fn standard() -> Result<Self, PolicyErrors> {
        Self::load(&[Self::standard_source()])
    }

    /// The text of the embedded organisation layer, to load it together with others.
    pub fn standard_source() -> PolicySource {
        PolicySource { name: "standard.cedar".to_owned(), text: STANDARD_TEXT.to_owned() }
    }

    /// SHA-256 over the schema and every source of every layer with its name, in order; what a
    /// recorded decision names as the policy that made it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Every policy, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// One policy.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// Every layer with its sources, the organisation's first.
    pub fn layers(&self) -> impl Iterator<Item = (&Layer, &[PolicySource])> {
        self.layers.iter().map(|layer| (&layer.layer, layer.sources.as_slice()))
    }

    /// The text of a source, by its name.
    pub fn source_text(&self, name: &str) -> Option<&str> {
        self.layers
            .iter()
            .flat_map(|layer| &layer.sources)
            .find(|source| source.name == name)
            .map(|source| source.text.as_str())
    }

    /// Every policy of every layer as Cedar knows it, with the id it has here.
    pub fn policies(&self) -> impl Iterator<Item = (&Rule, &cedar_policy::Policy)> {
        self.layers.iter().flat_map(|layer| &layer.loaded).map(|one| (&one.rule, &one.policy))
    }

    /// Decides. Whatever cannot be decided is denied, with a code of its own.
    pub fn decide(&self, subject: &Subject, action: &Action, context: &Context) -> Verdict {
        self.verdict(subject, action, context, self.ask(subject, action, context))
    }

    /// Every layer's say; or why the question can't be asked.
    pub(crate) fn ask(
        &self,
        subject: &Subject,
        action: &Action,
        context: &Context,
    ) -> Result<Said, String> {
        let question = request::build(&self.scopes, subject, action, context)?;
        let mut found = Found::default();
        let mut backed = !self.layers.is_empty();
        let mut naming = Vec::new();
        for layer in self.layers.iter().filter(|one| one.layer.applies(subject, context)) {
            let said = layer.index.ask(&self.authorizer, &question);
            // Who may work without isolation may not do more for it.
            let (names, permits): (Vec<String>, Vec<String>) = said
                .permits
                .into_iter()
                .partition(|id| self.rules.get(id).is_some_and(Rule::names_worktree));
            naming.extend(names);
            let lists = layer.layer == Layer::Organisation || layer.lists.contains(question.kind);
            backed &= !lists || !permits.is_empty();
            found.permits.extend(permits);
            found.forbids.extend(said.forbids);
            found.errors.extend(said.errors);
        }
        Ok(Said { question, found, backed, naming })
    }

    /// What comes of what the layers said.
    pub(crate) fn verdict(
        &self,
        subject: &Subject,
        action: &Action,
        context: &Context,
        said: Result<Said, String>,
    ) -> Verdict {
        let Said { question, found, backed, naming } = match said {
            Ok(said) => said,
            Err(what) => return explain::request_invalid(action, &what),
        };
        if !found.errors.is_empty() {
            return Verdict::Deny(explain::evaluation_error(action, &found.errors));
        }
        let forbids: Vec<&Rule> =
            found.forbids.iter().filter_map(|id| self.rules.get(id)).collect();
        if forbids.len() != found.forbids.len() {
            return explain::request_invalid(action, "a rule that forbids it is not known");
        }
        let hard: Vec<&Rule> = forbids
            .iter()
            .copied()
            .filter(|rule| !matches!(rule.effect, RuleEffect::Gate { .. }))
            .collect();
        if !hard.is_empty() {
            return explain::forbidden(action, &question, &hard);
        }
        if matches!(action, Action::Command(_))
            && tier::of_command(context) == Tier::Worktree
            && naming.is_empty()
        {
            return explain::no_isolation(action);
        }
        if !backed {
            return explain::no_rule_permits(subject, action, &question);
        }
        if forbids.is_empty() {
            return Verdict::Permit { rules: found.permits };
        }
        // Only gates, and it would be allowed once people have agreed: worth asking them.
        let groups: BTreeSet<String> = forbids
            .iter()
            .filter_map(|rule| match &rule.effect {
                RuleEffect::Gate { group } => Some(group.clone()),
                RuleEffect::Permit | RuleEffect::Forbid => None,
            })
            .collect();
        Verdict::NeedsApproval { groups: groups.into_iter().collect(), rules: found.forbids }
    }
}

impl LayerSet {
    fn new(layer: Layer, sources: &[PolicySource]) -> Result<Self, PolicyErrors> {
        let loaded = load::load(&layer, sources)?;
        let index = Index::new(&loaded).map_err(|(at, error)| {
            let rule = loaded.get(at).map(|one| &one.rule);
            PolicyErrors::from(PolicyError {
                file: rule.map(|rule| rule.source.clone()).unwrap_or_default(),
                line: rule.map_or(0, |rule| rule.line),
                column: 1,
                policy: rule.map(|rule| rule.id.clone()),
                what: error.to_string(),
                why: "a denial must name one policy",
                fix: "give it an `@id` of its own".to_owned(),
            })
        })?;
        let permits: Vec<&Loaded> = loaded
            .iter()
            .filter(|one| one.policy.effect() == Effect::Permit && !one.rule.names_worktree())
            .collect();
        let lists = ACTION_KINDS
            .into_iter()
            .filter(|kind| {
                permits.iter().any(|one| {
                    ROLES.into_iter().any(|role| index::can_apply(&one.policy, kind, role))
                })
            })
            .collect();
        Ok(Self { layer, sources: sources.to_vec(), loaded, index, lists })
    }
}

/// Every case that a set decides about.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    ACTION_KINDS.into_iter().flat_map(|kind| ROLES.into_iter().map(move |role| Case { kind, role }))
}

fn digest(sources: &[PolicySource]) -> Digest {
    let texts = sources.iter().flat_map(|source| [source.name.as_str(), &source.text]);
    Digest::of_parts(&[], std::iter::once(SCHEMA_TEXT).chain(texts))
}
