//! Where a command works: on the data directory itself, or through the server that has it open.

use anyhow::Result;
use bailiwick_model::identity::Caller;

use crate::arguments::Common;
use crate::client::Remote;
use crate::command::{Told, configuration, person};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::identity::{self, WhoAmI};
use crate::platform::Platform;

/// A command's way to the platform.
pub(crate) enum Session {
    /// This process has the data directory.
    Local {
        /// The platform.
        platform: Box<Platform>,
        /// Who acts.
        caller: Caller,
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
        if let Some(url) = &common.server {
            let remote = Remote::elsewhere(url)?;
            return Self::proven(common, remote).await;
        }
        let dir = DataDir::open(&common.data)?;
        if let Some(server) = dir.server() {
            return Self::proven(common, Remote::new(&dir, &server)?).await;
        }
        let platform = Platform::open(dir, config, None).await?;
        let usual = person(&Common { person: None, ..common.clone() }, config)?;
        let store = &platform.engine.parts().store;
        let caller = identity::local_caller(store, &usual, common.person.as_ref())?;
        let operation = common.operation.ok_or_else(|| Told {
            code: "identity.operation_unknown".to_owned(),
            message: "nothing says who may use this command, so nobody may".to_owned(),
            hint: "this is a fault of the program".to_owned(),
        })?;
        caller.check(operation).map_err(Told::from)?;
        Ok(Self::Local { platform: Box::new(platform), caller })
    }

    /// A server knows who asks by the token; a name beside it must be the same.
    async fn proven(common: &Common, remote: Remote) -> Result<Self> {
        if let Some(claimed) = &common.person {
            let me: WhoAmI = remote.get("/whoami").await?;
            if me.person != *claimed {
                return Err(identity::unproven(claimed, &me.person).into());
            }
        }
        Ok(Self::Remote(remote))
    }
}
