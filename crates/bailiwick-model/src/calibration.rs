//! Whether the risk score says anything: what was merged at which score, and what of it was taken
//! back later. A pure fold over recorded events, from the first merge on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::{Entry, Event, Fact};
use crate::evidence::{RiskBand, RiskReport};
use crate::id::{Oid, SubtaskKey, TaskId};

/// A change that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedChange {
    /// The task.
    pub task: TaskId,
    /// The subtask.
    pub subtask: SubtaskKey,
    /// The pull request.
    pub number: u64,
    /// The commits that a revert may name: the one on the base branch, and the change's own.
    pub commits: Vec<Oid>,
    /// Its risk, as it was scored last before the merge.
    pub risk: Option<RiskReport>,
    /// When it was merged.
    pub at: Timestamp,
    /// When it was seen that it was taken back.
    pub reverted_at: Option<Timestamp>,
}

/// How many changes were merged, and how many of them taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Merged.
    pub merged: u32,
    /// Of them taken back since.
    pub reverted: u32,
}

impl Share {
    fn add(&mut self, change: &MergedChange) {
        self.merged = self.merged.saturating_add(1);
        self.reverted = self.reverted.saturating_add(u32::from(change.reverted_at.is_some()));
    }

    /// The share that was taken back in parts of a thousand, and between which two it lies with a
    /// probability of 95 % (Wilson's interval). None when nothing was merged.
    pub fn per_mille(self) -> Option<(u32, u32, u32)> {
        if self.merged == 0 {
            return None;
        }
        let (count, hits) = (f64::from(self.merged), f64::from(self.reverted));
        let share = hits / count;
        let z = 1.96_f64;
        let width = 1.0 + z * z / count;
        let middle = (share + z * z / (2.0 * count)) / width;
        let half =
            z * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt() / width;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0 to 1000 before"
        )]
        let mille = |value: f64| (value * 1000.0).round().clamp(0.0, 1000.0) as u32;
        Some((mille(share), mille(middle - half), mille(middle + half)))
    }
}

/// What the merges so far say about the score.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// All changes.
    pub all: Share,
    /// By the band of their score; what was not scored is in none.
    pub bands: BTreeMap<RiskBand, Share>,
    /// By each signal that they had.
    pub signals: BTreeMap<String, Share>,
    /// The first merge.
    pub since: Option<Timestamp>,
}

impl Calibration {
    /// Counts changes.
    pub fn of(changes: &[MergedChange]) -> Self {
        let mut found = Self::default();
        for change in changes {
            found.all.add(change);
            found.since = Some(found.since.map_or(change.at, |since| since.min(change.at)));
            let Some(risk) = &change.risk else { continue };
            found.bands.entry(risk.band).or_default().add(change);
            let names: BTreeSet<&String> = risk.signals.iter().map(|one| &one.name).collect();
            for name in names {
                found.signals.entry(name.clone()).or_default().add(change);
            }
        }
        found
    }
}

/// What was merged, by entries that have at least the facts `risk_scored`, `change_published`,
/// `merged` and `reverted`, in order.
pub fn merged_changes<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<MergedChange> {
    let mut risks: BTreeMap<(TaskId, SubtaskKey), RiskReport> = BTreeMap::new();
    let mut heads: BTreeMap<(TaskId, SubtaskKey), Oid> = BTreeMap::new();
    let mut changes: Vec<MergedChange> = Vec::new();
    for entry in entries {
        let Event::Fact(fact) = &entry.event else { continue };
        match fact.as_ref() {
            Fact::RiskScored { task, subtask, risk, .. } => {
                risks.insert((*task, subtask.clone()), risk.clone());
            }
            Fact::ChangePublished { task, subtask, head, .. } => {
                heads.insert((*task, subtask.clone()), head.clone());
            }
            Fact::Merged { task, subtask, number, commit, .. } => {
                let key = (*task, subtask.clone());
                changes.push(MergedChange {
                    task: *task,
                    subtask: subtask.clone(),
                    number: *number,
                    commits: std::iter::once(commit.clone())
                        .chain(heads.get(&key).cloned())
                        .collect(),
                    risk: risks.get(&key).cloned(),
                    at: entry.at,
                    reverted_at: None,
                });
            }
            Fact::Reverted { task, subtask, .. } => {
                let of = changes
                    .iter_mut()
                    .find(|change| change.task == *task && change.subtask == *subtask);
                if let Some(change) = of {
                    change.reverted_at.get_or_insert(entry.at);
                }
            }
            _ => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::MergeMethod;
    use crate::evidence::{Autonomy, RiskSignal};
    use crate::id::BranchName;
    use uuid::Uuid;

    fn oid(n: u32) -> Oid {
        Oid::parse(&format!("{n:040x}")).unwrap()
    }

    fn facts(n: u32, band: RiskBand, signal: &str) -> Vec<Fact> {
        let task = TaskId::new(Uuid::from_u128(u128::from(n)));
        let subtask = SubtaskKey::parse("one").unwrap();
        let branch = BranchName::parse("main").unwrap();
        let signals =
            vec![RiskSignal { name: signal.to_owned(), points: 1, reason: "so".to_owned() }];
        let risk = RiskReport {
            score: 1,
            band,
            signals,
            autonomy: Autonomy::Reviewed,
            owners: Vec::new(),
        };
        vec![
            Fact::RiskScored { task, subtask: subtask.clone(), commit: oid(n), risk },
            Fact::ChangePublished {
                task,
                subtask: subtask.clone(),
                repo: crate::id::RepoName::parse("r").unwrap(),
                number: u64::from(n),
                branch: branch.clone(),
                head: oid(n),
                base_branch: branch,
            },
            Fact::Merged {
                task,
                subtask,
                number: u64::from(n),
                commit: oid(n + 1000),
                method: MergeMethod::Merge,
            },
        ]
    }

    #[test]
    fn merges_and_reverts_are_counted_by_band_and_signal() {
        let mut all = facts(1, RiskBand::Low, "a");
        all.extend(facts(2, RiskBand::High, "b"));
        all.extend(facts(3, RiskBand::High, "b"));
        let Fact::Merged { task, subtask, number, commit, .. } = all[5].clone() else { panic!() };
        let reverted = Fact::Reverted { task, subtask, number, commit, by: oid(9) };
        // seen twice, it counts once
        all.extend([reverted.clone(), reverted]);
        let entries: Vec<Entry> = (0_u64..)
            .zip(all)
            .map(|(seq, fact)| Entry {
                seq,
                at: Timestamp::from_second(i64::try_from(seq).unwrap()).unwrap(),
                event: Event::fact(fact),
            })
            .collect();
        let changes = merged_changes(&entries);
        assert_eq!(changes[1].commits, [oid(1002), oid(2)]);
        let found = Calibration::of(&changes);
        assert_eq!(found.all, Share { merged: 3, reverted: 1 });
        assert_eq!(found.bands[&RiskBand::Low], Share { merged: 1, reverted: 0 });
        assert_eq!(found.bands[&RiskBand::High], Share { merged: 2, reverted: 1 });
        assert_eq!(found.signals["b"], Share { merged: 2, reverted: 1 });
        assert_eq!(found.since, Some(Timestamp::from_second(2).unwrap()));
        assert_eq!(Calibration::of(&[]).all.per_mille(), None);
        let (share, low, high) = found.bands[&RiskBand::High].per_mille().unwrap();
        assert_eq!((share, low, high), (500, 95, 905));
    }
}
