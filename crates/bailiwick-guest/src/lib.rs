//! What runs inside the cage of the process sandbox.
//!
//! [`dispatch`] turns the program into the *launcher* when it was started as such: a
//! single-threaded process that reads one [`CageSpec`] from its standard input, builds the cage
//! from namespaces, mounts, Landlock, seccomp and limits, does one [`Operation`] in it and writes
//! one [`Reply`] to its standard output. A server with threads cannot do this to itself, so it
//! starts itself again.
//!
//! Three processes take part:
//!
//! * the **launcher**, outside the cage: supervises, captures output, ends it all;
//! * the **init** of the cage, process 1 of its pid namespace: locks itself down, then does the
//!   file operation itself or starts the payload, and reaps what the payload leaves behind;
//! * the **payload**, the agent's command, locked down exactly like its init.
//!
//! If anything that the containment rests on cannot be applied, nothing is run. What is a second
//! layer only, and cannot be applied on this machine, is named in the reply.
//!
//! Deliberately absent: tokio, TLS, anything else of Bailiwick, and any decision about what may
//! be run. Whoever starts the launcher has decided that.

mod cage;
mod capture;
pub mod cgroup;
mod disk;
mod files;
mod launcher;
mod reply;
mod spec;
mod supervise;
mod wire;

pub use cage::seccomp_filters;
pub use disk::DiskWatch;
pub use launcher::{MARKER, dispatch};
pub use reply::{
    Answer, Applied, CageError, Captured, Ended, Entry, FileError, Limit, Match, NotApplied, Reply,
};
pub use spec::{
    Access, Cage, CageSpec, Guard, HOME, Limits, Mount, Network, Operation, SCRATCH, WORKSPACE,
    WriteMode,
};
pub use supervise::FORK_BOMB;
pub use wire::{WireError, read_message, write_message};
