//! Which policies were found to be good by themselves already: of a size that can be analysed,
//! lifted by their approval where they are gates, fit for the schema in every kind of question that
//! they could be about.
//!
//! That is most of the time that loading takes, and a bundle that is loaded anew has mostly policies
//! that the one before it had: only those that are new are checked, and files that are as they were
//! are not read again.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use bailiwick_model::payload::Digest;
use cedar_policy::Policy;

use crate::layer::Layer;
use crate::load::{Loaded, MAX_POLICIES, PolicySource};

/// How many policies are remembered: several sets of the largest size.
const MOST: usize = 4 * MAX_POLICIES;

#[derive(Default)]
struct Known {
    policies: HashSet<Digest>,
    files: HashMap<Digest, Vec<Loaded>>,
    /// How many policies the files have.
    in_files: usize,
}

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the policy was remembered.
pub(crate) fn is_good(policy: &Policy) -> bool {
    known().policies.contains(&text(policy))
}

/// The policies of a file that was remembered.
pub(crate) fn file(layer: &Layer, source: &PolicySource) -> Option<Vec<Loaded>> {
    known().files.get(&name_and_text(layer, source)).cloned()
}

/// Remembers a file with its policies, of which nothing was to be said.
pub(crate) fn remember(layer: &Layer, source: &PolicySource, policies: &[Loaded]) {
    let mut known = known();
    if known.policies.len().saturating_add(policies.len()) > MOST {
        known.policies.clear();
    }
    if known.in_files.saturating_add(policies.len()) > MOST {
        known.files.clear();
        known.in_files = 0;
    }
    known.policies.extend(policies.iter().map(|one| text(&one.policy)));
    let checked = policies.iter().map(|one| Loaded { known: true, ..one.clone() }).collect();
    if known.files.insert(name_and_text(layer, source), checked).is_none() {
        known.in_files = known.in_files.saturating_add(policies.len());
    }
}

/// The digest of a policy's own text. The schema is a constant of the program, and nothing else
/// matters.
fn text(policy: &Policy) -> Digest {
    Digest::of(policy.to_string().as_bytes())
}

fn name_and_text(layer: &Layer, source: &PolicySource) -> Digest {
    Digest::of_parts(&[], [layer.to_string().as_str(), &source.name, &source.text])
}
