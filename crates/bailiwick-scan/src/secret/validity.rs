//! What can be told of a secret without asking its issuer.

use super::rules::Check;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Serialize;

/// What a value's own structure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Nothing can be told.
    Unknown,
    /// It has the structure, or the checksum, of a real one.
    Holds,
    /// Its checksum or structure does not hold: mistyped, made up, or cut off.
    Broken,
}

/// Checks a value.
pub(super) fn check(check: Option<Check>, value: &[u8]) -> Validity {
    let Some(check) = check else { return Validity::Unknown };
    let text = String::from_utf8_lossy(value);
    let holds = match check {
        Check::Base62Crc32 => has_crc(&text),
        Check::Jwt => is_jwt(&text),
        Check::AwsKeyId => {
            text.len() == 20
                && text
                    .bytes()
                    .skip(4)
                    .all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
        }
        Check::Pem => is_pem(&text),
    };
    if holds { Validity::Holds } else { Validity::Broken }
}

/// GitHub and npm tokens: after the prefix come 30 characters, then their CRC-32 in base 62.
fn has_crc(token: &str) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some((_, body)) = token.split_once('_') else { return false };
    let Some((random, sum)) = body.len().checked_sub(6).and_then(|at| body.split_at_checked(at))
    else {
        return false;
    };
    let mut rest = crc32(random.as_bytes());
    let mut expected = [b'0'; 6];
    for place in expected.iter_mut().rev() {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        *place = DIGITS.get(digit).copied().unwrap_or(b'0');
        rest /= 62;
    }
    sum.as_bytes() == expected
}

/// CRC-32 as in ISO 3309, bit by bit: tokens are short.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn is_jwt(token: &str) -> bool {
    let mut parts = token.split('.');
    let json = |part: Option<&str>| -> Option<serde_json::Value> {
        let bytes = URL_SAFE_NO_PAD.decode(part?.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let header = json(parts.next());
    let claims = json(parts.next());
    header.is_some_and(|header| header.get("alg").is_some())
        && claims.is_some_and(|claims| claims.is_object())
}

fn is_pem(block: &str) -> bool {
    let lines: String = block
        .split("-----")
        .filter(|part| !part.contains("PRIVATE KEY"))
        .flat_map(|part| part.split(['\n', '\r', ' ', '\\']))
        // headers such as `Proc-Type:`; and what is left of `\n` in a JSON string
        .filter(|line| !line.contains(':'))
        .map(|line| line.strip_prefix('n').filter(|_| block.contains("\\n")).unwrap_or(line))
        .collect();
    // A key that was cut off, or spoilt by a character, is still most of a key.
    let body = lines.trim_end_matches('=');
    let whole = body.get(..body.len() - body.len() % 4).unwrap_or_default();
    STANDARD_NO_PAD.decode(whole).is_ok_and(|bytes| bytes.len() >= 32)
}

/// Whether a token is the one that every introduction to web tokens shows.
pub(super) fn is_sample_jwt(token: &str) -> bool {
    token
        .split('.')
        .nth(1)
        .and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok())
        .is_some_and(|claims| String::from_utf8_lossy(&claims).contains("\"sub\":\"1234567890\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token with the right checksum, made here so that none stands in the repository.
    fn token(random: &str) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut rest = crc32(random.as_bytes());
        let mut sum = Vec::new();
        for _ in 0..6 {
            sum.insert(0, DIGITS[(rest % 62) as usize]);
            rest /= 62;
        }
        format!("gh{}{random}{}", "p_", String::from_utf8(sum).unwrap())
    }

    #[test]
    fn checksums_tell_real_tokens_from_made_up_ones() {
        // the check value of CRC-32 (ISO 3309) in every catalogue of such sums
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let good = token("aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW3");
        assert_eq!(check(Some(Check::Base62Crc32), good.as_bytes()), Validity::Holds);
        let bad = good.replace("aB3", "aB4");
        assert_eq!(check(Some(Check::Base62Crc32), bad.as_bytes()), Validity::Broken);
        assert_eq!(check(None, good.as_bytes()), Validity::Unknown);
    }

    #[test]
    fn a_key_that_was_cut_off_is_a_key() {
        let block =
            |body: &str| format!("-----BEGIN {0}-----\n{body}\n-----END {0}-----", "PRIVATE KEY");
        for (length, valid) in [(64, true), (65, true), (66, true), (67, true), (20, false)] {
            let expected = if valid { Validity::Holds } else { Validity::Broken };
            let body = "a1B2c3D4".repeat(9).chars().take(length).collect::<String>();
            assert_eq!(check(Some(Check::Pem), block(&body).as_bytes()), expected, "{length}");
        }
        assert_eq!(
            check(Some(Check::Pem), block("(your key here, please)").as_bytes()),
            Validity::Broken
        );
    }

    #[test]
    fn a_web_token_is_json_inside() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let good = format!("{}.{}.c2ln", part("{\"alg\":\"HS256\"}"), part("{\"sub\":\"a\"}"));
        assert_eq!(check(Some(Check::Jwt), good.as_bytes()), Validity::Holds);
        let bad = format!("{}.{}.c2ln", part("{\"alg\""), part("{}"));
        assert_eq!(check(Some(Check::Jwt), bad.as_bytes()), Validity::Broken);
    }
}
