//! Tasks: the list, one with its live timeline, and what a person can do to it.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use bailiwick_engine::EngineError;
use bailiwick_model::event::Stage;
use bailiwick_model::id::{SubtaskKey, TaskId};
use bailiwick_model::identity::Operation;
use bailiwick_model::workflow::{StageState, TaskState};
use maud::{Markup, html};
use serde::Deserialize;

use super::extract::{Form, Path, Query};
use super::failure::Failure;
use super::layout::{self, Page};
use super::text::{duration, shown, time};
use super::trace_view::{self, taint_tags};
use super::visitor::Visitor;
use crate::api::Shared;
use crate::operations::{self, TaskLine};

/// How many items a page begins with; the earlier ones are a link away.
const SHOWN_ITEMS: usize = 300;
/// How many tasks a page lists.
const PAGE: usize = 50;

/// A word on where a task stands, coloured.
pub(crate) fn standing_tag(standing: &str) -> Markup {
    let tone = match standing {
        "merged" => "good",
        "failed" | "rejected" | "cancelled" => "bad",
        "running" => "info",
        _ => "warn",
    };
    html! { span class={ "tag " (tone) } { (standing) } }
}

/// A table of tasks.
pub(crate) fn table(lines: &[TaskLine]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th scope="col" { "Task" } th scope="col" { "State" } th scope="col" { "Repository" } th.num scope="col" { "Cost" } th scope="col" { "Accepted" } } }
                tbody {
                    @for line in lines {
                        tr.rowlink {
                            td { a href={"/tasks/" (line.id)} { (shown(&line.title)) } @if line.scripted { " " span.tag.warn { "scripted model" } } }
                            td { (standing_tag(&line.standing)) }
                            td { (line.repo) }
                            td.num { (line.cost) }
                            td { (time(line.created_at)) }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ListParams {
    #[serde(default)]
    state: String,
    #[serde(default)]
    repo: String,
    #[serde(default)]
    q: String,
    before: Option<u64>,
}

const STATES: [&str; 9] = [
    "running",
    "paused",
    "waits for review",
    "waits for approval",
    "needs an answer",
    "merged",
    "rejected",
    "cancelled",
    "failed",
];

/// `GET /tasks`.
pub(super) async fn list(
    State(shared): State<Shared>,
    visitor: Visitor,
    Query(params): Query<ListParams>,
) -> Result<Html<String>, Failure> {
    let wanted = params.q.to_lowercase();
    let filters = !params.state.is_empty() || !params.repo.is_empty() || !wanted.is_empty();
    let reads = crate::readable::reads(&shared.engine, &visitor.person);
    let found = operations::search_tasks(&shared.engine, params.before, PAGE, |state| {
        reads(&state.task.repo)
            && (params.state.is_empty() || operations::standing(state) == params.state)
            && (params.repo.is_empty() || state.task.repo.as_str() == params.repo)
            && (wanted.is_empty() || state.task.text.to_lowercase().contains(&wanted))
    })
    .await?;
    let body = html! {
        h1 { "Tasks" }
        form.filter method="get" action="/tasks" role="search" {
            div { label for="q" { "Words" } input #q type="search" name="q" value=(params.q); }
            div {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" { "any" }
                    @for state in STATES { option value=(state) selected[state == params.state] { (state) } }
                }
            }
            div { label for="repo" { "Repository" } input #repo name="repo" value=(params.repo); }
            button type="submit" { "Filter" }
            @if filters { a.button href="/tasks" { "All" } }
        }
        @if found.tasks.is_empty() {
            div.empty {
                @if filters { p { "No task fits. " a href="/tasks" { "Show all" } "." } }
                @else { p { "No task yet." } @if visitor.can(Operation::TaskCreate) { p { a.button.primary href="/tasks/new" { "Give the first one" } } } }
            }
        } @else { (table(&found.tasks)) }
        @if let Some(next) = found.next {
            p { a rel="next" href={"/tasks?before=" (next) "&state=" (params.state) "&repo=" (params.repo) "&q=" (params.q)} { "Older" } }
        }
    };
    let page = Page::new("/tasks", "Tasks").json("/api/v1/tasks");
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}

fn stage_class(state: StageState) -> &'static str {
    match state {
        StageState::Pending => "pending",
        StageState::Running => "running",
        StageState::Done => "done",
        StageState::Failed => "failed",
    }
}

/// The part of the page that changes with each entry: stages, cost, questions, pull requests.
pub(crate) fn head(state: &TaskState) -> Markup {
    html! {
        ol.stages aria-label="Stages" {
            @for stage in Stage::ALL {
                @if let Some(progress) = state.stages.get(&stage) {
                    li class=(stage_class(progress.state)) {
                        (stage.name().replace('_', " ")) br;
                        span.quiet { (stage_class(progress.state)) @if progress.ms > 0 { ", " (duration(progress.ms)) } }
                    }
                }
            }
        }
        @if let Some(ending) = &state.ending {
            div.note .good[ending.end == bailiwick_model::event::TaskEnd::Merged] .bad[ending.end != bailiwick_model::event::TaskEnd::Merged] {
                p { strong { (trace_view::end_word(ending.end)) } ": " (shown(&ending.reason)) }
                @if let Some(hint) = &ending.hint { p.quiet { (shown(hint)) } }
            }
        }
        @if let Some(freeze) = &state.paused {
            div.note.warn { p { strong { "Paused" } " by " (freeze.by) ": " (shown(&freeze.reason)) ". Nothing is done for it until somebody lets it go on." } }
        }
        @for (key, subtask) in &state.subtasks {
            @if let Some(question) = &subtask.question {
                div.note.warn {
                    p { strong { "A person is needed" } " for " (key) ": " (shown(&question.reason)) ". " (shown(&question.hint)) }
                }
            }
        }
        div.row.small {
            span { (operations_tag(state)) }
            span { "cost " strong { (state.cost) } " of " (state.task.budget) }
            meter min="0" max=(state.task.budget.0) value=(state.cost.0) title="cost against the budget" { (state.cost) }
            span { (state.usage.total_tokens()) " tokens" }
            span { (state.actions) " actions" }
            @if !state.refusals.is_empty() { span.tag.bad { (state.refusals.len()) " refused" } }
        }
        @if !state.subtasks.is_empty() {
            div.scroll {
                table {
                    thead { tr { th scope="col" { "Subtask" } th scope="col" { "Pull request" } th scope="col" { "Gates" } th scope="col" { "Risk" } th scope="col" { "Repairs" } } }
                    tbody {
                        @for (key, subtask) in &state.subtasks {
                            tr {
                                td { strong { (key) } " " (shown(&subtask.subtask.title)) }
                                td {
                                    @if let Some(change) = &subtask.change {
                                        a href={"/changes/" (state.task.repo) "/" (change.number)} { "#" (change.number) }
                                        " " @if subtask.merged.is_some() { span.tag.good { "merged" } }
                                        @else if subtask.rejected { span.tag.bad { "rejected" } }
                                        @else { span.tag.warn { "open" } }
                                    }
                                }
                                td { @for gate in &subtask.gates { span.nowrap { (gate.gate) " " (trace_view::gate_tag(gate.state)) } " " } }
                                td { @if let Some(risk) = &subtask.risk { (risk.score) " " (format!("{:?}", risk.band).to_lowercase()) } }
                                td { (subtask.repairs_total) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn operations_tag(state: &TaskState) -> Markup {
    standing_tag(&operations::standing(state))
}

#[derive(Deserialize)]
pub(super) struct ShowParams {
    #[serde(default)]
    subtask: String,
    #[serde(default)]
    refused: Option<String>,
    before: Option<u64>,
}

/// `GET /tasks/{task}`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(task): Path<String>,
    Query(params): Query<ShowParams>,
) -> Result<Html<String>, Failure> {
    let id = operations::find_task(&shared.engine, &task).await?;
    // The timeline first: what comes between the two is sent to the page once more, and harms nothing.
    let trace = shared.folds.of(&shared.engine, id).await?;
    let state = shared.engine.state(id).await?;
    let fits: Vec<_> = trace
        .items()
        .iter()
        .filter(|item| {
            (params.subtask.is_empty()
                || item.subtask().is_some_and(|key| key.as_str() == params.subtask))
                && (params.refused.is_none() || item.has_refusal())
                && params.before.is_none_or(|before| item.seq < before)
        })
        .collect();
    let hidden = fits.len().saturating_sub(SHOWN_ITEMS);
    let mut items = Vec::new();
    for item in fits.iter().skip(hidden) {
        items.push(trace_view::item(&shared.engine.parts().store, item).await);
    }
    let whole = params.subtask.is_empty() && params.refused.is_none() && params.before.is_none();
    let is_live = whole && !state.is_over();
    let first = fits.get(hidden).map_or(0, |item| item.seq);
    let body = html! {
        div.row { h1 { (shown(&state.task.title)) } @if state.task.scripted { span.tag.warn { "scripted model" } } @if state.task.single_user { span.tag.warn { "single-user mode" } } }
        p.quiet {
            (state.task.repo) " (" (state.task.base_branch) "), asked for by " (state.task.requester)
            ", model " (shown(&state.task.provider)) "/" (shown(&state.task.model)) ", " (time(state.task.created_at))
        }
        (taint_tags(&state.task.taint))
        div #task-head aria-live="polite" { (head(&state)) }
        (actions(&state, &visitor))
        details.panel { summary { "What was asked" } div.say { (shown(&state.task.text)) } }
        div.row {
            h2 { "Trace" }
            @if is_live { span.live #live data-state="lost" { "live" } }
            nav.small aria-label="Filter" {
                @if !whole { a href={"/tasks/" (id)} { "everything" } " · " }
                a href={"/tasks/" (id) "?refused=1"} { "refused" }
                @for key in state.subtasks.keys() { " · " a href={"/tasks/" (id) "?subtask=" (key)} { (key) } }
            }
        }
        @if hidden > 0 { p { a href={"/tasks/" (id) "?before=" (first) "&subtask=" (params.subtask)} { (hidden) " earlier items" } } }
        live-trace src=[is_live.then(|| format!("/tasks/{id}/live?after={}", trace.last_seq().unwrap_or_default()))] {
            ol.trace { @for item in &items { (item) } }
        }
        @if items.is_empty() { div.empty { p { "Nothing here." } } }
    };
    let page = Page::new("/tasks", state.task.title.clone()).json(format!("/api/v1/tasks/{id}"));
    Ok(Html(layout::page(&page, &visitor, &body).into_string()))
}

fn actions(state: &TaskState, visitor: &Visitor) -> Markup {
    let id = state.id();
    let asked = state.subtasks.values().any(|subtask| subtask.question.is_some());
    let retry = asked
        || state.ending.as_ref().is_some_and(|ending| {
            matches!(
                ending.end,
                bailiwick_model::event::TaskEnd::Failed
                    | bailiwick_model::event::TaskEnd::Cancelled
            )
        });
    if !visitor.can(Operation::TaskControl) {
        return html! {};
    }
    let subtasks: Vec<_> = state
        .subtasks
        .iter()
        .filter(|(_, subtask)| !subtask.is_done())
        .map(|(key, _)| key)
        .collect();
    html! {
        @if !state.is_over() && state.task.agent == bailiwick_model::task::BUILTIN_AGENT {
            form.panel method="post" action={"/tasks/" (id) "/steer"} {
                (visitor.csrf_field())
                label for="steer" { "Say something to the agent " span.quiet { "(it hears it before it next asks its model)" } }
                textarea #steer name="text" required maxlength="4096" {}
                @if subtasks.len() > 1 {
                    label for="steer-subtask" { "Subtask" }
                    select #steer-subtask name="subtask" { @for key in &subtasks { option value=(key) { (key) } } }
                }
                div.actions { button type="submit" { "Say it" } }
            }
        }
        div.actions {
            @if !state.is_over() {
                @if state.paused.is_some() {
                    form method="post" action={"/tasks/" (id) "/resume"} { (visitor.csrf_field()) button.primary type="submit" { "Let it go on" } }
                } @else {
                    form method="post" action={"/tasks/" (id) "/pause"} { (visitor.csrf_field()) button type="submit" { "Pause" } }
                }
                form method="post" action={"/tasks/" (id) "/cancel"} {
                    (visitor.csrf_field())
                    button.danger type="submit" data-confirm="Stop this task? Its open pull requests stay as they are." { "Stop" }
                }
            }
            @if retry {
                form method="post" action={"/tasks/" (id) "/retry"} { (visitor.csrf_field()) button type="submit" { "Take up again" } }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ActParams {
    csrf: String,
    #[serde(default)]
    reason: String,
}

/// The task that a form of this site is about.
async fn asked(
    shared: &Shared,
    visitor: &Visitor,
    csrf: &str,
    task: &str,
) -> Result<TaskId, Failure> {
    visitor.check(csrf)?;
    Ok(operations::find_task(&shared.engine, task).await?)
}

/// To the task's page.
fn back(id: TaskId) -> Response {
    Redirect::to(&format!("/tasks/{id}")).into_response()
}

pub(super) async fn cancel(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(task): Path<String>,
    Form(params): Form<ActParams>,
) -> Result<Response, Failure> {
    let id = asked(&shared, &visitor, &params.csrf, &task).await?;
    shared.engine.cancel(id, &visitor.person, &params.reason).await?;
    Ok(back(id))
}

pub(super) async fn retry(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(task): Path<String>,
    Form(params): Form<ActParams>,
) -> Result<Response, Failure> {
    let id = asked(&shared, &visitor, &params.csrf, &task).await?;
    shared.engine.retry(id, &visitor.person).await?;
    shared.enqueue(id);
    Ok(back(id))
}

#[derive(Deserialize)]
pub(super) struct SteerForm {
    csrf: String,
    text: String,
    #[serde(default)]
    subtask: String,
}

/// `POST /tasks/{task}/steer`.
pub(super) async fn steer(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(task): Path<String>,
    Form(form): Form<SteerForm>,
) -> Result<Response, Failure> {
    let id = asked(&shared, &visitor, &form.csrf, &task).await?;
    let subtask = match form.subtask.as_str() {
        "" => None,
        named => Some(SubtaskKey::parse(named).map_err(EngineError::from)?),
    };
    let params = operations::SteerParams { text: form.text.replace("\r\n", "\n"), subtask };
    operations::steer(&shared.engine, &visitor.person, id, params).await?;
    Ok(back(id))
}

/// `POST /tasks/{task}/pause`.
pub(super) async fn pause(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(task): Path<String>,
    Form(params): Form<ActParams>,
) -> Result<Response, Failure> {
    let id = asked(&shared, &visitor, &params.csrf, &task).await?;
    shared.engine.pause(id, &visitor.person, &params.reason).await?;
    Ok(back(id))
}

/// `POST /tasks/{task}/resume`.
pub(super) async fn resume(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(task): Path<String>,
    Form(params): Form<ActParams>,
) -> Result<Response, Failure> {
    let id = asked(&shared, &visitor, &params.csrf, &task).await?;
    shared.engine.unpause(id, &visitor.person).await?;
    shared.enqueue(id);
    Ok(back(id))
}
