//! A pull request as a reviewer needs to see it: the diff, and for each hunk the steps that made
//! it, hunks made by commands included.

use bailiwick_forge::{AttributedFile, Forge as _, Origin};
use bailiwick_model::Timestamp;
use bailiwick_model::action::ReviewVerdict;
use bailiwick_model::event::{Event, Fact, Step};
use bailiwick_model::evidence::{GateReport, RiskReport};
use bailiwick_model::id::{BranchName, Oid, Person, RepoName, SessionId, TaskId};
use bailiwick_model::subject::Role;
use bailiwick_model::workflow::{Approval, SubtaskState, TaskState};
use bailiwick_store::Query;
use serde::{Deserialize, Serialize};

use crate::comments::ThreadView;
use crate::engine::Engine;
use crate::error::EngineError;

/// A pull request with its trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeView {
    /// The repository.
    pub repo: RepoName,
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// The description, generated from recorded facts.
    pub body: String,
    /// `open`, `merged` or `closed`.
    pub state: String,
    /// The branch.
    pub branch: BranchName,
    /// The commit.
    pub head: Oid,
    /// The branch it is for.
    pub base: BranchName,
    /// The commit on the base branch, once merged.
    pub merged: Option<Oid>,
    /// The task.
    pub task: TaskId,
    /// The human who asked.
    pub requester: Person,
    /// Whether the model was scripted.
    pub scripted: bool,
    /// Whether requester and approver may be one person.
    pub single_user: bool,
    /// Reports of the gates on this commit.
    pub gates: Vec<GateReport>,
    /// The risk of this commit.
    pub risk: Option<RiskReport>,
    /// Approvals of this commit.
    pub approvals: Vec<Approval>,
    /// What people said of it, of earlier commits too, the earliest first.
    pub reviews: Vec<ReviewNote>,
    /// Remarks on its lines, on those of earlier commits too, by thread.
    #[serde(default)]
    pub threads: Vec<ThreadView>,
    /// The steps that made it.
    pub steps: Vec<StepNote>,
    /// The files that differ.
    pub files: Vec<FileView>,
}

/// A person's review.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewNote {
    /// Who.
    pub reviewer: Person,
    /// When.
    pub at: Timestamp,
    /// The commit that was shown.
    pub head: Oid,
    /// What they said.
    pub verdict: ReviewVerdict,
    /// In their words; may be empty.
    pub body: String,
    /// Whether the approver is simulated.
    pub simulated: bool,
    /// Its entry in the ledger.
    pub entry: u64,
}

/// One step of an implementor, as far as a reviewer needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepNote {
    /// Its name in this view, such as `r0.4`: repair round 0, step 4.
    pub name: String,
    /// The run.
    pub session: SessionId,
    /// The step in the run.
    pub step: u32,
    /// Its entry in the ledger.
    pub entry: u64,
    /// The tools it called.
    pub tools: Vec<String>,
}

/// A file that differs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileView {
    /// Its path, and for a rename the old one first.
    pub path: String,
    /// Every step that touched it.
    pub steps: Vec<String>,
    /// Whether it has no text to show.
    pub binary: bool,
    /// The parts that differ.
    pub hunks: Vec<HunkView>,
}

impl FileView {
    /// The path after the change; before it for a file that is gone.
    pub fn new_or_old_path(&self) -> &str {
        self.path.rsplit_once(RENAMED).map_or(self.path.as_str(), |(_, new)| new)
    }
}

/// Stands between the two paths of a rename.
const RENAMED: &str = " → ";

/// A part of a file that differs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HunkView {
    /// `@@ -1,2 +1,3 @@`.
    pub header: String,
    /// The steps that made it.
    pub steps: Vec<String>,
    /// The lines.
    pub lines: Vec<LineView>,
}

impl HunkView {
    /// The number of each line on the old and on the new side, as far as it is there.
    pub fn numbered(&self) -> impl Iterator<Item = (Option<u32>, Option<u32>)> {
        let start = |sign: char| {
            let after = self.header.split(sign).nth(1).unwrap_or_default();
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(1)
        };
        let (mut old, mut new): (u32, u32) = (start('-'), start('+'));
        self.lines.iter().map(move |line| {
            let at = (old, new);
            old += u32::from(line.sign != '+');
            new += u32::from(line.sign != '-');
            ((line.sign != '+').then_some(at.0), (line.sign != '-').then_some(at.1))
        })
    }
}

/// A line of a hunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineView {
    /// ` `, `+` or `-`.
    pub sign: char,
    /// The text.
    pub text: String,
    /// The step that made it; none for context and for what no step made.
    pub step: Option<String>,
}

impl Engine {
    /// A pull request with its trace.
    pub async fn change_view(
        &self,
        repo: &RepoName,
        number: u64,
    ) -> Result<ChangeView, EngineError> {
        let (state, key) = self.change_owner(repo, number).await?;
        let (_, subtask) = self.subtask(state.id(), &key).await?;
        let change = self.parts().forge.pull_request(repo, number).await?;
        let (start, points, notes) = self.trace(&subtask).await?;
        let base = subtask
            .candidate
            .as_ref()
            .map_or_else(|| change.head_commit.clone(), |c| c.base.clone());
        let start = start.unwrap_or_else(|| base.clone());
        let files = self
            .parts()
            .forge
            .attribution(repo, start, points, base, change.head_commit.clone())
            .await?
            .files;
        Ok(ChangeView {
            repo: repo.clone(),
            number,
            title: change.title,
            body: change.body,
            state: change.state.name().to_owned(),
            branch: change.head,
            head: change.head_commit,
            base: change.base,
            merged: subtask.merged.clone(),
            task: state.id(),
            requester: state.task.requester.clone(),
            scripted: state.task.scripted,
            single_user: state.task.single_user,
            gates: subtask.gates.clone(),
            risk: subtask.risk.clone(),
            approvals: subtask.approvals.clone(),
            reviews: self.reviews(&state, number).await?,
            threads: self.threads(&state, number).await?,
            steps: notes,
            files: files.iter().map(file_view).collect(),
        })
    }

    pub(crate) async fn reviews(
        &self,
        state: &TaskState,
        change: u64,
    ) -> Result<Vec<ReviewNote>, EngineError> {
        let query = Query { task: Some(state.id()), ..Query::default() }.named(&["reviewed"]);
        let mut notes = Vec::new();
        for entry in self.parts().store.entries(query).await? {
            let Event::Fact(fact) = &entry.event else { continue };
            let Fact::Reviewed { number, reviewer, head, verdict, body, simulated, .. } =
                fact.as_ref()
            else {
                continue;
            };
            if *number != change {
                continue;
            }
            let body = self.parts().store.resolve(body).await?;
            notes.push(ReviewNote {
                reviewer: reviewer.clone(),
                at: entry.at,
                head: head.clone(),
                verdict: *verdict,
                body: String::from_utf8_lossy(body.bytes().unwrap_or_default()).into_owned(),
                simulated: *simulated,
                entry: entry.seq,
            });
        }
        Ok(notes)
    }

    /// The trees after each step of the implementor's runs, in order, and where the first started.
    async fn trace(
        &self,
        subtask: &SubtaskState,
    ) -> Result<(Option<Oid>, Vec<(Option<String>, Oid)>, Vec<StepNote>), EngineError> {
        let mut start = None;
        let mut points: Vec<(Option<String>, Oid)> = Vec::new();
        let mut notes = Vec::new();
        for run in subtask.sessions.iter().filter(|run| run.role == Role::Implementor) {
            if let Some(from) = &run.started_from {
                if start.is_none() {
                    start = Some(from.clone());
                } else {
                    // Between two runs the candidate may have been put on another base.
                    points.push((None, from.clone()));
                }
            }
            let query = Query { session: Some(run.id), ..Query::default() }.named(&["step_taken"]);
            let entries = self.parts().store.entries(query).await?;
            let steps: Vec<(u64, &Step)> = entries
                .iter()
                .filter_map(|entry| match &entry.event {
                    Event::Fact(fact) => match fact.as_ref() {
                        Fact::StepTaken(step) => Some((entry.seq, step)),
                        _ => None,
                    },
                    Event::Decided(_) | Event::Finished(_) => None,
                })
                .collect();
            // An agent's program is looked at when it is over: which of its steps made a hunk is
            // not known, and none is named.
            let trees = steps.iter().filter(|(_, step)| step.tree.is_some()).count();
            let known = trees > 1 || steps.len() <= 1;
            for (seq, step) in steps {
                let name = format!("r{}.{}", run.round, step.step);
                notes.push(note(&name, seq, step));
                if let Some(tree) = &step.tree {
                    points.push((known.then_some(name), tree.clone()));
                }
            }
        }
        Ok((start, points, notes))
    }
}

fn note(name: &str, entry: u64, step: &Step) -> StepNote {
    StepNote {
        name: name.to_owned(),
        session: step.session,
        step: step.step,
        entry,
        tools: step.results.iter().map(|result| result.tool.clone()).collect(),
    }
}

pub(crate) fn file_view(file: &AttributedFile<String>) -> FileView {
    use bailiwick_forge::LineKind;
    let old = file.diff.old_path.as_ref().map(ToString::to_string);
    let new = file.diff.new_path.as_ref().map(ToString::to_string);
    let path = match (old, new) {
        (Some(old), Some(new)) if old != new => format!("{old}{RENAMED}{new}"),
        (old, new) => new.or(old).unwrap_or_default(),
    };
    let hunks: Vec<HunkView> = file
        .hunks
        .iter()
        .map(|attributed| {
            let hunk = &attributed.hunk;
            let lines = hunk.lines.iter().zip(&attributed.lines).map(|(line, who)| LineView {
                sign: match line.kind {
                    LineKind::Context => ' ',
                    LineKind::Added => '+',
                    LineKind::Removed => '-',
                },
                text: line.text.clone(),
                step: who.origin.as_ref().and_then(Origin::step).cloned(),
            });
            HunkView {
                header: format!(
                    "@@ -{},{} +{},{} @@ {}",
                    hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines, hunk.section
                ),
                steps: attributed.steps.clone(),
                lines: lines.collect(),
            }
        })
        .collect();
    FileView { path, steps: file.steps.clone(), binary: hunks.is_empty(), hunks }
}
