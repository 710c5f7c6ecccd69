//! `bailiwick policy …`

mod explain;
mod prove;
mod publish;
mod replay;
mod show;

use anyhow::Result;
use bailiwick_ledger::{LogKey, LogName};
use bailiwick_policy::{PolicyErrors, PolicySet};
use serde_json::{Value, json};

use crate::arguments::{Common, PolicyVerb};
use crate::command::{Done, Told, configuration};
use crate::data_dir::random;
use crate::policies::read::{Material, material};
use crate::terminal;

pub(crate) use show::text;

pub(crate) async fn run(common: &Common, verb: PolicyVerb) -> Result<Done> {
    match verb {
        PolicyVerb::Show { candidate, cedar } => {
            Box::pin(show::show(common, candidate, cedar)).await
        }
        PolicyVerb::Check { candidates } => Box::pin(show::check(common, &candidates)).await,
        PolicyVerb::Test { candidates } => show::test(common, &candidates),
        PolicyVerb::Explain(arguments) => Box::pin(explain::explain(common, arguments)).await,
        PolicyVerb::Replay { candidate, since } => {
            Box::pin(replay::replay(common, &candidate, since.as_deref())).await
        }
        PolicyVerb::Prove(arguments) => Box::pin(prove::prove(common, &arguments)).await,
        PolicyVerb::Diff { before, after } => show::diff(common, &before, &after),
        PolicyVerb::Publish(arguments) => Box::pin(publish::publish(common, &arguments)).await,
        PolicyVerb::Key { file, name } => key(common, &file, &name),
    }
}

fn key(common: &Common, file: &std::path::Path, name: &str) -> Result<Done> {
    let key = if file.exists() {
        LogKey::load(file)?
    } else {
        let name: LogName = name.parse()?;
        let key = LogKey::from_seed(name, &random::<32>()?);
        key.save(file)?;
        key
    };
    let public = key.verifier().to_string();
    if common.json {
        terminal::out_json(&json!({"trusted_key": public, "file": file}));
    } else {
        terminal::out(&public);
    }
    Ok(Done::Yes)
}

/// The policy that a command is about: a candidate, or what is configured.
async fn subject(common: &Common, candidate: Option<&str>) -> Result<PolicySet> {
    match candidate {
        Some(name) => Ok(load(&read(name)?)?),
        None => crate::policies::check(&configuration(common)?.policy).await,
    }
}

fn read(name: &str) -> Result<Material, Told> {
    material(name).map_err(|errors| told(&errors))
}

fn load(material: &Material) -> Result<PolicySet, Told> {
    PolicySet::load(&material.policies).map_err(|errors| told(&errors))
}

fn told(errors: &PolicyErrors) -> Told {
    Told {
        code: "policy.invalid".to_owned(),
        message: format!("the policy is not valid\n{}", lines(errors)),
        hint: errors.errors.first().map(|error| error.fix.clone()).unwrap_or_default(),
    }
}

/// Each fault: where, what, why, what to do.
fn lines(errors: &PolicyErrors) -> String {
    let told: Vec<String> = errors
        .errors
        .iter()
        .map(|error| format!("{error}\n  why: {}\n  fix: {}", error.why, error.fix))
        .collect();
    told.join("\n")
}

fn as_json(errors: &PolicyErrors) -> Value {
    let faults: Vec<Value> = errors
        .errors
        .iter()
        .map(|error| {
            json!({
                "file": error.file, "line": error.line, "column": error.column, "policy": error.policy,
                "what": error.what, "why": error.why, "fix": error.fix,
            })
        })
        .collect();
    faults.into()
}
