//! The embedded forge: bare repositories and pull requests in a directory.
//!
//! `NAME.git` is the repository, `NAME.json` what is known of it, `NAME.pulls/000001.json` a pull
//! request. References decide: opening the forge brings the files in line with them. One process
//! at a time uses the directory; whoever opens the forge sees to that.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bailiwick_git::{CommitSigner, Git, GitError, RefName, RefWriter, Signature};
use bailiwick_model::Timestamp;
use bailiwick_model::action::{
    BranchPush, PullRequestMerge, PullRequestOpen, RepoRead, ReviewSubmit,
};
use bailiwick_model::id::{BranchName, Oid, RepoName};
use bailiwick_warden::Permit;

use crate::durable;
use crate::error::ForgeError;
use crate::forge::Forge;
use crate::pulls::{Pulls, Stored};
use crate::types::{Merged, PullRequest, PullRequestState, Pushed, Repository};

/// In whose name the forge itself makes commits, and what time it is.
#[derive(Clone)]
pub struct Platform {
    /// The name in merge commits.
    pub name: String,
    /// The address in merge commits.
    pub email: String,
    /// Signs merge commits. No agent ever holds it.
    pub signer: Arc<dyn CommitSigner>,
    /// The clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("name", &self.name)
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

impl Platform {
    /// A platform with the system's clock.
    pub fn new(name: &str, email: &str, signer: Arc<dyn CommitSigner>) -> Self {
        Self {
            name: name.to_owned(),
            email: email.to_owned(),
            signer,
            now: Arc::new(Timestamp::now),
        }
    }

    pub(crate) fn signature(&self, at: Timestamp) -> Result<Signature, ForgeError> {
        Ok(Signature::new(&self.name, &self.email, at).map_err(GitError::from)?)
    }
}

/// The forge that needs nothing but a directory. Clones share it.
#[derive(Debug, Clone)]
pub struct EmbeddedForge {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) platform: Platform,
    repositories: Mutex<HashMap<RepoName, Arc<Opened>>>,
}

/// A repository that is in use.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) git: Git,
    pub(crate) pulls: Pulls,
    /// Held while anything is changed.
    pub(crate) changing: Mutex<()>,
    about: PathBuf,
}

impl EmbeddedForge {
    /// Opens the forge in a directory, which is made if it is not there, and repairs what a crash
    /// left half done.
    pub fn open(directory: &Path, platform: Platform) -> Result<Self, ForgeError> {
        fs::create_dir_all(directory).map_err(ForgeError::io("create", directory))?;
        let directory = fs::canonicalize(directory).map_err(ForgeError::io("open", directory))?;
        durable::sweep(&directory)?;
        let shared = Shared { directory, platform, repositories: Mutex::new(HashMap::new()) };
        let forge = Self { shared: Arc::new(shared) };
        for repo in forge.names()? {
            forge.opened(&repo)?.repair()?;
        }
        Ok(forge)
    }

    /// The git directory of a repository: where workspaces are checked out from, and where
    /// snapshots and commits are written to before a push makes them visible.
    pub fn git(&self, repo: &RepoName) -> Result<Git, ForgeError> {
        Ok(self.opened(repo)?.git.clone())
    }

    /// The files of pull requests that cannot be read; their numbers stay taken.
    pub fn damaged(&self) -> Result<Vec<PathBuf>, ForgeError> {
        let mut all = Vec::new();
        for repo in self.names()? {
            all.extend(self.opened(&repo)?.pulls.all()?.1);
        }
        Ok(all)
    }

    /// Sets the protected branches, to show in a test what they are good for.
    #[cfg(feature = "test-support")]
    pub async fn protect(
        &self,
        repo: &RepoName,
        branches: Vec<BranchName>,
    ) -> Result<(), ForgeError> {
        self.changing(repo, move |opened, _| {
            let mut about = opened.about()?;
            about.protected_branches = branches;
            write_about(&opened.about, &about)
        })
        .await
    }

    fn names(&self) -> Result<Vec<RepoName>, ForgeError> {
        let directory = &self.shared.directory;
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(ForgeError::io("list", directory))? {
            let name = entry.map_err(ForgeError::io("list", directory))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".git"));
            names.extend(stem.and_then(|stem| RepoName::parse(stem).ok()));
        }
        names.sort();
        Ok(names)
    }

    pub(crate) fn opened(&self, repo: &RepoName) -> Result<Arc<Opened>, ForgeError> {
        let mut repositories =
            self.shared.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = repositories.get(repo) {
            return Ok(Arc::clone(opened));
        }
        let directory = &self.shared.directory;
        let git_dir = directory.join(format!("{repo}.git"));
        if !git_dir.is_dir() {
            return Err(ForgeError::NoRepository { repo: repo.clone() });
        }
        let pulls = Pulls::new(directory, repo);
        fs::create_dir_all(pulls.directory())
            .map_err(ForgeError::io("create", pulls.directory()))?;
        let about = directory.join(format!("{repo}.json"));
        let opened =
            Arc::new(Opened { git: Git::open(&git_dir)?, pulls, changing: Mutex::new(()), about });
        repositories.insert(repo.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// Does blocking work away from the asynchronous threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let forge = self.clone();
        tokio::task::spawn_blocking(move || work(&forge))
            .await
            .map_err(|_| ForgeError::Interrupted)?
    }

    /// Does blocking work on a repository while nobody else changes it.
    pub(crate) async fn changing<T: Send + 'static>(
        &self,
        repo: &RepoName,
        work: impl FnOnce(&Opened, &Platform) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| {
            let opened = forge.opened(&repo)?;
            let _changing = opened.changing.lock().unwrap_or_else(PoisonError::into_inner);
            work(&opened, &forge.shared.platform)
        })
        .await
    }
}

pub(crate) fn write_about(path: &Path, about: &Repository) -> Result<(), ForgeError> {
    let bytes = serde_json::to_vec_pretty(about)
        .map_err(|source| ForgeError::Damaged { path: path.to_owned(), source })?;
    durable::replace(path, &bytes)
}

impl Opened {
    /// Moves branches and the references of pull requests.
    pub(crate) fn refs(&self) -> RefWriter<'_> {
        RefWriter::new(&self.git)
    }

    /// What is known of the repository, with the head as it is now.
    pub(crate) fn about(&self) -> Result<Repository, ForgeError> {
        let bytes = fs::read(&self.about).map_err(ForgeError::io("read", &self.about))?;
        let mut about: Repository = serde_json::from_slice(&bytes)
            .map_err(|source| ForgeError::Damaged { path: self.about.clone(), source })?;
        about.head = self.existing_branch(&about.name, &about.default_branch)?;
        Ok(about)
    }

    pub(crate) fn existing_branch(
        &self,
        repo: &RepoName,
        branch: &BranchName,
    ) -> Result<Oid, ForgeError> {
        self.git
            .branch(branch)?
            .ok_or_else(|| ForgeError::NoBranch { repo: repo.clone(), branch: branch.clone() })
    }

    pub(crate) fn refuse_protected(&self, branch: &BranchName) -> Result<(), ForgeError> {
        if self.about()?.protected_branches.contains(branch) {
            return Err(ForgeError::ProtectedBranch { branch: branch.clone() });
        }
        Ok(())
    }

    /// A pull request as it is now: while it is open, its head is where its branch is.
    pub(crate) fn now(&self, stored: Stored) -> Result<PullRequest, ForgeError> {
        let mut pull_request = stored.pull_request;
        if pull_request.state == PullRequestState::Open
            && let Some(commit) = self.git.branch(&pull_request.head)?
        {
            pull_request.head_commit = commit;
        }
        Ok(pull_request)
    }

    /// Brings a pull request's file and its reference in line with its branch.
    pub(crate) fn follow_head(&self, mut stored: Stored) -> Result<Stored, ForgeError> {
        let current = self.now(stored.clone())?;
        let number = current.number;
        if current != stored.pull_request {
            stored.pull_request = current;
            self.pulls.save(&stored)?;
        }
        let name = RefName::pull_head(number);
        let found = self.git.resolve(&name)?;
        self.refs().update_ref(&name, found.as_ref(), Some(&stored.pull_request.head_commit))?;
        Ok(stored)
    }

    /// After a push: every open pull request of the branch follows it.
    pub(crate) fn branch_moved(&self, branch: &BranchName) -> Result<(), ForgeError> {
        for stored in self.pulls.all()?.0 {
            if stored.pull_request.head == *branch
                && stored.pull_request.state == PullRequestState::Open
            {
                self.follow_head(stored)?;
            }
        }
        Ok(())
    }

    fn repair(&self) -> Result<(), ForgeError> {
        durable::sweep(self.pulls.directory())?;
        for stored in self.pulls.all()?.0 {
            let settled = self.settle_merge(stored)?;
            self.follow_head(settled)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Forge for EmbeddedForge {
    async fn import(&self, permit: Permit<RepoRead>) -> Result<Repository, ForgeError> {
        self.blocking(move |forge| forge.import_now(permit.action())).await
    }

    async fn repository(&self, repo: &RepoName) -> Result<Repository, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| forge.opened(&repo)?.about()).await
    }

    async fn repositories(&self) -> Result<Vec<Repository>, ForgeError> {
        self.blocking(|forge| {
            forge.names()?.iter().map(|repo| forge.opened(repo)?.about()).collect()
        })
        .await
    }

    async fn branch(
        &self,
        repo: &RepoName,
        branch: &BranchName,
    ) -> Result<Option<Oid>, ForgeError> {
        let (repo, branch) = (repo.clone(), branch.clone());
        self.blocking(move |forge| Ok(forge.opened(&repo)?.git.branch(&branch)?)).await
    }

    async fn push(&self, permit: Permit<BranchPush>) -> Result<Pushed, ForgeError> {
        let repo = permit.action().repo.clone();
        self.changing(&repo, move |opened, _| opened.push(permit.action())).await
    }

    async fn open_pull_request(
        &self,
        permit: Permit<PullRequestOpen>,
    ) -> Result<PullRequest, ForgeError> {
        let repo = permit.action().repo.clone();
        self.changing(&repo, move |opened, platform| {
            opened.open_pull_request(permit.action(), platform)
        })
        .await
    }

    async fn submit_review(&self, permit: Permit<ReviewSubmit>) -> Result<PullRequest, ForgeError> {
        let repo = permit.action().repo.clone();
        self.changing(&repo, move |opened, platform| {
            opened.submit_review(permit.action(), platform)
        })
        .await
    }

    async fn merge(&self, permit: Permit<PullRequestMerge>) -> Result<Merged, ForgeError> {
        let repo = permit.action().repo.clone();
        self.changing(&repo, move |opened, platform| opened.merge(permit.action(), platform)).await
    }

    async fn pull_request(&self, repo: &RepoName, number: u64) -> Result<PullRequest, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| {
            let opened = forge.opened(&repo)?;
            opened.now(opened.pulls.load(number)?)
        })
        .await
    }

    async fn pull_requests(&self, repo: &RepoName) -> Result<Vec<PullRequest>, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| {
            let opened = forge.opened(&repo)?;
            opened.pulls.all()?.0.into_iter().map(|stored| opened.now(stored)).collect()
        })
        .await
    }
}
