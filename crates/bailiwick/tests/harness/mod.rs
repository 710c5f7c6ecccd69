//! What the tests that drive the real binary share: a bench to run it on, a model server on
//! loopback, generated repositories, and readers of git and ledger that trust nothing the program
//! says of itself.
//!
//! * [`Workbench`]: a directory of one test; `bench.bailiwick(&["run", …])` runs the binary there.
//! * [`ModelServer`]: speaks either protocol, streaming, and answers what a *brain* says: a pure
//!   function of the conversation, so that a run that was cut off gets the same answers again.
//! * [`Scenario`]: a brain that does a plan: works, each with its chain of edits.
//! * [`generate`]: repositories from a [`Seed`]; its number is printed, and
//!   `BAILIWICK_TEST_SEED=N` repeats it.
//! * [`git`], [`Ledger`]: how a run is judged. [`Serve`], [`http`]: the server, as a client sees it.

#![allow(dead_code, unused_imports, reason = "each test file uses the part that it needs")]

pub(crate) mod generate;
pub(crate) mod git;
pub(crate) mod http;
mod ledger;
mod model_server;
mod random;
mod scenario;
mod serve;
mod sink;
mod site;
mod workbench;

pub(crate) use ledger::{Ledger, walk};
pub(crate) use model_server::{Conversation, ModelServer, Protocol, Reply};
pub(crate) use random::Seed;
pub(crate) use scenario::{Edit, Means, Scenario, Work, sed};
pub(crate) use serve::Serve;
pub(crate) use sink::{MailSink, Take, WebhookSink, wait};
pub(crate) use site::Site;
pub(crate) use workbench::{PERSON, Ran, Workbench};
