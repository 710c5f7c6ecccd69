//! Reads SARIF 2.1.0 of other tools, as far as a gate goes by it.
//!
//! What it says of itself is taken at its word only where that makes it stricter: a result that is
//! suppressed in the source counts (the change wrote the suppression), a run that says that it did
//! not succeed is no run.

use bailiwick_model::evidence::{Level, Severity};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most results of one log that are read.
const MOST_RESULTS: usize = 20_000;
/// Longest text that is kept, in characters.
const MOST_TEXT: usize = 600;

/// A log of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SarifLog {
    /// The names and versions of the tools that ran.
    pub tools: Vec<String>,
    /// What they found, in their order.
    pub results: Vec<SarifResult>,
    /// The rules that results speak of, by id.
    pub rules: BTreeMap<String, SarifRule>,
    /// What the tools say that they could not judge.
    pub doubts: Vec<String>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SarifResult {
    /// The rule's id, as the tool has it.
    pub rule: String,
    /// How serious.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// The file, relative to the checkout.
    pub path: Option<String>,
    /// The first line, counted from 1.
    pub line: Option<u32>,
    /// Whether the source says that it is not to be reported.
    pub suppressed: bool,
}

/// What a tool says of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SarifRule {
    /// What it finds.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// The weakness in the Common Weakness Enumeration.
    pub cwe: Option<u32>,
    /// How much harm a finding could do, where the tool gives a number.
    pub severity: Option<Severity>,
    level: Option<Level>,
}

/// Why a text is not judged as a log of results.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SarifError {
    /// It is not JSON, or not of this form.
    #[error("it is no SARIF log: {message}")]
    Form {
        /// What is wrong.
        message: String,
    },
    /// Another version.
    #[error("its version is `{version}`, not `2.1.0`")]
    Version {
        /// What it says.
        version: String,
    },
    /// Not one run.
    #[error("it has no run")]
    NoRun,
    /// A run without results is one that did not look (SARIF 2.1.0, 3.14.23).
    #[error("a run of `{tool}` has no results: it did not look")]
    NoResults {
        /// The tool.
        tool: String,
    },
    /// The tool says that it did not succeed.
    #[error("`{tool}` says that it did not succeed{why}")]
    Unsuccessful {
        /// The tool.
        tool: String,
        /// Its own words, after a colon.
        why: String,
    },
    /// More results than are read.
    #[error("it has more than {MOST_RESULTS} results")]
    TooMany,
}

#[derive(Deserialize)]
struct Log {
    version: String,
    #[serde(default)]
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    results: Option<Vec<Found>>,
    #[serde(default)]
    invocations: Vec<Invocation>,
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Component,
    #[serde(default)]
    extensions: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    version: Option<String>,
    #[serde(default)]
    rules: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: String,
    name: Option<String>,
    short_description: Option<Text>,
    full_description: Option<Text>,
    help: Option<Text>,
    default_configuration: Option<Configuration>,
    #[serde(default)]
    properties: Properties,
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<String>,
}

/// What code hosts agreed on, beside the standard. Anything else in it is nobody's business.
#[derive(Deserialize, Default)]
struct Properties {
    #[serde(default)]
    tags: serde_json::Value,
    #[serde(default)]
    cwe: serde_json::Value,
    #[serde(default, rename = "security-severity")]
    security_severity: serde_json::Value,
}

#[derive(Deserialize, Default)]
struct Text {
    text: Option<String>,
    markdown: Option<String>,
    id: Option<String>,
}

impl Text {
    fn read(self) -> String {
        shortened(&self.text.or(self.markdown).or(self.id).unwrap_or_default())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<Reference>,
    level: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    message: Text,
    #[serde(default)]
    locations: Vec<Location>,
    #[serde(default)]
    suppressions: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    id: Option<String>,
    index: Option<i64>,
    tool_component: Option<Indexed>,
}

#[derive(Deserialize)]
struct Indexed {
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<Physical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Option<ArtifactLocation>,
    region: Option<Region>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    location: Option<ArtifactLocation>,
}

#[derive(Deserialize)]
struct ArtifactLocation {
    uri: Option<String>,
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: Option<bool>,
    #[serde(default)]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Deserialize)]
struct Notification {
    level: Option<String>,
    #[serde(default)]
    message: Text,
}

/// Reads a log. `root` is where the checkout lies for the tool, such as `/workspace`.
pub fn read(text: &str, root: &str) -> Result<SarifLog, SarifError> {
    let form = |message: String| SarifError::Form { message };
    let text = text.trim_start_matches('\u{feff}');
    // serde_json gives up at a depth of 128
    let log: Log = serde_json::from_str(text).map_err(|error| form(error.to_string()))?;
    if log.version != "2.1.0" {
        return Err(SarifError::Version { version: shortened(&log.version) });
    }
    if log.runs.is_empty() {
        return Err(SarifError::NoRun);
    }
    let mut read = SarifLog::default();
    for run in log.runs {
        read_run(run, root, &mut read)?;
    }
    Ok(read)
}

fn read_run(run: Run, root: &str, into: &mut SarifLog) -> Result<(), SarifError> {
    let tool = shortened(&run.tool.driver.name);
    into.tools.push(match &run.tool.driver.version {
        Some(version) => format!("{tool} {}", shortened(version)),
        None => tool.clone(),
    });
    for invocation in run.invocations {
        let errors = invocation.tool_execution_notifications.into_iter().filter(is_error);
        let said: Vec<String> = errors.map(|one| one.message.read()).collect();
        if invocation.execution_successful == Some(false) {
            let why = said.first().map_or_else(String::new, |said| format!(": {said}"));
            return Err(SarifError::Unsuccessful { tool, why });
        }
        into.doubts.extend(said);
    }
    let Some(results) = run.results else { return Err(SarifError::NoResults { tool }) };
    if into.results.len().saturating_add(results.len()) > MOST_RESULTS {
        return Err(SarifError::TooMany);
    }
    let components: Vec<Vec<String>> = std::iter::once(run.tool.driver)
        .chain(run.tool.extensions)
        .map(|component| {
            let rules = component.rules.into_iter().map(|rule| {
                let id = shortened(&rule.id);
                into.rules.entry(id.clone()).or_insert_with(|| descriptor(rule));
                id
            });
            rules.collect()
        })
        .collect();
    for found in results {
        // what passed, does not apply or is left open is no finding (3.27.9)
        if !matches!(found.kind.as_deref(), None | Some("fail" | "review" | "open")) {
            continue;
        }
        let rule = rule_of(&found, &components);
        let level = match found.level.as_deref() {
            Some(level) => level_of(level),
            None => into.rules.get(&rule).and_then(|rule| rule.level).unwrap_or(Level::Warning),
        };
        let place = found.locations.into_iter().find_map(|location| location.physical_location);
        let (path, line) = place.map_or((None, None), |place| {
            let line = place.region.and_then(|region| region.start_line);
            let path = place.artifact_location.and_then(|at| path_of(at, &run.artifacts, root));
            (path, line.and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0))
        });
        into.results.push(SarifResult {
            rule,
            level,
            message: found.message.read(),
            path,
            line,
            suppressed: !found.suppressions.is_empty(),
        });
    }
    Ok(())
}

fn is_error(notification: &Notification) -> bool {
    notification.level.as_deref() == Some("error")
}

fn level_of(level: &str) -> Level {
    match level {
        "error" => Level::Error,
        "note" | "none" => Level::Note,
        _ => Level::Warning,
    }
}

fn nth<T>(list: &[T], index: Option<i64>) -> Option<&T> {
    list.get(usize::try_from(index?).ok()?)
}

/// The id, from wherever the tool has put it (3.27.5 to 3.27.7).
fn rule_of(found: &Found, components: &[Vec<String>]) -> String {
    let reference = found.rule.as_ref();
    let named = found.rule_id.clone().or_else(|| reference?.id.clone());
    if let Some(id) = named {
        return shortened(&id);
    }
    let component = reference
        .and_then(|rule| rule.tool_component.as_ref())
        .and_then(|component| component.index)
        // extensions count from 0, and here the driver is the first
        .map_or(Some(0), |index| index.checked_add(1));
    let index = found.rule_index.or_else(|| reference?.index);
    let rules = nth(components, component).map(Vec::as_slice).unwrap_or_default();
    nth(rules, index).cloned().unwrap_or_else(|| "unnamed".to_owned())
}

fn descriptor(rule: Descriptor) -> SarifRule {
    let read = |text: Option<Text>| text.map(Text::read).unwrap_or_default();
    let short = read(rule.short_description);
    let full = read(rule.full_description);
    let tags = words(&rule.properties.tags).into_iter().chain(words(&rule.properties.cwe));
    SarifRule {
        title: if short.is_empty() { shortened(&rule.name.unwrap_or(rule.id)) } else { short },
        why: full,
        fix: read(rule.help),
        cwe: tags.filter_map(|tag| cwe(&tag)).next(),
        severity: severity(&rule.properties.security_severity),
        level: rule.default_configuration.and_then(|it| it.level).map(|level| level_of(&level)),
    }
}

fn words(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(word) => vec![word.clone()],
        serde_json::Value::Array(list) => {
            list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

/// `external/cwe/cwe-089`, `CWE-89: SQL injection`.
fn cwe(tag: &str) -> Option<u32> {
    let tag = tag.to_ascii_lowercase();
    let (_, number) = tag.rsplit_once("cwe-")?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// CVSS's bands.
fn severity(value: &serde_json::Value) -> Option<Severity> {
    let number = match value {
        serde_json::Value::Number(number) => number.as_f64()?,
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(match number {
        number if number >= 9.0 => Severity::Critical,
        number if number >= 7.0 => Severity::High,
        number if number >= 4.0 => Severity::Medium,
        number if number > 0.0 => Severity::Low,
        _ => Severity::Info,
    })
}

/// The file, relative to the checkout; none when it lies elsewhere.
fn path_of(at: ArtifactLocation, artifacts: &[Artifact], root: &str) -> Option<String> {
    let indexed = || nth(artifacts, at.index)?.location.as_ref()?.uri.clone();
    let uri = at.uri.clone().or_else(indexed)?;
    let path = decoded(&uri);
    let path = path.strip_prefix("file://").unwrap_or(&path);
    let inside = match path.strip_prefix(root) {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None if path.starts_with('/') => return None,
        Some(_) | None => path,
    };
    let parts: Vec<&str> =
        inside.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let unfit = parts.is_empty() || parts.contains(&"..") || inside.contains('\0');
    (!unfit).then(|| shortened(&parts.join("/")))
}

/// Percent-decoded, lossily.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let pair = (byte == b'%').then(|| (ahead.next(), ahead.next()));
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match pair.and_then(|(high, low)| Some(digit(high)? * 16 + digit(low)?)) {
            Some(code) => {
                bytes.push(u8::try_from(code).unwrap_or(byte));
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// On one line, without what could move a cursor, and not endless.
fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests;
