//! Policy files: reading them, and noticing that they changed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bailiwick_policy::{
    Bundle, EXAMPLES, MAX_SOURCE_BYTES, PolicyError, PolicyErrors, PolicySet, PolicySource,
    Starter, resolve,
};

/// What a set of files looked like. Whoever replaces a file changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<Option<(u64, u64, i64, i64)>>);

impl Fingerprint {
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        Self(
            paths
                .iter()
                .map(|path| {
                    let found = fs::metadata(path).ok()?;
                    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
                })
                .collect(),
        )
    }
}

/// Policy and examples of something that can be named on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Material {
    /// The policies, with what they include.
    pub(crate) policies: Vec<PolicySource>,
    /// The examples beside them.
    pub(crate) examples: Vec<PolicySource>,
    /// Every file as it is.
    pub(crate) files: Vec<PolicySource>,
}

fn fault(path: &Path, what: String) -> PolicyErrors {
    PolicyError {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        policy: None,
        what,
        why: "a policy of which a part can't be read is not the policy that was written",
        fix: "name a `.cedar` or `.toml` file, a directory of them, a bundle, or a starter: standard, strict, open-source".to_owned(),
    }
    .into()
}

/// Reads a source file, never more than a source may have.
pub(crate) fn source(path: &Path, name: &str) -> Result<PolicySource, PolicyErrors> {
    let found =
        fs::metadata(path).map_err(|error| fault(path, format!("it can't be read: {error}")))?;
    if !found.is_file() {
        return Err(fault(path, "it is not a file".to_owned()));
    }
    if found.len() > MAX_SOURCE_BYTES as u64 {
        return Err(fault(
            path,
            format!("it has {} bytes; more than 1 MiB is not read", found.len()),
        ));
    }
    let text = fs::read_to_string(path)
        .map_err(|error| fault(path, format!("it can't be read: {error}")))?;
    Ok(PolicySource::new(name, text))
}

/// Reads files that lie side by side, as they are configured.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PolicySource>, PolicyErrors> {
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        match source(path, &path.display().to_string()) {
            Ok(source) => found.push(source),
            Err(more) => errors.extend(more.errors),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(PolicyErrors { errors }) }
}

/// The files of a directory, with those of its directories.
fn directory(path: &Path, below: &str, found: &mut Vec<PolicySource>) -> Result<(), PolicyErrors> {
    let unreadable = |error: std::io::Error| fault(path, format!("it can't be read: {error}"));
    let mut entries: Vec<_> =
        fs::read_dir(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let shown = format!("{below}{name}");
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() && !path.is_symlink() && below.matches('/').count() < 4 {
            directory(&path, &format!("{shown}/"), found)?;
        } else if name.ends_with(".cedar") || name.ends_with(".toml") {
            found.push(source(&path, &shown)?);
        }
    }
    Ok(())
}

/// Reads whatever was named: a starter, a bundle, a directory, a file.
pub(crate) fn material(name: &str) -> Result<Material, PolicyErrors> {
    let path = Path::new(name);
    if !path.exists()
        && let Some(starter) = Starter::find(name)
    {
        let examples = vec![PolicySource::new(format!("{name}{EXAMPLES}"), starter.examples)];
        let policies = starter.sources();
        return Ok(Material { files: policies.clone(), policies, examples });
    }
    let mut found = Vec::new();
    if path.is_dir() {
        directory(path, "", &mut found)?;
        if found.is_empty() {
            return Err(fault(path, "no policy lies in the directory".to_owned()));
        }
    } else if name.ends_with(".cedar") || name.ends_with(".toml") {
        found.push(source(path, name)?);
        // the examples beside it
        if let Some(stem) = name.strip_suffix(".cedar").or_else(|| name.strip_suffix(".toml")) {
            let beside = format!("{stem}{EXAMPLES}");
            if Path::new(&beside).is_file() && !name.ends_with(EXAMPLES) {
                found.push(source(Path::new(&beside), &beside)?);
            }
        }
    } else {
        let bytes =
            fs::read(path).map_err(|error| fault(path, format!("it can't be read: {error}")))?;
        let bundle =
            Bundle::parse(name, &bytes).map_err(|error| PolicyErrors { errors: error.errors })?;
        found = bundle.files;
    }
    let policies = resolve(&found)?;
    let examples = found.iter().filter(|file| file.name.ends_with(EXAMPLES)).cloned().collect();
    Ok(Material { policies, examples, files: found })
}

/// The text of every policy in force, layer by layer.
pub(crate) fn text_of(policy: &PolicySet) -> String {
    let mut parts = Vec::new();
    for (layer, sources) in policy.layers() {
        for source in sources {
            parts.push(format!("// {layer}: {}\n{}", source.name, source.text));
        }
    }
    parts.join("\n")
}
