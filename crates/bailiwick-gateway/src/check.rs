//! What `bailiwick doctor` says of a provider. It needs no permit because it sends nothing: it
//! only makes a TCP connection and closes it.

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::ProviderConfig;
use crate::http::HttpProvider;
use crate::key::ApiKey;

/// The state of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderCheck {
    /// Its name.
    pub provider: String,
    /// Its wire format.
    pub kind: &'static str,
    /// Its key.
    pub key: KeyCheck,
    /// Its address.
    pub connection: ConnectionCheck,
}

/// Whether a key is there; never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum KeyCheck {
    /// It is. Whether the provider accepts it shows only in a call.
    Present,
    /// None is configured.
    NotConfigured,
    /// One is configured, and it is not there.
    Missing {
        /// Where it should be, and why it can't be used.
        problem: String,
    },
}

/// Whether a connection comes about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ConnectionCheck {
    /// It does.
    Reachable {
        /// Host and port.
        address: String,
    },
    /// It does not.
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        problem: String,
    },
    /// A script needs none.
    NotNeeded,
}

impl ProviderCheck {
    /// Says whether a call can work, as far as that shows from here.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        !matches!(self.key, KeyCheck::Missing { .. })
            && !matches!(self.connection, ConnectionCheck::Unreachable { .. })
    }
}

pub(crate) fn scripted(config: &ProviderConfig) -> ProviderCheck {
    ProviderCheck {
        provider: config.name.clone(),
        kind: config.kind.as_str(),
        key: KeyCheck::NotConfigured,
        connection: ConnectionCheck::NotNeeded,
    }
}

pub(crate) async fn http(config: &ProviderConfig, http: &HttpProvider) -> ProviderCheck {
    let key = match &http.key {
        ApiKey::Present(_) => KeyCheck::Present,
        ApiKey::NotConfigured => KeyCheck::NotConfigured,
        ApiKey::Missing { reference, problem } => {
            KeyCheck::Missing { problem: format!("{reference} {problem}") }
        }
    };
    ProviderCheck {
        provider: config.name.clone(),
        kind: config.kind.as_str(),
        key,
        connection: connect(config, http).await,
    }
}

async fn connect(config: &ProviderConfig, http: &HttpProvider) -> ConnectionCheck {
    let address = http.endpoint.first_hop_address();
    let problem = match timeout(config.connect_timeout(), TcpStream::connect(&address)).await {
        Ok(Ok(_)) => return ConnectionCheck::Reachable { address },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {} ms", config.connect_timeout_ms),
    };
    ConnectionCheck::Unreachable { address, problem }
}
