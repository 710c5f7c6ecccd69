//! Requests for approval: who may answer them, what an answer does, and what happens when nobody
//! answers.

use std::collections::BTreeSet;

use bailiwick_model::Timestamp;
use bailiwick_model::approval::{
    ApprovalAnswer, ApprovalEscalated, ApprovalReminded, ApprovalState, ApprovalStatus,
    ApprovalUse, ApprovalVerdict, ApprovalVoided, Delegation, LAPSED,
};
use bailiwick_model::event::Fact;
use bailiwick_model::id::{ApprovalId, Person, TaskId};
use bailiwick_model::identity::{AccountKind, Caller};
use bailiwick_model::payload::Digest;
use bailiwick_store::People;

use crate::engine::Engine;
use crate::error::EngineError;

/// The longest that somebody may let somebody else answer, in seconds: thirty days.
const LONGEST_DELEGATION: i64 = 30 * 86_400;

/// What a person says to a request for approval.
#[derive(Debug, Clone)]
pub struct ApprovalWord {
    /// The request.
    pub id: ApprovalId,
    /// What they say.
    pub verdict: ApprovalVerdict,
    /// How often a grant may be used.
    pub usage: ApprovalUse,
    /// The digest of what was shown to them.
    pub digest: Digest,
    /// In their words.
    pub note: String,
}

impl Engine {
    /// Every request for approval, the newest first, with where it stands now.
    pub fn approvals(&self) -> Vec<(ApprovalState, ApprovalStatus)> {
        let now = Timestamp::now();
        self.parts().store.people(|people| {
            let states = people.approvals.all.values().rev();
            states.map(|state| (state.clone(), state.status(now))).collect()
        })
    }

    /// One request for approval.
    pub fn approval(&self, id: ApprovalId) -> Result<(ApprovalState, ApprovalStatus), EngineError> {
        let found = self.parts().store.people(|people| people.approvals.all.get(&id).cloned());
        let state = found.ok_or_else(|| EngineError::State {
            code: "approval.unknown",
            message: format!("there is no request for approval `{id}`"),
            hint: "`bailiwick approval list` shows those there are".to_owned(),
        })?;
        let status = state.status(Timestamp::now());
        Ok((state, status))
    }

    /// Records an answer, if this person may give it. What waits for it goes on.
    pub async fn answer_approval(
        &self,
        caller: &Caller,
        word: ApprovalWord,
    ) -> Result<(ApprovalState, ApprovalStatus), EngineError> {
        {
            let _alone = self.one_at_a_time().await;
            let now = Timestamp::now();
            let (state, status) = self.approval(word.id)?;
            if status != ApprovalStatus::Open {
                return Err(closed(&state, status));
            }
            if word.digest != state.request.digest {
                return Err(EngineError::State {
                    code: "approval.changed",
                    message: "what you looked at is not what is asked".to_owned(),
                    hint: format!("look at it again: `bailiwick approval show {}`", word.id),
                });
            }
            let voice = self.parts().store.people(|people| voice(people, caller, &state, now))?;
            self.record(vec![Fact::ApprovalAnswered(ApprovalAnswer {
                approval: word.id,
                task: state.request.subject.task,
                by: caller.person.clone(),
                for_person: voice.for_person,
                groups: voice.groups,
                verdict: word.verdict,
                usage: word.usage,
                digest: word.digest,
                note: word.note,
            })])
            .await?;
        }
        self.approval(word.id)
    }

    /// Lets somebody else answer in one's place for a time.
    pub async fn delegate(
        &self,
        caller: &Caller,
        to: Person,
        until: Timestamp,
    ) -> Result<Delegation, EngineError> {
        let _alone = self.one_at_a_time().await;
        let now = Timestamp::now();
        let refuse = |code, message: String, hint: &str| {
            Err(EngineError::State { code, message, hint: hint.to_owned() })
        };
        if to == caller.person {
            return refuse("delegation.self", "nobody stands in for themselves".to_owned(), "");
        }
        let last = now.as_second().saturating_add(LONGEST_DELEGATION);
        if until <= now || until.as_second() > last {
            return refuse(
                "delegation.bad_time",
                "a delegation ends after now and within 30 days".to_owned(),
                "give `--days` from 1 to 30",
            );
        }
        let known = self.parts().store.people(|people| {
            let account = people.directory.accounts.get(&to);
            account.is_some_and(|a| !a.disabled && a.kind == AccountKind::Human)
        });
        if !known {
            return refuse(
                "user.unknown",
                format!("`{to}` is no person with an open account here"),
                "`bailiwick user list` shows those there are",
            );
        }
        let delegation = Delegation { from: caller.person.clone(), to, until };
        self.record(vec![Fact::Delegated(delegation.clone())]).await?;
        Ok(delegation)
    }

    /// Lets requests lapse that nobody answered in time, and asks further people where some were
    /// silent for long. Gives how many changed.
    pub async fn tend_approvals(&self) -> Result<usize, EngineError> {
        let _alone = self.one_at_a_time().await;
        let now = Timestamp::now();
        let escalation = self.settings().escalation.clone();
        let remind_seconds = self.settings().remind_seconds;
        let facts: Vec<Fact> = self.parts().store.people(|people| {
            let waiting = people.approvals.all.values().filter(|state| state.is_waiting());
            waiting
                .filter_map(|state| {
                    let (id, task) = (state.request.id, state.request.subject.task);
                    if now >= state.request.expires_at {
                        let reason = LAPSED.to_owned();
                        return Some(Fact::ApprovalVoided(ApprovalVoided {
                            approval: id,
                            reason,
                            task,
                        }));
                    }
                    let ends = state.request.expires_at.as_second();
                    let remind_at = ends.saturating_sub(remind_seconds);
                    if !state.reminded && now.as_second() >= remind_at {
                        return Some(Fact::ApprovalReminded(ApprovalReminded {
                            approval: id,
                            expires_at: state.request.expires_at,
                            task,
                        }));
                    }
                    let escalation = escalation.as_ref()?;
                    let silent = now.as_second().saturating_sub(state.asked_at.as_second());
                    (silent >= escalation.after_seconds
                        && !state.escalated_to.contains(&escalation.group))
                    .then(|| {
                        Fact::ApprovalEscalated(ApprovalEscalated {
                            approval: id,
                            group: escalation.group.clone(),
                            task,
                        })
                    })
                })
                .collect()
        });
        let count = facts.len();
        self.record(facts).await?;
        Ok(count)
    }

    /// The facts that make a task's open requests void.
    pub(crate) fn void_approvals(&self, task: TaskId, reason: &str) -> Vec<Fact> {
        self.parts().store.people(|people| {
            let waiting = people.approvals.all.values().filter(|state| state.is_waiting());
            waiting
                .filter(|state| state.request.subject.task == Some(task))
                .map(|state| {
                    Fact::ApprovalVoided(ApprovalVoided {
                        approval: state.request.id,
                        reason: reason.to_owned(),
                        task: Some(task),
                    })
                })
                .collect()
        })
    }
}

/// In whose name somebody answers, for which groups.
struct Voice {
    for_person: Option<Person>,
    groups: BTreeSet<String>,
}

fn voice(
    people: &People,
    caller: &Caller,
    state: &ApprovalState,
    now: Timestamp,
) -> Result<Voice, EngineError> {
    let refuse = |code, message: String, hint: &str| {
        Err(EngineError::State { code, message, hint: hint.to_owned() })
    };
    let request = &state.request;
    if caller.service {
        return refuse(
            "identity.service",
            format!("`{}` is a program, and programs approve nothing", caller.person),
            "a person has to answer",
        );
    }
    let requester = &request.subject.on_behalf_of;
    if caller.person == *requester && !request.single_user {
        return refuse(
            "approval.own_request",
            "nobody approves what is done on their own behalf".to_owned(),
            "somebody else has to answer; on a machine with one user, set `single_user = true`",
        );
    }
    // Answered once, in whatever capacity: one human is one voice.
    if state.answers.iter().any(|answer| answer.by == caller.person) {
        return refuse(
            "approval.answered",
            format!("`{}` answered already", caller.person),
            "others have to answer as well",
        );
    }
    let needed: BTreeSet<&str> = request.needs.iter().map(|need| need.group.as_str()).collect();
    let groups_of = |is_in: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        // Whoever is asked because others were silent speaks for all of them.
        if state.escalated_to.iter().any(|group| is_in(group)) {
            return needed.iter().map(|&group| group.to_owned()).collect();
        }
        needed.iter().filter(|group| is_in(group)).map(|&group| group.to_owned()).collect()
    };
    let own = groups_of(&|group| caller.is_in(group));
    if !own.is_empty() {
        return Ok(Voice { for_person: None, groups: own });
    }
    for away in people.approvals.stands_in(&caller.person, now) {
        let theirs = people.directory.groups_of(away);
        let groups = groups_of(&|group| theirs.iter().any(|name| name.as_str() == group));
        let spoken = state.answers.iter().any(|answer| answer.by == *away);
        if !groups.is_empty() && *away != *requester && !spoken {
            return Ok(Voice { for_person: Some(away.clone()), groups });
        }
    }
    let names: Vec<&str> = needed.into_iter().collect();
    refuse(
        "approval.not_in_group",
        format!(
            "`{}` is in none of the groups that are asked: {}",
            caller.person,
            names.join(", ")
        ),
        "an operator puts people into groups: `bailiwick group join GROUP PERSON`",
    )
}

fn closed(state: &ApprovalState, status: ApprovalStatus) -> EngineError {
    let code = match status {
        ApprovalStatus::Expired => "approval.expired",
        ApprovalStatus::Void => "approval.void",
        _ => "approval.closed",
    };
    EngineError::State {
        code,
        message: format!("the request is not open any more: it is {}", status.name()),
        hint: format!("`bailiwick approval show {}`", state.request.id),
    }
}
