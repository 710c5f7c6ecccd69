//! The loop, from outside: the real binary, a model server on loopback, generated repositories.
//! Judged from git and from the ledger's files, not from what the program says of itself.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod end_to_end {
    mod approvals;
    mod demo;
    mod fail_closed;
    mod freezes;
    mod installs;
    mod intake;
    mod notices;
    mod online_index;
    mod people;
    mod policy;
    mod programs;
    mod questions;
    mod review;
    mod rights;
    mod run;
    mod running_gates;
    mod serve;
    mod solver;
    mod tiers;
}
