//! Where a command works: on the data directory itself, or through the server that has it open.

use anyhow::Result;
use bailiwick_model::id::Person;

use crate::arguments::Common;
use crate::client::Remote;
use crate::command::{configuration, person};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::platform::Platform;

/// A command's way to the platform.
pub(crate) enum Session {
    /// This process has the data directory.
    Local {
        /// The platform.
        platform: Box<Platform>,
        /// Who acts.
        person: Person,
    },
    /// A server has it.
    Remote(Remote),
}

impl Session {
    /// Opens the data directory, or finds the server that has it open.
    pub(crate) async fn open(common: &Common) -> Result<Self> {
        let config = configuration(common)?;
        Self::open_with(common, &config).await
    }

    pub(crate) async fn open_with(common: &Common, config: &Config) -> Result<Self> {
        let person = person(common, config)?;
        let dir = DataDir::open(&common.data)?;
        if let Some(server) = dir.server()
            && is_alive(server.pid)
        {
            return Ok(Self::Remote(Remote::new(&dir, &server)?));
        }
        let platform = Platform::open(dir, config, None).await?;
        Ok(Self::Local { platform: Box::new(platform), person })
    }
}

/// Whether a process exists.
fn is_alive(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}
