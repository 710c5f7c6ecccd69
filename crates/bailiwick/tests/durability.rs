//! What a crash, a ledger that can't be written, a full disk or a second process do to a run:
//! nothing is lost, nothing is done twice, and nothing is done without its record.
//!
//! Judged from outside: by git, the forge's files, the model server's log and the ledger.

#![cfg(feature = "test-support")]

#[cfg(test)]
mod durability {
    mod crashes;
    mod data_directory;
    mod fixture;
    mod model_server;
    mod outside;
    mod pool;
    mod record;
    mod refused_appends;
}
