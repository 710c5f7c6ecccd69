//! `pom.xml`: what it declares, with properties of the same file filled in.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::document::{MAX_DEPTH, MAX_VALUES, one_line, text};
use crate::error::ReadError;
use crate::package::{Declared, Group, Manifest, RegistrySetting, Source};

/// An element: its text and what is in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    inside: Vec<Self>,
}

impl Element {
    fn child(&self, name: &str) -> Option<&Self> {
        self.inside.iter().find(|one| one.name == name)
    }

    fn value(&self, name: &str) -> &str {
        self.child(name).map_or("", |one| one.text.trim())
    }

    fn each<'a>(&'a self, outer: &str, inner: &'a str) -> impl Iterator<Item = &'a Self> {
        self.inside
            .iter()
            .filter(move |one| one.name == outer)
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|one| &one.inside)
            .filter(move |one| one.name == inner)
    }
}

fn malformed(detail: &str) -> ReadError {
    ReadError::Malformed { format: "XML", detail: one_line(detail) }
}

fn tree(text: &str) -> Result<Element, ReadError> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = vec![Element::default()];
    let mut left = MAX_VALUES;
    loop {
        left = left.checked_sub(1).ok_or(ReadError::TooMany { most: MAX_VALUES })?;
        match reader.read_event().map_err(|error| malformed(&error.to_string()))? {
            Event::Start(start) => {
                if open.len() > MAX_DEPTH {
                    return Err(ReadError::TooDeep { most: MAX_DEPTH });
                }
                let name = local(start.local_name().into_inner());
                open.push(Element { name, ..Element::default() });
            }
            Event::Empty(start) => {
                let name = local(start.local_name().into_inner());
                if let Some(last) = open.last_mut() {
                    last.inside.push(Element { name, ..Element::default() });
                }
            }
            Event::End(_) => {
                if let (Some(done), Some(above)) = (open.pop(), open.last_mut()) {
                    above.inside.push(done);
                } else {
                    return Err(malformed("an end without a beginning"));
                }
            }
            Event::Text(part) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&part);
                }
            }
            Event::CData(part) => {
                if let Some(last) = open.last_mut() {
                    last.text.push_str(&part);
                }
            }
            Event::GeneralRef(entity) => {
                let known = match entity.as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    // a character, or an entity that the file defines itself
                    _ => return Err(ReadError::Reference),
                };
                if let Some(last) = open.last_mut() {
                    last.text.push_str(known);
                }
            }
            Event::DocType(_) => return Err(ReadError::Reference),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut root), true) => root.inside.pop().ok_or_else(|| malformed("no element in it")),
        _ => Err(malformed("an element is not closed")),
    }
}

fn local(name: &str) -> String {
    name.to_owned()
}

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let root = tree(text(bytes)?)?;
    if root.name != "project" {
        return Err(malformed("the root is not `project`"));
    }
    let parent = root.child("parent");
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    for element in root.child("properties").into_iter().flat_map(|one| &one.inside) {
        properties.insert(element.name.clone(), element.text.trim().to_owned());
    }
    for key in ["groupId", "artifactId", "version"] {
        let own = root.value(key);
        let value = if own.is_empty() { parent.map_or("", |one| one.value(key)) } else { own };
        properties.insert(format!("project.{key}"), value.to_owned());
    }
    let mut manifest = Manifest::new();
    manifest.workspace = root.child("modules").is_some();
    manifest.name = Some(format!(
        "{}:{}",
        properties.get("project.groupId").map_or("", String::as_str),
        root.value("artifactId")
    ));
    manifest.version = properties.get("project.version").cloned();
    let mut places = vec![&root];
    places.extend(root.each("profiles", "profile"));
    for place in places {
        for dependency in place.each("dependencies", "dependency") {
            manifest.declared.push(declared(dependency, &properties, None));
        }
        if let Some(management) = place.child("dependencyManagement") {
            for dependency in management.each("dependencies", "dependency") {
                manifest.overrides.push(declared(dependency, &properties, Some(Group::Constraint)));
            }
        }
        for build in ["build", "reporting"].into_iter().filter_map(|name| place.child(name)) {
            for plugin in build.each("plugins", "plugin") {
                manifest.declared.push(plugin_of(plugin, &properties));
                for dependency in plugin.each("dependencies", "dependency") {
                    manifest.declared.push(declared(dependency, &properties, Some(Group::Dev)));
                }
            }
        }
        for (outer, inner) in
            [("repositories", "repository"), ("pluginRepositories", "pluginRepository")]
        {
            for repository in place.each(outer, inner) {
                manifest.registries.push(RegistrySetting {
                    setting: inner.to_owned(),
                    value: filled(repository.value("url"), &properties),
                    beside: true,
                });
            }
        }
    }
    if let Some(parent) = parent {
        let name = format!("{}:{}", parent.value("groupId"), parent.value("artifactId"));
        let path = parent.child("relativePath").map(|one| one.text.trim());
        // without an empty `relativePath` the parent is looked for in the directory above first
        let from = match path {
            Some("") => Source::Registry { host: None },
            _ => Source::Path { path: path.unwrap_or("../pom.xml").to_owned() },
        };
        manifest
            .offered
            .push(Declared::new(&name, parent.value("version"), Group::Constraint).from(from));
    }
    Ok(manifest)
}

fn plugin_of(plugin: &Element, properties: &BTreeMap<String, String>) -> Declared {
    let group = match plugin.value("groupId") {
        "" => "org.apache.maven.plugins",
        group => group,
    };
    let name =
        format!("{}:{}", filled(group, properties), filled(plugin.value("artifactId"), properties));
    Declared::new(&name, &filled(plugin.value("version"), properties), Group::Dev)
}

fn declared(
    dependency: &Element,
    properties: &BTreeMap<String, String>,
    group: Option<Group>,
) -> Declared {
    let name = format!(
        "{}:{}",
        filled(dependency.value("groupId"), properties),
        filled(dependency.value("artifactId"), properties)
    );
    let version = filled(dependency.value("version"), properties);
    let group = group.unwrap_or_else(|| match dependency.value("scope") {
        "test" => Group::Dev,
        "provided" => Group::Peer,
        _ if dependency.value("optional") == "true" => Group::Optional,
        _ => Group::Normal,
    });
    let mut declared = Declared::new(&name, &version, group);
    let path = dependency.value("systemPath");
    if dependency.value("scope") == "system" || !path.is_empty() {
        let path = path
            .strip_prefix("${project.basedir}/")
            .or_else(|| path.strip_prefix("${basedir}/"))
            .unwrap_or(path);
        declared.source = Source::Path { path: path.to_owned() };
    }
    declared
}

/// Fills in `${name}`, a bounded number of times.
fn filled(text: &str, properties: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for _ in 0..16 {
        let Some((before, rest)) = text.split_once("${") else { break };
        let Some((name, after)) = rest.split_once('}') else { break };
        let value = match name.strip_prefix("pom.") {
            Some(name) => properties.get(&format!("project.{name}")),
            None => properties.get(name),
        };
        let Some(value) = value else { break };
        if text.len() + value.len() > 10_000 {
            break;
        }
        text = format!("{before}{value}{after}");
    }
    text
}
