//! The answers of indexes, each in the shape of its ecosystem.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::OnlineAnswer;
use crate::document::one_line;
use crate::ecosystem::Ecosystem;
use crate::index::PackageFacts;
use crate::package::PackageName;
use crate::version::compare;

/// Most events of an XML answer that are read.
const MOST_EVENTS: usize = 400_000;
/// Most versions in a list that are read.
const MOST_VERSIONS: usize = 100_000;

/// What an index says of a name for which it has an answer.
pub(super) fn answer(name: &PackageName, body: &[u8]) -> Result<OnlineAnswer, String> {
    match name.ecosystem {
        Ecosystem::Cargo => cargo(name, body),
        Ecosystem::Npm => npm(name, body),
        Ecosystem::Pypi => pypi(name, body),
        Ecosystem::Maven => maven(name, body),
        // its list comes first
        Ecosystem::Go => Err("a list of versions was asked for".to_owned()),
    }
}

fn known(first_day: Option<u32>) -> OnlineAnswer {
    OnlineAnswer::Known(PackageFacts { first_day, downloads: None })
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| one_line(&error.to_string()))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())
}

/// The day of an instant, counted from 1970-01-01.
fn day(text: &str) -> Result<u32, String> {
    let at: bailiwick_model::Timestamp =
        text.parse().map_err(|_| "it has a time that is none".to_owned())?;
    u32::try_from(at.as_second().div_euclid(86_400)).map_err(|_| "its time is too early".to_owned())
}

/// The earliest of all days; none when one is not known, since it could be the earliest.
fn earliest<'a>(times: impl Iterator<Item = Option<&'a str>>) -> Result<Option<u32>, String> {
    let mut first: Option<u32> = None;
    for time in times {
        let Some(time) = time else { return Ok(None) };
        let day = day(time)?;
        first = Some(first.map_or(day, |first| first.min(day)));
    }
    Ok(first)
}

fn same_name(name: &PackageName, said: &str) -> Result<(), String> {
    if PackageName::new(name.ecosystem, said).name == name.name {
        return Ok(());
    }
    Err(format!("it speaks of `{}`", crate::package::shown(said)))
}

#[derive(Deserialize)]
struct CargoLine {
    name: String,
    #[serde(rename = "vers")]
    _version: String,
    pubtime: Option<String>,
}

/// A line of JSON for each version.
fn cargo(name: &PackageName, body: &[u8]) -> Result<OnlineAnswer, String> {
    let mut lines = Vec::new();
    for line in text(body)?.lines().filter(|line| !line.trim().is_empty()) {
        let line: CargoLine = json(line.as_bytes())?;
        same_name(name, &line.name)?;
        lines.push(line.pubtime);
    }
    if lines.is_empty() {
        return Err("it has no version".to_owned());
    }
    Ok(known(earliest(lines.iter().map(Option::as_deref))?))
}

#[derive(Deserialize)]
struct Packument {
    name: String,
    versions: Option<BTreeMap<String, IgnoredAny>>,
    time: Option<NpmTime>,
}

#[derive(Deserialize)]
struct NpmTime {
    created: Option<String>,
    unpublished: Option<IgnoredAny>,
}

fn npm(name: &PackageName, body: &[u8]) -> Result<OnlineAnswer, String> {
    let said: Packument = json(body)?;
    same_name(name, &said.name)?;
    if said.versions.is_some_and(|versions| !versions.is_empty()) {
        let created = said.time.and_then(|time| time.created);
        return Ok(known(created.as_deref().map(day).transpose()?));
    }
    // whoever comes next can take the name
    if said.time.is_some_and(|time| time.unpublished.is_some()) {
        return Ok(OnlineAnswer::Absent);
    }
    Err("it has no version".to_owned())
}

#[derive(Deserialize)]
struct PypiProject {
    name: String,
    files: Vec<PypiFile>,
}

#[derive(Deserialize)]
struct PypiFile {
    #[serde(rename = "upload-time")]
    upload_time: Option<String>,
}

/// The simple index as JSON (PEP 691) or as a page (PEP 503).
fn pypi(name: &PackageName, body: &[u8]) -> Result<OnlineAnswer, String> {
    if body.trim_ascii_start().starts_with(b"{") {
        let said: PypiProject = json(body)?;
        same_name(name, &said.name)?;
        let times = said.files.iter().map(|file| file.upload_time.as_deref());
        return Ok(known(earliest(times)?));
    }
    // any server has pages: this one has a link to a file of the project
    let is_file = |link: &str| {
        let file = link.split(['#', '?']).next().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        let file = Ecosystem::Pypi.canonical(file);
        file.strip_prefix(name.name.as_str()).is_some_and(|rest| rest.starts_with('-'))
    };
    let links = text(body)?.split("href=").skip(1).take(MOST_VERSIONS);
    let mut links = links.filter_map(|rest| rest.split(['"', '\'']).nth(1));
    if links.any(is_file) { Ok(known(None)) } else { Err("no file of it is linked".to_owned()) }
}

/// `maven-metadata.xml` of an artifact.
fn maven(name: &PackageName, body: &[u8]) -> Result<OnlineAnswer, String> {
    let (group, artifact) = name.name.split_once(':').unwrap_or_default();
    let mut reader = Reader::from_str(text(body)?);
    let mut open: Vec<String> = Vec::new();
    let (mut said_group, mut said_artifact, mut versions) = (String::new(), String::new(), 0_usize);
    for _ in 0..MOST_EVENTS {
        match reader.read_event().map_err(|error| one_line(&error.to_string()))? {
            Event::Start(start) => open.push(start.local_name().into_inner().to_owned()),
            Event::End(_) => drop(open.pop()),
            Event::Text(part) => {
                let path: Vec<&str> = open.iter().map(String::as_str).collect();
                match path.as_slice() {
                    ["metadata", "groupId"] => said_group.push_str(part.trim()),
                    ["metadata", "artifactId"] => said_artifact.push_str(part.trim()),
                    ["metadata", "versioning", "versions", "version"]
                        if !part.trim().is_empty() =>
                    {
                        versions += 1;
                    }
                    _ => {}
                }
            }
            Event::DocType(_) | Event::GeneralRef(_) => {
                return Err("it has definitions of its own".to_owned());
            }
            Event::Eof if !open.is_empty() => return Err("it is cut off".to_owned()),
            Event::Eof => {
                if said_artifact != artifact || (!said_group.is_empty() && said_group != group) {
                    return Err("it speaks of another artifact, or of none".to_owned());
                }
                if versions == 0 {
                    return Err("it has no version".to_owned());
                }
                return Ok(known(None));
            }
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_) => {}
        }
    }
    Err("it is too long".to_owned())
}

/// The first version in a list of a Go module; none when the list is empty.
pub(super) fn go_first(body: &[u8]) -> Result<Option<String>, String> {
    let mut first: Option<&str> = None;
    for line in
        text(body)?.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST_VERSIONS)
    {
        let is_version = line.len() < 200
            && line
                .strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            && line.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+_".contains(&b))
            && !line.contains("..")
            // what is put behind it begins with a dot
            && !line.ends_with('.');
        if !is_version {
            return Err("a line of it is no version".to_owned());
        }
        let is_earlier =
            |other| compare(Ecosystem::Go, line, other) == Some(std::cmp::Ordering::Less);
        if first.is_none_or(is_earlier) {
            first = Some(line);
        }
    }
    Ok(first.map(str::to_owned))
}

#[derive(Deserialize)]
struct GoInfo {
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Time")]
    time: Option<String>,
}

/// The day of a version of a Go module.
pub(super) fn go_time(body: &[u8]) -> Result<Option<u32>, String> {
    let info: GoInfo = json(body)?;
    if !info.version.starts_with('v') {
        return Err("it has no version".to_owned());
    }
    info.time.as_deref().map(day).transpose()
}
