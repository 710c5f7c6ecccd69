//! What cargo knows of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The packages of the workspace and everything below them.
pub(crate) struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    /// Workspace packages, by name.
    pub(crate) members: BTreeMap<String, String>,
}

fn strings<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn objects<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Graph {
    /// Asks cargo. Dev- and build-dependencies are left out: they reach no shipped binary.
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let root: Value = serde_json::from_slice(&output.stdout)?;
        let names: BTreeMap<String, String> = objects(&root, "packages")
            .map(|package| (text(package, "id").to_owned(), text(package, "name").to_owned()))
            .collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let resolve = root.get("resolve").context("cargo metadata has no resolve")?;
        for node in objects(resolve, "nodes") {
            let below = objects(node, "deps")
                .filter(|dep| {
                    objects(dep, "dep_kinds")
                        .any(|kind| kind.get("kind").is_none_or(Value::is_null))
                })
                .map(|dep| text(dep, "pkg").to_owned())
                .collect();
            edges.insert(text(node, "id").to_owned(), below);
        }
        let members = strings(&root, "workspace_members")
            .filter_map(|id| names.get(id).map(|name| (name.clone(), id.to_owned())))
            .collect();
        Ok(Self { names, edges, members })
    }

    /// The names of the packages that a member depends on directly.
    pub(crate) fn direct(&self, member: &str) -> BTreeSet<&str> {
        let below = self.members.get(member).and_then(|id| self.edges.get(id));
        below
            .into_iter()
            .flatten()
            .filter_map(|id| self.names.get(id))
            .map(String::as_str)
            .collect()
    }

    /// The names of all packages that a member reaches, leaving out what is only reached through
    /// `through`.
    pub(crate) fn reached(&self, member: &str, through: &[&str]) -> BTreeSet<&str> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&String> = self.members.get(member).into_iter().collect();
        while let Some(id) = waiting.pop() {
            for below in self.edges.get(id).into_iter().flatten() {
                let Some(name) = self.names.get(below) else { continue };
                if seen.insert(name) && !through.contains(&name.as_str()) {
                    waiting.push(below);
                }
            }
        }
        seen
    }
}
