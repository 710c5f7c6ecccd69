//! Merging pull requests. The intent is written down first, then the base moves, then the file is
//! finished; after a crash the base tells whether the merge took place.

use bailiwick_git::{GitError, MergeInput, RefName, Trailer};
use bailiwick_model::action::{MergeMethod, PullRequestMerge, ReviewVerdict};

use crate::embedded::{Opened, Platform};
use crate::error::ForgeError;
use crate::pulls::{MergeIntent, Stored};
use crate::types::{Merged, PullRequest, PullRequestState};

impl Opened {
    /// Finishes or forgets a merge that was begun.
    pub(crate) fn settle_merge(&self, mut stored: Stored) -> Result<Stored, ForgeError> {
        let Some(intent) = stored.merging.take() else { return Ok(stored) };
        let base = self.git.branch(&stored.pull_request.base)?;
        if let Some(base) = base
            && self.git.is_ancestor(&intent.commit, &base)?
        {
            stored.pull_request.head_commit = intent.head;
            stored.pull_request.state = PullRequestState::Merged {
                commit: intent.commit,
                method: intent.method,
                merged_at: intent.merged_at,
            };
        }
        self.pulls.save(&stored)?;
        Ok(stored)
    }

    pub(crate) fn merge(
        &self,
        merge: &PullRequestMerge,
        platform: &Platform,
    ) -> Result<Merged, ForgeError> {
        let stored = self.settle_merge(self.pulls.load(merge.number)?)?;
        if let PullRequestState::Merged { commit, .. } = &stored.pull_request.state
            && stored.pull_request.head_commit == merge.head
        {
            return Ok(Merged { number: merge.number, commit: commit.clone() });
        }
        let mut stored = self.follow_head(stored)?;
        self.check(&stored.pull_request, merge)?;
        let intent = self.prepare(&stored.pull_request, merge, platform)?;
        stored.merging = Some(intent.clone());
        self.pulls.save(&stored)?;
        let moved = self.refs().update_ref(
            &RefName::branch(&merge.base),
            Some(&merge.expected_base),
            Some(&intent.commit),
        );
        let settled = self.settle_merge(stored)?;
        moved?;
        match settled.pull_request.state {
            PullRequestState::Merged { commit, .. } => {
                self.branch_moved(&merge.base)?;
                Ok(Merged { number: merge.number, commit })
            }
            PullRequestState::Open | PullRequestState::Closed { .. } => {
                Err(ForgeError::Interrupted)
            }
        }
    }

    fn check(
        &self,
        pull_request: &PullRequest,
        merge: &PullRequestMerge,
    ) -> Result<(), ForgeError> {
        if pull_request.state != PullRequestState::Open {
            return Err(ForgeError::NotOpen {
                number: merge.number,
                state: pull_request.state.name(),
            });
        }
        if pull_request.base != merge.base {
            return Err(ForgeError::Unfit {
                reason: format!("the pull request is for `{}`", pull_request.base),
            });
        }
        let base = self.existing_branch(&merge.repo, &merge.base)?;
        for (branch, expected, found) in [
            (&pull_request.head, &merge.head, &pull_request.head_commit),
            (&merge.base, &merge.expected_base, &base),
        ] {
            if expected != found {
                return Err(ForgeError::Moved {
                    branch: branch.clone(),
                    expected: Some(expected.clone()),
                    found: Some(found.clone()),
                });
            }
        }
        let reviews = pull_request.reviews_in_force();
        if let Some(review) =
            reviews.iter().find(|review| review.verdict == ReviewVerdict::RequestChanges)
        {
            return Err(ForgeError::ChangesRequested { reviewer: review.reviewer.clone() });
        }
        let approvers = pull_request.approvers();
        match merge.approved_by.iter().find(|person| !approvers.contains(person)) {
            Some(reviewer) => Err(ForgeError::NotApproved { reviewer: reviewer.clone() }),
            None => Ok(()),
        }
    }

    fn prepare(
        &self,
        pull_request: &PullRequest,
        merge: &PullRequestMerge,
        platform: &Platform,
    ) -> Result<MergeIntent, ForgeError> {
        let merged_at = (platform.now)();
        let committer = platform.signature(merged_at)?;
        let input = MergeInput {
            base: &merge.expected_base,
            head: &merge.head,
            committer: &committer,
            signer: Some(platform.signer.as_ref()),
        };
        let trailers = merge
            .trailers
            .iter()
            .map(|line| Trailer::parse(line))
            .collect::<Result<Vec<_>, _>>()
            .map_err(GitError::from)?;
        // one line, so that no title can pass for trailers
        let title = pull_request.title.split_whitespace().collect::<Vec<_>>().join(" ");
        let number = pull_request.number;
        let commit = match merge.method {
            MergeMethod::Merge => self.git.merge_commit(
                &input,
                &format!("Merge pull request #{number}: {title}"),
                &trailers,
            )?,
            MergeMethod::Squash => {
                self.git.squash(&input, &format!("{title} (#{number})"), &trailers)?
            }
            MergeMethod::Rebase => self.git.rebase(&input)?,
        };
        Ok(MergeIntent { commit, head: merge.head.clone(), method: merge.method, merged_at })
    }
}
