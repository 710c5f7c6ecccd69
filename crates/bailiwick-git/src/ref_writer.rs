//! Moving references: the one thing in this crate that anybody else can see.

use bailiwick_model::id::{BranchName, Oid};

use crate::error::GitError;
use crate::name::RefName;
use crate::run::Git;

/// The right to move references of a repository.
///
/// A [`Git`] handle alone can't move any. Only `bailiwick-forge` makes a writer, behind a permit;
/// `cargo xtask tidy` checks that no other crate names this type.
#[derive(Debug, Clone, Copy)]
pub struct RefWriter<'a> {
    git: &'a Git,
}

impl<'a> RefWriter<'a> {
    /// A writer for a repository.
    pub fn new(git: &'a Git) -> Self {
        Self { git }
    }

    /// Moves, makes or deletes a reference, if it is where it is expected (none: does not exist).
    ///
    /// Moving it to where it already is succeeds, whatever was expected.
    pub fn update_ref(
        &self,
        name: &RefName,
        expected: Option<&Oid>,
        new: Option<&Oid>,
    ) -> Result<(), GitError> {
        self.git.update_ref(name, expected, new)
    }

    /// Copies a branch with its whole history from another repository on this machine into a
    /// reference of this one, and gives the commit. Objects are checked on the way.
    pub fn fetch_local(
        &self,
        source: &Git,
        branch: &BranchName,
        into: &RefName,
    ) -> Result<Oid, GitError> {
        self.git.fetch_local(source, branch, into)
    }
}
