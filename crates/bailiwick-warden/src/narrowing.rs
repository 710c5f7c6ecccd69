//! The layer that came with a task: put on the policy in force, and only ever narrowing it.
//!
//! Composed when a decision needs it, and kept until the policy changes. What can't be put on, as
//! when the organisation took back a right that the task's rules repeat, stops the task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_model::id::TaskId;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::Subject;
use bailiwick_model::task::PolicyText;
use bailiwick_model::verdict::Denial;
use bailiwick_policy::{
    Layer, LayerSource, PolicyErrors, PolicySet, PolicySource, Proved, resolve,
};

use crate::port::SafeguardError;
use crate::warden::Warden;

/// The most that a task's own rules may have, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// The most files of them.
const MOST_FILES: usize = 16;

/// Tasks' rules are not put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rules that came with the task are refused: {}", faults.join("; "))]
pub struct NarrowingRefused {
    /// What is wrong, with file and line; one sentence for each fault.
    pub faults: Vec<String>,
}

impl From<PolicyErrors> for NarrowingRefused {
    fn from(errors: PolicyErrors) -> Self {
        let said = |error: &bailiwick_policy::PolicyError| {
            format!("{error}; {}; {}", error.why, error.fix)
        };
        Self { faults: errors.errors.iter().map(said).collect() }
    }
}

/// Policies with a task's rules on them, as composed last.
#[derive(Default)]
pub(crate) struct Narrowed {
    sets: Mutex<HashMap<TaskId, Composed>>,
}

struct Composed {
    /// The policy that the rules were put on.
    on: Digest,
    files: Arc<[PolicyText]>,
    set: Arc<PolicySet>,
}

/// Why no policy could be found for a task.
pub(crate) enum NoPolicy {
    /// What came with it can't be looked at.
    Unreadable(SafeguardError),
    /// What came with it can't be put on the policy in force.
    Refused(Denial),
}

impl Warden {
    /// Whether a task's own rules could be put in force: they are valid, and narrow.
    pub fn check_narrowing(
        &self,
        task: TaskId,
        files: &[PolicyText],
    ) -> Result<(), NarrowingRefused> {
        compose(&self.policy(), task, files).map(|_| ())
    }

    /// The policy in force for a subject, its task's own rules included.
    pub(crate) fn policy_for(&self, subject: &Subject) -> Result<Arc<PolicySet>, NoPolicy> {
        let policy = self.policy();
        let (Some(safeguards), Some(task)) = (&self.safeguards, subject.task) else {
            return Ok(policy);
        };
        let Some(files) = safeguards.narrowing(task).map_err(NoPolicy::Unreadable)? else {
            return Ok(policy);
        };
        let mut sets = self.narrowed.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.get(&task)
            && known.on == policy.digest()
            && known.files == files
        {
            return Ok(Arc::clone(&known.set));
        }
        let set = compose(&policy, task, &files).map_err(|refused| {
            NoPolicy::Refused(Denial {
                code: "policy.layer_refused".to_owned(),
                rules: Vec::new(),
                reason: "the rules that came with the task can't be put in force any more, so nothing is done for it".to_owned(),
                hint: format!(
                    "Stop: a person has to ask for the task anew.{}{refused}",
                    bailiwick_model::verdict::FOR_PEOPLE
                ),
            })
        })?;
        let set = Arc::new(set);
        // Of tasks under an older policy nobody may ever ask again.
        sets.retain(|_, known| known.on == policy.digest());
        sets.insert(task, Composed { on: policy.digest(), files, set: Arc::clone(&set) });
        Ok(set)
    }
}

fn compose(
    policy: &PolicySet,
    task: TaskId,
    files: &[PolicyText],
) -> Result<PolicySet, NarrowingRefused> {
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if files.len() > MOST_FILES || bytes > MOST_BYTES {
        let faults = vec![format!(
            "there are {} files with {bytes} bytes, more than the {MOST_FILES} with {MOST_BYTES} that are accepted",
            files.len()
        )];
        return Err(NarrowingRefused { faults });
    }
    if let Some(file) = files.iter().find(|file| !is_policy_file(&file.name)) {
        let faults = vec![format!(
            "`{}` is no name of a policy file; name it `….toml` for the short form, `….cedar` for Cedar",
            file.name.escape_debug()
        )];
        return Err(NarrowingRefused { faults });
    }
    let sources: Vec<PolicySource> =
        files.iter().map(|file| PolicySource::new(&file.name, &file.text)).collect();
    let sources = resolve(&sources)?;
    let source = LayerSource { layer: Layer::Task(task), sources };
    Ok(policy.narrowed(&source, &Proved::nothing())?)
}

fn is_policy_file(name: &str) -> bool {
    let kind = name.ends_with(".toml") || name.ends_with(".cedar");
    kind && name.len() <= 100 && !name.contains(['/', '\\']) && !name.chars().any(char::is_control)
}
