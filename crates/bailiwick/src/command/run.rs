//! `bailiwick run`: one task to a pull request, and with approval to the merge.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bailiwick_engine::{Answer, Engine, EngineError, Standing};
use bailiwick_gateway::{KeyRef, ProviderConfig, ProviderKind};
use bailiwick_ledger::Trust;
use bailiwick_model::action::{MergeMethod, ReviewVerdict};
use bailiwick_model::event::{Stage, TaskEnd};
use bailiwick_model::evidence::GateState;
use bailiwick_model::id::{Person, RepoName, TaskId};
use bailiwick_model::identity::Operation;
use bailiwick_model::plan::Check;
use bailiwick_model::task::{ApproverMode, MicroUsd, PolicyText, Source};
use bailiwick_model::workflow::{Refusal, SubtaskState, TaskState};
use serde::{Deserialize, Serialize};

use crate::arguments::{Common, ModelChoice, Protocol, RunArguments, TaskInput};
use crate::command::{Done, Session, Told, configuration};
use crate::config::Config;
use crate::operations::{self, CreateTaskParams, CreateTaskResponse, ImportParams, TaskDefaults};
use crate::platform::Platform;
use crate::progress::Progress;
use crate::{render, terminal};

/// A specification file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Specification {
    task: String,
    #[serde(default, rename = "check")]
    checks: Vec<Check>,
}

/// What `run` and `demo` print with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) task: TaskId,
    pub(crate) standing: String,
    pub(crate) repository: RepoName,
    /// `scripted`, or the model's name.
    pub(crate) model: String,
    pub(crate) single_user: bool,
    pub(crate) simulated_approver: bool,
    pub(crate) stages: Vec<StageLine>,
    /// The first pull request of the plan.
    pub(crate) pull_request: Option<PullLine>,
    pub(crate) pull_requests: Vec<PullLine>,
    pub(crate) gates: Vec<GateLine>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) questions: Vec<QuestionLine>,
    pub(crate) cost_micro_usd: MicroUsd,
    pub(crate) tokens: u64,
    pub(crate) ledger: LedgerLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorLine>,
}

#[derive(Debug, Serialize)]
pub(crate) struct StageLine {
    stage: &'static str,
    state: bailiwick_model::workflow::StageState,
    ms: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PullLine {
    subtask: String,
    number: u64,
    state: &'static str,
    /// The commit on the base branch once merged, the branch's head until then.
    commit: String,
    risk: Option<u32>,
    repair_rounds: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct GateLine {
    subtask: String,
    gate: String,
    state: GateState,
    summary: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct QuestionLine {
    subtask: String,
    code: String,
    reason: String,
    hint: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct LedgerLine {
    pub(crate) entries: u64,
    pub(crate) root: String,
    pub(crate) verified: bool,
    pub(crate) dir: PathBuf,
    pub(crate) key: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ErrorLine {
    code: String,
    message: String,
    hint: String,
}

impl From<Told> for ErrorLine {
    fn from(told: Told) -> Self {
        Self { code: told.code, message: told.message, hint: told.hint }
    }
}

/// How a run deals with approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Approval {
    /// A simulated approver answers.
    Simulated,
    /// The person at the terminal is asked.
    Ask,
    /// Nobody is asked; the run stops at the open pull request.
    Stop,
}

pub(crate) async fn run(common: &Common, arguments: &RunArguments) -> Result<Done> {
    let mut config = configuration(common)?;
    choose_model(&mut config, &arguments.model);
    config.platform.single_user |= arguments.single_user;
    let (text, checks) = read_task(&arguments.input)?;
    let budget = arguments.budget.as_deref().map(parse_budget).transpose()?;
    let narrow = arguments.narrow.iter().map(|path| narrowing(path)).collect::<Result<Vec<_>>>()?;
    let route = config
        .route(arguments.model.provider.as_deref(), arguments.model.model.as_deref())
        .map_err(Told::from)?;
    let session = Session::open_with(common, &config).await?;
    let params = |repo: RepoName| CreateTaskParams {
        text: text.clone(),
        repo,
        branch: arguments.branch.clone(),
        checks: checks.clone(),
        untrusted: arguments.input.untrusted,
        provider: arguments.model.provider.clone(),
        model: arguments.model.model.clone(),
        agent: arguments.agent.clone(),
        budget_micro_usd: budget,
        narrow: narrow.clone(),
    };
    let path = Path::new(&arguments.repo);
    match session {
        Session::Remote(remote) => {
            let repo: RepoName = if path.is_dir() {
                let path = std::fs::canonicalize(path).context("cannot open the repository")?;
                let import = ImportParams { path, name: None, branch: arguments.branch.clone() };
                remote.post::<operations::RepositoryLine>("/repositories", &import).await?.name
            } else {
                arguments.repo.parse().map_err(EngineError::from).map_err(Told::from)?
            };
            let created: CreateTaskResponse = remote.post("/tasks", &params(repo)).await?;
            terminal::say(&format!(
                "task {} is with the server; estimated cost {} ({})",
                created.id, created.estimate.likely, created.estimate.basis
            ));
            if common.json {
                terminal::out_json(&created);
            }
            Ok(Done::Yes)
        }
        Session::Local { platform, caller } => {
            let person = &caller.person;
            // Whoever may not review is not asked to.
            let reviews = caller.check(Operation::ChangeReview).is_ok();
            let stops = arguments.no_wait || !terminal::can_ask() || !reviews;
            let approval = match (arguments.yes, stops) {
                (true, _) => Approval::Simulated,
                (false, true) => Approval::Stop,
                (false, false) => Approval::Ask,
            };
            let repo = the_repo(&platform.engine, person, arguments, path).await?;
            platform.refresh_policy().await?;
            let defaults = TaskDefaults {
                single_user: config.platform.single_user,
                approver: if arguments.yes { ApproverMode::Simulated } else { ApproverMode::Human },
                source: Source::Cli,
                budget: config.task.budget_micro_usd,
                scripted: crate::platform::is_scripted(&route.0),
                provider: route.0.name.clone(),
                model: route.1,
                agent: config.task.agent.clone(),
            };
            let outcome =
                submit_and_follow(common, &platform, person, params(repo), defaults, approval)
                    .await?;
            finish(common, &outcome)
        }
    }
}

/// A file of rules that comes with a task.
fn narrowing(path: &Path) -> Result<PolicyText> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(PolicyText { name, text })
}

async fn the_repo(
    engine: &Engine,
    person: &Person,
    arguments: &RunArguments,
    path: &Path,
) -> Result<RepoName> {
    if path.is_dir() {
        let import =
            ImportParams { path: path.to_owned(), name: None, branch: arguments.branch.clone() };
        return Ok(operations::import(engine, person, import).await.map_err(Told::from)?.name);
    }
    let known = operations::repositories(engine).await.map_err(Told::from)?;
    if let Some(line) = known.into_iter().find(|line| line.name.as_str() == arguments.repo) {
        return Ok(line.name);
    }
    Err(Told {
        code: "repository.unknown".to_owned(),
        message: format!(
            "`{}` is neither a directory nor a repository on this forge",
            arguments.repo
        ),
        hint: "give the path of a git repository, or a name from `bailiwick repo list`".to_owned(),
    }
    .into())
}

/// Submits a task and follows it to its end, or to the point where a person is needed.
pub(crate) async fn submit_and_follow(
    common: &Common,
    platform: &Platform,
    person: &Person,
    params: CreateTaskParams,
    defaults: TaskDefaults,
    approval: Approval,
) -> Result<Outcome> {
    let engine = &platform.engine;
    let scripted = defaults.scripted;
    let created =
        operations::create_task(engine, person, params, defaults).await.map_err(Told::from)?;
    let progress = Progress::start(engine, created.id, &created.estimate, scripted, common.json);
    let followed = follow(engine, person, created.id, approval, &progress).await;
    progress.stop().await;
    let error = match followed {
        Ok(()) => None,
        Err(error) => {
            Some(ErrorLine { code: error.code(), message: error.to_string(), hint: error.hint() })
        }
    };
    outcome(platform, created.id, error).await
}

async fn follow(
    engine: &Engine,
    person: &Person,
    id: TaskId,
    approval: Approval,
    progress: &Progress,
) -> Result<(), EngineError> {
    loop {
        match engine.drive(id).await? {
            Standing::Over(_) => return Ok(()),
            Standing::DrivenElsewhere => return Ok(()),
            Standing::WaitsForPerson => {
                if approval != Approval::Ask || !ask(engine, person, id, progress).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Asks about every pull request that waits. Says whether anything was answered.
async fn ask(
    engine: &Engine,
    person: &Person,
    id: TaskId,
    progress: &Progress,
) -> Result<bool, EngineError> {
    let state = engine.state(id).await?;
    let mut answered = false;
    for subtask in waiting(&state) {
        let Some(change) = &subtask.change else { continue };
        progress.pause().await;
        let view = engine.change_view(&state.task.repo, change.number).await?;
        terminal::say(&render::change(&view));
        let answer = terminal::ask(&format!(
            "Approve and merge pull request #{}? [y]es, [c]hanges, [r]eject, [l]ater: ",
            change.number
        ));
        progress.resume();
        let (verdict, body) = match answer.as_deref() {
            Some("y" | "yes") => (ReviewVerdict::Approve, String::new()),
            Some("r" | "reject") => (ReviewVerdict::Reject, String::new()),
            Some("c" | "changes") => {
                match terminal::ask("What is to be changed? ").filter(|text| !text.is_empty()) {
                    Some(text) => (ReviewVerdict::RequestChanges, text),
                    None => continue,
                }
            }
            _ => continue,
        };
        answered = true;
        engine
            .review(Answer {
                repo: state.task.repo.clone(),
                number: change.number,
                reviewer: person.clone(),
                head: change.head.clone(),
                verdict,
                body,
                simulated: false,
            })
            .await?;
        if verdict == ReviewVerdict::Approve {
            engine
                .request_merge(&state.task.repo, change.number, person, MergeMethod::Merge)
                .await?;
        }
    }
    Ok(answered)
}

fn waiting(state: &TaskState) -> Vec<&SubtaskState> {
    use bailiwick_model::workflow::Next;
    state
        .subtasks
        .iter()
        .filter(|(key, _)| matches!(state.next(key), Some(Next::WaitForReview)))
        .map(|(_, subtask)| subtask)
        .collect()
}

/// Everything there is to say of a task that was followed.
pub(crate) async fn outcome(
    platform: &Platform,
    id: TaskId,
    error: Option<ErrorLine>,
) -> Result<Outcome> {
    let state = platform.engine.state(id).await.map_err(Told::from)?;
    let store = &platform.engine.parts().store;
    // A ledger that can't be published is reported by the verification below.
    let published = store.checkpoint().await;
    let dir = platform.dir.ledger();
    let key = platform.ledger_key.clone();
    let trust = Trust { key: Some(key.clone()), ..Trust::default() };
    let checked = dir.clone();
    let report = tokio::task::spawn_blocking(move || bailiwick_ledger::verify(&checked, &trust))
        .await
        .context("the verification did not end")?;
    let pulls: Vec<PullLine> = ordered(&state).into_iter().filter_map(pull_line).collect();
    Ok(Outcome {
        task: id,
        standing: operations::standing(&state),
        repository: state.task.repo.clone(),
        model: state.task.model.clone(),
        single_user: state.task.single_user,
        simulated_approver: state.task.approver == ApproverMode::Simulated,
        stages: Stage::ALL
            .iter()
            .filter_map(|stage| {
                let progress = state.stages.get(stage)?;
                Some(StageLine { stage: stage.name(), state: progress.state, ms: progress.ms })
            })
            .collect(),
        pull_request: ordered(&state).into_iter().find_map(pull_line),
        pull_requests: pulls,
        gates: ordered(&state).into_iter().flat_map(gate_lines).collect(),
        refused: state.refusals.clone(),
        questions: ordered(&state).into_iter().filter_map(question_line).collect(),
        cost_micro_usd: state.cost,
        tokens: state.usage.total_tokens(),
        ledger: LedgerLine {
            entries: store.head().size,
            root: store.head().root.to_string(),
            verified: published.is_ok() && report.ok(),
            dir,
            key: key.to_string(),
        },
        error: error.or_else(|| ending_error(&state)),
    })
}

fn ordered(state: &TaskState) -> Vec<&SubtaskState> {
    let order = state.plan.as_ref().and_then(|plan| plan.order().ok()).unwrap_or_default();
    order.iter().filter_map(|key| state.subtasks.get(key)).collect()
}

fn pull_line(subtask: &SubtaskState) -> Option<PullLine> {
    let change = subtask.change.as_ref()?;
    let (state, commit) = match (&subtask.merged, subtask.rejected) {
        (Some(commit), _) => ("merged", commit),
        (None, true) => ("closed", &change.head),
        (None, false) => ("open", &change.head),
    };
    Some(PullLine {
        subtask: subtask.subtask.key.to_string(),
        number: change.number,
        state,
        commit: commit.to_string(),
        risk: subtask.risk.as_ref().map(|risk| risk.score),
        repair_rounds: subtask.repairs_total,
    })
}

fn gate_lines(subtask: &SubtaskState) -> Vec<GateLine> {
    subtask
        .gates
        .iter()
        .map(|report| GateLine {
            subtask: subtask.subtask.key.to_string(),
            gate: report.gate.clone(),
            state: report.state,
            summary: report.summary.clone(),
        })
        .collect()
}

fn question_line(subtask: &SubtaskState) -> Option<QuestionLine> {
    let question = subtask.question.as_ref()?;
    Some(QuestionLine {
        subtask: subtask.subtask.key.to_string(),
        code: question.code.clone(),
        reason: question.reason.clone(),
        hint: question.hint.clone(),
    })
}

fn ending_error(state: &TaskState) -> Option<ErrorLine> {
    let ending = state.ending.as_ref().filter(|ending| ending.end == TaskEnd::Failed)?;
    Some(ErrorLine {
        code: ending.code.clone().unwrap_or_default(),
        message: ending.reason.clone(),
        hint: ending.hint.clone().unwrap_or_default(),
    })
}

/// Prints what came of a run and says how it ended.
pub(crate) fn finish(common: &Common, outcome: &Outcome) -> Result<Done> {
    if common.json {
        terminal::out_json(outcome);
    } else {
        terminal::out(&render::outcome(outcome));
    }
    Ok(if outcome.error.is_some() || !outcome.ledger.verified {
        Done::No
    } else if outcome.standing == "merged" {
        Done::Yes
    } else {
        Done::NeedsPerson
    })
}

impl Outcome {
    pub(crate) fn error_text(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(format!("error: {} [{}]\n hint: {}", error.message, error.code, error.hint))
    }

    pub(crate) fn open_pull(&self) -> Option<u64> {
        self.pull_requests.iter().find(|pull| pull.state == "open").map(|pull| pull.number)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for pull in &self.pull_requests {
            let risk =
                pull.risk.map_or_else(|| "not scored".to_owned(), |risk| format!("{risk} of 100"));
            lines.push(format!(
                "pull request #{} ({}): {} at {}, risk {risk}, {} repair rounds",
                pull.number, pull.subtask, pull.state, pull.commit, pull.repair_rounds
            ));
        }
        for gate in &self.gates {
            lines.push(format!(
                "gate {} ({}): {:?}: {}",
                gate.gate, gate.subtask, gate.state, gate.summary
            ));
        }
        for refused in &self.refused {
            lines.push(format!(
                "refused (entry {}): {} {}: {} by {}; {}",
                refused.entry,
                refused.kind,
                refused.summary,
                refused.code,
                if refused.rules.is_empty() {
                    "no rule that permits it".to_owned()
                } else {
                    refused.rules.join(", ")
                },
                refused.hint
            ));
        }
        for question in &self.questions {
            lines.push(format!(
                "{}: {} [{}]\n hint: {}",
                question.subtask, question.reason, question.code, question.hint
            ));
        }
        lines
    }
}

/// Adds what the command line says of the model to the configuration.
fn choose_model(config: &mut Config, choice: &ModelChoice) {
    let provider = match (&choice.script, &choice.model_url, choice.protocol) {
        (Some(script), _, _) => {
            let mut provider = ProviderConfig::new("script", ProviderKind::Scripted);
            provider.script = Some(script.clone());
            provider
        }
        (None, Some(url), Some(protocol)) => {
            let kind = match protocol {
                Protocol::Anthropic => ProviderKind::Anthropic,
                Protocol::Openai => ProviderKind::Openai,
            };
            let mut provider = ProviderConfig::new("command-line", kind);
            provider.base_url = Some(url.clone());
            provider.api_key = choice.api_key_env.clone().map(KeyRef::Env);
            if choice.api_key_env.is_none() {
                // Whoever asks for no key asks for no money either.
                provider.price = Some(bailiwick_gateway::FlatPrice::Free);
            }
            provider
        }
        _ => return,
    };
    config.task.provider = Some(provider.name.clone());
    config.providers.push(provider);
}

fn read_task(input: &TaskInput) -> Result<(String, Option<Vec<Check>>)> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| Told {
            code: "task.unreadable".to_owned(),
            message: format!("cannot read `{}`: {error}", path.display()),
            hint: "check the path".to_owned(),
        })
    };
    match (&input.text, &input.file, &input.spec) {
        (Some(text), _, _) => Ok((text.clone(), None)),
        (None, Some(path), _) => Ok((read(path)?, None)),
        (None, None, Some(path)) => {
            let text = read(path)?;
            let spec: Specification = toml::from_str(&text).map_err(|error| Told {
                code: "task.bad_specification".to_owned(),
                message: format!("`{}` is not a specification: {error}", path.display()),
                hint: "it is TOML with `task = \"…\"` and one `[[check]]` with `name` and `command` for each check".to_owned(),
            })?;
            Ok((spec.task, Some(spec.checks)))
        }
        (None, None, None) => Err(Told {
            code: "task.missing".to_owned(),
            message: "there is no task".to_owned(),
            hint: "give it as text, with `--file FILE`, or with `--spec FILE`".to_owned(),
        }
        .into()),
    }
}

pub(super) fn parse_budget(text: &str) -> Result<MicroUsd> {
    let refuse = || Told {
        code: "task.bad_budget".to_owned(),
        message: format!("`{text}` is not an amount in US dollars"),
        hint: "write it like `2.50`, from 0.01 to 10000".to_owned(),
    };
    let amount: f64 = text.trim_start_matches('$').parse().map_err(|_| refuse())?;
    if !(0.01..=10_000.0).contains(&amount) {
        return Err(refuse().into());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked above"
    )]
    let micro = (amount * 1_000_000.0).round() as u64;
    Ok(MicroUsd(micro))
}
