//! `policy replay`: every recorded action decided anew under a candidate.

use anyhow::Result;
use bailiwick_model::event::Event;
use bailiwick_policy::{Recorded, Replayer};
use bailiwick_store::Query;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{load, read};
use crate::arguments::Common;
use crate::command::{Done, Session, Told};
use crate::terminal;

/// How many decisions are read at once.
const PAGE: usize = 20_000;

pub(super) async fn replay(common: &Common, candidate: &str, since: Option<&str>) -> Result<Done> {
    let set = load(&read(candidate)?)?;
    let from = since.map(start).transpose()?;
    let Session::Local { platform, .. } = Session::open(common).await? else {
        return Err(Told {
            code: "ledger.in_use".to_owned(),
            message: "a server has this data directory open".to_owned(),
            hint: "replay on a copy of the data directory, or when the server is stopped"
                .to_owned(),
        }
        .into());
    };
    let store = &platform.engine.parts().store;
    let mut replayer = Replayer::new(&set);
    let mut after = None;
    loop {
        let query =
            Query { after_seq: after, limit: Some(PAGE), ..Query::default() }.named(&["decided"]);
        let entries = store.entries(query).await?;
        let Some(last) = entries.last() else { break };
        after = Some(last.seq);
        for entry in entries {
            if from.is_some_and(|from| entry.at < from) {
                continue;
            }
            if let Event::Decided(decided) = entry.event {
                let decided = *decided;
                replayer.add(&Recorded {
                    entry: entry.seq,
                    subject: decided.subject,
                    action: decided.action,
                    context: decided.context,
                    decision: decided.decision,
                });
            }
        }
    }
    let found = replayer.finish();
    if common.json {
        let shifts: Vec<Value> = found
            .shifts
            .iter()
            .map(|shift| {
                json!({
                    "before": shift.before.name(), "after": shift.after.name(), "kind": shift.kind,
                    "rules": shift.rules, "count": shift.count, "first_entry": shift.first.0,
                    "first": shift.first.1,
                })
            })
            .collect();
        terminal::out_json(&json!({
            "candidate": set.digest(), "total": found.total, "same": found.same, "changes": shifts,
        }));
        return Ok(Done::Yes);
    }
    let mut text = format!(
        "{} recorded actions decided anew, {} with the same answer\n",
        found.total, found.same
    );
    for shift in &found.shifts {
        let by = if shift.rules.is_empty() {
            "no rule permits it".to_owned()
        } else {
            shift.rules.join(", ")
        };
        text.push_str(&format!(
            "{:>7} × newly {} (was {}): {} by {by}\n          first: entry {}, {}\n",
            shift.count,
            shift.after.name(),
            shift.before.name(),
            shift.kind,
            shift.first.0,
            terminal::safe(&shift.first.1)
        ));
    }
    terminal::out(text.trim_end());
    Ok(Done::Yes)
}

/// The time that lies so long back: `30d`, `12h`, `45m`.
fn start(text: &str) -> Result<Timestamp, Told> {
    let wrong = || Told {
        code: "policy.not_a_time".to_owned(),
        message: format!("`{text}` is not a time"),
        hint: "write `30d`, `12h` or `45m`".to_owned(),
    };
    let split = text.len().checked_sub(1).and_then(|at| text.split_at_checked(at));
    let (number, unit) = split.ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let hours = match unit {
        "d" => number.checked_mul(24).map(SignedDuration::from_hours),
        "h" => Some(SignedDuration::from_hours(number)),
        "m" => Some(SignedDuration::from_mins(number)),
        _ => None,
    };
    let back = hours.filter(|back| !back.is_negative()).ok_or_else(wrong)?;
    Ok(Timestamp::now().checked_sub(back).unwrap_or(Timestamp::MIN))
}
