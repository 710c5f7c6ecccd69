//! One address with how far it was told: in order, at least once, for as long as it takes.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bailiwick_engine::Engine;
use bailiwick_model::emergency::Alert;
use bailiwick_model::event::Fact;
use bailiwick_store::Query;
use tokio_util::sync::CancellationToken;

use super::mail::Mail;
use super::notice::{FACTS, Kind, Notice};
use super::webhook::Webhook;
use super::{PATIENCE, Selection};
use crate::command::Told;

/// The first pause after an attempt that failed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// After how many failed attempts in a row somebody is alerted: about a minute.
const STUCK: u32 = 8;

/// How an address is told.
pub(super) enum Way {
    Webhook(Box<Webhook>),
    Mail(Box<Mail>),
}

/// One address.
pub(super) struct Channel {
    name: String,
    selection: Selection,
    way: Way,
    origin: String,
    /// The file with how far it was told.
    cursor: PathBuf,
    /// The last entry that it was told, or passed over.
    told: Option<u64>,
}

impl Channel {
    pub(super) fn open(
        dir: &Path,
        name: String,
        selection: Selection,
        way: Way,
        origin: &str,
        head: u64,
    ) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make the directory `{}`", dir.display()))?;
        let cursor = dir.join(&name);
        let told = match fs::read_to_string(&cursor) {
            Ok(text) => {
                let told: u64 = text.trim().parse().map_err(|_| damaged(&cursor))?;
                // A ledger that was put back from a backup is shorter than it was.
                Some(told.min(head.saturating_sub(1)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let last = head.checked_sub(1);
                if let Some(last) = last {
                    keep(&cursor, last)
                        .with_context(|| format!("cannot write `{}`", cursor.display()))?;
                }
                last
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", cursor.display()));
            }
        };
        Ok(Self { name, selection, way, origin: origin.to_owned(), cursor, told })
    }

    pub(super) async fn run(self, engine: Engine, stop: CancellationToken) {
        let mut query = Query::default().named(&FACTS);
        query.after_seq = self.told;
        let mut entries = engine.parts().store.subscribe(query);
        loop {
            let entry = tokio::select! {
                () = stop.cancelled() => return,
                entry = entries.next() => entry,
            };
            let entry = match entry {
                Ok(Some(entry)) => entry,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, name = self.name, "the log can't be read to tell of it");
                    if pause(&stop, LONGEST_PAUSE).await {
                        return;
                    }
                    continue;
                }
            };
            let notice = Notice::of(&engine, &self.origin, &entry);
            if let Some(notice) = notice.filter(|notice| self.wants(notice))
                && self.tell(&engine, &notice, &stop).await == Outcome::Stopped
            {
                return;
            }
            if let Err(error) = keep(&self.cursor, entry.seq) {
                // It is told again after a restart, which is what "at least once" means.
                tracing::warn!(%error, name = self.name, "how far it was told can't be kept");
            }
        }
    }

    fn wants(&self, notice: &Notice) -> bool {
        let Selection { events, groups } = &self.selection;
        (events.is_empty() || events.contains(&notice.kind))
            && (groups.is_empty()
                || notice.groups.is_empty()
                || !groups.is_disjoint(&notice.groups))
    }

    /// Tells a notice until the address has taken it; gives up only when the server ends.
    async fn tell(&self, engine: &Engine, notice: &Notice, stop: &CancellationToken) -> Outcome {
        let mut wait = FIRST_PAUSE;
        let mut failed = 0;
        loop {
            let attempt = async {
                match &self.way {
                    Way::Webhook(hook) => hook.tell(notice).await,
                    Way::Mail(mail) => mail.tell(notice).await,
                }
            };
            let done = tokio::select! {
                () = stop.cancelled() => return Outcome::Stopped,
                done = tokio::time::timeout(PATIENCE, attempt) => done,
            };
            let problem = match done {
                Ok(Ok(())) => return Outcome::Told,
                Ok(Err(problem)) => problem,
                Err(_) => "it did not answer in time".to_owned(),
            };
            failed += 1;
            tracing::warn!(
                name = self.name,
                id = notice.id,
                problem,
                "a notice is not delivered yet"
            );
            if failed == STUCK {
                self.alert(engine, notice, &problem).await;
            }
            if pause(stop, wait).await {
                return Outcome::Stopped;
            }
            wait = (wait * 2).min(LONGEST_PAUSE);
        }
    }

    /// Nobody is told by an address that can't be reached: whoever can be is told that.
    async fn alert(&self, engine: &Engine, notice: &Notice, problem: &str) {
        let stuck = "alert.notification_stuck";
        // Not again for the news that another one is stuck: two that are would never end.
        if notice.kind == Kind::Alert && notice.code.as_deref() == Some(stuck) {
            return;
        }
        let alert = Alert {
            code: stuck.to_owned(),
            message: format!(
                "`{}` is not told of {}: {problem}; it is tried again and again",
                self.name, notice.id
            ),
            task: None,
            session: None,
        };
        if let Err(error) = engine.parts().warden.record(vec![Fact::AlertRaised(alert)]).await {
            tracing::error!(%error, "an alert can't be recorded");
        }
    }
}

/// What came of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Told,
    Stopped,
}

/// Waits; says whether the server ends.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(time) => false,
    }
}

fn damaged(path: &Path) -> Told {
    Told {
        code: "notify.cursor_damaged".to_owned(),
        message: format!("`{}` does not say how far this address was told", path.display()),
        hint: "remove the file: it is then told what is to come, and not what it may have missed"
            .to_owned(),
    }
}

/// Writes how far it was told, whole or not at all.
fn keep(path: &Path, seq: u64) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(seq.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
