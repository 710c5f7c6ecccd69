#![forbid(unsafe_code)]
//! The program: command line, configuration, HTTP API, and the wiring of all other crates.
//!
//! The only crate that knows the platform's own HTTP bodies and reads the environment.

mod api;
mod approvals;
mod arguments;
mod client;
mod command;
mod config;
mod data_dir;
mod demo;
mod gate_sources;
mod identity;
mod install_screen;
mod notify;
mod online_index;
mod operations;
#[cfg(doctest)]
mod permits;
mod platform;
mod policies;
mod progress;
mod readable;
mod render;
mod solver;
mod terminal;
mod web;

use std::process::ExitCode;

/// Runs the command line to its end and gives the exit code: 0 done, 1 not done, 2 bad usage,
/// 3 a person is needed.
pub fn main() -> ExitCode {
    command::run()
}
