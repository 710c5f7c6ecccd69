//! Progress that a person likes to watch: one live block on a terminal, plain lines elsewhere,
//! nothing with `--json`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bailiwick_engine::{Engine, Estimate};
use bailiwick_model::action::Action;
use bailiwick_model::event::{Entry, Event, Fact, Stage};
use bailiwick_model::id::TaskId;
use bailiwick_model::verdict::Verdict;
use bailiwick_model::workflow::{StageState, TaskState};
use bailiwick_store::Query;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::terminal;

const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const SHOWING: u8 = 0;
const PAUSING: u8 = 1;
const PAUSED: u8 = 2;
const REDRAW: Duration = Duration::from_millis(120);

/// The display of one task, until it is stopped.
#[derive(Debug)]
pub(crate) struct Progress {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    pause: Arc<AtomicU8>,
}

impl Progress {
    /// Begins to show a task.
    pub(crate) fn start(
        engine: &Engine,
        id: TaskId,
        estimate: &Estimate,
        scripted: bool,
        quiet: bool,
    ) -> Self {
        let stop = CancellationToken::new();
        let pause = Arc::new(AtomicU8::new(SHOWING));
        let mut tasks = JoinSet::new();
        if !quiet {
            if scripted {
                terminal::say(
                    "The model is scripted: it answers from a file. Everything else is real.",
                );
            }
            terminal::say(&format!(
                "task {id}\nestimated cost {} ({}), at most {}",
                estimate.likely, estimate.basis, estimate.at_most
            ));
            let show =
                Show { engine: engine.clone(), id, stop: stop.clone(), pause: Arc::clone(&pause) };
            if terminal::is_watched() {
                tasks.spawn(show.live());
            } else {
                tasks.spawn(show.lines());
            }
        }
        Self { tasks, stop, pause }
    }

    /// Shows the newest state and leaves the terminal to a question.
    pub(crate) async fn pause(&self) {
        if self.tasks.is_empty() {
            return;
        }
        self.pause.store(PAUSING, Ordering::SeqCst);
        // A display that ended meanwhile never answers.
        for _ in 0..10 {
            if self.pause.load(Ordering::SeqCst) == PAUSED {
                return;
            }
            tokio::time::sleep(REDRAW / 4).await;
        }
    }

    /// Takes the terminal back.
    pub(crate) fn resume(&self) {
        self.pause.store(SHOWING, Ordering::SeqCst);
    }

    /// Shows the last state and ends.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Show {
    engine: Engine,
    id: TaskId,
    stop: CancellationToken,
    pause: Arc<AtomicU8>,
}

impl Show {
    async fn live(self) {
        let mut subscription =
            self.engine.parts().store.subscribe(Query { task: Some(self.id), ..Query::default() });
        let mut state: Option<TaskState> = None;
        let mut last = String::new();
        let mut drawn = 0usize;
        let mut frame = 0usize;
        let begun = Instant::now();
        let mut tick = tokio::time::interval(REDRAW);
        loop {
            let stopping = tokio::select! {
                () = self.stop.cancelled() => true,
                _ = tick.tick() => false,
                entry = subscription.next() => {
                    let Ok(Some(entry)) = entry else { return };
                    fold(&mut state, &entry);
                    if let Some(line) = line_of(&entry) {
                        last = line;
                    }
                    continue;
                }
            };
            let pause = self.pause.load(Ordering::SeqCst);
            if stopping || pause == PAUSING {
                // What was recorded before the stop is still to be shown.
                state = self.engine.state(self.id).await.ok().or(state);
            }
            if let Some(state) = &state
                && pause != PAUSED
            {
                frame = frame.wrapping_add(1);
                let block = block(state, &last, frame, begun);
                let up = if drawn > 0 { format!("\x1b[{drawn}A") } else { String::new() };
                let body: String = block.iter().map(|line| format!("\x1b[2K{line}\n")).collect();
                terminal::say(format!("{up}{body}").trim_end_matches('\n'));
                drawn = block.len();
            } else {
                drawn = 0;
            }
            if pause == PAUSING {
                drawn = 0;
                self.pause.store(PAUSED, Ordering::SeqCst);
            }
            if stopping {
                return;
            }
        }
    }

    async fn lines(self) {
        let mut subscription =
            self.engine.parts().store.subscribe(Query { task: Some(self.id), ..Query::default() });
        loop {
            tokio::select! {
                biased;
                entry = subscription.next() => {
                    let Ok(Some(entry)) = entry else { return };
                    if let Some(line) = line_of(&entry) {
                        terminal::say(&line);
                    }
                }
                () = self.stop.cancelled() => return,
            }
        }
    }
}

fn fold(state: &mut Option<TaskState>, entry: &Entry) {
    match state {
        Some(state) => state.apply(entry),
        None => *state = TaskState::fold([entry]),
    }
}

fn colour(code: &str, text: &str) -> String {
    if terminal::has_colour() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn block(state: &TaskState, last: &str, frame: usize, begun: Instant) -> Vec<String> {
    let spinner = FRAMES.get(frame % FRAMES.len()).copied().unwrap_or('·');
    let mut lines = vec![String::new()];
    for stage in Stage::ALL {
        let Some(progress) = state.stages.get(&stage) else { continue };
        let mark = match progress.state {
            StageState::Pending => colour("2", "·"),
            StageState::Running => colour("36", &spinner.to_string()),
            StageState::Done => colour("32", "✓"),
            StageState::Failed => colour("31", "✗"),
        };
        let running = progress.since.map_or(0, |since| {
            u64::try_from(jiff::Timestamp::now().duration_since(since).as_millis()).unwrap_or(0)
        });
        let ms = progress.ms.saturating_add(running);
        let time = if progress.state == StageState::Pending { String::new() } else { seconds(ms) };
        lines.push(format!(" {mark} {:<14} {time:>8}", title(stage)));
    }
    let refused = match state.refusals.len() {
        0 => String::new(),
        n => format!(" · {}", colour("33", &format!("{n} refused"))),
    };
    lines.push(format!(
        "   {} · {} tokens · {} · {} actions{refused}",
        seconds(u64::try_from(begun.elapsed().as_millis()).unwrap_or(0)),
        state.usage.total_tokens(),
        state.cost,
        state.actions
    ));
    let shown: String = last.chars().take(100).collect();
    lines.push(format!("   {}", colour("2", &shown)));
    lines
}

fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::Intake => "Intake",
        Stage::Orchestration => "Orchestration",
        Stage::Execution => "Execution",
        Stage::Review => "Review",
        Stage::PullRequest => "Pull request",
        Stage::HumanReview => "Human review",
        Stage::Merge => "Merge",
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

/// An entry in one line, for those worth one.
pub(crate) fn line_of(entry: &Entry) -> Option<String> {
    let line = match &entry.event {
        Event::Decided(decided) => {
            let who = decided.subject.role.name();
            let what = terminal::safe(&decided.action.summary()).replace('\n', " ");
            match &decided.decision {
                Verdict::Permit { .. } => match &decided.action {
                    Action::RepoRead(_) | Action::SecretUse(_) => return None,
                    action => format!("{who}: {} {what}", action.kind()),
                },
                Verdict::Deny(denial) => {
                    format!("{who}: REFUSED {} {what} [{}]", decided.action.kind(), denial.code)
                }
                Verdict::NeedsApproval { groups, .. } => {
                    format!(
                        "{who}: {} {what} needs approval by {}",
                        decided.action.kind(),
                        groups.join(", ")
                    )
                }
            }
        }
        Event::Finished(_) => return None,
        Event::Fact(fact) => fact_line(fact)?,
    };
    Some(line)
}

fn fact_line(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::StageStarted { stage, subtask, .. } => match subtask {
            Some(subtask) => format!("== {} ({subtask})", title(*stage)),
            None => format!("== {}", title(*stage)),
        },
        Fact::PlanAccepted { plan, .. } => {
            format!("plan: {} subtasks: {}", plan.subtasks.len(), terminal::safe(&plan.summary))
        }
        Fact::GateReported { report, .. } => {
            format!("gate {}: {:?}: {}", report.gate, report.state, terminal::safe(&report.summary))
        }
        Fact::Verified { verification, summary, .. } => {
            format!("verifier: {verification:?}: {}", terminal::safe(summary))
        }
        Fact::RepairAsked { round, by, .. } => {
            format!("{} asks for repair round {round}", by.name())
        }
        Fact::HumanAsked { code, reason, hint, .. } => {
            format!(
                "a person is needed: {} [{code}]\n hint: {}",
                terminal::safe(reason),
                terminal::safe(hint)
            )
        }
        Fact::ChangePublished { number, branch, .. } => {
            format!("pull request #{number} from {branch}")
        }
        Fact::Reviewed { reviewer, verdict, simulated, .. } => {
            let note = if *simulated { " (simulated)" } else { "" };
            format!("review by {reviewer}{note}: {verdict:?}")
        }
        Fact::Commented { comment, .. } => {
            format!("{} remarked on {}:{}", comment.by, terminal::safe(&comment.path), comment.line)
        }
        Fact::ThreadMarked { by, state, .. } => {
            format!("{by} says of a thread of remarks: {}", state.name())
        }
        Fact::Steered { message, .. } => {
            format!("{} says: {}", message.by, terminal::safe(&message.text))
        }
        Fact::SteeringHeard { step, messages, .. } => {
            format!("{} heard before step {step}", messages.len())
        }
        Fact::Frozen(freeze) => {
            format!("paused by {}: {}", freeze.by, terminal::safe(&freeze.reason))
        }
        Fact::Thawed(thaw) => format!("let go on by {}", thaw.by),
        Fact::BaseMoved { to, void_approvals, .. } => {
            format!("the base branch moved to {to}; {void_approvals} approvals are void")
        }
        Fact::Merged { number, commit, .. } => {
            format!("pull request #{number} is merged: {commit}")
        }
        Fact::Reverted { number, by, .. } => {
            format!("pull request #{number} was taken back by {by}")
        }
        Fact::TaskEnded { end, reason, .. } => {
            format!("task {end:?}: {}", terminal::safe(reason)).to_lowercase()
        }
        _ => return None,
    })
}
