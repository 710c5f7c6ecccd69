//! The inside: what the init of a cage does before the payload, in this order.
//!
//! 1. Wait until the launcher has put it into its cgroup; die with the launcher.
//! 2. As an ordinary user: map that user, and only it, into the outer user namespace.
//!    With a door: listen on its port of the new loopback and hand the listening socket out.
//! 3. Build a root of its own and pivot into it; the host's tree is gone.
//! 4. As root: become the payload's user for good.
//! 5. Enter an inner user and mount namespace. The kernel locks every attribute of mounts that a
//!    more privileged namespace made, so that no capability in there can make a read-only mount
//!    writable, whatever the payload gets hold of.
//! 6. Drop every capability, forbid new privileges, apply Landlock, limits and the filter.
//! 7. Do the file operation, or start the payload, which inherits every lock.

mod door;
mod filter;
mod init;
mod landlock;
mod limits;
mod mounts;
mod namespaces;
mod payload;
mod privileges;
mod root;
mod sys;

pub use filter::seccomp_filters;
pub(crate) use init::{Host, InitPipes, init, settle_launcher};
pub(crate) use namespaces::clone_init;
pub(crate) use sys::Forked;
#[cfg(feature = "test-support")]
pub(crate) use sys::exit;
