//! Where a provider is, and the HTTP client that goes there.

use std::sync::Arc;

use reqwest::Url;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::config::{ConfigError, OutputLimitField, ProviderConfig, ProviderKind};
use crate::inbound::Protocol;
use crate::{anthropic, openai};

/// The address of one provider.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Where calls are posted to.
    pub(crate) calls: Url,
    /// Whom to connect to first: the proxy, or the provider itself.
    pub(crate) first_hop: Url,
    pub(crate) output_limit: OutputLimitField,
    /// Whether there is a Responses API.
    pub(crate) responses: bool,
}

impl Endpoint {
    pub(crate) fn of(config: &ProviderConfig) -> Result<Self, ConfigError> {
        let default = match config.kind {
            ProviderKind::Anthropic => anthropic::DEFAULT_BASE_URL,
            ProviderKind::Openai | ProviderKind::Scripted => openai::DEFAULT_BASE_URL,
        };
        let base = address(config, "base_url", config.base_url.as_deref().unwrap_or(default))?;
        let proxy = config.proxy.as_deref().map(|proxy| address(config, "proxy", proxy));
        let first_hop = proxy.transpose()?.unwrap_or_else(|| base.clone());
        let path = base.path().trim_end_matches('/');
        let path = match config.kind {
            ProviderKind::Anthropic => {
                format!("{}/v1/messages", path.strip_suffix("/v1").unwrap_or(path))
            }
            ProviderKind::Openai | ProviderKind::Scripted if path.is_empty() => {
                "/v1/chat/completions".to_owned()
            }
            ProviderKind::Openai | ProviderKind::Scripted => format!("{path}/chat/completions"),
        };
        let is_own = base.host_str() == Some(openai::OWN_HOST);
        let by_host = if is_own {
            OutputLimitField::MaxCompletionTokens
        } else {
            OutputLimitField::MaxTokens
        };
        let mut calls = base;
        calls.set_path(&path);
        Ok(Self {
            calls,
            first_hop,
            output_limit: config.output_limit_field.unwrap_or(by_host),
            responses: config.responses.unwrap_or(is_own),
        })
    }

    /// Where a call of a protocol of this provider's family is posted to.
    pub(crate) fn of_protocol(&self, protocol: Protocol) -> Url {
        let mut url = self.calls.clone();
        match protocol {
            // Of Gemini's there is none: its calls are translated.
            Protocol::Anthropic | Protocol::Chat | Protocol::Gemini => {}
            Protocol::Responses => {
                let path = url.path();
                let base = path.strip_suffix("/chat/completions").unwrap_or(path);
                let path = format!("{base}/responses");
                url.set_path(&path);
            }
        }
        url
    }

    /// Returns host and port of the first hop, for people.
    pub(crate) fn first_hop_address(&self) -> String {
        let host = self.first_hop.host_str().unwrap_or_default();
        let port = self.first_hop.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }
}

fn address(config: &ProviderConfig, field: &'static str, text: &str) -> Result<Url, ConfigError> {
    // The text is not quoted: it may hold a password by mistake.
    let url = Url::parse(text)
        .map_err(|error| config.field_error(field, format!("is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(config.field_error(field, "must start with `https://` or `http://` and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(config.field_error(field, "must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(config.field_error(field, "must not have a query or fragment"));
    }
    Ok(url)
}

/// Makes the client of one provider. It follows no redirects (a key must not go where it was not
/// sent), retries nothing by itself, and ignores proxies from the environment.
pub(crate) fn client(
    config: &ProviderConfig,
    endpoint: &Endpoint,
) -> Result<reqwest::Client, ConfigError> {
    let is_secure =
        [&endpoint.calls, &endpoint.first_hop].iter().any(|url| url.scheme() == "https");
    let tls = tls(is_secure)
        .map_err(|source| ConfigError::Client { provider: config.name.clone(), source })?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(config.connect_timeout());
    if let Some(proxy) = &config.proxy {
        let proxy = reqwest::Proxy::all(proxy)
            .map_err(|_| config.field_error("proxy", "is not an address of a proxy"))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|source| ConfigError::Client {
        provider: config.name.clone(),
        source: Box::new(source),
    })
}

/// Makes the TLS settings with the ring provider given explicitly, so that nothing depends on, or
/// changes, the process-wide default. Without a secure address no trust store is needed, and a
/// machine that has none can still use a local server.
pub(crate) fn tls(
    is_secure: bool,
) -> Result<rustls::ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let mut config = if is_secure {
        builder.with_platform_verifier()?.with_no_client_auth()
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ProviderKind, base_url: &str, expected: &str) {
        let mut config = ProviderConfig::new("p", kind);
        config.base_url = Some(base_url.to_owned());
        let shown = match Endpoint::of(&config) {
            Ok(endpoint) => endpoint.calls.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn base_addresses_lead_to_the_right_path() {
        use ProviderKind::{Anthropic, Openai};
        check(Anthropic, "http://127.0.0.1:9", "http://127.0.0.1:9/v1/messages");
        check(Anthropic, "https://h/v1/", "https://h/v1/messages");
        check(Anthropic, "https://h/team/a", "https://h/team/a/v1/messages");
        check(Openai, "http://127.0.0.1:9", "http://127.0.0.1:9/v1/chat/completions");
        check(Openai, "https://h/v1", "https://h/v1/chat/completions");
        check(Openai, "https://h/api/v4/", "https://h/api/v4/chat/completions");
    }

    #[test]
    fn addresses_that_hide_something_are_refused() {
        use ProviderKind::Openai;
        let start = "provider `p`: `base_url` ";
        check(Openai, "http://u:pw@h/", &format!("{start}must not hold a user name or password"));
        check(Openai, "http://h/?key=1", &format!("{start}must not have a query or fragment"));
        check(
            Openai,
            "file:///etc",
            &format!("{start}must start with `https://` or `http://` and a host"),
        );
        check(Openai, "h", &format!("{start}is not an address: relative URL without a base"));
    }

    #[test]
    fn only_openai_itself_gets_the_new_name_of_the_limit() {
        let mut config = ProviderConfig::new("p", ProviderKind::Openai);
        let limit = |config: &ProviderConfig| Endpoint::of(config).unwrap().output_limit;
        assert_eq!(limit(&config), OutputLimitField::MaxCompletionTokens);
        config.base_url = Some("http://localhost:8000/v1".to_owned());
        assert_eq!(limit(&config), OutputLimitField::MaxTokens);
        config.output_limit_field = Some(OutputLimitField::MaxCompletionTokens);
        assert_eq!(limit(&config), OutputLimitField::MaxCompletionTokens);
    }

    #[test]
    fn a_secure_client_can_be_made() {
        let config = ProviderConfig::new("p", ProviderKind::Anthropic);
        let endpoint = Endpoint::of(&config).unwrap();
        client(&config, &endpoint).unwrap();
    }
}
