//! Approvals: exactly what would happen, who may answer, once or for how long, and what it means.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use bailiwick_engine::EngineError;
use bailiwick_model::approval::{ApprovalStatus, ApprovalUse, ApprovalVerdict};
use bailiwick_model::id::ApprovalId;
use bailiwick_model::identity::Operation;
use bailiwick_model::payload::Digest;
use maud::{Markup, html};
use serde::Deserialize;

use super::extract::{Form, Path, Query};
use super::failure::Failure;
use super::layout::{self, Page};
use super::text::{log, shown, time};
use super::visitor::Visitor;
use crate::api::Shared;
use crate::approvals::{self, AnswerParams, ApprovalView};

fn status_tag(status: ApprovalStatus) -> Markup {
    let tone = match status {
        ApprovalStatus::Open => "warn",
        ApprovalStatus::Granted | ApprovalStatus::Spent => "good",
        ApprovalStatus::Denied => "bad",
        ApprovalStatus::Expired | ApprovalStatus::Void => "",
    };
    html! { span class={ "tag " (tone) } { (status.name()) } }
}

#[derive(Deserialize)]
pub(super) struct ListParams {
    #[serde(default)]
    all: Option<String>,
}

/// `GET /approvals`: what is asked of people.
pub(super) async fn list(
    State(shared): State<Shared>,
    visitor: Visitor,
    Query(params): Query<ListParams>,
) -> Html<String> {
    let all = params.all.is_some();
    let found = approvals::list_of(&shared.engine, &visitor.person, all);
    let body = html! {
        h1 { "Approvals" }
        nav.row.small aria-label="Which" {
            a href="/approvals" aria-current=[(!all).then_some("true")] { "open" }
            a href="/approvals?all=1" aria-current=[all.then_some("true")] { "all" }
        }
        @if found.is_empty() {
            div.empty { p { "Nobody is asked for anything." } p { "What a rule of the policy lets happen only after a person has agreed waits here." } }
        } @else { (table(&found)) }
    };
    let page = Page::new("/approvals", "Approvals").json("/api/v1/approvals");
    Html(layout::page(&page, &visitor, &body).into_string())
}

/// A table of requests.
pub(crate) fn table(views: &[ApprovalView]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "What" } th scope="col" { "State" } th scope="col" { "Asked of" } th scope="col" { "For" } th scope="col" { "Lapses" } } }
            tbody {
                @for view in views {
                    tr.rowlink {
                        td { a href={"/approvals/" (view.id)} { (view.kind.replace('_', " ")) " " (super::text::line(&view.summary, 100)) } }
                        td { (status_tag(view.status)) }
                        td { (groups(view)) }
                        td { (view.requester) }
                        td { (time(view.expires_at)) }
                    }
                }
            }
        } }
    }
}

fn groups(view: &ApprovalView) -> String {
    let needs = view.needs.iter().map(|need| match need.quorum {
        0 | 1 => need.group.clone(),
        quorum => format!("{quorum} of {}", need.group),
    });
    needs.collect::<Vec<_>>().join(" and ")
}

/// `GET /approvals/{approval}`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(approval): Path<String>,
) -> Result<Html<String>, Failure> {
    let view = approvals::show(&shared.engine, id(&approval)?).await?;
    let whole = serde_json::to_string_pretty(&view.action).map_err(anyhow::Error::from)?;
    let may = visitor.can(Operation::ApprovalAnswer) && view.status == ApprovalStatus::Open;
    let body = html! {
        div.row { h1 { "May this be done?" } (status_tag(view.status)) }
        div.note.warn { p { (shown(&view.reason)) } p.small { "Asked by " @for rule in &view.rules { code { (rule) } " " } } }
        section.panel aria-label="What would happen" {
            h2 { "Exactly what would happen" }
            dl.facts {
                dt { "Action" } dd { (view.kind.replace('_', " ")) ": " code { (shown(&view.summary)) } }
                dt { "Done by" } dd { "the " (view.role) ", for " strong { (view.requester) } }
                dt { "Repository" } dd { (view.repo) @if let Some(tree) = &view.tree { ", on the tree " code { (super::change_page::short(tree)) } } }
                @if let Some(task) = view.task { dt { "Task" } dd { a href={"/tasks/" (task)} { "with its trace" } } }
                dt { "Asked of" } dd { (groups(&view)) }
                dt { "Asked" } dd { (time(view.asked_at)) }
                dt { "Lapses" } dd { (time(view.expires_at)) ", answered or not" }
                dt { "Bound to" } dd { code { (view.digest) } }
            }
            @for (name, text) in &view.texts {
                h3 { @match name.as_str() { "old" => { "What is replaced" } "new" => { "What comes in its place" } _ => { "What would stand there" } } }
                (log(text))
            }
            details open { summary { "As it is recorded" } (log(&whole)) }
        }
        @if !view.answers.is_empty() {
            section.panel aria-label="Answers" {
                h2 { "Answers" }
                ul {
                    @for answer in &view.answers {
                        li {
                            strong { (answer.by) }
                            @if let Some(person) = &answer.for_person { " for " (person) }
                            @match answer.verdict {
                                ApprovalVerdict::Grant => { " granted, " @match answer.usage { ApprovalUse::Once => { "once" } ApprovalUse::Repeated => { "repeatedly" } } }
                                ApprovalVerdict::Deny => { " denied" }
                            }
                            @if !answer.note.is_empty() { ": " (shown(&answer.note)) }
                        }
                    }
                }
                p.quiet { "Used " (view.uses) " times." }
            }
        }
        @if may { (form(&view, &visitor)) }
        @else if view.status == ApprovalStatus::Open { p.quiet { "Who is in " (groups(&view)) " and may approve can answer." } }
    };
    let page = Page::new("/approvals", "May this be done?")
        .json(format!("/api/v1/approvals/{}", view.id))
        .narrow();
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}

fn form(view: &ApprovalView, visitor: &Visitor) -> Markup {
    html! {
        form.panel method="post" action={"/approvals/" (view.id) "/answer"} aria-label="Your answer" {
            (visitor.csrf_field())
            input type="hidden" name="digest" value=(view.digest);
            h2 { "Your answer" }
            fieldset {
                legend { "How often" }
                label { input type="radio" name="usage" value="once" checked; " Once: " span.quiet { (view.once_means) } }
                label { input type="radio" name="usage" value="repeated"; " Repeatedly: " span.quiet { (view.repeated_means) } }
            }
            label for="note" { "Why " span.quiet { "(recorded)" } }
            input #note name="note" maxlength="1000";
            div.actions {
                button.primary name="verdict" value="grant" type="submit" { "Allow it" }
                button.danger name="verdict" value="deny" type="submit" { "Refuse it" }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct AnswerForm {
    csrf: String,
    verdict: ApprovalVerdict,
    usage: ApprovalUse,
    digest: Digest,
    #[serde(default)]
    note: String,
}

/// `POST /approvals/{approval}/answer`.
pub(super) async fn answer(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(approval): Path<String>,
    Form(form): Form<AnswerForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let id = id(&approval)?;
    let params = AnswerParams {
        verdict: form.verdict,
        usage: form.usage,
        digest: form.digest,
        note: form.note,
    };
    let view = approvals::answer(&shared.engine, visitor.caller(), id, params).await?;
    if let Some(task) = view.task {
        shared.enqueue(task);
    }
    Ok(Redirect::to(&format!("/approvals/{id}")).into_response())
}

fn id(text: &str) -> Result<ApprovalId, Failure> {
    Ok(text.parse().map_err(EngineError::from)?)
}
