//! The ranges of npm's `semver`. Pre-releases count by order alone, which accepts a few that npm
//! would not choose by itself, and none that is outside the bounds.

use semver::Version;

use crate::version::semantic;

/// A version with parts left out.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    rest: String,
}

fn partial(text: &str) -> Option<Partial> {
    let text = text.trim().trim_start_matches(['v', '=']);
    let (core, rest) = match text.find(['-', '+']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let mut parts = core.split('.').map(|part| match part {
        "x" | "X" | "*" | "" => Some(None),
        digits => digits.parse::<u64>().ok().map(Some),
    });
    let mut next = || parts.next().unwrap_or(Some(None));
    let (major, minor, patch) = (next()?, next()?, next()?);
    parts.next().is_none().then(|| Partial { major, minor, patch, rest: rest.to_owned() })
}

impl Partial {
    fn lowest(&self) -> Option<Version> {
        let number = |part: Option<u64>| part.unwrap_or(0);
        let (major, minor, patch) = (number(self.major), number(self.minor), number(self.patch));
        let rest = if self.patch.is_some() { self.rest.as_str() } else { "" };
        Version::parse(&format!("{major}.{minor}.{patch}{rest}")).ok()
    }

    /// The first version after everything that the written parts cover; none if that is all.
    fn next(&self) -> Option<Version> {
        let (major, minor, patch) = match (self.major, self.minor, self.patch) {
            (None, _, _) => return None,
            (Some(major), None, _) => (major.checked_add(1)?, 0, 0),
            (Some(major), Some(minor), None) => (major, minor.checked_add(1)?, 0),
            (Some(major), Some(minor), Some(patch)) => (major, minor, patch.checked_add(1)?),
        };
        before(major, minor, patch)
    }
}

/// The bound that keeps even pre-releases of a version out.
fn before(major: u64, minor: u64, patch: u64) -> Option<Version> {
    Version::parse(&format!("{major}.{minor}.{patch}-0")).ok()
}

/// None if one of the two can't be read.
pub(super) fn check(requirement: &str, version: &str) -> Option<bool> {
    let version = semantic(version)?;
    let mut any = false;
    for alternative in requirement.split("||") {
        any |= conjunction(alternative.trim(), &version)?;
    }
    Some(any)
}

fn conjunction(text: &str, version: &Version) -> Option<bool> {
    if let Some((low, high)) = text.split_once(" - ") {
        let (low, high) = (partial(low)?, partial(high)?);
        let under = match (high.patch, high.next()) {
            (Some(_), _) => *version <= high.lowest()?,
            (None, Some(next)) => *version < next,
            (None, None) => true,
        };
        return Some(*version >= low.lowest()? && under);
    }
    let mut all = true;
    let mut operator = String::new();
    for word in text.split_whitespace() {
        // an operator may stand apart from its version
        if word.chars().all(|c| "<>=~^".contains(c)) {
            operator.push_str(word);
            continue;
        }
        let whole = format!("{operator}{word}");
        operator.clear();
        all &= one(&whole, version)?;
    }
    operator.is_empty().then_some(all)
}

fn one(text: &str, version: &Version) -> Option<bool> {
    let end = text.find(|c: char| !"<>=~^".contains(c)).unwrap_or(text.len());
    let (operator, rest) = text.split_at(end);
    let bound = partial(rest)?;
    let low = bound.lowest()?;
    let under = |next: Option<Version>| next.is_none_or(|next| *version < next);
    Some(match operator {
        "" | "=" => match bound.patch {
            Some(_) => version.cmp_precedence(&low).is_eq(),
            None => *version >= low && under(bound.next()),
        },
        ">" => match bound.patch {
            Some(_) => *version > low,
            None => bound.next().is_some_and(|next| *version >= next),
        },
        ">=" => *version >= low,
        "<" => *version < low,
        "<=" => match bound.patch {
            Some(_) => *version <= low,
            None => under(bound.next()),
        },
        "~" | "~>" => {
            let cut = Partial { patch: None, ..bound };
            *version >= low && under(cut.next())
        }
        "^" => {
            let next = match (bound.major, bound.minor, bound.patch) {
                (None, _, _) => None,
                (Some(0), Some(0), Some(patch)) => before(0, 0, patch.checked_add(1)?),
                (Some(0), Some(minor), _) => before(0, minor.checked_add(1)?, 0),
                (Some(major), _, _) => before(major.checked_add(1)?, 0, 0),
            };
            *version >= low && under(next)
        }
        _ => return None,
    })
}
