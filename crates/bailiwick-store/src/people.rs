//! Who may use the platform, what they were asked and what they stopped. Kept in memory, rebuilt
//! from the log at the start, and brought up to date in the moment of each commit, so that what was
//! revoked or frozen holds for the very next decision.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;

use bailiwick_model::Timestamp;
use bailiwick_model::action::Action;
use bailiwick_model::approval::Approvals;
use bailiwick_model::emergency::Emergencies;
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::freeze::Freezes;
use bailiwick_model::id::{ApprovalId, Person, SessionId, TaskId};
use bailiwick_model::identity::Directory;
use bailiwick_model::verdict::Verdict;
use rusqlite::Connection;

use crate::row::{entry_of, from_sql};
use crate::store::{Store, hold};

/// The names of the facts that people are about.
const NAMES: &str = "'identity_changed', 'approval_asked', 'approval_answered', 'approval_used', \
    'approval_voided', 'approval_escalated', 'delegated', 'frozen', 'thawed', \
    'emergency_declared', 'emergency_confirmed', 'emergency_used', 'emergency_ended'";

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
    /// When actions of sessions were denied, the latest of them.
    pub(crate) denial_times: VecDeque<Timestamp>,
    /// When an alert about many denials was raised last.
    pub(crate) last_storm: Option<Timestamp>,
    /// Approvals that an action has taken whose decision is being recorded.
    pub(crate) claimed: BTreeSet<ApprovalId>,
    /// Whether an entry that belongs here can't be read. Nobody is let in by a token then, and no
    /// approval stands: what is missing may have been a revocation or a refusal.
    pub damaged: bool,
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
            if let (Some(session), Verdict::Deny(denial)) =
                (decided.subject.session, &decided.decision)
            {
                self.note_denial(entry.at, session, &denial.rules);
            }
            return;
        }
        if let Event::Fact(fact) = &entry.event
            && let Fact::SessionEnded { session, .. } = fact.as_ref()
        {
            self.denied.remove(session);
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
            Verdict::Permit { .. } => matches!(decided.action, Action::BranchPush(_)),
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
                | Fact::Delegated(_)
                | Fact::Frozen(_)
                | Fact::Thawed(_)
                | Fact::EmergencyDeclared(_)
                | Fact::EmergencyConfirmed(_)
                | Fact::EmergencyUsed(_)
                | Fact::EmergencyEnded(_)
                | Fact::SessionEnded { .. }
        ),
    }
}

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
                    people.damaged = true;
                }
            }
        }
        // A mark stands in the place of a row that was quarantined: what the row said is not known.
        let spoke = people.directory.next_seq > 0
            || !people.approvals.all.is_empty()
            || !people.freezes.thawed.is_empty()
            || !people.freezes.in_force.is_empty();
        let mut kept = connection.prepare("SELECT payload FROM quarantine")?;
        let mut rows = kept.query([])?;
        while let Some(row) = rows.next()? {
            let payload = row.get_ref(0)?.as_bytes_or_null()?.unwrap_or_default();
            let text = String::from_utf8_lossy(payload);
            let about_people =
                NAMES.split('\'').any(|name| name.contains('_') && text.contains(name));
            let about_something = text.contains("\"event\":\"");
            people.damaged |= about_people || (spoke && !about_something);
        }
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
