//! Answers of indexes on disk, each with the time at which it was given. Whatever can't be read is
//! asked for again; whatever can't be written is not kept.

use std::path::PathBuf;
use std::time::Duration;

use bailiwick_deps::{Ecosystem, OnlineAnswer, PackageFacts, PackageName};
use bailiwick_model::payload::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone)]
pub(super) struct Cache {
    directory: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    index: String,
    ecosystem: Ecosystem,
    name: String,
    answered_at: Timestamp,
    exists: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_day: Option<u32>,
}

impl Cache {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    fn path(&self, index: &str, name: &PackageName) -> Option<PathBuf> {
        let key = Digest::of(format!("{index}\0{}\0{}", name.ecosystem, name.name).as_bytes());
        let directory = self.directory.as_ref()?.join(name.ecosystem.name());
        Some(directory.join(format!("{key}.json")))
    }

    /// An answer that is not too old, and its age in days.
    pub(super) fn read(
        &self,
        index: String,
        name: &PackageName,
        now: Timestamp,
        keeps: Duration,
    ) -> Option<(OnlineAnswer, i64)> {
        let bytes = std::fs::read(self.path(&index, name)?).ok()?;
        let kept: Kept = serde_json::from_slice(&bytes).ok()?;
        let seconds = now.as_second() - kept.answered_at.as_second();
        let is_fresh = u64::try_from(seconds).is_ok_and(|seconds| seconds < keeps.as_secs());
        // a file that was put here for another name says nothing of this one
        if !is_fresh
            || kept.index != index
            || kept.ecosystem != name.ecosystem
            || kept.name != name.name
        {
            return None;
        }
        let facts = PackageFacts { first_day: kept.first_day, downloads: None };
        let answer = if kept.exists { OnlineAnswer::Known(facts) } else { OnlineAnswer::Absent };
        Some((answer, seconds.div_euclid(86_400)))
    }

    pub(super) fn write(
        &self,
        index: String,
        name: &PackageName,
        now: Timestamp,
        answer: OnlineAnswer,
    ) {
        let Some(path) = self.path(&index, name) else { return };
        let (exists, first_day) = match answer {
            OnlineAnswer::Known(facts) => (true, facts.first_day),
            OnlineAnswer::Absent => (false, None),
        };
        let kept = Kept {
            index,
            ecosystem: name.ecosystem,
            name: name.name.clone(),
            answered_at: now,
            exists,
            first_day,
        };
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            // whole or not at all: others may read at the same time
            let draft = path.with_extension(format!("{}.draft", std::process::id()));
            std::fs::write(&draft, serde_json::to_vec(&kept)?)?;
            std::fs::rename(&draft, &path)
        };
        if let Err(error) = write() {
            tracing::warn!(path = %path.display(), %error, "an answer of an index was not kept");
        }
    }
}
