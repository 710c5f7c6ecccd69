//! Browser sessions and one-time sign-in links.
//!
//! A browser holds a random token in a cookie; the platform keeps only its SHA-256, in a file of
//! the data directory, so that a restart signs nobody out and the file signs nobody in. Tokens
//! are replaced every hour of use; the one before stays good for a minute, for requests that were
//! under way.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_model::Timestamp;
use bailiwick_model::id::Person;
use bailiwick_model::identity::Proof;
use bailiwick_model::payload::Digest;
use serde::{Deserialize, Serialize};

use crate::data_dir::random;

/// How long a session lives without being used, in seconds.
const IDLE_SECONDS: i64 = 7 * 24 * 3600;
/// How long a token is used before it is replaced, in seconds.
const ROTATE_SECONDS: i64 = 3600;
/// How long a replaced token is still good, in seconds.
const GRACE_SECONDS: i64 = 60;
/// How long a sign-in link is good, in seconds.
pub(crate) const LINK_SECONDS: i64 = 15 * 60;

/// What is kept of a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    person: Person,
    /// What they were signed in by; when that ends, so does the session.
    proof: Proof,
    /// The same for all tokens of one sign-in, so that forms outlive a replaced token.
    csrf: String,
    since: Timestamp,
    used: Timestamp,
    /// Set when another token took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Timestamp>,
}

/// A session that a request belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) person: Person,
    pub(crate) proof: Proof,
    pub(crate) csrf: String,
    /// A token that the browser should hold from now on.
    pub(crate) fresh: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<Digest, Kept>,
    /// Links are only good for a process: a restart prints a new one.
    links: HashMap<Digest, (Person, Proof, Timestamp)>,
}

/// All browser sessions of a data directory.
#[derive(Debug)]
pub(crate) struct BrowserSessions {
    path: PathBuf,
    state: Mutex<State>,
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

fn secret() -> anyhow::Result<String> {
    Ok(random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl BrowserSessions {
    /// Reads what earlier processes kept. A file that can't be read signs everybody out.
    pub(crate) fn open(path: PathBuf) -> Self {
        let sessions = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { path, state: Mutex::new(State { sessions, links: HashMap::new() }) }
    }

    fn hold(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a code that signs a person in once.
    pub(crate) fn link(
        &self,
        person: &Person,
        proof: Proof,
        now: Timestamp,
    ) -> anyhow::Result<String> {
        let code = secret()?;
        let mut state = self.hold();
        state.links.retain(|_, (.., made)| seconds(*made, now) < LINK_SECONDS);
        state.links.insert(Digest::of(code.as_bytes()), (person.clone(), proof, now));
        Ok(code)
    }

    /// Whether a code is good, without using it up.
    pub(crate) fn is_good(&self, code: &str, now: Timestamp) -> bool {
        let state = self.hold();
        let link = state.links.get(&Digest::of(code.as_bytes()));
        link.is_some_and(|(.., made)| seconds(*made, now) < LINK_SECONDS)
    }

    /// Uses a code up and gives the token of a new session.
    pub(crate) fn redeem(&self, code: &str, now: Timestamp) -> anyhow::Result<Option<String>> {
        let mut state = self.hold();
        let Some((person, proof, made)) = state.links.remove(&Digest::of(code.as_bytes())) else {
            return Ok(None);
        };
        if seconds(made, now) >= LINK_SECONDS {
            return Ok(None);
        }
        let token = secret()?;
        let kept = Kept { person, proof, csrf: secret()?, since: now, used: now, replaced: None };
        state.sessions.insert(Digest::of(token.as_bytes()), kept);
        self.save(&mut state, now)?;
        Ok(Some(token))
    }

    /// The session of a token, if it has one.
    pub(crate) fn find(&self, token: &str, now: Timestamp) -> Option<Known> {
        let digest = Digest::of(token.as_bytes());
        let mut state = self.hold();
        let kept = state.sessions.get_mut(&digest)?;
        let idle = seconds(kept.used, now) > IDLE_SECONDS;
        if idle || kept.replaced.is_some_and(|at| seconds(at, now) > GRACE_SECONDS) {
            state.sessions.remove(&digest);
            return None;
        }
        let known = Known {
            person: kept.person.clone(),
            proof: kept.proof,
            csrf: kept.csrf.clone(),
            fresh: None,
        };
        if kept.replaced.is_some() || seconds(kept.since, now) < ROTATE_SECONDS {
            kept.used = now;
            return Some(known);
        }
        let fresh = secret().ok()?;
        kept.replaced = Some(now);
        let next = Kept { since: now, used: now, replaced: None, ..kept.clone() };
        state.sessions.insert(Digest::of(fresh.as_bytes()), next);
        if let Err(error) = self.save(&mut state, now) {
            tracing::warn!(%error, "browser sessions could not be saved");
        }
        Some(Known { fresh: Some(fresh), ..known })
    }

    /// Ends the session of a token, or all sessions of its person.
    pub(crate) fn end(&self, token: &str, everywhere: bool, now: Timestamp) -> anyhow::Result<()> {
        let mut state = self.hold();
        let Some(ended) = state.sessions.remove(&Digest::of(token.as_bytes())) else {
            return Ok(());
        };
        state.sessions.retain(|_, kept| {
            kept.csrf != ended.csrf && !(everywhere && kept.person == ended.person)
        });
        self.save(&mut state, now)
    }

    fn save(&self, state: &mut State, now: Timestamp) -> anyhow::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        state.sessions.retain(|_, kept| {
            seconds(kept.used, now) <= IDLE_SECONDS
                && kept.replaced.is_none_or(|at| seconds(at, now) <= GRACE_SECONDS)
        });
        let beside = self.path.with_extension("new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec(&state.sessions)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BrowserSessions, GRACE_SECONDS, LINK_SECONDS, ROTATE_SECONDS};
    use bailiwick_model::Timestamp;
    use bailiwick_model::id::Person;
    use bailiwick_model::identity::Proof;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn sessions() -> (tempfile::TempDir, BrowserSessions, Person) {
        let dir = tempfile::tempdir().unwrap();
        let sessions = BrowserSessions::open(dir.path().join("sessions.json"));
        (dir, sessions, Person::parse("ada").unwrap())
    }

    #[test]
    fn a_link_is_good_once_and_for_a_while() {
        let (_dir, sessions, ada) = sessions();
        let code = sessions.link(&ada, Proof::Owner, at(0)).unwrap();
        assert!(sessions.is_good(&code, at(1)));
        assert!(sessions.redeem(&code, at(1)).unwrap().is_some());
        assert!(sessions.redeem(&code, at(2)).unwrap().is_none());
        let late = sessions.link(&ada, Proof::Owner, at(0)).unwrap();
        assert!(sessions.redeem(&late, at(LINK_SECONDS)).unwrap().is_none());
    }

    #[test]
    fn a_session_outlives_the_process_and_its_file_signs_nobody_in() {
        let (dir, sessions, ada) = sessions();
        let code = sessions.link(&ada, Proof::Owner, at(0)).unwrap();
        let token = sessions.redeem(&code, at(0)).unwrap().unwrap();
        let path = dir.path().join("sessions.json");
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&token));
        let again = BrowserSessions::open(path);
        assert_eq!(again.find(&token, at(5)).unwrap().person, ada);
    }

    #[test]
    fn a_token_is_replaced_and_the_old_one_ends_soon_after() {
        let (_dir, sessions, ada) = sessions();
        let code = sessions.link(&ada, Proof::Owner, at(0)).unwrap();
        let token = sessions.redeem(&code, at(0)).unwrap().unwrap();
        let known = sessions.find(&token, at(ROTATE_SECONDS)).unwrap();
        let fresh = known.fresh.unwrap();
        assert_eq!(sessions.find(&fresh, at(ROTATE_SECONDS + 1)).unwrap().csrf, known.csrf);
        assert!(sessions.find(&token, at(ROTATE_SECONDS + 1)).is_some());
        assert!(sessions.find(&token, at(ROTATE_SECONDS + GRACE_SECONDS + 1)).is_none());
    }

    #[test]
    fn signing_out_everywhere_ends_every_session_of_the_person_and_no_other() {
        let (_dir, sessions, ada) = sessions();
        let bob = Person::parse("bob").unwrap();
        let sign_in = |person| {
            let code = sessions.link(person, Proof::Owner, at(0)).unwrap();
            sessions.redeem(&code, at(0)).unwrap().unwrap()
        };
        let (one, two, other) = (sign_in(&ada), sign_in(&ada), sign_in(&bob));
        sessions.end(&one, true, at(1)).unwrap();
        assert!(sessions.find(&one, at(2)).is_none());
        assert!(sessions.find(&two, at(2)).is_none());
        assert!(sessions.find(&other, at(2)).is_some());
    }
}
