//! The rules of the house that a compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::metadata::Graph;
use crate::verbs::say;

/// One crate: what it may depend on of ours, and what it must never reach, even through others.
struct Rule {
    name: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const HTTP: &[&str] = &["hyper", "reqwest", "axum", "h2"];

/// The edge table. `docs/architecture.md` prints the same; `tidy` compares the two.
const RULES: &[Rule] = &[
    Rule { name: "model", may: &[], never: &["tokio", "rusqlite", "hyper", "reqwest"] },
    Rule { name: "ledger", may: &["model"], never: &["tokio", "rusqlite", "hyper", "reqwest"] },
    Rule { name: "scan", may: &["model"], never: &["tokio", "rusqlite", "hyper"] },
    Rule { name: "deps", may: &["model"], never: &["tokio", "rusqlite", "hyper", "reqwest"] },
    Rule { name: "sast", may: &["model"], never: &["tokio", "rusqlite", "hyper"] },
    Rule { name: "git", may: &["model"], never: &["tokio", "rusqlite", "hyper", "reqwest"] },
    Rule { name: "policy", may: &["model"], never: &["tokio", "rusqlite", "hyper", "reqwest"] },
    Rule { name: "guest", may: &[], never: &["tokio", "rustls", "hyper", "rusqlite"] },
    Rule { name: "warden", may: &["model", "policy"], never: &["rusqlite", "hyper", "reqwest"] },
    Rule {
        name: "store",
        may: &["model", "ledger", "warden"],
        never: &["hyper", "reqwest", "axum"],
    },
    Rule { name: "gateway", may: &["model", "warden", "scan"], never: &["rusqlite"] },
    Rule {
        name: "sandbox",
        may: &["model", "guest", "warden", "git"],
        never: &["rusqlite", "hyper", "reqwest"],
    },
    Rule { name: "agent", may: &["model", "warden", "sandbox", "gateway"], never: &["rusqlite"] },
    Rule {
        name: "gates",
        may: &["model", "warden", "sandbox", "scan", "sast", "git", "deps"],
        never: &["rusqlite", "hyper", "reqwest"],
    },
    Rule { name: "forge", may: &["model", "warden", "git"], never: &["rusqlite"] },
    Rule {
        name: "engine",
        may: &["model", "warden", "store", "sandbox", "forge", "gates", "agent"],
        never: &[],
    },
];

/// Third-party crates that only the named crates may depend on directly.
const OWNED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    // the solver runs in a process of the program, never below it
    ("cedar-policy", &["policy", "bailiwick"]),
    ("cedar-policy-symcc", &["bailiwick"]),
    ("axum", &["bailiwick"]),
    ("reqwest", &["gateway", "bailiwick"]),
    ("secrecy", &["gateway", "forge", "bailiwick"]),
    ("seccompiler", &["guest"]),
    ("landlock", &["guest"]),
];

/// What moves references in a repository.
const WRITER: &str = concat!("Ref", "Writer");

const LONGEST: usize = 800;

pub(crate) fn run() -> Result<()> {
    let root = workspace_root()?;
    let mut problems = Vec::new();
    edges(&mut problems)?;
    sources(&root, &mut problems)?;
    architecture(&root, &mut problems)?;
    if problems.is_empty() {
        say("tidy: nothing to mend");
        return Ok(());
    }
    for problem in &problems {
        say(&format!("tidy: {problem}"));
    }
    bail!("{} things to tidy", problems.len())
}

fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask has no parent directory")?.to_owned())
}

fn full(name: &str) -> String {
    format!("bailiwick-{name}")
}

fn edges(problems: &mut Vec<String>) -> Result<()> {
    let graph = Graph::load()?;
    for member in graph.members.keys().filter(|member| member.starts_with("bailiwick-")) {
        let Some(rule) = RULES.iter().find(|rule| full(rule.name) == *member) else {
            problems.push(format!("`{member}` is not in the edge table"));
            continue;
        };
        for below in graph.direct(member).into_iter().filter(|name| name.starts_with("bailiwick")) {
            if !rule.may.iter().any(|name| full(name) == below) {
                problems.push(format!("`{member}` must not depend on `{below}`"));
            }
        }
        let doors = [full("gateway"), full("forge")];
        let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
        let reached = graph.reached(member, &[]);
        let reached_elsewhere = graph.reached(member, &doors);
        for never in rule.never {
            let seen = if HTTP.contains(never) { &reached_elsewhere } else { &reached };
            if seen.contains(never) {
                problems.push(format!("`{member}` must never reach `{never}`"));
            }
        }
    }
    for (owned, owners) in OWNED {
        for member in graph.members.keys() {
            let short = member.strip_prefix("bailiwick-").unwrap_or(member);
            if graph.direct(member).contains(owned) && !owners.contains(&short) {
                problems.push(format!(
                    "`{member}` must not depend on `{owned}`: only {} may",
                    owners.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if matches!(name, "target" | ".git" | "node_modules" | "bailiwick-data") {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn sources(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let mut all = Vec::new();
    files(root, &mut all)?;
    all.sort();
    for path in &all {
        let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if matches!(stem, "utils" | "util" | "common" | "helpers" | "helper" | "manager" | "misc") {
            problems.push(format!("{shown}: `{stem}` names no idea"));
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(path).with_context(|| shown.clone())?;
        source(&shown, &text, problems);
    }
    Ok(())
}

fn source(shown: &str, text: &str, problems: &mut Vec<String>) {
    let in_tests = shown.contains("/tests/") || shown.ends_with("tests.rs");
    let lines = text.lines().count();
    if lines > LONGEST && !in_tests {
        problems.push(format!("{shown}: {lines} lines, more than {LONGEST}"));
    }
    let documented =
        text.lines().take(3).any(|line| line.starts_with("//!") || line.starts_with("#!["));
    if !in_tests && !documented && shown.starts_with("crates/") && !shown.contains("/compile_fail/")
    {
        problems.push(format!("{shown}: does not open with `//!`"));
    }
    let forge = shown.starts_with("crates/bailiwick-forge/");
    if !forge && !in_tests && !shown.starts_with("crates/bailiwick-git/") && text.contains(WRITER) {
        problems.push(format!("{shown}: only `bailiwick-forge` moves references"));
    }
    let caged = ["crates/bailiwick-sandbox/", "crates/bailiwick-guest/"];
    if !caged.iter().any(|prefix| shown.starts_with(prefix)) {
        if shown.ends_with("src/lib.rs") && !text.contains("#![forbid(unsafe_code)]") {
            problems.push(format!("{shown}: has no `#![forbid(unsafe_code)]`"));
        }
        if shown != "xtask/src/tidy.rs" && text.contains("unsafe {") {
            problems.push(format!("{shown}: `unsafe` belongs to sandbox and guest only"));
        }
    }
    for (number, line) in text.lines().enumerate() {
        for word in ["TO\u{44}O", "FIX\u{4d}E", "#[ign\u{6f}re", "#[should\u{5f}panic"] {
            if line.contains(word) {
                problems.push(format!("{shown}:{}: `{word}`", number + 1));
            }
        }
    }
}

fn architecture(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let path = root.join("docs/architecture.md");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for rule in RULES {
        let may = if rule.may.is_empty() { "–".to_owned() } else { rule.may.join(", ") };
        let row = format!("| `{}` | {may} |", full(rule.name));
        if !text.contains(&row) {
            problems.push(format!("docs/architecture.md lacks the row `{row}`"));
        }
    }
    Ok(())
}
