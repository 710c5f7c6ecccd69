//! One request to a host outside: what it may be stands in its permit, and it goes nowhere else.
//!
//! No redirect is followed, nothing is unpacked, time and size are bounded. Whoever asks reads the
//! answer as what it is: the words of a stranger.

use std::time::Duration;

use bailiwick_model::action::HostRequest;
use bailiwick_model::outcome::{EffectError, Outcome, Recorded};
use bailiwick_model::payload::Digest;
use bailiwick_warden::Permit;
use reqwest::Url;
use reqwest::header::ACCEPT;

/// What is asked for: JSON where there is a choice.
const ACCEPTED: &str =
    "application/vnd.pypi.simple.v1+json, application/json;q=0.9, text/html;q=0.2, */*;q=0.1";

/// The answer of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAnswer {
    /// Its status.
    pub status: u16,
    /// Its body, whole.
    pub body: Vec<u8>,
}

impl Recorded for HostAnswer {
    fn outcome(&self) -> Outcome {
        Outcome::Read { digest: Digest::of(&self.body), bytes: self.body.len() as u64 }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The permit is for something that can't be asked.
    #[error("`{method} {host}` can't be asked: {reason}")]
    Unaskable {
        /// The method.
        method: String,
        /// The host.
        host: String,
        /// Why.
        reason: &'static str,
    },
    /// It can't be reached.
    #[error("`{host}` can't be reached")]
    Unreachable {
        /// Which.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer broke off.
    #[error("the answer of `{host}` broke off")]
    Broken {
        /// Whose.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It took too long.
    #[error("`{host}` took longer than {} ms", limit.as_millis())]
    Slow {
        /// Which.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// The answer is too large.
    #[error("the answer of `{host}` has more than {most} bytes")]
    TooLarge {
        /// Whose.
        host: String,
        /// The limit.
        most: usize,
    },
}

impl EffectError for HostError {
    fn code(&self) -> String {
        let code = match self {
            Self::Unaskable { .. } => "host.unaskable",
            Self::Unreachable { .. } => "host.unreachable",
            Self::Broken { .. } => "host.broken",
            Self::Slow { .. } => "host.slow",
            Self::TooLarge { .. } => "host.too_large",
        };
        code.to_owned()
    }

    fn hint(&self) -> Option<String> {
        Some(
            "see that the address in the configuration is right and that the host answers"
                .to_owned(),
        )
    }

    /// It only reads: nothing is different for a request that may have been answered.
    fn possibly_done(&self) -> bool {
        false
    }
}

/// The client can't be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare requests to hosts")]
pub struct HostClientError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Sends requests that were permitted.
#[derive(Debug, Clone)]
pub struct HostClient {
    client: reqwest::Client,
    limit: Duration,
    most: usize,
}

impl HostClient {
    /// A client for `http` alone, or for both, with an optional proxy. It takes at most this long
    /// for an answer of at most so many bytes.
    pub fn new(
        is_secure: bool,
        proxy: Option<&str>,
        limit: Duration,
        most: usize,
    ) -> Result<Self, HostClientError> {
        let tls = crate::endpoint::tls(is_secure).map_err(HostClientError)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(limit);
        if let Some(proxy) = proxy {
            let proxy = reqwest::Proxy::all(proxy);
            builder = builder.proxy(proxy.map_err(|error| HostClientError(Box::new(error)))?);
        }
        let client = builder.build().map_err(|error| HostClientError(Box::new(error)))?;
        Ok(Self { client, limit, most })
    }

    /// Reads what the permit names.
    pub async fn get(&self, permit: Permit<HostRequest>) -> Result<HostAnswer, HostError> {
        let request = permit.action();
        let host = request.host.clone();
        let unaskable = |reason| HostError::Unaskable {
            method: request.method.clone(),
            host: request.host.clone(),
            reason,
        };
        if request.method != "GET" || request.body_digest.is_some() {
            return Err(unaskable("only GET without a query or a body is sent"));
        }
        let text = format!("{}://{host}:{}{}", request.scheme, request.port, request.path);
        let url = Url::parse(&text).map_err(|_| unaskable("it is no address"))?;
        // what was permitted is what is asked, whatever a parser makes of it
        if url.host_str() != Some(host.as_str()) || url.path() != request.path {
            return Err(unaskable("its address can be read in two ways"));
        }
        match tokio::time::timeout(self.limit, self.read(url, &host)).await {
            Ok(answer) => answer,
            Err(_) => Err(HostError::Slow { host, limit: self.limit }),
        }
    }

    async fn read(&self, url: Url, host: &str) -> Result<HostAnswer, HostError> {
        let host = || host.to_owned();
        let sent = self.client.get(url).header(ACCEPT, ACCEPTED).send().await;
        let mut response = sent.map_err(|source| HostError::Unreachable {
            host: host(),
            source: source.without_url(),
        })?;
        let mut body = Vec::new();
        loop {
            let piece = response.chunk().await;
            let piece = piece.map_err(|source| HostError::Broken {
                host: host(),
                source: source.without_url(),
            })?;
            let Some(piece) = piece else { break };
            if body.len() + piece.len() > self.most {
                return Err(HostError::TooLarge { host: host(), most: self.most });
            }
            body.extend_from_slice(&piece);
        }
        Ok(HostAnswer { status: response.status().as_u16(), body })
    }
}
