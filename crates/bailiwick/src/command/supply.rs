//! `bailiwick sbom` and `bailiwick index …`: bills of materials, and snapshots of package indexes.
//! Neither needs a data directory, a configuration or a server.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use bailiwick_deps::{
    FileKind, Files, Inputs, Lookup, PackageIndex as _, PackageName, Policy, build_index, check,
    parse_rows, sbom as bill, sbom_changes,
};
use bailiwick_git::{EntryKind, Git, GitError};
use bailiwick_model::id::Oid;
use jiff::Timestamp;
use serde_json::json;

use crate::arguments::{Common, IndexVerb, SbomArguments};
use crate::command::{Done, Told};
use crate::terminal;

fn told(error: GitError) -> anyhow::Error {
    Told {
        code: "git".to_owned(),
        hint: error.hint().unwrap_or("run `bailiwick doctor`").to_owned(),
        message: error.to_string(),
    }
    .into()
}

/// The files of a commit that speak of dependencies.
fn files(git: &Git, commit: &Oid) -> Result<Files> {
    let mut files = Files::new();
    for entry in git.list_all(commit).map_err(told)? {
        let Some(path) = entry.path.as_text().filter(|path| FileKind::of(path).is_some()) else {
            continue;
        };
        if matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
            files.insert(path.to_owned(), git.read_blob(&entry.oid).map_err(told)?);
        }
    }
    Ok(files)
}

pub(crate) fn sbom(arguments: &SbomArguments) -> Result<Done> {
    let git = Git::discover(&arguments.repo).map_err(told)?.git;
    let commit = git.commit_named(&arguments.rev).map_err(told)?;
    let head = files(&git, &commit)?;
    if let Some(since) = &arguments.since {
        let earlier = git.commit_named(since).map_err(told)?;
        let base = files(&git, &earlier)?;
        let report = check(&Inputs {
            base: &base,
            head: &head,
            policy: &Policy::default(),
            advisories: None,
            index: None,
            now: Timestamp::now(),
            off: &BTreeSet::new(),
        });
        terminal::out(&sbom_changes(&report.changes));
        return Ok(Done::Yes);
    }
    let unread: Vec<String> = head
        .iter()
        .filter_map(|(path, bytes)| {
            let kind = FileKind::of(path)?;
            let error = bailiwick_deps::read(kind, bytes).err()?;
            Some(format!("`{path}` is left out: {error}"))
        })
        .collect();
    for line in &unread {
        terminal::say(&terminal::safe(line));
    }
    let name = project_name(&arguments.repo);
    terminal::out_json(&bill(&head, &name, commit.as_str()));
    Ok(if unread.is_empty() { Done::Yes } else { Done::NeedsPerson })
}

fn project_name(repo: &Path) -> String {
    let whole = repo.canonicalize().unwrap_or_else(|_| repo.to_owned());
    whole.file_name().map_or_else(
        || "project".to_owned(),
        |name| name.to_string_lossy().trim_end_matches(".git").to_owned(),
    )
}

pub(crate) fn index(common: &Common, verb: &IndexVerb) -> Result<Done> {
    match verb {
        IndexVerb::Build { ecosystem, from, out } => {
            let text = std::fs::read_to_string(from)
                .with_context(|| format!("cannot read `{}`", from.display()))?;
            let unusable = |error: bailiwick_deps::IndexError| Told {
                code: "index.text".to_owned(),
                message: format!("`{}` can't be used: {error}", from.display()),
                hint: "each line is a name, a tab, `YYYY-MM` or `YYYY-MM-DD`, a tab, and a number"
                    .to_owned(),
            };
            let rows = parse_rows(&text).map_err(unusable)?;
            let bytes = build_index(*ecosystem, rows, Timestamp::now()).map_err(unusable)?;
            let names = bailiwick_deps::SnapshotIndex::open(&bytes).map_err(unusable)?.len();
            let out = out.clone().unwrap_or_else(|| format!("{ecosystem}.index").into());
            std::fs::write(&out, &bytes)
                .with_context(|| format!("cannot write `{}`", out.display()))?;
            if common.json {
                terminal::out_json(
                    &json!({"ecosystem": ecosystem, "names": names, "bytes": bytes.len(), "file": out}),
                );
            } else {
                let line = format!(
                    "{names} names of {ecosystem} in `{}` ({} bytes)",
                    out.display(),
                    bytes.len()
                );
                terminal::out(&terminal::safe(&line));
            }
            Ok(Done::Yes)
        }
        IndexVerb::Show { index, ecosystem, names } => {
            let indexes = crate::gate_sources::read_indexes(index)?;
            let now = Timestamp::now();
            let mut all_there = true;
            for name in names {
                let name = PackageName::new(*ecosystem, name);
                let answer = match indexes.look_up(&name, now) {
                    Lookup::Known(facts) => {
                        let age = facts.age_days(now).map_or_else(
                            || "age unknown".to_owned(),
                            |days| format!("{days} days old"),
                        );
                        let used = facts.downloads.map_or_else(
                            || "downloads unknown".to_owned(),
                            |count| format!("{count} downloads in a month"),
                        );
                        format!("exists, {age}, {used}")
                    }
                    Lookup::Absent { index_age_days } => {
                        all_there = false;
                        format!("does not exist, by an index that is {index_age_days} days old")
                    }
                    Lookup::Unavailable { reason } => {
                        all_there = false;
                        reason
                    }
                };
                terminal::out(&terminal::safe(&format!("{}: {answer}", name.name)));
            }
            Ok(if all_there { Done::Yes } else { Done::No })
        }
    }
}
