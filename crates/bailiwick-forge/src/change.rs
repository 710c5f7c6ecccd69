//! What changes branches and pull requests, short of a merge.

use bailiwick_git::{GitError, RefName};
use bailiwick_model::action::{BranchPush, PullRequestOpen, ReviewSubmit, ReviewVerdict};
use bailiwick_model::payload::Payload;

use crate::embedded::{Opened, Platform};
use crate::error::ForgeError;
use crate::pulls::Stored;
use crate::types::{Check, PullRequest, PullRequestState, Pushed, Review};

impl Opened {
    pub(crate) fn push(&self, push: &BranchPush) -> Result<Pushed, ForgeError> {
        self.refuse_protected(&push.branch)?;
        if let Some(commit) = &push.commit {
            self.git.commit(commit)?;
        }
        match self.refs().update_ref(
            &RefName::branch(&push.branch),
            push.expected.as_ref(),
            push.commit.as_ref(),
        ) {
            Ok(()) => {}
            Err(GitError::Moved { expected, found, .. }) => {
                return Err(ForgeError::Moved { branch: push.branch.clone(), expected, found });
            }
            Err(error) => return Err(error.into()),
        }
        self.branch_moved(&push.branch)?;
        Ok(Pushed { commit: push.commit.clone() })
    }

    pub(crate) fn open_pull_request(
        &self,
        open: &PullRequestOpen,
        platform: &Platform,
    ) -> Result<PullRequest, ForgeError> {
        let found = self.git.branch(&open.head)?;
        if found.as_ref() != Some(&open.head_commit) {
            let expected = Some(open.head_commit.clone());
            return Err(ForgeError::Moved { branch: open.head.clone(), expected, found });
        }
        let base = self.existing_branch(&open.repo, &open.base)?;
        let body = text(&open.body)?;
        // An open one follows its branch, also to another base: a stacked pull request moves to
        // the base of its parent once that is merged.
        let same = |stored: &Stored| {
            let other = &stored.pull_request;
            other.head == open.head
                && (other.base == open.base || other.state == PullRequestState::Open)
        };
        let last = self.pulls.all()?.0.into_iter().rfind(same);
        if let Some(mut stored) = last {
            let pull_request = &mut stored.pull_request;
            match pull_request.state {
                PullRequestState::Open => {
                    pull_request.title.clone_from(&open.title);
                    pull_request.base.clone_from(&open.base);
                    pull_request.body = body;
                    note_checks(&mut pull_request.checks, open);
                    self.pulls.save(&stored)?;
                    return Ok(self.follow_head(stored)?.pull_request);
                }
                PullRequestState::Merged { .. } | PullRequestState::Closed { .. }
                    if pull_request.head_commit == open.head_commit =>
                {
                    return Ok(stored.pull_request);
                }
                PullRequestState::Merged { .. } | PullRequestState::Closed { .. } => {}
            }
        }
        if self.git.is_ancestor(&open.head_commit, &base)? {
            return Err(ForgeError::NothingToMerge {
                head: open.head.clone(),
                base: open.base.clone(),
            });
        }
        let number = self.pulls.numbers()?.last().map_or(1, |last| last + 1);
        let pull_request = PullRequest {
            repo: open.repo.clone(),
            number,
            head: open.head.clone(),
            head_commit: open.head_commit.clone(),
            base: open.base.clone(),
            title: open.title.clone(),
            body,
            author: open.author.clone(),
            state: PullRequestState::Open,
            opened_at: (platform.now)(),
            reviews: Vec::new(),
            checks: {
                let mut checks = Vec::new();
                note_checks(&mut checks, open);
                checks
            },
        };
        let stored = Stored { pull_request, merging: None };
        self.pulls.save(&stored)?;
        Ok(self.follow_head(stored)?.pull_request)
    }

    pub(crate) fn submit_review(
        &self,
        submit: &ReviewSubmit,
        platform: &Platform,
    ) -> Result<PullRequest, ForgeError> {
        let mut stored = self.settle_merge(self.pulls.load(submit.number)?)?;
        let body = text(&submit.body)?;
        let again = |review: &Review| {
            (&review.reviewer, review.verdict, &review.head, &review.body)
                == (&submit.reviewer, submit.verdict, &submit.head, &body)
        };
        let last_of_reviewer =
            stored.pull_request.reviews.iter().rfind(|review| review.reviewer == submit.reviewer);
        if last_of_reviewer.is_some_and(again) {
            return self.now(stored);
        }
        stored = self.follow_head(stored)?;
        let pull_request = &mut stored.pull_request;
        if pull_request.state != PullRequestState::Open {
            return Err(ForgeError::NotOpen {
                number: submit.number,
                state: pull_request.state.name(),
            });
        }
        if pull_request.head_commit != submit.head {
            return Err(ForgeError::Moved {
                branch: pull_request.head.clone(),
                expected: Some(submit.head.clone()),
                found: Some(pull_request.head_commit.clone()),
            });
        }
        let at = (platform.now)();
        pull_request.reviews.push(Review {
            reviewer: submit.reviewer.clone(),
            verdict: submit.verdict,
            head: submit.head.clone(),
            body,
            own_request: submit.own_request,
            simulated: submit.simulated,
            submitted_at: at,
        });
        match submit.verdict {
            ReviewVerdict::Approve | ReviewVerdict::RequestChanges => {}
            ReviewVerdict::Reject => {
                pull_request.state = PullRequestState::Closed { closed_at: at }
            }
        }
        self.pulls.save(&stored)?;
        Ok(stored.pull_request)
    }
}

fn text(payload: &Payload) -> Result<String, ForgeError> {
    payload.text().ok_or_else(|| ForgeError::Unfit { reason: "its text is not at hand".to_owned() })
}

/// A gate's newest word on a commit replaces the one before.
fn note_checks(checks: &mut Vec<Check>, open: &PullRequestOpen) {
    for note in &open.checks {
        checks.retain(|other| other.name != note.name || other.head != open.head_commit);
        checks.push(Check {
            name: note.name.clone(),
            head: open.head_commit.clone(),
            state: note.state,
            summary: note.summary.clone(),
        });
    }
}
