//! What waits for a person, what runs, and what ended last.

use axum::extract::State;
use axum::response::Html;
use bailiwick_model::identity::Operation;
use maud::html;

use super::failure::Failure;
use super::layout::{self, Page};
use super::task_page;
use super::text::shown;
use super::visitor::Visitor;
use crate::api::Shared;
use crate::operations;

/// `GET /`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
) -> Result<Html<String>, Failure> {
    let reads = crate::readable::reads(&shared.engine, &visitor.person);
    let fits = |state: &bailiwick_model::workflow::TaskState| reads(&state.task.repo);
    let found = operations::search_tasks(&shared.engine, None, 100, fits).await?;
    let (waiting, rest): (Vec<_>, Vec<_>) = found
        .tasks
        .into_iter()
        .partition(|line| matches!(line.standing.as_str(), "waits for review" | "needs an answer"));
    let (running, mut ended): (Vec<_>, Vec<_>) = rest.into_iter().partition(|line| {
        matches!(line.standing.as_str(), "running" | "paused" | "waits for approval")
    });
    ended.truncate(10);
    let asked = crate::approvals::list_of(&shared.engine, &visitor.person, false);
    let nothing = asked.is_empty() && waiting.is_empty() && running.is_empty() && ended.is_empty();
    let body = html! {
        h1 { "Home" }
        @if nothing {
            div.empty {
                p { "Nothing has been asked for yet." }
                p { "Give an agent a task; it comes back as a pull request with evidence, and you decide." }
                @if visitor.can(Operation::TaskCreate) { p { a.button.primary href="/tasks/new" { "New task" } } }
            }
        } @else {
            section aria-label="Waits for a person" {
                h2 { "Waits for a person" }
                @if !asked.is_empty() { (super::approval_page::table(&asked)) }
                @if waiting.is_empty() && asked.is_empty() { p.quiet { "Nothing waits." } } @else {
                    ul {
                        @for line in &waiting {
                            li { a href={"/tasks/" (line.id)} { (shown(&line.title)) } " " (task_page::standing_tag(&line.standing)) " " span.quiet { (line.repo) } }
                        }
                    }
                    p { a.button href="/changes" { "Open reviews" } }
                }
            }
            section aria-label="Running" {
                h2 { "Running" }
                @if running.is_empty() { p.quiet { "Nothing runs." } } @else { (task_page::table(&running)) }
            }
            section aria-label="Ended last" {
                h2 { "Ended last" }
                @if ended.is_empty() { p.quiet { "Nothing yet." } } @else { (task_page::table(&ended)) }
            }
        }
    };
    let page = Page::new("/", "Home").json("/api/v1/tasks");
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}
