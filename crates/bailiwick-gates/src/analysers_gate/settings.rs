//! How a tool is named, by the organisation or on the protected branch.

use crate::settings::GateSettings;
use crate::workbench::Overlaid;
use bailiwick_model::evidence::Level;
use bailiwick_model::path::WorkPath;
use globset::{Glob, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Longest time for one run of a tool, in seconds.
const MAX_TIMEOUT_SECONDS: u64 = 6 * 3600;
/// Where the organisation's files of a tool lie in a checkout.
const OWN_FOLDER: &str = ".bailiwick-analysers";

/// Files by which widely used tools are set, wherever they lie.
const KNOWN_SETTINGS: &[&str] = &[
    ".semgrepignore",
    ".semgrep.yml",
    ".semgrep.yaml",
    ".bandit",
    "bandit.yaml",
    ".eslintrc",
    ".eslintrc.js",
    ".eslintrc.cjs",
    ".eslintrc.json",
    ".eslintrc.yml",
    ".eslintrc.yaml",
    ".eslintignore",
    "eslint.config.js",
    "eslint.config.mjs",
    "eslint.config.cjs",
    "eslint.config.ts",
    "clippy.toml",
    ".clippy.toml",
    "codeql-config.yml",
    ".codeqlmanifest.json",
    ".golangci.yml",
    ".golangci.yaml",
    ".gosec.json",
    "ruff.toml",
    ".ruff.toml",
    ".flake8",
    ".pylintrc",
    "pylintrc",
    "mypy.ini",
    "tox.ini",
    "sonar-project.properties",
    "checkstyle.xml",
    "biome.json",
];
/// Folders of the same kind.
const KNOWN_FOLDERS: &[&str] = &[".semgrep", ".github/codeql"];

/// A level from which on findings have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FromLevel {
    /// Every finding.
    Note,
    /// Warnings and errors.
    Warning,
    /// Errors.
    Error,
}

impl FromLevel {
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Note => Level::Note,
            Self::Warning => Level::Warning,
            Self::Error => Level::Error,
        }
    }
}

/// An external tool that speaks SARIF 2.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Analyser {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// The command line, run by `/bin/sh -c` at the top of the checkout, without a network.
    pub command: String,
    /// The file that it writes its log to; standard output when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<WorkPath>,
    /// Exit codes that mean that it ran to its end. Default 0 and 1.
    #[serde(default = "usual_codes")]
    pub exit_codes: BTreeSet<i32>,
    /// Longest time for one run, in seconds. Default 600.
    #[serde(default = "usual_timeout")]
    pub timeout_seconds: u64,
    /// The level from which on a new finding blocks; `error` unless said otherwise.
    #[serde(default = "from_error", skip_serializing_if = "Option::is_none")]
    pub blocks: Option<FromLevel>,
    /// The level from which on a new finding asks a person; `warning` unless said otherwise.
    #[serde(default = "from_warning", skip_serializing_if = "Option::is_none")]
    pub asks: Option<FromLevel>,
    /// Globs of further files by which it is set: a change's own are taken away before it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// Files of the organisation, by the name that they get in `.bailiwick-analysers/NAME/` in the
    /// checkout: rules, settings. A repository has its own files and names none here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, PathBuf>,
    /// What is in them.
    #[serde(skip)]
    pub contents: BTreeMap<String, Vec<u8>>,
}

fn usual_codes() -> BTreeSet<i32> {
    BTreeSet::from([0, 1])
}

fn usual_timeout() -> u64 {
    600
}

#[expect(clippy::unnecessary_wraps, reason = "a default has the type of its field")]
fn from_error() -> Option<FromLevel> {
    Some(FromLevel::Error)
}

#[expect(clippy::unnecessary_wraps, reason = "a default has the type of its field")]
fn from_warning() -> Option<FromLevel> {
    Some(FromLevel::Warning)
}

/// Why a tool can't be used as it is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the analyser `{name}` can't be used: {reason}")]
pub struct BadAnalyser {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Analyser {
    /// Whether it can be used.
    pub fn check(&self) -> Result<(), BadAnalyser> {
        let bad = |reason: String| BadAnalyser {
            name: self.name.chars().filter(|c| !c.is_control()).take(80).collect(),
            reason,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 60 || !self.name.chars().all(plain) {
            return Err(bad("its name is not 1 to 60 letters, digits, `-` and `_`".to_owned()));
        }
        if self.command.trim().is_empty() {
            return Err(bad("`command` is empty".to_owned()));
        }
        if !(1..=MAX_TIMEOUT_SECONDS).contains(&self.timeout_seconds) {
            return Err(bad(format!(
                "`timeout_seconds` is `{}`, not 1 to {MAX_TIMEOUT_SECONDS}",
                self.timeout_seconds
            )));
        }
        if self.report.as_ref().is_some_and(|report| *report == WorkPath::root()) {
            return Err(bad("`report` names no file".to_owned()));
        }
        if self.exit_codes.is_empty() {
            return Err(bad("`exit_codes` is empty".to_owned()));
        }
        let is_name = |name: &String| WorkPath::parse(name).is_ok_and(|it| it.as_str() == name);
        if let Some(name) = self.files.keys().find(|name| !is_name(name)) {
            return Err(bad(format!("`files` has the name `{name}`, which is no relative path")));
        }
        self.globs().map_err(bad)?;
        Ok(())
    }

    fn globs(&self) -> Result<GlobSet, String> {
        let mut set = GlobSetBuilder::new();
        for glob in &self.settings {
            set.add(Glob::new(glob).map_err(|error| error.to_string())?);
        }
        set.build().map_err(|error| error.to_string())
    }

    /// Whether a file says how the tool judges.
    pub(crate) fn is_set_by(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let slashed = format!("/{path}");
        KNOWN_SETTINGS.contains(&name.to_lowercase().as_str())
            || KNOWN_FOLDERS.iter().any(|folder| slashed.contains(&format!("/{folder}/")))
            || self.report.as_ref().is_some_and(|report| report.as_str() == path)
            || slashed.starts_with(&format!("/{OWN_FOLDER}/"))
            || self.globs().is_ok_and(|globs| globs.is_match(path))
    }

    /// The organisation's files, where they lie in a checkout.
    pub(crate) fn own_files(&self) -> Vec<Overlaid> {
        let place = |name: &String| format!("{OWN_FOLDER}/{}/{name}", self.name);
        self.contents
            .iter()
            .map(|(name, bytes)| Overlaid::file(place(name), bytes.clone()))
            .collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    tool: Vec<Analyser>,
}

/// The tools that the protected branch names.
pub(crate) fn of_repository(settings: &GateSettings) -> Result<Vec<Analyser>, String> {
    let table: Table = settings.of("analysers")?;
    let mut names = BTreeSet::new();
    for tool in &table.tool {
        tool.check().map_err(|error| format!("`[settings.analysers]`: {error}"))?;
        if !tool.files.is_empty() {
            return Err(format!(
                "`[settings.analysers]`: `{}` names `files`, which only the organisation can",
                tool.name
            ));
        }
        if !names.insert(&tool.name) {
            return Err(format!("`[settings.analysers]`: two tools have the name `{}`", tool.name));
        }
    }
    Ok(table.tool)
}
