//! The scheduler: lets every subtask of a task take its next step, until the task is over or only
//! a person can take it further.

use std::collections::BTreeSet;

use bailiwick_model::event::{Fact, Stage, StageEnd, TaskEnd};
use bailiwick_model::id::{SubtaskKey, TaskId};
use bailiwick_model::task::ApproverMode;
use bailiwick_model::workflow::{Next, SubtaskState, TaskState};
use bailiwick_store::crash_point;
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::error::EngineError;

/// Where a task stands when nothing more can be done without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is over.
    Over(TaskEnd),
    /// A pull request waits for a review, or a question for an answer.
    WaitsForPerson,
    /// Somebody else in this process drives it.
    DrivenElsewhere,
}

impl Engine {
    /// Takes a task as far as it goes. Safe to call again at any time, after a crash too: it goes
    /// on from what is recorded.
    pub async fn drive(&self, id: TaskId) -> Result<Standing, EngineError> {
        let Some(_driver) = self.take_driver(id) else { return Ok(Standing::DrivenElsewhere) };
        let _place = self.take_place().await;
        self.close_dangling(id).await?;
        let state = self.state(id).await?;
        if state.paused.is_some() && !state.is_over() {
            return Ok(Standing::WaitsForPerson);
        }
        if state.ending.is_none() && state.plan.is_none() {
            let token = self.cancel_token(id);
            if state.waits_for(None).is_some() {
                return Ok(Standing::WaitsForPerson);
            }
            let done = tokio::select! {
                done = self.orchestrate(&state) => done,
                () = token.cancelled() => Ok(()),
            };
            match done {
                Err(EngineError::WaitsForApproval { .. } | EngineError::Frozen { .. }) => {
                    return Ok(Standing::WaitsForPerson);
                }
                done => done?,
            }
        }
        let standing = self.advance(id).await?;
        crash_point("engine.task_over");
        self.parts().store.checkpoint().await?;
        crash_point("engine.published");
        if matches!(standing, Standing::Over(_)) {
            self.clear_work(id).await;
        }
        Ok(standing)
    }

    /// Drives a task, and again whenever something is recorded, until it is over.
    pub async fn follow(&self, id: TaskId) -> Result<TaskEnd, EngineError> {
        loop {
            // Both from before the drive: what happens meanwhile must not be missed.
            let (changed, freed) = (self.changed(), self.freed());
            match self.drive(id).await? {
                Standing::Over(end) => return Ok(end),
                Standing::WaitsForPerson => changed.await,
                Standing::DrivenElsewhere => tokio::select! {
                    () = changed => {}
                    () = freed => {}
                },
            }
        }
    }

    /// Gives every permitted action that a crash left without an outcome one that says so.
    async fn close_dangling(&self, id: TaskId) -> Result<(), EngineError> {
        // A review can be under way in this process: its action has no outcome yet, but will.
        let _nobody = self.nobody_acts().await;
        let dangling = self.parts().store.dangling(id).await?;
        Ok(self.parts().warden.close_interrupted(dangling).await?)
    }

    async fn advance(&self, id: TaskId) -> Result<Standing, EngineError> {
        let mut running = JoinSet::new();
        let standing = self.take_steps(id, &mut running).await;
        // Whatever stopped it, nothing of it goes on behind the caller's back.
        running.shutdown().await;
        standing
    }

    /// Each step is a task of its own to the runtime: a step that waits for a lock or a place
    /// among the readers is polled whatever else this function waits for.
    async fn take_steps(
        &self,
        id: TaskId,
        running: &mut JoinSet<(SubtaskKey, Result<(), EngineError>)>,
    ) -> Result<Standing, EngineError> {
        let token = self.cancel_token(id);
        let mut busy: BTreeSet<SubtaskKey> = BTreeSet::new();
        loop {
            let state = self.state(id).await?;
            if let Some(ending) = &state.ending {
                return Ok(Standing::Over(ending.end));
            }
            let steps = if state.paused.is_some() { Vec::new() } else { actionable(&state) };
            for (key, next) in steps {
                if busy.insert(key.clone()) {
                    let engine = self.clone();
                    running.spawn(async move {
                        let done = Box::pin(engine.step(id, &key, next)).await;
                        (key, done)
                    });
                }
            }
            if running.is_empty() {
                if let Some(end) = finished(&state) {
                    self.end_task(&state, end).await?;
                    continue;
                }
                return Ok(Standing::WaitsForPerson);
            }
            tokio::select! {
                Some(ended) = running.join_next() => {
                    let (key, done) =
                        ended.map_err(|error| EngineError::machine("a step of the task", &error))?;
                    busy.remove(&key);
                    match done {
                        Ok(()) => {}
                        // The state says what is waited for.
                        Err(EngineError::WaitsForApproval { .. }) => {}
                        // Not again before something changes: a thaw wakes whoever follows.
                        Err(EngineError::Frozen { .. }) => {
                            busy.insert(key);
                        }
                        Err(error) if error.is_fatal() => return Err(error),
                        Err(error) => self.ask_person(id, &key, &error).await?,
                    }
                }
                () = token.cancelled() => return Err(EngineError::Cancelled),
            }
        }
    }

    /// One step of one subtask.
    async fn step(&self, id: TaskId, key: &SubtaskKey, next: Next) -> Result<(), EngineError> {
        match next {
            Next::Prepare => self.prepare(id, key).await,
            Next::Implement => self.implement(id, key).await,
            Next::Rebase => self.rebase(id, key).await,
            Next::RunGates => self.run_gates(id, key).await,
            Next::Verify => self.verify(id, key).await,
            Next::AskRepair(findings) => self.ask_repair(id, key, findings).await,
            Next::AskHuman => self.ask_about_repairs(id, key).await,
            Next::Advise => self.advise(id, key).await,
            Next::ScoreRisk => self.score_risk(id, key).await,
            Next::Publish => self.publish(id, key).await,
            Next::WaitForReview => self.simulated_approval(id, key).await,
            Next::Merge => self.merge(id, key).await,
            Next::GiveUp => self.give_up(id, key).await,
            Next::WaitForDependencies
            | Next::WaitForAnswer
            | Next::WaitForApproval
            | Next::Done => Ok(()),
        }
    }

    /// Records that a subtask can't go on by itself.
    async fn ask_person(
        &self,
        id: TaskId,
        key: &SubtaskKey,
        error: &EngineError,
    ) -> Result<(), EngineError> {
        let hint = format!("{} (then `bailiwick task retry {id}`)", error.hint());
        let (_, subtask) = self.subtask(id, key).await?;
        let mut facts = vec![Fact::HumanAsked {
            task: id,
            subtask: key.clone(),
            code: error.code(),
            reason: error.to_string(),
            hint,
        }];
        for stage in Stage::ALL {
            facts.extend(Self::leave(id, &subtask, stage, StageEnd::Failed));
        }
        self.record(facts).await
    }

    async fn give_up(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        self.record(vec![Fact::HumanAsked {
            task: id,
            subtask: key.clone(),
            code: "plan.dependency_rejected".to_owned(),
            reason: "a subtask that it depends on was rejected".to_owned(),
            hint: format!("`bailiwick task cancel {id}`, and ask anew for what is left"),
        }])
        .await
    }

    async fn end_task(&self, state: &TaskState, end: TaskEnd) -> Result<(), EngineError> {
        let reason = match end {
            TaskEnd::Merged => "every subtask is merged",
            TaskEnd::Rejected => "a person rejected the change",
            TaskEnd::Cancelled | TaskEnd::Failed => "it was stopped",
        };
        self.record(vec![Fact::TaskEnded {
            task: state.id(),
            end,
            code: None,
            reason: reason.to_owned(),
            hint: None,
            cost: state.cost,
        }])
        .await?;
        self.parts().warden.tokens().end_task(state.id(), jiff::Timestamp::now());
        Ok(())
    }
}

/// The subtasks that can take a step now.
fn actionable(state: &TaskState) -> Vec<(SubtaskKey, Next)> {
    let simulated = state.task.approver == ApproverMode::Simulated;
    state
        .subtasks
        .keys()
        .filter_map(|key| state.next(key).map(|next| (key.clone(), next)))
        .filter(|(key, next)| match next {
            Next::WaitForDependencies
            | Next::WaitForAnswer
            | Next::WaitForApproval
            | Next::Done => false,
            // what a heuristic found is for a person
            Next::WaitForReview => {
                simulated && !state.subtasks.get(key).is_some_and(SubtaskState::asks_person)
            }
            _ => true,
        })
        .collect()
}

/// How the task ends, if every subtask is done.
fn finished(state: &TaskState) -> Option<TaskEnd> {
    if state.subtasks.is_empty() || !state.subtasks.values().all(|subtask| subtask.is_done()) {
        return None;
    }
    let rejected = state.subtasks.values().any(|subtask| subtask.rejected);
    Some(if rejected { TaskEnd::Rejected } else { TaskEnd::Merged })
}
