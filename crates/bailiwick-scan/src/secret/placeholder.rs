//! Tells a real secret from what people write in its place.

/// Words that a random token practically never contains and documentation does.
const WORDS: &[&str] = &[
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "redacted",
    "dummy",
    "notreal",
    "not_real",
    "not-real",
    "insert_",
    "insert-",
    "your_",
    "your-",
    "yourtoken",
    "yourkey",
    "yourpass",
    "yoursecret",
    "xxxx",
    "****",
    "....",
    "____",
    "----",
    "0000000",
    "1234567",
    "abcdefg",
    "fake",
    "sample",
    "replace_",
    "replace-",
    "replaceme",
    "todo",
];

/// Beginnings and pieces of a reference to a value that is kept elsewhere.
const REFERENCES: &[&str] = &["${", "$(", "{{", "%(", "<%", "#{", "}}", "<", ">"];

/// Values which stand for a password in prose, in lower case.
const STAND_INS: &[&str] = &[
    "pass",
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "user",
    "username",
    "hunter2",
    "null",
    "none",
    "true",
    "false",
    "test",
    "undefined",
    "apikey",
    "api_key",
    "key",
    "credentials",
    "admin",
    "root",
    "guest",
    "foo",
    "bar",
    "baz",
    "abc",
    "123",
    "pw",
];

/// Whether `value` is a stand-in rather than a secret.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
        || is_reference(value)
        || longest_repeat(value.as_bytes()) >= 6
}

/// Whether `value` refers to a variable or template: `${VAR}`, `$VAR`, `{{ var }}`, `%VAR%`.
fn is_reference(value: &str) -> bool {
    REFERENCES.iter().any(|mark| value.contains(mark))
        || value
            .strip_prefix('$')
            .is_some_and(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        || (value.len() > 2 && value.starts_with('%') && value.ends_with('%'))
        || (value.starts_with('{') && value.ends_with('}'))
}

/// Whether `value` is a word people write where a password goes, possibly with other such words
/// or numbers: `password123`, `test-token`, `my_secret`.
pub(super) fn is_stand_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let bare = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!');
    STAND_INS.contains(&lower.as_str()) || STAND_INS.contains(&bare)
}

/// Whether `value` reads as an identifier, path or expression instead of random characters:
/// every part between separators is a plain word, or it is called or indexed.
pub(super) fn reads_like_code(value: &str) -> bool {
    if value.contains(['(', ')', '[', ']', ' ', ';']) || value.contains("::") {
        return true;
    }
    let mut parts =
        value.split(['_', '-', '.', '/', ':', ',', '@']).filter(|part| !part.is_empty());
    parts.all(is_word)
}

/// A word in one case (or capitalised, or camel case) with at most two digits at its end, or those
/// digits alone.
fn is_word(part: &str) -> bool {
    let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = part.len() - letters.len();
    digits <= 2
        && letters.chars().all(char::is_alphabetic)
        && humps(letters) * 3 <= letters.len().max(3)
}

/// How many capitals follow a small letter: random letters alternate far more than camel case.
fn humps(letters: &str) -> usize {
    letters
        .as_bytes()
        .windows(2)
        .filter(|pair| {
            matches!(pair, [first, second]
                if first.is_ascii_lowercase() && second.is_ascii_uppercase())
        })
        .count()
}

/// Length of the longest run of one byte.
fn longest_repeat(bytes: &[u8]) -> usize {
    bytes.chunk_by(|first, second| first == second).map(<[u8]>::len).max().unwrap_or(0)
}

/// Shannon entropy of the byte distribution in bits per byte; 0 for nothing.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).max(1.0);
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_and_references_are_known() {
        for value in [
            "${TOKEN}",
            "$API_KEY",
            "{{ secret }}",
            "<token>",
            "%TOKEN%",
            "aaaaaaa1",
            "AKIAIOSFODNN7EXAMPLE",
            "your_token_here",
            "xxxxxxxx",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["k8Jq2mZx", "Tr0ub4dor&3", "$6rounds"] {
            assert!(!is_placeholder(value), "{value}");
        }
        assert!(is_stand_in("password123") && is_stand_in("Secret!") && !is_stand_in("kR8q"));
    }

    #[test]
    fn identifiers_read_like_code_and_random_letters_do_not() {
        for value in ["self.token_name", "getPassword()", "session-token", "std::env", "userName2"]
        {
            assert!(reads_like_code(value), "{value}");
        }
        for value in ["aZbYcXdWeV", "k8Jq2mZx91", "p4ss-w0rd-9x1"] {
            assert!(!reads_like_code(value), "{value}");
        }
    }

    #[test]
    fn entropy_is_bits_per_byte() {
        assert!(entropy(b"").abs() < 1e-9);
        assert!(entropy(b"aaaa").abs() < 1e-9);
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-9);
        let all: Vec<u8> = (0..=255).collect();
        assert!((entropy(&all) - 8.0).abs() < 1e-9);
    }
}
