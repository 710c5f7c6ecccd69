//! Where agents and gates work: a clean checkout on disk, a scratch directory for build caches,
//! and the cage around both.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_agent::{SnapshotError, Snapshots};
use bailiwick_forge::WorkTree;
use bailiwick_model::action::RepoRead;
use bailiwick_model::id::{Oid, SubtaskKey, TaskId};
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::task::Task;
use bailiwick_sandbox::{Access, Mount, NetworkRule, Sandbox};
use bailiwick_store::crash_point;

use crate::engine::Engine;
use crate::error::EngineError;

/// A checkout with its cage.
pub(crate) struct Place {
    pub(crate) tree: Arc<WorkTree>,
    pub(crate) sandbox: Arc<dyn Sandbox>,
}

/// What a checkout is for; also the name of its directory.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) task: TaskId,
    pub(crate) subtask: Option<SubtaskKey>,
    pub(crate) purpose: String,
    pub(crate) network: NetworkRule,
    pub(crate) access: Access,
    /// Programs of agents that are visible inside.
    pub(crate) programs: Vec<Mount>,
    /// The checkout of the same subtask whose build caches it goes on with; its own when none.
    pub(crate) caches_of: Option<&'static str>,
    /// How much is kept of each output stream; the usual when none.
    pub(crate) output_bytes: Option<u64>,
}

impl Engine {
    fn spot_dir(&self, spot: &Spot, purpose: &str) -> PathBuf {
        let subtask = spot.subtask.as_ref().map_or("task", SubtaskKey::as_str);
        self.settings().work_dir.join(spot.task.to_string()).join(subtask).join(purpose)
    }

    /// Where builds of a checkout keep their caches.
    pub(crate) fn scratch_of(&self, spot: &Spot) -> PathBuf {
        self.spot_dir(spot, spot.caches_of.unwrap_or(&spot.purpose)).join("scratch")
    }

    /// Makes a clean checkout of a commit or tree, in place of whatever was there.
    ///
    /// Checking out reads the repository, so it is an action like any other.
    pub(crate) async fn place(
        &self,
        task: &Task,
        subject: &Subject,
        context: &Context,
        spot: &Spot,
        object: &Oid,
    ) -> Result<Place, EngineError> {
        let dir = self.spot_dir(spot, &spot.purpose);
        remove(&dir).await?;
        crash_point("engine.checkout_cleared");
        let scratch = self.scratch_of(spot);
        create(&scratch).await?;
        let read = RepoRead {
            repo: task.repo.clone(),
            object: Some(object.clone()),
            source: None,
            branch: task.base_branch.clone(),
        };
        let forge = &self.parts().forge;
        let (at, index) = (dir.join("tree"), dir.join("index"));
        let tree = self
            .parts()
            .warden
            .perform(subject, context, read, |permit| forge.checkout(permit, at, index))
            .await?;
        let sandbox = self.cage(task, spot, tree.path(), &scratch).await?;
        Ok(Place { tree: Arc::new(tree), sandbox })
    }

    /// Removes everything that a task's work left on disk.
    pub(crate) async fn clear_work(&self, id: TaskId) {
        let dir = self.settings().work_dir.join(id.to_string());
        if let Err(error) = remove(&dir).await {
            tracing::warn!(task = %id, %error, "the work directory was not removed");
        }
    }
}

/// Removes a directory with everything in it, if it is there.
pub(crate) async fn remove(dir: &Path) -> Result<(), EngineError> {
    match tokio::fs::remove_dir_all(dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::machine("removing a work directory", &error))
        }
        _ => Ok(()),
    }
}

/// Makes a directory and those above it.
pub(crate) async fn create(dir: &Path) -> Result<(), EngineError> {
    tokio::fs::create_dir_all(dir)
        .await
        .map_err(|error| EngineError::machine("making a work directory", &error))
}

/// Records the workspace of a run as trees in the forge's object store.
pub(crate) struct TreeSnapshots(pub(crate) Arc<WorkTree>);

fn refused(error: bailiwick_forge::ForgeError) -> SnapshotError {
    SnapshotError { message: crate::error::chain(&error), source: Some(Box::new(error)) }
}

#[async_trait]
impl Snapshots for TreeSnapshots {
    async fn snapshot(&self) -> Result<Oid, SnapshotError> {
        self.0.snapshot().await.map_err(refused)
    }

    async fn restore(&self, tree: &Oid) -> Result<(), SnapshotError> {
        self.0.restore(tree).await.map_err(refused)
    }
}
