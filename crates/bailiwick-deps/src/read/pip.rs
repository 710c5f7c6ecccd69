//! `requirements.txt` and constraints, and the requirement lines (PEP 508) that others use too.

use crate::address;
use crate::document::{MAX_VALUES, text};
use crate::error::ReadError;
use crate::package::{Declared, Group, Hash, Manifest, RegistrySetting, Source};

pub(super) fn requirements(bytes: &[u8]) -> Result<Manifest, ReadError> {
    let text = text(bytes)?;
    let mut manifest = Manifest::new();
    let mut whole = String::new();
    for (number, line) in text.lines().enumerate() {
        if number > MAX_VALUES {
            return Err(ReadError::TooMany { most: MAX_VALUES });
        }
        // a comment line does not end a continued one
        if line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(part) = line.trim_end().strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        let line = std::mem::take(&mut whole);
        one(uncommented(&line), number, &mut manifest)?;
    }
    one(uncommented(&whole), 0, &mut manifest)?;
    Ok(manifest)
}

/// A comment begins at the line's start or after a space.
fn uncommented(line: &str) -> &str {
    let end = line
        .char_indices()
        .find(|(at, c)| {
            *c == '#' && (*at == 0 || line.get(..*at).is_some_and(|b| b.ends_with([' ', '\t'])))
        })
        .map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or(line).trim()
}

fn malformed(number: usize, line: &str) -> ReadError {
    let line: String = line.chars().take(80).collect();
    ReadError::Malformed {
        format: "requirements",
        detail: format!("line {}: `{line}` is no requirement", number + 1),
    }
}

const REGISTRY: [(&str, &str, bool); 6] = [
    ("--index-url", "--index-url", false),
    ("-i", "--index-url", false),
    ("--pypi-url", "--index-url", false),
    ("--extra-index-url", "--extra-index-url", true),
    ("--find-links", "--find-links", true),
    ("-f", "--find-links", true),
];

fn one(line: &str, number: usize, manifest: &mut Manifest) -> Result<(), ReadError> {
    if line.is_empty() {
        return Ok(());
    }
    if line.starts_with('-') {
        return option(line, number, manifest);
    }
    let (requirement, options) = match line.find(" --") {
        Some(at) => line.split_at(at),
        None => (line, ""),
    };
    let mut declared =
        requirement_line(requirement, Group::Normal).ok_or_else(|| malformed(number, line))?;
    for option in options.split_whitespace() {
        if let Some(hash) = option.strip_prefix("--hash=") {
            declared.hashes.push(hash.to_owned());
        }
    }
    manifest.declared.push(declared);
    Ok(())
}

fn option(line: &str, number: usize, manifest: &mut Manifest) -> Result<(), ReadError> {
    let (name, value) =
        line.split_once(['=', ' ', '\t']).map_or((line, ""), |(name, value)| (name, value.trim()));
    let value = value.trim_start_matches(['=', ' ']).split_whitespace().next().unwrap_or("");
    if let Some((_, setting, beside)) = REGISTRY.iter().find(|(option, ..)| *option == name) {
        manifest.registries.push(RegistrySetting {
            setting: (*setting).to_owned(),
            value: value.to_owned(),
            beside: *beside,
        });
    } else if name == "--trusted-host" {
        manifest.registries.push(RegistrySetting {
            setting: name.to_owned(),
            value: format!("http://{value}/"),
            beside: false,
        });
    } else if matches!(name, "-e" | "--editable") {
        manifest
            .declared
            .push(requirement_line(value, Group::Normal).ok_or_else(|| malformed(number, line))?);
    } else if line.starts_with("-i") || line.starts_with("-f") {
        return Err(malformed(number, line));
    }
    Ok(())
}

/// A requirement: a name with extras, bounds and a marker; a name and an address; an address; a
/// path.
pub(super) fn requirement_line(line: &str, group: Group) -> Option<Declared> {
    let line = line.trim();
    // a bare address or path names its package in the file name or `#egg=`
    if address::scheme(line.split(['@', ' ']).next().unwrap_or(line)).is_some()
        || line.starts_with("git+")
        || line.starts_with(['.', '/'])
        || line.starts_with("file:")
    {
        let egg = line
            .split_once("egg=")
            .map(|(_, egg)| egg.split(['&', '[', ' ']).next().unwrap_or(egg));
        let from = place(line.split(' ').next().unwrap_or(line));
        let name = match egg {
            Some(egg) => egg.to_owned(),
            None => file_name(line),
        };
        return Some(Declared::new(&name, "", group).from(from));
    }
    let end = line
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.') || !c.is_ascii()))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return None;
    }
    let mut rest = rest.trim_start();
    if let Some(extras) = rest.strip_prefix('[') {
        rest = extras.split_once(']')?.1.trim_start();
    }
    if let Some(url) = rest.strip_prefix('@') {
        let url = url.trim().split(' ').next()?;
        return Some(Declared::new(name, "", group).from(place(url)));
    }
    let bounds = rest.split(';').next().unwrap_or(rest).trim();
    let bounds = bounds.trim_start_matches('(').trim_end_matches(')').trim();
    if !bounds.is_empty() && !bounds.starts_with(['=', '<', '>', '!', '~']) {
        return None;
    }
    Some(Declared::new(name, bounds, group))
}

fn file_name(line: &str) -> String {
    let last = line.split(['?', '#']).next().unwrap_or(line).trim_end_matches('/');
    let last = last.rsplit('/').next().unwrap_or(last);
    last.split("-0").next().unwrap_or(last).trim_start_matches('.').to_owned()
}

/// Where an address in a Python requirement leads.
pub(super) fn place(url: &str) -> Source {
    if let Some(git) = url.strip_prefix("git+") {
        let bare = git.split('#').next().unwrap_or(git);
        let after_scheme = bare.split_once("://").map_or(bare, |(_, rest)| rest);
        let reference = after_scheme
            .split_once('/')
            .and_then(|(_, path)| path.rsplit_once('@'))
            .map(|(_, reference)| reference);
        let url = match reference {
            Some(reference) => bare.strip_suffix(&format!("@{reference}")).unwrap_or(bare),
            None => bare,
        };
        return Source::Git {
            url: url.to_owned(),
            commit: reference.and_then(address::full_commit),
        };
    }
    if let Some(path) = url.strip_prefix("file:") {
        return Source::Path { path: path.to_owned() };
    }
    if address::scheme(url).is_none() {
        return Source::Path { path: url.to_owned() };
    }
    Source::Url { url: url.to_owned() }
}

/// `sha256:…` or `sha256=…`.
pub(super) fn hash(text: &str) -> Hash {
    match text.split_once([':', '=']) {
        Some((algorithm, value)) => {
            Hash { algorithm: algorithm.to_ascii_lowercase(), value: value.to_owned() }
        }
        None => Hash { algorithm: String::new(), value: text.to_owned() },
    }
}
