//! Indexes of packages that are asked over HTTP: `[dependencies.online.ECOSYSTEM]`.
//!
//! Each question is an action of the gate that asks: decided by policy, in the ledger before it is
//! sent, sent by the gateway and nowhere else than to the address that the operator named. What
//! came of it is kept on disk for a while. What can't be asked or understood is not known, which
//! makes a gate inconclusive.

mod cache;
mod server;

pub(crate) use server::OnlineIndexConfig;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bailiwick_deps::{Ecosystem, Inquiry, Lookup, OnlineAnswer, PackageIndex, PackageName};
use bailiwick_gates::RemoteIndex;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_warden::{Warden, chain};
use jiff::Timestamp;
use tokio::runtime::Handle;

use self::cache::Cache;
use self::server::Server;

/// Most questions about one name: spellings of it, versions.
const MOST_QUESTIONS: usize = 12;

/// The indexes of one operator.
#[derive(Debug)]
pub(crate) struct OnlineIndexes {
    servers: Arc<BTreeMap<Ecosystem, Server>>,
    cache: Cache,
    warden: Arc<Warden>,
    runtime: Handle,
}

impl OnlineIndexes {
    /// The indexes as they are configured; none where none is. Answers are kept below a directory,
    /// or not at all. Call it inside of the runtime.
    pub(crate) fn open(
        configured: &BTreeMap<Ecosystem, OnlineIndexConfig>,
        cache: Option<PathBuf>,
        warden: Arc<Warden>,
    ) -> Result<Option<Arc<dyn RemoteIndex>>> {
        if configured.is_empty() {
            return Ok(None);
        }
        let servers: Result<BTreeMap<Ecosystem, Server>> = configured
            .iter()
            .map(|(ecosystem, config)| Ok((*ecosystem, Server::open(*ecosystem, config)?)))
            .collect();
        Ok(Some(Arc::new(Self {
            servers: Arc::new(servers?),
            cache: Cache::new(cache),
            warden,
            runtime: Handle::current(),
        })))
    }
}

impl RemoteIndex for OnlineIndexes {
    fn asked_by(
        &self,
        subject: Subject,
        mut context: Context,
        local: Option<Arc<dyn PackageIndex>>,
    ) -> Arc<dyn PackageIndex> {
        // the operator named them: to no session are they new
        let hosts: BTreeSet<String> =
            self.servers.values().map(|server| server.host().to_owned()).collect();
        context.facts.hosts.extend(hosts);
        Arc::new(Asker {
            servers: Arc::clone(&self.servers),
            cache: self.cache.clone(),
            warden: Arc::clone(&self.warden),
            runtime: self.runtime.clone(),
            subject,
            context,
            local,
            silent: Mutex::default(),
        })
    }
}

/// Asks in somebody's name.
#[derive(Debug)]
struct Asker {
    servers: Arc<BTreeMap<Ecosystem, Server>>,
    cache: Cache,
    warden: Arc<Warden>,
    runtime: Handle,
    subject: Subject,
    context: Context,
    local: Option<Arc<dyn PackageIndex>>,
    /// Why an index is asked no more: one that does not answer is waited for once.
    silent: Mutex<BTreeMap<Ecosystem, String>>,
}

impl PackageIndex for Asker {
    fn look_up(&self, name: &PackageName, now: Timestamp) -> Lookup {
        let local = self.local.as_ref().map(|index| index.look_up(name, now));
        if let Some(found @ Lookup::Known(_)) = local {
            return found;
        }
        let Some(server) = self.servers.get(&name.ecosystem) else {
            let reason = format!("there is no index of {}", name.ecosystem);
            return local.unwrap_or(Lookup::Unavailable { reason });
        };
        if let Some((answer, days)) = self.cache.read(server.key(), name, now, server.keeps()) {
            return lookup(answer, days);
        }
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = silent.get(&name.ecosystem) {
            return Lookup::Unavailable { reason: reason.clone() };
        }
        match self.runtime.block_on(self.ask(server, name)) {
            Ok(answer) => {
                self.cache.write(server.key(), name, now, answer);
                lookup(answer, 0)
            }
            Err(Unknown { reason, is_silent }) => {
                if is_silent {
                    silent.insert(name.ecosystem, reason.clone());
                }
                Lookup::Unavailable { reason }
            }
        }
    }
}

/// Why it is not known whether a name exists.
struct Unknown {
    reason: String,
    /// Whether the next name would not be answered either.
    is_silent: bool,
}

impl Asker {
    async fn ask(&self, server: &Server, name: &PackageName) -> Result<OnlineAnswer, Unknown> {
        let unknown = |reason: String, is_silent| Unknown { reason, is_silent };
        let mut inquiry = Inquiry::of(name).map_err(|error| unknown(error.to_string(), false))?;
        for _ in 0..MOST_QUESTIONS {
            let request = server.request(inquiry.path());
            let answer = self
                .warden
                .perform(&self.subject, &self.context, request, |permit| server.get(permit))
                .await
                .map_err(|error| unknown(chain(&error), true))?;
            match inquiry.answered(answer.status, &answer.body) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => return Err(unknown(error.to_string(), false)),
            }
        }
        Err(unknown("the index asks for too many questions".to_owned(), false))
    }
}

fn lookup(answer: OnlineAnswer, index_age_days: i64) -> Lookup {
    match answer {
        OnlineAnswer::Known(facts) => Lookup::Known(facts),
        OnlineAnswer::Absent => Lookup::Absent { index_age_days },
    }
}

#[cfg(test)]
mod tests;
