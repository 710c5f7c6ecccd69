//! Bills of materials in the form of `CycloneDX` 1.6.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_model::payload::Digest;
use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::change::{ChangeKind, DependencyChange};
use crate::ecosystem::Ecosystem;
use crate::package::{Hash, Package, Source};
use crate::snapshot::{Files, Snapshot, Unit};

/// The bill of materials of a commit. The same files always give the same bytes: it has no time,
/// and its serial number follows from its content.
pub fn sbom(files: &Files, name: &str, revision: &str) -> Value {
    let snapshot = Snapshot::read(files);
    let units = snapshot.units();
    let root = format!("project:{name}@{revision}");
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    edges.entry(root.clone()).or_default();
    for unit in &units {
        let references: Vec<Option<String>> =
            unit.lock.packages.iter().map(|package| reference(unit, package)).collect();
        let of = |at: &usize| references.get(*at).cloned().flatten();
        for (package, reference) in unit.lock.packages.iter().zip(&references) {
            let below: BTreeSet<String> =
                package.edges.iter().flat_map(|edge| &edge.to).filter_map(of).collect();
            match reference {
                Some(reference) => {
                    let entry = components
                        .entry(reference.clone())
                        .or_insert_with(|| component(unit, package, reference));
                    merge(entry, package);
                    edges.entry(reference.clone()).or_default().extend(below);
                }
                // what the project asks for hangs on the project
                None => edges.entry(root.clone()).or_default().extend(below),
            }
        }
        edges.entry(root.clone()).or_default().extend(unit.roots.iter().filter_map(of));
    }
    let dependencies: Vec<Value> = edges
        .into_iter()
        .map(|(reference, below)| {
            let below: Vec<String> = below.into_iter().filter(|one| *one != reference).collect();
            json!({ "ref": reference, "dependsOn": below })
        })
        .collect();
    let components: Vec<Value> = components.into_values().collect();
    let unread: Vec<Value> = snapshot
        .unreadable
        .iter()
        .map(|(path, error)| json!({ "name": "bailiwick:unread", "value": format!("{path}: {error}") }))
        .collect();
    let digest = Digest::of(json!([root, components, dependencies]).to_string().as_bytes());
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&digest),
        "version": 1,
        "metadata": {
            "tools": { "components": [{
                "type": "application",
                "name": "bailiwick",
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": { "type": "application", "name": name, "version": revision, "bom-ref": root },
            "properties": unread,
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// A version 8 UUID (RFC 9562) from a digest.
fn serial(digest: &Digest) -> String {
    let hex = digest.to_string();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!(
        "urn:uuid:{}-{}-8{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

/// Percent-encodes what a package URL can't have as it is.
fn encoded(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || keep.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn purl(ecosystem: Ecosystem, package: &Package) -> String {
    let kind = ecosystem.purl_type();
    let name = match ecosystem {
        Ecosystem::Maven => encoded(&package.name.replacen(':', "/", 1), "/"),
        Ecosystem::Pypi => encoded(&ecosystem.canonical(&package.name), ""),
        Ecosystem::Go => encoded(&package.name.to_ascii_lowercase(), "/"),
        Ecosystem::Cargo | Ecosystem::Npm => encoded(&package.name, "/"),
    };
    let mut purl = format!("pkg:{kind}/{name}");
    if !package.version.is_empty() {
        purl.push('@');
        purl.push_str(&encoded(&package.version, ""));
    }
    match &package.source {
        Source::Git { url, commit } => {
            let at = commit.as_deref().map(|commit| format!("@{commit}")).unwrap_or_default();
            purl.push_str(&format!("?vcs_url={}", encoded(&format!("git+{url}{at}"), ":/")));
        }
        Source::Url { url } => purl.push_str(&format!("?download_url={}", encoded(url, ":/"))),
        Source::Project | Source::Registry { .. } | Source::Path { .. } => {}
    }
    purl
}

fn reference(unit: &Unit<'_>, package: &Package) -> Option<String> {
    match &package.source {
        Source::Project => None,
        Source::Path { path } => Some(format!("{}#path={path}", purl(unit.ecosystem, package))),
        Source::Registry { .. } | Source::Git { .. } | Source::Url { .. } => {
            Some(purl(unit.ecosystem, package))
        }
    }
}

fn component(unit: &Unit<'_>, package: &Package, reference: &str) -> Value {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), json!("library"));
    fields.insert("bom-ref".to_owned(), json!(reference));
    let (group, name) = match unit.ecosystem {
        Ecosystem::Maven => {
            package.name.split_once(':').map_or((None, &*package.name), |(g, n)| (Some(g), n))
        }
        Ecosystem::Npm => match package.name.rsplit_once('/') {
            Some((scope, name)) => (Some(scope), name),
            None => (None, &*package.name),
        },
        Ecosystem::Cargo | Ecosystem::Pypi | Ecosystem::Go => (None, &*package.name),
    };
    if let Some(group) = group {
        fields.insert("group".to_owned(), json!(group));
    }
    fields.insert("name".to_owned(), json!(name));
    fields.insert("version".to_owned(), json!(package.version));
    fields.insert("purl".to_owned(), json!(purl(unit.ecosystem, package)));
    if let Some(licence) = &package.licence {
        let id = spdx::license_id(licence).map(|id| id.name);
        let value = match (id, spdx::Expression::parse(licence)) {
            (Some(id), _) => json!([{ "license": { "id": id } }]),
            (None, Ok(_)) => json!([{ "expression": licence }]),
            (None, Err(_)) => json!([{ "license": { "name": licence } }]),
        };
        fields.insert("licenses".to_owned(), value);
    }
    fields.insert(
        "properties".to_owned(),
        json!([{ "name": "bailiwick:declared-in", "value": unit.path }]),
    );
    Value::Object(fields)
}

/// Adds the hashes that the entry has.
fn merge(component: &mut Value, package: &Package) {
    let Some(fields) = component.as_object_mut() else { return };
    let mut hashes: BTreeSet<(String, String)> = BTreeSet::new();
    if let Some(Value::Array(there)) = fields.get("hashes") {
        for one in there {
            let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
            hashes.insert((text("alg"), text("content")));
        }
    }
    hashes.extend(package.hashes.iter().filter_map(hash));
    if !hashes.is_empty() {
        let list: Vec<Value> = hashes
            .into_iter()
            .map(|(alg, content)| json!({ "alg": alg, "content": content }))
            .collect();
        fields.insert("hashes".to_owned(), Value::Array(list));
    }
}

/// A hash that `CycloneDX` has a name for, in hexadecimal. Go's is over a list of files, which it has
/// none for.
fn hash(hash: &Hash) -> Option<(String, String)> {
    let name = match hash.algorithm.as_str() {
        "md5" => "MD5",
        "sha1" => "SHA-1",
        "sha256" => "SHA-256",
        "sha384" => "SHA-384",
        "sha512" => "SHA-512",
        _ => return None,
    };
    let width = hash.width()?;
    let is_hex = hash.value.len() == width * 2 && hash.value.chars().all(|c| c.is_ascii_hexdigit());
    let hex = if is_hex {
        hash.value.to_ascii_lowercase()
    } else {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&hash.value).ok()?;
        if bytes.len() != width {
            return None;
        }
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    Some((name.to_owned(), hex))
}

/// What changed between two bills of materials, in lines that a person reads.
pub fn sbom_changes(changes: &[DependencyChange]) -> String {
    let mut lines = Vec::new();
    for change in changes {
        let versions = |all: &BTreeSet<String>| {
            let all: Vec<String> = all.iter().map(|one| crate::package::shown(one)).collect();
            all.join(", ")
        };
        let name = crate::package::shown(&change.name);
        let what = match change.kind {
            ChangeKind::Added => format!("+ {name} {}", versions(&change.after)),
            ChangeKind::Removed => format!("- {name} {}", versions(&change.before)),
            ChangeKind::Changed if change.before == change.after => {
                format!("~ {name} {} (from another source)", versions(&change.after))
            }
            ChangeKind::Changed => {
                format!("~ {name} {} → {}", versions(&change.before), versions(&change.after))
            }
        };
        let through = if change.is_direct() {
            "direct".to_owned()
        } else {
            let names: Vec<String> =
                change.through.iter().map(|one| crate::package::shown(one)).collect();
            format!("through {}", names.join(" → "))
        };
        lines.push(format!(
            "{what} ({}, {through}; {})",
            change.ecosystem,
            crate::package::shown(&change.path)
        ));
    }
    lines.join("\n")
}
