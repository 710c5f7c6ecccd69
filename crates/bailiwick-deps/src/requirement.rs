//! Whether a version meets a requirement, by the rules of each ecosystem.

mod npm;

use std::cmp::Ordering;

use crate::ecosystem::Ecosystem;
use crate::version::Pep440;

/// Whether a version meets a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// One of the two can't be read, so nothing was found out.
    Unknown,
}

fn meets(truth: bool) -> Meets {
    if truth { Meets::Yes } else { Meets::No }
}

/// Holds a version against a requirement.
pub fn check(ecosystem: Ecosystem, requirement: &str, version: &str) -> Meets {
    let requirement = requirement.trim();
    if requirement.is_empty() {
        return Meets::Yes;
    }
    match ecosystem {
        Ecosystem::Cargo => {
            match (semver::VersionReq::parse(requirement), semver::Version::parse(version)) {
                (Ok(wanted), Ok(version)) => meets(wanted.matches(&version)),
                _ => Meets::Unknown,
            }
        }
        Ecosystem::Npm => npm::check(requirement, version).map_or(Meets::Unknown, meets),
        Ecosystem::Pypi => pypi(requirement, version).map_or(Meets::Unknown, meets),
        Ecosystem::Go => meets(requirement == version),
        Ecosystem::Maven => Meets::Unknown,
    }
}

/// Whether a requirement leaves everything to whoever publishes next.
pub fn is_unbounded(ecosystem: Ecosystem, requirement: &str) -> bool {
    let bare = requirement.trim().to_ascii_lowercase();
    match ecosystem {
        Ecosystem::Cargo | Ecosystem::Npm => {
            matches!(
                bare.as_str(),
                "*" | "latest" | "next" | "x" | "x.x" | ">=0" | ">=0.0.0" | ">0"
            )
        }
        // pip, poetry: an empty one is what `requirements.in` and many libraries write
        Ecosystem::Pypi => matches!(bare.as_str(), "*" | ">=0" | ">=0.0"),
        Ecosystem::Go => bare == "latest",
        Ecosystem::Maven => {
            bare.contains('+')
                || bare.starts_with("latest.")
                || bare == "latest"
                || bare == "release"
                || bare.ends_with(",)")
        }
    }
}

/// PEP 440's specifiers, and poetry's `^` and bare versions. Pre-releases count by order alone.
fn pypi(requirement: &str, version: &str) -> Option<bool> {
    let version = Pep440::parse(version)?;
    let mut any = false;
    for alternative in requirement.split("||") {
        let mut all = true;
        for one in alternative.split([',']).map(str::trim).filter(|one| !one.is_empty()) {
            all &= pypi_one(one, &version)?;
        }
        any |= all;
    }
    Some(any)
}

fn pypi_one(one: &str, version: &Pep440) -> Option<bool> {
    const OPERATORS: [&str; 9] = ["===", "==", "!=", "~=", "<=", ">=", "<", ">", "^"];
    if one == "*" {
        return Some(true);
    }
    let found = OPERATORS.iter().find_map(|op| Some((*op, one.strip_prefix(op)?)));
    let (operator, bound) = match found {
        Some(found) => found,
        None => match one.strip_prefix('~') {
            Some(bound) => ("~", bound),
            None => ("==", one),
        },
    };
    let bound = bound.trim();
    if let Some(series) = bound.strip_suffix(".*") {
        let is_in = version.begins_with(&Pep440::parse(series)?);
        return match operator {
            "==" => Some(is_in),
            "!=" => Some(!is_in),
            _ => None,
        };
    }
    let bound = Pep440::parse(bound)?;
    let compared = if bound.has_local() { version.clone() } else { version.public() };
    let order = compared.cmp(&bound);
    let series = |keep: usize| {
        let text: Vec<String> =
            bound.written.iter().take(keep.max(1)).map(ToString::to_string).collect();
        Pep440::parse(&text.join("."))
    };
    Some(match operator {
        "===" | "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        "<=" => order != Ordering::Greater,
        ">=" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        ">" => order == Ordering::Greater,
        "~=" => {
            order != Ordering::Less
                && version.begins_with(&series(bound.written.len().saturating_sub(1))?)
        }
        "~" => order != Ordering::Less && version.begins_with(&series(bound.written.len().min(2))?),
        "^" => {
            let zeros = bound.written.iter().take_while(|part| **part == 0).count();
            order != Ordering::Less
                && version.begins_with(&series((zeros + 1).min(bound.written.len()))?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_met_by_the_rules_of_their_ecosystem() {
        use Ecosystem::{Cargo, Npm, Pypi};
        use Meets::{No, Unknown, Yes};
        for (ecosystem, requirement, version, expected) in [
            (Cargo, "1.2", "1.9.0", Yes),
            (Cargo, "1.2", "2.0.0", No),
            (Cargo, "=1.2.3", "1.2.4", No),
            (Cargo, "0.1", "0.2.0", No),
            (Npm, "^1.2.3", "1.9.9", Yes),
            (Npm, "^1.2.3", "2.0.0", No),
            (Npm, "^1.2.3", "2.0.0-beta", No),
            (Npm, "^0.2.3", "0.3.0", No),
            (Npm, "^0.0.3", "0.0.4", No),
            (Npm, "~1.2.3", "1.2.9", Yes),
            (Npm, "~1.2", "1.3.0", No),
            (Npm, "1.x", "1.99.0", Yes),
            (Npm, "1", "2.0.0", No),
            (Npm, "*", "9.0.0", Yes),
            (Npm, ">=1.0.0 <2.0.0 || ^3", "3.1.0", Yes),
            (Npm, ">=1.0.0 <2.0.0 || ^3", "2.1.0", No),
            (Npm, ">= 1.0.0", "1.0.0", Yes),
            (Npm, "1.2.3 - 2.3", "2.3.9", Yes),
            (Npm, "1.2.3 - 2.3", "2.4.0", No),
            (Npm, "latest", "1.0.0", Unknown),
            (Npm, "workspace:*", "1.0.0", Unknown),
            (Pypi, ">=1.0,<2", "1.5", Yes),
            (Pypi, ">=1.0,<2", "2.0", No),
            (Pypi, "~=1.4.2", "1.4.9", Yes),
            (Pypi, "~=1.4.2", "1.5.0", No),
            (Pypi, "==1.4.*", "1.4.0", Yes),
            (Pypi, "!=1.4.*", "1.4.0", No),
            (Pypi, "==1.0", "1.0+cu118", Yes),
            (Pypi, "^1.2", "1.9", Yes),
            (Pypi, "^0.2", "0.3", No),
            (Pypi, "^2.0 || ^3.0", "3.1", Yes),
            (Pypi, "1.2.3", "1.2.3", Yes),
            (Pypi, "", "3", Yes),
            (Pypi, "whatever", "3", Unknown),
        ] {
            assert_eq!(check(ecosystem, requirement, version), expected, "{requirement} {version}");
        }
    }
}
