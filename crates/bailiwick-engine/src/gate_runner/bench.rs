//! The checkouts that gates run commands on: clean ones of a commit, and composed ones of what no
//! commit has.

use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_gates::{
    Checkout, CommandRefusal, Keeps, Overlaid, ProjectFiles, WardenRunner, Workbench,
};
use bailiwick_model::id::Oid;
use bailiwick_model::subject::Role;
use bailiwick_model::task::Task;
use bailiwick_model::workflow::SubtaskState;
use bailiwick_sandbox::{Access, NetworkRule};

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::gate_runner::LedgerWatch;
use crate::judge::blocking;
use crate::workspace::Spot;

/// What a gate's checkout is for, and how much it keeps of output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GatePlace {
    purpose: &'static str,
    keeps: Keeps,
    /// The checkout whose build caches it goes on with.
    goes_on: Option<&'static str>,
}

/// Whose build caches a composed checkout goes on with. Only where what runs in it has run with
/// these caches already: a change's code could have left in them what makes a tool see less.
fn caches_of(purpose: &str) -> Option<&'static str> {
    match purpose {
        "gate-new-tests" => Some("gate-base"),
        "gate-coverage" | "gate-mutants" => Some("gate-head"),
        _ => None,
    }
}

/// A checkout that keeps as much as any.
pub(crate) fn plain(purpose: &'static str) -> GatePlace {
    GatePlace { purpose, keeps: Keeps::Usual, goes_on: None }
}

impl Engine {
    /// A clean checkout of a commit or tree in a sandbox, for gates.
    pub(crate) async fn gate_checkout(
        &self,
        task: &Task,
        subtask: &SubtaskState,
        place: &GatePlace,
        object: &Oid,
        watch: &LedgerWatch,
    ) -> Result<Checkout, EngineError> {
        let subject = actor::subject(task, Some(subtask), Role::Gate);
        let context = actor::context(task, Some(subtask));
        // What agents wrote runs here: what they read counts for how well it is kept in.
        let mut caged = self.caged_context(task, Some(subtask))?;
        caged.taint.extend(subtask.sessions.iter().flat_map(|run| run.taint.iter().copied()));
        let spot = Spot {
            task: task.id,
            subtask: Some(subtask.subtask.key.clone()),
            purpose: place.purpose.to_owned(),
            network: NetworkRule::Never,
            access: Access::ReadWrite,
            programs: Vec::new(),
            caches_of: place.goes_on,
            output_bytes: match place.keeps {
                Keeps::Usual => None,
                Keeps::Reports => Some(Keeps::REPORT_BYTES),
            },
        };
        let place = self.place(task, &subject, &context, &spot, object).await?;
        self.install(task, subtask, object, Arc::clone(&place.sandbox)).await?;
        let git = self.parts().forge.git(&task.repo)?;
        let at = object.clone();
        let files = blocking("reading the project's files", move || ProjectFiles::read(&git, &at))
            .await?
            .map_err(|error| EngineError::machine("reading the project's files", &error))?;
        let sandbox = place.sandbox;
        let effect = move |permit| {
            let sandbox = Arc::clone(&sandbox);
            async move { sandbox.run(permit).await }
        };
        let runner = WardenRunner::new(Arc::clone(&self.parts().warden), subject, caged, effect);
        Ok(Checkout::new(object.clone(), files, Arc::new(watch.over(runner))))
    }
}

/// Makes composed checkouts for the gates of one candidate.
pub(crate) struct GateBench<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) task: &'a Task,
    pub(crate) subtask: &'a SubtaskState,
    pub(crate) watch: &'a LedgerWatch,
}

#[async_trait]
impl Workbench for GateBench<'_> {
    async fn compose(
        &self,
        purpose: &'static str,
        commit: &Oid,
        files: Vec<Overlaid>,
        keeps: Keeps,
    ) -> Result<Checkout, CommandRefusal> {
        let made = self.made(purpose, commit, files, keeps).await;
        made.map_err(|error| {
            let refusal = CommandRefusal {
                code: error.code(),
                reason: crate::error::chain(&error),
                hint: error.hint(),
            };
            self.watch.note(&refusal);
            refusal
        })
    }
}

impl GateBench<'_> {
    async fn made(
        &self,
        purpose: &'static str,
        commit: &Oid,
        files: Vec<Overlaid>,
        keeps: Keeps,
    ) -> Result<Checkout, EngineError> {
        let engine = self.engine;
        // its own: subtasks of one task are gated at the same time
        let key = self.subtask.subtask.key.as_str();
        let scratch = engine.settings().work_dir.join(self.task.id.to_string()).join(key);
        crate::workspace::create(&scratch).await?;
        let files = files.into_iter().map(|file| (file.path, file.content)).collect();
        let forge = &engine.parts().forge;
        let tree = forge.overlay(&self.task.repo, commit, files, scratch).await?;
        let place = GatePlace { purpose, keeps, goes_on: caches_of(purpose) };
        engine.gate_checkout(self.task, self.subtask, &place, &tree, self.watch).await
    }
}
