//! What changed in a pull request since the reader last reviewed it, and nothing else.

use axum::extract::State;
use axum::response::Html;
use maud::html;

use super::change_page::short;
use super::diff_view::{self, Layout, Moved};
use super::extract::Path;
use super::failure::Failure;
use super::layout::{self, Page};
use super::remarks::Margin;
use super::text::{shown, time};
use super::trace_view;
use super::visitor::Visitor;
use crate::api::{Shared, repo_name};
use crate::operations;

/// `GET /changes/{repo}/{number}/since`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path((repo, number)): Path<(String, u64)>,
) -> Result<Html<String>, Failure> {
    let repo = repo_name(&repo)?;
    let view = operations::since(&shared.engine, &visitor.person, &repo, number).await?;
    let layout = Layout { side_by_side: false, ignore_space: false };
    let moved = Moved::find(&view.files);
    let nothing = Margin { findings: Vec::new(), threads: Vec::new(), desk: None };
    let body = html! {
        h1 { (repo) " #" (number) " since your last review" }
        p.quiet {
            "You " (trace_view::review_word(view.review.verdict)) " at " code { (short(&view.from)) } ", " (time(view.review.at))
            "; it is at " code { (short(&view.to)) } " now. " a href={"/changes/" (repo) "/" (number)} { "The whole of it" }
        }
        @if view.base_then != view.base_now {
            div.note.warn { p { "Its base moved meanwhile: what came with the base is shown too." } }
        }
        h2 { "Difference" }
        @if view.files.is_empty() { div.empty { p { "Nothing changed since." } } }
        @for (index, file) in view.files.iter().enumerate() {
            article.file id={"f" (index)} aria-label=(file.path) {
                header { h3 { (shown(&file.path)) } }
                @if file.binary { p.panel.quiet { "No text to show." } }
                @for (nth, hunk) in file.hunks.iter().enumerate() {
                    (diff_view::hunk(hunk, &format!("f{index}h{nth}"), &file.path, None, &nothing, &moved, layout))
                }
            }
        }
    };
    let page = Page::new("/changes", format!("{repo} #{number} since your last review"))
        .json(format!("/api/v1/repositories/{repo}/pulls/{number}/since-review"));
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}
