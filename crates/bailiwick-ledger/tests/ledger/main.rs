//! The ledger from outside: proofs, formats, the writer, the verifier and its program.

#[cfg(test)]
mod support;

#[cfg(test)]
mod entry_proof;
#[cfg(test)]
mod flip;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod program;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod writer;
