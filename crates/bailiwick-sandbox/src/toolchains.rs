//! Finding compilers and runtimes that the host has outside `/usr`, and its package caches.
//!
//! Everything under `/usr` is in every cage anyway. Deliberately absent: any file that can hold a
//! credential (`~/.cargo/credentials.toml`, `~/.npmrc`, `~/.netrc`, `~/.gitconfig`, `~/.ssh`,
//! `~/.docker`, cargo's `git` directory with its remote addresses): what is mounted is either a
//! toolchain's own directory or cargo's `registry`, never a home directory or a part of one that
//! is not named here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bailiwick_guest::{Access, HOME, Mount};

/// What a cage gets of the host's toolchains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchains {
    /// Directories, read-only.
    pub mounts: Vec<Mount>,
    /// Package caches, read-only; used where no dependencies were fetched for the repository.
    pub caches: Vec<Mount>,
    /// Directories inside the cage that come first in `PATH`.
    pub path: Vec<String>,
    /// Variables that the toolchains need.
    pub env: BTreeMap<String, String>,
    /// What was found, for people: name and place.
    pub found: Vec<(String, PathBuf)>,
}

/// Looks for Rust, Node.js, Python and Go on the `PATH` of this process. Starts each that is not
/// under `/usr` once, to ask where it lives. Blocks for that long.
pub fn discover() -> Toolchains {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::home_dir();
    let seekers: [fn(&OsStr) -> Option<Found>; 4] = [rust, node, python, go];
    let found: Vec<Option<Found>> = std::thread::scope(|scope| {
        let threads: Vec<_> = seekers.iter().map(|seek| scope.spawn(|| seek(&path))).collect();
        threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    let mut toolchains = Toolchains::default();
    for found in found.into_iter().flatten() {
        if !may_be_shown(&found.directory, home.as_deref()) {
            continue;
        }
        toolchains.path.push(format!("{}/bin", found.target));
        toolchains.mounts.push(Mount {
            source: found.directory.clone(),
            target: found.target.into(),
            access: Access::ReadOnly,
        });
        toolchains.found.push((found.name.to_owned(), found.directory));
    }
    if Path::new("/usr/local/go/bin").is_dir() {
        toolchains.path.push("/usr/local/go/bin".to_owned());
    }
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".cargo")));
    if let Some(registry) = cargo_home.and_then(|home| home.join("registry").canonicalize().ok()) {
        let target = format!("{HOME}/.cargo/registry").into();
        toolchains.caches.push(Mount { source: registry, target, access: Access::ReadOnly });
    }
    toolchains
}

struct Found {
    name: &'static str,
    directory: PathBuf,
    target: String,
}

fn rust(path: &OsStr) -> Option<Found> {
    let program = outside_usr("rustc", path)?;
    let directory = ask(&program, &["--print", "sysroot"])?;
    directory.join("bin/rustc").is_file().then(|| Found {
        name: "rust",
        directory,
        target: "/toolchains/rust".to_owned(),
    })
}

fn node(path: &OsStr) -> Option<Found> {
    let program = outside_usr("node", path)?;
    let directory = ask(
        &program,
        &["-p", "require('path').dirname(require('path').dirname(process.execPath))"],
    )?;
    directory.join("bin/node").is_file().then(|| Found {
        name: "node",
        directory,
        target: "/toolchains/node".to_owned(),
    })
}

fn python(path: &OsStr) -> Option<Found> {
    let program = behind_shim(outside_usr("python3", path)?, "python3");
    let directory = ask(&program, &["-I", "-S", "-c", "import sys; print(sys.base_prefix)"])?;
    if directory.starts_with("/usr") || !directory.join("bin/python3").exists() {
        return None;
    }
    // Scripts beside an interpreter name it by its full path, so the path stays.
    let target = directory.to_str()?.to_owned();
    Some(Found { name: "python", directory, target })
}

fn go(path: &OsStr) -> Option<Found> {
    let program = outside_usr("go", path)?;
    let directory = ask(&program, &["env", "GOROOT"])?;
    directory.join("bin/go").is_file().then(|| Found {
        name: "go",
        directory,
        target: "/toolchains/go".to_owned(),
    })
}

/// The first program of this name on the path, unless it is under `/usr`.
fn outside_usr(name: &str, path: &OsStr) -> Option<PathBuf> {
    let program = std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())?;
    let real = program.canonicalize().ok()?;
    (!real.starts_with("/usr")).then_some(program)
}

/// The program that a version manager's shim (`…/shims/NAME`, a slow shell script) stands for when
/// nothing local says otherwise: the one of the version in `…/version`.
fn behind_shim(program: PathBuf, name: &str) -> PathBuf {
    let manager =
        program.parent().filter(|directory| directory.ends_with("shims")).and_then(Path::parent);
    let Some(manager) = manager else { return program };
    let version = std::fs::read_to_string(manager.join("version")).unwrap_or_default();
    let Some(version) = version.split_whitespace().next() else { return program };
    let real = manager.join("versions").join(version).join("bin").join(name);
    if real.is_file() { real } else { program }
}

/// Asks a program for a directory.
fn ask(program: &Path, arguments: &[&str]) -> Option<PathBuf> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir("/")
        // A version manager must not begin to install something.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let directory = Path::new(text.trim()).canonicalize().ok()?;
    (output.status.success() && directory.is_dir()).then_some(directory)
}

/// Whether a directory can be shown to agents: not a home directory or anything around one, and
/// not a system directory that has more in it than a toolchain.
fn may_be_shown(directory: &Path, home: Option<&Path>) -> bool {
    const NEVER: [&str; 9] =
        ["/", "/home", "/root", "/etc", "/var", "/opt", "/srv", "/mnt", "/run"];
    let around_home = home
        .and_then(|home| home.canonicalize().ok())
        .is_some_and(|home| home.starts_with(directory));
    !around_home
        && directory.is_absolute()
        && !NEVER.iter().any(|never| Path::new(never) == directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_home_directory_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for (directory, shown) in [
            (home.as_path(), false),
            (home.parent().unwrap(), false),
            (Path::new("/"), false),
            (Path::new("/opt"), false),
            (&home.join(".nvm/versions/node/v22"), true),
            (Path::new("/opt/go"), true),
        ] {
            assert_eq!(may_be_shown(directory, Some(&home)), shown, "{}", directory.display());
        }
    }

    #[test]
    fn what_is_mounted_holds_no_credentials() {
        let toolchains = discover();
        for mount in toolchains.mounts.iter().chain(&toolchains.caches) {
            assert_eq!(mount.access, Access::ReadOnly);
            for name in [
                "credentials.toml",
                "credentials",
                ".npmrc",
                ".netrc",
                ".gitconfig",
                ".ssh",
                ".docker",
                "config.toml",
            ] {
                assert!(!mount.source.join(name).exists(), "{}", mount.source.join(name).display());
            }
        }
    }
}
