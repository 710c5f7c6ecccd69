//! Stage 3, first part: the base of a subtask, and its dependencies.

use bailiwick_agent::prompts::RepositoryInstructions;
use bailiwick_model::event::{Fact, Stage};
use bailiwick_model::id::{BranchName, Oid, SubtaskKey, TaskId};
use bailiwick_model::task::Task;
use bailiwick_model::workflow::{SubtaskState, TaskState};

use crate::engine::Engine;
use crate::error::EngineError;

/// Files in which a repository speaks to agents.
const RULE_FILES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];
const RULE_BYTES: usize = 32 * 1024;

impl Engine {
    /// Finds what a subtask works on, and fetches its dependencies before any agent starts.
    pub(crate) async fn prepare(&self, id: TaskId, key: &SubtaskKey) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        self.record(Self::enter(id, Some(&subtask), Stage::Execution)).await?;
        let (base, base_branch) = self.base_of(&state, &subtask).await?;
        // Fetching can run what a repository's configuration names (a `rustc-wrapper`), with the
        // network. So it goes by what people let into the task's branch, never by an agent's
        // branch that this subtask may be stacked on.
        let reviewed = self.parts().forge.head(&state.task.repo, &state.task.base_branch).await?;
        let setup = self.set_up(&state.task, &subtask, &reviewed).await?;
        self.record(vec![Fact::SubtaskPrepared {
            task: id,
            subtask: key.clone(),
            base,
            base_branch,
            setup,
        }])
        .await
    }

    /// The commit and branch that a subtask builds on now: its parent's branch while that has an
    /// open pull request, the task's base branch otherwise.
    pub(crate) async fn base_of(
        &self,
        state: &TaskState,
        subtask: &SubtaskState,
    ) -> Result<(Oid, BranchName), EngineError> {
        if let [parent] = subtask.subtask.depends_on.as_slice()
            && let Some(parent) = state.subtasks.get(parent)
            && parent.merged.is_none()
            && let Some(change) = &parent.change
        {
            return Ok((change.head.clone(), change.branch.clone()));
        }
        let branch = state.task.base_branch.clone();
        Ok((self.parts().forge.head(&state.task.repo, &branch).await?, branch))
    }

    /// What the repository's protected branch says to agents: data, not instruction.
    pub(crate) async fn repository_rules(
        &self,
        task: &Task,
    ) -> Result<Vec<RepositoryInstructions>, EngineError> {
        let forge = &self.parts().forge;
        let protected = forge.protected_branch(&task.repo).await?;
        let head = forge.head(&task.repo, &protected).await?;
        let mut rules = Vec::new();
        for path in RULE_FILES {
            if let Some(mut bytes) = forge.read_file(&task.repo, &head, path).await? {
                bytes.truncate(RULE_BYTES);
                rules.push(RepositoryInstructions {
                    path: path.to_owned(),
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                });
            }
        }
        Ok(rules)
    }
}
