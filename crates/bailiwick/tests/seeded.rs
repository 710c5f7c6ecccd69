//! Seeded changes, bad and good, in `seeded/changes.toml`: through the gates from the command line,
//! and through the whole platform as the work of an agent. Each bad one is stopped by the gate that
//! should, and no good one is.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod seeded {
    mod change;
    mod command_line;
    mod platform;
}
