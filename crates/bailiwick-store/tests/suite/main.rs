//! The store from outside: real SQLite, real files, the real ledger verifier.
#![cfg(test)]

mod world;

mod budgets;
mod damage;
mod disk;
mod facts;
mod interleavings;
mod journal;
mod opening;
mod reading;

#[cfg(feature = "test-support")]
mod crash;
#[cfg(feature = "test-support")]
mod faults;
