//! The solver: claims about policies, proved or refuted for every request there can be.
//!
//! `cedar-policy-symcc` says in SMT-LIB what a claim comes to, cvc5 decides it in a process of its
//! own (`solver/process.rs`). Whatever goes wrong there (it is missing, hangs, dies, talks
//! nonsense, does not know) leaves the claim open, and the prover that is always there has the
//! say: nothing is ever proved by a solver that failed. A claim counts as broken only when Cedar
//! itself decides the solver's example that way.

mod process;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailiwick_model::payload::Digest;
use bailiwick_policy::{
    Layer, LayerSource, PolicySet, Proof, Proved, RuleEffect, SCHEMA_TEXT, certain, rights,
};
use cedar_policy::{Authorizer, Decision, Policy, PolicySet as CedarSet, RequestEnv, Schema};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use futures_util::FutureExt as _;

use crate::config::PolicyConfig;
use process::Process;

/// How long one question may take, and how long starting, where nothing else is configured.
const QUESTION: Duration = Duration::from_secs(30);
/// How long a solver may take for everything it is asked in its life.
const LIFE: Duration = Duration::from_secs(600);
/// How much of an example is shown, in characters.
const SHOWN: usize = 1_500;

/// Where the solver is to be found, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is switched off.
    Off,
    /// A program was named.
    Named(PathBuf),
    /// Nothing was said, and there is one where programs usually are.
    Usual(PathBuf),
    /// Nothing was said, and there is none.
    Nowhere,
}

impl Place {
    pub(crate) fn of(config: &PolicyConfig) -> Self {
        match config.solver.as_deref() {
            Some("off") => Self::Off,
            Some(path) => Self::Named(PathBuf::from(path)),
            None => process::usual().map_or(Self::Nowhere, Self::Usual),
        }
    }

    fn program(&self) -> Option<&Path> {
        match self {
            Self::Off | Self::Nowhere => None,
            Self::Named(path) | Self::Usual(path) => Some(path),
        }
    }
}

/// How to get one, for people.
pub(crate) const HOW_TO_GET: &str = "python3 -m venv /opt/cvc5 && /opt/cvc5/bin/pip install cvc5==1.3.1, then `[policy] solver = \"/opt/cvc5/bin/python3\"`; or name the program of a cvc5 release";

/// What is made of gates: a request that they hold up is not permitted, but would be once people
/// have agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Gates {
    Forbid,
    LeftOut,
}

/// One question about one kind of request.
enum Question {
    /// Do these two sets permit nothing in common?
    Disjoint(Box<CompiledPolicySet>, Arc<CompiledPolicySet>),
    /// Does the second permit all that the first permits?
    Implies(Box<CompiledPolicySet>, Arc<CompiledPolicySet>),
    /// Does this policy never fail?
    NeverFails(Box<CompiledPolicy>),
}

/// What a solver says.
enum Answer {
    Yes,
    /// No, with the example that it gives, if that could be read.
    No(Option<Box<Env>>),
}

/// Proves claims with a solver, as long as there is one that works.
pub(crate) struct Prover {
    compiler: Option<CedarSymCompiler<Process>>,
    /// What answers, such as `cvc5 1.3.1`.
    name: String,
    /// Why there is no solver, or none any more.
    pub(crate) trouble: Option<String>,
    schema: Option<Schema>,
    /// The organisation's policies for one kind of request, by whether gates count.
    compiled: HashMap<(String, Gates), Arc<CompiledPolicySet>>,
    /// The set that they are of.
    about: Option<Digest>,
    deadline: Duration,
    started: Instant,
}

impl Prover {
    /// Starts the solver that is configured, or the one that is there.
    pub(crate) async fn start(config: &PolicyConfig) -> Self {
        let place = Place::of(config);
        let mut prover = Self {
            compiler: None,
            name: String::new(),
            trouble: None,
            schema: None,
            compiled: HashMap::new(),
            about: None,
            deadline: config
                .solver_seconds
                .map_or(QUESTION, |seconds| Duration::from_secs(seconds.into())),
            started: Instant::now(),
        };
        let Some(program) = place.program() else {
            prover.trouble = (place == Place::Nowhere).then(|| "no solver is installed".to_owned());
            return prover;
        };
        let shown = program.display();
        let started = tokio::time::timeout(prover.deadline, Process::start(program)).await;
        match started {
            Ok(Ok((process, name))) => match CedarSymCompiler::new(process) {
                Ok(compiler) => {
                    prover.compiler = Some(compiler);
                    prover.name = name;
                }
                Err(error) => prover.trouble = Some(format!("`{shown}`: {error}")),
            },
            Ok(Err(error)) => prover.trouble = Some(format!("`{shown}`: {}", chain(&error))),
            Err(_) => prover.trouble = Some(format!("`{shown}` does not answer")),
        }
        prover.schema = Schema::from_cedarschema_str(SCHEMA_TEXT).ok().map(|(schema, _)| schema);
        prover
    }

    /// What answers now; `None` when only the prover that is always there does.
    pub(crate) fn name(&self) -> Option<&str> {
        self.compiler.is_some().then_some(self.name.as_str())
    }

    /// Whether the set permits none of the requests that `never`, a Cedar `permit`, names. `None`
    /// when the solver has nothing to say.
    pub(crate) async fn never(&mut self, set: &PolicySet, never: &str) -> Option<Proof> {
        let bad: Policy = never.parse().ok()?;
        let schema = self.schema.clone()?;
        for env in bad.get_valid_request_envs(&schema).collect::<Vec<_>>() {
            let bad = certain(&bad, &env.principal().to_string()).ok()?;
            let bad = CedarSet::from_policies([bad]).ok()?;
            let all = self.organisation(set, &env, Gates::Forbid)?;
            let question = Question::Disjoint(Box::new(compiled(&bad, &env, &schema)?), all);
            let Answer::No(example) = self.ask(question).await? else { continue };
            let broken = example.and_then(|example| confirmed(set, &bad, &example));
            return Some(match broken {
                Some(example) => Proof::Refuted { example },
                None => Proof::NotProved {
                    why: format!(
                        "for `{}` by {}, the solver says that it does not hold, and its example could not be confirmed",
                        env.action().id().unescaped(),
                        env.principal()
                    ),
                },
            });
        }
        Some(Proof::Proved)
    }

    /// Takes note of a lower layer whose rights are proved to lie within the organisation's.
    pub(crate) async fn narrows(
        &mut self,
        set: &PolicySet,
        layer: &LayerSource,
        proved: &mut Proved,
    ) {
        if self.within(set, layer).await == Some(true) {
            proved.add(layer.digest(&set.organisation().digest()));
        }
    }

    async fn within(&mut self, set: &PolicySet, layer: &LayerSource) -> Option<bool> {
        let schema = self.schema.clone()?;
        for right in rights(layer).ok()? {
            for env in right.get_valid_request_envs(&schema).collect::<Vec<_>>() {
                let lower = certain(&right, &env.principal().to_string()).ok()?;
                let lower = CedarSet::from_policies([lower]).ok()?;
                // what the organisation would ask people for, a lower layer may list as well
                let upper = self.organisation(set, &env, Gates::LeftOut)?;
                let question = Question::Implies(Box::new(compiled(&lower, &env, &schema)?), upper);
                if !matches!(self.ask(question).await?, Answer::Yes) {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    /// The rules that the solver does not prove never to fail; `None` when it has nothing to say.
    pub(crate) async fn may_fail(&mut self, set: &PolicySet) -> Option<Vec<String>> {
        let schema = self.schema.clone()?;
        let mut found = Vec::new();
        let rules: Vec<(String, Policy)> =
            set.policies().map(|(rule, policy)| (rule.id.clone(), policy.clone())).collect();
        for (id, policy) in rules {
            for env in policy.get_valid_request_envs(&schema).collect::<Vec<_>>() {
                let compiled = unwinding(|| CompiledPolicy::compile(&policy, &env, &schema).ok())?;
                if !matches!(self.ask(Question::NeverFails(Box::new(compiled))).await?, Answer::Yes)
                {
                    found.push(id);
                    break;
                }
            }
        }
        Some(found)
    }

    /// The organisation's policies, compiled for one kind of request.
    fn organisation(
        &mut self,
        set: &PolicySet,
        env: &RequestEnv,
        gates: Gates,
    ) -> Option<Arc<CompiledPolicySet>> {
        if self.about != Some(set.digest()) {
            self.compiled.clear();
            self.about = Some(set.digest());
        }
        let key = (format!("{} {}", env.principal(), env.action()), gates);
        if let Some(known) = self.compiled.get(&key) {
            return Some(Arc::clone(known));
        }
        let top = set.policies().filter(|(rule, _)| {
            rule.layer == Layer::Organisation
                && !rule.names_worktree()
                && !(gates == Gates::LeftOut && matches!(rule.effect, RuleEffect::Gate { .. }))
        });
        let top = CedarSet::from_policies(top.map(|(_, policy)| policy.clone())).ok()?;
        let made = Arc::new(compiled(&top, env, self.schema.as_ref()?)?);
        self.compiled.insert(key, Arc::clone(&made));
        Some(made)
    }

    /// Puts a question, with a deadline. A solver that failed is not asked again; one that does
    /// not know is.
    async fn ask(&mut self, question: Question) -> Option<Answer> {
        // taken out: one that is cut off is dropped, and its process ends with it
        let mut compiler = self.compiler.take()?;
        if self.started.elapsed() > LIFE {
            self.trouble = Some(format!("{} took longer than {LIFE:?} for it all", self.name));
            return None;
        }
        let asked = AssertUnwindSafe(Box::pin(put(&mut compiler, &question))).catch_unwind();
        match tokio::time::timeout(self.deadline, asked).await {
            Ok(Ok(Ok(answer))) => {
                self.compiler = Some(compiler);
                return Some(answer);
            }
            Ok(Ok(Err(Error::SolverUnknown))) => {
                self.compiler = Some(compiler);
                return None;
            }
            Ok(Ok(Err(error))) => {
                self.trouble = Some(format!("{} failed: {}", self.name, chain(&error)));
            }
            Ok(Err(_)) => {
                self.trouble = Some(format!("a question could not be put to {}", self.name));
            }
            Err(_) => {
                let seconds = self.deadline.as_secs();
                self.trouble =
                    Some(format!("{} did not answer within {seconds} seconds", self.name));
            }
        }
        None
    }
}

async fn put(
    compiler: &mut CedarSymCompiler<Process>,
    question: &Question,
) -> Result<Answer, Error> {
    let yes = match question {
        Question::Disjoint(one, other) => compiler.check_disjoint_opt(one, other).await?,
        Question::Implies(one, other) => compiler.check_implies_opt(one, other).await?,
        Question::NeverFails(policy) => compiler.check_never_errors_opt(policy).await?,
    };
    if yes {
        return Ok(Answer::Yes);
    }
    let Question::Disjoint(one, other) = question else { return Ok(Answer::No(None)) };
    match compiler.check_disjoint_with_counterexample_opt(one, other).await {
        Ok(example) => Ok(Answer::No(example.map(Box::new))),
        // it is not true; only what the example is can't be said
        Err(Error::DecodeModel(_) | Error::ConcretizeError(_) | Error::ModelInvalid { .. }) => {
            Ok(Answer::No(None))
        }
        Err(error) => Err(error),
    }
}

fn compiled(set: &CedarSet, env: &RequestEnv, schema: &Schema) -> Option<CompiledPolicySet> {
    unwinding(|| CompiledPolicySet::compile(set, env, schema).ok())
}

/// A panic of the compiler leaves a claim open, as every other fault does.
fn unwinding<T>(make: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(make)).ok().flatten()
}

/// The example in words, if Cedar itself decides it the way that breaks the claim.
fn confirmed(set: &PolicySet, bad: &CedarSet, example: &Env) -> Option<String> {
    let top = set
        .policies()
        .filter(|(rule, _)| rule.layer == Layer::Organisation && !rule.names_worktree());
    let top = CedarSet::from_policies(top.map(|(_, policy)| policy.clone())).ok()?;
    let authorizer = Authorizer::new();
    let among = authorizer.is_authorized(&example.request, bad, &example.entities);
    let permitted = authorizer.is_authorized(&example.request, &top, &example.entities);
    if among.decision() != Decision::Allow || permitted.decision() != Decision::Allow {
        return None;
    }
    let rules: Vec<String> = permitted.diagnostics().reason().map(|id| format!("`{id}`")).collect();
    let request = &example.request;
    let word =
        |uid: Option<&cedar_policy::EntityUid>| uid.map(ToString::to_string).unwrap_or_default();
    let context = request
        .context()
        .and_then(|context| context.to_json_value().ok())
        .map(|json| json.to_string())
        .unwrap_or_default();
    let mut text = format!(
        "permitted by {}: {} {} {} in the circumstances {context}",
        rules.join(", "),
        word(request.principal()),
        word(request.action()),
        word(request.resource()),
    );
    if text.chars().count() > SHOWN {
        text = text.chars().take(SHOWN).chain(['…']).collect();
    }
    Some(text)
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
