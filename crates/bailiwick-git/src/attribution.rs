//! Which step made which line: lines are followed through the trees recorded after every step, so
//! that lines written by a command have their step too.

use std::collections::HashMap;

use bailiwick_model::id::Oid;
use serde::Serialize;

use crate::diff::{Diff, DiffOptions, FileDiff, Hunk, Line, LineKind};
use crate::error::GitError;
use crate::name::{RepoPath, TreeId};
use crate::run::Git;
use crate::track::{Maker, Tracker, map_lines};

/// A tree recorded after a step. `S` is whatever the caller names its steps by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackPoint<S> {
    /// The step; none for a change that no step made, such as a rebase between two runs.
    pub step: Option<S>,
    /// The workspace after it.
    pub tree: TreeId,
}

/// Who made a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin<S> {
    /// This step added the line, or removed it.
    Step(S),
    /// Equal lines make it ambiguous; this step changed the lines next to it.
    Likely(S),
    /// No step did.
    Outside,
}

impl<S> Origin<S> {
    /// The step, sure or likely.
    pub fn step(&self) -> Option<&S> {
        match self {
            Self::Step(step) | Self::Likely(step) => Some(step),
            Self::Outside => None,
        }
    }
}

/// A difference with the origin of each changed line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attribution<S> {
    /// The files that differ, as in [`Diff::files`].
    pub files: Vec<AttributedFile<S>>,
    /// The whole as unified text.
    pub text: String,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttributedFile<S> {
    /// The difference. Its hunks stand, with their origins, in `hunks` as well.
    pub diff: FileDiff,
    /// Every step that touched the file, in order: also for a binary file, a rename or a mode.
    pub steps: Vec<S>,
    /// The parts that differ.
    pub hunks: Vec<AttributedHunk<S>>,
}

/// A part of a file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttributedHunk<S> {
    /// Where it is.
    pub hunk: Hunk,
    /// The steps that made it, by their first line.
    pub steps: Vec<S>,
    /// The origin of each line of the hunk; none for context.
    pub lines: Vec<AttributedLine<S>>,
}

/// A line of a hunk with its origin; none for context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttributedLine<S> {
    /// Who made it.
    pub origin: Option<Origin<S>>,
}

/// Attributes each added or removed line between `diff_base` and `head` to a step.
///
/// `start` is the tree the first step started from, `points` the trees after each step, in order
/// and over all runs. `diff_base` differs from `start` after a rebase.
pub fn attribute<S: Clone + PartialEq>(
    git: &Git,
    start: &Oid,
    points: &[TrackPoint<S>],
    diff_base: &Oid,
    head: &Oid,
) -> Result<Attribution<S>, GitError> {
    let diff = git.diff(diff_base, head, DiffOptions::STANDARD)?;
    let start = git.tree_of(start)?;
    let mut trees = vec![start.clone()];
    trees.extend(points.iter().map(|point| point.tree.clone()));
    trees.push(git.tree_of(head)?);
    let mut pairs: Vec<(TreeId, TreeId)> =
        trees.iter().cloned().zip(trees.iter().skip(1).cloned()).collect();
    pairs.push((git.tree_of(diff_base)?, start));
    let mut transitions = git.raw_diffs(&pairs)?;
    let rebased = transitions.pop().unwrap_or_default();
    let blobs = git.text_blobs(transitions.iter().chain([&rebased]).flatten())?;
    let mut tracker = Tracker::new(&blobs);
    for (at, entries) in transitions.iter().enumerate() {
        let maker = if points.get(at).is_some_and(|point| point.step.is_some()) {
            Maker::Point(at)
        } else {
            Maker::Nobody
        };
        tracker.apply(maker, entries);
    }
    let steps = Steps { points, tracker: &tracker, from_base: map_lines(&rebased, &blobs) };
    let Diff { files, text } = diff;
    let files = files.into_iter().map(|file| steps.file(file)).collect();
    Ok(Attribution { files, text })
}

struct Steps<'a, S> {
    points: &'a [TrackPoint<S>],
    tracker: &'a Tracker<'a>,
    from_base: HashMap<RepoPath, (RepoPath, Vec<Option<usize>>)>,
}

impl<S: Clone + PartialEq> Steps<'_, S> {
    fn step(&self, point: usize) -> Option<&S> {
        self.points.get(point)?.step.as_ref()
    }

    fn file(&self, diff: FileDiff) -> AttributedFile<S> {
        let start_path = diff.old_path.as_ref().map(|path| match self.from_base.get(path) {
            Some((start, _)) => start.clone(),
            None => path.clone(),
        });
        let mut touched = self.tracker.touched(diff.new_path.as_ref(), start_path.as_ref());
        touched.sort_unstable();
        touched.dedup();
        let last = touched.last().copied();
        let hunks = diff.hunks().iter().map(|hunk| self.hunk(&diff, hunk, last)).collect();
        let steps = distinct(touched.iter().filter_map(|point| self.step(*point)));
        AttributedFile { steps, hunks, diff }
    }

    fn hunk(&self, file: &FileDiff, hunk: &Hunk, last: Option<usize>) -> AttributedHunk<S> {
        let found: Vec<Found> = hunk.lines.iter().map(|line| self.find(file, line)).collect();
        let lines: Vec<AttributedLine<S>> = (0..found.len())
            .map(|at| AttributedLine { origin: self.origin(&found, at, last) })
            .collect();
        let steps = distinct(lines.iter().filter_map(|line| line.origin.as_ref()?.step()));
        AttributedHunk { hunk: hunk.clone(), steps, lines }
    }

    fn find(&self, file: &FileDiff, line: &Line) -> Found {
        let index = |number: Option<u32>| {
            number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1))
        };
        let maker = match line.kind {
            LineKind::Context => return Found::Context,
            LineKind::Added => file
                .new_path
                .as_ref()
                .zip(index(line.new_line))
                .and_then(|(path, at)| self.tracker.added(path, at)),
            LineKind::Removed => {
                file.old_path.as_ref().zip(index(line.old_line)).and_then(|(path, at)| {
                    match self.from_base.get(path) {
                        None => self.tracker.removed(path, at),
                        Some((start, lines)) => match lines.get(at).copied().flatten() {
                            Some(at) => self.tracker.removed(start, at),
                            // the line came with the new base, so no step can have known it
                            None => Some(Maker::Nobody),
                        },
                    }
                })
            }
        };
        maker.map_or(Found::Ambiguous, Found::Made)
    }

    fn origin(&self, found: &[Found], at: usize, last: Option<usize>) -> Option<Origin<S>> {
        match found.get(at)? {
            Found::Context => None,
            Found::Made(Maker::Nobody) => Some(Origin::Outside),
            Found::Made(Maker::Point(point)) => {
                Some(self.step(*point).cloned().map_or(Origin::Outside, Origin::Step))
            }
            Found::Ambiguous => {
                let near = |point: Option<usize>| point.and_then(|point| self.step(point)).cloned();
                Some(near(nearest(found, at).or(last)).map_or(Origin::Outside, Origin::Likely))
            }
        }
    }
}

enum Found {
    Context,
    Made(Maker),
    Ambiguous,
}

/// The point that made the closest attributed line.
fn nearest(found: &[Found], at: usize) -> Option<usize> {
    let made = found.iter().enumerate().filter_map(|(index, found)| match found {
        Found::Made(Maker::Point(point)) => Some((index.abs_diff(at), *point)),
        Found::Made(Maker::Nobody) | Found::Context | Found::Ambiguous => None,
    });
    made.min_by_key(|(distance, _)| *distance).map(|(_, point)| point)
}

fn distinct<'a, S: Clone + PartialEq + 'a>(steps: impl Iterator<Item = &'a S>) -> Vec<S> {
    steps.fold(Vec::new(), |mut seen, step| {
        if !seen.contains(step) {
            seen.push(step.clone());
        }
        seen
    })
}
