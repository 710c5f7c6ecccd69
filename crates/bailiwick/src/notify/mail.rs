//! Telling people by mail.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use bailiwick_gateway::KeyRef;
use bailiwick_model::id::GroupName;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::resolve;
use super::notice::{Kind, Notice};
use super::{PATIENCE, secret};

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailSecurity {
    /// TLS from the first byte on.
    Tls,
    /// TLS after `STARTTLS`; without it nothing is sent.
    #[default]
    Starttls,
    /// None: only for an address of your own network, and without a password.
    None,
}

/// `[[mail]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailConfig {
    /// Its name, by which it is remembered how far it was told.
    pub(crate) name: String,
    /// The mail server.
    pub(crate) server: String,
    /// Its port; 465 for `tls`, 587 for `starttls`, 25 for `none` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// How the way to it is protected.
    #[serde(default)]
    pub(crate) security: MailSecurity,
    /// The user to sign in as; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// Where that user's password is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<KeyRef>,
    /// The sender.
    pub(crate) from: String,
    /// Who is told.
    pub(crate) to: Vec<String>,
    /// Whether the server may be at an address of a private network, or of this machine.
    #[serde(default)]
    pub(crate) allow_private: bool,
    /// What is told; everything when empty.
    #[serde(default)]
    pub(crate) events: BTreeSet<Kind>,
    /// Of requests for approval, those that ask one of these groups; all when empty.
    #[serde(default)]
    pub(crate) groups: BTreeSet<GroupName>,
}

impl MailConfig {
    /// Why it is not usable, by the configuration alone.
    pub(super) fn fault(&self) -> Option<String> {
        for address in self.to.iter().chain([&self.from]) {
            if let Err(error) = address.parse::<Mailbox>() {
                return Some(format!("`{address}` is not a mail address: {error}"));
            }
        }
        if self.to.is_empty() {
            return Some("nobody is told: `to` is empty".to_owned());
        }
        if self.server.is_empty() || self.server.contains([':', '/', ' ', '@']) {
            return Some(format!("`{}` is not the name of a server", self.server));
        }
        if self.port == Some(0) {
            return Some("there is no port 0".to_owned());
        }
        if self.user.is_some() != self.password.is_some() {
            return Some("`user` and `password` go together".to_owned());
        }
        if self.security == MailSecurity::None && (self.user.is_some() || !self.allow_private) {
            return Some("`security = \"none\"` is for a server of your own network, with `allow_private = true` and without a password".to_owned());
        }
        None
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            MailSecurity::Tls => 465,
            MailSecurity::Starttls => 587,
            MailSecurity::None => 25,
        })
    }
}

/// People who are told by mail.
pub(super) struct Mail {
    config: MailConfig,
    from: Mailbox,
    to: Vec<Mailbox>,
    credentials: Option<Credentials>,
}

impl Mail {
    pub(super) fn new(config: &MailConfig) -> Result<Self> {
        let mailbox =
            |text: &String| text.parse().with_context(|| format!("`{text}` is no mail address"));
        let credentials = match (&config.user, &config.password) {
            (Some(user), Some(password)) => {
                let password = String::from_utf8(secret(&config.name, password)?)
                    .context("a mail password is not text")?;
                Some(Credentials::new(user.clone(), password))
            }
            _ => None,
        };
        Ok(Self {
            config: config.clone(),
            from: mailbox(&config.from)?,
            to: config.to.iter().map(mailbox).collect::<Result<_>>()?,
            credentials,
        })
    }

    /// Tells a notice once; says what went wrong.
    pub(super) async fn tell(&self, notice: &Notice) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| bailiwick_warden::chain(error);
        let message = self.message(notice).map_err(|error| text(&error))?;
        let port = self.config.port();
        let found = resolve(&self.config.server, port, self.config.allow_private).await;
        let address = found.map_err(|error| text(&error))?.first().copied();
        let address = address.ok_or_else(|| format!("`{}` has no address", self.config.server))?;
        let secured = || TlsParameters::new(self.config.server.clone());
        let tls = match self.config.security {
            MailSecurity::Tls => Tls::Wrapper(secured().map_err(|error| text(&error))?),
            MailSecurity::Starttls => Tls::Required(secured().map_err(|error| text(&error))?),
            MailSecurity::None => Tls::None,
        };
        // To the address that was looked at, under the name that its certificate has to have.
        let server = address.ip().to_string();
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
            .port(port)
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let Some(credentials) = &self.credentials {
            transport = transport.credentials(credentials.clone());
        }
        let sent = transport.build().send(message).await.map_err(|error| text(&error))?;
        if sent.is_positive() { Ok(()) } else { Err(format!("it answered {}", sent.code())) }
    }

    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        // The same for each attempt, so that a mail that comes twice can be told from a new one.
        let id = format!("<{}@bailiwick.invalid>", notice.id.replace('/', "."));
        let title = notice.title.lines().next().unwrap_or_default();
        let mut builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .message_id(Some(id))
            .subject(format!("[bailiwick] {title}"))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(notice.lines())
    }
}
