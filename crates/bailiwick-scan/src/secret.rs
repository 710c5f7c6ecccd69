//! Finds credentials in text, and replaces them.
//!
//! One pass over the text finds keywords; only around those are the expressions of the rules tried
//! that they wake. A rule is an expression with the part that is the secret, then filters: entropy
//! (real tokens are random), placeholders (`EXAMPLE`, `xxxx`, `${VAR}`, …), and context. What is
//! wrapped in base 64 is unwrapped, and values in Kubernetes secrets are found by their place.
//! There is deliberately no inline
//! "allow" comment: whoever writes the secret could write the comment as well. Exceptions are
//! made by fingerprint, from a file on the protected branch, by the gate.

mod encoded;
mod filter;
mod kubernetes;
mod placeholder;
mod rules;
mod validity;

use crate::position::{Cursor, head, tail};
use rules::{Found, Precision, Rule};
pub use rules::{RuleSet, RuleSetError};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
pub use validity::Validity;

/// Bytes of context kept on each side of a redacted secret in an excerpt.
const EXCERPT_CONTEXT: usize = 40;

/// A credential that was found, described without containing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretMatch {
    /// Stable rule id such as `github-token`.
    pub rule: Cow<'static, str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column of the secret itself, counted from 1, in characters.
    pub column: u32,
    /// A piece of the line with every secret in it replaced by `[redacted:RULE]`.
    pub excerpt: String,
    /// [`fingerprint`] of rule and secret, for ignores and for "was it there before?".
    pub fingerprint: String,
    /// What the secret's own structure says of it.
    pub validity: Validity,
}

/// A text without its secrets, and what was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactedText<'a> {
    /// The text with each secret replaced by `[redacted:RULE]`; borrowed if there was none.
    pub text: Cow<'a, str>,
    /// What was replaced, by position in the *original* text.
    pub matches: Vec<SecretMatch>,
}

/// Identifies a secret without containing it: lower-case hex SHA-256 over a domain prefix, the
/// rule and the secret.
///
/// Of a random token this reveals nothing; of a guessable password it allows an offline guess,
/// so a fingerprint is not to be published where the password would still open something.
pub fn fingerprint(rule: &str, secret: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"bailiwick/secret/v1\0");
    hasher.update(rule.as_bytes());
    hasher.update(b"\0");
    hasher.update(secret);
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        // writing to a String does not fail
        write!(hex, "{byte:02x}").unwrap_or_default();
    }
    hex
}

/// Finds credentials in any bytes: UTF-8, UTF-16 with a byte order mark, or binary with ASCII in
/// it. Ordered by position.
pub fn find_secrets(bytes: &[u8]) -> Vec<SecretMatch> {
    find_secrets_in(rules::own(), "", bytes)
}

/// Finds credentials by a set of rules, in a file of this path.
pub fn find_secrets_in(set: &RuleSet, path: &str, bytes: &[u8]) -> Vec<SecretMatch> {
    if set.allows_path(path) {
        return Vec::new();
    }
    let bytes = decode_utf16(bytes);
    let clusters = find_clusters(set, path, &bytes);
    describe(&bytes, &clusters)
}

/// Replaces every credential in `text` by `[redacted:RULE]`.
///
/// Applying it twice changes nothing more.
pub fn redact(text: &str) -> RedactedText<'_> {
    let clusters = find_clusters(rules::own(), "", text.as_bytes());
    if clusters.is_empty() {
        return RedactedText { text: Cow::Borrowed(text), matches: Vec::new() };
    }
    let matches = describe(text.as_bytes(), &clusters);
    let mut output = String::with_capacity(text.len());
    let mut done = 0;
    for cluster in &clusters {
        // every pattern begins and ends on whole characters; were one not to, the replacement
        // must still happen, so the cut is widened rather than given up
        let start = floor_boundary(text, cluster.start);
        let end = ceil_boundary(text, cluster.end);
        output.push_str(text.get(done..start).unwrap_or_default());
        output.push_str(&marker(&cluster.by));
        done = end;
    }
    output.push_str(text.get(done..).unwrap_or_default());
    RedactedText { text: Cow::Owned(output), matches }
}

/// Ids and one-line descriptions of our own rules, in order of precedence.
pub fn rule_catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    let placed = [(kubernetes::ID, kubernetes::DESCRIPTION), (FILE_ID, FILE_DESCRIPTION)];
    rules::own().catalogue().chain(placed)
}

/// The rule for files that are one secret and nothing else.
const FILE_ID: &str = "secret-file";
const FILE_DESCRIPTION: &str = "file that holds one secret, by its name";

/// What a span was found by.
#[derive(Debug, Clone, Copy)]
enum By<'a> {
    Rule(&'a Rule),
    Place(&'static str),
}

impl By<'_> {
    fn id(&self) -> Cow<'static, str> {
        match self {
            Self::Rule(rule) => rule.id.clone(),
            Self::Place(id) => Cow::Borrowed(id),
        }
    }

    fn precision(&self) -> Precision {
        match self {
            Self::Rule(rule) => rule.precision,
            Self::Place(_) => Precision::General,
        }
    }

    fn validity(&self, secret: &[u8]) -> Validity {
        match self {
            Self::Rule(rule) => validity::check(rule.check, secret),
            Self::Place(_) => Validity::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Span<'a> {
    start: usize,
    end: usize,
    /// Index into the rule table, which is ordered from precise to general.
    rank: usize,
    by: By<'a>,
}

/// Matches that overlap: replaced as one, reported by what is most precise in it.
#[derive(Debug)]
struct Cluster<'a> {
    start: usize,
    end: usize,
    by: By<'a>,
    reported: Vec<Span<'a>>,
}

/// Bytes before a keyword that an expression may begin in.
const BEFORE: usize = 256;
/// Bytes after a keyword that an expression is tried on at first.
const AFTER: usize = 512;
/// How deep base 64 is unwrapped.
const DEPTH: u8 = 2;

fn find_clusters<'a>(set: &'a RuleSet, path: &str, bytes: &[u8]) -> Vec<Cluster<'a>> {
    let mut spans = find_spans(set, path, bytes, DEPTH);
    spans.sort_by_key(|span| (span.start, span.end, span.rank));

    let mut clusters: Vec<Cluster<'a>> = Vec::new();
    for span in spans {
        match clusters.last_mut().filter(|cluster| span.start < cluster.end) {
            Some(cluster) => {
                cluster.end = cluster.end.max(span.end);
                cluster.reported.push(span);
            }
            None => clusters.push(Cluster {
                start: span.start,
                end: span.end,
                by: span.by,
                reported: vec![span],
            }),
        }
    }
    for cluster in &mut clusters {
        cluster.keep_most_precise();
    }
    clusters
}

fn find_spans<'a>(set: &'a RuleSet, path: &str, bytes: &[u8], depth: u8) -> Vec<Span<'a>> {
    let mut spans = Vec::new();
    for (rank, windows) in windows(set, bytes) {
        let Some(rule) = set.rules.get(rank).filter(|rule| rule.wants(path)) else { continue };
        if rule.regex.is_none() {
            // a rule on names alone: the file itself is what it finds
            if !bytes.is_empty() && !path.is_empty() {
                spans.push(Span { start: 0, end: bytes.len().min(1), rank, by: By::Rule(rule) });
            }
            continue;
        }
        for (start, end) in windows {
            in_window(set, rule, rank, path, bytes, (start, end), &mut spans);
        }
    }
    let rank = set.rules.len();
    for (start, end) in kubernetes::values(bytes) {
        spans.push(Span { start, end, rank, by: By::Place(kubernetes::ID) });
    }
    if let Some((start, end)) = whole_file(path, bytes) {
        spans.push(Span { start, end, rank, by: By::Place(FILE_ID) });
    }
    if let Some(depth) = depth.checked_sub(1) {
        for (start, end, text) in encoded::texts(bytes) {
            let inner = find_spans(set, "", &text, depth);
            if let Some(best) = inner.iter().min_by_key(|span| span.rank) {
                spans.push(Span { start, end, rank: best.rank, by: best.by });
            }
        }
    }
    spans
}

/// For each rule that a keyword wakes, where it is tried: no byte twice.
fn windows(set: &RuleSet, bytes: &[u8]) -> Vec<(usize, Vec<(usize, usize)>)> {
    let mut found: Vec<Vec<(usize, usize)>> = vec![Vec::new(); set.rules.len()];
    for index in &set.always {
        if let Some(windows) = found.get_mut(*index) {
            windows.push((0, bytes.len()));
        }
    }
    let mut line_start = 0;
    let mut seen_to = 0;
    for hit in set.prefilter.find_overlapping_iter(bytes) {
        if hit.start() > seen_to {
            let passed = bytes.get(seen_to..hit.start()).unwrap_or_default();
            if let Some(at) = passed.iter().rposition(|byte| *byte == b'\n') {
                line_start = seen_to + at + 1;
            }
            seen_to = hit.start();
        }
        // whole lines, so that `^` means what it says; very long ones are cut
        let start = line_start.max(hit.start().saturating_sub(BEFORE)).min(hit.start());
        let end = hit.end().saturating_add(AFTER).min(bytes.len());
        for index in set.woken.get(hit.pattern().as_usize()).map_or(&[][..], Vec::as_slice) {
            let Some(windows) = found.get_mut(*index) else { continue };
            match windows.last_mut().filter(|(_, last)| start <= *last) {
                Some((_, last)) => *last = end.max(*last),
                None => windows.push((start, end)),
            }
        }
    }
    found.into_iter().enumerate().filter(|(_, windows)| !windows.is_empty()).collect()
}

fn in_window<'a>(
    set: &RuleSet,
    rule: &'a Rule,
    rank: usize,
    path: &str,
    bytes: &[u8],
    (start, mut end): (usize, usize),
    spans: &mut Vec<Span<'a>>,
) {
    let Some(regex) = &rule.regex else { return };
    let mut from = start;
    while let Some(window) = bytes.get(from..end) {
        let Some(captures) = regex.captures(window) else { return };
        let Some(whole) = captures.get(0) else { return };
        // a match that runs into the window's end may be longer: it is looked at again with more
        if whole.end() == window.len() && end < bytes.len() {
            end = end.saturating_add((end - from).max(AFTER)).min(bytes.len());
            continue;
        }
        let group = match rule.group {
            0 => captures.iter().skip(1).flatten().next().or_else(|| captures.get(0)),
            group => captures.get(group),
        };
        if let Some(secret) = group.filter(|secret| !secret.is_empty()) {
            let (line_from, line_to) = line_around(bytes, from + whole.start(), from + whole.end());
            let name_from = (from + secret.start()).saturating_sub(64).max(line_from);
            let found = Found {
                path,
                line: bytes.get(line_from..line_to).unwrap_or_default(),
                whole: whole.as_bytes(),
                secret: secret.as_bytes(),
                name: bytes.get(name_from..from + secret.start()).unwrap_or_default(),
            };
            if set.accepts(rule, &found) {
                spans.push(Span {
                    start: from + secret.start(),
                    end: from + secret.end(),
                    rank,
                    by: By::Rule(rule),
                });
            }
        }
        from += whole.end().max(whole.start() + 1);
    }
}

/// The line, or at most a thousand bytes of it on each side.
fn line_around(bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
    const MOST: usize = 1_000;
    let least = start.saturating_sub(MOST);
    let most = end.saturating_add(MOST).min(bytes.len());
    let before = bytes.get(least..start).unwrap_or_default();
    let after = bytes.get(end..most).unwrap_or_default();
    let from = before.iter().rposition(|byte| *byte == b'\n').map_or(least, |at| least + at + 1);
    let to = after.iter().position(|byte| *byte == b'\n').map_or(most, |at| end + at);
    (from, to)
}

/// A file whose name says that it is a secret, and that holds one random line.
fn whole_file(path: &str, bytes: &[u8]) -> Option<(usize, usize)> {
    const NAMES: [&str; 5] = ["secret", "token", "password", "apikey", "credential"];
    const CODE: [&str; 12] =
        ["rs", "py", "js", "ts", "go", "java", "md", "html", "yaml", "yml", "json", "xml"];
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let ending = name.rsplit('.').next().unwrap_or_default();
    if bytes.len() > 4096 || CODE.contains(&ending) || !NAMES.iter().any(|word| name.contains(word))
    {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let line = lines.next()?.trim();
    let is_random = line.len() >= 20
        && lines.next().is_none()
        && !line.contains([' ', '(', '<', '$', '{', '"', '\''])
        && line.bytes().any(|byte| byte.is_ascii_digit())
        && line.bytes().any(|byte| byte.is_ascii_alphabetic())
        && placeholder::entropy(line.as_bytes()) >= 3.8
        && !placeholder::is_placeholder(line)
        && !placeholder::reads_like_code(line);
    let start = text.find(line)?;
    is_random.then_some((start, start + line.len()))
}

impl Cluster<'_> {
    /// `token = "ghp_…"` is one secret, not two: general rules say nothing where a precise one
    /// speaks, and of several general ones the first in the table speaks. Two precise secrets
    /// that overlap stay two, or an ignore of one would hide the other.
    fn keep_most_precise(&mut self) {
        let Some(best) = self.reported.iter().min_by_key(|span| span.rank).copied() else { return };
        self.by = best.by;
        match best.by.precision() {
            Precision::Precise => {
                self.reported.retain(|span| span.by.precision() == Precision::Precise);
                self.reported.dedup_by_key(|span| (span.start, span.end));
            }
            Precision::General => self.reported = vec![best],
        }
    }
}

fn describe(bytes: &[u8], clusters: &[Cluster<'_>]) -> Vec<SecretMatch> {
    let mut cursor = Cursor::new(bytes);
    let mut matches = Vec::new();
    let mut previous_end = 0;
    for (index, cluster) in clusters.iter().enumerate() {
        let next_start = clusters.get(index + 1).map_or(bytes.len(), |next| next.start);
        let mut excerpt = None;
        for span in &cluster.reported {
            let (line, column) = cursor.advance_to(span.start);
            let excerpt = excerpt.get_or_insert_with(|| {
                let from = previous_end.max(cursor.line_start()).min(cluster.start);
                excerpt_around(bytes, cluster, from, next_start)
            });
            let secret = bytes.get(span.start..span.end).unwrap_or_default();
            matches.push(SecretMatch {
                rule: span.by.id(),
                line,
                column,
                excerpt: excerpt.clone(),
                fingerprint: fingerprint(&span.by.id(), secret),
                validity: span.by.validity(secret),
            });
        }
        previous_end = cluster.end;
    }
    matches
}

/// The marker with a little of the same line on both sides, never reaching into another secret.
fn excerpt_around(bytes: &[u8], cluster: &Cluster<'_>, from: usize, to: usize) -> String {
    // the window is cut on bytes first, because a line can be millions of bytes long
    let from = from.max(cluster.start.saturating_sub(EXCERPT_CONTEXT + 4));
    let to = to.min(cluster.end.saturating_add(EXCERPT_CONTEXT + 4));
    let before = String::from_utf8_lossy(bytes.get(from..cluster.start).unwrap_or_default());
    let after = String::from_utf8_lossy(bytes.get(cluster.end..to).unwrap_or_default());
    let after = after.split(['\n', '\r']).next().unwrap_or_default();
    let joined = format!(
        "{}{}{}",
        tail(before.trim_start(), EXCERPT_CONTEXT),
        marker(&cluster.by),
        head(after, EXCERPT_CONTEXT),
    );
    joined.trim().replace(|c: char| c.is_control(), " ")
}

fn marker(by: &By<'_>) -> String {
    format!("[redacted:{}]", by.id())
}

fn floor_boundary(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn ceil_boundary(text: &str, mut offset: usize) -> usize {
    while offset < text.len() && !text.is_char_boundary(offset) {
        offset += 1;
    }
    offset.min(text.len())
}

/// A UTF-16 file would otherwise hide its secrets behind a zero after each letter.
fn decode_utf16(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (units, from_bytes): (_, fn([u8; 2]) -> u16) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => (rest, u16::from_be_bytes),
        _ => return Cow::Borrowed(bytes),
    };
    let units = units.as_chunks::<2>().0.iter().map(|pair| from_bytes(*pair));
    let text: String =
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Cow::Owned(text.into_bytes())
}
