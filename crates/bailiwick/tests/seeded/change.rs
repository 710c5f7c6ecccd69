//! The changes as data, and the mirrors that the gates go by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Fewest changes of each kind.
pub(crate) const FEWEST: usize = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seeded {
    pub(crate) base: BTreeMap<String, String>,
    bad: Vec<Change>,
    good: Vec<Change>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) name: String,
    /// The gate that should stop it.
    pub(crate) gate: Option<String>,
    /// Files as they are written.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Texts that are exchanged in files of the base.
    #[serde(default)]
    edit: Vec<Edit>,
    /// Files that are gone.
    #[serde(default)]
    pub(crate) gone: Vec<String>,
    /// Whether it is stopped by a gate that runs the change's code, which the command line does not.
    #[serde(default)]
    pub(crate) platform_only: bool,
    /// Whether the cage keeps a command from making it, so that a gate sees it in a run of its own
    /// only.
    #[serde(default)]
    pub(crate) kept: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    replace: String,
    with: String,
}

impl Seeded {
    pub(crate) fn read() -> Self {
        let seeded: Self = toml::from_str(include_str!("changes.toml")).unwrap();
        assert!(seeded.bad.len() >= FEWEST && seeded.good.len() >= FEWEST);
        assert!(seeded.bad.iter().all(|change| change.gate.is_some()));
        assert!(seeded.good.iter().all(|change| change.gate.is_none()));
        seeded
    }

    /// Every change, the bad ones first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Change> {
        self.bad.iter().chain(&self.good)
    }

    /// The files that a change writes, as they are then.
    pub(crate) fn written(&self, change: &Change) -> BTreeMap<String, String> {
        let mut files: BTreeMap<String, String> =
            change.files.iter().map(|(path, text)| (path.clone(), fill(text))).collect();
        for edit in &change.edit {
            let text = files.get(&edit.file).or_else(|| self.base.get(&edit.file)).unwrap();
            assert!(text.contains(&edit.replace), "{}: {}", change.name, edit.file);
            let text = text.replacen(&edit.replace, &edit.with, 1);
            files.insert(edit.file.clone(), text);
        }
        files
    }
}

/// `{{12}}`: twelve characters that look random and are always the same; `{{hex}}`: 64 of them.
fn fill(text: &str) -> String {
    const ALNUM: &[u8] = b"q7RkZ2mXw9LbT4vNcJ8sHd3GfY6pK5aE1uVtBnMxCzQWsDrFgPyUjLkO";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((template, after)) = after.split_once("}}") else { break };
        let made = match (template, template.parse::<usize>()) {
            ("hex", _) => {
                (0..64_usize).map(|i| b"0123456789abcdef"[(i * 7 + i / 3) % 16]).collect()
            }
            (_, Ok(length)) => (0..length).map(|i| ALNUM[(i * 11 + 5) % ALNUM.len()]).collect(),
            // an expression of a pipeline, which is no template
            (_, Err(_)) => format!("{{{{{template}}}}}").into_bytes(),
        };
        out.push_str(before);
        out.push_str(&String::from_utf8(made).unwrap());
        rest = after;
    }
    out + rest
}

/// A mirror of advisories and an index of names, both of today.
pub(crate) struct Mirrors {
    pub(crate) advisories: PathBuf,
    pub(crate) index: PathBuf,
}

impl Mirrors {
    pub(crate) fn make(directory: &Path) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bailiwick-deps/fixtures");
        let made =
            Self { advisories: directory.join("advisories"), index: directory.join("index") };
        std::fs::create_dir_all(&made.advisories).unwrap();
        std::fs::create_dir_all(&made.index).unwrap();
        for entry in std::fs::read_dir(fixtures.join("advisories")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), made.advisories.join(entry.file_name())).unwrap();
        }
        let now = jiff::Timestamp::now().to_string();
        std::fs::write(made.advisories.join("fetched_at"), now).unwrap();
        for ecosystem in ["npm", "pypi", "cargo", "go", "maven"] {
            let built = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
                .args(["index", "build", "--ecosystem", ecosystem, "--from"])
                .arg(fixtures.join(format!("index/{ecosystem}.tsv")))
                .arg("--out")
                .arg(made.index.join(format!("{ecosystem}.index")))
                .output()
                .unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        }
        made
    }
}
