//! What people said, as the warden asks for it at each decision; and freezes that were ordered
//! beside the process that has the ledger.
//!
//! An order is a file in the data directory. It holds from the next decision on in whichever
//! process has the ledger open, which then records it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_model::Timestamp;
use bailiwick_model::action::Action;
use bailiwick_model::approval::{ApprovalState, ApprovalStatus, ApprovalUse, ApprovalVerdict};
use bailiwick_model::emergency::Alert;
use bailiwick_model::freeze::Freeze;
use bailiwick_model::id::{ApprovalId, EmergencyId, FreezeId, Person, RepoName, TaskId};
use bailiwick_model::identity::RepoRight;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::{Context, Role, SessionFacts, Subject};
use bailiwick_model::task::PolicyText;
use bailiwick_model::verdict::Denial;
use bailiwick_warden::{
    Claim, ForgeRights, RightsError, SafeguardError, Safeguards, Standing, Stopped,
};

use crate::error::StoreError;
use crate::people::People;
use crate::store::Store;

/// How many denials of one session are a storm.
const STORM_OF_A_SESSION: u32 = 5;

/// How many denials of all sessions within [`STORM_SECONDS`] are a storm.
const STORM_OF_ALL: usize = 30;

/// The time that denials are counted over, and the least time between two alerts about it.
pub(crate) const STORM_SECONDS: i64 = 300;

fn orders_dir(store_dir: &Path) -> PathBuf {
    store_dir.join("freeze")
}

/// Orders a freeze beside whichever process has the store of this directory open. It holds from
/// the next decision on, and is recorded with it.
///
/// # Errors
/// The order can't be written; nothing is frozen then.
pub fn order_freeze(store_dir: &Path, freeze: &Freeze) -> Result<(), StoreError> {
    let dir = orders_dir(store_dir);
    let path = dir.join(format!("{}.json", freeze.id));
    let failed = |source| StoreError::Io { action: "write", path: path.clone(), source };
    let text = serde_json::to_vec(freeze).map_err(|source| StoreError::Json { source })?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
    // Whole under another name first: half an order would stop everything.
    let temporary = path.with_extension("new");
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(failed)
}

impl Store {
    /// Freezes that were ordered beside this process, recorded or not.
    ///
    /// # Errors
    /// One can't be read: what it stops is not known, so everything has to stop.
    pub fn ordered_freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        let dir = orders_dir(self.dir());
        let failed =
            |path: &Path, source| StoreError::Io { action: "read", path: path.to_owned(), source };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&dir, error)),
        };
        let mut orders = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&dir, error))?.path();
            // One that is being written does not count yet.
            if path.extension().is_some_and(|ending| ending == "new") {
                continue;
            }
            let text = match fs::read(&path) {
                Ok(text) => text,
                // Thawed in this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, error)),
            };
            orders
                .push(serde_json::from_slice(&text).map_err(|source| StoreError::Json { source })?);
        }
        Ok(orders)
    }

    /// Removes the order of a freeze that was thawed.
    ///
    /// # Errors
    /// It is there and can't be removed. It is void all the same once the thaw is recorded.
    pub fn forget_order(&self, freeze: FreezeId) -> Result<(), StoreError> {
        let path = orders_dir(self.dir()).join(format!("{freeze}.json"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { action: "remove", path, source: error })
            }
            _ => Ok(()),
        }
    }

    fn sound<T>(&self, look: impl FnOnce(&mut People) -> T) -> Result<T, SafeguardError> {
        self.inner.people.with_mut(|people| {
            if people.damaged {
                return Err(SafeguardError {
                    message: format!(
                        "entries that are or may be about accounts, approvals or freezes can't be read: {:?}",
                        people.damage
                    ),
                });
            }
            Ok(look(people))
        })
    }
}

impl Safeguards for Store {
    fn frozen(
        &self,
        subject: &Subject,
        context: &Context,
        action: &Action,
    ) -> Result<Option<Stopped>, SafeguardError> {
        let ordered = self.ordered_freezes().map_err(|error| SafeguardError {
            message: format!("an ordered freeze can't be read: {}", error.chain()),
        })?;
        self.sound(|people| {
            let freezes = &people.freezes;
            let recorded =
                freezes.in_force.values().find(|freeze| freeze.stops(subject, context, action));
            if let Some(freeze) = recorded {
                return Some(Stopped { freeze: freeze.clone(), unrecorded: false });
            }
            ordered
                .into_iter()
                .filter(|freeze| !freezes.thawed.contains(&freeze.id))
                .find(|freeze| freeze.stops(subject, context, action))
                .map(|freeze| Stopped {
                    unrecorded: !freezes.in_force.contains_key(&freeze.id),
                    freeze,
                })
        })
    }

    fn facts(
        &self,
        subject: &Subject,
        facts: &mut SessionFacts,
        now: Timestamp,
    ) -> Result<(), SafeguardError> {
        self.sound(|people| {
            let person = &subject.on_behalf_of;
            let groups = people.directory.groups_of(person);
            facts.groups = groups.into_iter().map(|group| group.to_string()).collect();
            facts.pushes_last_hour = people.pushes_last_hour(person, now);
            if let Some(task) = subject.task {
                facts.approvals_before = people.approvals_used(task);
                if let Some(hosts) = people.hosts.get(&(task, subject.session)) {
                    // beside those that the platform itself names
                    facts.hosts.extend(hosts.iter().cloned());
                }
            }
            if let Some(denied) = subject.session.and_then(|session| people.denied.get(&session)) {
                facts.denied_by.clone_from(&denied.by_rule);
            }
        })
    }

    fn standing(
        &self,
        subject: &Subject,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Standing, SafeguardError> {
        self.sound(|people| {
            let Some(state) = people.approvals.of(digest) else { return Standing::Unasked };
            let id = state.request.id;
            // A person who asks again asks anew; an agent is told what came of it.
            let again = subject.role == Role::Human;
            match state.status(now) {
                ApprovalStatus::Open => Standing::Open(id),
                ApprovalStatus::Granted => Standing::Granted {
                    approval: id,
                    groups: state.request.needs.iter().map(|need| need.group.clone()).collect(),
                    once: state.usage() == ApprovalUse::Once,
                },
                ApprovalStatus::Denied | ApprovalStatus::Expired if again => Standing::Unasked,
                ApprovalStatus::Denied => Standing::Refused(said_no(state)),
                ApprovalStatus::Expired => Standing::Refused(Denial {
                    code: "approval.expired".to_owned(),
                    rules: state.request.rules.clone(),
                    reason: "nobody approved it in time".to_owned(),
                    hint: "do without it, or finish and say what is needed and why".to_owned(),
                }),
                ApprovalStatus::Spent | ApprovalStatus::Void => Standing::Unasked,
            }
        })
    }

    fn claim(&self, approval: ApprovalId) -> Result<Claim, SafeguardError> {
        self.sound(|people| {
            let unused = people.approvals.all.get(&approval).is_some_and(|s| s.used_by.is_empty());
            if unused && people.claimed.insert(approval) { Claim::Taken } else { Claim::Gone }
        })
    }

    fn release(&self, approval: ApprovalId) {
        self.inner.people.with_mut(|people| people.claimed.remove(&approval));
    }

    fn emergency(
        &self,
        person: &Person,
        repo: &RepoName,
        now: Timestamp,
    ) -> Result<Option<EmergencyId>, SafeguardError> {
        self.sound(|people| {
            people.emergencies.in_force(person, repo, now).map(|state| state.emergency.id)
        })
    }

    fn narrowing(&self, task: TaskId) -> Result<Option<Arc<[PolicyText]>>, SafeguardError> {
        self.sound(|people| people.narrowings.get(&task).cloned())
    }

    fn storm(&self, subject: &Subject, now: Timestamp) -> Option<Alert> {
        self.inner.people.with_mut(|people| {
            let session = subject.session?;
            let so_far = people.denied.get(&session).map_or(0, |denied| denied.count);
            let alert = |message: String| Alert {
                code: "alert.denial_storm".to_owned(),
                message,
                task: subject.task,
                session: Some(session),
            };
            if so_far + 1 == STORM_OF_A_SESSION {
                return Some(alert(format!(
                    "{STORM_OF_A_SESSION} actions of one session were refused"
                )));
            }
            let since = now.as_second().saturating_sub(STORM_SECONDS);
            let recent = people.denial_times.iter().rev().take_while(|at| at.as_second() >= since);
            let quiet = people.last_storm.is_none_or(|last| last.as_second() < since);
            if quiet && recent.count() + 1 >= STORM_OF_ALL {
                people.last_storm = Some(now);
                return Some(alert(format!(
                    "{STORM_OF_ALL} actions of all sessions were refused within {STORM_SECONDS} seconds"
                )));
            }
            None
        })
    }
}

/// What people may do in the repositories of the embedded forge: as of the newest commit.
#[async_trait]
impl ForgeRights for Store {
    async fn right_of(&self, person: &Person, repo: &RepoName) -> Result<RepoRight, RightsError> {
        self.sound(|people| people.directory.repo_right(person, repo))
            .map_err(|error| RightsError { message: error.message })
    }
}

fn said_no(state: &ApprovalState) -> Denial {
    let answer = state.answers.iter().find(|answer| answer.verdict == ApprovalVerdict::Deny);
    let (by, note) = answer.map_or_else(
        || ("somebody".to_owned(), ""),
        |answer| (answer.by.to_string(), answer.note.as_str()),
    );
    let note = if note.is_empty() { String::new() } else { format!(": {note}") };
    Denial {
        code: "approval.denied".to_owned(),
        rules: state.request.rules.clone(),
        reason: format!("`{by}` did not approve it{note}"),
        hint: "do without it, or finish and say what is needed and why".to_owned(),
    }
}
