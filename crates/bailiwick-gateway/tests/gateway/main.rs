//! The gateway against a fixture server on loopback that speaks both protocols, and against
//! scripts.

#[cfg(test)]
mod ask;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod porch;
#[cfg(test)]
mod server;

#[cfg(test)]
mod decoder;
#[cfg(test)]
mod door;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
mod translate;
