//! A provider's key: read once from where its reference points, sent to that provider alone, and
//! never shown, not even when a server sends it back.

use std::fs;

use bailiwick_model::outcome::{Outcome, Recorded};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::KeyRef;

/// The most bytes of a key; more is surely the wrong file.
const MAX_KEY_BYTES: usize = 8 * 1024;
/// The shortest piece of a key that is hidden when a server quotes it.
const REDACT_FROM_BYTES: usize = 8;
const REDACTED: &str = "[redacted]";

/// The right to send a provider's key with one call. Made only of a permit for its use, so that
/// every use of a key is decided and recorded.
#[derive(Debug)]
#[must_use = "a grant is spent by handing it to the call"]
pub struct KeyGrant {
    provider: String,
}

impl KeyGrant {
    pub(crate) fn new(provider: String) -> Self {
        Self { provider }
    }

    pub(crate) fn is_for(&self, provider: &str) -> bool {
        self.provider == provider
    }
}

impl Recorded for KeyGrant {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

/// What became of a key reference.
#[derive(Debug)]
pub(crate) enum ApiKey {
    /// None is configured; none is sent.
    NotConfigured,
    /// The reference led to a key.
    Present(SecretString),
    /// The reference led nowhere.
    Missing { reference: KeyRef, problem: String },
}

impl ApiKey {
    pub(crate) fn resolve(reference: Option<&KeyRef>) -> Self {
        let Some(reference) = reference else { return Self::NotConfigured };
        let found = match reference {
            KeyRef::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => "is not set".to_owned(),
                std::env::VarError::NotUnicode(_) => "is not text".to_owned(),
            }),
            KeyRef::File(path) => fs::read_to_string(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => "is not text".to_owned(),
                _ => format!("can't be read: {error}"),
            }),
        };
        match found.and_then(|text| accept(&text)) {
            Ok(key) => Self::Present(key),
            Err(problem) => Self::Missing { reference: reference.clone(), problem },
        }
    }

    /// Returns the header value, marked sensitive so that no log shows it.
    pub(crate) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let Self::Present(key) = self else { return None };
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Says whether the whole key stands in `text`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        matches!(self, Self::Present(key) if text.contains(key.expose_secret()))
    }

    /// Returns `text` fit for an error message: no piece of the key, no control characters, and
    /// no more than `max_chars` characters.
    pub(crate) fn redact(&self, text: &str, max_chars: usize) -> String {
        let hidden = match self {
            Self::Present(key) => hide(text, key.expose_secret()),
            Self::NotConfigured | Self::Missing { .. } => text.to_owned(),
        };
        let mut shown: String =
            hidden.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max_chars).collect();
        if hidden.chars().nth(max_chars).is_some() {
            shown.push('…');
        }
        shown
    }
}

fn accept(text: &str) -> Result<SecretString, String> {
    let key = text.trim();
    if key.is_empty() {
        return Err("is empty".to_owned());
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(format!("holds more than {MAX_KEY_BYTES} bytes"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds white space or characters that no key has".to_owned());
    }
    Ok(SecretString::from(key))
}

/// Hides every stretch of `text` that is a piece of `key` of [`REDACT_FROM_BYTES`] or more (or all
/// of a shorter key): servers like to quote the beginning or the end of a key.
fn hide(text: &str, key: &str) -> String {
    let width = key.len().min(REDACT_FROM_BYTES);
    let text = text.as_bytes();
    let pieces: std::collections::HashSet<&[u8]> = key.as_bytes().windows(width).collect();
    let mut hidden = vec![false; text.len()];
    for (at, window) in text.windows(width).enumerate() {
        if pieces.contains(window) {
            for flag in hidden.iter_mut().skip(at).take(width) {
                *flag = true;
            }
        }
    }
    let mut shown = Vec::with_capacity(text.len());
    let mut in_hidden = false;
    for (byte, is_hidden) in text.iter().zip(hidden) {
        if !is_hidden {
            shown.push(*byte);
        } else if !in_hidden {
            shown.extend_from_slice(REDACTED.as_bytes());
        }
        in_hidden = is_hidden;
    }
    // A key is ASCII, so whole characters were replaced.
    String::from_utf8_lossy(&shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ApiKey {
        ApiKey::Present(SecretString::from(text))
    }

    #[test]
    fn no_piece_of_a_key_is_shown() {
        let key = key("sk-ant-abcdefghijklmnop");
        for (text, shown) in [
            ("bad key sk-ant-abcdefghijklmnop!", "bad key [redacted]!"),
            ("bad key sk-ant-abcd****ijklmnop", "bad key [redacted]****[redacted]"),
            ("ünaffected öther text", "ünaffected öther text"),
            ("a\r\nb\u{7}", "a  b "),
            ("“sk-ant-abcdefghijklmnop”", "“[redacted]”"),
        ] {
            assert_eq!(key.redact(text, 100), shown);
        }
        assert_eq!(key.redact("0123456789", 4), "0123…");
        assert!(!format!("{key:?}").contains("abcdefgh"));
    }

    #[test]
    fn a_short_key_is_hidden_whole() {
        assert_eq!(key("abc").redact("xabcx ab", 100), "x[redacted]x ab");
    }

    #[test]
    fn a_key_file_with_more_than_a_key_is_refused() {
        assert_eq!(accept(" \n").unwrap_err(), "is empty");
        assert!(accept("two words").is_err());
        assert_eq!(accept("sk-1\n").unwrap().expose_secret(), "sk-1");
    }
}
