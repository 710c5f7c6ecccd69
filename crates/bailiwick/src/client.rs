//! The command line as a client of a running server: the same requests as anybody's.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::command::Told;
use crate::data_dir::{DataDir, ServerInfo};
use crate::identity::TOKEN_VARIABLE;

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    client: Client,
    url: String,
    token: String,
}

impl Remote {
    /// The server of a data directory: with the token of whoever holds it, or the one given.
    pub(crate) fn new(dir: &DataDir, server: &ServerInfo) -> Result<Self> {
        let token = match given_token() {
            Some(token) => token,
            None => dir.token()?,
        };
        Self::at(&server.url, token)
    }

    /// A server by its address, with the token given.
    pub(crate) fn elsewhere(url: &str) -> Result<Self> {
        let token = given_token().ok_or_else(|| Told {
            code: "auth.token_required".to_owned(),
            message: "a server elsewhere needs a token".to_owned(),
            hint: format!("put one into {TOKEN_VARIABLE}; `bailiwick token create` makes one"),
        })?;
        Self::at(url.trim_end_matches('/'), token)
    }

    fn at(url: &str, token: String) -> Result<Self> {
        // No proxy comes between: the token is for the server alone.
        let client = Client::builder()
            .tls_backend_preconfigured(no_trust()?)
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .context("cannot prepare an HTTP client")?;
        Ok(Self { client, url: url.to_owned(), token })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(Method::GET, path, None::<&()>).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let mut request = self
            .client
            .request(method, format!("{}/api/v1{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(serde_json::to_vec(body).context("cannot write the request")?);
        }
        let response = request.send().await.with_context(|| {
            format!("the server at {} does not answer; if it hangs, stop it: the next command then works on the data directory itself", self.url)
        })?;
        let status = response.status();
        let bytes = response.bytes().await.context("the server's answer broke off")?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).context("the server's answer is not understood");
        }
        Err(told(status, &bytes).into())
    }
}

fn given_token() -> Option<String> {
    std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty())
}

fn told(status: StatusCode, bytes: &[u8]) -> Told {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |key: &str| {
        body.pointer(&format!("/error/{key}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let message = text("message");
    Told {
        code: text("code"),
        message: if message.is_empty() { format!("the server answered {status}") } else { message },
        hint: text("hint"),
    }
}

/// TLS settings that trust nobody: the server is reached over plain HTTP on this machine.
fn no_trust() -> Result<rustls::ClientConfig> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(config)
}
