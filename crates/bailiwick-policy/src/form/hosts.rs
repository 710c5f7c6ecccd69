//! Patterns of requests to hosts: `GET,HEAD api.example.com/v1/*`.
//!
//! A pattern has up to three parts: methods in capitals, with commas between them (all when there
//! are none); a host, or `*.` and the end of one, or `*`; a path, in which `*` stands for any
//! characters (all when there is none). A port can stand after the host. Without one a pattern
//! that *gives* something means `https` on its usual port, and a pattern that takes something away
//! means every port: whoever forgets it is on the safe side.

use super::pattern::{either, one_of, quote};
use crate::host::{is_method, is_name};

/// What a list of patterns is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// What matches may be done.
    Yes,
    /// What matches may not, or not without approval.
    No,
}

/// A pattern.
struct Pattern<'a> {
    methods: Vec<&'a str>,
    host: &'a str,
    port: Option<u16>,
    path: Option<&'a str>,
}

/// Why a text is no pattern; nothing when it is one.
pub(super) fn fault(text: &str) -> Option<&'static str> {
    Pattern::parse(text).err()
}

/// The request is one of these.
pub(super) fn condition(patterns: &[&str], gives: Gives) -> String {
    either(
        patterns
            .iter()
            .filter_map(|text| Pattern::parse(text).ok())
            .map(|pattern| pattern.condition(gives))
            .collect(),
    )
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Err("it has a scheme: write the host alone, `api.example.com`");
        }
        let (methods, rest) = match text.split_once(' ') {
            Some((methods, rest)) => (methods.split(',').collect(), rest),
            None => (vec![], text),
        };
        if methods.iter().any(|method| !is_method(method)) {
            return Err(
                "methods are in capitals, with commas and no spaces between them: `GET,HEAD`",
            );
        }
        let (place, path) = match rest.find('/') {
            Some(at) => {
                let (place, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
                (place, Some(path))
            }
            None => (rest, None),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| "what stands after `:` is not a port")?))
            }
            _ => (place, None),
        };
        let name = host.strip_prefix("*.").unwrap_or(host);
        if host != "*" && !is_name(name) {
            return Err("the host is not a name in lower case, `*.` and a name, or `*`");
        }
        if let Some(path) = path {
            let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"".contains(&b));
            let odd = |part: &str| matches!(part, "." | "..");
            if !plain || path.contains("//") || path.split('/').any(odd) {
                return Err("the path is not one that a request can have");
            }
        }
        Ok(Self { methods, host, port, path })
    }

    fn condition(&self, gives: Gives) -> String {
        let mut parts = Vec::new();
        if self.host != "*" {
            parts.push(one_of("resource.name", std::iter::once(self.host)));
        }
        match (self.port, gives) {
            (Some(port), _) => parts.push(format!("context.port == {port}")),
            (None, Gives::Yes) => {
                parts.push("context.scheme == \"https\" && context.port == 443".to_owned());
            }
            (None, Gives::No) => {}
        }
        if !self.methods.is_empty() {
            let methods: Vec<String> = self.methods.iter().map(|method| quote(method)).collect();
            parts.push(format!("[{}].contains(context.method)", methods.join(", ")));
        }
        if let Some(path) = self.path.filter(|path| *path != "/*") {
            parts.push(one_of("context.path", std::iter::once(path)));
        }
        match parts.as_slice() {
            [] => "true".to_owned(),
            [one] => one.clone(),
            _ => format!("({})", parts.join(" && ")),
        }
    }
}
