//! Runs content gates within bounds, and decides what they mean.

use super::{ContentGate, Hit, Input, Inspected};
use crate::rule::{Effect, Rule};
use crate::settings::GateSettings;
use bailiwick_model::Timestamp;
use bailiwick_model::evidence::{Evidence, Finding, GateReport, GateState, Level};
use bailiwick_model::payload::Digest;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Stack of a gate's thread: parsers recurse over what a stranger wrote.
const STACK_BYTES: usize = 64 << 20;
/// Most findings of one rule that are kept; the rest is counted.
const MOST_FINDINGS: usize = 200;

/// Runs gates at the same time, each on a thread of its own and within `limit`. Blocks.
///
/// A thread that does not end in time is left behind: its report is *inconclusive*, whatever it
/// would have said.
pub fn judge_content(
    gates: &[Arc<dyn ContentGate>],
    input: Input,
    limit: Duration,
) -> Vec<GateReport> {
    let deadline = Instant::now().checked_add(limit);
    let input = Arc::new(Input { deadline, ..input });
    let running: Vec<_> = gates
        .iter()
        .map(|gate| {
            let (sender, receiver) = channel();
            let (gate_there, input_there) = (Arc::clone(gate), Arc::clone(&input));
            let started = std::thread::Builder::new()
                .name(format!("gate {}", gate.name()))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    let judged =
                        catch_unwind(AssertUnwindSafe(|| judge(&*gate_there, &input_there)));
                    // nobody waits any more: the time was up
                    drop(sender.send(judged));
                });
            (gate, receiver, started.err())
        })
        .collect();
    let mut reports = Vec::with_capacity(gates.len());
    for (gate, receiver, failed) in running {
        let inconclusive = |reason: String| report(gate.name(), GateState::Inconclusive, reason);
        if let Some(error) = failed {
            reports
                .push(inconclusive(format!("the gate could not be started: {error}; try again")));
            continue;
        }
        let left =
            deadline.map_or(limit, |deadline| deadline.saturating_duration_since(Instant::now()));
        reports.push(match receiver.recv_timeout(left) {
            Ok(Ok(judged)) => judged,
            Ok(Err(panic)) => inconclusive(format!(
                "the gate broke down: {}; report this as a defect",
                panic_text(panic.as_ref())
            )),
            Err(RecvTimeoutError::Timeout) => inconclusive(format!(
                "the gate took longer than {} s; make the change smaller, or give it more by \
                 `timeout_seconds` in `.bailiwick/gates.toml` on the protected branch",
                limit.as_secs()
            )),
            Err(RecvTimeoutError::Disconnected) => {
                inconclusive("the gate ended without a report; report this as a defect".to_owned())
            }
        });
    }
    reports
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    text.chars().take(200).filter(|c| !c.is_control()).collect()
}

fn report(gate: &str, state: GateState, summary: String) -> GateReport {
    GateReport { gate: gate.to_owned(), state, summary, findings: Vec::new(), evidence: Vec::new() }
}

/// Turns what a gate saw into its report.
fn judge(gate: &dyn ContentGate, input: &Input) -> GateReport {
    conclude(
        gate.name(),
        gate.rules(),
        gate.inspect(input),
        Vec::new(),
        (&input.settings, input.now),
    )
}

/// The report of a gate of these rules that saw this, by what was run.
pub(crate) fn conclude(
    gate: &str,
    rules: Vec<Rule>,
    inspected: Inspected,
    evidence: Vec<Evidence>,
    (settings, now): (&GateSettings, Timestamp),
) -> GateReport {
    let rules: BTreeMap<String, Rule> =
        rules.into_iter().map(|rule| (rule.id.clone().into_owned(), rule)).collect();
    let Inspected { hits, mut doubts, looked_at } = inspected;

    let mut findings = Vec::new();
    let mut nth: BTreeMap<Digest, u32> = BTreeMap::new();
    let mut per_rule: BTreeMap<String, usize> = BTreeMap::new();
    let (mut blocking, mut asking, mut suppressed) = (0_usize, 0_usize, 0_usize);
    for hit in hits {
        let Some(rule) = rules.get(hit.rule.as_ref()) else {
            doubts.push(format!("the gate has no rule `{}`; report this as a defect", hit.rule));
            continue;
        };
        if settings.is_off(&rule.id) {
            continue;
        }
        let (finding, effect) = finding(rule, &hit, &mut nth, (settings, now));
        match effect {
            Effect::Blocks => blocking += 1,
            Effect::AsksPerson => asking += 1,
            Effect::Informs if rule.effect != Effect::Informs => suppressed += 1,
            Effect::Informs => {}
        }
        let count = per_rule.entry(rule.id.clone().into_owned()).or_default();
        *count += 1;
        if *count <= MOST_FINDINGS {
            findings.push(finding);
        }
    }
    let dropped: usize = per_rule.values().map(|count| count.saturating_sub(MOST_FINDINGS)).sum();
    // the worst first, then by place; what has none comes last
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.path.is_none(), finding.path.clone(), finding.line);
        b.level.cmp(&a.level).then_with(|| key(a).cmp(&key(b))).then_with(|| a.rule.cmp(&b.rule))
    });

    let state = if blocking > 0 {
        GateState::Fail
    } else if !doubts.is_empty() {
        GateState::Inconclusive
    } else if asking > 0 {
        GateState::NeedsApproval
    } else {
        GateState::Pass
    };
    let mut summary = match state {
        GateState::Fail => {
            let first = findings.first().map(|first| first.message.clone()).unwrap_or_default();
            format!("blocked by {blocking} new finding{}: {first}", plural(blocking))
        }
        GateState::Inconclusive => {
            let first = doubts.first().cloned().unwrap_or_default();
            let more = doubts.len().saturating_sub(1);
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            format!(
                "could not judge {first}{more}; leave it out of the change, or keep it elsewhere"
            )
        }
        GateState::NeedsApproval => {
            format!("{asking} new finding{} for a person to look at", plural(asking))
        }
        GateState::Pass => "nothing new".to_owned(),
    };
    if asking > 0 && state != GateState::NeedsApproval {
        summary.push_str(&format!("; {asking} more for a person"));
    }
    if suppressed > 0 {
        summary.push_str(&format!("; {suppressed} suppressed"));
    }
    if dropped > 0 {
        summary.push_str(&format!("; {dropped} not listed"));
    }
    if !looked_at.is_empty() {
        summary.push_str(&format!(" (looked at {looked_at})"));
    }
    // a doubt may name a file whose name is a secret
    let summary = bailiwick_scan::redact(&summary).text.into_owned();
    GateReport { gate: gate.to_owned(), state, summary, findings, evidence }
}

/// The finding of a hit, and its effect once suppressions are counted.
fn finding(
    rule: &Rule,
    hit: &Hit,
    nth: &mut BTreeMap<Digest, u32>,
    (settings, now): (&GateSettings, Timestamp),
) -> (Finding, Effect) {
    let path = hit.path.as_deref().unwrap_or_default();
    let key =
        |nth: u32| Digest::of(format!("{}\0{path}\0{}\0{nth}", rule.id, hit.anchor).as_bytes());
    // the second of two equal ones is another finding than the first
    let fingerprint = hit.fingerprint.unwrap_or_else(|| {
        let count = nth.entry(key(0)).or_default();
        let fingerprint = key(*count);
        *count += 1;
        fingerprint
    });

    let (mut level, mut effect) = (rule.level(), rule.effect);
    let mut message = hit.message.clone();
    if let Some(suppression) = settings.suppression(&fingerprint) {
        if now < suppression.expires_at {
            (level, effect) = (Level::Note, Effect::Informs);
            message.push_str(&format!(
                "; suppressed by {} until {}: {}",
                suppression.person, suppression.expires_at, suppression.reason
            ));
        } else {
            message.push_str(&format!("; its suppression expired at {}", suppression.expires_at));
        }
    }
    // a file name can hold a secret itself
    let path = hit.path.as_deref().map(|path| bailiwick_scan::redact(path).text.into_owned());
    let finding = Finding {
        rule: rule.id.clone().into_owned(),
        level,
        message,
        line: hit.line.filter(|_| path.is_some()),
        path,
        fingerprint,
        explanation: Some(Box::new(rule.explanation())),
    };
    (finding, effect)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
