//! Running one agent: a new run, or one that was cut off.

use std::sync::Arc;

use bailiwick_agent::{Agent, Deps, Hearing, Opening, RunError, Session, Submission, Tool};
use bailiwick_model::event::SessionEnd;
use bailiwick_model::id::{Oid, SessionId};
use bailiwick_model::subject::Role;
use bailiwick_model::task::{BUILTIN_AGENT, Task};
use bailiwick_model::workflow::{SessionRef, SubtaskState};
use bailiwick_warden::{Bounds, TokenError, Warden, kinds_of};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::error::{EngineError, chain};
use crate::steer::Ear;
use crate::workspace::{Place, TreeSnapshots};

/// What an agent run is about.
pub(crate) struct Run<'a> {
    pub(crate) task: &'a Task,
    pub(crate) subtask: Option<&'a SubtaskState>,
    pub(crate) role: Role,
    pub(crate) opening: Opening,
    pub(crate) tools: Vec<Tool>,
    pub(crate) submission: Submission,
    /// The run to take up again, when one was cut off.
    pub(crate) earlier: Option<SessionRef>,
    pub(crate) place: &'a Place,
    pub(crate) tree: Oid,
}

/// Who hears what people say: whoever makes something. Whoever judges goes by the work alone.
fn hears(role: Role) -> bool {
    matches!(role, Role::Coordinator | Role::Implementor)
}

/// How long a run's token is worth something, in seconds: a day. A run that is taken up again gets
/// a new one.
const TOKEN_SECONDS: i64 = 86_400;

/// A token that is held for a run, and ends with it, however it ends.
struct Holding {
    warden: Arc<Warden>,
    id: SessionId,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.warden.tokens().end(self.id, Timestamp::now());
    }
}

impl Engine {
    /// Runs an agent to its end. A run that stopped without a result is an error that says why.
    pub(crate) async fn run_agent(
        &self,
        run: Run<'_>,
    ) -> Result<(SessionId, SessionEnd), EngineError> {
        let id = run.earlier.as_ref().map_or_else(Self::new_session, |earlier| earlier.id);
        let history = match &run.earlier {
            Some(earlier) => self.history(earlier.id).await?,
            None => Vec::new(),
        };
        let session = Session {
            task: run.task.id,
            subtask: run.subtask.map(|state| state.subtask.key.clone()),
            id,
            role: run.role,
            round: run.subtask.map_or(0, |state| state.round),
            on_behalf_of: run.task.requester.clone(),
            context: self.caged_context(run.task, run.subtask)?,
            provider: run.task.provider.clone(),
            model: run.task.model.clone(),
            opening: run.opening,
            tools: run.tools,
            submission: run.submission,
            limits: self.settings().limits,
            start_tree: Some(run.tree),
            sandbox: Some(Arc::clone(&run.place.sandbox)),
            snapshots: Some(Arc::new(TreeSnapshots(Arc::clone(&run.place.tree)))),
            labeller: Arc::clone(&self.parts().labeller),
            hearing: hears(run.role).then(|| -> Arc<dyn Hearing> {
                Arc::new(Ear {
                    engine: self.clone(),
                    task: run.task.id,
                    subtask: run.subtask.map(|state| state.subtask.key.clone()),
                    session: id,
                })
            }),
            cancel: self.cancel_token(run.task.id),
        };
        let holding = self.hold_token(run.task, run.subtask, run.role, id)?;
        let deps = Deps {
            warden: Arc::clone(&self.parts().warden),
            gateway: Arc::clone(&self.parts().models),
        };
        let kind = match run.role {
            Role::Implementor => run.task.agent.as_str(),
            _ => BUILTIN_AGENT,
        };
        let agent = self.agent(kind)?;
        let end = agent.run(&deps, &session, &history).await.map_err(|error| match error {
            RunError::Cancelled => EngineError::Cancelled,
            RunError::Ledger { source } => EngineError::from(source),
            waits @ RunError::WaitsForApproval { .. } => EngineError::WaitsForApproval {
                message: waits.to_string(),
                hint: waits.hint().to_owned(),
            },
            RunError::Frozen { reason } => EngineError::Frozen { message: reason },
            other => EngineError::Action {
                code: other.code().to_owned(),
                message: chain(&other),
                rules: Vec::new(),
                hint: other.hint().to_owned(),
            },
        })?;
        drop(holding);
        Ok((id, end))
    }

    /// The kind of agent of this name, or why there is none.
    pub(crate) fn agent(&self, kind: &str) -> Result<Arc<dyn Agent>, EngineError> {
        let agents = &self.parts().agents;
        agents.get(kind).ok_or_else(|| EngineError::State {
            code: "agent.unknown",
            message: format!("there is no agent `{kind}` here; there are: {}", agents.names()),
            hint: "`bailiwick agents` lists the kinds; `[[agent]]` in the configuration says where a program lies".to_owned(),
        })
    }

    /// Makes a run's token: that of its task, narrowed to its subtask, narrowed to the run and its
    /// role. The warden holds it until the run is over; the agent never sees it.
    fn hold_token(
        &self,
        task: &Task,
        subtask: Option<&SubtaskState>,
        role: Role,
        id: SessionId,
    ) -> Result<Holding, EngineError> {
        let warden = Arc::clone(&self.parts().warden);
        let failed = |error: TokenError| EngineError::machine("making a session's token", &error);
        let now = Timestamp::now();
        let whole = Bounds {
            repo: Some(task.repo.clone()),
            on_behalf_of: Some(task.requester.clone()),
            kinds: Some(kinds_of(Role::Implementor)),
            spend: Some(task.budget),
            ..Bounds::default()
        };
        let token = warden.tokens().of_task(task.id, &whole, TOKEN_SECONDS, now);
        let mut token = token.map_err(failed)?;
        if let Some(state) = subtask {
            let part = Bounds {
                subtask: Some(state.subtask.key.clone()),
                scope: Some(state.subtask.scope.paths.clone()),
                spend: Some(state.budget_left()),
                ..Bounds::default()
            };
            token = token.narrow(&part).map_err(failed)?;
        }
        let own = Bounds {
            session: Some(id),
            role: Some(role),
            kinds: Some(kinds_of(role)),
            // What is part of no subtask has nothing to write.
            scope: subtask.is_none().then(Vec::new),
            ..Bounds::lasting(TOKEN_SECONDS, now)
        };
        warden.tokens().hold(id, token.narrow(&own).map_err(failed)?);
        Ok(Holding { warden, id })
    }

    /// What a run submitted, or why it has nothing to show.
    pub(crate) async fn submitted<T: DeserializeOwned>(
        &self,
        end: &SessionEnd,
    ) -> Result<T, EngineError> {
        match end {
            SessionEnd::Finished { result } => {
                let result = self.parts().store.resolve(result).await?;
                serde_json::from_slice(result.bytes().unwrap_or_default())
                    .map_err(|error| EngineError::machine("reading a run's result", &error))
            }
            SessionEnd::Stopped { code, reason, hint } => Err(EngineError::Action {
                code: code.clone(),
                message: reason.clone(),
                rules: Vec::new(),
                hint: hint.clone(),
            }),
        }
    }
}
