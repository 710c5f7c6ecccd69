//! Kubernetes `Secret` manifests: what stands under `data:` and `stringData:` is a secret by its
//! place, whatever its form.

use super::placeholder::{entropy, is_placeholder, is_stand_in};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The id of the rule.
pub(super) const ID: &str = "kubernetes-secret";
/// What it finds.
pub(super) const DESCRIPTION: &str = "value in a Kubernetes Secret manifest";

/// Most bytes of a file that is looked at.
const MOST: usize = 4 << 20;

struct Line<'a> {
    start: usize,
    text: &'a str,
    indent: usize,
}

/// Start and end of each value.
pub(super) fn values(bytes: &[u8]) -> Vec<(usize, usize)> {
    if bytes.len() > MOST {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end();
        // a list's dash counts as indentation: `- kind: Secret`
        let body = line.trim_start_matches([' ', '-']);
        let separator = line.starts_with("---");
        let indent = if separator { 0 } else { line.len() - body.len() };
        lines.push(Line { start: at, text: if separator { "---" } else { line }, indent });
        at += raw.len();
    }
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let body = key_of(line);
        let Some(kind) = body.strip_prefix("kind:") else { continue };
        if kind.trim().trim_matches(['"', '\'']) != "Secret" {
            continue;
        }
        let (first, last) = object(&lines, index);
        if let Some(object) = lines.get(first..last) {
            in_object(object, line.indent, &mut found);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn key_of<'a>(line: &Line<'a>) -> &'a str {
    line.text.get(line.indent.min(line.text.len())..).unwrap_or_default()
}

fn is_blank(line: &Line<'_>) -> bool {
    let body = key_of(line);
    body.is_empty() || body.starts_with('#')
}

/// The lines of the mapping that holds the line at `index`.
fn object(lines: &[Line<'_>], index: usize) -> (usize, usize) {
    let Some(own) = lines.get(index) else { return (0, 0) };
    let outside =
        |line: &Line<'_>| line.text == "---" || (!is_blank(line) && line.indent < own.indent);
    let starts_item =
        |line: &Line<'_>| line.indent == own.indent && line.text.trim_start().starts_with("- ");
    let mut first = index;
    while !lines.get(first).is_some_and(starts_item) {
        match first.checked_sub(1) {
            Some(before) if !lines.get(before).is_some_and(outside) => first = before,
            Some(_) | None => break,
        }
    }
    let mut last = index + 1;
    while let Some(line) = lines.get(last)
        && !outside(line)
        && !starts_item(line)
    {
        last += 1;
    }
    (first, last)
}

fn in_object(lines: &[Line<'_>], indent: usize, found: &mut Vec<(usize, usize)>) {
    let mut section = None;
    let mut block = false;
    for line in lines {
        if is_blank(line) {
            continue;
        }
        if line.indent <= indent {
            section = match key_of(line).trim_end() {
                "data:" => Some(true),
                "stringData:" => Some(false),
                _ => None,
            };
            block = false;
            continue;
        }
        let Some(is_encoded) = section else { continue };
        let body = key_of(line);
        let (value, at) = if block && !(body.contains(": ") && line.indent <= indent + 2) {
            (body, line.indent)
        } else {
            let Some((name, value)) = body.split_once(':') else { continue };
            let spaces = value.len() - value.trim_start().len();
            (value.trim_start(), line.indent + name.len() + 1 + spaces)
        };
        if matches!(value.trim_end(), "|" | ">" | "|-" | ">-" | "|+" | ">+") {
            block = true;
            continue;
        }
        let without_comment = value.split(" #").next().unwrap_or_default().trim_end();
        let bare = without_comment.trim_matches(['"', '\'']);
        let quote = usize::from(without_comment.len() > bare.len());
        if is_secret(bare, is_encoded) {
            let start = line.start + at + quote;
            found.push((start, start + bare.len()));
        }
    }
}

fn is_secret(value: &str, is_encoded: bool) -> bool {
    if is_placeholder(value) || is_stand_in(value) || value.starts_with("ENC[") {
        return false;
    }
    if is_encoded {
        return value.len() >= 12
            && STANDARD.decode(value).is_ok_and(|decoded| {
                let text = String::from_utf8_lossy(&decoded);
                // a whole file may well have the word "example" somewhere
                let is_short = decoded.len() < 48;
                decoded.len() >= 8
                    && !(is_short && (is_placeholder(text.trim()) || is_stand_in(text.trim())))
            });
    }
    value.len() >= 8
        && !value.contains(' ')
        && entropy(value.as_bytes()) >= 3.0
        && value.bytes().any(|byte| byte.is_ascii_digit())
}
