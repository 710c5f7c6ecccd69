#![forbid(unsafe_code)]
//! The one decision point. Every effect an agent, a gate, the publisher or a person can have goes
//! through [`Warden::perform`]: decide, record, effect, record.
//!
//! A [`Permit`] is a value that only this crate can make, only after the decision stands in the
//! ledger, and only once for each decision. Crates that cause effects take it by value and take
//! every operand from it, so that what was decided is what is done.
//!
//! Deliberately absent: any effect, and any implementation of the ports.

mod decide;
mod narrowing;
mod permit;
mod port;
mod rights;
mod token;
mod warden;

pub use narrowing::NarrowingRefused;
pub use permit::Permit;
pub use port::{
    BudgetBook, BudgetExceeded, Claim, ForgeRights, InstallScreen, Journal, JournalError,
    Reservation, RightsError, SafeguardError, Safeguards, Standing, Stopped,
};
pub use rights::RIGHTS_CODES;
pub use token::{
    Bounds, MAX_TOKEN_BYTES, MAX_TOKEN_SECONDS, SessionToken, TOKEN_CODES, TokenAuthority,
    TokenError, Use, kinds_of,
};
pub use warden::{ActError, Warden, chain};
