//! Behaviour of the embedded forge on real repositories and with the stock client.

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod http;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod merges;
#[cfg(test)]
mod pull_requests;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
