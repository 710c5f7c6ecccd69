//! Session tokens: what one agent run may do at most, whatever policy says of its role.
//!
//! A token is a [biscuit](https://doc.biscuitsec.org): a signed list of checks to which anybody who
//! holds it can add, and from which nobody can take away. The platform holds them, never an agent:
//! a task gets one, each subtask that one narrowed, each run that one narrowed again. So a run never
//! has more than what started it, however it came to be.
//!
//! Around the biscuit lie five bytes that say what it is and four that say how long it is, so that
//! what broke off can be told from what never was a token.

mod authority;
mod bounds;
mod opened;

use std::fmt;

use bailiwick_model::Timestamp;
use biscuit_auth::UnverifiedBiscuit;

pub(crate) use authority::needs_token;
pub use authority::{MAX_TOKEN_SECONDS, TokenAuthority};
pub use bounds::{Bounds, kinds_of};
pub use opened::Use;

/// The largest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// What a token begins with.
const MAGIC: &[u8; 5] = b"bwst1";

/// Why a token does not allow an action. Each is a refusal with a code of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The run has none.
    #[error("the session has no token, so nothing says what it may do at most")]
    Missing,
    /// It can't be read.
    #[error("the session's token can't be read: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// It ends in the middle.
    #[error("the session's token ends in the middle")]
    Truncated,
    /// It is larger than any token is.
    #[error("the session's token has {bytes} bytes, more than {MAX_TOKEN_BYTES}")]
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// It says that another key signed it.
    #[error("the session's token is not of this platform, or of an earlier run of it")]
    WrongKey,
    /// A signature of its chain is wrong.
    #[error("the session's token was altered: a signature is wrong")]
    BadSignature,
    /// Its time is over.
    #[error("the session's token is over")]
    Expired,
    /// What it was made for has ended.
    #[error("the session's token was revoked: what it was made for has ended")]
    Revoked,
    /// The clock says a time that was over already.
    #[error("the clock went back: it is {now}, and it was {seen} before")]
    ClockWentBack {
        /// What it says.
        now: Timestamp,
        /// What it said.
        seen: Timestamp,
    },
    /// A block does not narrow what came before it, but says something of its own.
    #[error("block {block} of the session's token tries to widen it: {what}")]
    Widened {
        /// Which block, counted from 0.
        block: usize,
        /// What it says.
        what: &'static str,
    },
    /// It does not allow this.
    #[error("the session's token does not allow it: {check}")]
    NotAllowed {
        /// The check that failed.
        check: String,
    },
    /// It can't be evaluated.
    #[error("the session's token can't be evaluated: {problem}")]
    Unevaluated {
        /// What went wrong.
        problem: String,
    },
}

/// Every code that a refusal by a token can have, with what it means. Codes never change their
/// meaning.
pub const TOKEN_CODES: [(&str, &str); 12] = [
    ("token.missing", "an agent acts, and no token says what it may do at most"),
    ("token.malformed", "it is not a token"),
    ("token.truncated", "it ends in the middle"),
    ("token.too_large", "it has more bytes than are read"),
    ("token.wrong_key", "another key signed it"),
    ("token.bad_signature", "a signature of its chain is wrong"),
    ("token.expired", "its time is over"),
    ("token.revoked", "the run, subtask or task that it was made for has ended"),
    ("token.clock_went_back", "the clock says a time that was over already"),
    ("token.widened", "a block states something of its own instead of narrowing"),
    ("token.not_allowed", "a check of its chain fails: the parent has no such right"),
    ("token.unevaluated", "it takes more to work out than is given to it"),
];

impl TokenError {
    /// A stable code, one of [`TOKEN_CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token.missing",
            Self::Malformed { .. } => "token.malformed",
            Self::Truncated => "token.truncated",
            Self::TooLarge { .. } => "token.too_large",
            Self::WrongKey => "token.wrong_key",
            Self::BadSignature => "token.bad_signature",
            Self::Expired => "token.expired",
            Self::Revoked => "token.revoked",
            Self::ClockWentBack { .. } => "token.clock_went_back",
            Self::Widened { .. } => "token.widened",
            Self::NotAllowed { .. } => "token.not_allowed",
            Self::Unevaluated { .. } => "token.unevaluated",
        }
    }

    /// Whether somebody should look at it: not a limit that was reached, but a token that nothing
    /// of the platform would make, or a clock that can't be trusted.
    pub fn is_alarming(&self) -> bool {
        match self {
            Self::Missing | Self::Expired | Self::Revoked | Self::NotAllowed { .. } => false,
            Self::Malformed { .. }
            | Self::Truncated
            | Self::TooLarge { .. }
            | Self::WrongKey
            | Self::BadSignature
            | Self::ClockWentBack { .. }
            | Self::Widened { .. }
            | Self::Unevaluated { .. } => true,
        }
    }
}

fn malformed(error: &impl fmt::Display) -> TokenError {
    TokenError::Malformed { problem: error.to_string() }
}

/// A session's token, as the platform holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    bytes: Vec<u8>,
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("bytes", &self.bytes.len()).finish()
    }
}

impl SessionToken {
    /// A token from its bytes, whatever they are: what it is worth shows when it is used.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// A token around a biscuit, whatever that is.
    pub fn around(biscuit: &[u8]) -> Self {
        let length = u32::try_from(biscuit.len()).unwrap_or(u32::MAX);
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(biscuit);
        Self { bytes }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The biscuit in it.
    ///
    /// # Errors
    /// It is no token, broke off, or is too large.
    pub fn biscuit(&self) -> Result<&[u8], TokenError> {
        let bytes = self.bytes.as_slice();
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: bytes.len() });
        }
        let (magic, rest) = bytes.split_at(bytes.len().min(MAGIC.len()));
        if !MAGIC.starts_with(magic) {
            return Err(malformed(&"it does not begin like one"));
        }
        let Some((length, biscuit)) = rest.split_first_chunk::<4>() else {
            return Err(TokenError::Truncated);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if biscuit.len() < length {
            return Err(TokenError::Truncated);
        }
        if biscuit.len() > length {
            return Err(malformed(&"something follows after its end"));
        }
        Ok(biscuit)
    }

    /// The token with further bounds. It never allows more than before: what is wider than the
    /// parent's bounds has no effect. No key is needed for it.
    ///
    /// # Errors
    /// The token can't be read.
    pub fn narrow(&self, bounds: &Bounds) -> Result<Self, TokenError> {
        let parent = UnverifiedBiscuit::from(self.biscuit()?).map_err(|error| malformed(&error))?;
        let mut block = biscuit_auth::BlockBuilder::new();
        for check in bounds.checks() {
            block = block.check(check).map_err(|error| malformed(&error))?;
        }
        let child = parent.append(block).map_err(|error| malformed(&error))?;
        Ok(Self::around(&child.to_vec().map_err(|error| malformed(&error))?))
    }
}
