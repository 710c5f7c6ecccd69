//! Merging, squashing and rebasing without a working tree (`git merge-tree`).

use bailiwick_model::id::Oid;

use crate::commit::{NewCommit, Signature, Trailer};
use crate::error::GitError;
use crate::name::{RepoPath, TreeId};
use crate::run::Git;
use crate::sshsig::CommitSigner;

/// A change could not be put on top of another.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Both sides changed the same lines.
    #[error("the changes conflict in {}", list(paths))]
    Conflict {
        /// Where.
        paths: Vec<RepoPath>,
    },
    /// The two have no history in common.
    #[error("`{one}` and `{other}` have no history in common")]
    Unrelated {
        /// One commit.
        one: Oid,
        /// The other.
        other: Oid,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

fn list(paths: &[RepoPath]) -> String {
    let shown: Vec<String> = paths.iter().take(5).map(|path| format!("`{path}`")).collect();
    let more = paths.len().saturating_sub(shown.len());
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    shown.join(", ") + &rest
}

/// What is merged, and how the resulting commits are made.
#[derive(Debug, Clone, Copy)]
pub struct MergeInput<'a> {
    /// The branch that receives the change.
    pub base: &'a Oid,
    /// The change.
    pub head: &'a Oid,
    /// Who merges, and when. Rebased commits keep their authors.
    pub committer: &'a Signature,
    /// Signs each new commit.
    pub signer: Option<&'a dyn CommitSigner>,
}

impl Git {
    /// Merges two trees or commits over their common base; nothing but objects is written.
    pub fn merge_trees(
        &self,
        common: &Oid,
        ours: &Oid,
        theirs: &Oid,
    ) -> Result<TreeId, ReplayError> {
        let (code, output) = self
            .command(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"])
            .arg(format!("--merge-base={common}"))
            .arg(ours.as_str())
            .arg(theirs.as_str())
            .run_codes(&[0, 1])?;
        let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let tree = fields
            .next()
            .and_then(|field| std::str::from_utf8(field).ok())
            .and_then(|text| Oid::parse(text).ok())
            .ok_or_else(|| GitError::malformed("merge-tree", &output))?;
        if code == 0 {
            return Ok(TreeId::new(tree));
        }
        let mut paths = fields
            .map(|field| RepoPath::parse(field).map_err(GitError::from))
            .collect::<Result<Vec<_>, _>>()?;
        paths.sort();
        paths.dedup();
        Err(ReplayError::Conflict { paths })
    }

    fn common(&self, input: &MergeInput<'_>) -> Result<Oid, ReplayError> {
        self.merge_base(input.base, input.head)?.ok_or_else(|| ReplayError::Unrelated {
            one: input.base.clone(),
            other: input.head.clone(),
        })
    }

    /// Makes a merge commit whose first parent is the base.
    pub fn merge_commit(
        &self,
        input: &MergeInput<'_>,
        message: &str,
        trailers: &[Trailer],
    ) -> Result<Oid, ReplayError> {
        let tree = self.merge_trees(&self.common(input)?, input.base, input.head)?;
        let new = NewCommit {
            tree,
            parents: vec![input.base.clone(), input.head.clone()],
            author: input.committer.clone(),
            committer: input.committer.clone(),
            message: message.to_owned(),
            trailers: trailers.to_vec(),
        };
        Ok(self.write_commit(&new, input.signer)?)
    }

    /// Makes one commit on top of the base with everything the change does, by the author of its
    /// first commit.
    pub fn squash(
        &self,
        input: &MergeInput<'_>,
        message: &str,
        trailers: &[Trailer],
    ) -> Result<Oid, ReplayError> {
        let common = self.common(input)?;
        let tree = self.merge_trees(&common, input.base, input.head)?;
        let first =
            self.linear(&common, input.head)?.first().map(|oid| self.commit(oid)).transpose()?;
        let author = first.map_or_else(
            || input.committer.clone(),
            |commit| Signature::from_line(&commit.author_line),
        );
        let new = NewCommit {
            tree,
            parents: vec![input.base.clone()],
            author,
            committer: input.committer.clone(),
            message: message.to_owned(),
            trailers: trailers.to_vec(),
        };
        Ok(self.write_commit(&new, input.signer)?)
    }

    /// Puts each commit of the change on top of the base, keeping authors and messages. Merge
    /// commits and commits that change nothing any more are left out. The answer is the last new
    /// commit: the base itself when nothing is left, the head itself when it already is on top.
    pub fn rebase(&self, input: &MergeInput<'_>) -> Result<Oid, ReplayError> {
        let common = self.common(input)?;
        self.rebase_range(&common, input)
    }

    /// Like [`Git::rebase`], for the commits of the change that are not in the history of `from`:
    /// for a stacked change whose lower part was merged in another form.
    pub fn rebase_range(&self, from: &Oid, input: &MergeInput<'_>) -> Result<Oid, ReplayError> {
        if from == input.base && self.is_ancestor(input.base, input.head)? {
            return Ok(input.head.clone());
        }
        let mut top = input.base.clone();
        let mut top_tree = self.tree_of(&top)?;
        for oid in self.linear(from, input.head)? {
            let commit = self.commit(&oid)?;
            let parent: Oid = match commit.parents.first() {
                Some(parent) => parent.clone(),
                None => self.empty_tree()?.into(),
            };
            let tree = self.merge_trees(&parent, &top, &oid)?;
            if tree == top_tree {
                continue;
            }
            let new = NewCommit {
                tree: tree.clone(),
                parents: vec![top],
                author: Signature::from_line(&commit.author_line),
                committer: input.committer.clone(),
                message: String::new(),
                trailers: Vec::new(),
            };
            top = self.write_raw_commit(&new, &commit.raw_message, input.signer)?;
            top_tree = tree;
        }
        Ok(top)
    }

    /// The commits of a change, oldest first, without merges.
    fn linear(&self, from: &Oid, head: &Oid) -> Result<Vec<Oid>, GitError> {
        let output = self
            .command(["rev-list", "--topo-order", "--reverse", "--no-merges"])
            .arg(head.as_str())
            .arg(format!("^{from}"))
            .arg("--")
            .run()?;
        let text = String::from_utf8_lossy(&output);
        text.lines()
            .map(|line| {
                Oid::parse(line).map_err(|_| GitError::malformed("rev-list", line.as_bytes()))
            })
            .collect()
    }
}
