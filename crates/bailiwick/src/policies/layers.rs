//! The layers below the organisation's: teams by configuration, repositories by their protected
//! branch.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_forge::EmbeddedForge;
use bailiwick_model::id::{Oid, RepoName};
use bailiwick_policy::{
    Layer, LayerSource, PolicyError, PolicyErrors, PolicySet, PolicySource, Proved, resolve,
};
use serde::{Deserialize, Serialize};

use super::groups::Groups;
use super::organisation::keep;
use super::{Refused, read, short};
use crate::config::PolicyConfig;

/// Where a repository keeps its policy.
const DIRECTORY: &str = ".bailiwick/policy";
/// The most files that it may have there.
const MOST_FILES: usize = 64;
const CODE: &str = "policy.layer_refused";

/// In force for a layer that can't be used and never could: nothing by agents.
const CLOSED: &str = r#"
@id("policy-unusable")
@reason("this layer's own policy can't be used, so agents do nothing here")
@hint("Stop: a person has to put the policy right; `bailiwick policy show` says what is wrong with it.")
forbid (principal is Agent, action, resource);
"#;

/// The teams' layers.
pub(super) fn teams(config: &PolicyConfig) -> Result<Vec<LayerSource>, Refused> {
    config
        .team
        .iter()
        .map(|team| {
            let layer = Layer::Team {
                name: team.name.clone(),
                repositories: team.repositories.iter().cloned().collect(),
            };
            let sources = read::files(&team.files)
                .and_then(|files| resolve(&files))
                .map_err(|errors| Refused::new(&layer.to_string(), CODE, &errors.errors))?;
            Ok(LayerSource { layer, sources })
        })
        .collect()
}

/// A set with everything closed to agents where this layer applies.
pub(super) fn closed(set: &PolicySet, layer: &Layer) -> PolicySet {
    let source = LayerSource {
        layer: layer.clone(),
        sources: vec![PolicySource::new("unusable.cedar", CLOSED)],
    };
    set.narrowed(&source, &Proved::nothing()).unwrap_or_else(|_| PolicySet::nothing())
}

/// What a repository's protected branch says.
#[derive(Debug)]
pub(super) struct RepositoryLayer {
    pub(super) head: Oid,
    pub(super) trace: read::Fingerprint,
    found: Result<Option<LayerSource>, Refused>,
}

/// The last good layer, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    commit: String,
    files: BTreeMap<String, String>,
}

impl RepositoryLayer {
    /// Reads the layer at a commit of the protected branch, and from nowhere else.
    pub(super) async fn read(
        forge: &EmbeddedForge,
        repo: &RepoName,
        head: Oid,
        trace: read::Fingerprint,
    ) -> Self {
        let layer = Layer::Repository(repo.clone());
        let found = match forge.policy_files(repo, &head, DIRECTORY, MOST_FILES).await {
            Err(error) => Err(Refused::plain(
                &layer.to_string(),
                CODE,
                format!("{DIRECTORY} at {}: it can't be read: {error}", short(&head)),
            )),
            Ok(files) if files.is_empty() => Ok(None),
            Ok(files) => sources(files)
                .and_then(|files| resolve(&files))
                .map(|sources| Some(LayerSource { layer: layer.clone(), sources }))
                .map_err(|errors| Refused::new(&layer.to_string(), CODE, &errors.errors)),
        };
        Self { head, trace, found }
    }

    /// What it says, if it can be read.
    pub(super) fn source(&self) -> Option<&LayerSource> {
        self.found.as_ref().ok()?.as_ref()
    }

    /// Whether it has any part in a decision.
    pub(super) fn says_something(&self) -> bool {
        !matches!(self.found, Ok(None))
    }

    /// Puts the layer on a set: as it is, or the last good one, or closed; with why.
    pub(super) fn put_on(
        &self,
        set: &PolicySet,
        repo: &RepoName,
        home: &Path,
        proved: &Proved,
        groups: &Groups,
    ) -> (PolicySet, Option<Refused>) {
        let name = format!("repositories/{repo}.json");
        let layer = Layer::Repository(repo.clone());
        let refused = match &self.found {
            Ok(None) => {
                // the branch says that there is none: there is no last good one any more
                drop(std::fs::remove_file(home.join(&name)));
                return (set.clone(), None);
            }
            Ok(Some(source)) => match self.good(set, source, proved, groups) {
                Ok(with) => {
                    if let Err(error) = self.keep(source, home, &name) {
                        tracing::warn!(%error, %repo, "a repository's last good policy could not be kept");
                    }
                    return (with, None);
                }
                Err(refused) => refused,
            },
            Err(refused) => refused.clone(),
        };
        let last =
            last_good(home, &name, &layer).and_then(|source| set.narrowed(&source, proved).ok());
        (last.unwrap_or_else(|| closed(set, &layer)), Some(refused))
    }

    /// The set with the layer on it, when it only narrows and asks groups that exist.
    fn good(
        &self,
        set: &PolicySet,
        source: &LayerSource,
        proved: &Proved,
        groups: &Groups,
    ) -> Result<PolicySet, Refused> {
        let with = set
            .narrowed(source, proved)
            .map_err(|errors| Refused::new(&source.layer.to_string(), CODE, &errors.errors))?;
        groups.check(&with, &source.layer)?;
        Ok(with)
    }

    fn keep(&self, source: &LayerSource, home: &Path, name: &str) -> std::io::Result<()> {
        let kept = Kept {
            commit: self.head.to_string(),
            files: source.sources.iter().map(|one| (one.name.clone(), one.text.clone())).collect(),
        };
        keep(home, name, &serde_json::to_vec(&kept).map_err(std::io::Error::other)?)
    }
}

fn last_good(home: &Path, name: &str, layer: &Layer) -> Option<LayerSource> {
    let text = std::fs::read_to_string(home.join(name)).ok()?;
    let kept: Kept = serde_json::from_str(&text).ok()?;
    let sources = kept.files.into_iter().map(|(name, text)| PolicySource { name, text }).collect();
    Some(LayerSource { layer: layer.clone(), sources })
}

fn sources(files: Vec<(String, Option<Vec<u8>>)>) -> Result<Vec<PolicySource>, PolicyErrors> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for (path, bytes) in files {
        let mut fault = |what: &str| {
            errors.push(PolicyError {
                file: path.clone(),
                line: 0,
                column: 0,
                policy: None,
                what: what.to_owned(),
                why: "a policy of which a part can't be read is not the policy that was written",
                fix: "keep `.cedar` and `.toml` files there and nothing else".to_owned(),
            });
        };
        match bytes.map(String::from_utf8) {
            None => fault("it is not a plain file"),
            Some(Err(_)) => fault("it is not UTF-8"),
            Some(Ok(text)) if path.ends_with(".cedar") || path.ends_with(".toml") => {
                found.push(PolicySource { name: path, text });
            }
            Some(Ok(_)) if path.ends_with(".md") => {}
            Some(Ok(_)) => fault("it is neither Cedar nor the short form"),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(PolicyErrors { errors }) }
}
