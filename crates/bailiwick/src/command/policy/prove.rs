//! `policy prove`: named invariants, and claims of one's own.

use anyhow::Result;
use bailiwick_policy::{INVARIANTS, Invariant, PolicySet, Proof};
use serde_json::{Value, json};

use super::subject;
use crate::arguments::{Common, ProveArguments};
use crate::command::{Done, Told, configuration};
use crate::solver::Prover;
use crate::terminal;

/// What was found out about one claim, and by what.
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) why: String,
    pub(super) proof: Proof,
    pub(super) by: String,
}

pub(super) async fn prove(common: &Common, arguments: &ProveArguments) -> Result<Done> {
    let set = subject(common, arguments.policy.as_deref()).await?;
    let mut prover = prover(common, arguments.solver.as_deref()).await?;
    let findings = match (&arguments.invariant, &arguments.never) {
        (_, Some(text)) => vec![claim(&mut prover, &set, "your own", "", text).await?],
        (Some(name), None) => {
            let one = Invariant::find(name).ok_or_else(|| Told {
                code: "policy.no_invariant".to_owned(),
                message: format!("there is no invariant `{name}`"),
                hint: format!(
                    "there are: {}",
                    INVARIANTS.map(|one| format!("`{}`", one.name)).join(", ")
                ),
            })?;
            vec![claim(&mut prover, &set, one.name, one.why, one.never).await?]
        }
        (None, None) => all(&mut prover, &set).await?,
    };
    let proved = findings.iter().all(|one| one.proof == Proof::Proved);
    if common.json {
        let list: Vec<Value> = findings.iter().map(as_json).collect();
        terminal::out_json(&json!({
            "policy": set.digest(), "proved": proved, "claims": list,
            "solver": prover.name(), "trouble": prover.trouble,
        }));
    } else {
        let mut lines: Vec<String> = findings.iter().map(line).collect();
        lines.extend(note(&prover));
        terminal::out(&lines.join("\n"));
    }
    Ok(if proved { Done::Yes } else { Done::No })
}

/// The solver that is asked for, or configured, or there.
pub(super) async fn prover(common: &Common, solver: Option<&str>) -> Result<Prover> {
    let mut config = configuration(common)?.policy;
    if let Some(solver) = solver {
        config.solver = Some(solver.to_owned());
    }
    Ok(Prover::start(&config).await)
}

/// Why no solver answered, or none any more.
pub(super) fn note(prover: &Prover) -> Option<String> {
    prover.trouble.as_ref().map(|trouble| {
        format!(
            "note: {}; what it did not answer was left to propositional reasoning (`bailiwick doctor`)",
            terminal::safe(trouble)
        )
    })
}

/// Every named invariant.
pub(super) async fn all(prover: &mut Prover, set: &PolicySet) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for one in INVARIANTS {
        findings.push(claim(prover, set, one.name, one.why, one.never).await?);
    }
    Ok(findings)
}

/// By the solver, and where it has nothing to say by the prover that is always there.
async fn claim(
    prover: &mut Prover,
    set: &PolicySet,
    name: &str,
    why: &str,
    never: &str,
) -> Result<Finding> {
    // asked first: it says what is wrong with a claim that is none
    let here = bailiwick_policy::prove(set, never).map_err(|error| Told {
        code: "policy.not_a_claim".to_owned(),
        message: error,
        hint: "write a Cedar `permit` of the requests that must never be permitted".to_owned(),
    })?;
    let by_solver = prover.never(set, never).await;
    let by = match (&by_solver, prover.name()) {
        (Some(_), Some(name)) => name.to_owned(),
        _ => "propositional reasoning".to_owned(),
    };
    let proof = by_solver.unwrap_or(here);
    Ok(Finding { name: name.to_owned(), why: why.to_owned(), proof, by })
}

pub(super) fn line(one: &Finding) -> String {
    match &one.proof {
        Proof::Proved => format!("proved      {} ({})", one.name, one.by),
        Proof::NotProved { why } => format!("NOT PROVED  {} ({}): {why}", one.name, one.by),
        Proof::Refuted { example } => {
            format!("BROKEN      {} ({}): {}", one.name, one.by, terminal::safe(example))
        }
    }
}

pub(super) fn as_json(one: &Finding) -> Value {
    let (state, detail) = match &one.proof {
        Proof::Proved => ("proved", None),
        Proof::NotProved { why } => ("not_proved", Some(why)),
        Proof::Refuted { example } => ("broken", Some(example)),
    };
    json!({"name": one.name, "why": one.why, "state": state, "detail": detail, "by": one.by})
}
