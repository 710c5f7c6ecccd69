//! Remarks of people on lines of a change: each is recorded when it is made, hangs in a thread, and
//! goes to the implementor with the next request for changes unless its thread is resolved.

use bailiwick_model::Timestamp;
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::evidence::{Finding, Level};
use bailiwick_model::id::{CommentId, Oid, Person, RepoName};
use bailiwick_model::payload::Digest;
use bailiwick_model::remark::{LineComment, Side, ThreadState};
use bailiwick_model::workflow::TaskState;
use bailiwick_store::Query;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::human::open_change;
use crate::view::FileView;

/// The most bytes of one remark.
const MAX_TEXT: usize = 2 * 1024;
/// The most open threads of a change: all of them have to fit into one message to the implementor.
const MAX_OPEN: usize = 30;
/// The most answers in a thread.
const MAX_ANSWERS: usize = 20;
/// How many lines are quoted before and after the line that a remark is about.
const AROUND: usize = 3;
/// The most bytes of a quoted line.
const MAX_QUOTED_LINE: usize = 200;

/// A remark that somebody wants to make.
#[derive(Debug, Clone)]
pub struct NewComment {
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub number: u64,
    /// Who.
    pub by: Person,
    /// The commit that was shown to them.
    pub head: Oid,
    /// What it is about.
    pub place: CommentPlace,
    /// In their words.
    pub text: String,
}

/// What a remark is about.
#[derive(Debug, Clone)]
pub enum CommentPlace {
    /// A line of the difference.
    Line {
        /// The file.
        path: String,
        /// The side.
        side: Side,
        /// The line, counted from 1.
        line: u32,
    },
    /// A thread that is there.
    Thread(CommentId),
}

/// Remarks on one line, the first of which began the thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ThreadView {
    /// The id of its first remark.
    pub id: CommentId,
    /// The commit that was shown.
    pub head: Oid,
    /// The file.
    pub path: String,
    /// The side of the difference.
    pub side: Side,
    /// The line, counted from 1.
    pub line: u32,
    /// The line and those around it.
    pub quote: String,
    /// Where it stands.
    pub state: ThreadState,
    /// Who said so last, when somebody did.
    pub marked_by: Option<Person>,
    /// What was said, in order.
    pub comments: Vec<CommentNote>,
}

/// One remark of a thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommentNote {
    /// Its id.
    pub id: CommentId,
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// In their words.
    pub text: String,
    /// Its entry in the ledger.
    pub entry: u64,
}

fn refuse(code: &'static str, message: String, hint: &str) -> EngineError {
    EngineError::State { code, message, hint: hint.to_owned() }
}

impl Engine {
    /// Records a remark on a line, or an answer to one.
    pub async fn comment(&self, new: NewComment) -> Result<CommentId, EngineError> {
        let text = new.text.trim();
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(refuse(
                "comment.bad_text",
                format!("a remark has between 1 and {MAX_TEXT} bytes"),
                "say it in a sentence or two",
            ));
        }
        let view = self.change_view(&new.repo, new.number).await?;
        let _alone = self.one_at_a_time().await;
        let (state, key) = self.change_owner(&new.repo, new.number).await?;
        let (_, subtask) = self.subtask(state.id(), &key).await?;
        let change = open_change(&state, &subtask)?;
        if change.head != new.head || view.head != new.head {
            return Err(refuse(
                "review.stale",
                format!("the pull request is at {} by now, not at {}", change.head, new.head),
                "look at it again: the line may be another by now",
            ));
        }
        let threads = self.threads(&state, new.number).await?;
        let id = CommentId::new(Uuid::now_v7());
        let comment = match new.place {
            CommentPlace::Thread(of) => {
                let thread = find(&threads, of)?;
                if thread.comments.len() > MAX_ANSWERS {
                    return Err(refuse(
                        "comment.too_many",
                        format!("the thread has {MAX_ANSWERS} answers already"),
                        "begin another thread, or talk to each other",
                    ));
                }
                LineComment {
                    id,
                    by: new.by,
                    head: new.head,
                    path: thread.path.clone(),
                    side: thread.side,
                    line: thread.line,
                    quote: String::new(),
                    text: text.to_owned(),
                    reply_to: Some(of),
                }
            }
            CommentPlace::Line { path, side, line } => {
                let open = threads.iter().filter(|thread| thread.state == ThreadState::Open);
                if open.count() >= MAX_OPEN {
                    return Err(refuse(
                        "comment.too_many",
                        format!("the pull request has {MAX_OPEN} open threads already"),
                        "ask for changes now, or resolve some",
                    ));
                }
                let quote = quote(&view.files, &path, side, line).ok_or_else(|| {
                    refuse(
                        "comment.no_line",
                        format!(
                            "the difference does not show line {line} of `{path}` on its {} side",
                            side.name()
                        ),
                        "remark on a line that the pull request shows",
                    )
                })?;
                LineComment {
                    id,
                    by: new.by,
                    head: new.head,
                    path,
                    side,
                    line,
                    quote,
                    text: text.to_owned(),
                    reply_to: None,
                }
            }
        };
        self.record(vec![Fact::Commented {
            task: state.id(),
            subtask: key,
            number: new.number,
            comment: Box::new(comment),
        }])
        .await?;
        Ok(id)
    }

    /// Says that a thread is done with, or is not.
    pub async fn mark_thread(
        &self,
        repo: &RepoName,
        number: u64,
        by: &Person,
        comment: CommentId,
        to: ThreadState,
    ) -> Result<(), EngineError> {
        let _alone = self.one_at_a_time().await;
        let (state, key) = self.change_owner(repo, number).await?;
        let threads = self.threads(&state, number).await?;
        let thread = find(&threads, comment)?;
        if thread.state == to {
            return Err(refuse(
                "comment.marked",
                format!("the thread is {} already", to.name()),
                "look at the pull request again",
            ));
        }
        self.record(vec![Fact::ThreadMarked {
            task: state.id(),
            subtask: key,
            number,
            comment: thread.id,
            by: by.clone(),
            state: to,
        }])
        .await
    }

    /// The threads of a change, in the order in which they began.
    pub(crate) async fn threads(
        &self,
        state: &TaskState,
        change: u64,
    ) -> Result<Vec<ThreadView>, EngineError> {
        let query = Query { task: Some(state.id()), ..Query::default() };
        let entries = self.parts().store.entries(query.named(&["commented", "thread_marked"]));
        let mut threads: Vec<ThreadView> = Vec::new();
        for entry in entries.await? {
            let (at, seq) = (entry.at, entry.seq);
            let Event::Fact(fact) = entry.event else { continue };
            match *fact {
                Fact::Commented { number, comment, .. } if number == change => {
                    let LineComment { id, by, head, path, side, line, quote, text, reply_to } =
                        *comment;
                    let note = CommentNote { id, by, at, text, entry: seq };
                    match reply_to.map(|of| threads.iter_mut().find(|thread| thread.id == of)) {
                        Some(Some(thread)) => thread.comments.push(note),
                        Some(None) => {}
                        None => threads.push(ThreadView {
                            id,
                            head,
                            path,
                            side,
                            line,
                            quote,
                            state: ThreadState::Open,
                            marked_by: None,
                            comments: vec![note],
                        }),
                    }
                }
                Fact::ThreadMarked { number, comment, by, state: to, .. } if number == change => {
                    if let Some(thread) = threads.iter_mut().find(|thread| thread.id == comment) {
                        thread.state = to;
                        thread.marked_by = Some(by);
                    }
                }
                _ => {}
            }
        }
        Ok(threads)
    }

    /// The open threads of a change, as the implementor is told them.
    pub(crate) async fn open_threads(
        &self,
        state: &TaskState,
        change: u64,
    ) -> Result<Vec<Finding>, EngineError> {
        let threads = self.threads(state, change).await?;
        let open = threads.iter().filter(|thread| thread.state == ThreadState::Open);
        Ok(open.map(finding).collect())
    }
}

fn find(threads: &[ThreadView], id: CommentId) -> Result<&ThreadView, EngineError> {
    threads.iter().find(|thread| thread.id == id).ok_or_else(|| {
        refuse(
            "comment.unknown",
            format!("the pull request has no thread `{id}`"),
            "the id is that of the remark that began it",
        )
    })
}

/// A thread as something to be mended.
fn finding(thread: &ThreadView) -> Finding {
    let mut message = format!(
        "a remark on line {} ({} side) as it is at commit {}. The lines it is about:\n",
        thread.line,
        thread.side.name(),
        thread.head
    );
    for line in thread.quote.lines() {
        message.push_str(&format!("| {line}\n"));
    }
    for note in &thread.comments {
        message.push_str(&format!("{} says: {}\n", note.by, note.text));
    }
    let by = thread.comments.first().map_or_else(String::new, |note| note.by.to_string());
    Finding {
        rule: format!("review/{by}"),
        level: Level::Error,
        fingerprint: Digest::of(thread.id.to_string().as_bytes()),
        message,
        path: Some(thread.path.clone()),
        line: Some(thread.line),
        explanation: None,
    }
}

/// The lines around a line, as the difference has them; none where it does not show the line.
fn quote(files: &[FileView], path: &str, side: Side, line: u32) -> Option<String> {
    let file = files.iter().find(|file| file.new_or_old_path() == path)?;
    for hunk in &file.hunks {
        let Some(at) = hunk.numbered().position(|numbers| match side {
            Side::Old => numbers.0 == Some(line),
            Side::New => numbers.1 == Some(line),
        }) else {
            continue;
        };
        let first = at.saturating_sub(AROUND);
        let mut text = format!("{}\n", hunk.header.trim_end());
        for shown in hunk.lines.iter().skip(first).take(at - first + AROUND + 1) {
            let cut: String = shown.text.chars().take(MAX_QUOTED_LINE).collect();
            text.push_str(&format!("{}{}\n", shown.sign, cut.trim_end_matches(['\n', '\r'])));
        }
        return Some(text);
    }
    None
}
