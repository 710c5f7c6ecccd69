//! Which files speak of dependencies, by their names.

use crate::ecosystem::Ecosystem;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `Cargo.toml`.
    CargoManifest,
    /// `Cargo.lock`.
    CargoLock,
    /// `.cargo/config.toml`.
    CargoSettings,
    /// `package.json`.
    NpmManifest,
    /// `package-lock.json` or `npm-shrinkwrap.json`.
    NpmLock,
    /// `.npmrc`.
    NpmSettings,
    /// `pnpm-lock.yaml`.
    PnpmLock,
    /// `yarn.lock`.
    YarnLock,
    /// `.yarnrc.yml`.
    YarnSettings,
    /// `requirements*.txt` and constraints.
    Requirements,
    /// `pyproject.toml`.
    Pyproject,
    /// `uv.lock`.
    UvLock,
    /// `poetry.lock`.
    PoetryLock,
    /// `Pipfile`.
    Pipfile,
    /// `Pipfile.lock`.
    PipfileLock,
    /// `go.mod`.
    GoMod,
    /// `go.sum`.
    GoSum,
    /// `pom.xml`.
    Pom,
    /// `build.gradle`, `build.gradle.kts` and the settings files.
    GradleBuild,
    /// `gradle.lockfile`.
    GradleLock,
    /// `libs.versions.toml`.
    GradleCatalog,
}

impl FileKind {
    /// The kind of a file, by its path from the repository's root.
    pub fn of(path: &str) -> Option<Self> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some(match name {
            "Cargo.toml" => Self::CargoManifest,
            "Cargo.lock" => Self::CargoLock,
            "config.toml" | "config" if directory.rsplit('/').next() == Some(".cargo") => {
                Self::CargoSettings
            }
            "package.json" => Self::NpmManifest,
            "package-lock.json" | "npm-shrinkwrap.json" => Self::NpmLock,
            ".npmrc" => Self::NpmSettings,
            "pnpm-lock.yaml" => Self::PnpmLock,
            "yarn.lock" => Self::YarnLock,
            ".yarnrc.yml" => Self::YarnSettings,
            "pyproject.toml" => Self::Pyproject,
            "uv.lock" => Self::UvLock,
            "poetry.lock" => Self::PoetryLock,
            "Pipfile" => Self::Pipfile,
            "Pipfile.lock" => Self::PipfileLock,
            "go.mod" => Self::GoMod,
            "go.sum" => Self::GoSum,
            "pom.xml" => Self::Pom,
            "build.gradle" | "build.gradle.kts" | "settings.gradle" | "settings.gradle.kts" => {
                Self::GradleBuild
            }
            "gradle.lockfile" | "buildscript-gradle.lockfile" => Self::GradleLock,
            _ if name.ends_with(".versions.toml") => Self::GradleCatalog,
            _ if is_requirements(directory, name) => Self::Requirements,
            _ => return None,
        })
    }

    /// The ecosystem that it belongs to.
    pub fn ecosystem(self) -> Ecosystem {
        match self {
            Self::CargoManifest | Self::CargoLock | Self::CargoSettings => Ecosystem::Cargo,
            Self::NpmManifest
            | Self::NpmLock
            | Self::NpmSettings
            | Self::PnpmLock
            | Self::YarnLock
            | Self::YarnSettings => Ecosystem::Npm,
            Self::Requirements
            | Self::Pyproject
            | Self::UvLock
            | Self::PoetryLock
            | Self::Pipfile
            | Self::PipfileLock => Ecosystem::Pypi,
            Self::GoMod | Self::GoSum => Ecosystem::Go,
            Self::Pom | Self::GradleBuild | Self::GradleLock | Self::GradleCatalog => {
                Ecosystem::Maven
            }
        }
    }

    /// Manifests whose declarations this lock file resolves.
    pub(crate) fn locks(self) -> &'static [Self] {
        match self {
            Self::CargoLock => &[Self::CargoManifest],
            Self::NpmLock | Self::PnpmLock | Self::YarnLock => &[Self::NpmManifest],
            Self::UvLock | Self::PoetryLock => &[Self::Pyproject],
            Self::PipfileLock => &[Self::Pipfile],
            Self::GoSum => &[Self::GoMod],
            Self::GradleLock => &[Self::GradleBuild],
            _ => &[],
        }
    }
}

fn is_requirements(directory: &str, name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".in")) else {
        return false;
    };
    let stem = stem.to_ascii_lowercase();
    stem.starts_with("requirements")
        || stem.ends_with("requirements")
        || stem.starts_with("constraints")
        || directory.rsplit('/').next() == Some("requirements")
}
