//! Finding a program in what npm installed.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{About, Located, ProgramError};

/// The version of Node.js that comes along with programs that need one. It is a package like
/// theirs: what the host has may be older than they want, and npm then installs older versions of
/// them without a word.
pub(super) const NODE_VERSION: &str = "22.23.3";

/// The part of a package's name that says the machine.
pub(super) fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    }
}

/// The package that carries Node.js for this machine.
pub(super) fn node_package() -> String {
    format!("node-{}", machine())
}

/// Finds a program in the package that npm installed below `directory`, or in the directory itself.
pub(super) fn in_package(
    about: &About,
    directory: &Path,
    package: &str,
    file: &str,
) -> Result<Located, ProgramError> {
    let packed = directory.join("node_modules").join(package);
    let found = [packed.as_path(), directory].into_iter().find(|place| place.join(file).is_file());
    let Some(found) = found else {
        return Err(missing(about, packed.join(file)));
    };
    let version = version_of(about.kind, found)?;
    let directory = std::fs::canonicalize(found).unwrap_or_else(|_| found.to_owned());
    Ok(Located { directory, file: file.to_owned(), version })
}

/// Finds a script with the Node.js that was installed beside it. What is mounted has both, and all
/// that the script needs.
pub(super) fn for_node(
    about: &About,
    directory: &Path,
    script: &str,
) -> Result<Located, ProgramError> {
    let modules = directory.join("node_modules");
    let file = format!("{}/bin/node", node_package());
    let package = modules.join(about.package);
    for path in [package.join(script), modules.join(&file)] {
        if !path.is_file() {
            return Err(missing(about, path));
        }
    }
    let version = version_of(about.kind, &package)?;
    let directory = std::fs::canonicalize(&modules).unwrap_or(modules);
    Ok(Located { directory, file, version })
}

fn missing(about: &About, path: PathBuf) -> ProgramError {
    ProgramError::Missing { kind: about.kind, path, install: about.install_hint() }
}

/// The version that a package says it is.
fn version_of(kind: &'static str, package: &Path) -> Result<String, ProgramError> {
    let described = package.join("package.json");
    std::fs::read(&described)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .and_then(|package| package.get("version")?.as_str().map(str::to_owned))
        .ok_or(ProgramError::NoVersion { kind, path: described })
}
