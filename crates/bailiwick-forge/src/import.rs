//! Taking repositories over from the file system.

use std::fs;
use std::path::Path;

use bailiwick_git::{Git, GitError, RefName, RefWriter};
use bailiwick_model::action::RepoRead;
use bailiwick_model::id::{BranchName, Oid};

use crate::durable::{self, UNFINISHED};
use crate::embedded::{EmbeddedForge, Opened, write_about};
use crate::error::ForgeError;
use crate::types::Repository;

impl EmbeddedForge {
    pub(crate) fn import_now(&self, read: &RepoRead) -> Result<Repository, ForgeError> {
        let source_path = read.source.as_deref().ok_or_else(|| ForgeError::Unfit {
            reason: "it names no source to import from".to_owned(),
        })?;
        let source = Git::discover(Path::new(source_path))?.git;
        let head = source_head(&source, read)?;
        let survey = source.survey(&head)?;
        if !survey.unsupported.is_empty() {
            return Err(GitError::Unsupported { what: survey.unsupported }.into());
        }
        match self.opened(&read.repo) {
            Ok(opened) => bring_up_to_date(&opened, &source, read, source_path),
            Err(ForgeError::NoRepository { .. }) => self.import_new(&source, read, source_path),
            Err(error) => Err(error),
        }
    }

    /// Everything is made under another name first: a repository is there whole or not at all.
    fn import_new(
        &self,
        source: &Git,
        read: &RepoRead,
        source_path: &str,
    ) -> Result<Repository, ForgeError> {
        let directory = &self.shared.directory;
        let unfinished = directory.join(format!("{UNFINISHED}{}.git", read.repo));
        let git = Git::init_bare(&unfinished, &read.branch)?;
        let head = RefWriter::new(&git).fetch_local(
            source,
            &read.branch,
            &RefName::branch(&read.branch),
        )?;
        let about = Repository {
            name: read.repo.clone(),
            default_branch: read.branch.clone(),
            head,
            protected_branches: vec![read.branch.clone()],
            source: source_path.to_owned(),
        };
        write_about(&directory.join(format!("{}.json", read.repo)), &about)?;
        let finished = directory.join(format!("{}.git", read.repo));
        fs::rename(&unfinished, &finished).map_err(ForgeError::io("create", finished))?;
        durable::sync_directory(directory)?;
        Ok(about)
    }
}

fn source_head(source: &Git, read: &RepoRead) -> Result<Oid, ForgeError> {
    if let Some(head) = source.branch(&read.branch)? {
        return Ok(head);
    }
    if source.branches()?.is_empty() {
        return Err(GitError::NoCommits { path: source.git_dir().to_owned() }.into());
    }
    Err(ForgeError::NoBranch { repo: read.repo.clone(), branch: read.branch.clone() })
}

/// A repository that is known moves only forward: what was merged here must not be lost.
fn bring_up_to_date(
    opened: &Opened,
    source: &Git,
    read: &RepoRead,
    source_path: &str,
) -> Result<Repository, ForgeError> {
    let _changing = opened.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let BranchPlace { name, held } = place(&read.branch)?;
    let fetched = opened.refs().fetch_local(source, &read.branch, &held)?;
    let current = opened.git.resolve(&name)?;
    let forward = match &current {
        None => true,
        Some(current) if opened.git.is_ancestor(&fetched, current)? => false,
        Some(current) if opened.git.is_ancestor(current, &fetched)? => true,
        Some(_) => {
            return Err(ForgeError::Diverged {
                repo: read.repo.clone(),
                branch: read.branch.clone(),
                source_path: source_path.to_owned(),
            });
        }
    };
    if forward {
        opened.refs().update_ref(&name, current.as_ref(), Some(&fetched))?;
        opened.branch_moved(&read.branch)?;
    }
    opened.about()
}

struct BranchPlace {
    name: RefName,
    /// Where the source's branch is kept, for comparison.
    held: RefName,
}

fn place(branch: &BranchName) -> Result<BranchPlace, ForgeError> {
    let held = RefName::parse(&format!("refs/imported/{branch}")).map_err(GitError::from)?;
    Ok(BranchPlace { name: RefName::branch(branch), held })
}
