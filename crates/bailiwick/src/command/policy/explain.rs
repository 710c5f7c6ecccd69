//! `policy explain`: the rules that decided, and the narrowest change that would allow it.

use anyhow::Result;
use bailiwick_model::action::Action;
use bailiwick_model::event::Event;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::tier::TierChoice;
use bailiwick_model::verdict::Verdict;
use bailiwick_policy::command::{Effect, analyse};
use bailiwick_policy::{PolicySet, advise, parse_action, usual_context};
use serde_json::{Value, json};

use super::subject;
use crate::arguments::{Common, ExplainArguments};
use crate::command::{Done, Session, Told, configuration, person};
use crate::terminal;

/// A decision that is explained.
struct Question {
    subject: Subject,
    action: Action,
    context: Context,
    /// What the ledger says was decided, and by which policy.
    recorded: Option<(u64, Verdict, String)>,
}

pub(super) async fn explain(common: &Common, arguments: ExplainArguments) -> Result<Done> {
    let is_action = arguments.what.contains(':') || arguments.what.trim_start().starts_with('{');
    let question = if is_action {
        asked(common, &arguments)?
    } else {
        recorded(common, &arguments.what).await?
    };
    let set = subject(common, arguments.policy.as_deref()).await?;
    let Question { subject: who, action, context, .. } = &question;
    let (verdict, tier) = set.decide_in_tier(who, action, context);
    if common.json {
        terminal::out_json(&as_json(&set, &question, &verdict, tier.as_ref()));
    } else {
        terminal::out(&told(&set, &question, &verdict, tier.as_ref()));
    }
    Ok(Done::Yes)
}

fn asked(common: &Common, arguments: &ExplainArguments) -> Result<Question> {
    let wrong = |what: String| Told {
        code: "policy.not_an_action".to_owned(),
        message: what,
        hint: "for example `bailiwick policy explain 'command: npm publish' --role implementor`"
            .to_owned(),
    };
    let person = person(common, &configuration(common)?)?;
    let changes = arguments.context.as_deref().unwrap_or("{}");
    let changes = serde_json::from_str(changes)
        .map_err(|error| wrong(format!("`--context` is not a JSON object: {error}")))?;
    let context = usual_context(&arguments.repo, &changes).map_err(wrong)?;
    let action = parse_action(&arguments.what, &arguments.repo, person.as_str()).map_err(wrong)?;
    let subject = serde_json::from_value(json!({"role": arguments.role, "on_behalf_of": person}))
        .map_err(|error| wrong(format!("`--role`: {error}")))?;
    Ok(Question { subject, action, context, recorded: None })
}

async fn recorded(common: &Common, what: &str) -> Result<Question> {
    let not_there = || {
        Told {
        code: "policy.no_decision".to_owned(),
        message: format!("`{what}` is no decision in the ledger"),
        hint: "`bailiwick task logs TASK` and `bailiwick ledger show` print the entries' indexes; an action is written `command: ls`"
            .to_owned(),
    }
    };
    let Session::Local { platform, .. } = Session::open(common).await? else {
        return Err(Told {
            code: "ledger.in_use".to_owned(),
            message: "a server has this data directory open".to_owned(),
            hint: "`GET /api/v1/tasks/TASK/events` gives each decision with its rules".to_owned(),
        }
        .into());
    };
    let store = &platform.engine.parts().store;
    let entry = match what.parse::<u64>() {
        Ok(seq) => store.entry(seq).await?,
        Err(_) => {
            let query = bailiwick_store::Query::default().named(&["decided"]);
            store.entries(query).await?.into_iter().find(|entry| match &entry.event {
                Event::Decided(decided) => {
                    decided.id.to_string().ends_with(what) && what.len() >= 6
                }
                Event::Finished(_) | Event::Fact(_) => false,
            })
        }
    };
    let entry = entry.ok_or_else(not_there)?;
    let Event::Decided(decided) = entry.event else { return Err(not_there().into()) };
    Ok(Question {
        subject: decided.subject,
        action: decided.action,
        context: decided.context,
        recorded: Some((entry.seq, decided.decision, decided.policy.to_string())),
    })
}

/// What a command would do, as rules see it: undecidable parts first, the programs last.
fn effects(action: &Action) -> Vec<Effect> {
    match action {
        Action::Command(command) => analyse(command).list(),
        _ => Vec::new(),
    }
}

fn rules_of(verdict: &Verdict) -> &[String] {
    match verdict {
        Verdict::Permit { rules } | Verdict::NeedsApproval { rules, .. } => rules,
        Verdict::Deny(denial) => &denial.rules,
    }
}

fn told(
    set: &PolicySet,
    question: &Question,
    verdict: &Verdict,
    tier: Option<&TierChoice>,
) -> String {
    let mut text = format!(
        "{} as {} for {} in {}\n  {}\n",
        question.action.kind(),
        question.subject.role.name(),
        question.subject.on_behalf_of,
        question.context.repo,
        terminal::safe(&question.action.summary())
    );
    for effect in effects(&question.action) {
        text.push_str(&format!("  effect: {}\n", terminal::safe(&effect.to_string())));
    }
    if let Some((seq, then, policy)) = &question.recorded {
        text.push_str(&format!(
            "entry {seq}, under policy {policy}: {}\n",
            terminal::safe(&words(then))
        ));
    }
    text.push_str(&format!("under policy {}: {}\n", set.digest(), terminal::safe(&words(verdict))));
    for id in rules_of(verdict) {
        match set.rule(id) {
            Some(rule) => text.push_str(&format!(
                "  rule `{id}` ({}) at {}:{}: {}\n",
                rule.layer,
                rule.source,
                rule.line,
                terminal::safe(&rule.reason)
            )),
            None => text.push_str(&format!("  rule `{id}`\n")),
        }
    }
    if let Some(choice) = tier {
        text.push_str(&format!("sandbox tier: {}\n", terminal::safe(&choice.to_string())));
    }
    if let Verdict::Deny(denial) = verdict {
        text.push_str(&format!("hint: {}\n", terminal::safe(&denial.hint)));
    }
    for advice in advise(set, &question.subject, &question.action, verdict) {
        text.push_str(&format!("what would allow it: {}\n", terminal::safe(&advice.what)));
        if let Some(toml) = advice.toml {
            for line in toml.lines() {
                text.push_str(&format!("    {}\n", terminal::safe(line)));
            }
        }
    }
    text.trim_end().to_owned()
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Permit { rules } => format!("permitted by {}", rules.join(", ")),
        Verdict::Deny(denial) if denial.rules.is_empty() => {
            format!("denied [{}]: {}", denial.code, denial.reason)
        }
        Verdict::Deny(denial) => {
            format!(
                "denied [{}]: {} (rules: {})",
                denial.code,
                denial.reason,
                denial.rules.join(", ")
            )
        }
        Verdict::NeedsApproval { groups, rules } => {
            format!("needs approval by {} (rules: {})", groups.join(", "), rules.join(", "))
        }
    }
}

fn as_json(
    set: &PolicySet,
    question: &Question,
    verdict: &Verdict,
    tier: Option<&TierChoice>,
) -> Value {
    let rules: Vec<Value> = rules_of(verdict)
        .iter()
        .filter_map(|id| set.rule(id))
        .map(|rule| {
            json!({
                "id": rule.id, "layer": rule.layer.to_string(), "file": rule.source, "line": rule.line,
                "reason": rule.reason, "hint": rule.hint,
            })
        })
        .collect();
    let changes: Vec<Value> = advise(set, &question.subject, &question.action, verdict)
        .into_iter()
        .map(|advice| json!({"what": advice.what, "toml": advice.toml}))
        .collect();
    let effects: Vec<Value> = effects(&question.action)
        .iter()
        .map(|effect| {
            let (kind, what) = effect.parts();
            json!({"effect": kind, "what": what})
        })
        .collect();
    let recorded = question.recorded.as_ref().map(
        |(seq, decision, policy)| json!({"entry": seq, "decision": decision, "policy": policy}),
    );
    json!({
        "subject": question.subject, "action": question.action, "context": question.context,
        "decision": verdict, "policy": set.digest(), "rules": rules, "changes": changes,
        "recorded": recorded, "effects": effects, "tier": tier,
    })
}
