//! When a session is over: a pure function of its steps, so that a run that is taken up again
//! comes to the same end.

use bailiwick_model::chat::{Block, canonical_json};
use bailiwick_model::event::SessionEnd;

use crate::session::Session;
use crate::transcript::TakenStep;

/// An end that is not the agent's own.
pub(crate) fn stopped(code: &str, reason: &str, hint: &str) -> SessionEnd {
    SessionEnd::Stopped { code: code.to_owned(), reason: reason.to_owned(), hint: hint.to_owned() }
}

/// How the session ended with the latest of `steps`, if it did.
pub(crate) fn ending(session: &Session, steps: &[TakenStep]) -> Option<SessionEnd> {
    let latest = steps.last()?;
    let limits = &session.limits;
    let submission = session.submission.tool.name.as_str();
    if let Some(result) = submitted(submission, latest) {
        return Some(SessionEnd::Finished { result: result.into() });
    }
    if latest.denials >= limits.max_denials {
        let reason = format!("{} actions of the session were denied", latest.denials);
        let hint = "look at what was denied in the session's trace; widen the policy or the scope, or word the task so that it does not need them";
        return Some(stopped("session.too_many_denials", &reason, hint));
    }
    let all = steps.iter().flat_map(|step| &step.results);
    let refused =
        all.filter(|result| result.recorded.tool == submission && result.recorded.is_error).count();
    if refused >= limits.max_submission_attempts as usize {
        let reason = format!("`{submission}` was called {refused} times without being accepted");
        let hint = "look at what was wrong in the session's trace; use a more capable model, or word the task more simply";
        return Some(stopped("session.submission_invalid", &reason, hint));
    }
    let idle = steps.iter().rev().take_while(|step| step.results.is_empty()).count();
    if idle > limits.max_nudges as usize {
        let reason = format!("the model answered {idle} times in a row without calling a tool");
        return Some(stopped("session.no_tool_call", &reason, "use a model that can call tools"));
    }
    if steps.len() >= limits.max_steps as usize {
        let reason = format!("the session took all of its {} steps", limits.max_steps);
        return Some(stopped(
            "session.too_many_steps",
            &reason,
            "split the task into smaller ones, or raise the limit",
        ));
    }
    None
}

/// The arguments of the submission that `step` has an accepting answer to, as JSON.
fn submitted(submission: &str, step: &TakenStep) -> Option<String> {
    let calls = step.reply.iter().filter_map(|block| match block {
        Block::ToolUse { name, input, .. } => Some((name, input)),
        Block::Text { .. } | Block::ToolResult { .. } | Block::Thinking { .. } => None,
    });
    // INVARIANT: each call has one result, in the same order; ids are the model's and may repeat.
    let (_, result) = calls
        .zip(&step.results)
        .find(|((name, _), result)| *name == submission && !result.recorded.is_error)
        .map(|((name, input), _)| (name, input))?;
    canonical_json(result).ok()
}
