//! `bailiwick ledger …`

use std::path::Path;

use anyhow::{Context as _, Result};
use bailiwick_ledger::{Trust, VerifierKey};
use bailiwick_store::Query;
use serde_json::json;

use crate::arguments::{Common, LedgerVerb};
use crate::command::{Done, Session, Told};
use crate::data_dir::DataDir;
use crate::progress::line_of;
use crate::{render, terminal};

pub(crate) async fn run(common: &Common, verb: LedgerVerb) -> Result<Done> {
    match verb {
        LedgerVerb::Verify { dir, key, checkpoint } => {
            verify(common, &dir, key.as_deref(), checkpoint.as_deref())
        }
        LedgerVerb::Show { from, limit } => show(common, from, limit).await,
        LedgerVerb::AcceptDamage { reason } => accept_damage(common, &reason).await,
        LedgerVerb::Prove { dir, index } => {
            let proof =
                bailiwick_ledger::prove_entry(&dir, index).context("there is no proof to give")?;
            terminal::out_json(&proof);
            Ok(Done::Yes)
        }
        LedgerVerb::Key => {
            let dir = DataDir::existing(&common.data)?;
            let key = crate::platform::ledger_key(&dir)?.verifier().to_string();
            if common.json {
                terminal::out_json(&json!({"key": key}));
            } else {
                terminal::out(&key);
            }
            Ok(Done::Yes)
        }
    }
}

fn verify(
    common: &Common,
    dir: &Path,
    key: Option<&str>,
    checkpoint: Option<&Path>,
) -> Result<Done> {
    if !dir.is_dir() {
        return Err(Told {
            code: "ledger.missing".to_owned(),
            message: format!("there is no ledger `{}`", dir.display()),
            hint: "give the directory that has the file `checkpoint`".to_owned(),
        }
        .into());
    }
    let key = key.map(trusted_key).transpose()?;
    let checkpoint = checkpoint
        .map(|path| {
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))
        })
        .transpose()?;
    let report = bailiwick_ledger::verify(dir, &Trust { key, checkpoint });
    if common.json {
        terminal::out_json(&json!({
            "verified": report.ok(),
            "entries": report.entries,
            "root": report.root.to_string(),
            "trusted": report.trusted,
            "problems": report.problems,
        }));
    } else {
        terminal::out(&render::verification(&report));
    }
    Ok(if report.ok() { Done::Yes } else { Done::No })
}

fn trusted_key(text: &str) -> Result<VerifierKey> {
    let path = Path::new(text);
    let text = if path.is_file() {
        std::fs::read_to_string(path).with_context(|| format!("cannot read `{text}`"))?
    } else {
        text.to_owned()
    };
    text.trim_end().parse().context("the key is not valid; `bailiwick ledger key` prints one")
}

async fn accept_damage(common: &Common, reason: &str) -> Result<Done> {
    let Session::Local { platform, caller } = Session::open(common).await? else {
        return Err(Told {
            code: "ledger.in_use".to_owned(),
            message: "a server has this data directory open".to_owned(),
            hint: "stop the server first; whoever holds the data directory says this, and no token counts meanwhile".to_owned(),
        }
        .into());
    };
    let accepted = platform.engine.accept_damage(&caller.person, reason).await;
    let entries = accepted.map_err(Told::from)?;
    if common.json {
        terminal::out_json(&json!({"accepted": entries}));
    } else {
        terminal::out(&format!(
            "work goes on without the entries {entries:?}; one of them may have been a revocation: look through `bailiwick user list`, `bailiwick token list` and `bailiwick freeze list`, and revoke what is in doubt"
        ));
    }
    Ok(Done::Yes)
}

async fn show(common: &Common, from: u64, limit: usize) -> Result<Done> {
    let Session::Local { platform, .. } = Session::open(common).await? else {
        return Err(Told {
            code: "ledger.in_use".to_owned(),
            message: "a server has this data directory open".to_owned(),
            hint: "read the ledger's files: events/ in the ledger's directory has one entry a line"
                .to_owned(),
        }
        .into());
    };
    let query = Query { after_seq: from.checked_sub(1), limit: Some(limit), ..Query::default() };
    for entry in platform.engine.parts().store.entries(query).await? {
        if common.json {
            terminal::out(&serde_json::to_string(&entry)?);
        } else {
            let line = line_of(&entry).unwrap_or_else(|| entry.event.name().replace('_', " "));
            terminal::out(&format!(
                "{:>6} {} {line}",
                entry.seq,
                entry.at.strftime("%Y-%m-%dT%H:%M:%SZ")
            ));
        }
    }
    Ok(Done::Yes)
}
