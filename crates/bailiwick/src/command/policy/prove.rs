//! `policy prove`: named invariants, and claims of one's own.

use anyhow::Result;
use bailiwick_policy::{INVARIANTS, Invariant, PolicySet, Proof};
use serde_json::{Value, json};

use super::subject;
use crate::arguments::Common;
use crate::command::{Done, Told};
use crate::terminal;

/// What was found out about one claim, and by what.
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) why: String,
    pub(super) proof: Proof,
    pub(super) by: &'static str,
}

pub(super) fn prove(
    common: &Common,
    invariant: Option<&str>,
    policy: Option<&str>,
    never: Option<&str>,
) -> Result<Done> {
    let set = subject(common, policy)?;
    let findings = match (invariant, never) {
        (_, Some(text)) => vec![claim(&set, "your own", "", text)?],
        (Some(name), None) => {
            let one = Invariant::find(name).ok_or_else(|| Told {
                code: "policy.no_invariant".to_owned(),
                message: format!("there is no invariant `{name}`"),
                hint: format!(
                    "there are: {}",
                    INVARIANTS.map(|one| format!("`{}`", one.name)).join(", ")
                ),
            })?;
            vec![claim(&set, one.name, one.why, one.never)?]
        }
        (None, None) => all(&set)?,
    };
    let proved = findings.iter().all(|one| one.proof == Proof::Proved);
    if common.json {
        let list: Vec<Value> = findings.iter().map(as_json).collect();
        terminal::out_json(&json!({"policy": set.digest(), "proved": proved, "claims": list}));
    } else {
        let lines: Vec<String> = findings.iter().map(line).collect();
        terminal::out(&lines.join("\n"));
    }
    Ok(if proved { Done::Yes } else { Done::No })
}

/// Every named invariant.
pub(super) fn all(set: &PolicySet) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for one in INVARIANTS {
        findings.push(claim(set, one.name, one.why, one.never)?);
    }
    Ok(findings)
}

fn claim(set: &PolicySet, name: &str, why: &str, never: &str) -> Result<Finding> {
    let proof = bailiwick_policy::prove(set, never).map_err(|error| Told {
        code: "policy.not_a_claim".to_owned(),
        message: error,
        hint: "write a Cedar `permit` of the requests that must never be permitted".to_owned(),
    })?;
    let finding = |proof, by| Finding { name: name.to_owned(), why: why.to_owned(), proof, by };
    Ok(finding(proof, "propositional reasoning"))
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
