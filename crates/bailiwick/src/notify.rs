//! Telling people what they should know, at addresses and by mail: approvals that are asked for,
//! answered, about to lapse or handed on, freezes, emergencies, alerts.
//!
//! The log itself is the queue: a file for each address keeps how far it was told, and is written
//! after the address has taken it. So each notice is told at least once, in order, also after a kill
//! and a restart, and says by its id when it comes twice. Told is only what it takes to come and
//! look: no prompt, no output, no secret.

mod address;
mod channel;
mod mail;
mod notice;
mod webhook;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use bailiwick_engine::Engine;
use bailiwick_gateway::KeyRef;
use bailiwick_model::id::GroupName;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::command::Told;
use crate::config::Config;
use crate::platform::Platform;
use channel::{Channel, Way};

pub(crate) use mail::MailConfig;
use notice::Kind;
pub(crate) use webhook::WebhookConfig;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What both kinds of address choose from what happens.
#[derive(Debug, Clone, Default)]
struct Selection {
    /// What is told; everything when empty.
    events: BTreeSet<Kind>,
    /// Of requests for approval, those that ask one of these groups; all when empty.
    groups: BTreeSet<String>,
}

impl Selection {
    fn of(events: &BTreeSet<Kind>, groups: &BTreeSet<GroupName>) -> Self {
        Self { events: events.clone(), groups: groups.iter().map(ToString::to_string).collect() }
    }
}

/// Why the addresses are not usable, by the configuration alone.
pub(crate) fn fault(webhooks: &[WebhookConfig], mails: &[MailConfig]) -> Option<String> {
    let mut names = BTreeSet::new();
    let all = webhooks.iter().map(|one| (&one.name, one.fault()));
    for (name, fault) in all.chain(mails.iter().map(|one| (&one.name, one.fault()))) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Some(format!(
                "`{name}` is not a name for a webhook or mail: 1 to 40 of a-z, 0-9 and `-`"
            ));
        }
        if !names.insert(name.as_str()) {
            return Some(format!("two of `[[webhook]]` and `[[mail]]` have the name `{name}`"));
        }
        if let Some(fault) = fault {
            return Some(format!("`{name}`: {fault}"));
        }
    }
    None
}

/// Whether every address could be told, secrets included.
pub(crate) fn check(webhooks: &[WebhookConfig], mails: &[MailConfig]) -> Result<()> {
    ways(webhooks, mails).map(drop)
}

fn ways(webhooks: &[WebhookConfig], mails: &[MailConfig]) -> Result<Vec<(String, Selection, Way)>> {
    let mut ways = Vec::new();
    for config in webhooks {
        let hook = webhook::Webhook::new(config)?;
        ways.push((
            config.name.clone(),
            Selection::of(&config.events, &config.groups),
            Way::Webhook(Box::new(hook)),
        ));
    }
    for config in mails {
        let mail = mail::Mail::new(config)?;
        ways.push((
            config.name.clone(),
            Selection::of(&config.events, &config.groups),
            Way::Mail(Box::new(mail)),
        ));
    }
    Ok(ways)
}

/// A secret that is named by reference.
fn secret(name: &str, reference: &KeyRef) -> Result<Vec<u8>> {
    let found = match reference {
        KeyRef::Env(variable) => std::env::var(variable).map(String::into_bytes).ok(),
        KeyRef::File(path) => std::fs::read(path).ok(),
    };
    let secret = found.unwrap_or_default().trim_ascii().to_vec();
    if secret.is_empty() {
        return Err(Told {
            code: "notify.no_secret".to_owned(),
            message: format!("`{name}` has no secret in its {reference}"),
            hint: "put it there, readable by the platform alone".to_owned(),
        }
        .into());
    }
    Ok(secret)
}

/// Every address, ready to be told; a mistake in one of them is told before anything starts.
pub(crate) struct Notifier {
    channels: Vec<Channel>,
}

impl Notifier {
    /// Prepares the addresses. A new one is told what is to come, not what was.
    pub(crate) fn open(config: &Config, platform: &Platform) -> Result<Self> {
        let origin = platform.ledger_key.name().to_string();
        let head = platform.engine.parts().store.head().size;
        let mut channels = Vec::new();
        for (name, selection, way) in ways(&config.webhook, &config.mail)? {
            let dir = platform.dir.notify();
            channels.push(Channel::open(&dir, name, selection, way, &origin, head)?);
        }
        Ok(Self { channels })
    }

    /// Tells each address what happens, until the server ends.
    pub(crate) async fn run(self, engine: Engine, stop: CancellationToken) {
        let mut running = JoinSet::new();
        for channel in self.channels {
            running.spawn(channel.run(engine.clone(), stop.clone()));
        }
        while running.join_next().await.is_some() {}
    }
}
