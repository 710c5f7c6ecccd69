//! Remarks on lines of a difference: threads in the margin, and the forms that make and mark them.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use bailiwick_engine::{ChangeView, HunkView, ThreadView};
use bailiwick_model::evidence::Finding;
use bailiwick_model::id::{CommentId, Oid};
use bailiwick_model::identity::Operation;
use bailiwick_model::remark::{Side, ThreadState};
use maud::{Markup, html};
use serde::Deserialize;

use super::change_page::short;
use super::extract::{Form, Path};
use super::failure::Failure;
use super::text::{shown, time};
use super::visitor::Visitor;
use crate::api::{Shared, comment_id, repo_name};
use crate::operations::{self, CommentParams};

/// What a page says and offers beside the lines of one file.
pub(crate) struct Margin<'a> {
    /// What gates found, by line of the new side.
    pub(crate) findings: Vec<&'a Finding>,
    /// What people remarked on the commit that is shown.
    pub(crate) threads: Vec<&'a ThreadView>,
    /// Where remarks go; nothing where the reader may make none.
    pub(crate) desk: Option<Desk<'a>>,
}

/// What a form for a remark needs.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    /// The address of the pull request's page.
    pub(crate) path: &'a str,
    /// The commit that is shown.
    pub(crate) head: &'a Oid,
    /// The reader.
    pub(crate) visitor: &'a Visitor,
}

impl<'a> Desk<'a> {
    /// The forms of a change, for who may use them while it is open.
    pub(crate) fn of(view: &'a ChangeView, visitor: &'a Visitor, path: &'a str) -> Option<Self> {
        let may = view.state == "open" && visitor.can(Operation::ChangeReview);
        may.then_some(Self { path, head: &view.head, visitor })
    }
}

/// The threads on one line.
pub(crate) fn on_line(margin: &Margin<'_>, old: Option<u32>, new: Option<u32>) -> Option<Markup> {
    let here: Vec<_> = margin
        .threads
        .iter()
        .filter(|thread| match thread.side {
            Side::Old => old == Some(thread.line),
            Side::New => new == Some(thread.line),
        })
        .collect();
    (!here.is_empty()).then(|| html! { @for thread in here { (part(thread, margin.desk)) } })
}

/// One thread, with what can be done about it.
pub(crate) fn part(thread: &ThreadView, desk: Option<Desk<'_>>) -> Markup {
    let (to, word) = match thread.state {
        ThreadState::Open => (ThreadState::Resolved, "Resolve"),
        ThreadState::Resolved => (ThreadState::Open, "Open again"),
    };
    html! {
        details.margin.thread id={"t" (thread.id)} open[thread.state == ThreadState::Open] {
            summary {
                "Remark by " (thread.comments.first().map_or_else(String::new, |note| note.by.to_string())) " "
                @match thread.state {
                    ThreadState::Open => { span.tag.warn { "open" } }
                    ThreadState::Resolved => { span.tag.good { "resolved" } @if let Some(by) = &thread.marked_by { " by " (by) } }
                }
            }
            @for note in &thread.comments {
                div.said { p.small { strong { (note.by) } ", " (time(note.at)) } div.say { (shown(&note.text)) } }
            }
            @if let Some(desk) = desk {
                form method="post" action={(desk.path) "/comments"} {
                    (desk.visitor.csrf_field())
                    input type="hidden" name="head" value=(desk.head);
                    input type="hidden" name="reply_to" value=(thread.id);
                    label for={"r" (thread.id)} { "Answer" }
                    textarea id={"r" (thread.id)} name="text" required maxlength="2048" {}
                    div.actions { button type="submit" { "Answer" } }
                }
                form method="post" action={(desk.path) "/comments/" (thread.id) "/state"} {
                    (desk.visitor.csrf_field())
                    button name="state" value=(to.name()) type="submit" { (word) }
                }
            }
        }
    }
}

/// Threads on commits that are not shown any more, each with the lines as they were.
pub(crate) fn earlier(view: &ChangeView, desk: Option<Desk<'_>>) -> Markup {
    let earlier: Vec<_> = view.threads.iter().filter(|one| one.head != view.head).collect();
    html! {
        @if !earlier.is_empty() {
            section.panel aria-label="Remarks on earlier commits" {
                h2 { "Remarks on earlier commits" }
                @for thread in earlier {
                    h3 { code { (shown(&thread.path)) ":" (thread.line) } span.quiet { " at " code { (short(&thread.head)) } } }
                    pre.log tabindex="0" { (shown(&thread.quote)) }
                    (part(thread, desk))
                }
            }
        }
    }
}

/// The form for a remark on one line of a hunk.
pub(crate) fn form(hunk: &HunkView, name: &str, path: &str, desk: Desk<'_>) -> Markup {
    let numbers: Vec<_> = hunk.numbered().collect();
    // What was added is what most remarks are about.
    let added = hunk.lines.iter().zip(&numbers).find(|(line, _)| line.sign == '+');
    let new = added.map_or_else(|| numbers.iter().find_map(|pair| pair.1), |(_, pair)| pair.1);
    let old = numbers.iter().find_map(|pair| pair.0);
    let (side, line) = match (new, old) {
        (Some(line), _) => (Side::New, line),
        (None, old) => (Side::Old, old.unwrap_or(1)),
    };
    html! {
        details.comment-box {
            summary { "Remark on a line" }
            form method="post" action={(desk.path) "/comments"} {
                (desk.visitor.csrf_field())
                input type="hidden" name="head" value=(desk.head);
                input type="hidden" name="path" value=(path);
                div.fields {
                    div { label for={"l" (name)} { "Line" } input id={"l" (name)} type="number" name="line" min="1" value=(line) required; }
                    div { label for={"s" (name)} { "Side" } select id={"s" (name)} name="side" {
                        option value="new" selected[side == Side::New] { "after the change" }
                        option value="old" selected[side == Side::Old] { "before the change" }
                    } }
                }
                label for={"comment-" (name)} { "Remark " span.quiet { "(goes to the agent when you ask for changes)" } }
                textarea id={"comment-" (name)} name="text" required maxlength="2048" {}
                div.actions { button type="submit" { "Remark" } }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CommentForm {
    csrf: String,
    head: Oid,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    side: Side,
    #[serde(default)]
    line: Option<u32>,
    #[serde(default)]
    reply_to: Option<CommentId>,
    text: String,
}

/// `POST /changes/{repo}/{number}/comments`.
pub(super) async fn comment(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path((repo, number)): Path<(String, u64)>,
    Form(form): Form<CommentForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let repo = repo_name(&repo)?;
    let thread = form.reply_to;
    let params = CommentParams {
        head: form.head,
        path: form.path,
        side: form.side,
        line: form.line,
        reply_to: form.reply_to,
        text: form.text.replace("\r\n", "\n"),
    };
    let made = operations::comment(&shared.engine, &visitor.person, &repo, number, params).await?;
    let at = thread.unwrap_or(made.id);
    Ok(Redirect::to(&format!("/changes/{repo}/{number}#t{at}")).into_response())
}

#[derive(Deserialize)]
pub(super) struct MarkForm {
    csrf: String,
    state: ThreadState,
}

/// `POST /changes/{repo}/{number}/comments/{comment}/state`.
pub(super) async fn mark(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path((repo, number, comment)): Path<(String, u64, String)>,
    Form(form): Form<MarkForm>,
) -> Result<Response, Failure> {
    visitor.check(&form.csrf)?;
    let repo = repo_name(&repo)?;
    let comment = comment_id(&comment)?;
    shared.engine.mark_thread(&repo, number, &visitor.person, comment, form.state).await?;
    Ok(Redirect::to(&format!("/changes/{repo}/{number}#t{comment}")).into_response())
}
