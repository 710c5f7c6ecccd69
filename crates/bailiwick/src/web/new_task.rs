//! Giving a task: what the policy and the budget allow is shown before the button is pressed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use bailiwick_model::id::RepoName;
use bailiwick_model::task::{ApproverMode, MicroUsd, Source};
use maud::{Markup, html};
use serde::Deserialize;

use super::extract::{Form, Query};
use super::failure::Failure;
use super::layout::{self, Page};
use super::text::shown;
use super::visitor::Visitor;
use crate::api::Shared;
use crate::operations::{self, CreateTaskParams, RepositoryLine, TaskDefaults};
use crate::platform::is_scripted;

#[derive(Default, Deserialize)]
pub(super) struct TaskForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    repo: String,
    #[serde(default)]
    budget: String,
    #[serde(default)]
    route: String,
    #[serde(default)]
    checks: String,
    #[serde(default)]
    untrusted: Option<String>,
}

/// `GET /tasks/new`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Query(form): Query<TaskForm>,
) -> Result<Html<String>, Failure> {
    let repositories = operations::repositories_of(&shared.engine, &visitor.person).await?;
    Ok(Html(page(&shared, &visitor, &repositories, &form, None)))
}

/// The repository that a text names, when it names one.
fn suggested<'a>(repositories: &'a [RepositoryLine], text: &str) -> Option<&'a str> {
    let text = text.to_lowercase();
    repositories
        .iter()
        .map(|line| line.name.as_str())
        .filter(|name| text.contains(&name.to_lowercase()))
        .max_by_key(|name| name.len())
}

fn page(
    shared: &Shared,
    visitor: &Visitor,
    repositories: &[RepositoryLine],
    form: &TaskForm,
    problem: Option<(&str, &str)>,
) -> String {
    let chosen = if form.repo.is_empty() {
        suggested(repositories, &form.text).unwrap_or_default()
    } else {
        &form.repo
    };
    let body = html! {
        h1 { "New task" }
        @if let Some((message, hint)) = problem { div.note.bad role="alert" { p { strong { (shown(message)) } } p { (shown(hint)) } } }
        @if repositories.is_empty() {
            div.note.warn { p { "No repository is here yet. Bring one in with " code { "bailiwick repo import PATH" } "." } }
        }
        @if shared.config.providers.is_empty() {
            div.note.warn { p { "No model provider is configured, so a task could not start. " code { "docs/configuration.md" } " says how to add one." } }
        }
        form method="post" action="/tasks/new" {
            (visitor.csrf_field())
            label for="text" { "What is to be done" }
            textarea #text name="text" required rows="8" maxlength="60000" aria-describedby="text-help" { (form.text) }
            p #text-help .quiet.small { "Say what should be different afterwards, and how you would notice. An agent reads it; so does whoever reviews the result." }
            div.fields {
                div {
                    label for="repo" { "Repository" }
                    select #repo name="repo" required {
                        @for line in repositories { option value=(line.name) selected[line.name.as_str() == chosen] { (line.name) " (" (line.branch) ")" } }
                    }
                }
                div {
                    label for="budget" { "Budget in US dollars" }
                    input #budget name="budget" inputmode="decimal" value=(if form.budget.is_empty() { dollars(shared.config.task.budget_micro_usd) } else { form.budget.clone() });
                }
                div { label for="route" { "Model" } (routes(shared, &form.route)) }
            }
            details open[!form.checks.is_empty()] {
                summary { "Acceptance checks" }
                label for="checks" { "One command a line, run on a clean checkout; each must succeed" }
                textarea #checks name="checks" rows="3" { (form.checks) }
            }
            label { input type="checkbox" name="untrusted" value="1" checked[form.untrusted.is_some()]; " The text comes from outside (an issue, a mail): treat it as untrusted" }
            (allowance(shared))
            div.actions { button.primary type="submit" disabled[repositories.is_empty()] { "Give the task" } a href="/tasks" { "Cancel" } }
        }
    };
    layout::page(&Page::new("/tasks", "New task").narrow(), visitor, &body).into_string()
}

fn routes(shared: &Shared, chosen: &str) -> Markup {
    html! {
        select #route name="route" {
            @for provider in &shared.config.providers {
                @let models = provider.models.keys().cloned().collect::<Vec<_>>();
                @if models.is_empty() { option value=(provider.name) selected[chosen == provider.name] { (provider.name) } }
                @for model in models {
                    @let value = format!("{}/{}", provider.name, model);
                    option value=(value) selected[chosen == value] { (value) @if is_scripted(provider) { " (scripted)" } }
                }
            }
        }
    }
}

/// What will be allowed, before the button is pressed.
fn allowance(shared: &Shared) -> Markup {
    html! {
        div.panel {
            h2 { "What happens then" }
            ul {
                li { "Agents work in sandboxes without a network, on a copy of the repository. They cannot push." }
                li { "The most it may cost is the budget; each model call is set aside before it is made." }
                li { "Gates and a verifier judge the result on clean checkouts." }
                li {
                    @if shared.config.platform.single_user { "You may approve your own change: this platform is in single-user mode, and the pull request says so." }
                    @else { "Somebody other than you has to approve the pull request before it is merged." }
                }
            }
        }
    }
}

fn dollars(amount: MicroUsd) -> String {
    amount.to_string().trim_start_matches('$').to_owned()
}

/// Reads `5`, `0.25` or `$5`.
fn budget(text: &str) -> Option<MicroUsd> {
    let text = text.trim().trim_start_matches('$');
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    Some(MicroUsd(whole.checked_mul(1_000_000)?.checked_add(part)?))
}

/// `POST /tasks/new`.
pub(super) async fn create(
    State(shared): State<Shared>,
    visitor: Visitor,
    Form(form): Form<TaskForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let repositories = operations::repositories_of(&shared.engine, &visitor.person).await?;
    match submit(&shared, &visitor, &form).await {
        Ok(id) => Ok(Redirect::to(&format!("/tasks/{id}")).into_response()),
        Err(failure) => {
            let (status, message, hint) = failure.parts();
            let page = page(&shared, &visitor, &repositories, &form, Some((message, hint)));
            let status =
                if status.is_server_error() { status } else { StatusCode::UNPROCESSABLE_ENTITY };
            Ok((status, Html(page)).into_response())
        }
    }
}

async fn submit(
    shared: &Shared,
    visitor: &Visitor,
    form: &TaskForm,
) -> Result<bailiwick_model::id::TaskId, Failure> {
    let repo = RepoName::parse(&form.repo)
        .map_err(|error| Failure::bad(&error.to_string(), "choose one of the repositories"))?;
    let budget = budget(&form.budget).ok_or_else(|| {
        Failure::bad("the budget is not an amount in US dollars", "write it like 5 or 0.25")
    })?;
    let (provider, model) = match form.route.split_once('/') {
        Some((provider, model)) => (Some(provider), Some(model)),
        None => (Some(form.route.as_str()).filter(|name| !name.is_empty()), None),
    };
    let (provider, model) = shared
        .config
        .route(provider, model)
        .map_err(|error| Failure::bad(&error.to_string(), error.hint()))?;
    let checks: Vec<bailiwick_model::plan::Check> = form
        .checks
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| bailiwick_model::plan::Check {
            name: line.to_owned(),
            command: line.to_owned(),
        })
        .collect();
    let params = CreateTaskParams {
        narrow: Vec::new(),
        text: form.text.replace("\r\n", "\n"),
        repo,
        branch: None,
        checks: Some(checks).filter(|checks| !checks.is_empty()),
        untrusted: form.untrusted.is_some(),
        provider: None,
        model: None,
        agent: None,
        budget_micro_usd: Some(budget),
    };
    let defaults = TaskDefaults {
        single_user: shared.config.platform.single_user,
        approver: ApproverMode::Human,
        source: Source::Api,
        budget,
        scripted: is_scripted(&provider),
        provider: provider.name,
        model,
        agent: shared.config.task.agent.clone(),
    };
    let created =
        operations::create_task(&shared.engine, &visitor.person, params, defaults).await?;
    shared.enqueue(created.id);
    Ok(created.id)
}

#[cfg(test)]
mod tests {
    use super::budget;
    use bailiwick_model::task::MicroUsd;

    #[test]
    fn an_amount_is_read_exactly_or_not_at_all() {
        assert_eq!(budget("5"), Some(MicroUsd(5_000_000)));
        assert_eq!(budget("$0.25"), Some(MicroUsd(250_000)));
        assert_eq!(budget("0.000001"), Some(MicroUsd(1)));
        for bad in ["", "-1", "1.0000001", "1e9", "five", "1,5", "99999999999999999999"] {
            assert_eq!(budget(bad), None, "{bad}");
        }
    }
}
