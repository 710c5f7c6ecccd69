//! Who makes tokens, holds those of the runs at work, and says what they allow.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use bailiwick_model::id::{SessionId, TaskId};
use bailiwick_model::subject::{Role, Subject};
use bailiwick_model::{Timestamp, payload::Digest};
use biscuit_auth::{Biscuit, KeyPair};

use super::opened::{Opened, Use};
use super::{Bounds, SessionToken, TokenError, malformed};

/// The longest that a token may be worth something, in seconds: a week.
pub const MAX_TOKEN_SECONDS: i64 = 7 * 86_400;

/// How far a clock may go back before it is not believed any more, in seconds.
const CLOCKS_DIFFER: i64 = 300;

/// How many runs that ended are remembered by name, to tell who ended from who never was.
const REMEMBERED: usize = 65_536;

/// Makes tokens, holds those of the runs at work, and says what they allow.
///
/// The key is of this process and lies in its memory alone: no token outlives it, and there is
/// nothing to lose, rotate or steal from a disk. A run that is taken up again gets a new token.
pub struct TokenAuthority {
    root: KeyPair,
    key_id: u32,
    held: RwLock<Held>,
    /// The latest time that was ever seen.
    seen: Mutex<Timestamp>,
}

#[derive(Default)]
struct Held {
    sessions: HashMap<SessionId, Arc<HeldToken>>,
    /// Each token of a task, the newest last: its bounds change when its budget is raised.
    tasks: HashMap<TaskId, Vec<OfTask>>,
    ended: HashSet<SessionId>,
    /// What tokens are revoked by, with when they were.
    revoked: HashMap<Vec<u8>, Timestamp>,
}

/// A token of a task.
#[derive(Clone)]
struct OfTask {
    token: SessionToken,
    bounds: Bounds,
    until: Timestamp,
}

/// A token with what came of opening it, which is done once: it lies in our own memory.
struct HeldToken {
    token: SessionToken,
    opened: OnceLock<Result<Opened, TokenError>>,
}

impl fmt::Debug for TokenAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAuthority").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Default for TokenAuthority {
    fn default() -> Self {
        let root = KeyPair::new();
        let digest = Digest::of(&root.public().to_bytes());
        let key_id =
            digest.as_bytes().first_chunk::<4>().map_or(0, |four| u32::from_be_bytes(*four));
        Self { root, key_id, held: RwLock::default(), seen: Mutex::new(Timestamp::UNIX_EPOCH) }
    }
}

impl TokenAuthority {
    /// A token with these bounds and no parent. It has to end, within a week.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn grant(&self, bounds: &Bounds, now: Timestamp) -> Result<SessionToken, TokenError> {
        let last = now.as_second().saturating_add(MAX_TOKEN_SECONDS);
        if bounds.until.is_none_or(|until| until.as_second() > last) {
            return Err(malformed(&format!("it does not end within {MAX_TOKEN_SECONDS} seconds")));
        }
        let mut token = Biscuit::builder().root_key_id(self.key_id);
        for check in bounds.checks() {
            token = token.check(check).map_err(|error| malformed(&error))?;
        }
        let token = token.build(&self.root).map_err(|error| malformed(&error))?;
        Ok(SessionToken::around(&token.to_vec().map_err(|error| malformed(&error))?))
    }

    /// The token of a task, made on first use, and made anew when its bounds are others or less than
    /// `seconds` of it are left.
    /// Whatever is narrowed from it ends with [`end_task`](Self::end_task).
    ///
    /// # Errors
    /// As for [`grant`](Self::grant).
    pub fn of_task(
        &self,
        task: TaskId,
        bounds: &Bounds,
        seconds: i64,
        now: Timestamp,
    ) -> Result<SessionToken, TokenError> {
        let needed = now.as_second().saturating_add(seconds);
        let known = self.reading(|held| held.tasks.get(&task)?.last().cloned());
        if let Some(known) = known
            && known.until.as_second() >= needed
            && known.bounds == *bounds
        {
            return Ok(known.token);
        }
        let until = now.as_second().saturating_add(MAX_TOKEN_SECONDS);
        let until = Timestamp::from_second(until).unwrap_or(Timestamp::MAX);
        let whole = Bounds { task: Some(task), until: Some(until), ..bounds.clone() };
        let token = self.grant(&whole, now)?;
        let fresh = OfTask { token: token.clone(), bounds: bounds.clone(), until };
        self.writing(|held| held.tasks.entry(task).or_default().push(fresh));
        Ok(token)
    }

    /// Holds a run's token until it is ended. What it is worth shows when it is used.
    pub fn hold(&self, session: SessionId, token: SessionToken) {
        let token = Arc::new(HeldToken { token, opened: OnceLock::new() });
        self.writing(|held| {
            held.ended.remove(&session);
            held.sessions.insert(session, token);
        });
    }

    /// Ends a run: its token, and whatever was narrowed from it, is worth nothing any more.
    pub fn end(&self, session: SessionId, now: Timestamp) {
        let token = self.writing(|held| {
            if held.ended.len() >= REMEMBERED {
                held.ended.clear();
            }
            held.ended.insert(session);
            held.sessions.remove(&session)
        });
        if let Some(held) = token {
            self.revoke(&held.token, now);
        }
    }

    /// Ends a task: the token of each of its runs is worth nothing any more.
    pub fn end_task(&self, task: TaskId, now: Timestamp) {
        let tokens = self.writing(|held| held.tasks.remove(&task));
        for known in tokens.unwrap_or_default() {
            self.revoke(&known.token, now);
        }
    }

    /// Makes a token worthless, with whatever was or will be narrowed from it.
    pub fn revoke(&self, token: &SessionToken, now: Timestamp) {
        // What can't be opened allows nothing anyway.
        let Ok(opened) = self.open(token) else { return };
        let Some(last) = opened.ids.last().cloned() else { return };
        let kept = now.as_second().saturating_sub(MAX_TOKEN_SECONDS);
        self.writing(|held| {
            // Those of before have expired by themselves.
            held.revoked.retain(|_, at| at.as_second() >= kept);
            held.revoked.insert(last, now);
        });
    }

    /// Whether the token that is held for who acts allows what is to be done.
    pub(crate) fn allows(&self, using: &Use<'_>) -> Result<(), TokenError> {
        let session = using.subject.session.ok_or(TokenError::Missing)?;
        let (held, ended) = self
            .reading(|held| (held.sessions.get(&session).cloned(), held.ended.contains(&session)));
        let missing = if ended { TokenError::Revoked } else { TokenError::Missing };
        let held = held.ok_or(missing)?;
        let opened = held.opened.get_or_init(|| self.open(&held.token));
        self.judge(opened.as_ref().map_err(Clone::clone)?, using)
    }

    /// Whether a token allows what is to be done.
    ///
    /// # Errors
    /// See [`TokenError`]: whatever is not plainly allowed is not.
    pub fn verify(&self, token: &SessionToken, using: &Use<'_>) -> Result<(), TokenError> {
        self.judge(&self.open(token)?, using)
    }

    fn open(&self, token: &SessionToken) -> Result<Opened, TokenError> {
        Opened::new(token, self.root.public(), self.key_id)
    }

    fn judge(&self, opened: &Opened, using: &Use<'_>) -> Result<(), TokenError> {
        let now = self.clock(using.now)?;
        if self.reading(|held| opened.ids.iter().any(|id| held.revoked.contains_key(id))) {
            return Err(TokenError::Revoked);
        }
        opened.allows(&Use { now, ..*using })
    }

    /// The time that tokens are held against: never earlier than it was.
    fn clock(&self, now: Timestamp) -> Result<Timestamp, TokenError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_second() < seen.as_second().saturating_sub(CLOCKS_DIFFER) {
            return Err(TokenError::ClockWentBack { now, seen: *seen });
        }
        *seen = now.max(*seen);
        Ok(*seen)
    }

    fn reading<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn writing<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an action is an agent's, which nobody does without a token.
pub(crate) fn needs_token(subject: &Subject) -> bool {
    let agent = match subject.role {
        Role::Coordinator | Role::Implementor | Role::Verifier | Role::Reviewer => true,
        Role::Setup | Role::Gate | Role::Publisher | Role::Human => false,
    };
    agent || subject.session.is_some()
}
