//! One index: where it is, and how long it is waited for.

use std::time::Duration;

use anyhow::Result;
use bailiwick_deps::Ecosystem;
use bailiwick_gateway::{HostAnswer, HostClient, HostError};
use bailiwick_model::action::HostRequest;
use bailiwick_warden::Permit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::Told;

/// The largest answer that is read: the whole past of a package with thousands of versions.
const MOST_BYTES: usize = 32 << 20;
/// Longest time for an answer, in seconds.
const MOST_SECONDS: u64 = 120;
/// Longest time that an answer is kept, in hours.
const MOST_HOURS: u32 = 24 * 30;

/// `[dependencies.online.ECOSYSTEM]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnlineIndexConfig {
    /// The address of the index, of a company's mirror as well: a sparse index of Cargo, a registry
    /// of npm, a simple index of Python (`…/simple/`), a proxy of Go modules, a Maven repository.
    pub(crate) url: String,
    /// A proxy on the way there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<String>,
    /// The longest time for one answer, in seconds. Default 10.
    #[serde(default = "usual_seconds")]
    pub(crate) timeout_seconds: u64,
    /// For how many hours an answer is kept and not asked for again. Default 24.
    #[serde(default = "usual_hours")]
    pub(crate) cache_hours: u32,
}

fn usual_seconds() -> u64 {
    10
}

fn usual_hours() -> u32 {
    24
}

impl OnlineIndexConfig {
    /// An index with nothing said of it but where it is.
    pub(crate) fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            proxy: None,
            timeout_seconds: usual_seconds(),
            cache_hours: usual_hours(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Server {
    /// The request for the index's own address; every question is one below it.
    below: HostRequest,
    client: HostClient,
    keeps: Duration,
}

impl Server {
    pub(super) fn open(ecosystem: Ecosystem, config: &OnlineIndexConfig) -> Result<Self> {
        let told = |reason: &str| Told {
            code: "config.invalid".to_owned(),
            message: format!("the online index of {ecosystem} can't be used: {reason}"),
            hint: format!(
                "correct `[dependencies.online.{ecosystem}]`, or the address that is named"
            ),
        };
        // the text is not quoted: it may hold a password by mistake
        let url: axum::http::Uri = config.url.parse().map_err(|_| told("its address is none"))?;
        let (scheme, port) = match (url.scheme_str(), url.port_u16()) {
            (Some("https"), port) => ("https", port.unwrap_or(443)),
            (Some("http"), port) => ("http", port.unwrap_or(80)),
            _ => {
                return Err(told("its address begins neither with `https://` nor `http://`").into());
            }
        };
        let has_user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if has_user || url.query().is_some() {
            return Err(told("its address has a user name, a password or a query").into());
        }
        if !(1..=MOST_SECONDS).contains(&config.timeout_seconds) {
            return Err(told("`timeout_seconds` is not 1 to 120").into());
        }
        if config.cache_hours > MOST_HOURS {
            return Err(told("`cache_hours` is more than 720").into());
        }
        let limit = Duration::from_secs(config.timeout_seconds);
        let is_secure = scheme == "https"
            || config.proxy.as_ref().is_some_and(|proxy| proxy.starts_with("https:"));
        let client = HostClient::new(is_secure, config.proxy.as_deref(), limit, MOST_BYTES)?;
        let below = HostRequest {
            scheme: scheme.to_owned(),
            host: url.host().unwrap_or_default().to_ascii_lowercase(),
            port,
            method: "GET".to_owned(),
            path: url.path().trim_end_matches('/').to_owned(),
            body_digest: None,
        };
        Ok(Self { below, client, keeps: Duration::from_secs(u64::from(config.cache_hours) * 3600) })
    }

    pub(super) fn host(&self) -> &str {
        &self.below.host
    }

    /// What answers are kept under: those of another index are others.
    pub(super) fn key(&self) -> String {
        let HostRequest { scheme, host, port, path, .. } = &self.below;
        format!("{scheme}://{host}:{port}{path}")
    }

    pub(super) fn keeps(&self) -> Duration {
        self.keeps
    }

    /// The request for a path of the index.
    pub(super) fn request(&self, path: &str) -> HostRequest {
        HostRequest { path: format!("{}{path}", self.below.path), ..self.below.clone() }
    }

    pub(super) async fn get(&self, permit: Permit<HostRequest>) -> Result<HostAnswer, HostError> {
        self.client.get(permit).await
    }
}
