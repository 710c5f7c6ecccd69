//! Behaviour of `bailiwick-git` on real repositories.

#[cfg(test)]
mod attributions;
#[cfg(test)]
mod commits;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod replays;
#[cfg(test)]
mod support;
#[cfg(test)]
mod workspaces;
