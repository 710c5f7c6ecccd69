//! The verbs of the command line.

mod agents;
mod approval;
mod config;
mod doctor;
mod gate;
mod ledger;
mod people;
mod policy;
mod pr;
mod repo;
pub(crate) mod run;
mod sandbox;
mod serve;
mod session;
mod sign_in;
mod supply;
mod task;
pub(crate) mod trial;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use bailiwick_engine::EngineError;
use bailiwick_model::id::Person;
use clap::Parser as _;
use clap::error::ErrorKind;
use serde_json::json;

use crate::arguments::{Arguments, Common, PrVerb, Verb};
use crate::config::{Config, ConfigError};
use crate::terminal;

pub(crate) use policy::text as policy_text;
pub(crate) use run::{Outcome, finish};
pub(crate) use session::Session;

/// An error that knows what to tell the user.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Told {
    /// A stable code.
    pub(crate) code: String,
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: String,
}

impl From<EngineError> for Told {
    fn from(error: EngineError) -> Self {
        let mut message = error.to_string();
        if let EngineError::Action { rules, .. } = &error
            && !rules.is_empty()
        {
            message.push_str(&format!(" (rules: {})", rules.join(", ")));
        }
        Self { code: error.code(), message, hint: error.hint() }
    }
}

impl From<ConfigError> for Told {
    fn from(error: ConfigError) -> Self {
        let mut message = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            message.push_str(&format!(": {source}"));
        }
        Self { code: error.code().to_owned(), message, hint: error.hint().to_owned() }
    }
}

/// Everything went well, or a person is needed to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// What was asked is done.
    Yes,
    /// What was asked is not so: a ledger that does not verify, a task that failed.
    No,
    /// A person is needed to go on.
    NeedsPerson,
    /// The exit code of a command that was run for its own sake.
    Code(u8),
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        match done {
            Done::Yes => Self::SUCCESS,
            Done::No => Self::from(1),
            Done::NeedsPerson => Self::from(3),
            Done::Code(code) => Self::from(code),
        }
    }
}

pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(error.print());
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(2),
            };
        }
    };
    log_to_stderr();
    let json = arguments.common.json;
    match start(arguments) {
        Ok(done) => done.into(),
        Err(error) => {
            tell(&error, json);
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_env("BAILIWICK_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr);
    // A second subscriber in one process is only possible in tests of our own.
    drop(subscriber.try_init());
}

fn start(arguments: Arguments) -> Result<Done> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(Box::pin(dispatch(arguments)))
}

async fn dispatch(mut arguments: Arguments) -> Result<Done> {
    arguments.common.operation = crate::arguments::operation(&arguments.verb);
    let common = &arguments.common;
    match arguments.verb {
        Verb::Demo(demo) => Box::pin(crate::demo::run(common, &demo)).await,
        Verb::Run(run) => Box::pin(run::run(common, &run)).await,
        Verb::Serve(serve) => Box::pin(serve::run(common, &serve)).await,
        Verb::SignIn => Box::pin(sign_in::run(common)).await,
        Verb::Task(verb) => Box::pin(task::run(common, verb)).await,
        Verb::Approve(review) => Box::pin(pr::run(common, PrVerb::Approve(review))).await,
        Verb::Pr(verb) => Box::pin(pr::run(common, verb)).await,
        Verb::Repo(verb) => Box::pin(repo::run(common, verb)).await,
        Verb::Ledger(verb) => Box::pin(ledger::run(common, verb)).await,
        Verb::Policy(verb) => Box::pin(policy::run(common, verb)).await,
        Verb::Gate(verb) => Box::pin(gate::run(common, &verb)).await,
        Verb::Sbom(arguments) => supply::sbom(&arguments),
        Verb::Index(verb) => supply::index(common, &verb),
        Verb::Approval(verb) => Box::pin(approval::approval(common, verb)).await,
        Verb::Freeze(verb) => Box::pin(approval::freeze(common, verb)).await,
        Verb::Thaw(thaw) => Box::pin(approval::thaw(common, &thaw)).await,
        Verb::BreakGlass(verb) => Box::pin(approval::break_glass(common, verb)).await,
        Verb::User(verb) => Box::pin(people::user(common, verb)).await,
        Verb::Group(verb) => Box::pin(people::group(common, verb)).await,
        Verb::Token(verb) => Box::pin(people::token(common, verb)).await,
        Verb::Whoami => Box::pin(people::whoami(common)).await,
        Verb::Config(verb) => Box::pin(config::run(common, &verb)).await,
        Verb::Agents => agents::run(common),
        Verb::Sandbox(verb) => Box::pin(sandbox::run(common, verb)).await,
        Verb::Doctor => Box::pin(doctor::run(common)).await,
    }
}

/// Loads the configuration that a command works with.
pub(crate) fn configuration(common: &Common) -> Result<Config> {
    let config = Config::load(common.config.as_deref()).map_err(Told::from)?;
    Ok(config.with_environment())
}

/// The person who acts.
pub(crate) fn person(common: &Common, config: &Config) -> Result<Person> {
    if let Some(person) = common.person.as_ref().or(config.platform.person.as_ref()) {
        return Ok(person.clone());
    }
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let name: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    Ok(Person::parse(&name)
        .or_else(|_| Person::parse("operator"))
        .map_err(EngineError::from)
        .map_err(Told::from)?)
}

/// Tells an error on standard error: what happened, its code, what to do next. With `--json` also
/// as an object on standard output.
fn tell(error: &anyhow::Error, json: bool) {
    let told = error.downcast_ref::<Told>().cloned().or_else(|| {
        error.downcast_ref::<bailiwick_store::StoreError>().map(|store| Told {
            code: store.code().to_owned(),
            message: store.chain(),
            hint: store.hint().unwrap_or_default(),
        })
    });
    let told = told.unwrap_or_else(|| Told {
        code: "failed".to_owned(),
        message: format!("{error:#}"),
        hint: "`bailiwick doctor` shows what works on this machine".to_owned(),
    });
    terminal::say(&format!("error: {} [{}]", terminal::safe(&told.message), told.code));
    if !told.hint.is_empty() {
        terminal::say(&format!(" hint: {}", terminal::safe(&told.hint)));
    }
    if json {
        terminal::out_json(
            &json!({"error": {"code": told.code, "message": told.message, "hint": told.hint}}),
        );
    }
}

/// The faults that a test asks for.
#[cfg(feature = "test-support")]
pub(crate) fn faults() -> Result<bailiwick_store::fault::FaultPlan> {
    use bailiwick_store::fault::{FaultPlan, install};
    let text = std::env::var("BAILIWICK_FAULTS").unwrap_or_default();
    let plan: FaultPlan = text.parse().context("BAILIWICK_FAULTS is not understood")?;
    // Its crash points hold for the whole process.
    install(plan.clone());
    Ok(plan)
}
