//! Who may use the platform, what they were asked and what they stopped. Kept in memory, rebuilt
//! from the log at the start, and brought up to date in the moment of each commit, so that what was
//! revoked or frozen holds for the very next decision.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bailiwick_model::Timestamp;
use bailiwick_model::action::Action;
use bailiwick_model::approval::Approvals;
use bailiwick_model::emergency::{DamageAccepted, Emergencies};
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::freeze::Freezes;
use bailiwick_model::id::{ApprovalId, Person, SessionId, TaskId};
use bailiwick_model::identity::Directory;
use bailiwick_model::task::PolicyText;
use bailiwick_model::verdict::Verdict;
use rusqlite::Connection;

use crate::row::{entry_of, from_sql};
use crate::store::{Store, hold};

/// The names of the facts that people are about.
const NAMES: &str = "'identity_changed', 'approval_asked', 'approval_answered', 'approval_used', \
    'approval_voided', 'approval_escalated', 'approval_reminded', 'delegated', 'frozen', \
    'thawed', 'emergency_declared', 'emergency_confirmed', 'emergency_used', 'emergency_ended', \
    'task_narrowed', 'damage_accepted'";

/// How many pushes are remembered; more than any policy would ever let through in an hour.
const PUSHES: usize = 10_000;

/// Everything that people said, folded.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// Accounts, groups, tokens.
    pub directory: Directory,
    /// Requests for approval.
    pub approvals: Approvals,
    /// What is frozen.
    pub freezes: Freezes,
    /// Emergencies.
    pub emergencies: Emergencies,
    /// Branches that were pushed, on whose behalf and when.
    pub pushes: VecDeque<(Timestamp, Person)>,
    /// What was denied in sessions that are not over.
    pub denied: HashMap<SessionId, Denied>,
    /// The hosts that requests and commands with a network went to, by task and session.
    pub(crate) hosts: HashMap<(TaskId, Option<SessionId>), BTreeSet<String>>,
    /// When actions of sessions were denied, the latest of them.
    pub(crate) denial_times: VecDeque<Timestamp>,
    /// When an alert about many denials was raised last.
    pub(crate) last_storm: Option<Timestamp>,
    /// Approvals that an action has taken whose decision is being recorded.
    pub(crate) claimed: BTreeSet<ApprovalId>,
    /// The rules that came with tasks.
    pub(crate) narrowings: HashMap<TaskId, Arc<[PolicyText]>>,
    /// The sandbox tiers that people let tasks have.
    pub(crate) tiers: HashMap<TaskId, String>,
    /// Whether an entry that belongs here, or may belong here, can't be read and no operator said
    /// to go on without it. Nobody is let in by a token then, and no approval stands: what is
    /// missing may have been a revocation or a refusal.
    pub damaged: bool,
    /// The indices of those entries.
    pub damage: BTreeSet<u64>,
    /// Entries that an operator said to go on without.
    accepted: BTreeSet<u64>,
}

/// What was denied in a session.
#[derive(Debug, Clone, Default)]
pub struct Denied {
    /// How many actions.
    pub count: u32,
    /// How often by each rule.
    pub by_rule: BTreeMap<String, u32>,
}

impl People {
    /// How many approvals were used for a task.
    pub fn approvals_used(&self, task: TaskId) -> u32 {
        let states = self.approvals.all.values();
        let used = states.filter(|state| state.request.subject.task == Some(task));
        u32::try_from(used.map(|state| state.used_by.len()).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// How many branches were pushed on behalf of a person in the hour before `now`.
    pub fn pushes_last_hour(&self, person: &Person, now: Timestamp) -> u32 {
        let since = now.as_second().saturating_sub(3600);
        let recent = self.pushes.iter().rev().take_while(|(at, _)| at.as_second() >= since);
        u32::try_from(recent.filter(|(_, who)| who == person).count()).unwrap_or(u32::MAX)
    }

    /// The sandbox tier that people let a task have; none where it has the platform's.
    pub fn tier_of(&self, task: TaskId) -> Option<&str> {
        self.tiers.get(&task).map(String::as_str)
    }

    fn note_denial(&mut self, at: Timestamp, session: SessionId, rules: &[String]) {
        let denied = self.denied.entry(session).or_default();
        denied.count = denied.count.saturating_add(1);
        for rule in rules {
            let times = denied.by_rule.entry(rule.clone()).or_default();
            *times = times.saturating_add(1);
        }
        let since = at.as_second().saturating_sub(crate::safeguards::STORM_SECONDS);
        while self.denial_times.front().is_some_and(|first| first.as_second() < since) {
            self.denial_times.pop_front();
        }
        self.denial_times.push_back(at);
    }

    fn apply(&mut self, entry: &Entry) {
        if let Event::Decided(decided) = &entry.event {
            if let (Action::BranchPush(_), Verdict::Permit { .. }) =
                (&decided.action, &decided.decision)
            {
                if self.pushes.len() >= PUSHES {
                    self.pushes.pop_front();
                }
                self.pushes.push_back((entry.at, decided.subject.on_behalf_of.clone()));
            }
            if let (Some(task), Verdict::Permit { .. }) = (decided.subject.task, &decided.decision)
            {
                let hosts = match &decided.action {
                    Action::Command(command) if command.network => command.hosts(),
                    Action::HostRequest(request) => BTreeSet::from([request.host.clone()]),
                    _ => BTreeSet::new(),
                };
                if !hosts.is_empty() {
                    let session = decided.subject.session;
                    self.hosts.entry((task, session)).or_default().extend(hosts);
                }
            }
            if let (Action::TaskRaise(raise), Verdict::Permit { .. }) =
                (&decided.action, &decided.decision)
                && let Some(tier) = &raise.tier
            {
                self.tiers.insert(raise.task, tier.to.clone());
            }
            if let (Some(session), Verdict::Deny(denial)) =
                (decided.subject.session, &decided.decision)
            {
                self.note_denial(entry.at, session, &denial.rules);
            }
            return;
        }
        if let Event::Fact(fact) = &entry.event {
            match fact.as_ref() {
                Fact::SessionEnded { session, .. } => {
                    self.denied.remove(session);
                }
                Fact::TaskNarrowed { task, files, .. } => {
                    let known =
                        self.narrowings.get(task).into_iter().flat_map(|known| known.iter());
                    let all: Vec<PolicyText> = known.chain(files).cloned().collect();
                    self.narrowings.insert(*task, all.into());
                }
                Fact::DamageAccepted(DamageAccepted { entries, .. }) => {
                    self.accepted.extend(entries);
                    self.damage.retain(|seq| !entries.contains(seq));
                    self.damaged = !self.damage.is_empty();
                }
                _ => {}
            }
        }
        self.directory.apply(entry);
        self.approvals.apply(entry);
        self.freezes.apply(entry);
        self.emergencies.apply(entry);
    }
}

/// Whether an event changes what people said.
pub(crate) fn concerns(event: &Event) -> bool {
    match event {
        Event::Decided(decided) => match &decided.decision {
            Verdict::Permit { .. } => match &decided.action {
                Action::BranchPush(_) | Action::TaskRaise(_) | Action::HostRequest(_) => true,
                Action::Command(command) => command.network,
                _ => false,
            },
            Verdict::Deny(_) => decided.subject.session.is_some(),
            Verdict::NeedsApproval { .. } => false,
        },
        Event::Finished(_) => false,
        Event::Fact(fact) => matches!(
            fact.as_ref(),
            Fact::IdentityChanged { .. }
                | Fact::ApprovalAsked(_)
                | Fact::ApprovalAnswered(_)
                | Fact::ApprovalUsed(_)
                | Fact::ApprovalVoided(_)
                | Fact::ApprovalEscalated(_)
                | Fact::ApprovalReminded(_)
                | Fact::Delegated(_)
                | Fact::Frozen(_)
                | Fact::Thawed(_)
                | Fact::EmergencyDeclared(_)
                | Fact::EmergencyConfirmed(_)
                | Fact::EmergencyUsed(_)
                | Fact::EmergencyEnded(_)
                | Fact::TaskNarrowed { .. }
                | Fact::DamageAccepted { .. }
                | Fact::SessionEnded { .. }
        ),
    }
}

/// The names of events that say nothing of people. One that is not here counts as if it did.
const OTHERS: [&str; 30] = [
    "decided",
    "finished",
    "ledger_opened",
    "policy_loaded",
    "alert_raised",
    "policy_refused",
    "repository_imported",
    "task_submitted",
    "stage_started",
    "stage_ended",
    "plan_accepted",
    "session_started",
    "step_taken",
    "session_ended",
    "subtask_prepared",
    "candidate_committed",
    "gate_reported",
    "verified",
    "advised",
    "repair_asked",
    "human_asked",
    "risk_scored",
    "change_published",
    "reviewed",
    "base_moved",
    "merge_asked",
    "merged",
    "task_cancelled",
    "task_retried",
    "task_ended",
];

/// Whether what is left of a damaged row shows that it was not about people: its column and its text
/// both name the same event, and one that is about something else. One of the two can be damaged.
fn is_about_something_else(name: Option<&str>, text: &str) -> bool {
    let Some(name) = name.filter(|name| OTHERS.contains(name)) else { return false };
    let in_text = match name {
        "decided" | "finished" => format!("\"event\":\"{name}\""),
        _ => format!("\"event\":\"fact\",\"fact\":\"{name}\""),
    };
    text.contains(&in_text)
}

/// The name of a mark's row.
pub(crate) const DAMAGED: &str = "damaged";

/// The book that the store keeps.
#[derive(Debug, Default)]
pub(crate) struct PeopleBook {
    people: Mutex<People>,
}

impl PeopleBook {
    /// Folds what the log says.
    pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<Self> {
        let mut people = People::default();
        let sql = format!(
            "SELECT seq, payload FROM event WHERE name IN ({NAMES})
             OR (name = 'decided' AND verdict = 'permit' AND payload LIKE '%\"kind\":\"branch_push\"%')
             OR (name = 'decided' AND verdict = 'permit' AND payload LIKE '%\"kind\":\"task_raise\"%')
             OR (name = 'decided' AND verdict = 'permit' AND payload LIKE '%\"kind\":\"request\"%')
             OR (name = 'decided' AND verdict = 'permit' AND payload LIKE '%\"kind\":\"command\"%\"network\":true%')
             OR (name = 'decided' AND verdict = 'deny' AND session IS NOT NULL AND NOT EXISTS
                 (SELECT 1 FROM event AS ended
                  WHERE ended.session = event.session AND ended.name = 'session_ended'))
             ORDER BY seq"
        );
        let mut found = connection.prepare(&sql)?;
        let mut rows = found.query([])?;
        while let Some(row) = rows.next()? {
            let seq = from_sql(row.get(0)?);
            match entry_of(seq, row.get_ref(1)?.as_bytes()?) {
                Ok(entry) => people.apply(&entry),
                Err(reason) => {
                    tracing::error!(seq, reason, "an entry about people can't be read");
                    people.damage.insert(seq);
                }
            }
        }
        // A mark stands in the place of a row that was damaged: what the row said is not known.
        let mut kept = connection.prepare(
            "SELECT quarantine.seq, ifnull(quarantine.name, event.name),
                 ifnull(quarantine.payload, event.payload)
             FROM quarantine LEFT JOIN event ON event.seq = quarantine.seq",
        )?;
        let mut rows = kept.query([])?;
        while let Some(row) = rows.next()? {
            let seq = from_sql(row.get(0)?);
            let name = row.get_ref(1)?.as_str_or_null().ok().flatten();
            let payload = row.get_ref(2)?.as_bytes_or_null()?.unwrap_or_default();
            if !is_about_something_else(name, &String::from_utf8_lossy(payload)) {
                people.damage.insert(seq);
            }
        }
        let accepted = &people.accepted;
        people.damage.retain(|seq| !accepted.contains(seq));
        people.damaged = !people.damage.is_empty();
        Ok(Self { people: Mutex::new(people) })
    }

    /// Takes note of an entry that was committed.
    pub(crate) fn note(&self, entry: &Entry) {
        hold(&self.people).apply(entry);
    }

    /// Looks at what people said, and takes note of what is under way.
    pub(crate) fn with_mut<T>(&self, look: impl FnOnce(&mut People) -> T) -> T {
        look(&mut hold(&self.people))
    }

    /// Looks at what people said.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&People) -> T) -> T {
        look(&hold(&self.people))
    }
}

impl Store {
    /// Looks at what people said, as of the newest commit. Don't block in `look`.
    pub fn people<T>(&self, look: impl FnOnce(&People) -> T) -> T {
        self.inner.people.with(look)
    }
}
