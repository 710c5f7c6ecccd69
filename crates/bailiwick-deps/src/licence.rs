//! Licence expressions against what the organisation allows.

use crate::policy::LicencePolicy;

/// What a policy says of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LicenceVerdict {
    /// It may be used.
    Allowed,
    /// It may not.
    Denied,
    /// It is no expression that can be read.
    Unknown,
}

pub(crate) fn judge(expression: &str, policy: &LicencePolicy) -> LicenceVerdict {
    let Ok(read) = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX) else {
        return LicenceVerdict::Unknown;
    };
    let mut unknown = false;
    let allowed = read.evaluate(|requirement| {
        let Some(id) = requirement.license.id() else {
            unknown = true;
            return false;
        };
        !policy.deny.contains(id.name)
            && (policy.allow.is_empty() || policy.allow.contains(id.name))
    });
    match (allowed, unknown) {
        (true, _) => LicenceVerdict::Allowed,
        (false, true) => LicenceVerdict::Unknown,
        (false, false) => LicenceVerdict::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_if_one_way_through_it_is() {
        let policy = |allow: &[&str], deny: &[&str]| LicencePolicy {
            allow: allow.iter().map(|one| (*one).to_owned()).collect(),
            deny: deny.iter().map(|one| (*one).to_owned()).collect(),
            ..LicencePolicy::default()
        };
        use LicenceVerdict::{Allowed, Denied, Unknown};
        for (expression, allow, deny, expected) in [
            ("MIT OR GPL-3.0-only", vec!["MIT"], vec![], Allowed),
            ("MIT AND GPL-3.0-only", vec!["MIT"], vec![], Denied),
            ("MIT/Apache-2.0", vec!["Apache-2.0"], vec![], Allowed),
            ("AGPL-3.0-only", vec![], vec!["AGPL-3.0-only"], Denied),
            ("ISC", vec![], vec!["AGPL-3.0-only"], Allowed),
            ("SEE LICENSE IN LICENSE.md", vec!["MIT"], vec![], Unknown),
            ("LicenseRef-own", vec!["MIT"], vec![], Unknown),
            ("", vec!["MIT"], vec![], Unknown),
        ] {
            assert_eq!(judge(expression, &policy(&allow, &deny)), expected, "{expression}");
        }
    }
}
