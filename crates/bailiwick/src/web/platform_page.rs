//! The platform: what it can do on this machine, its repositories, models and sessions.

use axum::extract::State;
use axum::response::Html;
use maud::html;

use super::failure::Failure;
use super::layout::{self, Page};
use super::text::shown;
use super::visitor::Visitor;
use crate::api::Shared;
use crate::operations;
use crate::platform::is_scripted;

/// `GET /platform`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
) -> Result<Html<String>, Failure> {
    let repositories = operations::repositories_of(&shared.engine, &visitor.person).await?;
    let store = &shared.engine.parts().store;
    let problems = store.problems();
    let open = store.open_tasks().await?;
    let freezes = shared.engine.freezes().await?;
    let body = html! {
        h1 { "Platform" }
        section.panel aria-label="State" {
            h2 { "State" }
            dl.facts {
                dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) }
                dt { "Open tasks" } dd { (open.len()) ", at most " (shared.config.task.running_tasks) " worked on at once" }
                dt { "Ledger" } dd { (store.head().size) " entries" }
                dt { "Damaged rows" } dd { @if problems.is_empty() { "none" } @else { span.tag.bad { (problems.len()) } } }
                dt { "Single-user mode" } dd { @if shared.config.platform.single_user { span.tag.warn { "on: requester and approver may be one person" } } @else { "off" } }
                dt { "Content security reports" } dd { (shared.csp_reports.load(std::sync::atomic::Ordering::Relaxed)) }
            }
            @for problem in &problems { p.small { "Entry " (problem.seq) ": " (shown(&problem.reason)) } }
        }
        (super::freeze_part::section(&freezes, &visitor))
        section.panel aria-label="Repositories" {
            h2 { "Repositories" }
            @if repositories.is_empty() { p.quiet { "None yet: " code { "bailiwick repo import PATH" } } } @else {
                div.scroll { table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Protected branch" } th scope="col" { "At" } } }
                    tbody { @for line in &repositories { tr { td { (line.name) } td { (line.branch) } td { code { (super::change_page::short(&line.head)) } } } } }
                } }
            }
        }
        section.panel aria-label="Models" {
            h2 { "Models" }
            @if shared.config.providers.is_empty() { p.quiet { "No provider is configured." } } @else {
                div.scroll { table {
                    thead { tr { th scope="col" { "Provider" } th scope="col" { "Models" } th scope="col" { "Kind" } } }
                    tbody {
                        @for provider in &shared.config.providers {
                            tr { td { (shown(&provider.name)) } td { (shown(&provider.models.keys().cloned().collect::<Vec<_>>().join(", "))) } td { @if is_scripted(provider) { span.tag.warn { "scripted" } } @else { (format!("{:?}", provider.kind).to_lowercase()) } } }
                        }
                    }
                } }
            }
        }
        section.panel aria-label="You" {
            h2 { "You" }
            p { "Signed in as " strong { (visitor.person) } "." }
            form method="post" action="/sign-out" { (visitor.csrf_field()) input type="hidden" name="everywhere" value="1"; button.danger type="submit" data-confirm="End every browser session of yours?" { "Sign out everywhere" } }
        }
    };
    let page = Page::new("/platform", "Platform").json("/api/v1/repositories");
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}
