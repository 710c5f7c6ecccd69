//! Checkouts of what no commit has: one side of a change with files of the other, or with files of
//! a gate's own.

use crate::change::Change;
use crate::checkout::{Checkout, CommandRefusal};
use crate::content_gate::FilePair;
use async_trait::async_trait;
use bailiwick_git::Overlay;
use bailiwick_model::id::Oid;

/// A file that stands in a checkout in place of what the commit has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlaid {
    /// Where.
    pub path: String,
    /// What.
    pub content: Overlay,
}

impl Overlaid {
    /// A file of a gate's own.
    pub fn file(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        let content = Overlay::File { content: content.into(), executable: false };
        Self { path: path.into(), content }
    }
}

/// How much a composed checkout keeps of what its commands print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// As much as of any command.
    Usual,
    /// Enough for a report of [`Keeps::REPORT_BYTES`].
    Reports,
}

impl Keeps {
    /// The largest report that is read, in bytes.
    pub const REPORT_BYTES: u64 = 8 << 20;
}

/// Makes composed checkouts. Outside of tests each is one of the platform's own, in a sandbox.
#[async_trait]
pub trait Workbench: Send + Sync {
    /// A checkout of `commit` with other files at some paths. `purpose` names it: a new one takes
    /// the place of an earlier one of that name.
    async fn compose(
        &self,
        purpose: &'static str,
        commit: &Oid,
        files: Vec<Overlaid>,
        keeps: Keeps,
    ) -> Result<Checkout, CommandRefusal>;
}

/// The side of a pair that a composed checkout is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// The touched files that `wanted` asks for, as one side has them. What could not be read is left as
/// it is: [`Change::unread`] says so.
pub(crate) fn side_of(change: &Change, side: Side, wanted: impl Fn(&str) -> bool) -> Vec<Overlaid> {
    let mut files = Vec::new();
    for pair in &change.pairs {
        let (path, other, content, mode) = match side {
            Side::Before => (pair.path_before(), pair.path.as_str(), &pair.before, pair.old_mode),
            Side::After => (pair.path.as_str(), pair.path_before(), &pair.after, pair.new_mode),
        };
        if !(wanted(path) || wanted(other)) {
            continue;
        }
        if path != other || gone(pair, side) {
            files.push(Overlaid { path: other.to_owned(), content: Overlay::Gone });
        }
        // links and submodules are no files that are taken over
        if let Some(content) = content
            && mode & 0o170_000 == 0o100_000
        {
            files.push(Overlaid {
                path: path.to_owned(),
                content: Overlay::File { content: content.to_vec(), executable: mode & 0o111 != 0 },
            });
        }
    }
    files
}

fn gone(pair: &FilePair, side: Side) -> bool {
    match side {
        Side::Before => pair.is_new(),
        Side::After => pair.is_gone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(path: &str, before: Option<&str>, after: Option<&str>) -> FilePair {
        FilePair {
            path: path.to_owned(),
            old_mode: before.map_or(0, |_| 0o100_644),
            new_mode: after.map_or(0, |_| 0o100_755),
            before: before.map(|text| text.as_bytes().into()),
            after: after.map(|text| text.as_bytes().into()),
            ..FilePair::default()
        }
    }

    #[test]
    fn a_side_has_what_it_has_and_lacks_what_it_lacks() {
        let mut renamed = pair("new.cfg", Some("old"), Some("new"));
        renamed.old_path = Some("old.cfg".to_owned());
        let change = Change {
            pairs: vec![
                pair("a.cfg", Some("1"), Some("2")),
                pair("b.cfg", None, Some("2")),
                pair("c.cfg", Some("1"), None),
                pair("d.rs", Some("1"), Some("2")),
                renamed,
            ],
            ..Change::default()
        };
        let file = |path: &str, content: &str, executable| Overlaid {
            path: path.to_owned(),
            content: Overlay::File { content: content.into(), executable },
        };
        let absent = |path: &str| Overlaid { path: path.to_owned(), content: Overlay::Gone };
        let wanted = |path: &str| path.ends_with(".cfg");
        assert_eq!(
            side_of(&change, Side::Before, wanted),
            [
                file("a.cfg", "1", false),
                absent("b.cfg"),
                file("c.cfg", "1", false),
                absent("new.cfg"),
                file("old.cfg", "old", false),
            ]
        );
        assert_eq!(
            side_of(&change, Side::After, wanted),
            [
                file("a.cfg", "2", true),
                file("b.cfg", "2", true),
                absent("c.cfg"),
                absent("old.cfg"),
                file("new.cfg", "new", true),
            ]
        );
    }
}
