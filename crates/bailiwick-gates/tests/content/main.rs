//! The gates that read content, over cases that are data, and what becomes of those when a rule or
//! a gate is switched off.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
#[path = "../../../bailiwick-scan/tests/fixture/mod.rs"]
mod fixture;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod sast;
#[cfg(test)]
mod secrets;
