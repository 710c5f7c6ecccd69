//! The organisation's layer: a signed bundle, files, or a starter.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use bailiwick_ledger::{Note, VerifierKey};
use bailiwick_policy::{
    Bundle, BundleError, Layer, MAX_BUNDLE_BYTES, PolicyError, PolicySet, Starter, resolve,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::groups::Groups;
use super::{Refused, read};
use crate::config::PolicyConfig;

const LAYER: &str = "organisation";
/// How far two clocks may differ.
pub(super) const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// The organisation's layer as it stands in force.
#[derive(Debug)]
pub(super) struct Organisation {
    pub(super) set: PolicySet,
    /// Where it comes from, for people.
    pub(super) from: String,
    /// What is odd about the clock.
    pub(super) alert: Option<Refused>,
}

/// What has to be known of the last good bundle, and of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Memory {
    name: String,
    serial: u64,
    /// The latest time that was ever seen here.
    #[serde(default)]
    seen: Option<Timestamp>,
}

/// Reads the layer as it is configured, and keeps nothing of it.
pub(super) fn read(config: &PolicyConfig) -> Result<Organisation, Refused> {
    match &config.bundle {
        None => unsigned(config, &Groups::any()),
        Some(path) => {
            accept(config, None, &path.display().to_string(), &bytes_of(path)?, &Groups::any())
        }
    }
}

/// Reads the layer as it is configured, and remembers it as the last good one.
pub(super) fn load(
    config: &PolicyConfig,
    home: &Path,
    groups: &Groups,
) -> Result<Organisation, Refused> {
    let Some(path) = &config.bundle else { return unsigned(config, groups) };
    let shown = path.display().to_string();
    let bytes = bytes_of(path)?;
    match accept(config, Some(home), &shown, &bytes, groups) {
        Ok(organisation) => {
            if let Err(error) = keep(home, "organisation.bundle", &bytes) {
                let what = format!("{shown}: the last good bundle can't be kept: {error}");
                return Err(Refused::plain(LAYER, "policy.bundle_unreadable", what));
            }
            Ok(organisation)
        }
        Err(refused) => {
            quarantine(home, &bytes);
            Err(refused)
        }
    }
}

/// The layer of a machine whose configuration is trust enough: files, or a starter.
fn unsigned(config: &PolicyConfig, groups: &Groups) -> Result<Organisation, Refused> {
    let invalid = |errors: &[PolicyError]| Refused::new(LAYER, "policy.bundle_invalid", errors);
    let (sources, from) = if config.files.is_empty() {
        let name = config.starter.as_deref().unwrap_or("standard");
        let starter = Starter::find(name).ok_or_else(|| {
            let what =
                format!("there is no starter `{name}`; there are standard, strict and open-source");
            Refused::plain(LAYER, "policy.bundle_unreadable", what)
        })?;
        (starter.sources(), format!("built-in `{name}`"))
    } else {
        let read = read::files(&config.files)
            .map_err(|errors| Refused::new(LAYER, "policy.bundle_unreadable", &errors.errors))?;
        let resolved = resolve(&read).map_err(|errors| invalid(&errors.errors))?;
        let names: Vec<&str> = read.iter().map(|file| file.name.as_str()).collect();
        (resolved, format!("files {}", names.join(", ")))
    };
    let set = PolicySet::load(&sources).map_err(|errors| invalid(&errors.errors))?;
    groups.check(&set, &Layer::Organisation)?;
    Ok(Organisation { set, from, alert: None })
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Refused> {
    let shown = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Refused::plain(
            LAYER,
            "policy.bundle_unreadable",
            format!("{shown}: it can't be read: {error}"),
        )
    };
    let found = fs::metadata(path).map_err(unreadable)?;
    if found.len() > MAX_BUNDLE_BYTES as u64 {
        let what = format!(
            "{shown}:1:1: the bundle has {} bytes, more than {MAX_BUNDLE_BYTES}",
            found.len()
        );
        return Err(Refused::plain(LAYER, "policy.bundle_too_large", what));
    }
    fs::read(path).map_err(unreadable)
}

/// The last good bundle, for when the one that is configured is no good. It is believed no more
/// than any other: its signature is checked again.
pub(super) fn last_good(config: &PolicyConfig, home: &Path) -> Option<Organisation> {
    config.bundle.as_ref()?;
    let path = home.join("organisation.bundle");
    let bytes = fs::read(&path).ok()?;
    let shown = path.display().to_string();
    let bundle = Bundle::parse(&shown, &bytes).ok()?;
    signed(&bundle, &config.trusted_keys).ok()?;
    organisation(&bundle, None).ok()
}

/// Checks everything about a bundle: form, signature, time, order, policies. `home` remembers.
fn accept(
    config: &PolicyConfig,
    home: Option<&Path>,
    shown: &str,
    bytes: &[u8],
    groups: &Groups,
) -> Result<Organisation, Refused> {
    let of = |error: BundleError| Refused::new(LAYER, error.code, &error.errors);
    let stop = |code: &str, line: u32, what: &str| {
        Refused::plain(LAYER, code, format!("{shown}:{line}: {what}"))
    };
    let bundle = Bundle::parse(shown, bytes).map_err(of)?;
    signed(&bundle, &config.trusted_keys)
        .map_err(|what| stop("policy.bundle_untrusted", 1, &what))?;
    let memory = home.map(recall).unwrap_or_default();
    let now = Timestamp::now();
    let alert =
        memory.seen.filter(|seen| now < *seen - CLOCKS_DIFFER).map(|seen| went_back(now, seen));
    // A clock that went back makes no bundle good again.
    let latest = memory.seen.map_or(now, |seen| seen.max(now));
    let time = |line: u32, text: &str| {
        text.parse::<Timestamp>().map_err(|error| {
            stop("policy.bundle_malformed", line, &format!("`{text}` is not a time: {error}"))
        })
    };
    let created = time(4, &bundle.created)?;
    if created > now + CLOCKS_DIFFER {
        let what = format!("it was made at {created}, and it is {now}");
        return Err(stop("policy.bundle_not_yet", 4, &what));
    }
    if let Some(text) = &bundle.expires {
        let expires = time(5, text)?;
        if latest >= expires {
            return Err(stop("policy.bundle_expired", 5, &format!("it expired at {expires}")));
        }
    }
    if bundle.name == memory.name && bundle.serial < memory.serial {
        let what =
            format!("its serial is {}, and {} was in force already", bundle.serial, memory.serial);
        return Err(stop("policy.bundle_rolled_back", 3, &what));
    }
    let organisation = organisation(&bundle, alert)?;
    groups.check(&organisation.set, &Layer::Organisation)?;
    if let Some(home) = home {
        let memory = Memory { name: bundle.name, serial: bundle.serial, seen: Some(latest) };
        remember(home, &memory).map_err(|error| {
            stop("policy.bundle_unreadable", 1, &format!("its serial can't be kept: {error}"))
        })?;
    }
    Ok(organisation)
}

/// An alert about a clock that says a time which was over already.
pub(super) fn went_back(now: Timestamp, seen: Timestamp) -> Refused {
    // To the minute: the same alert is told once.
    let minute = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%MZ").to_string();
    let what = format!(
        "it went back: it is {}, and it was {} before; times of bundles are held against the later one",
        minute(now),
        minute(seen)
    );
    Refused::plain("clock", "policy.clock_went_back", what)
}

fn organisation(bundle: &Bundle, alert: Option<Refused>) -> Result<Organisation, Refused> {
    let invalid = |errors: &[PolicyError]| Refused::new(LAYER, "policy.bundle_invalid", errors);
    let sources = resolve(&bundle.files).map_err(|errors| invalid(&errors.errors))?;
    let set = PolicySet::load(&sources).map_err(|errors| invalid(&errors.errors))?;
    let from =
        format!("bundle `{}`, serial {}, made {}", bundle.name, bundle.serial, bundle.created);
    Ok(Organisation { set, from, alert })
}

/// Whether a key that is trusted signed the manifest. A wrong signature in a trusted name is never
/// outweighed by another one.
fn signed(bundle: &Bundle, keys: &[String]) -> Result<(), String> {
    let note = Note::parse(&bundle.note)
        .map_err(|error| format!("the manifest is not a signed note: {error}"))?;
    let mut good = false;
    for text in keys {
        let key: VerifierKey =
            text.parse().map_err(|error| format!("the trusted key `{text}` is none: {error}"))?;
        match note.signed_by(&key) {
            Some(true) => good = true,
            Some(false) => return Err(format!("its signature by `{}` is wrong", key.name())),
            None => {}
        }
    }
    if good {
        Ok(())
    } else {
        Err("it is not signed by a key that `policy.trusted_keys` names".to_owned())
    }
}

fn recall(home: &Path) -> Memory {
    let text = fs::read_to_string(home.join("memory.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn remember(home: &Path, memory: &Memory) -> std::io::Result<()> {
    keep(home, "memory.json", &serde_json::to_vec(memory).map_err(std::io::Error::other)?)
}

/// Writes a file whole or not at all.
pub(super) fn keep(home: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = home.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, &path)
}

/// Puts a refused bundle aside, where a person can look at it.
fn quarantine(home: &Path, bytes: &[u8]) {
    let name = bailiwick_model::payload::Digest::of(bytes).to_string();
    let name: String = name.chars().take(16).collect();
    if let Err(error) = keep(&home.join("quarantine"), &format!("{name}.bundle"), bytes) {
        tracing::warn!(%error, "a refused bundle could not be put aside");
    }
}
