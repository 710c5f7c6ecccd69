//! Telling an address over HTTP, signed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_gateway::KeyRef;
use bailiwick_model::Timestamp;
use bailiwick_model::id::GroupName;
use bailiwick_model::payload::Digest;
use reqwest::{Client, Url};
use rustls_platform_verifier::BuilderVerifierExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Guarded, is_public};
use super::notice::{Kind, Notice};
use super::{PATIENCE, secret};
use crate::command::Told;

/// The shortest secret that is accepted, in bytes.
const MIN_SECRET: usize = 16;

/// `[[webhook]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookConfig {
    /// Its name, by which it is remembered how far it was told.
    pub(crate) name: String,
    /// Where it is told: `https://…`, or `http://…` with `allow_private`.
    pub(crate) url: String,
    /// Where the secret is that deliveries are signed with.
    pub(crate) secret: KeyRef,
    /// Whether it may be an address of a private network, or of this machine.
    #[serde(default)]
    pub(crate) allow_private: bool,
    /// What is told; everything when empty.
    #[serde(default)]
    pub(crate) events: BTreeSet<Kind>,
    /// Of requests for approval, those that ask one of these groups; all when empty.
    #[serde(default)]
    pub(crate) groups: BTreeSet<GroupName>,
}

impl WebhookConfig {
    /// Why it is not usable, by the configuration alone.
    pub(super) fn fault(&self) -> Option<String> {
        let Ok(url) = self.url.parse::<Url>() else {
            return Some(format!("`{}` is not an address", self.url));
        };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private => {}
            "http" => {
                return Some("what is told must not be readable on the way: `https://`, or `allow_private = true` for an address of your own network".to_owned());
            }
            other => return Some(format!("`{other}:` is not spoken; write `https://…`")),
        }
        let Some(host) = url.host_str() else { return Some("the address has no host".to_owned()) };
        if !url.username().is_empty() || url.password().is_some() {
            return Some(
                "the address has a user or password in it; deliveries are signed".to_owned(),
            );
        }
        if url.fragment().is_some() {
            return Some("the address has a fragment, which is never sent".to_owned());
        }
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if literal.is_some_and(|address| !is_public(address)) && !self.allow_private {
            return Some(format!(
                "{host} is not a public address; `allow_private = true` allows it"
            ));
        }
        None
    }
}

/// An address that is told over HTTP.
pub(super) struct Webhook {
    url: Url,
    secret: Vec<u8>,
    client: Client,
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig) -> Result<Self> {
        let secret = secret(&config.name, &config.secret)?;
        if secret.len() < MIN_SECRET {
            return Err(Told {
                code: "notify.weak_secret".to_owned(),
                message: format!(
                    "the secret of `{}` has fewer than {MIN_SECRET} bytes in its {}",
                    config.name, config.secret
                ),
                hint: "make a random one: `openssl rand -hex 32`".to_owned(),
            }
            .into());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        // What it is told is for this address alone: no redirect is followed, no proxy asked.
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(Guarded { allow_private: config.allow_private }))
            .timeout(PATIENCE)
            .build()
            .context("cannot prepare an HTTP client")?;
        let url = config.url.parse().context("a webhook's address is not valid")?;
        Ok(Self { url, secret, client })
    }

    /// Tells a notice once; says what went wrong.
    pub(super) async fn tell(&self, notice: &Notice) -> Result<(), String> {
        let body = serde_json::to_vec(notice).map_err(|error| error.to_string())?;
        let now = Timestamp::now().as_second();
        let sent = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("bailiwick-event", notice.kind.name())
            .header("bailiwick-delivery", &notice.id)
            .header("bailiwick-signature", signature(&self.secret, now, &body))
            .body(body)
            .send();
        match sent.await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("it answered {}", response.status())),
            // The address may have a token in its path: it is in no log.
            Err(error) => Err(bailiwick_warden::chain(&error.without_url())),
        }
    }
}

/// `t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>" in hexadecimal>`.
fn signature(secret: &[u8], seconds: i64, body: &[u8]) -> String {
    let mut signed = format!("{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    format!("t={seconds},v1={}", hmac(secret, &signed))
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Digest {
    const BLOCK: usize = 64;
    let mut block =
        if key.len() > BLOCK { Digest::of(key).as_bytes().to_vec() } else { key.to_vec() };
    block.resize(BLOCK, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Digest::of(&[padded(0x36).as_slice(), message].concat());
    Digest::of(&[padded(0x5c).as_slice(), inner.as_bytes().as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 1, 2 and 6.
    #[test]
    fn the_code_is_that_of_the_standard() {
        for (key, message, code) in [
            (
                vec![0x0b; 20],
                "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hmac(&key, message.as_bytes()).to_string(), code);
        }
    }
}
