#![forbid(unsafe_code)]
//! Git and forges: where branches, pull requests, reviews and merges live.
//!
//! Every change goes through a [`Permit`](bailiwick_warden::Permit), taken by value, with every
//! operand read from it. Every effect may be repeated: a pull request is known by its branches, a
//! push by where it leads, a merge by the commit that was merged; a second call gives the recorded
//! result.
//!
//! [`EmbeddedForge`] keeps bare repositories and pull requests in a directory. [`GitHttp`] speaks
//! git's smart HTTP protocol for it, without knowing any HTTP library; its documentation shows how
//! a web server maps requests to it.
//!
//! Deliberately absent: sandboxes, agents, and the decision whether something may be done.

mod change;
mod child;
mod durable;
mod embedded;
mod error;
mod forge;
mod import;
mod merge;
mod pkt_line;
mod pulls;
mod receive_pack;
mod smart_http;
mod types;
mod work;

pub use bailiwick_git::{
    AttributedFile, AttributedHunk, AttributedLine, Attribution, LineKind, Origin,
};
pub use child::UploadPackStream;
pub use embedded::{EmbeddedForge, Platform};
pub use error::ForgeError;
pub use forge::Forge;
pub use pkt_line::PktLineError;
pub use receive_pack::{ReceivePackRequest, RefUpdate, Refusal};
pub use smart_http::{BodyEncoding, GitHttp, IncomingPush, PushAnswer, PushLimits, Wanted};
pub use types::{Check, Merged, PullRequest, PullRequestState, Pushed, Repository, Review};
pub use work::{Committed, Found, NewChangeCommit, RebaseRequest, Rebased, SIGNING_KEY, WorkTree};
