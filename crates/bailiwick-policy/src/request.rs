//! From a subject, an action and its context to what Cedar is asked.
//!
//! This is where facts are computed (is the path in scope, what would the command do); everything
//! is typed by the schema, and the finished request is validated against it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use bailiwick_model::action::{Action, Purpose, ReadMode, ReviewVerdict, WriteMode};
use bailiwick_model::id::{BranchName, Person, RepoName};
use bailiwick_model::identity::SIMULATED_APPROVER;
use bailiwick_model::steering::{Steers, is_protected, steers};
use bailiwick_model::subject::{Context, Role, Subject, Taint};
use cedar_policy::{
    Context as CedarContext, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression,
};

use crate::command::{self, Effects};
use crate::form;
use crate::host;
use crate::path::Scopes;
use crate::schema::{principal_type, schema};
use crate::tier;

/// What Cedar is asked, with what explanations need.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    pub(crate) kind: &'static str,
    pub(crate) role: Role,
    /// The resource as a policy writes it.
    pub(crate) resource: String,
    pub(crate) resource_uid: EntityUid,
    /// What the resource lies in.
    pub(crate) parents: Vec<EntityUid>,
    /// A command's effects.
    pub(crate) effects: Option<Effects>,
}

type Pairs = Vec<(String, RestrictedExpression)>;

struct Resource {
    kind: &'static str,
    id: String,
    attributes: Pairs,
    parent: Option<EntityUid>,
}

/// Builds the question; the error says which fact could not be computed.
pub(crate) fn build(
    scopes: &Scopes,
    subject: &Subject,
    action: &Action,
    context: &Context,
) -> Result<Question, String> {
    let schema = schema()?;
    let mut effects = None;
    let (resource, facts) = match action {
        Action::Command(command) => {
            let found = command::analyse(command);
            let facts = command_facts(scopes, command, &found, context)?;
            effects = Some(found);
            (within("Workspace", context.repo.to_string(), vec![], &context.repo)?, facts)
        }
        other => operands(scopes, other, context)?,
    };

    let principal_id = match subject.role {
        Role::Human => subject.on_behalf_of.to_string(),
        role => {
            subject.session.as_ref().map_or_else(|| role.name().to_owned(), ToString::to_string)
        }
    };
    let principal = uid(principal_type(subject.role), &principal_id)?;
    let role = uid("Role", subject.role.name())?;
    let behalf = match subject.role {
        Role::Human => HashMap::new(),
        _ => HashMap::from([(
            "on_behalf_of".to_owned(),
            reference(uid("Human", subject.on_behalf_of.as_str())?),
        )]),
    };
    let resource_uid = uid(resource.kind, &resource.id)?;
    let text = resource_uid.to_string();
    let parents: Vec<EntityUid> = resource.parent.into_iter().collect();
    let mut present = vec![
        Entity::new(principal.clone(), behalf, HashSet::from([role]))
            .map_err(|error| error.to_string())?,
        Entity::new(
            resource_uid.clone(),
            resource.attributes.into_iter().collect(),
            parents.iter().cloned().collect(),
        )
        .map_err(|error| error.to_string())?,
    ];
    // What a policy may ask for attributes of has to be there, or asking is an error.
    let mut names = vec![context.repo.as_str()];
    names.extend(
        repository_of(action).filter(|other| *other != &context.repo).map(RepoName::as_str),
    );
    for name in names {
        let repository = uid("Repository", name)?;
        if repository != resource_uid {
            let attributes = HashMap::from([("name".to_owned(), string(name))]);
            present.push(
                Entity::new(repository, attributes, HashSet::new())
                    .map_err(|error| error.to_string())?,
            );
        }
    }
    let entities = Entities::from_entities(present, None).map_err(|error| error.to_string())?;

    let mut pairs = common(context)?;
    pairs.extend(facts);
    let cedar = CedarContext::from_pairs(pairs).map_err(|error| error.to_string())?;
    let request = Request::new(
        principal,
        uid("Action", action.kind())?,
        resource_uid.clone(),
        cedar,
        Some(schema),
    )
    .map_err(|error| error.to_string())?;
    Ok(Question {
        request,
        entities,
        kind: action.kind(),
        role: subject.role,
        resource: text,
        resource_uid,
        parents,
        effects,
    })
}

/// The repository that an action names itself, which need not be the task's.
fn repository_of(action: &Action) -> impl Iterator<Item = &RepoName> {
    let named = match action {
        Action::RepoRead(read) => Some(&read.repo),
        Action::TaskRaise(raise) => Some(&raise.repo),
        Action::BranchPush(push) => Some(&push.repo),
        Action::PullRequestOpen(open) => Some(&open.repo),
        Action::ReviewSubmit(review) => Some(&review.repo),
        Action::PullRequestMerge(merge) => Some(&merge.repo),
        _ => None,
    };
    named.into_iter()
}

fn common(context: &Context) -> Result<Pairs, String> {
    let taint = context
        .taint
        .iter()
        .map(|taint| uid("Taint", taint.name()).map(reference))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
        pair("repository", reference(uid("Repository", context.repo.as_str())?)),
        pair("taint", RestrictedExpression::new_set(taint)),
        pair("denials", long(u64::from(context.denials))),
        pair("budget_left", long(context.budget_left.0)),
        pair("single_user", flag(context.single_user)),
        pair("approvals", strings(&context.approvals)),
        pair("facts", facts(context)?),
    ])
}

/// How often a rule denies in a session before what it is about is closed.
const CLOSED_AFTER: u32 = 3;

fn facts(context: &Context) -> Result<RestrictedExpression, String> {
    let facts = &context.facts;
    let at = facts.at.unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
    let closed = facts.denied_by.iter().filter(|(_, times)| **times >= CLOSED_AFTER);
    let origins: Vec<String> = facts.origins.iter().map(|origin| origin.from.clone()).collect();
    let mut pairs = vec![
        pair("groups", strings(&facts.groups)),
        pair("read_untrusted", flag(!context.taint.is_empty())),
        pair("read_secret", flag(context.taint.contains(&Taint::Secret))),
        pair("origins", strings(&origins)),
        pair("hosts", strings(&facts.hosts)),
        pair("pushes_last_hour", long(u64::from(facts.pushes_last_hour))),
        pair("rules_that_denied", long(u64::try_from(facts.denied_by.len()).unwrap_or(u64::MAX))),
        pair("closed", strings(closed.map(|(rule, _)| rule))),
        pair("approvals_before", long(u64::from(facts.approvals_before))),
        pair("hour", RestrictedExpression::new_long(i64::from(at.hour()))),
        pair("classes", strings(&facts.classes)),
        pair("weekday", {
            let day = at.weekday().to_monday_one_offset();
            RestrictedExpression::new_long(i64::from(day))
        }),
    ];
    pairs.extend(facts.risk.map(|risk| pair("risk", long(u64::from(risk)))));
    RestrictedExpression::new_record(pairs).map_err(|error| error.to_string())
}

fn command_facts(
    scopes: &Scopes,
    command: &bailiwick_model::action::Command,
    effects: &Effects,
    context: &Context,
) -> Result<Pairs, String> {
    let scope = scopes.get(&context.scope)?;
    let purpose = match command.purpose {
        Purpose::Tool => "tool",
        Purpose::Gate => "gate",
        Purpose::Setup => "setup",
    };
    Ok(vec![
        pair("purpose", reference(uid("Purpose", purpose)?)),
        pair("network", flag(command.network)),
        pair("tier", string(tier::of_command(context).name())),
        pair("text", string(&command.display())),
        pair("undecidable", flag(!effects.undecidable.is_empty())),
        pair("programs", strings(&effects.programs)),
        pair("operations", strings(&effects.operations)),
        pair("scripts", strings(&effects.scripts)),
        pair("connects", strings(&effects.connects)),
        pair("hosts", strings(&command.hosts())),
        pair("writes", strings(&effects.writes)),
        pair("reads", strings(&effects.reads)),
        pair("deletes", strings(&effects.deletes)),
        pair("permissions", strings(&effects.permissions)),
        pair("secrets", strings(&effects.secrets)),
        pair(
            "write_places",
            strings(
                &effects.writes.iter().flat_map(|path| form::places(path)).collect::<BTreeSet<_>>(),
            ),
        ),
        pair(
            "writes_in_scope",
            flag(
                effects.lasting_writes().all(|path| !path.starts_with('/') && scope.is_match(path)),
            ),
        ),
        pair("writes_protected", flag(effects.writes_protected())),
        pair("inline_code", flag(effects.inline_code)),
        pair("privileged", flag(effects.privileged)),
        pair("installs_refused", strings(&context.facts.installs.refused)),
        pair("installs_doubtful", strings(&context.facts.installs.doubtful)),
    ])
}

fn operands(
    scopes: &Scopes,
    action: &Action,
    context: &Context,
) -> Result<(Resource, Pairs), String> {
    Ok(match action {
        // its facts are computed by the caller, which also keeps the effects
        Action::Command(_) => return Err("a command is not an action with operands".to_owned()),
        Action::ModelCall(call) => (
            alone(
                "Model",
                format!("{}/{}", call.provider, call.model),
                vec![pair("provider", string(&call.provider)), pair("name", string(&call.model))],
            ),
            vec![
                pair("role", reference(uid("Role", call.role.name())?)),
                pair("estimate", long(call.estimate.0)),
                pair("round", long(u64::from(call.round))),
                pair("step", long(u64::from(call.step))),
            ],
        ),
        Action::ToolCall(call) => {
            (alone("Tool", call.tool.clone(), vec![pair("name", string(&call.tool))]), vec![])
        }
        Action::FileRead(read) => {
            let how = match read.mode {
                ReadMode::Lines { .. } => "lines",
                ReadMode::List { .. } => "list",
                ReadMode::Search { .. } => "search",
            };
            let (file, facts) = file(scopes, read.path.as_str(), context)?;
            (file, [facts, vec![pair("reading", reference(uid("Reading", how)?))]].concat())
        }
        Action::FileWrite(write) => {
            let bytes = match &write.mode {
                WriteMode::Whole { content } => content.len(),
                WriteMode::Edit { new, .. } => new.len(),
            };
            let (file, facts) = file(scopes, write.path.as_str(), context)?;
            let steers: Vec<String> = steers(write.path.as_str())
                .into_iter()
                .map(|steers| Steers::name(steers).to_owned())
                .collect();
            (
                file,
                [facts, vec![pair("bytes", long(bytes)), pair("steers", strings(&steers))]]
                    .concat(),
            )
        }
        Action::SecretUse(secret) => (
            alone("Secret", secret.name.clone(), vec![pair("name", string(&secret.name))]),
            vec![pair("purpose", string(&secret.purpose))],
        ),
        Action::HostRequest(request) => (
            alone("Host", host::name(request)?, vec![pair("name", string(&request.host))]),
            vec![
                pair("scheme", string(host::scheme(request)?)),
                pair("port", long(u64::from(request.port))),
                pair("method", string(host::method(request)?)),
                pair("path", string(host::path(request)?)),
            ],
        ),
        Action::RepoRead(read) => (
            alone(
                "Repository",
                read.repo.to_string(),
                vec![pair("name", string(read.repo.as_str()))],
            ),
            vec![
                pair("imports", flag(read.object.is_none() || read.source.is_some())),
                pair("source", string(read.source.as_deref().unwrap_or_default())),
                pair("branch", string(read.branch.as_str())),
            ],
        ),
        Action::BranchPush(push) => (
            branch(&push.repo, &push.branch)?,
            vec![
                // whoever fills in the flag may be mistaken about the branch everybody protects
                pair("protected", flag(push.protected || push.branch == context.protected_branch)),
                pair("creates", flag(push.expected.is_none())),
                pair("deletes", flag(push.commit.is_none())),
            ],
        ),
        Action::PullRequestOpen(open) => (
            branch(&open.repo, &open.head)?,
            vec![pair("base", string(open.base.as_str())), pair("author", human(&open.author)?)],
        ),
        Action::ReviewSubmit(review) => {
            let verdict = match review.verdict {
                ReviewVerdict::Approve => "approve",
                ReviewVerdict::RequestChanges => "request_changes",
                ReviewVerdict::Reject => "reject",
            };
            (
                within(
                    "PullRequest",
                    format!("{}#{}", review.repo, review.number),
                    vec![],
                    &review.repo,
                )?,
                vec![
                    pair("verdict", reference(uid("Review", verdict)?)),
                    pair("reviewer", human(&review.reviewer)?),
                    pair("own_request", flag(review.own_request)),
                    pair("simulated", flag(review.simulated)),
                ],
            )
        }
        Action::PullRequestMerge(merge) => (
            within("PullRequest", format!("{}#{}", merge.repo, merge.number), vec![], &merge.repo)?,
            vec![
                pair("base", string(merge.base.as_str())),
                pair("gates_passed", flag(merge.gates_passed)),
                pair("verified", flag(merge.verified)),
                pair(
                    "approved_by",
                    RestrictedExpression::new_set(
                        merge.approved_by.iter().map(human).collect::<Result<Vec<_>, _>>()?,
                    ),
                ),
                pair("independent_approval", flag(merge.independent_approval)),
                pair("approvers", long(people(&merge.approved_by))),
                pair("reviewers", long(real_people(&merge.approved_by))),
                pair("required_reviewers", long(u64::from(merge.required_reviewers))),
                pair("owners_missing", strings(&merge.owners_missing)),
                pair("changed_files", measured(merge.size.map(|size| size.files))),
                pair("changed_lines", measured(merge.size.map(|size| size.lines))),
                pair("changed_areas", measured(merge.size.map(|size| size.areas))),
                pair("changes_tests", flag(merge.size.is_some_and(|size| size.tests))),
            ],
        ),
        Action::TaskRaise(raise) => (
            alone(
                "Repository",
                raise.repo.to_string(),
                vec![pair("name", string(raise.repo.as_str()))],
            ),
            vec![
                pair("raises_budget", flag(raise.budget.is_some())),
                pair("budget", long(raise.budget.map_or(0, |budget| budget.to.0))),
                pair("more", long(raise.budget.map_or(0, |budget| budget.to.minus(budget.from).0))),
                pair("changes_tier", flag(raise.tier.is_some())),
                pair("tier", string(raise.tier.as_ref().map_or("", |tier| tier.to.as_str()))),
            ],
        ),
        Action::AgentStart(start) => (
            alone("AgentKind", start.agent.clone(), vec![pair("name", string(&start.agent))]),
            vec![
                pair("role", reference(uid("Role", start.role.name())?)),
                pair("provider", string(&start.provider)),
                pair("model", string(&start.model)),
                pair("tier", string(&start.tier)),
            ],
        ),
    })
}

fn file(scopes: &Scopes, path: &str, context: &Context) -> Result<(Resource, Pairs), String> {
    let scope = scopes.get(&context.scope)?;
    Ok((
        within("File", path.to_owned(), vec![pair("path", string(path))], &context.repo)?,
        vec![
            pair("scope_ok", flag(scope.is_match(path))),
            pair("protected_path", flag(is_protected(path))),
        ],
    ))
}

fn branch(repo: &RepoName, branch: &BranchName) -> Result<Resource, String> {
    within("Branch", format!("{repo}/{branch}"), vec![pair("name", string(branch.as_str()))], repo)
}

fn alone(kind: &'static str, id: String, attributes: Pairs) -> Resource {
    Resource { kind, id, attributes, parent: None }
}

fn within(
    kind: &'static str,
    id: String,
    attributes: Pairs,
    repo: &RepoName,
) -> Result<Resource, String> {
    Ok(Resource { kind, id, attributes, parent: Some(uid("Repository", repo.as_str())?) })
}

/// The entity types that every decision names, read once: reading a name is parsing Cedar.
static TYPES: LazyLock<HashMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    [
        "Action",
        "Agent",
        "AgentKind",
        "Branch",
        "File",
        "Host",
        "Human",
        "Model",
        "PullRequest",
        "Purpose",
        "Reading",
        "Repository",
        "Review",
        "Role",
        "Secret",
        "Service",
        "Taint",
        "Tool",
        "Workspace",
    ]
    .into_iter()
    .filter_map(|name| Some((name, name.parse().ok()?)))
    .collect()
});

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = match TYPES.get(kind) {
        Some(known) => known.clone(),
        None => kind.parse().map_err(|error: cedar_policy::ParseErrors| error.to_string())?,
    };
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn human(person: &Person) -> Result<RestrictedExpression, String> {
    uid("Human", person.as_str()).map(reference)
}

fn pair(name: &str, value: RestrictedExpression) -> (String, RestrictedExpression) {
    (name.to_owned(), value)
}

fn reference(uid: EntityUid) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid)
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.into_iter().map(|text| string(text)))
}

fn flag(value: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(value)
}

fn people(named: &[Person]) -> u64 {
    named.iter().map(Person::as_str).collect::<BTreeSet<_>>().len() as u64
}

fn real_people(named: &[Person]) -> u64 {
    let real = named.iter().map(Person::as_str).filter(|name| *name != SIMULATED_APPROVER);
    real.collect::<BTreeSet<_>>().len() as u64
}

/// What was not measured is larger than any limit.
fn measured(value: Option<u32>) -> RestrictedExpression {
    value.map_or_else(|| RestrictedExpression::new_long(i64::MAX), |value| long(u64::from(value)))
}

/// Cedar's numbers have a sign: what is too large becomes the largest.
fn long(value: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(value).unwrap_or(i64::MAX))
}
