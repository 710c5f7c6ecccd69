//! The process tier as the rest of Bailiwick uses it: through permits, with real cages.

#[cfg(test)]
mod beside;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod door;
#[cfg(test)]
mod files;
#[cfg(test)]
mod office;
#[cfg(test)]
mod rising;
#[cfg(test)]
mod toolchain;
