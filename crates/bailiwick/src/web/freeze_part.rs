//! The kill switch: what is frozen, freezing, and thawing by a second person.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use bailiwick_engine::EngineError;
use bailiwick_model::freeze::{Freeze, Frozen};
use bailiwick_model::id::{FreezeId, RepoName};
use bailiwick_model::identity::Operation;
use maud::{Markup, html};
use serde::Deserialize;

use super::extract::{Form, Path};
use super::failure::Failure;
use super::text::{shown, time};
use super::visitor::Visitor;
use crate::api::Shared;

/// The section of the platform page.
pub(super) fn section(freezes: &[Freeze], visitor: &Visitor) -> Markup {
    html! {
        section.panel aria-label="Freeze" {
            h2 { "Freeze" }
            @if freezes.is_empty() { p.quiet { "Nothing is frozen." } }
            @for freeze in freezes {
                div.note.bad {
                    p { strong { (shown(&freeze.frozen.to_string())) } " frozen by " (freeze.by) ", " (time(freeze.at)) ": " (shown(&freeze.reason)) }
                    @if visitor.can(Operation::Thaw) {
                        form method="post" action={"/freezes/" (freeze.id) "/thaw"} {
                            (visitor.csrf_field())
                            button type="submit" { "Thaw" } " "
                            span.quiet.small { "by somebody other than " (freeze.by) }
                        }
                    }
                }
            }
            @if visitor.can(Operation::Freeze) {
                form method="post" action="/freezes" {
                    (visitor.csrf_field())
                    div.fields {
                        div {
                            label for="what" { "What stops at once" }
                            select #what name="what" {
                                option value="dispatch" { "starting agents" }
                                option value="push" { "pushes and pull requests" }
                                option value="merge" { "merges" }
                                option value="model" { "one model" }
                                option value="tool" { "one tool" }
                                option value="repo" { "one repository" }
                                option value="all" { "everything" }
                            }
                        }
                        div { label for="name" { "Its name " span.quiet { "(model, tool or repository)" } } input #name name="name"; }
                        div { label for="reason" { "Why" } input #reason name="reason" required maxlength="500"; }
                    }
                    div.actions { button.danger type="submit" data-confirm="Stop this now, in every process?" { "Freeze" } }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct FreezeForm {
    csrf: String,
    what: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
}

fn frozen(form: &FreezeForm) -> Result<Frozen, Failure> {
    let name = form.name.trim().to_owned();
    if matches!(form.what.as_str(), "model" | "tool" | "repo") && name.is_empty() {
        return Err(Failure::bad(
            "it is not said which one is to be frozen, so nothing was",
            "go back and name the model, tool or repository",
        ));
    }
    Ok(match form.what.as_str() {
        "dispatch" => Frozen::Dispatch,
        "push" => Frozen::Push,
        "merge" => Frozen::Merge,
        "model" => Frozen::Model { model: name },
        "tool" => Frozen::Tool { tool: name },
        "repo" => Frozen::Repo { repo: RepoName::parse(&name).map_err(EngineError::from)? },
        "all" => Frozen::All,
        _ => return Err(Failure::bad("that can't be frozen", "choose one from the list")),
    })
}

/// `POST /freezes`.
pub(super) async fn freeze(
    State(shared): State<Shared>,
    visitor: Visitor,
    Form(form): Form<FreezeForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    shared.engine.freeze(visitor.caller(), frozen(&form)?, &form.reason).await?;
    Ok(Redirect::to("/platform").into_response())
}

#[derive(Deserialize)]
pub(super) struct ThawForm {
    csrf: String,
}

/// `POST /freezes/{freeze}/thaw`.
pub(super) async fn thaw(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(freeze): Path<String>,
    Form(form): Form<ThawForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let id: FreezeId = freeze.parse().map_err(EngineError::from)?;
    shared.engine.thaw(visitor.caller(), id, shared.config.platform.single_user).await?;
    Ok(Redirect::to("/platform").into_response())
}
