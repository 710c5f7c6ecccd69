//! The pages: as plain HTTP without scripts, and in a real browser.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod web {
    mod browser;
    mod hostile;
    mod pages;
    mod remarks;
    mod roles;
    mod steering;
    mod visit;
}
