//! Reading policies: Cedar text, annotations, strict validation against the schema.
//!
//! Nothing is repaired and nothing is skipped: one fault anywhere and no policy of the set is in
//! force, since a rule left out of a deny-first set may be the one that denied.

use std::collections::BTreeMap;

use bailiwick_model::tier::Tier;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet as CedarSet, ValidationMode, Validator};
use miette::Diagnostic;

use crate::error::{Places, PolicyError, PolicyErrors, place};
use crate::form;
use crate::formula::{Atoms, Formula};
use crate::index::can_apply;
use crate::known;
use crate::layer::Layer;
use crate::schema::schema;
use crate::set::cases;

/// The largest policy source that is read, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;
/// The most policies of one layer.
pub const MAX_POLICIES: usize = 20_000;
/// The most parts that a policy may have, counted as nodes of its syntax tree.
pub const MAX_NODES: usize = 5_000;
/// How deep the parts of a policy may be nested.
pub const MAX_DEPTH: usize = 64;
const ANNOTATIONS: [&str; 6] = ["id", "reason", "hint", "gate", "quorum", "tier"];

/// The most people that a gate may ask for.
const MAX_QUORUM: u32 = 20;

/// A file of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// Its name, as errors and listings show it.
    pub name: String,
    /// Cedar policy text; or the short form, when the name ends in `.toml`.
    pub text: String,
}

impl PolicySource {
    /// A source.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The source as Cedar text: itself, or what the short form compiles to.
    pub fn cedar(&self) -> Result<String, PolicyErrors> {
        if !form::is_form(&self.name) {
            return Ok(self.text.clone());
        }
        let rules = form::compile(self).map_err(|errors| PolicyErrors { errors })?;
        Ok(rules.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>().join("\n"))
    }
}

/// What a policy does when it applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleEffect {
    /// It allows.
    Permit,
    /// It denies; no approval lifts it.
    Forbid,
    /// It denies until this group has approved exactly the action.
    Gate {
        /// The group.
        group: String,
    },
}

/// One policy, as listings show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`, unique in the set; in a lower layer with the layer before it.
    pub id: String,
    /// Whose rule it is.
    pub layer: Layer,
    /// What it does.
    pub effect: RuleEffect,
    /// Its `@reason`: what it allows or why it denies.
    pub reason: String,
    /// Its `@hint`: what to do instead, for one who was denied.
    pub hint: Option<String>,
    /// Its `@quorum`: how many people of a gate's group have to agree; 1 where it is not said.
    pub quorum: u32,
    /// Its `@tier`: the weakest sandbox tier in which it no longer forbids. On a `permit`, which
    /// then gives no right of its own, the tier `worktree` for what it names.
    pub tier: Option<Tier>,
    /// The source it stands in.
    pub source: String,
    /// The line where it begins, counted from 1.
    pub line: u32,
    /// The column where it begins, counted from 1.
    pub column: u32,
}

impl Rule {
    /// Whether it names the tier without isolation, and so gives no right to do anything.
    pub fn names_worktree(&self) -> bool {
        self.effect == RuleEffect::Permit && self.tier.is_some()
    }
}

/// A policy with its listing entry.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) rule: Rule,
    /// Whether it stands in the source as it is, and not compiled from the short form.
    pub(crate) verbatim: bool,
    /// Whether it was found to be good by itself before.
    pub(crate) known: bool,
}

/// Reads and validates every source; all faults that were found, or all policies.
pub(crate) fn load(layer: &Layer, sources: &[PolicySource]) -> Result<Vec<Loaded>, PolicyErrors> {
    let mut errors = Vec::new();
    let mut loaded: Vec<Loaded> = Vec::new();
    // Files that were read anew, and where their policies stand.
    let mut new = Vec::new();
    for source in sources {
        if let Some(mut found) = known::file(layer, source) {
            loaded.append(&mut found);
            continue;
        }
        match read(layer, source) {
            Ok(mut found) => {
                new.push((source, loaded.len()..loaded.len() + found.len()));
                loaded.append(&mut found);
            }
            Err(mut found) => errors.append(&mut found),
        }
    }
    errors.extend(duplicates(&loaded));
    if loaded.len() > MAX_POLICIES {
        errors.push(PolicyError {
            file: layer.to_string(),
            line: 0,
            column: 0,
            policy: None,
            what: format!("the layer has {} policies", loaded.len()),
            why: "a layer of more than 20000 policies is not read",
            fix: "say the same with fewer: sets instead of a policy for each name".to_owned(),
        });
    }
    if errors.is_empty() {
        errors = validate(sources, &loaded);
    }
    if !errors.is_empty() {
        return Err(PolicyErrors { errors });
    }
    for (source, its) in new {
        known::remember(layer, source, loaded.get(its).unwrap_or_default());
    }
    Ok(loaded)
}

fn read(layer: &Layer, source: &PolicySource) -> Result<Vec<Loaded>, Vec<PolicyError>> {
    if form::is_form(&source.name) {
        return generated(layer, source);
    }
    let policies = parse(source)?;
    let places = Places::of(&source.text);
    all(policies.into_iter().map(|policy| {
        let start = policy.as_ref().loc().map_or(0, |loc| loc.start());
        describe(layer, source, policy, places.at(start), true)
    }))
}

fn all(
    found: impl Iterator<Item = Result<Loaded, Vec<PolicyError>>>,
) -> Result<Vec<Loaded>, Vec<PolicyError>> {
    let (mut loaded, mut errors) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(one) => loaded.push(one),
            Err(mut more) => errors.append(&mut more),
        }
    }
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// The policies of a source in the short form; each stands where the form says it.
fn generated(layer: &Layer, source: &PolicySource) -> Result<Vec<Loaded>, Vec<PolicyError>> {
    check_size(source)?;
    all(form::compile(source)?.into_iter().flat_map(|rule| {
        let one = PolicySource { name: source.name.clone(), text: rule.text };
        let place = (rule.line, rule.column);
        match parse(&one) {
            Ok(policies) => policies
                .into_iter()
                .map(|policy| describe(layer, &one, policy, place, false))
                .collect(),
            Err(errors) => vec![Err(errors
                .into_iter()
                .map(|error| PolicyError { line: place.0, column: place.1, ..error })
                .collect())],
        }
    }))
}

fn check_size(source: &PolicySource) -> Result<(), Vec<PolicyError>> {
    if source.text.len() > MAX_SOURCE_BYTES {
        return Err(vec![PolicyError {
            file: source.name.clone(),
            line: 0,
            column: 0,
            policy: None,
            what: format!("the source has {} bytes", source.text.len()),
            why: "a source of more than 1 MiB is not read",
            fix: "split it into several sources".to_owned(),
        }]);
    }
    Ok(())
}

/// Cedar's parser goes as deep as the text does; this is asked before it is.
fn check_depth(source: &PolicySource) -> Result<(), Vec<PolicyError>> {
    let mut depth = 0usize;
    let (mut in_text, mut escaped, mut in_comment) = (false, false, false);
    let mut before = ' ';
    for (at, c) in source.text.char_indices() {
        match c {
            '\n' => in_comment = false,
            _ if in_comment => {}
            _ if in_text && escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '/' if before == '/' => in_comment = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = c;
        if depth > MAX_DEPTH {
            let (line, column) = place(&source.text, at);
            return Err(vec![too_complex(
                source,
                (line, column),
                None,
                "it is nested more than 64 deep",
            )]);
        }
    }
    Ok(())
}

fn too_complex(
    source: &PolicySource,
    (line, column): (u32, u32),
    policy: Option<String>,
    how: &str,
) -> PolicyError {
    PolicyError {
        file: source.name.clone(),
        line,
        column,
        policy,
        what: format!("the policy is too complex to analyse: {how}"),
        why: "what cannot be analysed cannot be proved never to fail",
        fix: "split it into several policies; each `forbid` applies by itself".to_owned(),
    }
}

/// The nodes of a syntax tree, and how deep they are nested.
fn size(json: &serde_json::Value) -> (usize, usize) {
    let parts: Vec<&serde_json::Value> = match json {
        serde_json::Value::Array(items) => items.iter().collect(),
        serde_json::Value::Object(fields) => fields.values().collect(),
        _ => vec![],
    };
    parts
        .into_iter()
        .map(size)
        .fold((1, 1), |(nodes, depth), (more, deeper)| (nodes + more, depth.max(deeper + 1)))
}

fn parse(source: &PolicySource) -> Result<Vec<Policy>, Vec<PolicyError>> {
    check_size(source)?;
    check_depth(source)?;
    let set: CedarSet = source.text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors
            .iter()
            .map(|error| {
                let (line, column) = position(&source.text, error);
                PolicyError {
                    file: source.name.clone(),
                    line,
                    column,
                    policy: None,
                    what: one_line(&error.to_string()),
                    why: "it is not Cedar policy text",
                    fix: error.help().map_or_else(
                        || "write `permit(principal, action, resource) when { … };`".to_owned(),
                        |help| one_line(&help.to_string()),
                    ),
                }
            })
            .collect::<Vec<_>>()
    })?;
    if let Some(template) = set.templates().next() {
        return Err(vec![PolicyError {
            file: source.name.clone(),
            line: 0,
            column: 0,
            policy: template.annotation("id").map(str::to_owned),
            what: "the policy has a slot (`?principal` or `?resource`)".to_owned(),
            why: "a template says nothing until it is linked, and nothing here links it",
            fix: "write the principal or resource itself".to_owned(),
        }]);
    }
    Ok(set.policies().cloned().collect())
}

fn describe(
    layer: &Layer,
    source: &PolicySource,
    policy: Policy,
    (line, column): (u32, u32),
    verbatim: bool,
) -> Result<Loaded, Vec<PolicyError>> {
    let mut errors = Vec::new();
    let known = known::is_good(&policy);
    let id = policy.annotation("id").unwrap_or_default().to_owned();
    let mut fault = |what: String, why: &'static str, fix: String| {
        errors.push(PolicyError {
            file: source.name.clone(),
            line,
            column,
            policy: (!id.is_empty()).then(|| id.clone()),
            what,
            why,
            fix,
        });
    };
    if policy.annotation("id").is_none() {
        fault(
            "the policy has no `@id`".to_owned(),
            "denials, the ledger and approvals name policies by it",
            "add `@id(\"short-name\")` before it".to_owned(),
        );
    } else if !is_name(&id) {
        fault(
            format!("`{id}` is not a policy id"),
            "ids are shown and typed: 1 to 64 lower-case letters, digits, `-`, `_` or `.`",
            "give it a short name such as `agents-no-network`".to_owned(),
        );
    }
    for (name, value) in policy.annotations() {
        if !ANNOTATIONS.contains(&name) {
            fault(
                format!("`@{name}` is not an annotation that is known"),
                "a mistyped `@gate` would turn a question into a refusal, silently",
                format!("use one of `@{}`", ANNOTATIONS.join("`, `@")),
            );
        } else if value.trim().is_empty() {
            fault(
                format!("`@{name}` is empty"),
                "it is shown to whoever is denied",
                format!("write `@{name}(\"…\")`"),
            );
        }
    }
    if policy.annotation("reason").is_none() {
        fault(
            "the policy has no `@reason`".to_owned(),
            "a decision is explained by it",
            "add `@reason(\"what it allows, or why it denies\")`".to_owned(),
        );
    }
    let effect = match (policy.effect(), policy.annotation("gate")) {
        (Effect::Permit, None) => RuleEffect::Permit,
        (Effect::Permit, Some(_)) => {
            fault(
                "`@gate` stands on a `permit`".to_owned(),
                "a gate is a `forbid` that an approval lifts",
                "take `@gate` off, or write a `forbid`".to_owned(),
            );
            RuleEffect::Permit
        }
        (Effect::Forbid, None) => RuleEffect::Forbid,
        (Effect::Forbid, Some(group)) => {
            if !is_name(group) {
                fault(
                    format!("`{group}` is not a group"),
                    "groups have 1 to 64 lower-case letters, digits, `-`, `_` or `.`",
                    "name an approval group such as `reviewers`".to_owned(),
                );
            } else if !known && !lifted_by(&policy, group) {
                fault(
                    format!(
                        "nothing lifts this gate: its conditions do not ask for the approval of `{group}`"
                    ),
                    "a gate stops applying once its approval is present, by its own condition and in every case",
                    format!("add `unless {{ context.approvals.contains(\"{group}\") }}`"),
                );
            }
            RuleEffect::Gate { group: group.to_owned() }
        }
    };
    let quorum = match policy.annotation("quorum") {
        None => 1,
        Some(text) => {
            let number = text.parse().ok().filter(|number| (1..=MAX_QUORUM).contains(number));
            if number.is_none() || !matches!(effect, RuleEffect::Gate { .. }) {
                fault(
                    format!("`@quorum(\"{text}\")` says nothing here"),
                    "it is how many people of a gate's group have to agree",
                    "write a number from 1 to 20, on a policy with `@gate`".to_owned(),
                );
            }
            number.unwrap_or(MAX_QUORUM)
        }
    };
    let tier = policy.annotation("tier").and_then(|name| {
        let tier = name.parse::<Tier>().ok();
        let means = match (tier, &effect) {
            (Some(Tier::Worktree), RuleEffect::Permit) => *layer == Layer::Organisation,
            (Some(tier), RuleEffect::Forbid) => tier > Tier::Worktree,
            (Some(_) | None, _) => false,
        };
        if !means {
            fault(
                format!("`@tier(\"{name}\")` says nothing here"),
                "it is the weakest sandbox tier in which a `forbid` no longer forbids; or, on a `permit` of the organisation, the one tier without isolation, for what it names",
                "write `process`, `container`, `gvisor` or `microvm` on a `forbid` without `@gate`, or `worktree` on a `permit`"
                    .to_owned(),
            );
        }
        tier
    });
    if effect != RuleEffect::Permit && policy.annotation("hint").is_none() {
        fault(
            "the `forbid` has no `@hint`".to_owned(),
            "whoever is denied must learn what to do instead",
            "add `@hint(\"what to do instead\")`".to_owned(),
        );
    }
    let (nodes, depth) = match known {
        true => (0, 0),
        false => policy.to_json().map_or((usize::MAX, 0), |json| size(&json)),
    };
    // an operator is two or three levels of the tree
    if nodes > MAX_NODES || depth > 8 * MAX_DEPTH {
        let name = (!id.is_empty()).then(|| id.clone());
        let how = format!("it has {nodes} parts, {depth} deep");
        errors.push(too_complex(source, (line, column), name, &how));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let rule = Rule {
        layer: layer.clone(),
        effect,
        reason: policy.annotation("reason").unwrap_or_default().to_owned(),
        hint: policy.annotation("hint").map(str::to_owned),
        quorum,
        tier,
        source: source.name.clone(),
        line,
        column,
        id: layer.qualified(&id),
    };
    Ok(Loaded { policy: policy.new_id(PolicyId::new(&rule.id)), rule, verbatim, known })
}

fn duplicates(loaded: &[Loaded]) -> Vec<PolicyError> {
    let mut first: BTreeMap<&str, &Rule> = BTreeMap::new();
    let mut errors = Vec::new();
    for Loaded { rule, .. } in loaded {
        if let Some(earlier) = first.get(rule.id.as_str()) {
            errors.push(PolicyError {
                file: rule.source.clone(),
                line: rule.line,
                column: 1,
                policy: Some(rule.id.clone()),
                what: format!("the id stands already at {}:{}", earlier.source, earlier.line),
                why: "a denial must name one policy",
                fix: "give one of the two another `@id`".to_owned(),
            });
        } else {
            first.insert(&rule.id, rule);
        }
    }
    errors
}

fn validate(sources: &[PolicySource], loaded: &[Loaded]) -> Vec<PolicyError> {
    let internal = |what: String| {
        vec![PolicyError {
            file: "bailiwick.cedarschema".to_owned(),
            line: 0,
            column: 0,
            policy: None,
            what,
            why: "without its schema no policy can be checked",
            fix: "this is a fault of Bailiwick: report it".to_owned(),
        }]
    };
    let schema = match schema() {
        Ok(schema) => schema,
        Err(what) => return internal(what.to_owned()),
    };
    let new: Vec<&Policy> = loaded.iter().filter(|one| !one.known).map(|one| &one.policy).collect();
    if new.is_empty() {
        return Vec::new();
    }
    let set = match CedarSet::from_policies(new.iter().map(|policy| (*policy).clone())) {
        Ok(set) => set,
        Err(error) => return internal(error.to_string()),
    };
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    // A name that does not exist makes a policy impossible as well: told is what was mistyped, not
    // what follows from it.
    let follows = |what: &str| what.contains("unable to find an applicable action");
    let mistaken: Vec<&PolicyId> = result
        .validation_errors()
        .filter(|error| !follows(&error.to_string()))
        .map(|error| error.policy_id())
        .collect();
    let mut errors: Vec<PolicyError> = result
        .validation_errors()
        .filter(|error| !follows(&error.to_string()) || !mistaken.contains(&error.policy_id()))
        .map(|error| {
            fault_of(sources, loaded, error.policy_id(), error, "it does not fit the schema")
        })
        .collect();
    // A warning is refused as well: a condition that can never hold is a rule that never applies,
    // and a mixed-script name is one that reads like another.
    let warnings =
        result.validation_warnings().filter(|warning| !mistaken.contains(&warning.policy_id()));
    errors.extend(warnings.map(|warning| {
        fault_of(
            sources,
            loaded,
            warning.policy_id(),
            warning,
            "such a policy rarely says what was meant",
        )
    }));
    errors.sort_by(|a, b| {
        (&a.file, a.line, a.column, &a.what).cmp(&(&b.file, b.line, b.column, &b.what))
    });
    errors
}

fn fault_of<E: Diagnostic + std::fmt::Display>(
    sources: &[PolicySource],
    loaded: &[Loaded],
    id: &PolicyId,
    error: &E,
    why: &'static str,
) -> PolicyError {
    let id_text: &str = id.as_ref();
    let one = loaded.iter().find(|one| one.rule.id == id_text);
    let rule = one.map(|one| &one.rule);
    let file = rule.map(|rule| rule.source.clone()).unwrap_or_default();
    let text = sources
        .iter()
        .find(|source| source.name == file && one.is_some_and(|one| one.verbatim))
        .map_or("", |source| &source.text);
    let (mut line, mut column) = if text.is_empty() { (0, 0) } else { position(text, error) };
    if line == 0 {
        (line, column) = (rule.map_or(0, |rule| rule.line), 1);
    }
    PolicyError {
        file,
        line,
        column,
        policy: Some(id_text.to_owned()),
        // the place and the policy stand before it already
        what: one_line(error.to_string().trim_start_matches(&format!("for policy `{id_text}`, "))),
        why,
        fix: error.help().map_or_else(
            || "see the schema for the names and types that can be used".to_owned(),
            |help| one_line(&help.to_string()),
        ),
    }
}

fn position<E: Diagnostic>(text: &str, error: &E) -> (u32, u32) {
    error
        .labels()
        .and_then(|mut labels| labels.next())
        .map_or((0, 0), |label| place(text, label.offset()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
        })
}

/// Whether the policy stops applying once the group has approved, by its own conditions, whoever
/// acts and whatever else is so.
fn lifted_by(policy: &Policy, group: &str) -> bool {
    let approved = serde_json::json!({
        "contains": {
            "left": { ".": { "left": { "Var": "context" }, "attr": "approvals" } },
            "right": { "Value": group },
        }
    });
    let Ok(json) = policy.to_json() else { return false };
    cases().filter(|case| can_apply(policy, case.kind, case.role)).all(|case| {
        let mut atoms = Atoms::default();
        let applies = atoms.policy(&json, case);
        let approved = atoms.condition(&approved, case);
        atoms.unsatisfiable(&Formula::all([applies, approved])) == Some(true)
    })
}
