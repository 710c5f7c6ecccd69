//! `bailiwick policy …`

use anyhow::Result;
use bailiwick_model::event::Event;
use bailiwick_model::verdict::Verdict;
use serde_json::json;

use crate::arguments::{Common, PolicyVerb};
use crate::command::{Done, Session, Told, configuration};
use crate::terminal;

pub(crate) async fn run(common: &Common, verb: PolicyVerb) -> Result<Done> {
    match verb {
        PolicyVerb::Show => {
            let policy = crate::platform::load_policy(&configuration(common)?)?;
            terminal::out(&crate::platform::source_text(&policy));
            Ok(Done::Yes)
        }
        PolicyVerb::Check { files } => {
            let mut config = configuration(common)?;
            if !files.is_empty() {
                config.policy.files = files;
            }
            let policy = crate::platform::load_policy(&config)?;
            let count = policy.rules().count();
            if common.json {
                terminal::out_json(
                    &json!({"valid": true, "rules": count, "digest": policy.digest()}),
                );
            } else {
                terminal::out(&format!("valid: {count} rules, digest {}", policy.digest()));
            }
            Ok(Done::Yes)
        }
        PolicyVerb::Explain { entry } => explain(common, entry).await,
    }
}

async fn explain(common: &Common, seq: u64) -> Result<Done> {
    let not_there = || Told {
        code: "policy.no_decision".to_owned(),
        message: format!("entry {seq} is not a decision"),
        hint: "`bailiwick task logs TASK` and `bailiwick ledger show` print the entries' indexes"
            .to_owned(),
    };
    let Session::Local { platform, .. } = Session::open(common).await? else {
        return Err(Told {
            code: "ledger.in_use".to_owned(),
            message: "a server has this data directory open".to_owned(),
            hint: "`GET /api/v1/tasks/TASK/events` gives each decision with its rules".to_owned(),
        }
        .into());
    };
    let entry = platform.engine.parts().store.entry(seq).await?.ok_or_else(not_there)?;
    let Event::Decided(decided) = &entry.event else { return Err(not_there().into()) };
    if common.json {
        terminal::out_json(decided);
        return Ok(Done::Yes);
    }
    let mut text = format!(
        "entry {seq}: {} as {} for {}\n  {}\n",
        decided.action.kind(),
        decided.subject.role.name(),
        decided.subject.on_behalf_of,
        terminal::safe(&decided.action.summary())
    );
    match &decided.decision {
        Verdict::Permit { rules } => text.push_str(&format!("permitted by {}", rules.join(", "))),
        Verdict::Deny(denial) => {
            let rules = if denial.rules.is_empty() {
                "no rule permits it".to_owned()
            } else {
                denial.rules.join(", ")
            };
            text.push_str(&format!(
                "denied [{}]: {}\nrules: {rules}\nhint: {}",
                denial.code,
                terminal::safe(&denial.reason),
                terminal::safe(&denial.hint)
            ));
        }
        Verdict::NeedsApproval { groups, rules } => text.push_str(&format!(
            "needs approval by {} (rules: {})",
            groups.join(", "),
            rules.join(", ")
        )),
    }
    text.push_str(&format!("\npolicy {}", decided.policy));
    terminal::out(&text);
    Ok(Done::Yes)
}
