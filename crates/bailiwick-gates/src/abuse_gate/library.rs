//! The library of misuse, one file for each kind of interface: cases as data, and the requests that
//! they make of what is known to work.

use super::settings::{Endpoint, Program};
use serde::Deserialize;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Most fields of one body that are exchanged.
const MOST_FIELDS: usize = 12;
/// Stands for a number that no other request has.
const NUMBER: &str = "{{n}}";

static HTTP: LazyLock<Result<Library<HttpCase>, String>> =
    LazyLock::new(|| toml::from_str(include_str!("../../abuse/http.toml")).map_err(text));
static PROGRAM: LazyLock<Result<Library<ProgramCase>, String>> =
    LazyLock::new(|| toml::from_str(include_str!("../../abuse/command.toml")).map_err(text));

fn text(error: toml::de::Error) -> String {
    error.to_string()
}

#[derive(Deserialize)]
struct Library<T> {
    case: Vec<T>,
}

/// The kind of misuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Class {
    /// What is not what it should be.
    BadInput,
    /// What is meant for an interpreter behind.
    Injection,
    /// No credentials, or none that are worth anything.
    MissingAuth,
    /// What was done already.
    Replay,
    /// More than anybody needs.
    Oversize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fits {
    Any,
    Json,
    Credentials,
    Once,
    Limit,
}

/// What a right answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Expected {
    /// What is known to work must work.
    Works,
    /// 400 to 499.
    Refused,
    /// Any answer but 500 and above.
    Handled,
    /// 401, 403 or 404.
    Unknown,
    /// 400 to 499, or a closed connection.
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpCase {
    id: String,
    class: Class,
    cwe: u32,
    to: Fits,
    expect: Expected,
    body: Option<String>,
    bytes: Option<Vec<u8>>,
    each_field: Option<String>,
    #[serde(default)]
    drop_each_field: bool,
    nested: Option<usize>,
    credentials: Option<String>,
    target: Option<String>,
    header: Option<String>,
    headers: Option<usize>,
    long_target: Option<usize>,
    long_header: Option<usize>,
    #[serde(default)]
    over_limit: bool,
    #[serde(default)]
    twice: bool,
    raw: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramCase {
    id: String,
    class: Class,
    cwe: u32,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    repeat: Option<String>,
    times: Option<usize>,
    #[serde(default)]
    half: bool,
}

/// One thing to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// What it is told apart by: interface and case.
    pub(super) name: String,
    /// The interface.
    pub(super) interface: String,
    /// The kind of misuse; none for what must work.
    pub(super) class: Option<Class>,
    /// The weakness that it looks for.
    pub(super) cwe: u32,
    /// The right answer.
    pub(super) expected: Expected,
    /// What is sent.
    pub(super) bytes: Vec<u8>,
    /// What is sent before, whose answer does not count.
    pub(super) before: Option<Vec<u8>>,
}

/// Everything to send to an address, the request that works first.
pub(super) fn of_endpoint(endpoint: &Endpoint, number: &mut usize) -> Result<Vec<Probe>, String> {
    let library = HTTP.as_ref().map_err(Clone::clone)?;
    let mut probes = Vec::new();
    let mut next = || {
        *number += 1;
        *number
    };
    let interface = format!("{} {}", endpoint.method, endpoint.path);
    let mut add = |case: Option<&HttpCase>, name: String, request: Request<'_>, at: usize| {
        let bytes = request.bytes(at);
        let twice = case.is_some_and(|case| case.twice);
        probes.push(Probe {
            name: format!("{interface}: {name}"),
            interface: interface.clone(),
            class: case.map(|case| case.class),
            cwe: case.map_or(0, |case| case.cwe),
            expected: case.map_or(Expected::Works, |case| case.expect),
            before: twice.then(|| bytes.clone()),
            bytes,
        });
    };
    add(None, "what works".to_owned(), Request::of(endpoint), next());
    for case in library.case.iter().filter(|case| case.fits(endpoint)) {
        for (name, request) in case.requests(endpoint) {
            add(Some(case), name, request, next());
        }
    }
    Ok(probes)
}

/// Everything that a program is given, the input that works first.
pub(super) fn of_program(program: &Program) -> Result<Vec<Probe>, String> {
    let library = PROGRAM.as_ref().map_err(Clone::clone)?;
    let probe = |case: Option<&ProgramCase>, name: &str, bytes: Vec<u8>| Probe {
        name: format!("{}: {name}", program.name),
        interface: program.name.clone(),
        class: case.map(|case| case.class),
        cwe: case.map_or(0, |case| case.cwe),
        expected: if case.is_some() { Expected::Handled } else { Expected::Works },
        bytes,
        before: None,
    };
    let mut probes = vec![probe(None, "what works", program.input.clone().into_bytes())];
    probes.extend(library.case.iter().map(|case| {
        let bytes = if case.half {
            let input = program.input.as_bytes();
            input.get(..input.len() / 2).unwrap_or_default().to_vec()
        } else if let Some(piece) = &case.repeat {
            piece.repeat(case.times.unwrap_or(1)).into_bytes()
        } else {
            case.bytes.clone().or_else(|| Some(case.text.clone()?.into_bytes())).unwrap_or_default()
        };
        probe(Some(case), &case.id, bytes)
    }));
    Ok(probes)
}

impl HttpCase {
    fn fits(&self, endpoint: &Endpoint) -> bool {
        match self.to {
            Fits::Any => true,
            Fits::Json => endpoint.is_json(),
            Fits::Credentials => endpoint.credentials.is_some(),
            Fits::Once => endpoint.once,
            Fits::Limit => endpoint.max_body_bytes.is_some(),
        }
    }

    /// The requests that the case makes of the one that works, each with its name.
    fn requests<'a>(&'a self, endpoint: &'a Endpoint) -> Vec<(String, Request<'a>)> {
        let plain = Request::of(endpoint);
        let body = |body: Vec<u8>| Request { body, ..plain.clone() };
        if self.drop_each_field || self.each_field.is_some() {
            return self.with_each_field(endpoint, &body);
        }
        let request = if let Some(raw) = &self.raw {
            Request { raw: Some(raw), ..plain }
        } else if let Some(depth) = self.nested {
            body("[".repeat(depth).into_bytes())
        } else if let Some(length) = self.long_target {
            let query = if endpoint.path.contains('?') { '&' } else { '?' };
            Request { more_target: format!("{query}a={}", "a".repeat(length)), ..plain }
        } else if let Some(length) = self.long_header {
            Request { headers: format!("X-Bailiwick-Abuse: {}\r\n", "a".repeat(length)), ..plain }
        } else if let Some(count) = self.headers {
            let mut headers = String::new();
            for number in 0..count {
                // writing to a String does not fail
                write!(headers, "X-Bailiwick-Abuse-{number}: a\r\n").unwrap_or_default();
            }
            Request { headers, ..plain }
        } else if self.over_limit {
            // just over, also when numbers have been filled in: spaces may stand after any JSON
            let limit = usize::try_from(endpoint.max_body_bytes.unwrap_or(0)).unwrap_or(0);
            let shorter = endpoint.body.matches(NUMBER).count().saturating_mul(NUMBER.len());
            let mut padded = plain.body.clone();
            padded.resize(limit.saturating_add(1 + shorter).max(padded.len()), b' ');
            body(padded)
        } else if let Some(target) = &self.target {
            Request { more_target: target.clone(), ..plain }
        } else if let Some(credentials) = &self.credentials {
            let headers = self.header.iter().map(|header| format!("{header}\r\n")).collect();
            Request { credentials: Some(credentials), headers, ..plain }
        } else if let Some(bytes) = &self.bytes {
            body(bytes.clone())
        } else if let Some(text) = &self.body {
            body(text.clone().into_bytes())
        } else {
            plain
        };
        vec![(self.id.clone(), request)]
    }

    /// The body once for each of its fields, without it or with another value.
    fn with_each_field<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        body: &dyn Fn(Vec<u8>) -> Request<'a>,
    ) -> Vec<(String, Request<'a>)> {
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&endpoint.body) else {
            return Vec::new();
        };
        let names = fields.keys().take(MOST_FIELDS);
        names
            .map(|name| {
                // as text: a value that no JSON library can hold is a value as well
                let parts: Vec<String> = fields
                    .iter()
                    .filter_map(|(key, value)| {
                        let value = match &self.each_field {
                            _ if key != name => value.to_string(),
                            Some(other) => other.clone(),
                            None => return None,
                        };
                        Some(format!("{}:{value}", serde_json::Value::from(key.as_str())))
                    })
                    .collect();
                let text = format!("{{{}}}", parts.join(","));
                (format!("{} ({name})", self.id), body(text.into_bytes()))
            })
            .collect()
    }
}

/// A request of HTTP/1.1 before it is written out.
#[derive(Clone)]
struct Request<'a> {
    endpoint: &'a Endpoint,
    more_target: String,
    headers: String,
    /// In place of the address's own.
    credentials: Option<&'a str>,
    body: Vec<u8>,
    raw: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn of(endpoint: &'a Endpoint) -> Self {
        Self {
            endpoint,
            more_target: String::new(),
            headers: String::new(),
            credentials: None,
            body: endpoint.body.clone().into_bytes(),
            raw: None,
        }
    }

    /// Written out. `{{n}}` becomes a number that no other request has.
    fn bytes(&self, number: usize) -> Vec<u8> {
        let fill = |text: &str| text.replace(NUMBER, &number.to_string());
        if let Some(raw) = self.raw {
            return raw.replace("TARGET", &fill(&self.endpoint.path)).into_bytes();
        }
        let mut head = format!(
            "{} {}{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            self.endpoint.method,
            fill(&self.endpoint.path),
            self.more_target
        );
        let credentials = self
            .credentials
            .map(str::to_owned)
            .or_else(|| self.endpoint.credentials.as_deref().map(fill));
        if let Some(credentials) = credentials.filter(|it| !it.is_empty()) {
            let name = &self.endpoint.credentials_header;
            head.push_str(&format!("{name}: {credentials}\r\n"));
        }
        for (name, value) in &self.endpoint.headers {
            head.push_str(&format!("{name}: {}\r\n", fill(value)));
        }
        head.push_str(&self.headers);
        let body = match std::str::from_utf8(&self.body) {
            Ok(text) => fill(text).into_bytes(),
            Err(_) => self.body.clone(),
        };
        if !self.endpoint.body.is_empty() || !body.is_empty() {
            let kind = &self.endpoint.content_type;
            head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        [head.into_bytes(), body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_case_of_the_library_makes_requests_of_an_address_that_has_everything() {
        let all = endpoint(
            "method = 'POST'\npath = '/items/{{n}}'\nbody = '{\"name\": \"x{{n}}\", \"count\": 1}'\ncredentials = 'Bearer t'\nonce = true\nmax_body_bytes = 1000\n",
        );
        let mut number = 0;
        let probes = of_endpoint(&all, &mut number).unwrap();
        for case in &HTTP.as_ref().unwrap().case {
            let of_case: Vec<&Probe> = probes
                .iter()
                .filter(|probe| probe.name.contains(&format!(": {}", case.id)))
                .collect();
            assert!(!of_case.is_empty(), "{}", case.id);
            for probe in of_case {
                assert_ne!(probe.bytes, probes[0].bytes, "{}", probe.name);
            }
        }
        let text = |probe: &Probe| String::from_utf8_lossy(&probe.bytes).into_owned();
        assert_eq!(
            text(&probes[0]),
            "POST /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer t\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"name\": \"x1\", \"count\": 1}"
        );
        let find = |name: &str| probes.iter().find(|probe| probe.name.ends_with(name)).unwrap();
        assert!(!text(find("no-credentials")).contains("Authorization"));
        assert!(text(find("field-null (count)")).contains("\"count\":null"));
        assert!(!text(find("field-missing (name)")).contains("\"name\""));
        let again = find("the-same-again");
        assert_eq!(again.before.as_ref(), Some(&again.bytes));
        assert!(find("more-than-the-limit").bytes.len() > 1001);
    }

    #[test]
    fn an_address_gets_only_what_fits_it() {
        let plain = endpoint("method = 'GET'\npath = '/'\n");
        let probes = of_endpoint(&plain, &mut 0).unwrap();
        let classes: Vec<_> = probes.iter().filter_map(|probe| probe.class).collect();
        assert!(!classes.contains(&Class::MissingAuth) && !classes.contains(&Class::Replay));
        assert!(classes.contains(&Class::Oversize) && classes.contains(&Class::Injection));
    }

    #[test]
    fn a_program_gets_every_case() {
        let program: Program =
            toml::from_str("name = 'parse'\nrun = './parse'\ninput = '{\"a\": 1}'\n").unwrap();
        let probes = of_program(&program).unwrap();
        assert_eq!(probes.len(), PROGRAM.as_ref().unwrap().case.len() + 1);
        assert!(probes.iter().any(|probe| probe.bytes.len() > 1 << 20));
    }
}
