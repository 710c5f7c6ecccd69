//! Bundles: the organisation's policy as one signed file.
//!
//! A bundle is one JSON object with the text of its files and a *manifest*: lines that name the
//! bundle, number it and list every file with its size and SHA-256, as the text of a signed note.
//! One file is replaced in one step, so nobody ever reads half of one bundle and half of another.
//! Whether a signature is by a key that is trusted is for `bailiwick` to say, which has the keys;
//! this module does everything else.

use std::collections::BTreeMap;

use bailiwick_model::payload::Digest;
use serde::{Deserialize, Serialize};

use crate::error::{PolicyError, PolicyErrors};
use crate::form;
use crate::load::PolicySource;
use crate::set::STANDARD_TEXT;

/// The largest bundle that is read, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 8 << 20;
/// The most files of a bundle.
pub const MAX_BUNDLE_FILES: usize = 512;
const MAGIC: &str = "bailiwick-policy-bundle/v1";
/// Files with examples end like this; they are no policy.
pub const EXAMPLES: &str = ".examples.toml";

const STRICT: &str = include_str!("../policies/strict.toml");
const OPEN_SOURCE: &str = include_str!("../policies/open-source.toml");

/// A bundle that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starter {
    /// Its name.
    pub name: &'static str,
    /// For whom it is.
    pub about: &'static str,
    /// Its examples.
    pub examples: &'static str,
}

/// The bundles that come with the program.
pub const STARTERS: [Starter; 3] = [
    Starter {
        name: "standard",
        about: "agents work freely in their cage; a person approves each merge",
        examples: include_str!("../policies/standard.examples.toml"),
    },
    Starter {
        name: "strict",
        about: "standard, and small single-purpose changes with tests, two approvals, few programs",
        examples: include_str!("../policies/strict.examples.toml"),
    },
    Starter {
        name: "open-source",
        about: "standard, for repositories whose tasks and content anybody may have written",
        examples: include_str!("../policies/open-source.examples.toml"),
    },
];

impl Starter {
    /// The bundle of this name.
    pub fn find(name: &str) -> Option<Self> {
        STARTERS.into_iter().find(|one| one.name == name)
    }

    /// Its policy.
    pub fn sources(&self) -> Vec<PolicySource> {
        let mut sources = vec![PolicySource::new("standard.cedar", STANDARD_TEXT)];
        match self.name {
            "strict" => sources.push(PolicySource::new("strict.toml", STRICT)),
            "open-source" => sources.push(PolicySource::new("open-source.toml", OPEN_SOURCE)),
            _ => {}
        }
        sources
    }
}

/// Why a bundle is not in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .errors.first().map(ToString::to_string).unwrap_or_default())]
pub struct BundleError {
    /// A stable code, one of [`BUNDLE_CODES`].
    pub code: &'static str,
    /// What is wrong, with places.
    pub errors: Vec<PolicyError>,
}

/// Every code that the refusal of a bundle or layer can have, with what it means. Codes never
/// change their meaning.
pub const BUNDLE_CODES: [(&str, &str); 16] = [
    ("policy.bundle_unreadable", "the file cannot be read"),
    ("policy.bundle_too_large", "it has more bytes or files than are read"),
    ("policy.bundle_malformed", "it is not a bundle: not JSON, another shape, other lines"),
    ("policy.bundle_truncated", "it ends in the middle"),
    ("policy.bundle_unsigned", "its manifest has no signature"),
    ("policy.bundle_untrusted", "no signature is by a key that is trusted, or one is wrong"),
    ("policy.bundle_altered", "its files are not those that were signed"),
    ("policy.bundle_rolled_back", "it is older than the one in force"),
    ("policy.bundle_expired", "its time is over"),
    (
        "policy.bundle_not_yet",
        "it says that it was made in the future: the clock went back, or its maker's is wrong",
    ),
    ("policy.bundle_invalid", "its policies are not valid"),
    ("policy.bundle_may_fail", "a policy is not proved never to fail"),
    ("policy.bundle_breaks_invariant", "an invariant is not proved"),
    ("policy.group_unknown", "a gate asks a group that does not exist"),
    (
        "policy.clock_went_back",
        "the clock says a time that was over already; the later time counts for bundles",
    ),
    ("policy.layer_refused", "a team's or a repository's policy is not valid, or would widen"),
];

impl BundleError {
    fn new(code: &'static str, error: PolicyError) -> Self {
        Self { code, errors: vec![error] }
    }
}

/// A bundle whose form was checked. Nothing is said yet of who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its name.
    pub name: String,
    /// Its number: a later bundle has a larger one.
    pub serial: u64,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// When it stops being good, in RFC 3339, if it does.
    pub expires: Option<String>,
    /// The manifest as a signed note.
    pub note: String,
    /// Its files, by name.
    pub files: Vec<PolicySource>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    manifest: String,
    files: BTreeMap<String, String>,
}

/// What a new bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Its name.
    pub name: String,
    /// Its number.
    pub serial: u64,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// When it stops being good, in RFC 3339.
    pub expires: Option<String>,
}

/// The manifest of files, which is to be signed as a note.
pub fn manifest(heading: &Heading, files: &[PolicySource]) -> Result<String, PolicyErrors> {
    let mut lines = vec![
        MAGIC.to_owned(),
        format!("name {}", heading.name),
        format!("serial {}", heading.serial),
        format!("created {}", heading.created),
    ];
    lines.extend(heading.expires.as_ref().map(|time| format!("expires {time}")));
    let mut sorted: Vec<&PolicySource> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for file in sorted {
        if !is_file_name(&file.name) {
            return Err(refused(
                &file.name,
                0,
                0,
                format!("`{}` is not a file name", file.name.escape_debug()),
            )
            .into());
        }
        lines.push(format!(
            "file {} {} {}",
            file.name,
            file.text.len(),
            Digest::of(file.text.as_bytes())
        ));
    }
    let text = format!("{}\n", lines.join("\n"));
    // what is written can be read back
    read_manifest("manifest", &text)?;
    Ok(text)
}

/// The bundle as it is written, with the manifest signed.
pub fn write(note: &str, files: &[PolicySource]) -> Result<String, String> {
    let files = files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
    serde_json::to_string_pretty(&Stored { manifest: note.to_owned(), files })
        .map_err(|error| error.to_string())
}

impl Bundle {
    /// Takes a bundle apart and holds every file against the manifest. `file` is its name in errors.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, BundleError> {
        let stop = |code: &'static str, line: u32, column: u32, what: String| {
            BundleError::new(code, refused(file, line, column, what))
        };
        if bytes.len() > MAX_BUNDLE_BYTES {
            let what =
                format!("the bundle has {} bytes, more than {MAX_BUNDLE_BYTES}", bytes.len());
            return Err(stop("policy.bundle_too_large", 1, 1, what));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            stop("policy.bundle_malformed", line, 1, "it is not UTF-8".to_owned())
        })?;
        let stored: Stored = serde_json::from_str(text).map_err(|error| {
            let at = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default().to_owned();
            let code =
                if error.is_eof() { "policy.bundle_truncated" } else { "policy.bundle_malformed" };
            stop(code, at(error.line()), at(error.column()).max(1), what)
        })?;
        if stored.files.len() > MAX_BUNDLE_FILES {
            let what = format!("it has {} files, more than {MAX_BUNDLE_FILES}", stored.files.len());
            return Err(stop("policy.bundle_too_large", 1, 1, what));
        }
        let (manifest, _) = stored.manifest.split_once("\n\n").ok_or_else(|| {
            stop(
                "policy.bundle_unsigned",
                1,
                1,
                "the manifest has no signature under it".to_owned(),
            )
        })?;
        let read = read_manifest(file, &format!("{manifest}\n"))
            .map_err(|error| BundleError::new("policy.bundle_malformed", error))?;
        let mut errors = Vec::new();
        for (name, bytes, digest) in &read.files {
            match stored.files.get(name) {
                None => errors.push(refused(
                    name,
                    1,
                    1,
                    "the manifest lists it, and it is not there".to_owned(),
                )),
                Some(text)
                    if text.len() as u64 != *bytes || Digest::of(text.as_bytes()) != *digest =>
                {
                    errors.push(refused(
                        name,
                        1,
                        1,
                        "it is not the file that was signed".to_owned(),
                    ));
                }
                Some(_) => {}
            }
        }
        for name in stored.files.keys().filter(|name| !read.files.iter().any(|one| one.0 == **name))
        {
            errors.push(refused(name, 1, 1, "the manifest does not list it".to_owned()));
        }
        if !errors.is_empty() {
            return Err(BundleError { code: "policy.bundle_altered", errors });
        }
        Ok(Self {
            name: read.heading.name,
            serial: read.heading.serial,
            created: read.heading.created,
            expires: read.heading.expires,
            note: stored.manifest,
            files: stored
                .files
                .into_iter()
                .map(|(name, text)| PolicySource { name, text })
                .collect(),
        })
    }
}

struct Manifest {
    heading: Heading,
    files: Vec<(String, u64, Digest)>,
}

/// The one spelling of a manifest: every line in its place, once.
fn read_manifest(file: &str, text: &str) -> Result<Manifest, PolicyError> {
    let mut number = 0u32;
    let mut lines = text.lines().peekable();
    let mut line = |key: &str, lines: &mut std::iter::Peekable<std::str::Lines<'_>>| {
        number += 1;
        let found = lines.next().unwrap_or_default();
        found
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(' '))
            .map(str::to_owned)
            .ok_or_else(|| {
                refused(
                    file,
                    number,
                    1,
                    format!("line {number} of the manifest does not begin with `{key} `"),
                )
            })
    };
    if lines.next() != Some(MAGIC) {
        return Err(refused(file, 1, 1, format!("the manifest does not begin with `{MAGIC}`")));
    }
    let name = line("name", &mut lines)?;
    let serial = line("serial", &mut lines)?;
    let serial = serial.parse::<u64>().ok().filter(|number| number.to_string() == serial);
    let serial =
        serial.ok_or_else(|| refused(file, 3, 1, "the serial is not a number".to_owned()))?;
    let created = line("created", &mut lines)?;
    let expires = match lines.peek() {
        Some(next) if next.starts_with("expires ") => Some(line("expires", &mut lines)?),
        _ => None,
    };
    let mut files: Vec<(String, u64, Digest)> = Vec::new();
    while lines.peek().is_some() {
        let entry = line("file", &mut lines)?;
        let mut parts = entry.split(' ');
        let (name, bytes, digest) = (parts.next(), parts.next(), parts.next());
        let read = (|| {
            let name = name.filter(|name| is_file_name(name))?.to_owned();
            Some((name, bytes?.parse().ok()?, digest?.parse().ok()?))
        })();
        match read {
            Some(one)
                if parts.next().is_none() && files.last().is_none_or(|last| last.0 < one.0) =>
            {
                files.push(one);
            }
            _ => {
                return Err(refused(
                    file,
                    0,
                    0,
                    format!(
                        "`{}` of the manifest is not `file NAME BYTES SHA-256`, in order of names",
                        entry.escape_debug()
                    ),
                ));
            }
        }
    }
    if !is_file_name(&name) || name.contains('/') {
        return Err(refused(file, 2, 1, "the bundle's name is not a name".to_owned()));
    }
    Ok(Manifest { heading: Heading { name, serial, created, expires }, files })
}

/// A relative path of plain names.
fn is_file_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        })
}

fn refused(file: &str, line: u32, column: u32, what: String) -> PolicyError {
    PolicyError {
        file: file.to_owned(),
        line,
        column,
        policy: None,
        what,
        why: "a bundle is in force as it was signed, whole, or not at all",
        fix: "make it again with `bailiwick policy publish`".to_owned(),
    }
}

/// The policies of a set of files: each file once, and what they include of the built-in bundles.
/// Examples are left out.
pub fn resolve(files: &[PolicySource]) -> Result<Vec<PolicySource>, PolicyErrors> {
    let mut state = Resolver { files, found: Vec::new(), open: Vec::new(), errors: Vec::new() };
    for file in files.iter().filter(|file| !file.name.ends_with(EXAMPLES)) {
        state.visit(file);
    }
    if state.errors.is_empty() {
        Ok(state.found)
    } else {
        Err(PolicyErrors { errors: state.errors })
    }
}

struct Resolver<'a> {
    files: &'a [PolicySource],
    found: Vec<PolicySource>,
    /// The files that are being read, each included by the one before it.
    open: Vec<&'a str>,
    errors: Vec<PolicyError>,
}

impl<'a> Resolver<'a> {
    fn visit(&mut self, file: &'a PolicySource) {
        if self.found.iter().any(|one| one.name == file.name) {
            return;
        }
        let included = if form::is_form(&file.name) {
            match form::includes(file) {
                Ok(included) => included,
                Err(error) => return self.errors.push(error),
            }
        } else {
            Vec::new()
        };
        self.open.push(&file.name);
        for (name, line, column) in included {
            let mut fault = |what: String, fix: String| {
                self.errors.push(PolicyError {
                    file: file.name.clone(),
                    line,
                    column,
                    policy: None,
                    what,
                    why: "a policy of which a part is missing is not the policy that was written",
                    fix,
                });
            };
            let beside = sibling(&file.name, &name);
            if let Some(starter) = Starter::find(&name) {
                for source in starter.sources() {
                    if !self.found.iter().any(|one| one.name == source.name) {
                        self.found.push(source);
                    }
                }
            } else if self.open.contains(&beside.as_str()) {
                let chain = [self.open.as_slice(), &[beside.as_str()]].concat().join(" → ");
                fault(
                    format!("the files include each other: {chain}"),
                    "take one `include` out".to_owned(),
                );
            } else if let Some(next) = self.files.iter().find(|one| one.name == beside) {
                self.visit(next);
            } else {
                let names: Vec<&str> = STARTERS.iter().map(|one| one.name).collect();
                fault(
                    format!("`{}` is not there", name.escape_debug()),
                    format!("name a file beside this one, or one of: {}", names.join(", ")),
                );
            }
        }
        self.open.pop();
        self.found.push(file.clone());
    }
}

fn sibling(file: &str, name: &str) -> String {
    file.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}
