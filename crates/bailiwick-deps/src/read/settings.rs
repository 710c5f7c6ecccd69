//! Settings files that say where packages come from.

use crate::document::{Doc, text};
use crate::error::ReadError;
use crate::package::RegistrySetting;

fn setting(name: &str, value: &str, beside: bool) -> RegistrySetting {
    RegistrySetting { setting: name.to_owned(), value: value.to_owned(), beside }
}

/// `.npmrc`: `registry=…`, `@scope:registry=…`, and settings that switch checks off.
pub(super) fn npmrc(bytes: &[u8]) -> Result<Vec<RegistrySetting>, ReadError> {
    let mut found = Vec::new();
    for line in text(bytes)?.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        if key == "registry" || key.ends_with(":registry") {
            found.push(setting(key, value, false));
        } else if key == "strict-ssl" && value == "false" {
            found.push(setting("strict-ssl=false", "http://any/", false));
        }
    }
    Ok(found)
}

/// `.yarnrc.yml`.
pub(super) fn yarnrc(bytes: &[u8]) -> Result<Vec<RegistrySetting>, ReadError> {
    let doc = Doc::yaml(bytes)?;
    let mut found = Vec::new();
    if doc == Doc::Null {
        return Ok(found);
    }
    doc.as_map("the file")?;
    if let Some(url) = doc.str("npmRegistryServer")? {
        found.push(setting("npmRegistryServer", url, false));
    }
    for (scope, value) in doc.map("npmScopes")? {
        if let Some(url) = value.str("npmRegistryServer")? {
            found.push(setting(&format!("npmScopes.{scope}"), url, false));
        }
    }
    if doc.get("enableStrictSsl") == Some(&Doc::Bool(false)) {
        found.push(setting("enableStrictSsl: false", "http://any/", false));
    }
    if doc.get("checksumBehavior").and_then(Doc::text).is_some_and(|one| one != "throw") {
        found.push(setting("checksumBehavior", "http://any/", false));
    }
    Ok(found)
}

/// `.cargo/config.toml`: replaced and added registries.
pub(super) fn cargo(bytes: &[u8]) -> Result<Vec<RegistrySetting>, ReadError> {
    let doc = Doc::toml(bytes)?;
    let mut found = Vec::new();
    for (name, source) in doc.map("source")? {
        for key in ["registry", "git"] {
            if let Some(url) = source.str(key)? {
                found.push(setting(&format!("source.{name}"), url, false));
            }
        }
    }
    for (name, registry) in doc.map("registries")? {
        if let Some(url) = registry.str("index")? {
            found.push(setting(&format!("registries.{name}"), url, false));
        }
    }
    Ok(found)
}
