//! Finds out how a project's tests are run, from its file names and a few contents.

use bailiwick_git::{EntryKind, Git, GitError};
use bailiwick_model::id::Oid;
use bailiwick_model::path::WorkPath;
use std::collections::{BTreeMap, BTreeSet};

use super::DETECTED_TIMEOUT_MS;

/// Most projects in one repository that are tested without being configured.
const MAX_PROJECTS: usize = 5;
/// Largest file whose content is looked at, in bytes.
const MAX_MARKER_BYTES: u64 = 1 << 20;
/// Most Python test files whose content is looked at.
const MAX_PYTHON_FILES: usize = 20;

/// The files of a commit, as far as detection looks at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFiles {
    /// All paths.
    pub paths: BTreeSet<String>,
    /// Contents of those that say how tests are run.
    pub contents: BTreeMap<String, String>,
}

impl ProjectFiles {
    /// Reads them at a commit. Blocks.
    pub fn read(git: &Git, commit: &Oid) -> Result<Self, GitError> {
        let mut files = Self::default();
        let mut python_files = 0;
        for entry in git.list_all(commit)? {
            let Some(path) = entry.path.as_text() else { continue };
            if matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
                files.paths.insert(path.to_owned());
                let is_test = is_python_test(path);
                python_files += usize::from(is_test);
                let wanted = is_marker(path) || (is_test && python_files <= MAX_PYTHON_FILES);
                if wanted && entry.bytes.is_some_and(|bytes| bytes <= MAX_MARKER_BYTES) {
                    let bytes = git.read_blob(&entry.oid)?;
                    files
                        .contents
                        .insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
        Ok(files)
    }

    fn has(&self, directory: &str, name: &str) -> bool {
        self.paths.contains(&join(directory, name))
    }

    fn content(&self, directory: &str, name: &str) -> &str {
        self.contents.get(&join(directory, name)).map_or("", String::as_str)
    }

    /// Paths below a directory, relative to it.
    fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths.iter().filter_map(move |path| match directory {
            "" => Some(path.as_str()),
            _ => path.strip_prefix(directory)?.strip_prefix('/'),
        })
    }
}

/// How to run tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCommand {
    /// The command line, run by `/bin/sh -c`.
    pub command: String,
    /// Where.
    pub directory: WorkPath,
    /// Longest time, in milliseconds.
    pub timeout_ms: u64,
    /// What it follows from.
    pub because: String,
}

/// What detection came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detection {
    /// These commands, each for one project and language.
    Found(Vec<TestCommand>),
    /// No sign of tests.
    Nothing,
    /// More projects than are tested unasked.
    TooMany {
        /// How many directories look like a project.
        directories: usize,
    },
}

/// Detects the test commands: at the root, or if there is nothing in it, in the directories up to
/// two levels below.
pub fn detect(files: &ProjectFiles) -> Detection {
    let at_root = detect_in(files, "");
    if !at_root.is_empty() {
        return Detection::Found(at_root);
    }
    let mut found: Vec<Vec<TestCommand>> = Vec::new();
    let mut covered: Vec<&str> = Vec::new();
    let directories: BTreeSet<&str> = files
        .paths
        .iter()
        .filter(|path| is_marker(path))
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(directory, _)| directory)
        .collect();
    for directory in directories {
        let inside =
            |outer: &&str| directory.strip_prefix(*outer).is_some_and(|rest| rest.starts_with('/'));
        if directory.matches('/').count() >= 2
            || is_foreign(directory)
            || covered.iter().any(inside)
        {
            continue;
        }
        let commands = detect_in(files, directory);
        if !commands.is_empty() {
            covered.push(directory);
            found.push(commands);
        }
    }
    match found.len() {
        0 => Detection::Nothing,
        directories if directories > MAX_PROJECTS => Detection::TooMany { directories },
        _ => Detection::Found(found.into_iter().flatten().collect()),
    }
}

/// From the files below a directory to a command line and what it follows from.
type Detector = fn(&ProjectFiles, &str) -> Option<(String, String)>;

fn detect_in(files: &ProjectFiles, directory: &str) -> Vec<TestCommand> {
    let detectors: [Detector; 5] = [cargo, go, jvm, python, javascript];
    let mut found: Vec<(String, String)> =
        detectors.iter().filter_map(|detector| detector(files, directory)).collect();
    if found.is_empty() {
        found.extend(make(files, directory));
    }
    let directory =
        if directory.is_empty() { Some(WorkPath::root()) } else { WorkPath::parse(directory).ok() };
    let Some(directory) = directory else { return Vec::new() };
    found
        .into_iter()
        .map(|(command, because)| TestCommand {
            command,
            directory: directory.clone(),
            timeout_ms: DETECTED_TIMEOUT_MS,
            because,
        })
        .collect()
}

fn cargo(files: &ProjectFiles, directory: &str) -> Option<(String, String)> {
    // all failures of all targets are wanted, not just the first
    files
        .has(directory, "Cargo.toml")
        .then(|| ("cargo test --workspace --no-fail-fast".to_owned(), "`Cargo.toml`".to_owned()))
}

fn go(files: &ProjectFiles, directory: &str) -> Option<(String, String)> {
    // only with -v does it say how many passed
    files.has(directory, "go.mod").then(|| ("go test -v ./...".to_owned(), "`go.mod`".to_owned()))
}

fn jvm(files: &ProjectFiles, directory: &str) -> Option<(String, String)> {
    if files.has(directory, "pom.xml") {
        let maven = if files.has(directory, "mvnw") { "./mvnw" } else { "mvn" };
        return Some((format!("{maven} --batch-mode --offline test"), "`pom.xml`".to_owned()));
    }
    let build =
        ["build.gradle", "build.gradle.kts"].into_iter().find(|name| files.has(directory, name))?;
    let gradle = if files.has(directory, "gradlew") { "./gradlew" } else { "gradle" };
    Some((format!("{gradle} --offline --console=plain test"), format!("`{build}`")))
}

fn python(files: &ProjectFiles, directory: &str) -> Option<(String, String)> {
    let settings = [
        ("pytest.ini", "[pytest]"),
        ("pyproject.toml", "pytest"),
        ("setup.cfg", "[tool:pytest]"),
        ("tox.ini", "pytest"),
        ("requirements.txt", "pytest"),
        ("requirements-dev.txt", "pytest"),
        ("dev-requirements.txt", "pytest"),
        ("setup.py", "pytest"),
    ];
    let named =
        settings.into_iter().find(|(name, sign)| files.content(directory, name).contains(sign));
    let pytest = |because: String| Some(("python3 -m pytest".to_owned(), because));
    if let Some((name, _)) = named {
        return pytest(format!("pytest in `{name}`"));
    }
    if let Some(path) =
        files.below(directory).find(|path| path.ends_with("conftest.py") && !is_foreign(path))
    {
        return pytest(format!("`{path}`"));
    }
    let tests: Vec<&str> = files.below(directory).filter(|path| is_python_test(path)).collect();
    let first = *tests.first()?;
    let unittest = tests.iter().any(|path| {
        let text = files.content(directory, path);
        text.contains("import unittest") || text.contains("from unittest")
    });
    let imports_pytest =
        tests.iter().any(|path| files.content(directory, path).contains("import pytest"));
    if unittest && !imports_pytest {
        let start = first
            .rsplit_once('/')
            .map_or(".", |(folder, _)| folder.split('/').next().unwrap_or("."));
        let is_package = start == "." || files.has(directory, &format!("{start}/__init__.py"));
        // a folder that is no package is not looked into from above
        let command = if is_package {
            "python3 -m unittest discover -v".to_owned()
        } else {
            format!("python3 -m unittest discover -v -s {start} -t .")
        };
        let safe = start.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        return safe.then(|| (command, format!("unittest in `{first}`")));
    }
    pytest(format!("`{first}`"))
}

fn javascript(files: &ProjectFiles, directory: &str) -> Option<(String, String)> {
    let package: serde_json::Value =
        serde_json::from_str(files.content(directory, "package.json")).ok()?;
    let script = package.get("scripts")?.get("test")?.as_str()?;
    // what `npm init` writes
    if script.contains("no test specified") || script.trim().is_empty() {
        return None;
    }
    let manager = [
        ("pnpm-lock.yaml", "pnpm"),
        ("yarn.lock", "yarn"),
        ("bun.lockb", "bun"),
        ("bun.lock", "bun"),
    ]
    .into_iter()
    .find_map(|(lock, manager)| files.has(directory, lock).then_some(manager))
    .unwrap_or("npm");
    let command =
        if manager == "bun" { "bun run test".to_owned() } else { format!("{manager} test") };
    Some((command, "the `test` script in `package.json`".to_owned()))
}

fn make(files: &ProjectFiles, directory: &str) -> Option<(String, String)> {
    for name in ["GNUmakefile", "makefile", "Makefile"] {
        let target = ["test", "check"].into_iter().find(|target| {
            files.content(directory, name).lines().any(|line| {
                line.strip_prefix(target)
                    .map(str::trim_start)
                    .and_then(|rest| rest.strip_prefix(':'))
                    // `test := x` sets a variable
                    .is_some_and(|rest| !rest.starts_with('=') && !rest.starts_with(":="))
            })
        });
        if let Some(target) = target {
            return Some((format!("make {target}"), format!("target `{target}` in `{name}`")));
        }
    }
    None
}

/// Whether a file says how tests are run, by its name.
fn is_marker(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "Cargo.toml"
            | "go.mod"
            | "pom.xml"
            | "build.gradle"
            | "build.gradle.kts"
            | "pytest.ini"
            | "pyproject.toml"
            | "setup.cfg"
            | "setup.py"
            | "tox.ini"
            | "requirements.txt"
            | "requirements-dev.txt"
            | "dev-requirements.txt"
            | "conftest.py"
            | "package.json"
            | "Makefile"
            | "makefile"
            | "GNUmakefile"
    )
}

fn is_python_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".py")
        .is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
        && !is_foreign(path)
}

/// Whether a path lies in somebody else's code, or in what a build made.
fn is_foreign(path: &str) -> bool {
    path.split('/').any(|part| {
        matches!(
            part,
            "node_modules"
                | "vendor"
                | "third_party"
                | "target"
                | "dist"
                | "build"
                | "venv"
                | ".venv"
                | "fixtures"
                | "testdata"
                | "examples"
        ) || (part.starts_with('.') && part.len() > 1)
    })
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}
