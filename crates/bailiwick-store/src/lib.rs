#![forbid(unsafe_code)]
//! The event log on `SQLite`, and everything that is read from it. The only crate with SQL.
//!
//! An event and its ledger leaf are committed in one transaction; everything else (budgets, task
//! lists, the ledger's files) can be made anew from them. [`Store`] is a handle: clone it freely.
//! One thread owns the writing connection and commits everything that waits in one transaction;
//! reading has connections of its own and never waits for a writer.
//!
//! Deliberately absent: keys (the caller opens the ledger directory), HTTP, any effect, and any
//! decision about what may be recorded.
//!
//! Suggested reading order: [`StoreConfig`], [`Store`], [`Query`], [`Subscription`].

mod error;
mod store;

mod integrity;
mod ledger_files;
mod lock;
mod migrate;
mod row;

mod append;
mod budget;
mod people;
mod safeguards;
mod writer;

mod read;
mod subscription;
mod tasks;

pub mod fault;

pub use error::StoreError;
pub use fault::crash_point;
pub use integrity::Problem;
pub use lock::holder_of;
pub use people::{Denied, People};
pub use read::Query;
pub use safeguards::order_freeze;
pub use store::{OpenLedger, Store, StoreConfig};
pub use subscription::Subscription;
pub use tasks::{TaskPage, TaskSummary};
