//! Taking a branch over from another repository on the same machine. The only transport is the
//! local file system.

use bailiwick_model::id::{BranchName, Oid};

use crate::error::GitError;
use crate::name::RefName;
use crate::run::Git;

/// Old mistakes in history that harm nobody, and which many repositories have.
const TOLERATED: &[&str] = &[
    "badTimezone",
    "badDateOverflow",
    "badEmail",
    "badName",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeEmail",
    "missingSpaceBeforeDate",
    "missingTaggerEntry",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
    "badFilemode",
];

impl Git {
    /// Copies a branch with its whole history from another repository into a reference of this
    /// one, and gives the commit. Objects are checked on the way.
    pub(crate) fn fetch_local(
        &self,
        source: &Self,
        branch: &BranchName,
        into: &RefName,
    ) -> Result<Oid, GitError> {
        let mut command = self.command(["-c", "fetch.fsckObjects=true"]);
        for message in TOLERATED {
            command = command.arg("-c").arg(format!("fetch.fsck.{message}=ignore"));
        }
        let from = RefName::branch(branch);
        command
            .arg("fetch")
            .arg("--quiet")
            .arg("--no-tags")
            .arg("--no-write-fetch-head")
            .arg("--no-auto-maintenance")
            .arg("--no-recurse-submodules")
            .arg("--")
            .arg(source.git_dir())
            .arg(format!("+{from}:{into}"))
            .file_transport()
            .run()?;
        self.resolve(into)?
            .ok_or_else(|| GitError::UnknownRevision { revision: from.as_str().to_owned() })
    }
}
