//! From bytes to what they say, by the kind of file.

mod cargo;
mod go;
mod gradle;
mod maven;
mod npm;
mod npm_legacy;
mod pip;
mod pipfile;
mod pnpm;
mod poetry;
mod pyproject;
mod settings;
mod uv;
mod yarn;

use crate::error::ReadError;
use crate::kind::FileKind;
use crate::package::{Contents, Hash};

/// Reads one file. Never panics, and uses memory in proportion to the file.
pub fn read(kind: FileKind, bytes: &[u8]) -> Result<Contents, ReadError> {
    Ok(match kind {
        FileKind::CargoManifest => Contents::Manifest(cargo::manifest(bytes)?),
        FileKind::CargoLock => Contents::Lock(cargo::lock(bytes)?),
        FileKind::CargoSettings => Contents::Settings(settings::cargo(bytes)?),
        FileKind::NpmManifest => Contents::Manifest(npm::manifest(bytes)?),
        FileKind::NpmLock => Contents::Lock(npm::lock(bytes)?),
        FileKind::NpmSettings => Contents::Settings(settings::npmrc(bytes)?),
        FileKind::PnpmLock => Contents::Lock(pnpm::lock(bytes)?),
        FileKind::YarnLock => Contents::Lock(yarn::lock(bytes)?),
        FileKind::YarnSettings => Contents::Settings(settings::yarnrc(bytes)?),
        FileKind::Requirements => Contents::Manifest(pip::requirements(bytes)?),
        FileKind::Pyproject => Contents::Manifest(pyproject::manifest(bytes)?),
        FileKind::UvLock => Contents::Lock(uv::lock(bytes)?),
        FileKind::PoetryLock => Contents::Lock(poetry::lock(bytes)?),
        FileKind::Pipfile => Contents::Manifest(pipfile::manifest(bytes)?),
        FileKind::PipfileLock => Contents::Lock(pipfile::lock(bytes)?),
        FileKind::GoMod => Contents::Manifest(go::manifest(bytes)?),
        FileKind::GoSum => Contents::Lock(go::sums(bytes)?),
        FileKind::Pom => Contents::Manifest(maven::manifest(bytes)?),
        FileKind::GradleBuild => Contents::Manifest(gradle::build(bytes)?),
        FileKind::GradleLock => Contents::Lock(gradle::lock(bytes)?),
        FileKind::GradleCatalog => Contents::Manifest(gradle::catalog(bytes)?),
    })
}

/// A hash as Python's files write it.
pub(crate) fn hash_of(text: &str) -> Hash {
    pip::hash(text)
}
