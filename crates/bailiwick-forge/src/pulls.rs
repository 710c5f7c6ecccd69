//! The files of pull requests: one JSON file each, replaced as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use bailiwick_model::Timestamp;
use bailiwick_model::action::MergeMethod;
use bailiwick_model::id::{Oid, RepoName};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::ForgeError;
use crate::types::PullRequest;

/// A pull request as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) pull_request: PullRequest,
    /// A merge that has begun. Whether it took place shows in the base branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merging: Option<MergeIntent>,
}

/// A merge that is about to move the base branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeIntent {
    pub(crate) commit: Oid,
    pub(crate) head: Oid,
    pub(crate) method: MergeMethod,
    pub(crate) merged_at: Timestamp,
}

/// The pull requests of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Pulls {
    directory: PathBuf,
    repo: RepoName,
}

impl Pulls {
    pub(crate) fn new(forge: &Path, repo: &RepoName) -> Self {
        Self { directory: forge.join(format!("{repo}.pulls")), repo: repo.clone() }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn load(&self, number: u64) -> Result<Stored, ForgeError> {
        let path = self.path(number);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ForgeError::NoPullRequest { repo: self.repo.clone(), number });
            }
            Err(error) => return Err(ForgeError::io("read", path)(error)),
        };
        serde_json::from_slice(&bytes).map_err(|source| ForgeError::Damaged { path, source })
    }

    pub(crate) fn save(&self, stored: &Stored) -> Result<(), ForgeError> {
        let path = self.path(stored.pull_request.number);
        let mut bytes = serde_json::to_vec_pretty(stored)
            .map_err(|source| ForgeError::Damaged { path: path.clone(), source })?;
        bytes.push(b'\n');
        durable::replace(&path, &bytes)
    }

    /// The numbers in use, sorted. A damaged file keeps its number.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, ForgeError> {
        let mut numbers = Vec::new();
        let failed = || ForgeError::io("list", &self.directory);
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            let number: Option<u64> = name
                .to_str()
                .and_then(|name| name.strip_suffix(".json"))
                .and_then(|stem| stem.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Every pull request that can be read, by number, and the files that cannot.
    pub(crate) fn all(&self) -> Result<(Vec<Stored>, Vec<PathBuf>), ForgeError> {
        let (mut sound, mut damaged) = (Vec::new(), Vec::new());
        for number in self.numbers()? {
            match self.load(number) {
                Ok(stored) => sound.push(stored),
                Err(ForgeError::Damaged { path, .. }) => damaged.push(path),
                Err(error) => return Err(error),
            }
        }
        Ok((sound, damaged))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:06}.json"))
    }
}
