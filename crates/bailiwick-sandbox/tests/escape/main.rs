//! The escape suite: attacks on sandboxes, one in each table of `cases/*.toml`.
//!
//! Each case is run three ways: with every guard on, where it must fail *for the reason it names*;
//! with the guards off that it is about, where it must succeed (the control run: an attack that
//! can't work proves nothing); and once for each of these guards with that one on alone, where it
//! must fail again. Then every guard is switched off in turn under every case: some case must turn
//! red. As root everything is run again as an ordinary user.
//!
//! `--tier NAME` runs the cases on another tier, `--tier all` on every one that this machine has; the
//! control runs are those of the process tier. Where a tier answers otherwise because of what it
//! is, its answer stands in the case with the reason (`nature`).

#[cfg(test)]
mod case;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod play;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod survivors;
#[cfg(test)]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    // This program is the launcher of its own cages.
    if let Some(code) = bailiwick_guest::dispatch() {
        return code;
    }
    #[cfg(test)]
    {
        suite::run()
    }
    #[cfg(not(test))]
    ExitCode::FAILURE
}
