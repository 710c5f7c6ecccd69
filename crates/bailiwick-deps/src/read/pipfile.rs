//! `Pipfile` and `Pipfile.lock`.

use super::pip::{hash, place};
use super::pyproject::table;
use crate::document::Doc;
use crate::error::{ReadError, unexpected};
use crate::package::{Group, InstallScript, Lock, Manifest, Package, RegistrySetting, Source};

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let doc = Doc::toml(bytes)?;
    let mut manifest = Manifest::new();
    table(doc.map("packages")?, Group::Normal, &mut manifest)?;
    table(doc.map("dev-packages")?, Group::Dev, &mut manifest)?;
    registries(doc.list("source")?, &mut manifest.registries)?;
    Ok(manifest)
}

fn registries(list: &[Doc], out: &mut Vec<RegistrySetting>) -> Result<(), ReadError> {
    for source in list {
        let url = source.need("url")?;
        out.push(RegistrySetting {
            setting: "source".to_owned(),
            value: url.to_owned(),
            beside: false,
        });
        if source.get("verify_ssl") == Some(&Doc::Bool(false)) {
            out.push(RegistrySetting {
                setting: "verify_ssl = false".to_owned(),
                value: format!("http://{}/", crate::address::host(url).unwrap_or_default()),
                beside: false,
            });
        }
    }
    Ok(())
}

pub(super) fn lock(bytes: &[u8]) -> Result<Lock, ReadError> {
    let doc = Doc::json(bytes)?;
    doc.as_map("the file")?;
    let mut lock = Lock::new();
    lock.has_project = false;
    lock.has_graph = false;
    let meta = doc.get("_meta").ok_or_else(|| unexpected("_meta", "there"))?;
    if let Some(version) = meta.str("pipfile-spec")?
        && version != "6"
    {
        return Err(ReadError::Version { version: version.to_owned() });
    }
    registries(meta.list("sources")?, &mut lock.registries)?;
    for section in ["default", "develop"] {
        for (name, entry) in doc.map(section)? {
            entry.as_map(name)?;
            let from = if let Some(url) = entry.str("git")? {
                let commit = entry.str("ref")?.and_then(crate::address::full_commit);
                Source::Git { url: url.to_owned(), commit }
            } else if let Some(path) = entry.str("path")? {
                Source::Path { path: path.to_owned() }
            } else if let Some(file) = entry.str("file")? {
                place(file)
            } else {
                Source::Registry { host: None }
            };
            let version = entry.str("version")?.unwrap_or("").trim_start_matches('=');
            let mut package = Package::new(name, name, version, from);
            for one in entry.list("hashes")? {
                package.hashes.push(hash(one.text().ok_or_else(|| unexpected(name, "text"))?));
            }
            package.script = InstallScript::Unknown;
            // the same package in both sections is one package
            if !lock.packages.contains(&package) {
                lock.packages.push(package);
            }
        }
    }
    Ok(lock)
}
