//! Stage 6, and whatever else a person says: review, merge, cancel, retry.

use bailiwick_forge::Forge as _;
use bailiwick_model::action::{MergeMethod, ReviewSubmit, ReviewVerdict};
use bailiwick_model::event::{Event, Fact, Stage, StageEnd, TaskEnd};
use bailiwick_model::evidence::{Finding, Level};
use bailiwick_model::id::{Oid, Person, RepoName, SubtaskKey, TaskId};
use bailiwick_model::identity::{RepoRight, SIMULATED_APPROVER as SIMULATED};
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_model::subject::Role;
use bailiwick_model::task::ApproverMode;
use bailiwick_model::workflow::{ChangeRef, StageState, SubtaskState, TaskState};
use bailiwick_store::Query;

use crate::actor;
use crate::engine::Engine;
use crate::error::EngineError;

/// What a person says of a pull request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub number: u64,
    /// Who.
    pub reviewer: Person,
    /// The commit that was shown to them.
    pub head: Oid,
    /// What they say.
    pub verdict: ReviewVerdict,
    /// In their words.
    pub body: String,
    /// Whether nobody was asked (`--yes`).
    pub simulated: bool,
}

impl Engine {
    /// Records a review. A request for changes goes back to the implementor.
    pub async fn review(&self, answer: Answer) -> Result<(), EngineError> {
        if answer.reviewer.as_str() == SIMULATED && !answer.simulated {
            return Err(EngineError::State {
                code: "review.reserved_name",
                message: format!("`{SIMULATED}` is the name under which nobody answers"),
                hint: "review under your own name".to_owned(),
            });
        }
        let (state, key) = self.change_owner(&answer.repo, answer.number).await?;
        let (_, subtask) = self.subtask(state.id(), &key).await?;
        let change = open_change(&state, &subtask)?;
        if change.head != answer.head {
            return Err(EngineError::State {
                code: "review.stale",
                message: format!(
                    "the pull request is at {} by now, not at {}",
                    change.head, answer.head
                ),
                hint: format!("look at it again with `bailiwick pr show {}`", answer.number),
            });
        }
        let mut findings = match answer.verdict {
            ReviewVerdict::RequestChanges => self.open_threads(&state, answer.number).await?,
            ReviewVerdict::Approve | ReviewVerdict::Reject => Vec::new(),
        };
        if answer.verdict == ReviewVerdict::RequestChanges
            && answer.body.trim().is_empty()
            && findings.is_empty()
        {
            return Err(EngineError::State {
                code: "review.empty",
                message: "a request for changes has to say what is to be changed".to_owned(),
                hint: "add `--message \"…\"`, or remark on its lines first".to_owned(),
            });
        }
        let task = &state.task;
        let submit = ReviewSubmit {
            repo: answer.repo.clone(),
            number: answer.number,
            reviewer: answer.reviewer.clone(),
            head: answer.head.clone(),
            verdict: answer.verdict,
            body: Payload::from(answer.body.clone()),
            own_request: answer.reviewer == task.requester,
            simulated: answer.simulated,
        };
        let subject = actor::person(&answer.reviewer, Some(task), Some(&subtask));
        let mut context = actor::context(task, Some(&subtask));
        context.facts.risk = subtask.risk.as_ref().map(|risk| risk.score);
        let forge = &self.parts().forge;
        let acting = self.person_acts().await;
        self.parts()
            .warden
            .perform(&subject, &context, submit, |permit| forge.submit_review(permit))
            .await?;
        drop(acting);
        let mut facts = vec![Fact::Reviewed {
            task: task.id,
            subtask: key.clone(),
            number: answer.number,
            reviewer: answer.reviewer.clone(),
            head: answer.head.clone(),
            verdict: answer.verdict,
            body: Payload::from(answer.body.clone()),
            simulated: answer.simulated,
        }];
        match answer.verdict {
            // the review goes on while more people have to look
            ReviewVerdict::Approve if reviewers_missing(&state, &subtask, Some(&answer)) > 0 => {}
            ReviewVerdict::Approve => {
                facts.extend(Self::leave(task.id, &subtask, Stage::HumanReview, StageEnd::Done));
            }
            ReviewVerdict::Reject => {
                facts.extend(Self::leave(task.id, &subtask, Stage::HumanReview, StageEnd::Failed));
            }
            ReviewVerdict::RequestChanges => {
                if !answer.body.trim().is_empty() {
                    findings.insert(0, remark(&answer.reviewer, &answer.body));
                }
                facts.push(Fact::RepairAsked {
                    task: task.id,
                    subtask: key,
                    round: subtask.round + 1,
                    by: Role::Human,
                    findings,
                });
                facts.extend(Self::leave(task.id, &subtask, Stage::HumanReview, StageEnd::Failed));
                facts.extend(Self::enter(task.id, Some(&subtask), Stage::Execution));
            }
        }
        self.record(facts).await
    }

    /// Asks for the merge of an approved pull request. The merge itself is a step of its task.
    pub async fn request_merge(
        &self,
        repo: &RepoName,
        number: u64,
        by: &Person,
        method: MergeMethod,
    ) -> Result<TaskId, EngineError> {
        let (state, key) = self.change_owner(repo, number).await?;
        let right = self.parts().warden.check_right(by, repo, RepoRight::Write).await;
        right.map_err(EngineError::refused)?;
        let (_, subtask) = self.subtask(state.id(), &key).await?;
        open_change(&state, &subtask)?;
        if subtask.approvals.is_empty() {
            return Err(EngineError::State {
                code: "merge.not_approved",
                message: format!("pull request #{number} has no approval of its newest commit"),
                hint: format!("`bailiwick pr show {number}`, then `bailiwick pr approve {number}`"),
            });
        }
        self.enough_reviewers(&state, &subtask, number)?;
        self.record(vec![Fact::MergeAsked {
            task: state.id(),
            subtask: key,
            number,
            by: by.clone(),
            method,
        }])
        .await?;
        Ok(state.id())
    }

    /// Whether as many people approved as the risk asks for, and an owner among them. Policy looks
    /// again at the merge; here it is said before anybody waits for it.
    fn enough_reviewers(
        &self,
        state: &TaskState,
        subtask: &SubtaskState,
        number: u64,
    ) -> Result<(), EngineError> {
        let missing = reviewers_missing(state, subtask, None);
        if missing > 0 {
            return Err(EngineError::State {
                code: "merge.more_reviewers",
                message: format!(
                    "the risk of pull request #{number} is {} of 100: {missing} more {} to approve it",
                    subtask.risk.as_ref().map_or(0, |risk| risk.score),
                    if missing == 1 { "person has" } else { "people have" },
                ),
                hint: format!("ask somebody else to look at it: `bailiwick pr show {number}`"),
            });
        }
        let owners = self.owners_missing(subtask);
        if !owners.is_empty() && !state.task.single_user {
            return Err(EngineError::State {
                code: "merge.owner",
                message: format!("none of its owners approved pull request #{number}"),
                hint: format!("ask one of {} to review it", owners.join(", ")),
            });
        }
        Ok(())
    }

    /// The owners of what a candidate touches one of whom has to approve it, if none did. Owners
    /// are names of a code host; those count who have an account or are a group here.
    pub(crate) fn owners_missing(&self, subtask: &SubtaskState) -> Vec<String> {
        let Some(risk) = &subtask.risk else { return Vec::new() };
        self.parts().store.people(|people| {
            let directory = &people.directory;
            let known: Vec<&String> = risk
                .owners
                .iter()
                .filter(|owner| {
                    let name = owner_name(owner);
                    directory.accounts.keys().any(|person| person.as_str() == name)
                        || directory.groups.keys().any(|group| group.as_str() == name)
                })
                .collect();
            let approved = subtask.people_who_approved().into_iter().any(|person| {
                known.iter().any(|owner| {
                    let name = owner_name(owner);
                    person.as_str() == name
                        || directory.groups_of(person).iter().any(|group| group.as_str() == name)
                })
            });
            if approved { Vec::new() } else { known.into_iter().cloned().collect() }
        })
    }

    /// Ends a task at a person's word. Its open pull requests stay as they are.
    pub async fn cancel(&self, id: TaskId, by: &Person, reason: &str) -> Result<(), EngineError> {
        let state = self.state(id).await?;
        if state.is_over() {
            return Err(EngineError::State {
                code: "task.over",
                message: "the task is over already".to_owned(),
                hint: format!("`bailiwick task show {id}`"),
            });
        }
        let mut facts = self.void_approvals(id, "the task was cancelled");
        facts.extend([
            Fact::TaskCancelled { task: id, by: by.clone(), reason: reason.to_owned() },
            Fact::TaskEnded {
                task: id,
                end: TaskEnd::Cancelled,
                code: None,
                reason: if reason.is_empty() {
                    format!("cancelled by {by}")
                } else {
                    reason.to_owned()
                },
                hint: Some(format!("`bailiwick task retry {id}` takes it up again")),
                cost: state.cost,
            },
        ]);
        self.record(facts).await?;
        self.fire_cancel(id);
        self.parts().warden.tokens().end_task(id, jiff::Timestamp::now());
        Ok(())
    }

    /// Takes a task up again that failed, was cancelled, or waits for an answer.
    pub async fn retry(&self, id: TaskId, by: &Person) -> Result<(), EngineError> {
        let state = self.state(id).await?;
        let asked = state.subtasks.values().any(|subtask| subtask.question.is_some());
        let ended_early = state
            .ending
            .as_ref()
            .is_some_and(|e| matches!(e.end, TaskEnd::Failed | TaskEnd::Cancelled));
        if !asked && !ended_early {
            return Err(EngineError::State {
                code: "task.nothing_to_retry",
                message: "the task neither failed nor waits for an answer".to_owned(),
                hint: format!("`bailiwick task show {id}`"),
            });
        }
        self.fire_cancel(id);
        let mut facts = self.void_approvals(id, "the task was taken up anew");
        facts.push(Fact::TaskRetried { task: id, by: by.clone() });
        let planning = state
            .stages
            .get(&Stage::Orchestration)
            .is_some_and(|progress| progress.state == StageState::Running);
        if planning && state.plan.is_none() {
            facts.insert(
                0,
                Fact::StageEnded {
                    task: id,
                    subtask: None,
                    stage: Stage::Orchestration,
                    ok: StageEnd::Failed,
                },
            );
        }
        self.record(facts).await
    }

    /// Approves and asks for the merge where nobody is to be asked, labelled as such.
    pub(crate) async fn simulated_approval(
        &self,
        id: TaskId,
        key: &SubtaskKey,
    ) -> Result<(), EngineError> {
        let (state, subtask) = self.subtask(id, key).await?;
        if state.task.approver != ApproverMode::Simulated
            || subtask.asks_person()
            || self.notice_base(&state, &subtask).await?
        {
            return Ok(());
        }
        let Some(change) = subtask.change.clone() else { return Ok(()) };
        let approver = Person::parse(SIMULATED)?;
        if subtask.approvals.is_empty() {
            self.review(Answer {
                repo: state.task.repo.clone(),
                number: change.number,
                reviewer: approver.clone(),
                head: change.head.clone(),
                verdict: ReviewVerdict::Approve,
                body: "simulated approver: no person was asked".to_owned(),
                simulated: true,
            })
            .await?;
        }
        if subtask.merge.is_none() {
            self.request_merge(&state.task.repo, change.number, &approver, MergeMethod::Merge)
                .await?;
        }
        Ok(())
    }

    /// The task and subtask that a pull request belongs to.
    pub async fn change_owner(
        &self,
        repo: &RepoName,
        number: u64,
    ) -> Result<(TaskState, SubtaskKey), EngineError> {
        let query = Query::default().named(&["change_published"]);
        let published = self.parts().store.entries(query).await?;
        let found = published.iter().rev().find_map(|entry| match &entry.event {
            Event::Fact(fact) => match fact.as_ref() {
                Fact::ChangePublished { task, subtask, repo: its, number: n, .. }
                    if its == repo && *n == number =>
                {
                    Some((*task, subtask.clone()))
                }
                _ => None,
            },
            _ => None,
        });
        let (task, key) =
            found.ok_or_else(|| EngineError::NoChange { repo: repo.clone(), number })?;
        Ok((self.state(task).await?, key))
    }
}

pub(crate) fn open_change(
    state: &TaskState,
    subtask: &SubtaskState,
) -> Result<ChangeRef, EngineError> {
    let over = || EngineError::State {
        code: "pull_request.closed",
        message: "the pull request is not open any more".to_owned(),
        hint: format!("`bailiwick task show {}`", state.id()),
    };
    if subtask.is_done() || state.is_over() {
        return Err(over());
    }
    let change = subtask.change.clone().ok_or_else(over)?;
    let newest = subtask.candidate.as_ref().map(|candidate| (&candidate.commit, candidate.round));
    if newest != Some((&change.head, subtask.round)) {
        return Err(EngineError::State {
            code: "pull_request.in_work",
            message: "the pull request is being changed".to_owned(),
            hint: format!("wait for its next version: `bailiwick task logs {}`", state.id()),
        });
    }
    Ok(change)
}

/// `@org/team` is the team, `@name` the person.
fn owner_name(owner: &str) -> &str {
    let name = owner.trim_start_matches('@');
    name.rsplit('/').next().unwrap_or(name)
}

/// How many more people have to approve, once `answer` is counted.
fn reviewers_missing(state: &TaskState, subtask: &SubtaskState, answer: Option<&Answer>) -> u32 {
    let mut people = subtask.people_who_approved();
    people.extend(answer.filter(|answer| !answer.simulated).map(|answer| &answer.reviewer));
    let people = u32::try_from(people.len()).unwrap_or(u32::MAX);
    subtask.required_reviewers(state.task.single_user).saturating_sub(people)
}

fn remark(reviewer: &Person, body: &str) -> Finding {
    Finding {
        rule: format!("review/{reviewer}"),
        level: Level::Error,
        message: body.to_owned(),
        path: None,
        line: None,
        fingerprint: Digest::of(body.as_bytes()),
        explanation: None,
    }
}
