//! Finds credentials in text, and replaces them.
//!
//! A rule is a pattern with the part that is the secret, then two filters: entropy (real tokens
//! are random) and placeholders (`EXAMPLE`, `xxxx`, `${VAR}`, …). There is deliberately no inline
//! "allow" comment: whoever writes the secret could write the comment as well. Exceptions are
//! made by fingerprint, from a file on the protected branch, by the gate.

mod placeholder;
mod rules;

use crate::position::{Cursor, head, tail};
use rules::{CompiledRule, Precision, Rule};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Bytes of context kept on each side of a redacted secret in an excerpt.
const EXCERPT_CONTEXT: usize = 40;

/// A credential that was found, described without containing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretMatch {
    /// Stable rule id such as `github-token`.
    pub rule: &'static str,
    /// Line, counted from 1.
    pub line: u32,
    /// Column of the secret itself, counted from 1, in characters.
    pub column: u32,
    /// A piece of the line with every secret in it replaced by `[redacted:RULE]`.
    pub excerpt: String,
    /// [`fingerprint`] of rule and secret, for ignores and for "was it there before?".
    pub fingerprint: String,
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
    let bytes = decode_utf16(bytes);
    let clusters = find_clusters(&bytes);
    describe(&bytes, &clusters)
}

/// Replaces every credential in `text` by `[redacted:RULE]`.
///
/// Applying it twice changes nothing more.
pub fn redact(text: &str) -> RedactedText<'_> {
    let clusters = find_clusters(text.as_bytes());
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
        output.push_str(&marker(cluster.rule));
        done = end;
    }
    output.push_str(text.get(done..).unwrap_or_default());
    RedactedText { text: Cow::Owned(output), matches }
}

/// Ids and one-line descriptions of all rules, in order of precedence.
pub fn rule_catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    rules::all().iter().map(|compiled| (compiled.rule.id, compiled.rule.description))
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    /// Index into the rule table, which is ordered from precise to general.
    rank: usize,
    rule: &'static Rule,
}

/// Matches that overlap: replaced as one, reported by what is most precise in it.
#[derive(Debug)]
struct Cluster {
    start: usize,
    end: usize,
    rule: &'static Rule,
    reported: Vec<Span>,
}

fn find_clusters(bytes: &[u8]) -> Vec<Cluster> {
    let mut spans = Vec::new();
    for (rank, CompiledRule { rule, regex }) in rules::all().iter().enumerate() {
        for captures in regex.captures_iter(bytes) {
            let Some(secret) = captures.get(1) else { continue };
            if rule.accepts(secret.as_bytes()) {
                spans.push(Span { start: secret.start(), end: secret.end(), rank, rule });
            }
        }
    }
    spans.sort_by_key(|span| (span.start, span.end, span.rank));

    let mut clusters: Vec<Cluster> = Vec::new();
    for span in spans {
        match clusters.last_mut().filter(|cluster| span.start < cluster.end) {
            Some(cluster) => {
                cluster.end = cluster.end.max(span.end);
                cluster.reported.push(span);
            }
            None => clusters.push(Cluster {
                start: span.start,
                end: span.end,
                rule: span.rule,
                reported: vec![span],
            }),
        }
    }
    for cluster in &mut clusters {
        cluster.keep_most_precise();
    }
    clusters
}

impl Cluster {
    /// `token = "ghp_…"` is one secret, not two: general rules say nothing where a precise one
    /// speaks, and of several general ones the first in the table speaks. Two precise secrets
    /// that overlap stay two, or an ignore of one would hide the other.
    fn keep_most_precise(&mut self) {
        let Some(best) = self.reported.iter().min_by_key(|span| span.rank).copied() else { return };
        self.rule = best.rule;
        match best.rule.precision {
            Precision::Precise => {
                self.reported.retain(|span| span.rule.precision == Precision::Precise);
                self.reported.dedup_by_key(|span| (span.start, span.end));
            }
            Precision::General => self.reported = vec![best],
        }
    }
}

fn describe(bytes: &[u8], clusters: &[Cluster]) -> Vec<SecretMatch> {
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
                rule: span.rule.id,
                line,
                column,
                excerpt: excerpt.clone(),
                fingerprint: fingerprint(span.rule.id, secret),
            });
        }
        previous_end = cluster.end;
    }
    matches
}

/// The marker with a little of the same line on both sides, never reaching into another secret.
fn excerpt_around(bytes: &[u8], cluster: &Cluster, from: usize, to: usize) -> String {
    // the window is cut on bytes first, because a line can be millions of bytes long
    let from = from.max(cluster.start.saturating_sub(EXCERPT_CONTEXT + 4));
    let to = to.min(cluster.end.saturating_add(EXCERPT_CONTEXT + 4));
    let before = String::from_utf8_lossy(bytes.get(from..cluster.start).unwrap_or_default());
    let after = String::from_utf8_lossy(bytes.get(cluster.end..to).unwrap_or_default());
    let after = after.split(['\n', '\r']).next().unwrap_or_default();
    let joined = format!(
        "{}{}{}",
        tail(before.trim_start(), EXCERPT_CONTEXT),
        marker(cluster.rule),
        head(after, EXCERPT_CONTEXT),
    );
    joined.trim().replace(|c: char| c.is_control(), " ")
}

fn marker(rule: &Rule) -> String {
    format!("[redacted:{}]", rule.id)
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
