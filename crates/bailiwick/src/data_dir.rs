//! The data directory: what lies where, and the keys in it.
//!
//! `keys/` has the ledger's signing key, the commit signing key and the API token, each readable
//! by the owner only. Without its key a ledger is not written any more (`docs/keys.md`); losing the
//! others means making new ones.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The name of the environment variable that names the data directory.
pub(crate) const DATA_VARIABLE: &str = "BAILIWICK_DATA";

/// The name of the environment variable that names a server to speak to.
pub(crate) const SERVER_VARIABLE: &str = "BAILIWICK_SERVER";

/// A data directory.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

/// Where a running server is, and how to speak to it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct ServerInfo {
    /// Its base address.
    pub(crate) url: String,
    /// Its process.
    pub(crate) pid: u32,
}

impl DataDir {
    /// The directory, made if it is not there, readable by the owner only.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        make(root)?;
        let root =
            fs::canonicalize(root).with_context(|| format!("cannot open `{}`", root.display()))?;
        let dir = Self { root };
        make(&dir.keys())?;
        Ok(dir)
    }

    /// The directory as it is, for reading beside a running server.
    pub(crate) fn existing(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            bail!("there is no data directory `{}`", root.display());
        }
        Ok(Self { root: fs::canonicalize(root)? })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn forge(&self) -> PathBuf {
        self.root.join("forge")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// What has to be removed should this process be killed, one file for each run.
    pub(crate) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(crate) fn dependencies(&self) -> PathBuf {
        self.root.join("dependencies")
    }

    /// Answers of package indexes, kept for a while.
    pub(crate) fn index_answers(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The last good policies, and those that were refused.
    pub(crate) fn policy(&self) -> PathBuf {
        self.root.join("policy")
    }

    /// How far each address was told.
    pub(crate) fn notify(&self) -> PathBuf {
        self.root.join("notify")
    }

    fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    pub(crate) fn ledger_key(&self) -> PathBuf {
        self.keys().join("ledger.key")
    }

    pub(crate) fn server_file(&self) -> PathBuf {
        self.root.join("server.json")
    }

    /// Browser sessions, as SHA-256 of their tokens.
    pub(crate) fn browser_sessions(&self) -> PathBuf {
        self.root.join("browser-sessions.json")
    }

    /// The server that runs on this directory: the one that says so, if it has the store. One that
    /// was killed leaves what it said.
    pub(crate) fn server(&self) -> Option<ServerInfo> {
        let text = fs::read_to_string(self.server_file()).ok()?;
        let said: ServerInfo = serde_json::from_str(&text).ok()?;
        (bailiwick_store::holder_of(&self.store()) == Some(said.pid)).then_some(said)
    }

    /// The seed of the commit signing key, made on first use.
    pub(crate) fn signing_seed(&self) -> Result<[u8; 32]> {
        let path = self.keys().join("signing.key");
        let bytes = secret(&path, || random::<32>().map(|seed| seed.to_vec()))?;
        <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| anyhow::anyhow!("`{}` is damaged: it must have 32 bytes", path.display()))
    }

    /// The API token, made on first use.
    pub(crate) fn token(&self) -> Result<String> {
        let path = self.keys().join("api.token");
        let bytes = secret(&path, || {
            let hex: String = random::<24>()?.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("bw_{hex}").into_bytes())
        })?;
        String::from_utf8(bytes).with_context(|| format!("`{}` is damaged", path.display()))
    }
}

fn make(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the directory `{}`", path.display()))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// Reads a secret file, or makes it. One that others can read is refused.
fn secret(path: &Path, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            bail!(
                "`{}` can be read by others; `chmod 600` it, and replace the key if anybody did",
                path.display()
            )
        }
        Ok(_) => {
            return fs::read(path).with_context(|| format!("cannot read `{}`", path.display()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
        }
    }
    let bytes = make()?;
    // Written whole under another name first: a crash must not leave half a key.
    let temporary = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(bytes)
}
