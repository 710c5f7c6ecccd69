//! Addresses in lock files: what they name, taken apart without ever following one.

use crate::package::{Declared, Source};

/// The scheme of an address, if it has one.
pub(crate) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (!scheme.is_empty() && scheme.chars().all(plain)).then_some(scheme)
}

/// The host of an address, in lower case, without user and port.
pub(crate) fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.split_once(']') {
        Some((inner, _)) => inner.trim_start_matches('['),
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The path of an address, without query and fragment, percent-decoded where that is plain.
pub(crate) fn path(url: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return String::new() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    path.replace("%2f", "/").replace("%2F", "/").replace("%40", "@")
}

/// Whether an address can be changed under way.
pub(crate) fn is_insecure(url: &str) -> bool {
    let bare = url.strip_prefix("git+").unwrap_or(url);
    let bare = bare.strip_prefix("registry+").unwrap_or(bare);
    scheme(bare).is_some_and(|scheme| {
        matches!(scheme.to_ascii_lowercase().as_str(), "http" | "git" | "ftp" | "svn")
    }) && !host(bare).is_some_and(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1"))
}

/// A commit named in full.
pub(crate) fn full_commit(text: &str) -> Option<String> {
    let hex = text.chars().all(|c| c.is_ascii_hexdigit());
    (hex && matches!(text.len(), 40 | 64)).then(|| text.to_ascii_lowercase())
}

/// A git source from an address such as `git+https://host/x.git?rev=a#commit`.
pub(crate) fn git(url: &str) -> Source {
    let bare = url.strip_prefix("git+").unwrap_or(url);
    let (address, fragment) = bare.split_once('#').unwrap_or((bare, ""));
    let fragment = fragment.strip_prefix("commit=").unwrap_or(fragment);
    let address = address.split('?').next().unwrap_or(address);
    Source::Git { url: address.to_owned(), commit: full_commit(fragment) }
}

/// Whether a text names a git repository.
pub(crate) fn is_git(text: &str) -> bool {
    text.starts_with("git+")
        || text.starts_with("git:")
        || text.starts_with("git@")
        || text.starts_with("ssh://")
        || ["github:", "gitlab:", "bitbucket:", "gist:"].iter().any(|one| text.starts_with(one))
        || (scheme(text).is_some() && path(text).trim_end_matches('/').ends_with(".git"))
}

/// Where an address on the web leads: a git repository, or an archive.
pub(crate) fn web(url: &str) -> Source {
    if is_git(url) { git(url) } else { Source::Url { url: url.to_owned() } }
}

/// What a requirement in an npm manifest asks for.
pub(crate) fn npm_wish(name: &str, requirement: &str, mut declared: Declared) -> Declared {
    let text = requirement.trim();
    if let Some(rest) = text.strip_prefix("npm:") {
        let (target, range) =
            match rest.char_indices().filter(|(at, _)| *at > 0).find(|(_, c)| *c == '@') {
                Some((at, _)) => (rest.get(..at).unwrap_or(rest), rest.get(at + 1..).unwrap_or("")),
                // yarn writes `npm:^1.0.0` for a range of the name itself
                None if rest
                    .starts_with(|c: char| c.is_ascii_digit() || "^~<>=*vx".contains(c)) =>
                {
                    declared.requirement = rest.to_owned();
                    return declared;
                }
                None => (rest, ""),
            };
        if target != name {
            declared.alias = Some(name.to_owned());
            target.clone_into(&mut declared.name);
        }
        range.clone_into(&mut declared.requirement);
        return declared;
    }
    let path = ["file:", "link:", "portal:"].iter().find_map(|one| text.strip_prefix(one));
    declared.source = if text.starts_with("workspace:") {
        Source::Project
    } else if let Some(path) = path {
        Source::Path { path: path.to_owned() }
    } else if text.starts_with("./") || text.starts_with("../") || text.starts_with('/') {
        Source::Path { path: text.to_owned() }
    } else if is_git(text) {
        git(text)
    } else if scheme(text).is_some() {
        Source::Url { url: text.to_owned() }
    } else if is_shorthand(text) {
        let (repo, commit) = text.split_once('#').unwrap_or((text, ""));
        Source::Git { url: format!("github:{repo}"), commit: full_commit(commit) }
    } else {
        return declared;
    };
    declared
}

/// `user/repository`, which npm takes for GitHub.
fn is_shorthand(text: &str) -> bool {
    let repo = text.split('#').next().unwrap_or(text);
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    repo.split_once('/').is_some_and(|(user, name)| plain(user) && plain(name))
}

/// Whether a relative path, seen from a directory of the repository, leaves the repository.
pub(crate) fn escapes(directory: &str, path: &str) -> bool {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let path = path.split(['?', '#']).next().unwrap_or(path);
    if path.starts_with(['/', '\\', '~']) || path.contains('\\') || path.get(1..2) == Some(":") {
        return true;
    }
    let mut depth: i64 =
        directory.split('/').filter(|part| !part.is_empty()).count().try_into().unwrap_or(0);
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_one_that_a_client_would_ask() {
        for (url, expected) in [
            ("https://registry.npmjs.org/a/-/a-1.0.0.tgz", Some("registry.npmjs.org")),
            ("https://registry.npmjs.org@evil.example/a.tgz", Some("evil.example")),
            ("https://user:x@Host.Example:8080/a", Some("host.example")),
            ("https://[::1]:80/a", Some("::1")),
            ("https://evil.example\\registry.npmjs.org/", Some("evil.example")),
            ("file:../x", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_seen() {
        for (directory, path, expected) in [
            ("crates/a", "../b", false),
            ("crates/a", "../../b", false),
            ("crates/a", "../../../b", true),
            ("", "../b", true),
            ("", "/etc", true),
            ("a", "x/../../..", true),
            ("a", "C:\\x", true),
        ] {
            assert_eq!(escapes(directory, path), expected, "{directory} {path}");
        }
    }
}
