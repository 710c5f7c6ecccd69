#![forbid(unsafe_code)]
//! Git without the network: trees, diffs, history, workspaces, signed commits, attribution.
//!
//! There is one approach to git in Bailiwick: the installed `git` program, started by one hardened
//! runner ([`Git`]). Each call names the git directory itself, starts from an empty environment,
//! reads no system or user configuration, runs no hook, filter, file-system monitor, merge driver
//! or external diff, ignores `.gitattributes` (so no agent can hide a change from a reviewer by
//! calling a file binary), speaks no protocol, and has a bound on its time and its output. What
//! agents choose (names of branches, files and objects) arrives in parsed types or after `--`, so
//! it never becomes an option.
//!
//! Calls block; asynchronous callers use a blocking task.
//!
//! Deliberately absent: the network, remotes, and any write to the configuration of a repository
//! that an agent can see. Workspaces have no `.git` at all.

mod attribution;
mod blame;
mod commit;
mod diff;
mod diff_parse;
mod error;
mod fetch;
mod known;
mod name;
mod nested;
mod overlay;
mod read;
mod ref_writer;
mod replay;
mod repository;
mod revert;
mod run;
mod sshsig;
mod survey;
mod track;
mod workspace;

pub use attribution::{
    AttributedFile, AttributedHunk, AttributedLine, Attribution, Origin, TrackPoint, attribute,
};
pub use commit::{NewCommit, Signature, Trailer};
pub use diff::{Diff, DiffOptions, FileChange, FileContent, FileDiff, Hunk, Line, LineKind};
pub use diff_parse::parse_diff;
pub use error::{Exit, GitError};
pub use name::{NameError, RefName, RepoPath, TreeId};
pub use overlay::Overlay;
pub use read::{Commit, EntryKind, TreeEntry};
pub use ref_writer::RefWriter;
pub use replay::{MergeInput, ReplayError};
pub use repository::Discovered;
pub use run::{Advertise, Git, Limits, Service};
pub use sshsig::{
    CommitSigner, Ed25519Signer, SignatureError, SignatureState, allowed_signers_line,
};
pub use survey::{Survey, Unsupported};
pub use workspace::{IgnoredFiles, SnapshotLimits, Workspace};
