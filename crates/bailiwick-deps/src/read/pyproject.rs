//! `pyproject.toml`: the standard's tables, and those of poetry, uv and PDM.

use super::pip::requirement_line;
use crate::address;
use crate::document::Doc;
use crate::error::{ReadError, unexpected};
use crate::package::{Declared, Group, Manifest, RegistrySetting, Source};

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let doc = Doc::toml(bytes)?;
    let mut manifest = Manifest::new();
    if let Some(project) = doc.get("project") {
        manifest.name = project.str("name")?.map(str::to_owned);
        lines(project.list("dependencies")?, Group::Normal, &mut manifest.declared)?;
        for list in project.map("optional-dependencies")?.values() {
            lines(as_list(list)?, Group::Optional, &mut manifest.declared)?;
        }
    }
    for list in doc.map("dependency-groups")?.values() {
        lines(as_list(list)?, Group::Dev, &mut manifest.declared)?;
    }
    if let Some(build) = doc.get("build-system") {
        // what builds the package is fetched and run, but stands in no lock file
        lines(build.list("requires")?, Group::Constraint, &mut manifest.overrides)?;
    }
    if let Some(tool) = doc.get("tool") {
        if let Some(uv) = tool.get("uv") {
            tool_uv(uv, &mut manifest)?;
        }
        if let Some(poetry) = tool.get("poetry") {
            tool_poetry(poetry, &mut manifest)?;
        }
        if let Some(pdm) = tool.get("pdm") {
            for list in pdm.map("dev-dependencies")?.values() {
                lines(as_list(list)?, Group::Dev, &mut manifest.declared)?;
            }
            indexes(pdm.list("source")?, "tool.pdm.source", &mut manifest)?;
        }
    }
    Ok(manifest)
}

fn as_list(value: &Doc) -> Result<&[Doc], ReadError> {
    match value {
        Doc::List(list) => Ok(list),
        _ => Err(unexpected("a group of dependencies", "a list")),
    }
}

fn lines(list: &[Doc], group: Group, out: &mut Vec<Declared>) -> Result<(), ReadError> {
    for item in list {
        match item {
            Doc::Text(line) => {
                out.push(
                    requirement_line(line, group)
                        .ok_or_else(|| unexpected(line, "a requirement"))?,
                );
            }
            // `{ include-group = "…" }` brings nothing of its own
            Doc::Map(_) => {}
            _ => return Err(unexpected("a dependency", "text")),
        }
    }
    Ok(())
}

fn indexes(list: &[Doc], setting: &str, manifest: &mut Manifest) -> Result<(), ReadError> {
    for index in list {
        if let Some(url) = index.str("url")? {
            let explicit = index.is_true("explicit")
                || index.get("priority").and_then(Doc::text) == Some("explicit");
            manifest.registries.push(RegistrySetting {
                setting: setting.to_owned(),
                value: url.to_owned(),
                beside: !explicit,
            });
        }
    }
    Ok(())
}

fn tool_uv(uv: &Doc, manifest: &mut Manifest) -> Result<(), ReadError> {
    manifest.workspace = uv.get("workspace").is_some();
    lines(uv.list("dev-dependencies")?, Group::Dev, &mut manifest.declared)?;
    lines(uv.list("override-dependencies")?, Group::Constraint, &mut manifest.overrides)?;
    lines(uv.list("constraint-dependencies")?, Group::Constraint, &mut manifest.overrides)?;
    indexes(uv.list("index")?, "tool.uv.index", manifest)?;
    for key in ["index-url", "extra-index-url", "find-links"] {
        let values = match uv.get(key) {
            Some(Doc::List(list)) => list.iter().filter_map(Doc::text).collect(),
            Some(Doc::Text(one)) => vec![one.as_str()],
            _ => Vec::new(),
        };
        for value in values {
            manifest.registries.push(RegistrySetting {
                setting: format!("tool.uv.{key}"),
                value: value.to_owned(),
                beside: key != "index-url",
            });
        }
    }
    for (name, value) in uv.map("sources")? {
        let alternatives = match value {
            Doc::List(list) => list.iter().collect(),
            other => vec![other],
        };
        for one in alternatives {
            let Some(from) = source(one)? else { continue };
            let wanted = crate::ecosystem::Ecosystem::Pypi.canonical(name);
            let mut met = false;
            for declared in &mut manifest.declared {
                if crate::ecosystem::Ecosystem::Pypi.canonical(&declared.name) == wanted {
                    declared.source = from.clone();
                    met = true;
                }
            }
            if !met {
                manifest.overrides.push(Declared::new(name, "", Group::Constraint).from(from));
            }
        }
    }
    Ok(())
}

/// A table with `git`, `path`, `url` or `workspace`.
pub(super) fn source(value: &Doc) -> Result<Option<Source>, ReadError> {
    Ok(if let Some(url) = value.str("git")? {
        let commit = value.str("rev")?.or(value.str("ref")?).and_then(address::full_commit);
        Some(Source::Git { url: url.to_owned(), commit })
    } else if let Some(path) = value.str("path")? {
        Some(Source::Path { path: path.to_owned() })
    } else if let Some(path) = value.str("file")? {
        Some(Source::Path { path: path.to_owned() })
    } else if let Some(url) = value.str("url")? {
        Some(Source::Url { url: url.to_owned() })
    } else if value.is_true("workspace") {
        Some(Source::Project)
    } else {
        None
    })
}

fn tool_poetry(poetry: &Doc, manifest: &mut Manifest) -> Result<(), ReadError> {
    if manifest.name.is_none() {
        manifest.name = poetry.str("name")?.map(str::to_owned);
    }
    table(poetry.map("dependencies")?, Group::Normal, manifest)?;
    table(poetry.map("dev-dependencies")?, Group::Dev, manifest)?;
    for group in poetry.map("group")?.values() {
        table(group.map("dependencies")?, Group::Dev, manifest)?;
    }
    indexes(poetry.list("source")?, "tool.poetry.source", manifest)
}

/// A table of names and bounds, as poetry and `Pipfile` write them.
pub(super) fn table(
    entries: &std::collections::BTreeMap<String, Doc>,
    group: Group,
    manifest: &mut Manifest,
) -> Result<(), ReadError> {
    for (name, value) in entries {
        if name == "python" {
            continue;
        }
        let alternatives = match value {
            Doc::List(list) => list.iter().collect(),
            other => vec![other],
        };
        for one in alternatives {
            let declared = match one {
                Doc::Text(requirement) => Declared::new(name, requirement, group),
                Doc::Number(requirement) => Declared::new(name, requirement, group),
                Doc::Map(_) => {
                    let mut declared =
                        Declared::new(name, one.str("version")?.unwrap_or(""), group);
                    if let Some(from) = source(one)? {
                        declared.source = from;
                    }
                    if one.is_true("optional") {
                        declared.group = Group::Optional;
                    }
                    declared
                }
                Doc::Null | Doc::Bool(_) | Doc::List(_) => {
                    return Err(unexpected(name, "a version or a table"));
                }
            };
            manifest.declared.push(declared);
        }
    }
    Ok(())
}
