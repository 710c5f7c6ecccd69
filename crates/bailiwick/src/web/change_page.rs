//! Pull requests: the list, and one with the agent's trace beside the difference.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use bailiwick_engine::{ChangeView, FileView};
use bailiwick_model::action::{MergeMethod, ReviewVerdict};
use bailiwick_model::evidence::{Finding, GateReport, RiskBand};
use bailiwick_model::id::Oid;
use bailiwick_model::identity::Operation;
use bailiwick_model::remark::ThreadState;
use maud::{Markup, html};
use serde::Deserialize;

use super::diff_view::{self, Layout, Moved};
use super::extract::{Form, Path, Query};
use super::failure::Failure;
use super::layout::{self, Page};
use super::remarks::{self, Desk, Margin};
use super::text::{self, duration, shown, time};
use super::trace_view::{self, gate_tag};
use super::visitor::Visitor;
use crate::api::{Shared, repo_name};
use crate::operations::{self, ReviewParams};

fn state_tag(state: &str) -> Markup {
    let tone = match state {
        "merged" => "good",
        "open" => "warn",
        _ => "bad",
    };
    html! { span class={ "tag " (tone) } { (state) } }
}

/// `GET /changes`: every pull request, open ones first.
pub(super) async fn list(
    State(shared): State<Shared>,
    visitor: Visitor,
) -> Result<Html<String>, Failure> {
    let mut lines = Vec::new();
    for repository in operations::repositories_of(&shared.engine, &visitor.person).await? {
        lines.extend(operations::changes(&shared.engine, &repository.name).await?);
    }
    lines.sort_by_key(|line| (line.state != "open", std::cmp::Reverse(line.number)));
    let body = html! {
        h1 { "Reviews" }
        @if lines.is_empty() { div.empty { p { "No pull request yet. They come from tasks." } @if visitor.can(Operation::TaskCreate) { p { a.button href="/tasks/new" { "New task" } } } } }
        @else {
            div.scroll { table {
                thead { tr { th scope="col" { "Pull request" } th scope="col" { "State" } th scope="col" { "Into" } th scope="col" { "Commit" } } }
                tbody { @for line in &lines { tr.rowlink {
                    td { a href={"/changes/" (line.repo) "/" (line.number)} { (line.repo) " #" (line.number) " " (shown(&line.title)) } }
                    td { (state_tag(&line.state)) }
                    td { (line.base) }
                    td { code { (short(&line.head)) } }
                } } }
            } }
        }
    };
    Ok(Html(layout::page(&Page::new("/changes", "Reviews"), &visitor, &body).into_string()))
}

pub(crate) fn short(oid: &Oid) -> String {
    oid.as_str().chars().take(10).collect()
}

#[derive(Deserialize)]
pub(super) struct ShowParams {
    step: Option<u64>,
    #[serde(default)]
    view: String,
    #[serde(default)]
    space: String,
}

/// `GET /changes/{repo}/{number}`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path((repo, number)): Path<(String, u64)>,
    Query(params): Query<ShowParams>,
) -> Result<Html<String>, Failure> {
    let repo = repo_name(&repo)?;
    let view = operations::change(&shared.engine, &repo, number).await?;
    let layout =
        Layout { side_by_side: params.view == "split", ignore_space: params.space == "ignore" };
    let chosen = match params.step {
        Some(seq) => super::parts::step(&shared, seq).await?,
        None => None,
    };
    let path = format!("/changes/{repo}/{number}");
    let order = reading_order(&view);
    let desk = Desk::of(&view, &visitor, &path);
    let moved = Moved::find(&view.files);
    let body = html! {
        div.row {
            h1 { (repo) " #" (number) " " (shown(&view.title)) }
            (state_tag(&view.state))
            @if view.scripted { span.tag.warn { "scripted model" } }
            @if view.single_user { span.tag.warn { "single-user mode" } }
        }
        p.quiet {
            "Asked for by " (view.requester) ", " code { (view.branch) } " into " code { (view.base) }
            " at " code { (short(&view.head)) } ", task " a href={"/tasks/" (view.task)} { "with its trace" }
            @if let Some(merged) = &view.merged { ", merged as " code { (short(merged)) } }
        }
        (evidence(&view))
        @if view.state == "open" && visitor.can(Operation::ChangeReview) { (review_form(&view, &visitor, &path)) }
        (approvals(&view))
        @if let Some(review) = view.reviews.iter().rev().find(|review| review.reviewer == visitor.person && review.head != view.head) {
            p { a href={(path) "/since"} { "What changed since your last review" } span.quiet { " at " code { (short(&review.head)) } } }
        }
        (remarks::earlier(&view, desk))
        nav.row.small aria-label="How the difference is shown" {
            (switch(&path, &params, "view", "", "unified")) (switch(&path, &params, "view", "split", "side by side"))
            (switch(&path, &params, "space", "", "all white space")) (switch(&path, &params, "space", "ignore", "ignore white space"))
            @if moved.lines() > 0 { span { (moved.lines()) " lines only moved" } }
            span.quiet { kbd { "j" } kbd { "k" } " hunks, " kbd { "n" } kbd { "p" } " files, " kbd { "c" } " comment, " kbd { "a" } " decide, " kbd { "?" } " all keys" }
        }
        review-keys {
            div.review {
                nav aria-label="Files, in the order to read them" {
                    h2 { "Files" }
                    ol.files {
                        @for (index, file) in order.iter().enumerate() {
                            li { a href={"#f" (index)} { (shown(&file.path)) } (counts(file)) }
                        }
                    }
                }
                div {
                    h2.sr { "Difference" }
                    @if order.is_empty() { div.empty { p { "Nothing differs." } } }
                    @for (index, file) in order.iter().enumerate() { (file_part(&view, file, index, &moved, (layout, desk))) }
                }
                aside aria-label="The step that made it" {
                    h2 { "Trace" }
                    div #step-pane aria-live="polite" {
                        @if let Some(part) = &chosen { (part) }
                        @else { p.quiet { "Choose the step of a hunk: its prompt, its calls and their output come here." } }
                    }
                    h3 { "Steps" }
                    ol.small {
                        @for step in &view.steps {
                            li { a href={"?step=" (step.entry)} data-step=(step.entry) { "step " (step.name) } " " span.quiet { (step.tools.join(", ")) } }
                        }
                    }
                }
            }
        }
    };
    let page = Page::new("/changes", format!("{repo} #{number}"))
        .json(format!("/api/v1/repositories/{repo}/pulls/{number}"));
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}

fn switch(path: &str, params: &ShowParams, name: &str, value: &str, label: &str) -> Markup {
    let is = match name {
        "view" => params.view == value,
        _ => params.space == value,
    };
    let (view, space) = match name {
        "view" => (value, params.space.as_str()),
        _ => (params.view.as_str(), value),
    };
    html! { a href={(path) "?view=" (view) "&space=" (space)} aria-current=[is.then_some("true")] { (label) } }
}

fn counts(file: &FileView) -> Markup {
    let count = |sign: char| {
        file.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.sign == sign).count()
    };
    html! { span.nowrap.quiet { "+" (count('+')) " −" (count('-')) } }
}

/// Files in the order to read them: what gates found something in first, then sources, then
/// tests, and what programs made last.
fn reading_order(view: &ChangeView) -> Vec<&FileView> {
    let mut files: Vec<&FileView> = view.files.iter().collect();
    files.sort_by_key(|file| {
        let found = findings_of(view, &file.path).len();
        let lower = file.path.to_lowercase();
        let group = if found > 0 {
            0
        } else if diff_view::is_generated(&file.path) {
            4
        } else if lower.contains("test") || lower.contains("spec") {
            2
        } else if lower.ends_with(".md") || lower.starts_with("docs/") {
            3
        } else {
            1
        };
        (group, std::cmp::Reverse(found), file.path.clone())
    });
    files
}

fn findings_of<'a>(view: &'a ChangeView, path: &str) -> Vec<&'a Finding> {
    view.gates
        .iter()
        .flat_map(|gate| &gate.findings)
        .filter(|finding| finding.path.as_deref().is_some_and(|at| path.ends_with(at)))
        .collect()
}

fn file_part(
    view: &ChangeView,
    file: &FileView,
    index: usize,
    moved: &Moved,
    (layout, desk): (Layout, Option<Desk<'_>>),
) -> Markup {
    let found = findings_of(view, &file.path);
    let path = file.new_or_old_path();
    let threads: Vec<_> = view
        .threads
        .iter()
        .filter(|thread| thread.head == view.head && thread.path == path)
        .collect();
    let open = threads.iter().filter(|thread| thread.state == ThreadState::Open).count();
    let beside = Margin { findings: found.clone(), threads, desk };
    let hunks = html! {
        @if file.binary { p.panel.quiet { "No text to show." } }
        @for (nth, hunk) in file.hunks.iter().enumerate() {
            @let links = hunk.steps.iter().filter_map(|name| {
                let step = view.steps.iter().find(|step| step.name == *name)?;
                Some((name.clone(), step.entry))
            }).collect::<Vec<_>>();
            (diff_view::hunk(hunk, &format!("f{index}h{nth}"), path, Some(&links), &beside, moved, layout))
        }
    };
    html! {
        article.file id={"f" (index)} aria-label=(file.path) {
            @if diff_view::is_generated(&file.path) {
                details { summary { h3 { (shown(&file.path)) } (counts(file)) span.tag { "made by a program" } } (hunks) }
            } @else {
                header { h3 { (shown(&file.path)) } (counts(file)) @if !found.is_empty() { span.tag.bad { (found.len()) " findings" } } @if open > 0 { span.tag.warn { (open) " open remarks" } } }
                (hunks)
            }
        }
    }
}

fn evidence(view: &ChangeView) -> Markup {
    html! {
        div.split {
            section.panel aria-label="Evidence" {
                h2 { "Evidence" }
                @if view.gates.is_empty() { p.quiet { "No gate has reported on this commit." } }
                @for gate in &view.gates { (gate_part(view, gate)) }
            }
            section.panel aria-label="Risk" {
                h2 { "Risk" }
                @match &view.risk {
                    Some(risk) => {
                        p.row {
                            strong { (risk.score) " of 100" }
                            @match risk.band {
                                RiskBand::Low => { span.tag.good { "low" } }
                                RiskBand::Medium => { span.tag.warn { "medium" } }
                                RiskBand::High => { span.tag.bad { "high" } }
                            }
                        }
                        p.small { "It " (risk.autonomy.as_str()) "." }
                        @if !risk.owners.is_empty() {
                            p.small { "Owners: " (shown(&risk.owners.join(", "))) }
                        }
                        ul.small { @for signal in &risk.signals { li { "+" (signal.points) " " (shown(&signal.reason)) } } }
                        @if risk.signals.is_empty() { p.quiet.small { "No signal." } }
                    }
                    None => { p.quiet { "Not scored." } }
                }
            }
        }
    }
}

fn gate_part(view: &ChangeView, gate: &GateReport) -> Markup {
    html! {
        h3 { (gate.gate) " " (gate_tag(gate.state)) }
        p.small { (shown(&gate.summary)) }
        (trace_view::findings(&gate.findings))
        @for proof in &gate.evidence {
            div.small.row {
                code { (shown(&proof.command)) }
                span { @match proof.exit_code { Some(0) => { span.tag.good { "exit 0" } } Some(code) => { span.tag { "exit " (code) } } None => { span.tag.bad { "did not end" } } } }
                @if let Some(counts) = &proof.counts { span { (counts.passed) " passed, " (counts.failed) " failed" } }
                span.quiet { (shown(&proof.name)) ", on " code { (short(&proof.commit)) } ", " (duration(proof.duration_ms)) }
                @if proof.commit != view.head && proof.name.contains("after") { span.tag.warn { "not on the commit shown" } }
            }
        }
    }
}

fn approvals(view: &ChangeView) -> Markup {
    html! {
        @for review in view.reviews.iter().filter(|review| !review.body.is_empty()) {
            div.note {
                p.small {
                    strong { (review.reviewer) } " " (trace_view::review_word(review.verdict)) " at " code { (short(&review.head)) } ", " (time(review.at))
                    @if review.head != view.head { " " span.tag { "an earlier commit" } }
                }
                (text::log(&review.body))
            }
        }
        @for approval in &view.approvals {
            div.note.good { p { "Approved by " strong { (approval.reviewer) } " at " code { (short(&approval.head)) } @if approval.simulated { " (simulated: nobody was asked)" } } }
        }
    }
}

fn review_form(view: &ChangeView, visitor: &Visitor, path: &str) -> Markup {
    let own = view.requester == visitor.person && !view.single_user;
    let approved = !view.approvals.is_empty();
    html! {
        section.panel #decide aria-label="Your decision" {
            h2 { "Your decision" }
            p.small.quiet { "It is about exactly " code { (view.head) } ". A changed commit or a moved base makes an approval void." }
            @if own { div.note.warn { p { "You asked for this change, so somebody else approves it. You can send it back or reject it." } } }
            form method="post" action={(path) "/review"} #review-form {
                (visitor.csrf_field())
                input type="hidden" name="head" value=(view.head);
                label for="body" { "Remarks " span.quiet { "(needed to ask for changes, unless there are open remarks on lines; the agent takes up both)" } }
                textarea #body name="body" {}
                div.actions {
                    @if !own { button.primary name="verdict" value="approve" type="submit" { "Approve" } }
                    button name="verdict" value="request_changes" type="submit" { "Ask for changes" }
                    button.danger name="verdict" value="reject" type="submit" data-confirm="Give this change up for good?" { "Reject" }
                }
            }
            @if approved {
                form method="post" action={(path) "/merge"} {
                    (visitor.csrf_field())
                    div.actions { button.primary type="submit" { "Merge" } span.quiet.small { "The platform merges exactly what was gated and approved." } }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ReviewForm {
    csrf: String,
    head: Oid,
    verdict: ReviewVerdict,
    #[serde(default)]
    body: String,
}

/// `POST /changes/{repo}/{number}/review`.
pub(super) async fn review(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path((repo, number)): Path<(String, u64)>,
    Form(form): Form<ReviewForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let repo = repo_name(&repo)?;
    let params = ReviewParams {
        verdict: form.verdict,
        head: form.head,
        body: form.body.replace("\r\n", "\n"),
    };
    operations::review(&shared.engine, &visitor.person, &repo, number, params).await?;
    Ok(Redirect::to(&format!("/changes/{repo}/{number}")).into_response())
}

#[derive(Deserialize)]
pub(super) struct MergeForm {
    csrf: String,
}

/// `POST /changes/{repo}/{number}/merge`.
pub(super) async fn merge(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path((repo, number)): Path<(String, u64)>,
    Form(form): Form<MergeForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let repo = repo_name(&repo)?;
    let id =
        shared.engine.request_merge(&repo, number, &visitor.person, MergeMethod::default()).await?;
    shared.enqueue(id);
    Ok(Redirect::to(&format!("/changes/{repo}/{number}")).into_response())
}
