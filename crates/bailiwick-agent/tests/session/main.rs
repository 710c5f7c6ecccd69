//! The loop with a scripted model and a workspace in memory, through the real warden.

#[cfg(test)]
mod journal;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod model;
#[cfg(test)]
mod script;
#[cfg(test)]
mod workspace;

#[cfg(test)]
mod failures;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod scripts;
