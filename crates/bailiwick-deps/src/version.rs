//! Which of two versions is the later one, by the rules of each ecosystem.

mod maven;
mod pep440;

use std::cmp::Ordering;

use crate::ecosystem::Ecosystem;

pub(crate) use pep440::Pep440;

/// A version by the rules of semantic versioning, as npm, Cargo and Go write it.
pub(crate) fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.trim().trim_start_matches(['v', '=']);
    semver::Version::parse(text).ok().or_else(|| {
        // advisories leave out what is zero
        let (core, rest) = match text.find(['-', '+']) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let zeros = match core.matches('.').count() {
            0 => ".0.0",
            1 => ".0",
            _ => return None,
        };
        semver::Version::parse(&format!("{core}{zeros}{rest}")).ok()
    })
}

/// Compares two versions; none if one of them is no version of the ecosystem.
pub fn compare(ecosystem: Ecosystem, one: &str, other: &str) -> Option<Ordering> {
    match ecosystem {
        Ecosystem::Cargo | Ecosystem::Npm | Ecosystem::Go => {
            Some(semantic(one)?.cmp_precedence(&semantic(other)?))
        }
        Ecosystem::Pypi => Some(Pep440::parse(one)?.cmp(&Pep440::parse(other)?)),
        Ecosystem::Maven => Some(maven::compare(one, other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ecosystem_orders_versions_by_its_own_rules() {
        use Ecosystem::{Cargo, Go, Maven, Npm, Pypi};
        for (ecosystem, ordered) in [
            (Npm, vec!["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0", "1.9.0", "1.10.0"]),
            (Cargo, vec!["0.9", "1.0.0-rc.1", "1.0.0", "1.0.1"]),
            (
                Go,
                vec![
                    "v0.0.0-20190101000000-abcdefabcdef",
                    "v0.1.0",
                    "v1.0.0+incompatible",
                    "v2.0.0",
                ],
            ),
            (
                Pypi,
                vec![
                    "1.0.dev1",
                    "1.0a1.dev1",
                    "1.0a1",
                    "1.0b2",
                    "1.0rc1",
                    "1.0",
                    "1.0+local.1",
                    "1.0.post1.dev1",
                    "1.0.post1",
                    "1.1.dev1",
                    "1.1",
                    "1.10",
                    "1!0.1",
                ],
            ),
            (
                Maven,
                vec![
                    "1-alpha-1",
                    "1-beta",
                    "1-milestone",
                    "1-rc1",
                    "1-SNAPSHOT",
                    "1",
                    "1-sp",
                    "1-xyz",
                    "1.1",
                    "1.2.3",
                    "1.10",
                ],
            ),
        ] {
            for (at, one) in ordered.iter().enumerate() {
                for (other_at, other) in ordered.iter().enumerate() {
                    let expected = Some(at.cmp(&other_at));
                    assert_eq!(compare(ecosystem, one, other), expected, "{one} {other}");
                }
            }
        }
        for (ecosystem, one, other) in [
            (Pypi, "1.0", "v1.0.0"),
            (Pypi, "1.0alpha1", "1.0-a.1"),
            (Pypi, "1.0-1", "1.0.post1"),
            (Maven, "1.0.0", "1"),
            (Maven, "1.ga", "1"),
            (Maven, "1-rc", "1-cr"),
            (Go, "v2.0.0+incompatible", "v2.0.0"),
        ] {
            assert_eq!(compare(ecosystem, one, other), Some(Ordering::Equal), "{one} {other}");
        }
        assert_eq!(compare(Npm, "latest", "1.0.0"), None);
        assert_eq!(compare(Pypi, "1.0", "one"), None);
    }
}
