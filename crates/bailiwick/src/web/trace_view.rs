//! Items of a timeline as HTML.
//!
//! The timeline shows what happened in a line each; prompts, outputs and file contents come when
//! they are asked for, so that ten thousand steps stay light.

use bailiwick_model::chat::Block;
use bailiwick_model::event::{Fact, SessionEnd, StageEnd, TaskEnd, Verification};
use bailiwick_model::evidence::{Finding, GateState, Level};
use bailiwick_model::outcome::{Ended, Outcome};
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::Taint;
use bailiwick_model::verdict::Verdict;
use bailiwick_store::Store;
use maud::{Markup, html};

use super::change_page::short;
use super::text::{self, bytes, duration, log, shown, time};
use super::trace::{Call, Item, StepItem, What};

/// How much of a model's words the timeline shows.
const SAID_BYTES: usize = 1_500;

/// An item of the timeline. The text of a model's reply is read from the store when it is long.
pub(crate) async fn item(store: &Store, item: &Item) -> Markup {
    match &item.what {
        What::Fact(fact) => {
            let remarks = match fact.as_ref() {
                Fact::Reviewed { body, .. } => resolved(store, Some(body)).await,
                _ => None,
            };
            fact_item(item, fact, remarks.as_deref())
        }
        What::Step(step) => step_item(item, step, &said(store, step).await),
        What::Act(call) => html! {
            li #{"e" (item.seq)} .refused[call.is_refused()] {
                div.head { strong { (call.role.name()) } (time(item.at)) (entry_link(item.seq)) }
                ul.calls { (call_line(call)) }
            }
        },
    }
}

/// The model's words of a step, without its tool calls.
async fn said(store: &Store, step: &StepItem) -> String {
    let Some(reply) = &step.reply else { return String::new() };
    let Ok(reply) = store.resolve(reply).await else {
        return "(the reply can't be read)".to_owned();
    };
    words(reply.bytes().unwrap_or_default())
}

/// The text blocks of a reply in JSON.
fn words(reply: &[u8]) -> String {
    let blocks: Vec<Block> = serde_json::from_slice(reply).unwrap_or_default();
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

fn entry_link(seq: u64) -> Markup {
    html! { a.quiet href={"/audit/" (seq)} title="the entry in the ledger" { "#" (seq) } }
}

fn step_item(item: &Item, step: &StepItem, said: &str) -> Markup {
    let head = text::beginning(said, SAID_BYTES);
    html! {
        li #{"e" (item.seq)} .step .refused[item.has_refusal()] .running[!step.over] {
            div.head {
                strong { (step.role.name()) }
                @if let Some(subtask) = &step.subtask { span { (subtask) } }
                span { "step " (step.round) "." (step.step) }
                @if step.cost.0 > 0 || step.usage.total_tokens() > 0 {
                    span { (step.usage.total_tokens()) " tokens, " (step.cost) }
                }
                @if step.model_ms > 0 { span { "model " (duration(step.model_ms)) } }
                @if !step.over { span.dot { "working" } }
                (time(item.at)) (entry_link(item.seq))
            }
            @if !head.trim().is_empty() {
                div.say { (shown(head.trim())) @if head.len() < said.len() { "…" } }
            }
            ul.calls {
                @for call in step.calls.iter().skip(1) { (call_line(call)) }
                @if let Some(call) = step.calls.first().filter(|call| call.is_refused() || is_failed(call)) {
                    (call_line(call))
                }
            }
            details data-load={"/parts/steps/" (item.seq)} {
                summary { "Prompt, reply and outputs" }
                p.quiet { a href={"/parts/steps/" (item.seq)} { "Open" } }
            }
        }
    }
}

fn is_failed(call: &Call) -> bool {
    matches!(call.outcome, Some(Outcome::Failed { .. }))
}

fn call_line(call: &Call) -> Markup {
    html! {
        li {
            span.kind { (call.kind.replace('_', " ")) }
            span.what { (shown(&call.summary)) }
            span.result {
                @match &call.verdict {
                    Verdict::Permit { .. } => {
                        @if let Some(choice) = &call.tier {
                            span.tag.quiet title=(choice.to_string()) { (choice.tier) } " "
                        }
                        (outcome(call.outcome.as_ref()))
                    }
                    Verdict::Deny(_) => { span.tag.bad { "refused" } }
                    Verdict::NeedsApproval { .. } => { span.tag.warn { "needs approval" } }
                }
            }
            @match &call.verdict {
                Verdict::Permit { .. } => {
                    @if let Some(choice) = call.tier.as_ref().filter(|choice| !choice.rules.is_empty()) {
                        div.why.small.quiet { "Sandbox tier " (shown(&choice.to_string())) }
                    }
                }
                Verdict::Deny(denial) => {
                    div.why.small {
                        (shown(&denial.reason)) ". "
                        @for rule in &denial.rules { code { (rule) } " " }
                        span.quiet { (shown(&denial.hint)) " " a href={"/audit/" (call.seq)} { "Why?" } }
                    }
                }
                Verdict::NeedsApproval { groups, rules } => {
                    div.why.small {
                        "Asks " (groups.join(", ")) " "
                        @for rule in rules { code { (rule) } " " }
                    }
                }
            }
        }
    }
}

/// What came of an action, in a word or two.
pub(crate) fn outcome(outcome: Option<&Outcome>) -> Markup {
    html! {
        @match outcome {
            None => { span.quiet { "…" } }
            Some(
                Outcome::Command { ended, duration_ms, .. }
                | Outcome::Agent { ended, duration_ms, .. },
            ) => {
                @match ended {
                    Ended::Exit { code: 0 } => { span.tag.good { "exit 0" } }
                    Ended::Exit { code } => { span.tag.bad { "exit " (code) } }
                    Ended::Signal { signal } => { span.tag.bad { "signal " (signal) } }
                    Ended::Limit { limit } => { span.tag.bad { "limit " (limit) } }
                }
                " " (duration(*duration_ms))
            }
            Some(Outcome::Model { usage, cost, duration_ms, .. }) => {
                (usage.total_tokens()) " tokens, " (cost) ", " (duration(*duration_ms))
            }
            Some(Outcome::Read { bytes: count, .. }) => { (bytes(*count)) " read" }
            Some(Outcome::Written { bytes: count, before, .. }) => {
                (bytes(*count)) @if before.is_some() { " written" } @else { " new" }
            }
            Some(Outcome::Git { oid }) => {
                @if let Some(oid) = oid { code { (short(oid)) } } @else { "done" }
            }
            Some(Outcome::PullRequest { number }) => { "pull request #" (number) }
            Some(Outcome::Done) => { "done" }
            Some(Outcome::Failed { code, .. }) => { span.tag.bad { (code) } }
        }
    }
}

/// A gate's verdict.
pub(crate) fn gate_tag(state: GateState) -> Markup {
    match state {
        GateState::Pass => html! { span.tag.good { "pass" } },
        GateState::Fail => html! { span.tag.bad { "fail" } },
        GateState::NeedsApproval => html! { span.tag.warn { "asks a person" } },
        GateState::Inconclusive => html! { span.tag.warn { "inconclusive" } },
    }
}

/// Findings as a list.
pub(crate) fn findings(list: &[Finding]) -> Markup {
    html! {
        @if !list.is_empty() {
            ul.small {
                @for finding in list {
                    li {
                        @match finding.level {
                            Level::Error => { span.tag.bad { "error" } }
                            Level::Warning => { span.tag.warn { "warning" } }
                            Level::Note => { span.tag { "note" } }
                        }
                        " " code { (shown(&finding.rule)) } " "
                        @if let Some(path) = &finding.path {
                            code { (shown(path)) @if let Some(line) = finding.line { ":" (line) } } " "
                        }
                        (shown(&finding.message))
                    }
                }
            }
        }
    }
}

/// How a fact looks: its colour, its title, and what stands below it.
struct Look {
    tone: &'static str,
    title: Markup,
    body: Markup,
}

impl Look {
    fn plain(title: Markup) -> Self {
        Self { tone: "", title, body: html! {} }
    }

    fn tone(mut self, tone: &'static str) -> Self {
        self.tone = tone;
        self
    }

    fn body(mut self, body: Markup) -> Self {
        self.body = body;
        self
    }
}

fn fact_item(item: &Item, fact: &Fact, remarks: Option<&str>) -> Markup {
    let look = look(fact);
    html! {
        li #{"e" (item.seq)} class=(look.tone) {
            div.head {
                strong { (look.title) }
                @if let Some(subtask) = fact.subtask() { span { (subtask) } }
                (time(item.at)) (entry_link(item.seq))
            }
            (look.body)
            @if let Some(remarks) = remarks.filter(|remarks| !remarks.is_empty()) { (log(remarks)) }
        }
    }
}

fn look(fact: &Fact) -> Look {
    match fact {
        Fact::TaskSubmitted { task } => Look::plain(html! { "Task accepted from " (task.requester) })
            .body(html! { div.say { (shown(text::beginning(&task.text, SAID_BYTES))) } }),
        Fact::StageStarted { stage, .. } => {
            Look::plain(html! { "Stage " (stage.name().replace('_', " ")) " began" })
        }
        Fact::StageEnded { stage, ok, .. } => match ok {
            StageEnd::Done => Look::plain(html! { "Stage " (stage.name().replace('_', " ")) " done" }),
            StageEnd::Failed => {
                Look::plain(html! { "Stage " (stage.name().replace('_', " ")) " not reached" }).tone("warn")
            }
        },
        Fact::PlanAccepted { plan, .. } => Look::plain(html! { "Plan accepted" }).tone("good").body(html! {
            ol.small {
                @for subtask in &plan.subtasks {
                    li { strong { (shown(&subtask.title)) } " " code { (shown(&subtask.scope.paths.join(", "))) } }
                }
            }
        }),
        Fact::SessionStarted { role, round, taint, .. } => Look::plain(html! {
            (role.name()) " started" @if *round > 0 { ", repair " (round) }
        })
        .body(taint_tags(taint)),
        Fact::SessionEnded { role, end, .. } => match end {
            SessionEnd::Finished { .. } => Look::plain(html! { (role.name()) " finished" }),
            SessionEnd::Stopped { code, reason, hint } => Look::plain(html! { (role.name()) " stopped" })
                .tone("bad")
                .body(html! { p.small { (shown(reason)) ". " span.quiet { (shown(hint)) } " " code { (code) } } }),
        },
        Fact::SubtaskPrepared { base, setup, .. } => {
            Look::plain(html! { "Prepared on " code { (short(base)) } })
                .body(html! { p.small.quiet { (shown(setup)) } })
        }
        Fact::CandidateCommitted { candidate, .. } => {
            Look::plain(html! { "Committed " code { (short(&candidate.commit)) } })
        }
        Fact::GateReported { report, .. } => Look::plain(html! { "Gate " (report.gate) " " (gate_tag(report.state)) })
            .tone(if report.state == GateState::Pass { "good" } else { "bad" })
            .body(html! { p.small { (shown(&report.summary)) } (findings(&report.findings)) }),
        Fact::Verified { verification, summary, findings: found, .. } => {
            let (word, tone) = match verification {
                Verification::Accepted => ("accepted it", "good"),
                Verification::Refused => ("refused it", "bad"),
                Verification::Inconclusive => ("could not tell", "warn"),
            };
            Look::plain(html! { "Verifier " (word) }).tone(tone)
                .body(html! { p.small { (shown(summary)) } (findings(found)) })
        }
        Fact::Advised { summary, findings: found, .. } => Look::plain(html! { "Reviewer's advice" })
            .body(html! { p.small { (shown(summary)) } (findings(found)) }),
        Fact::RepairAsked { round, by, findings: found, .. } => {
            Look::plain(html! { "Sent back by " (by.name()) ", repair " (round) })
                .tone("warn")
                .body(findings(found))
        }
        Fact::HumanAsked { code, reason, hint, .. } => Look::plain(html! { "A person is needed" }).tone("warn")
            .body(html! { p.small { (shown(reason)) ". " span.quiet { (shown(hint)) } " " code { (code) } } }),
        Fact::RiskScored { risk, .. } => Look::plain(html! { "Risk " (risk.score) }).body(html! {
            ul.small { @for signal in &risk.signals { li { "+" (signal.points) " " (shown(&signal.reason)) } } }
        }),
        Fact::ChangePublished { repo, number, head, .. } => Look::plain(html! {
            "Pull request " a href={"/changes/" (repo) "/" (number)} { (repo) " #" (number) } " at " code { (short(head)) }
        })
        .tone("good"),
        Fact::Reviewed { reviewer, verdict, simulated, .. } => Look::plain(html! {
            (reviewer) " " (review_word(*verdict)) @if *simulated { " (simulated: nobody was asked)" }
        }),
        Fact::Commented { comment, .. } => Look::plain(html! {
            (comment.by) @if comment.reply_to.is_some() { " answered on " } @else { " remarked on " }
            code { (shown(&comment.path)) ":" (comment.line) }
        })
        .body(log(&comment.text)),
        Fact::ThreadMarked { by, state, .. } => {
            Look::plain(html! { (by) " says of a thread of remarks: " (state.name()) })
        }
        Fact::Steered { message, .. } => {
            Look::plain(html! { (message.by) " says to the agent" }).tone("warn").body(log(&message.text))
        }
        Fact::SteeringHeard { step, messages, .. } => Look::plain(html! {
            "Heard before step " (step) ": " (messages.len()) @if messages.len() == 1 { " message" } @else { " messages" }
        })
        .body(html! { @for message in messages { (log(&message.text)) } }),
        Fact::Frozen(freeze) => Look::plain(html! { "Paused by " (freeze.by) }).tone("warn")
            .body(html! { p.small { (shown(&freeze.reason)) } }),
        Fact::Thawed(thaw) => Look::plain(html! { "Let go on by " (thaw.by) }),
        Fact::BaseMoved { to, void_approvals, .. } => {
            Look::plain(html! { "The base moved to " code { (short(to)) } }).tone("warn").body(html! {
                @if *void_approvals > 0 { p.small { (void_approvals) " approvals are void because of it." } }
            })
        }
        Fact::MergeAsked { by, .. } => Look::plain(html! { (by) " asked for the merge" }),
        Fact::Merged { commit, number, .. } => {
            Look::plain(html! { "Merged #" (number) " as " code { (short(commit)) } }).tone("good")
        }
        Fact::Reverted { number, by, .. } => {
            Look::plain(html! { "#" (number) " was taken back by " code { (short(by)) } }).tone("bad")
        }
        Fact::TaskCancelled { by, reason, .. } => Look::plain(html! { "Cancelled by " (by) }).tone("bad")
            .body(html! { p.small { (shown(reason)) } }),
        Fact::TaskRetried { by, .. } => Look::plain(html! { "Taken up again by " (by) }),
        Fact::TaskEnded { end, reason, cost, .. } => Look::plain(html! {
            "Task " (end_word(*end)) ", " (cost)
        })
        .tone(if *end == TaskEnd::Merged { "good" } else { "bad" })
        .body(html! { p.small { (shown(reason)) } }),
        other => Look::plain(html! { (other.name().replace('_', " ")) }),
    }
}

/// How a task ended, in a word.
pub(crate) fn end_word(end: TaskEnd) -> &'static str {
    match end {
        TaskEnd::Merged => "merged",
        TaskEnd::Rejected => "rejected",
        TaskEnd::Cancelled => "cancelled",
        TaskEnd::Failed => "failed",
    }
}

/// What a review says, in words.
pub(crate) fn review_word(verdict: bailiwick_model::action::ReviewVerdict) -> &'static str {
    use bailiwick_model::action::ReviewVerdict;
    match verdict {
        ReviewVerdict::Approve => "approved",
        ReviewVerdict::RequestChanges => "asked for changes",
        ReviewVerdict::Reject => "rejected it",
    }
}

/// Labels of what a session has read.
pub(crate) fn taint_tags(taint: &std::collections::BTreeSet<Taint>) -> Markup {
    html! {
        @for label in taint {
            span.tag.warn[matches!(label, Taint::Instructions | Taint::Secret | Taint::TaskText)] {
                "has read: " (label.name().replace('_', " "))
            } " "
        }
    }
}

/// Everything of a step: what was new in the prompt, the reply, and each call with what it gave.
pub(crate) async fn step_whole(store: &Store, item: &Item, step: &StepItem) -> Markup {
    let said = said(store, step).await;
    let prompt = resolved(store, step.prompt.as_ref()).await;
    let mut calls = Vec::new();
    for call in step.calls.iter().skip(1) {
        let output = match &call.outcome {
            Some(Outcome::Command { output, .. } | Outcome::Agent { output, .. }) => {
                resolved(store, Some(output)).await
            }
            _ => resolved(store, call.told.as_ref()).await,
        };
        calls.push((call, output));
    }
    html! {
        section aria-label={"step " (step.round) "." (step.step)} {
            div.row.small {
                strong { (step.role.name()) } span { "step " (step.round) "." (step.step) }
                (time(item.at)) (entry_link(item.seq))
            }
            @if !said.trim().is_empty() { h3 { "What the model said" } (log(said.trim())) }
            @for (call, output) in &calls {
                h3 { (call.kind.replace('_', " ")) " " @if call.is_refused() { span.tag.bad { "refused" } } }
                ul.calls { (call_line(call)) }
                @if let Some(output) = output { (log(output)) }
            }
            @if let Some(prompt) = prompt {
                details { summary { "What was new in the prompt" } (log(&readable(&prompt))) }
            }
        }
    }
}

/// A payload as text; what can't be read says so.
pub(crate) async fn resolved(store: &Store, payload: Option<&Payload>) -> Option<String> {
    let payload = store.resolve(payload?).await;
    Some(match payload {
        Ok(payload) => String::from_utf8_lossy(payload.bytes().unwrap_or_default()).into_owned(),
        Err(error) => format!("(can't be read: {error})"),
    })
}

/// Messages in JSON as plain text: the texts and tool results in order.
fn readable(json: &str) -> String {
    let Ok(messages) = serde_json::from_str::<Vec<bailiwick_model::chat::Message>>(json) else {
        return json.to_owned();
    };
    let mut out = String::new();
    for block in messages.iter().flat_map(|message| &message.blocks) {
        match block {
            Block::Text { text } => out.push_str(text),
            Block::ToolResult { content, .. } => out.push_str(content),
            Block::ToolUse { name, input, .. } => out.push_str(&format!("{name} {input}")),
            Block::Thinking { .. } => continue,
        }
        out.push_str("\n\n");
    }
    out
}
