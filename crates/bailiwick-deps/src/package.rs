//! What manifests and lock files say, in one form for all ecosystems.

use crate::ecosystem::Ecosystem;

/// Where a package's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The project itself, or a member of its workspace.
    Project,
    /// A registry: its host, or none when the file leaves it to settings.
    Registry {
        /// The host.
        host: Option<String>,
    },
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// The commit, when one is named in full.
        commit: Option<String>,
    },
    /// An archive at an address.
    Url {
        /// The address.
        url: String,
    },
    /// A directory or archive on the machine.
    Path {
        /// As written.
        path: String,
    },
}

impl Source {
    /// A word for what it is.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Project => "the project",
            Self::Registry { .. } => "a registry",
            Self::Git { .. } => "a git repository",
            Self::Url { .. } => "an address",
            Self::Path { .. } => "a path",
        }
    }

    /// How it reads in a message.
    pub fn describe(&self) -> String {
        match self {
            Self::Project => "the project itself".to_owned(),
            Self::Registry { host: Some(host) } => format!("the registry at `{}`", shown(host)),
            Self::Registry { host: None } => "the usual registry".to_owned(),
            Self::Git { url, commit: Some(commit) } => {
                format!("git `{}` at `{}`", shown(url), shown(commit))
            }
            Self::Git { url, commit: None } => format!("git `{}`", shown(url)),
            Self::Url { url } => format!("`{}`", shown(url)),
            Self::Path { path } => format!("the path `{}`", shown(path)),
        }
    }
}

/// What a text of a file looks like in a message: one line, bounded, without characters that
/// hide or reorder.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(160));
    for c in text.chars().take(160) {
        if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() && c.is_ascii() {
            out.push(if c == '`' { '\'' } else { c });
        } else {
            out.extend(c.escape_unicode());
        }
    }
    if text.chars().nth(160).is_some() {
        out.push('…');
    }
    out
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Always.
    Normal,
    /// While developing or building.
    Dev,
    /// If asked for.
    Optional,
    /// Expected of whoever uses the package.
    Peer,
    /// A bound or replacement, not a dependency by itself.
    Constraint,
}

/// A dependency as a manifest, or the manifest's copy in a lock file, declares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// The package's true name.
    pub name: String,
    /// The name under which it is used, when that is another.
    pub alias: Option<String>,
    /// The requirement as written; empty for any version.
    pub requirement: String,
    /// Where it is to come from.
    pub source: Source,
    /// What for.
    pub group: Group,
    /// Takes the requirement from the workspace's root.
    pub inherited: bool,
    /// Hashes that stand beside it.
    pub hashes: Vec<String>,
}

impl Declared {
    pub(crate) fn new(name: &str, requirement: &str, group: Group) -> Self {
        Self {
            name: name.to_owned(),
            alias: None,
            requirement: requirement.trim().to_owned(),
            source: Source::Registry { host: None },
            group,
            inherited: false,
            hashes: Vec::new(),
        }
    }

    pub(crate) fn from(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// The name that the project's code uses.
    pub fn used_name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// Another place that packages may come from, as a file asks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistrySetting {
    /// The setting, such as `--extra-index-url`.
    pub setting: String,
    /// Its value.
    pub value: String,
    /// Packages of the usual name can come from here beside the usual registry.
    pub beside: bool,
}

/// A manifest: what a person declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The package's own name, when it has one.
    pub name: Option<String>,
    /// The package's own version.
    pub version: Option<String>,
    /// What it declares.
    pub declared: Vec<Declared>,
    /// What a workspace's root offers its members to inherit.
    pub offered: Vec<Declared>,
    /// Versions or sources forced upon others' dependencies.
    pub overrides: Vec<Declared>,
    /// Registry settings in it.
    pub registries: Vec<RegistrySetting>,
    /// It is the root of a workspace.
    pub workspace: bool,
}

impl Manifest {
    pub(crate) fn new() -> Self {
        Self {
            name: None,
            version: None,
            declared: Vec::new(),
            offered: Vec::new(),
            overrides: Vec::new(),
            registries: Vec::new(),
            workspace: false,
        }
    }
}

/// Whether code runs while a package is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstallScript {
    /// The lock file says so.
    Yes,
    /// The lock file says that none does.
    No,
    /// The lock file does not say.
    Unknown,
}

/// One entry's wish for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The wish as written.
    pub wanted: String,
    /// The version requirement in it, if it has one.
    pub requirement: Option<String>,
    /// The entries that meet it, by position.
    pub to: Vec<usize>,
    /// It may be missing.
    pub optional: bool,
}

/// One entry of a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What stands for it in the file: to find it, and to name it in messages.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
    /// The address as written, if there is one.
    pub resolved: Vec<String>,
    /// Hashes as `algorithm` and value, in the file's order.
    pub hashes: Vec<Hash>,
    /// What it depends on.
    pub edges: Vec<Edge>,
    /// Whether code runs at its installation.
    pub script: InstallScript,
    /// Its licence, when the file says.
    pub licence: Option<String>,
    /// Comes within another package, so has no address and hash of its own.
    pub bundled: bool,
    /// What a project entry recorded of its manifest.
    pub declared: Vec<Declared>,
}

impl Package {
    pub(crate) fn new(key: &str, name: &str, version: &str, source: Source) -> Self {
        Self {
            key: key.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            source,
            resolved: Vec::new(),
            hashes: Vec::new(),
            edges: Vec::new(),
            script: InstallScript::Unknown,
            licence: None,
            bundled: false,
            declared: Vec::new(),
        }
    }

    /// Whether somebody else made it.
    pub fn is_foreign(&self) -> bool {
        self.source != Source::Project
    }
}

/// A hash of a package's content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash {
    /// The algorithm, in lower case without dashes; empty if it is not said.
    pub algorithm: String,
    /// The value as written.
    pub value: String,
}

impl Hash {
    /// Bytes of a value of this algorithm.
    pub(crate) fn width(&self) -> Option<usize> {
        match self.algorithm.as_str() {
            "md5" => Some(16),
            "sha1" => Some(20),
            "sha224" => Some(28),
            "sha256" | "h1" => Some(32),
            "sha384" => Some(48),
            "sha512" => Some(64),
            _ => None,
        }
    }

    /// Whether content can be exchanged under it without its changing.
    pub fn is_weak(&self) -> bool {
        matches!(self.algorithm.as_str(), "md5" | "sha1")
    }
}

/// Whether the entries of a format have hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// Every entry from a registry has one.
    Always,
    /// The format has none.
    Never,
}

/// A lock file: what was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Its entries.
    pub packages: Vec<Package>,
    /// Whether entries say what they depend on.
    pub has_graph: bool,
    /// Whether entries have hashes.
    pub hashing: Hashing,
    /// Whether it has entries for the project itself.
    pub has_project: bool,
    /// Names of entries that stand twice and say different things, or twice at all where the
    /// format has them once.
    pub repeated: Vec<String>,
    /// Registry settings in it.
    pub registries: Vec<RegistrySetting>,
    /// Overrides that it records.
    pub overridden: Vec<String>,
}

impl Lock {
    pub(crate) fn new() -> Self {
        Self {
            packages: Vec::new(),
            has_graph: true,
            hashing: Hashing::Always,
            has_project: true,
            repeated: Vec::new(),
            registries: Vec::new(),
            overridden: Vec::new(),
        }
    }
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Declares dependencies.
    Manifest(Manifest),
    /// Records what they were resolved to.
    Lock(Lock),
    /// Only says where packages come from.
    Settings(Vec<RegistrySetting>),
}

/// The name of a package for an index, with its ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageName {
    /// The ecosystem.
    pub ecosystem: Ecosystem,
    /// The canonical name.
    pub name: String,
}

impl PackageName {
    /// A name in its canonical spelling.
    pub fn new(ecosystem: Ecosystem, name: &str) -> Self {
        Self { ecosystem, name: ecosystem.canonical(name) }
    }
}
