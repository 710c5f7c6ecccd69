//! Known vulnerabilities in the OSV form, from a mirror that somebody else keeps.

mod cvss;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bailiwick_model::Timestamp;
use serde::Deserialize;

use crate::document::{Doc, MAX_BYTES};
use crate::ecosystem::Ecosystem;
use crate::error::{ReadError, unexpected};
use crate::version::compare;

/// How bad a vulnerability is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threat {
    /// Under 4.0.
    Low,
    /// 4.0 to 6.9.
    Medium,
    /// 7.0 to 8.9, and what nobody has rated.
    High,
    /// 9.0 and more, and packages that are malicious.
    Critical,
}

/// One advisory about one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its name, such as `GHSA-…`.
    pub id: String,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// One line about it.
    pub summary: String,
    /// How bad.
    pub threat: Threat,
    /// The package itself is the attack.
    pub malicious: bool,
    versions: Vec<String>,
    ranges: Vec<Vec<Event>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(String),
}

/// Advisories by package, and how fresh they are.
#[derive(Debug, Clone, Default)]
pub struct Advisories {
    by_package: BTreeMap<(Ecosystem, String), Vec<Advisory>>,
    /// The latest change of any advisory.
    newest: Option<Timestamp>,
    /// When the mirror says that it was made.
    fetched: Option<Timestamp>,
    /// How many advisories there are.
    pub count: usize,
}

impl Advisories {
    /// Adds one file of the mirror: one advisory in the OSV form. Advisories about other
    /// ecosystems, and withdrawn ones, add nothing.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        if bytes.len() > MAX_BYTES {
            return Err(ReadError::TooLarge { bytes: bytes.len(), most: MAX_BYTES });
        }
        let doc = Doc::json(bytes)?;
        let id = doc.need("id")?;
        let modified: Timestamp =
            doc.need("modified")?.parse().map_err(|_| unexpected("modified", "a time"))?;
        self.newest = self.newest.max(Some(modified));
        self.count += 1;
        if doc.get("withdrawn").is_some_and(|one| *one != Doc::Null) {
            return Ok(());
        }
        let mut aliases = Vec::new();
        for alias in doc.list("aliases")? {
            aliases.extend(alias.text().map(str::to_owned));
        }
        let malicious = id.starts_with("MAL-") || aliases.iter().any(|one| one.starts_with("MAL-"));
        for affected in doc.list("affected")? {
            let package = affected.get("package").unwrap_or(&Doc::Null);
            let (Some(name), Some(world)) = (package.str("name")?, package.str("ecosystem")?)
            else {
                continue;
            };
            // a suffix after a colon names a part of it
            let world = world.split(':').next().unwrap_or(world);
            let Some(ecosystem) = Ecosystem::ALL.into_iter().find(|one| one.osv() == world) else {
                continue;
            };
            let advisory = Advisory {
                id: id.to_owned(),
                aliases: aliases.clone(),
                summary: doc.str("summary")?.unwrap_or("").chars().take(200).collect(),
                threat: if malicious { Threat::Critical } else { threat(&doc, affected)? },
                malicious,
                versions: texts(affected.list("versions")?),
                ranges: ranges(affected)?,
            };
            self.by_package
                .entry((ecosystem, ecosystem.canonical(name)))
                .or_default()
                .push(advisory);
        }
        Ok(())
    }

    /// Notes when the mirror was made.
    pub fn made_at(&mut self, at: Timestamp) {
        self.fetched = Some(at);
    }

    /// How old the mirror is: since it was made, or else since its latest change.
    pub fn age_days(&self, now: Timestamp) -> Option<i64> {
        let since = self.fetched.or(self.newest)?;
        Some((now.as_second() - since.as_second()).div_euclid(86_400))
    }

    /// The advisories that a version of a package falls under.
    pub fn about<'a>(
        &'a self,
        ecosystem: Ecosystem,
        name: &str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Advisory> {
        self.by_package
            .get(&(ecosystem, ecosystem.canonical(name)))
            .into_iter()
            .flatten()
            .filter(move |advisory| advisory.concerns(ecosystem, version))
    }
}

fn texts(list: &[Doc]) -> Vec<String> {
    list.iter().filter_map(Doc::scalar).map(str::to_owned).collect()
}

fn threat(doc: &Doc, affected: &Doc) -> Result<Threat, ReadError> {
    let words = [doc, affected]
        .into_iter()
        .filter_map(|one| one.get("database_specific")?.get("severity")?.text());
    for word in words {
        match word.to_ascii_uppercase().as_str() {
            "CRITICAL" => return Ok(Threat::Critical),
            "HIGH" => return Ok(Threat::High),
            "MODERATE" | "MEDIUM" => return Ok(Threat::Medium),
            "LOW" => return Ok(Threat::Low),
            _ => {}
        }
    }
    let mut worst = None;
    for severity in doc.list("severity")?.iter().chain(affected.list("severity")?) {
        if let Some(score) = severity.str("score")? {
            worst = worst.max(cvss::threat(score));
        }
    }
    Ok(worst.unwrap_or(Threat::High))
}

fn ranges(affected: &Doc) -> Result<Vec<Vec<Event>>, ReadError> {
    let mut ranges = Vec::new();
    for range in affected.list("ranges")? {
        if range.str("type")? == Some("GIT") {
            continue;
        }
        let mut events = Vec::new();
        for event in range.list("events")? {
            let version = |key: &str| event.str(key).map(|one| one.map(str::to_owned));
            events.extend(version("introduced")?.map(Event::Introduced));
            events.extend(version("fixed")?.map(Event::Fixed));
            events.extend(version("last_affected")?.map(Event::LastAffected));
            events.extend(version("limit")?.map(Event::Limit));
        }
        ranges.push(events);
    }
    Ok(ranges)
}

impl Event {
    fn version(&self) -> &str {
        match self {
            Self::Introduced(version)
            | Self::Fixed(version)
            | Self::LastAffected(version)
            | Self::Limit(version) => version,
        }
    }
}

impl Advisory {
    /// The versions that have the fix.
    pub fn fixed_in(&self) -> Vec<&str> {
        self.ranges
            .iter()
            .flatten()
            .filter_map(|event| match event {
                Event::Fixed(version) => Some(version.as_str()),
                Event::Introduced(_) | Event::LastAffected(_) | Event::Limit(_) => None,
            })
            .collect()
    }

    /// The evaluation that the OSV schema gives: a version is affected if it is listed, or if
    /// within a range the last event at or before it opens.
    fn concerns(&self, ecosystem: Ecosystem, version: &str) -> bool {
        let same = |listed: &String| {
            listed == version || compare(ecosystem, listed, version) == Some(Ordering::Equal)
        };
        self.versions.iter().any(same)
            || self.ranges.iter().any(|range| in_range(ecosystem, range, version))
    }
}

fn in_range(ecosystem: Ecosystem, range: &[Event], version: &str) -> bool {
    let order = |event: &Event| match event.version() {
        "0" => Some(Ordering::Less),
        bound => compare(ecosystem, bound, version),
    };
    let mut affected = false;
    let mut latest: Option<&Event> = None;
    for event in range {
        let Some(order) = order(event) else {
            // a version that can't be compared is taken for affected: better one question more
            return true;
        };
        let passed = match event {
            Event::Introduced(_) | Event::Fixed(_) | Event::Limit(_) => order.is_le(),
            Event::LastAffected(_) => order.is_lt(),
        };
        if !passed {
            continue;
        }
        let later = latest.is_none_or(|before| {
            before.version() == "0"
                || compare(ecosystem, before.version(), event.version())
                    .is_some_and(Ordering::is_le)
        });
        if later {
            latest = Some(event);
            affected = matches!(event, Event::Introduced(_));
        }
    }
    affected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advisories(affected: &str) -> Advisories {
        let mut all = Advisories::default();
        let text = format!(
            r#"{{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [{affected}]}}"#
        );
        all.add(text.as_bytes()).unwrap();
        all
    }

    #[test]
    fn a_version_is_affected_between_its_events() {
        for (world, ecosystem, events, affected, fine) in [
            (
                "npm",
                Ecosystem::Npm,
                r#"{"introduced": "0"}, {"fixed": "4.17.21"}"#,
                vec!["0.0.1", "4.17.20", "4.17.21-pre"],
                vec!["4.17.21", "5.0.0"],
            ),
            (
                "crates.io",
                Ecosystem::Cargo,
                r#"{"introduced": "1.0.0"}, {"last_affected": "1.2.0"}"#,
                vec!["1.0.0", "1.2.0"],
                vec!["0.9.0", "1.2.1"],
            ),
            (
                "PyPI",
                Ecosystem::Pypi,
                r#"{"introduced": "0"}, {"fixed": "1.5"}, {"introduced": "2.0a1"}, {"fixed": "2.1"}"#,
                vec!["1.4.post1", "2.0", "2.0a1", "2.1rc1"],
                vec!["1.5", "1.9", "2.0.dev1", "2.1"],
            ),
            (
                "Go",
                Ecosystem::Go,
                r#"{"introduced": "0"}, {"fixed": "1.9.1"}"#,
                vec!["v1.9.0", "v0.0.0-20200101000000-abcdefabcdef"],
                vec!["v1.9.1", "v1.10.0"],
            ),
            (
                "Maven",
                Ecosystem::Maven,
                r#"{"introduced": "2.0-beta9"}, {"fixed": "2.15.0"}"#,
                vec!["2.14.1", "2.0-beta9", "2.15.0-rc1"],
                vec!["2.0-beta8", "2.15.0", "2.17.1"],
            ),
        ] {
            let all = advisories(&format!(
                r#"{{"package": {{"name": "a", "ecosystem": "{world}"}}, "ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]}}"#
            ));
            for version in affected {
                assert_eq!(all.about(ecosystem, "a", version).count(), 1, "{world} {version}");
            }
            for version in fine {
                assert_eq!(all.about(ecosystem, "a", version).count(), 0, "{world} {version}");
            }
        }
    }

    #[test]
    fn listed_versions_count_by_value_and_age_by_the_mirrors_own_word() {
        let mut all =
            advisories(r#"{"package": {"name": "A_b", "ecosystem": "PyPI"}, "versions": ["1.0"]}"#);
        assert_eq!(all.about(Ecosystem::Pypi, "a-B", "1.0.0").count(), 1);
        assert_eq!(all.about(Ecosystem::Pypi, "a-b", "1.1").count(), 0);
        let now: Timestamp = "2026-01-11T00:00:00Z".parse().unwrap();
        assert_eq!(all.age_days(now), Some(10));
        all.made_at("2026-01-10T00:00:00Z".parse().unwrap());
        assert_eq!(all.age_days(now), Some(1));
        assert!(all.add(b"{}").is_err());
        assert!(all.add(b"[").is_err());
    }
}
