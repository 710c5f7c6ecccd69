//! Two sets side by side, and recorded actions decided anew.

use std::collections::{BTreeMap, HashMap};

use bailiwick_model::action::Action;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::verdict::Verdict;

use crate::set::PolicySet;

/// How two sets differ, rule by rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Rules that only the second has.
    pub added: Vec<String>,
    /// Rules that only the first has.
    pub removed: Vec<String>,
    /// Rules that both have, with other text; with the text in the first and the second.
    pub changed: Vec<(String, String, String)>,
}

/// Compares two sets. Where a rule stands and how it is laid out makes no difference.
pub fn difference(before: &PolicySet, after: &PolicySet) -> Difference {
    let texts = |set: &PolicySet| -> BTreeMap<String, String> {
        set.policies().map(|(rule, policy)| (rule.id.clone(), normal(policy))).collect()
    };
    let (old, new) = (texts(before), texts(after));
    let mut found = Difference::default();
    for (id, text) in &old {
        match new.get(id) {
            None => found.removed.push(id.clone()),
            Some(other) if other != text => {
                found.changed.push((id.clone(), text.clone(), other.clone()));
            }
            Some(_) => {}
        }
    }
    found.added = new.into_keys().filter(|id| !old.contains_key(id)).collect();
    found
}

fn normal(policy: &cedar_policy::Policy) -> String {
    // through JSON, which has no layout and no comments
    let again = policy
        .to_json()
        .ok()
        .and_then(|json| cedar_policy::Policy::from_json(None, json).ok())
        .and_then(|policy| policy.to_cedar());
    again.unwrap_or_else(|| policy.to_string())
}

/// An action with the decision that was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its entry in the ledger.
    pub entry: u64,
    /// Who acted.
    pub subject: Subject,
    /// What was to be done.
    pub action: Action,
    /// In which circumstances.
    pub context: Context,
    /// What was decided then.
    pub decision: Verdict,
}

/// What kind of answer a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Permitted.
    Allowed,
    /// A person is asked.
    Asked,
    /// Denied.
    Denied,
}

impl Answer {
    /// The answer of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Permit { .. } => Self::Allowed,
            Verdict::NeedsApproval { .. } => Self::Asked,
            Verdict::Deny(_) => Self::Denied,
        }
    }

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Asked => "asked",
            Self::Denied => "denied",
        }
    }
}

/// Recorded actions that change their answer for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// The answer that was recorded.
    pub before: Answer,
    /// The answer of the candidate.
    pub after: Answer,
    /// The kind of action.
    pub kind: &'static str,
    /// The rules that decide now; empty when none permits.
    pub rules: Vec<String>,
    /// How many.
    pub count: u64,
    /// The first of them: its entry and the action in a line.
    pub first: (u64, String),
}

/// What a candidate would have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// How many actions were decided anew.
    pub total: u64,
    /// How many get the same answer.
    pub same: u64,
    /// The others, the largest group first.
    pub shifts: Vec<Shift>,
}

/// The answer before and after, the kind of action, and the rules that decide now.
type Reason = (Answer, Answer, &'static str, Vec<String>);

/// How many, and the first of them.
type Count = (u64, (u64, String));

/// Decides recorded actions anew, as many as one likes.
#[derive(Debug)]
pub struct Replayer<'a> {
    candidate: &'a PolicySet,
    total: u64,
    same: u64,
    shifts: BTreeMap<Reason, Count>,
    /// A decision is a pure function of what is asked, and sessions ask the same again and again.
    known: HashMap<Digest, Verdict>,
}

/// Answers that are remembered; each is small.
const REMEMBERED: usize = 200_000;

impl<'a> Replayer<'a> {
    /// A replay against this candidate.
    pub fn new(candidate: &'a PolicySet) -> Self {
        Self { candidate, total: 0, same: 0, shifts: BTreeMap::new(), known: HashMap::new() }
    }

    /// Decides one anew.
    pub fn add(&mut self, recorded: &Recorded) {
        let now = self.decide(recorded);
        self.total += 1;
        let (before, after) = (Answer::of(&recorded.decision), Answer::of(&now));
        if before == after {
            self.same += 1;
            return;
        }
        let rules = match now {
            Verdict::Permit { rules } | Verdict::NeedsApproval { rules, .. } => rules,
            Verdict::Deny(denial) => denial.rules,
        };
        let entry = self
            .shifts
            .entry((before, after, recorded.action.kind(), rules))
            .or_insert_with(|| (0, (recorded.entry, recorded.action.summary())));
        entry.0 += 1;
    }

    fn decide(&mut self, recorded: &Recorded) -> Verdict {
        let asked = (
            &recorded.subject.role,
            &recorded.subject.on_behalf_of,
            &recorded.subject.session,
            &recorded.action,
            &recorded.context,
        );
        let Ok(bytes) = serde_json::to_vec(&asked) else {
            return self.now(recorded);
        };
        let key = Digest::of(&bytes);
        if let Some(verdict) = self.known.get(&key) {
            return verdict.clone();
        }
        let verdict = self.now(recorded);
        if self.known.len() < REMEMBERED {
            self.known.insert(key, verdict.clone());
        }
        verdict
    }

    /// In the tier that the candidate asks for.
    fn now(&self, recorded: &Recorded) -> Verdict {
        let Recorded { subject, action, context, .. } = recorded;
        self.candidate.decide_in_tier(subject, action, context).0
    }

    /// What it came to.
    pub fn finish(self) -> Replay {
        let mut shifts: Vec<Shift> = self
            .shifts
            .into_iter()
            .map(|((before, after, kind, rules), (count, first))| Shift {
                before,
                after,
                kind,
                rules,
                count,
                first,
            })
            .collect();
        shifts.sort_by_key(|shift| std::cmp::Reverse(shift.count));
        Replay { total: self.total, same: self.same, shifts }
    }
}
