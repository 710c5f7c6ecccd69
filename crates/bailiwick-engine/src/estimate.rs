//! What a task will cost, as far as that can be told before it starts.

use bailiwick_model::chat::{ChatRequest, Message, SystemBlock};
use bailiwick_model::event::TaskEnd;
use bailiwick_model::id::RepoName;
use bailiwick_model::task::MicroUsd;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::EngineError;

/// Finished tasks of the same repository and model that an estimate is drawn from at least.
const ENOUGH: usize = 3;
/// How many tasks are looked at.
const RECENT: usize = 200;
/// Calls of a small task when nothing is known yet: two to plan, eight to implement, three to
/// verify, two to review.
const USUAL_CALLS: u64 = 15;
/// Bytes of a usual request, and tokens of a usual reply.
const USUAL_REQUEST_BYTES: usize = 24 * 1024;
const USUAL_REPLY_TOKENS: u32 = 600;

/// An estimate and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// What the task will probably cost.
    pub likely: MicroUsd,
    /// What it can't exceed: its budget.
    pub at_most: MicroUsd,
    /// What the number rests on, in a sentence.
    pub basis: String,
}

impl Engine {
    /// Estimates from finished tasks of the same repository and model, or, where there are too
    /// few, from the price of a usual small task.
    pub async fn estimate(
        &self,
        repo: &RepoName,
        provider: &str,
        model: &str,
        budget: MicroUsd,
    ) -> Result<Estimate, EngineError> {
        let page = self.parts().store.tasks(None, RECENT).await?;
        let mut costs: Vec<MicroUsd> = page
            .tasks
            .iter()
            .filter(|summary| summary.end == Some(TaskEnd::Merged))
            .filter(|summary| {
                let task = &summary.task;
                task.repo == *repo && task.provider == provider && task.model == model
            })
            .map(|summary| summary.spent)
            .collect();
        costs.sort_unstable();
        if costs.len() >= ENOUGH {
            let median = costs.get(costs.len() / 2).copied().unwrap_or_default();
            return Ok(Estimate {
                likely: median.min(budget),
                at_most: budget,
                basis: format!("the median of {} finished tasks here", costs.len()),
            });
        }
        let request = ChatRequest {
            model: model.to_owned(),
            system: vec![SystemBlock::plain(String::new())],
            messages: vec![Message::user("x".repeat(USUAL_REQUEST_BYTES))],
            tools: Vec::new(),
            max_output_tokens: USUAL_REPLY_TOKENS,
            temperature: None,
        };
        let one = self.parts().models.estimate(provider, &request).map_err(|error| {
            EngineError::Action {
                code: error.code().to_owned(),
                message: error.to_string(),
                rules: Vec::new(),
                hint: error.hint(),
            }
        })?;
        Ok(Estimate {
            likely: MicroUsd(one.cost.0.saturating_mul(USUAL_CALLS)).min(budget),
            at_most: budget,
            basis: format!("the price of {USUAL_CALLS} usual calls; no task has finished here yet"),
        })
    }
}
