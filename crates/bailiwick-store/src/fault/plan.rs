//! The plan of faults, as text: `fail-append=17,crash-at=merged`.

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Which faults happen when. Clones share their counters.
///
/// Written as items between commas or white space:
///
/// | item | meaning |
/// |---|---|
/// | `fail-append=N` | the append that has the N-th event of this process fails as a whole |
/// | `crash-before-append=N` | the process is killed before the N-th event is committed |
/// | `crash-after-append=N` | the process is killed when the N-th event is committed, unacknowledged |
/// | `damage-after-append=N` | the N-th event is committed, reads as something else from then on, and the process is killed |
/// | `crash-at=NAME` | the process is killed at [`crash_point`](crate::crash_point)`(NAME)` |
/// | `crash-at=NAME@K` | the same, the K-th time it comes there |
/// | `disk-full-after=BYTES` | nothing more fits once so many bytes of events and blobs were written |
///
/// Events are counted from 1 in the order in which they reach the log.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    fail_append: Vec<u64>,
    crash_before: Vec<u64>,
    crash_after: Vec<u64>,
    damage_after: Vec<u64>,
    crash_at: BTreeMap<String, u64>,
    disk_bytes: Option<u64>,
    counters: Mutex<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    events: u64,
    bytes: u64,
    reached: BTreeMap<String, u64>,
}

/// A text is not a plan of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{item}` is not a fault")]
pub struct FaultPlanError {
    /// The item that is not understood.
    pub item: String,
}

/// What is to happen with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Injection {
    Nothing,
    Fail { number: u64 },
    CrashBefore,
    CrashAfter,
    DamageAfter,
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, FaultPlanError> {
        let mut faults = Faults::default();
        let items = text.split(|c: char| c == ',' || c.is_whitespace());
        for item in items.filter(|item| !item.is_empty()) {
            let refuse = || FaultPlanError { item: item.to_owned() };
            let (kind, value) = item.split_once('=').ok_or_else(refuse)?;
            let number = || value.parse::<u64>().map_err(|_| refuse());
            match kind {
                "fail-append" => faults.fail_append.push(number()?),
                "crash-before-append" => faults.crash_before.push(number()?),
                "crash-after-append" => faults.crash_after.push(number()?),
                "damage-after-append" => faults.damage_after.push(number()?),
                "disk-full-after" => faults.disk_bytes = Some(number()?),
                "crash-at" => {
                    let (name, time) = value.split_once('@').unwrap_or((value, "1"));
                    let time = time.parse().map_err(|_| refuse())?;
                    faults.crash_at.insert(name.to_owned(), time);
                }
                _ => return Err(refuse()),
            }
        }
        Ok(Self { faults: Arc::new(faults) })
    }
}

impl FaultPlan {
    /// Counts the events of one append and says what is to happen with it.
    pub(crate) fn inject(&self, events: u64) -> Injection {
        let faults = &self.faults;
        let mut counters = faults.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let first = counters.events + 1;
        counters.events += events;
        let here = first..=counters.events;
        if let Some(number) = faults.fail_append.iter().find(|number| here.contains(number)) {
            Injection::Fail { number: *number }
        } else if faults.crash_before.iter().any(|number| here.contains(number)) {
            Injection::CrashBefore
        } else if faults.crash_after.iter().any(|number| here.contains(number)) {
            Injection::CrashAfter
        } else if faults.damage_after.iter().any(|number| here.contains(number)) {
            Injection::DamageAfter
        } else {
            Injection::Nothing
        }
    }

    /// Takes room on the simulated disk.
    pub(crate) fn take_room(&self, bytes: usize) -> io::Result<()> {
        let Some(room) = self.faults.disk_bytes else { return Ok(()) };
        let mut counters = self.faults.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = counters.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if bytes > room {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        counters.bytes = bytes;
        Ok(())
    }

    pub(crate) fn reach(&self, name: &str) {
        let Some(time) = self.faults.crash_at.get(name) else { return };
        let mut counters = self.faults.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = counters.reached.entry(name.to_owned()).or_default();
        *reached += 1;
        if *reached == *time {
            crash();
        }
    }
}

static INSTALLED: OnceLock<FaultPlan> = OnceLock::new();

/// Puts a plan into force for this process: its [`crash_point`](crate::crash_point)s, and every
/// store that is opened from now on. Only the first call counts; says whether this was it.
pub fn install(plan: FaultPlan) -> bool {
    INSTALLED.set(plan).is_ok()
}

pub(crate) fn installed() -> Option<FaultPlan> {
    INSTALLED.get().cloned()
}

/// Ends the process as a power cut would: no destructor, no flush.
pub(crate) fn crash() {
    use rustix::process::{Signal, getpid, kill_process};
    if kill_process(getpid(), Signal::KILL).is_err() {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_hit_by_the_events_they_hold() {
        let plan: FaultPlan = "fail-append=3 crash-after-append=6".parse().unwrap();
        assert_eq!(plan.inject(2), Injection::Nothing);
        assert_eq!(plan.clone().inject(2), Injection::Fail { number: 3 });
        assert_eq!(plan.inject(1), Injection::Nothing);
        assert_eq!(plan.inject(1), Injection::CrashAfter);
        assert_eq!(plan.inject(1), Injection::Nothing);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for item in ["fail-append", "fail-append=x", "fail-append=-1", "explode=1", "crash-at=a@b"]
        {
            let error = format!("crash-at=ok,{item}").parse::<FaultPlan>().unwrap_err();
            assert_eq!(error.item, item);
        }
        "".parse::<FaultPlan>().unwrap();
    }
}
