//! Runs every file in `fixtures/`: a new file is a new test.
//!
//! A file has lines `note: …` and `expect: RULE LINE:COLUMN`, then `---`, then the text. In the
//! text `{{a~b~c}}` joins pieces, so that nothing in the repository looks like a token: a piece
//! is `alnum:N`, `hex:N`, … (N repeatable random characters), `U+XXXX` (a character), `T:text`
//! (text in tag characters), or itself.

#[cfg(test)]
mod fixture {
    use sha2::{Digest as _, Sha256};
    use std::path::{Path, PathBuf};

    pub(crate) struct Fixture {
        pub(crate) name: String,
        pub(crate) expected: Vec<String>,
        pub(crate) text: String,
        /// The random pieces, which no result may show.
        pub(crate) random: Vec<String>,
    }

    pub(crate) fn load(kind: &str) -> Vec<Fixture> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(kind);
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= 10, "fixtures are missing");
        paths.iter().map(|path| parse(path)).collect()
    }

    fn parse(path: &Path) -> Fixture {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let content = std::fs::read_to_string(path).unwrap();
        let (head, body) = content.split_once("\n---\n").expect("a line `---`");
        let mut expected = Vec::new();
        for line in head.lines() {
            match line.split_once(": ") {
                Some(("expect", rest)) => expected.push(rest.to_owned()),
                Some(("note", _)) => {}
                _ => panic!("{name}: unknown line `{line}`"),
            }
        }
        let (text, random) = expand(&name, body);
        Fixture { name, expected, text, random }
    }

    fn expand(seed: &str, body: &str) -> (String, Vec<String>) {
        let mut output = String::new();
        let mut random = Vec::new();
        let mut rest = body;
        while let Some((before, after)) = rest.split_once("{{") {
            let (template, after) = after.split_once("}}").expect("a closing `}}`");
            output.push_str(before);
            for piece in template.split('~') {
                let expanded = expand_piece(piece, &format!("{seed}/{}", output.len()));
                match expanded {
                    Piece::Random(value) => {
                        output.push_str(&value);
                        random.push(value);
                    }
                    Piece::Plain(value) => output.push_str(&value),
                }
            }
            rest = after;
        }
        output.push_str(rest);
        (output, random)
    }

    enum Piece {
        Random(String),
        Plain(String),
    }

    fn expand_piece(piece: &str, seed: &str) -> Piece {
        const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
        const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const DIGITS: &str = "0123456789";
        if let Some(text) = piece.strip_prefix("T:") {
            let tags = text.chars().map(|c| char::from_u32(u32::from(c) + 0xE0000).unwrap());
            return Piece::Plain(tags.collect());
        }
        if let Some(point) = piece.strip_prefix("U+") {
            let point = u32::from_str_radix(point, 16).unwrap();
            return Piece::Plain(char::from_u32(point).unwrap().to_string());
        }
        let Some((class, length)) = piece.split_once(':') else {
            return Piece::Plain(piece.to_owned());
        };
        let alphabet = match class {
            "alnum" => format!("{LOWER}{UPPER}{DIGITS}"),
            "b64" => format!("{LOWER}{UPPER}{DIGITS}+/"),
            "b64url" => format!("{LOWER}{UPPER}{DIGITS}-_"),
            "digit" => DIGITS.to_owned(),
            "hex" => "0123456789abcdef".to_owned(),
            "upper32" => format!("{UPPER}234567"),
            "pw" => format!("{LOWER}{UPPER}{DIGITS}!%&+*"),
            _ => return Piece::Plain(piece.to_owned()),
        };
        let length: usize = length.parse().expect("a length");
        let alphabet = alphabet.as_bytes();
        let mut value = String::new();
        for block in 0_u32.. {
            let hash = Sha256::digest(format!("{seed}/{block}").as_bytes());
            for byte in hash {
                if value.len() == length {
                    return Piece::Random(value);
                }
                value.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
            }
        }
        Piece::Plain(value)
    }

    /// Compares what was found with what was expected, prints precision and recall, and fails
    /// with a list of all differences.
    pub(crate) fn judge(kind: &str, results: &[(Fixture, Vec<String>)]) {
        let (mut hits, mut missed, mut false_alarms) = (0_u32, Vec::new(), Vec::new());
        for (fixture, found) in results {
            for expected in &fixture.expected {
                if found.contains(expected) {
                    hits += 1;
                } else {
                    missed.push(format!("{}: missed {expected}", fixture.name));
                }
            }
            for found in found.iter().filter(|found| !fixture.expected.contains(found)) {
                false_alarms.push(format!("{}: false alarm {found}", fixture.name));
            }
        }
        let share = |others: usize| f64::from(hits) / (f64::from(hits) + others as f64);
        println!(
            "{kind}: {} files, precision {:.3}, recall {:.3}",
            results.len(),
            share(false_alarms.len()),
            share(missed.len()),
        );
        missed.extend(false_alarms);
        assert!(missed.is_empty(), "\n{}", missed.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{judge, load};
    use bailiwick_scan::{find_hidden, find_instructions, find_secrets, redact, reveal};

    #[test]
    fn secrets() {
        let results: Vec<_> = load("secrets")
            .into_iter()
            .map(|fixture| {
                let found = find_secrets(fixture.text.as_bytes())
                    .iter()
                    .map(|found| format!("{} {}:{}", found.rule, found.line, found.column))
                    .collect();
                (fixture, found)
            })
            .collect();
        judge("secrets", &results);
    }

    #[test]
    fn no_result_shows_a_secret() {
        let mut checked = 0;
        for fixture in load("secrets").iter().filter(|fixture| !fixture.expected.is_empty()) {
            let redacted = redact(&fixture.text);
            let shown = format!("{}\n{:?}", redacted.text, redacted.matches);
            for secret in fixture.random.iter().filter(|secret| secret.len() >= 8) {
                assert!(fixture.text.contains(secret.as_str()), "control: it was there");
                assert!(!shown.contains(secret.as_str()), "{} shows a secret", fixture.name);
                checked += 1;
            }
            let again = redact(&redacted.text);
            assert_eq!(again.text, redacted.text, "{}: redacting twice", fixture.name);
            assert_eq!(again.matches, [], "{}: redacting twice", fixture.name);
        }
        assert!(checked > 40);
    }

    #[test]
    fn hidden_text() {
        let results: Vec<_> = load("hidden")
            .into_iter()
            .map(|fixture| {
                let found = find_hidden(&fixture.text)
                    .iter()
                    .map(|found| format!("{} {}:{}", found.kind.as_str(), found.line, found.column))
                    .collect();
                (fixture, found)
            })
            .collect();
        judge("hidden", &results);
        for (fixture, found) in &results {
            let (revealed, _) = reveal(&fixture.text);
            let left = find_hidden(&revealed);
            assert!(
                left.iter().all(|found| found.kind.as_str() == "mixed_script"),
                "{}: {left:?}",
                fixture.name
            );
            assert_eq!(found.is_empty(), fixture.expected.is_empty());
        }
    }

    #[test]
    fn instructions() {
        let results: Vec<_> = load("instructions")
            .into_iter()
            .map(|fixture| {
                let found = find_instructions(&fixture.text)
                    .iter()
                    .map(|found| format!("{} {}:{}", found.rule, found.line, found.column))
                    .collect();
                (fixture, found)
            })
            .collect();
        judge("instructions", &results);
    }

    #[test]
    fn tag_characters_are_decoded() {
        let hidden: String =
            "send it".chars().map(|c| char::from_u32(u32::from(c) + 0xE0000).unwrap()).collect();
        let found = find_hidden(&format!("ok{hidden}"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].shows.as_str(), found[0].count), ("send it", 7));
    }

    /// Every rule is needed: with it switched off, some fixture misses what it expects.
    #[test]
    fn each_rule_is_needed() {
        use bailiwick_scan::{RuleSet, find_secrets_in};
        let fixtures = load("secrets");
        let own = RuleSet::with_own("").unwrap();
        let ids: Vec<String> = own.catalogue().map(|(id, _)| id.to_owned()).collect();
        let mut unneeded = Vec::new();
        for id in ids {
            let expecting: Vec<_> = fixtures
                .iter()
                .filter(|fixture| {
                    fixture.expected.iter().any(|expected| expected.starts_with(&format!("{id} ")))
                })
                .collect();
            let without = RuleSet::with_own("").unwrap().without(&id);
            let red = expecting.iter().any(|fixture| {
                !find_secrets_in(&without, "", fixture.text.as_bytes())
                    .iter()
                    .any(|found| found.rule == id)
            });
            if !red {
                unneeded.push(id);
            }
        }
        assert!(unneeded.is_empty(), "no fixture needs {unneeded:?}");
    }
}
