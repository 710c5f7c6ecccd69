//! Requests to hosts in the one form that rules compare.
//!
//! A rule says `api.example.com/v1/*`. Whatever could mean that place and be written otherwise (a
//! capital, a dot at the end, `/v1/../admin`, `%2e`) is no request that can be judged, and so it
//! is denied.

use bailiwick_model::action::HostRequest;

/// The longest name of a host.
const MOST_NAME: usize = 253;
/// The longest path.
const MOST_PATH: usize = 4096;

/// The host, if its name is in the one form.
pub(crate) fn name(request: &HostRequest) -> Result<String, String> {
    let host = request.host.as_str();
    if is_name(host) {
        Ok(host.to_owned())
    } else {
        Err(format!("`{}` is not a host's name in its one form", host.escape_debug()))
    }
}

/// Whether a text is a host's name: lower-case labels, or an address.
pub(crate) fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    // an address in brackets is compared as the standard library writes it
    let six = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|inner| Some((inner, inner.parse::<std::net::Ipv6Addr>().ok()?)));
    if let Some((inner, address)) = six {
        return address.to_string() == inner;
    }
    // `0x7f.1` and `2130706433` are addresses to some programs and names to others
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|c: char| c.is_ascii_digit());
    let four = host.parse::<std::net::Ipv4Addr>().is_ok_and(|found| found.to_string() == host);
    (1..=MOST_NAME).contains(&host.len()) && host.split('.').all(label) && (!numeric || four)
}

pub(crate) fn scheme(request: &HostRequest) -> Result<&str, String> {
    match request.scheme.as_str() {
        scheme @ ("https" | "http") => Ok(scheme),
        other => Err(format!("`{}` is neither `https` nor `http`", other.escape_debug())),
    }
}

pub(crate) fn method(request: &HostRequest) -> Result<&str, String> {
    let method = request.method.as_str();
    if is_method(method) {
        Ok(method)
    } else {
        Err(format!("`{}` is not a method in capitals", method.escape_debug()))
    }
}

pub(crate) fn is_method(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
}

pub(crate) fn path(request: &HostRequest) -> Result<&str, String> {
    let path = request.path.as_str();
    let known = |b: u8| b.is_ascii_graphic() && !b"?#\\\"<>^`{}|*".contains(&b);
    let inner = path.strip_prefix('/').unwrap_or_default();
    let mut parts = inner.split('/').peekable();
    let mut whole = true;
    while let Some(part) = parts.next() {
        // only the last one may be empty: `/v1/`
        whole &= !matches!(part, "." | "..") && (!part.is_empty() || parts.peek().is_none());
    }
    let good = path.starts_with('/')
        && path.len() <= MOST_PATH
        && path.bytes().all(known)
        && whole
        && escapes_are_needed(path);
    if good {
        Ok(path)
    } else {
        Err(format!("`{}` is not a path in its one form", path.escape_debug()))
    }
}

/// Whether each `%XX` is in capitals and stands for what can't be written as it is. `%2F` is none
/// of them: to some servers it is a `/`.
fn escapes_are_needed(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let Some(digits) = rest.get(..2) else { return false };
        let upper = digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        let Ok(byte) = u8::from_str_radix(digits, 16) else { return false };
        let as_it_is = byte.is_ascii_alphanumeric() || b"-._~/\\".contains(&byte) || byte < 0x20;
        upper && !as_it_is
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, method: &str, path: &str) -> HostRequest {
        HostRequest {
            scheme: "https".to_owned(),
            host: host.to_owned(),
            port: 443,
            method: method.to_owned(),
            path: path.to_owned(),
            body_digest: None,
        }
    }

    #[test]
    fn one_place_has_one_form() {
        for host in
            ["api.example.com", "a-b.example", "localhost", "127.0.0.1", "[::1]", "_dmarc.example"]
        {
            assert!(name(&request(host, "GET", "/")).is_ok(), "{host}");
        }
        for host in [
            "",
            "API.example.com",
            "example.com.",
            "a..b",
            "-a.example",
            "a.example:443",
            "user@a.example",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "127.0.0.01",
            "[::0001]",
            "[::1",
            "exämple.com",
            "a b",
            "a/b",
        ] {
            assert!(name(&request(host, "GET", "/")).is_err(), "{host}");
        }
        for good in
            ["/", "/v1", "/v1/", "/v1/a.tar.gz", "/a%20b", "/%C3%A4", "/@scope/name", "/a:b;c=d,e"]
        {
            assert!(path(&request("a", "GET", good)).is_ok(), "{good}");
        }
        for bad in [
            "",
            "v1",
            "//",
            "/v1//a",
            "/../a",
            "/v1/..",
            "/v1/./a",
            "/%2e%2e/a",
            "/%2E%2E/a",
            "/a%2Fb",
            "/a%2fb",
            "/%41",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a b",
            "/ä",
            "/%5C",
            "/%00",
            "/a*",
        ] {
            assert!(path(&request("a", "GET", bad)).is_err(), "{bad}");
        }
        for (text, good) in
            [("GET", true), ("M-SEARCH", true), ("get", false), ("", false), ("GET ", false)]
        {
            assert_eq!(method(&request("a", text, "/")).is_ok(), good, "{text}");
        }
    }
}
