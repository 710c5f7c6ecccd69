//! The program. Everything is in the library; here only the guest is dispatched, before any
//! thread exists.

use std::process::ExitCode;

fn main() -> ExitCode {
    bailiwick_guest::dispatch().unwrap_or_else(bailiwick::main)
}
