//! The ledger's files, read as anybody could read them.

use std::path::Path;

use serde_json::Value;

/// The entries of a ledger.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// Each entry: `seq`, `at`, `event`.
    pub(crate) entries: Vec<Value>,
}

impl Ledger {
    /// Reads `events/*.jsonl`: a salt, a space, and the entry, line by line.
    pub(crate) fn read(dir: &Path) -> Self {
        let mut files: Vec<_> = walk(&dir.join("events"));
        files.sort();
        let text: String =
            files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let entries: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap())
            .collect();
        for (at, entry) in entries.iter().enumerate() {
            assert_eq!(entry["seq"], at, "the entries are not in order");
        }
        Self { entries }
    }

    /// The facts of a name, such as `merged`, in order.
    pub(crate) fn facts(&self, name: &str) -> Vec<&Value> {
        self.events().filter(|event| event["event"] == "fact" && event["fact"] == name).collect()
    }

    /// The decisions on a kind of action, such as `pull_request_merge`, in order.
    pub(crate) fn decisions(&self, kind: &str) -> Vec<&Value> {
        self.events()
            .filter(|event| event["event"] == "decided" && event["action"]["kind"] == kind)
            .collect()
    }

    /// The decisions on a kind of action that let it happen.
    pub(crate) fn permitted(&self, kind: &str) -> Vec<&Value> {
        self.decisions(kind)
            .into_iter()
            .filter(|event| event["decision"]["verdict"] == "permit")
            .collect()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Value> {
        self.entries.iter().map(|entry| &entry["event"])
    }

    /// Fails unless every permitted action has exactly one outcome, after its decision, and no
    /// outcome is of an action that was not permitted.
    #[track_caller]
    pub(crate) fn assert_every_action_is_closed(&self) {
        let mut open = std::collections::BTreeSet::new();
        for event in self.events() {
            let id = event["id"].as_str().unwrap_or_default();
            match event["event"].as_str() {
                Some("decided") if event["decision"]["verdict"] == "permit" => {
                    assert!(open.insert(id), "decided twice: {event}");
                }
                Some("finished") => {
                    let of: Vec<&Value> =
                        self.events().filter(|other| other["id"] == event["id"]).collect();
                    assert!(open.remove(id), "finished, but not permitted: {of:#?}");
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "permitted, but without an outcome: {open:?}");
    }
}

/// Every file below a directory.
pub(crate) fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
