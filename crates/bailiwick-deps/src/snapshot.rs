//! All files of one commit that speak of dependencies, read, and put together into units.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ecosystem::Ecosystem;
use crate::error::ReadError;
use crate::kind::FileKind;
use crate::package::{
    Contents, Declared, Hashing, InstallScript, Lock, Manifest, Package, RegistrySetting, Source,
};
use crate::read::{hash_of, read};

/// Files by their paths from the repository's root.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The files of one commit that speak of dependencies.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Every file that could be read.
    pub(crate) files: BTreeMap<&'a str, (FileKind, Contents)>,
    /// Those that could not.
    pub(crate) unreadable: BTreeMap<&'a str, ReadError>,
    pub(crate) bytes: &'a Files,
}

/// What is resolved together: a lock file with its manifests, or a manifest that has none.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: FileKind,
    pub(crate) ecosystem: Ecosystem,
    pub(crate) lock: Cow<'a, Lock>,
    /// The entries are of a lock file, not only what a manifest asks for.
    pub(crate) is_locked: bool,
    pub(crate) manifests: Vec<(&'a str, &'a Manifest)>,
    /// What the project itself depends on, by position.
    pub(crate) roots: Vec<usize>,
}

pub(crate) fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn is_within(path: &str, outer: &str) -> bool {
    outer.is_empty()
        || directory(path) == outer
        || directory(path).strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

impl<'a> Snapshot<'a> {
    /// Reads every file whose name says that it speaks of dependencies.
    pub fn read(bytes: &'a Files) -> Self {
        let mut snapshot = Self { files: BTreeMap::new(), unreadable: BTreeMap::new(), bytes };
        for (path, content) in bytes {
            let Some(kind) = FileKind::of(path) else { continue };
            match read(kind, content) {
                Ok(contents) => {
                    snapshot.files.insert(path, (kind, contents));
                }
                Err(error) => {
                    snapshot.unreadable.insert(path, error);
                }
            }
        }
        snapshot
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&'a str, FileKind, &Manifest)> {
        self.files.iter().filter_map(|(path, (kind, contents))| match contents {
            Contents::Manifest(manifest) => Some((*path, *kind, manifest)),
            Contents::Lock(_) | Contents::Settings(_) => None,
        })
    }

    pub(crate) fn locks(&self) -> impl Iterator<Item = (&'a str, FileKind, &Lock)> {
        self.files.iter().filter_map(|(path, (kind, contents))| match contents {
            Contents::Lock(lock) => Some((*path, *kind, lock)),
            Contents::Manifest(_) | Contents::Settings(_) => None,
        })
    }

    pub(crate) fn registries(&self) -> impl Iterator<Item = (&'a str, FileKind, &RegistrySetting)> {
        self.files.iter().flat_map(|(path, (kind, contents))| {
            let settings = match contents {
                Contents::Manifest(manifest) => &manifest.registries,
                Contents::Lock(lock) => &lock.registries,
                Contents::Settings(settings) => settings,
            };
            settings.iter().map(|setting| (*path, *kind, setting))
        })
    }

    /// The lock files that govern a manifest: the nearest one upwards, of each kind.
    fn governed(&self, path: &str, kind: FileKind) -> bool {
        self.locks().any(|(lock_path, lock_kind, lock)| {
            lock_kind.locks().contains(&kind)
                && lock_kind != FileKind::GoSum
                && is_within(path, directory(lock_path))
                && (directory(path) == directory(lock_path)
                    || is_member(lock, directory(lock_path), path, None))
        })
    }

    /// The units, in the order of their paths.
    pub(crate) fn units(&self) -> Vec<Unit<'_>> {
        let mut units = Vec::new();
        for (path, kind, lock) in self.locks() {
            // `go.sum` has more than what is used; `go.mod` says what is
            if kind == FileKind::GoSum {
                continue;
            }
            let here = directory(path);
            let manifests: Vec<(&str, &Manifest)> = self
                .manifests()
                .filter(|(manifest_path, manifest_kind, manifest)| {
                    kind.locks().contains(manifest_kind)
                        && is_within(manifest_path, here)
                        && (directory(manifest_path) == here
                            || is_member(lock, here, manifest_path, Some(manifest)))
                })
                .map(|(manifest_path, _, manifest)| (manifest_path, manifest))
                .collect();
            let ecosystem = kind.ecosystem();
            let roots = roots(ecosystem, lock, &manifests);
            units.push(Unit {
                path,
                kind,
                ecosystem,
                lock: Cow::Borrowed(lock),
                is_locked: true,
                manifests,
                roots,
            });
        }
        for (path, kind, manifest) in self.manifests() {
            if kind == FileKind::GradleCatalog || !self.governed(path, kind) {
                let lock = wished(kind, manifest);
                let roots = (0..lock.packages.len()).collect();
                units.push(Unit {
                    path,
                    kind,
                    ecosystem: kind.ecosystem(),
                    lock: Cow::Owned(lock),
                    is_locked: false,
                    manifests: vec![(path, manifest)],
                    roots,
                });
            }
        }
        units.sort_by_key(|unit| unit.path);
        units
    }

    /// The first line of a file that has a text.
    pub(crate) fn line(&self, path: &str, needle: &str) -> Option<u32> {
        let bytes = self.bytes.get(path)?;
        let text = std::str::from_utf8(bytes).ok()?;
        let needle = needle.lines().next().filter(|needle| !needle.is_empty())?;
        let at = text.find(needle)?;
        let line = text.get(..at)?.matches('\n').count() + 1;
        u32::try_from(line).ok()
    }
}

/// Whether a manifest below a lock file is one of those that it has entries for.
fn is_member(lock: &Lock, here: &str, path: &str, manifest: Option<&Manifest>) -> bool {
    if !lock.has_project {
        return false;
    }
    let relative = directory(path).strip_prefix(here).unwrap_or("").trim_start_matches('/');
    lock.packages.iter().filter(|package| package.source == Source::Project).any(|package| {
        package.key == relative
            || manifest.is_some_and(|manifest| manifest.name.as_deref() == Some(&package.name))
            || manifest.is_none() && relative.rsplit('/').next() == Some(&package.name)
    })
}

/// What the project itself depends on.
fn roots(ecosystem: Ecosystem, lock: &Lock, manifests: &[(&str, &Manifest)]) -> Vec<usize> {
    let mut roots: Vec<usize> = Vec::new();
    if lock.has_project {
        for package in lock.packages.iter().filter(|one| one.source == Source::Project) {
            roots.extend(package.edges.iter().flat_map(|edge| &edge.to));
        }
    } else {
        let declared = manifests
            .iter()
            .flat_map(|(_, manifest)| manifest.declared.iter().chain(&manifest.overrides));
        for one in declared {
            roots.extend(find(ecosystem, lock, one));
        }
    }
    roots.sort_unstable();
    roots.dedup();
    roots.retain(|at| lock.packages.get(*at).is_some_and(Package::is_foreign));
    roots
}

/// The entries of a lock file without project entries that a declaration means.
pub(crate) fn find(ecosystem: Ecosystem, lock: &Lock, wish: &Declared) -> Vec<usize> {
    let keyed = lock.packages.iter().any(|package| !package.declared.is_empty());
    let name = ecosystem.canonical(&wish.name);
    let used = wish.used_name();
    lock.packages
        .iter()
        .enumerate()
        .filter(|(_, package)| {
            if keyed {
                // yarn: an entry names the wishes that it meets
                return package.declared.iter().any(|key| {
                    key.name == used
                        && key.requirement.rsplit(':').next() == wish.requirement.rsplit(':').next()
                }) || wish.source != (Source::Registry { host: None })
                    && package.declared.iter().any(|key| key.name == used);
            }
            match package.key.strip_prefix("node_modules/") {
                Some(path) => path == used,
                None => ecosystem.canonical(&package.name) == name,
            }
        })
        .map(|(at, _)| at)
        .collect()
}

/// What a manifest asks for, as entries: exact versions where it names them.
pub(crate) fn wished(kind: FileKind, manifest: &Manifest) -> Lock {
    let mut lock = Lock::new();
    lock.has_graph = false;
    lock.has_project = false;
    let hashed = manifest.declared.iter().any(|one| !one.hashes.is_empty());
    lock.hashing = if hashed { Hashing::Always } else { Hashing::Never };
    for one in &manifest.declared {
        if one.inherited || one.source == Source::Project {
            continue;
        }
        let version = one.requirement.trim_start_matches(['=', 'v']).trim();
        let version = if kind.ecosystem() == Ecosystem::Go { &one.requirement } else { version };
        let mut package = Package::new(&one.name, &one.name, version, one.source.clone());
        package.hashes = one.hashes.iter().map(|text| hash_of(text)).collect();
        package.script = InstallScript::Unknown;
        if let Source::Url { url } | Source::Git { url, .. } = &one.source {
            package.resolved.push(url.clone());
        }
        if !lock.packages.contains(&package) {
            lock.packages.push(package);
        }
    }
    lock
}
