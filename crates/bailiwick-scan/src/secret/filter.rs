//! What a value must survive to count as a secret.

use super::placeholder::{entropy, is_placeholder, is_stand_in, reads_like_code};
use super::rules::{Filter, Found, Precision};

/// Whether a match is a secret and not something that only looks like one.
pub(super) fn passes(filter: Filter, precision: Precision, found: &Found<'_>) -> bool {
    let value = found.secret;
    let text = String::from_utf8_lossy(value);
    if precision == Precision::General && (is_mock(found) || is_named_otherwise(found)) {
        return false;
    }
    match filter {
        Filter::Any => true,
        Filter::Token => !is_placeholder(&text),
        Filter::KeyBlock => has_key_body(&text),
        Filter::UrlPassword => !is_placeholder(&text) && !is_stand_in(&text),
        Filter::Assigned => {
            (value.iter().any(u8::is_ascii_digit) || has_symbols(value))
                && value.iter().any(u8::is_ascii_alphabetic)
                && !is_placeholder(&text)
                && !is_encrypted(&text)
                && !is_stand_in(&text)
                && !reads_like_code(&text)
        }
        Filter::Base64Pair => super::encoded::decode_any(value).is_some_and(|decoded| {
            // the name may be any word; the password is what counts
            let text = String::from_utf8_lossy(&decoded);
            let password =
                text.split_once(':').map_or_else(|| text.as_ref(), |(_, password)| password);
            decoded.len() >= 12 && !is_placeholder(password)
        }),
    }
}

/// Whether the name says that the value is none: `mock_token`.
fn is_mock(found: &Found<'_>) -> bool {
    let before = String::from_utf8_lossy(found.name).to_lowercase();
    ["mock", "dummy", "fake", "sample", "example", "placeholder"]
        .iter()
        .any(|word| before.contains(word))
}

/// Whether the name is that of something beside a secret: `private_key_id`, `token_url`.
fn is_named_otherwise(found: &Found<'_>) -> bool {
    let before = String::from_utf8_lossy(found.name);
    let name = before.trim_end_matches(|c: char| c.is_whitespace() || "\"'`:=>".contains(c));
    ["_id", "-id", "Id", "_url", "_uri", "_path", "_file", "_name", "-name", "Name", "Path", "Url"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// Whether a value has signs as passwords have them and identifiers do not.
fn has_symbols(value: &[u8]) -> bool {
    let mut signs: Vec<u8> =
        value.iter().copied().filter(|byte| b"!@#$%^&*+~?".contains(byte)).collect();
    signs.sort_unstable();
    signs.dedup();
    signs.len() >= 3
}

/// Whether a value is the encrypted form of a secret whose key is elsewhere.
fn is_encrypted(value: &str) -> bool {
    ["ENC(", "ENC[", "{cipher}", "$ANSIBLE_VAULT", "vault:"]
        .iter()
        .any(|mark| value.starts_with(mark))
}

/// Whether a key block holds key material, as documentation about keys does not.
fn has_key_body(block: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let runs = || block.split(|c: char| !is_part(c)).filter(|run| run.len() >= 40);
    // One line of key material is enough: the first of an OpenSSH key is mostly padding.
    runs().any(|run| entropy(run.as_bytes()) >= 4.0)
}
