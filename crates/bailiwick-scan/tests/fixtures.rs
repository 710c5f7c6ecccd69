//! Runs every file in `fixtures/`: a new file is a new test. How one is written stands in `fixture`.

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::{Fixture, load};
    use bailiwick_scan::{find_hidden, find_instructions, find_secrets, redact, reveal};

    /// Compares what was found with what was expected, prints precision and recall, and fails
    /// with a list of all differences.
    fn judge(kind: &str, results: &[(Fixture, Vec<String>)]) {
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
