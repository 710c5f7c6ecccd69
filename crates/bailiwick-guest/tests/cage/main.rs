//! Attacks on real cages. Each is also run with the guard off that stops it, and must succeed
//! then: an attack that cannot work proves nothing.
//!
//! As root every case runs twice: with root's cages, and with the cages of an ordinary user.

#[cfg(test)]
mod attack;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod life;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod refusals;
