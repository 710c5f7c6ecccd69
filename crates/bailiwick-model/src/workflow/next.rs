//! What comes next for a subtask: a pure function of the task's state.

use crate::event::Verification;
use crate::evidence::Finding;
use crate::id::SubtaskKey;

use super::{SubtaskState, TaskState};

/// How many repairs gates and verifier may ask for before a person is asked.
pub const MAX_REPAIRS: u32 = 2;

/// The next thing to do for a subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Wait for the subtasks it depends on.
    WaitForDependencies,
    /// Find its base and fetch its dependencies.
    Prepare,
    /// Let an implementor work.
    Implement,
    /// Put the candidate on the base's new commit.
    Rebase,
    /// Run the gates on the candidate.
    RunGates,
    /// Let a verifier judge the candidate.
    Verify,
    /// Send the candidate back to the implementor.
    AskRepair(Vec<Finding>),
    /// Ask a person, because the repairs are used up.
    AskHuman,
    /// Let a reviewer advise.
    Advise,
    /// Score the risk.
    ScoreRisk,
    /// Push the branch and open the pull request, or bring it up to date.
    Publish,
    /// Wait for a person's review.
    WaitForReview,
    /// Merge.
    Merge,
    /// Wait for people to approve something.
    WaitForApproval,
    /// Wait for a person's answer to the platform's question.
    WaitForAnswer,
    /// A subtask it depends on was given up.
    GiveUp,
    /// It is merged, or given up.
    Done,
}

pub(super) fn next(task: &TaskState, key: &SubtaskKey) -> Option<Next> {
    let state = task.subtasks.get(key)?;
    if state.is_done() {
        return Some(Next::Done);
    }
    if state.question.is_some() {
        return Some(Next::WaitForAnswer);
    }
    if task.waits_for(Some(key)).is_some() {
        return Some(Next::WaitForApproval);
    }
    let parents: Vec<&SubtaskState> =
        state.subtask.depends_on.iter().filter_map(|parent| task.subtasks.get(parent)).collect();
    if parents.iter().any(|parent| parent.rejected) {
        return Some(Next::GiveUp);
    }
    let Some(prepared) = &state.prepared else {
        let ready = match parents.as_slice() {
            // One parent: stack on its branch as soon as there is a pull request for it.
            [parent] => parent.merged.is_some() || settled(parent),
            several => several.iter().all(|parent| parent.merged.is_some()),
        };
        return Some(if ready { Next::Prepare } else { Next::WaitForDependencies });
    };
    let Some(candidate) = state.candidate.as_ref().filter(|c| c.round == state.round) else {
        return Some(Next::Implement);
    };
    if candidate.base != prepared.base || candidate.base_branch != prepared.base_branch {
        return Some(Next::Rebase);
    }
    Some(judge(state).unwrap_or_else(|| deliver(state, parents.as_slice())))
}

/// Whether a pull request stands at the newest candidate, so that another may stack on it.
fn settled(parent: &SubtaskState) -> bool {
    match (&parent.change, &parent.candidate) {
        (Some(change), Some(candidate)) => {
            change.head == candidate.commit && candidate.round == parent.round
        }
        _ => false,
    }
}

fn judge(state: &SubtaskState) -> Option<Next> {
    if state.gates.is_empty() {
        return Some(Next::RunGates);
    }
    let gates_pass = !state.gates.iter().any(|report| report.state.blocks());
    if gates_pass {
        match &state.verification {
            None => return Some(Next::Verify),
            Some((Verification::Accepted, _, _)) => {
                if state.advice.is_none() {
                    return Some(Next::Advise);
                }
                return state.risk.is_none().then_some(Next::ScoreRisk);
            }
            Some((Verification::Refused | Verification::Inconclusive, _, _)) => {}
        }
    }
    Some(if state.repairs < MAX_REPAIRS {
        Next::AskRepair(state.complaints())
    } else {
        Next::AskHuman
    })
}

fn deliver(state: &SubtaskState, parents: &[&SubtaskState]) -> Next {
    let at_head = match (&state.change, &state.candidate) {
        (Some(change), Some(candidate)) => {
            change.head == candidate.commit && change.base_branch == candidate.base_branch
        }
        _ => false,
    };
    if !at_head {
        return Next::Publish;
    }
    if state.approvals.is_empty() || state.merge.is_none() {
        return Next::WaitForReview;
    }
    if parents.iter().any(|parent| parent.merged.is_none()) {
        return Next::WaitForDependencies;
    }
    Next::Merge
}
