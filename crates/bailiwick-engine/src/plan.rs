//! Stage 2: a coordinator turns the task into a plan.

use bailiwick_agent::prompts;
use bailiwick_agent::{Submission, Tool};
use bailiwick_model::event::{Fact, Stage, StageEnd, TaskEnd};
use bailiwick_model::plan::Plan;
use bailiwick_model::subject::Role;
use bailiwick_model::workflow::{StageState, TaskState};

use bailiwick_sandbox::{Access, NetworkRule};

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::session::Run;
use crate::workspace::Spot;

impl Engine {
    /// Lets a coordinator plan. What goes wrong ends the task; `task retry` takes it up again.
    pub(crate) async fn orchestrate(&self, state: &TaskState) -> Result<(), EngineError> {
        let running = state
            .stages
            .get(&Stage::Orchestration)
            .is_some_and(|progress| progress.state == StageState::Running);
        if !running {
            self.record(Self::enter(state.id(), None, Stage::Orchestration)).await?;
        }
        match self.plan(state).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.record(vec![
                    Fact::StageEnded {
                        task: state.id(),
                        subtask: None,
                        stage: Stage::Orchestration,
                        ok: StageEnd::Failed,
                    },
                    Fact::TaskEnded {
                        task: state.id(),
                        end: TaskEnd::Failed,
                        code: Some(error.code()),
                        reason: error.to_string(),
                        hint: Some(error.hint()),
                        cost: self.state(state.id()).await?.cost,
                    },
                ])
                .await?;
                self.parts().warden.tokens().end_task(state.id(), jiff::Timestamp::now());
                Ok(())
            }
        }
    }

    async fn plan(&self, state: &TaskState) -> Result<(), EngineError> {
        let task = &state.task;
        let earlier = state.open_plan_session().cloned();
        let (session, end) = match &earlier {
            Some(run) if run.end.is_some() => (run.id, run.end.clone()),
            _ => (Self::new_session(), None),
        };
        let (session, end) = match end {
            Some(end) => (session, end),
            None => {
                let subject = actor::subject(task, None, Role::Setup);
                let context = actor::context(task, None);
                let spot = Spot {
                    task: task.id,
                    subtask: None,
                    purpose: "plan".to_owned(),
                    network: NetworkRule::Never,
                    access: Access::ReadOnly,
                    programs: Vec::new(),
                    caches_of: None,
                    output_bytes: None,
                };
                let base = self.parts().forge.head(&task.repo, &task.base_branch).await?;
                let base = match earlier.as_ref().and_then(|run| run.started_from.clone()) {
                    Some(tree) => tree,
                    None => base,
                };
                let place = self.place(task, &subject, &context, &spot, &base).await?;
                let tree = place.tree.tree().clone();
                let rules = self.repository_rules(task).await?;
                let opening = prompts::coordinator_opening(task, &rules);
                self.run_agent(Run {
                    task,
                    subtask: None,
                    role: Role::Coordinator,
                    opening,
                    tools: Tool::for_role(Role::Coordinator).to_vec(),
                    submission: Submission::plan(task.budget),
                    earlier,
                    place: &place,
                    tree,
                })
                .await?
            }
        };
        let plan: Plan = self.submitted(&end).await?;
        plan.validate(task.budget).map_err(|error| EngineError::State {
            code: "plan.invalid",
            message: error.to_string(),
            hint: "`bailiwick task retry` lets the coordinator try again".to_owned(),
        })?;
        self.record(vec![
            Fact::PlanAccepted { task: task.id, session, plan },
            Fact::StageEnded {
                task: task.id,
                subtask: None,
                stage: Stage::Orchestration,
                ok: StageEnd::Done,
            },
        ])
        .await
    }
}
