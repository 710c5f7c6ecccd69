//! The policy in force: where it is read from, how a new one takes the place of the old one, and
//! what stays in force when the new one is no good.
//!
//! The organisation's layer is a signed bundle, files, or a bundle that comes with the program.
//! Below it lie the layers of teams (configured) and of repositories (`.bailiwick/policy/` on the
//! protected branch). Whatever is refused changes nothing: the last good one stays, also across a
//! restart, and an alert stands in the ledger.

mod groups;
mod layers;
mod organisation;
pub(crate) mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bailiwick_forge::{EmbeddedForge, Forge as _};
use bailiwick_model::Timestamp;
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::id::{Oid, RepoName};
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_policy::{Layer, LayerSource, PolicyError, PolicySet, Proved};
use bailiwick_store::Store;
use bailiwick_warden::Warden;
use groups::Groups;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::command::Told;
use crate::config::PolicyConfig;
use crate::data_dir::DataDir;
use crate::solver::Prover;

/// How often the files of the policy are looked at while a server runs.
const GLANCE: Duration = Duration::from_millis(250);

/// The organisation's and the teams' layers as they are configured, or what is wrong with them.
/// Nothing is kept of it.
pub(crate) async fn check(config: &PolicyConfig) -> Result<PolicySet> {
    let organisation = organisation::read(config).map_err(|refused| refused.told())?;
    let teams = layers::teams(config).map_err(|refused| refused.told())?;
    let proved = prove(config, &organisation.set, teams.iter()).await;
    let mut set = organisation.set;
    for team in teams {
        set = set.narrowed(&team, &proved).map_err(|errors| {
            Refused::new(&team.layer.to_string(), "policy.layer_refused", &errors.errors).told()
        })?;
    }
    Ok(set)
}

/// The lower layers that a solver proves to lie within the organisation's. It is asked only about
/// those that can't be proved without one.
async fn prove(
    config: &PolicyConfig,
    organisation: &PolicySet,
    layers: impl Iterator<Item = &LayerSource>,
) -> Proved {
    let mut proved = Proved::nothing();
    let open: Vec<&LayerSource> =
        layers.filter(|layer| organisation.narrowed(layer, &proved).is_err()).collect();
    if !open.is_empty() {
        let mut prover = Prover::start(config).await;
        for layer in open {
            prover.narrows(organisation, layer, &mut proved).await;
        }
    }
    proved
}

/// Why a policy is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    /// Whose it is.
    pub(crate) layer: String,
    /// A stable code.
    pub(crate) code: String,
    /// What is wrong, with file and line.
    pub(crate) faults: Vec<String>,
}

impl Refused {
    pub(crate) fn new(layer: &str, code: &str, errors: &[PolicyError]) -> Self {
        let faults =
            errors.iter().map(|error| format!("{error}; {}; {}", error.why, error.fix)).collect();
        Self { layer: layer.to_owned(), code: code.to_owned(), faults }
    }

    fn plain(layer: &str, code: &str, what: String) -> Self {
        Self { layer: layer.to_owned(), code: code.to_owned(), faults: vec![what] }
    }

    pub(crate) fn told(&self) -> Told {
        Told {
            code: self.code.clone(),
            message: format!("the policy of the {} is refused: {}", self.layer, self.faults.join("\n")),
            hint: "`bailiwick policy check` shows every fault; nothing is started without a valid policy"
                .to_owned(),
        }
    }
}

/// What stands in force, for people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    /// The digest that decisions name.
    pub(crate) digest: Digest,
    /// Where the organisation's layer comes from.
    pub(crate) organisation: String,
    /// Each layer with how many rules it has.
    pub(crate) layers: Vec<LayerStatus>,
    /// What was refused, and is not in force.
    pub(crate) alerts: Vec<Refused>,
}

/// One layer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LayerStatus {
    /// Whose it is.
    pub(crate) layer: String,
    /// How many rules.
    pub(crate) rules: usize,
}

/// Keeps the policy in force.
#[derive(Debug)]
pub(crate) struct Policies {
    config: PolicyConfig,
    dir: PathBuf,
    forge_dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    organisation: organisation::Organisation,
    teams: Vec<LayerSource>,
    repositories: BTreeMap<RepoName, layers::RepositoryLayer>,
    alerts: BTreeMap<String, Refused>,
    seen: read::Fingerprint,
    /// What a solver proved of the layers.
    proved: Proved,
    /// The groups that there were when the layers were read.
    groups: Groups,
    /// The latest time that was seen since the start.
    latest: Timestamp,
}

impl Policies {
    /// Reads the organisation's and the teams' layers. Without a valid one there is no policy, and
    /// nothing is started.
    pub(crate) async fn open(config: &PolicyConfig, dir: &DataDir, store: &Store) -> Result<Self> {
        let home = dir.policy();
        let seen = read::Fingerprint::of(&config.watched());
        let mut alerts = BTreeMap::new();
        let groups = Groups::of(store);
        let organisation = match organisation::load(config, &home, &groups) {
            Ok(organisation) => organisation,
            Err(refused) => {
                let last = organisation::last_good(config, &home);
                // What it asks nobody about is not done; and without a policy at all, nobody could
                // add the group.
                let asks_nobody = || (refused.code == groups::CODE).then_some(());
                let last = last.or_else(|| {
                    asks_nobody()?;
                    organisation::load(config, &home, &Groups::any()).ok()
                });
                let last = last.ok_or_else(|| refused.told())?;
                alerts.insert(refused.layer.clone(), refused);
                last
            }
        };
        if let Some(alert) = &organisation.alert {
            alerts.insert("clock".to_owned(), alert.clone());
        }
        let teams = layers::teams(config).map_err(|refused| refused.told())?;
        // each is tried now, so that a mistake is told at the start
        let proved = prove(config, &organisation.set, teams.iter()).await;
        let mut set = organisation.set.organisation();
        for team in &teams {
            set = set.narrowed(team, &proved).map_err(|errors| {
                Refused::new(&team.layer.to_string(), "policy.layer_refused", &errors.errors).told()
            })?;
            if let Err(refused) = groups.check(&set, &team.layer) {
                alerts.insert(refused.layer.clone(), refused);
            }
        }
        let state = State {
            organisation,
            teams,
            repositories: BTreeMap::new(),
            alerts,
            seen,
            proved,
            groups,
            latest: Timestamp::now(),
        };
        Ok(Self {
            config: config.clone(),
            dir: home,
            forge_dir: dir.forge(),
            state: Mutex::new(state),
        })
    }

    /// The set of the layers that are known by now.
    pub(crate) async fn current(&self) -> Arc<PolicySet> {
        let mut state = self.state.lock().await;
        Arc::new(self.compose(&mut state))
    }

    /// What stands in force.
    pub(crate) async fn status(&self, in_force: &PolicySet) -> Status {
        let state = self.state.lock().await;
        let mut counts: BTreeMap<String, usize> =
            in_force.layers().map(|(layer, _)| (layer.to_string(), 0)).collect();
        for rule in in_force.rules() {
            *counts.entry(rule.layer.to_string()).or_default() += 1;
        }
        Status {
            digest: in_force.digest(),
            organisation: state.organisation.from.clone(),
            layers: counts.into_iter().map(|(layer, rules)| LayerStatus { layer, rules }).collect(),
            alerts: state.alerts.values().cloned().collect(),
        }
    }

    /// The organisation's layer with all others on it. A layer that can't be put on is refused.
    fn compose(&self, state: &mut State) -> PolicySet {
        let mut set = state.organisation.set.organisation();
        for team in &state.teams {
            let name = team.layer.to_string();
            match set.narrowed(team, &state.proved) {
                Ok(with) => set = with,
                Err(errors) => {
                    let refused = Refused::new(&name, "policy.layer_refused", &errors.errors);
                    state.alerts.insert(name, refused);
                    set = layers::closed(&set, &team.layer);
                }
            }
        }
        for (repo, layer) in &mut state.repositories {
            let (with, refused) = layer.put_on(&set, repo, &self.dir, &state.proved, &state.groups);
            set = with;
            let name = format!("repository {repo}");
            match refused {
                Some(refused) => state.alerts.insert(name, refused),
                None => state.alerts.remove(&name),
            };
        }
        set
    }

    /// Looks whether anything changed, puts the new policy in force and records what was refused.
    pub(crate) async fn refresh(
        &self,
        forge: &EmbeddedForge,
        warden: &Warden,
        store: &Store,
    ) -> Result<()> {
        let mut state = self.state.lock().await;
        let seen = read::Fingerprint::of(&self.config.watched());
        let groups = Groups::of(store);
        look_at_the_clock(&mut state);
        let mut changed = self.repositories(&mut state, forge).await?;
        if seen != state.seen || groups != state.groups {
            state.seen = seen;
            state.groups = groups;
            changed = true;
            match organisation::load(&self.config, &self.dir, &state.groups) {
                Ok(organisation) => {
                    state.alerts.remove("organisation");
                    match &organisation.alert {
                        Some(alert) => state.alerts.insert("clock".to_owned(), alert.clone()),
                        None => state.alerts.remove("clock"),
                    };
                    state.organisation = organisation;
                }
                Err(refused) => {
                    state.alerts.insert(refused.layer.clone(), refused);
                }
            }
            match layers::teams(&self.config) {
                Ok(teams) => {
                    state.alerts.retain(|layer, _| !layer.starts_with("team "));
                    self.take_teams(&mut state, teams);
                }
                Err(refused) => {
                    state.alerts.insert(refused.layer.clone(), refused);
                }
            }
        }
        if changed {
            let repositories = state.repositories.values().filter_map(|layer| layer.source());
            let layers: Vec<&LayerSource> = state.teams.iter().chain(repositories).collect();
            let proved = prove(&self.config, &state.organisation.set, layers.iter().copied()).await;
            state.proved = proved;
            let set = Arc::new(self.compose(&mut state));
            warden.replace_policy(Arc::clone(&set));
        }
        let alerts: Vec<Refused> = state.alerts.values().cloned().collect();
        drop(state);
        announce(warden, store, &alerts).await
    }

    /// Takes the teams' layers over, each that asks only groups that exist; of the others the last
    /// good one stays.
    fn take_teams(&self, state: &mut State, teams: Vec<LayerSource>) {
        let mut taken = Vec::new();
        for team in teams {
            let bare = state.organisation.set.organisation();
            let refused = bare
                .narrowed(&team, &state.proved)
                .ok()
                .and_then(|with| state.groups.check(&with, &team.layer).err());
            let Some(refused) = refused else {
                taken.push(team);
                continue;
            };
            let last = state.teams.iter().find(|known| same_team(&known.layer, &team.layer));
            taken.push(last.cloned().unwrap_or(team));
            state.alerts.insert(refused.layer.clone(), refused);
        }
        state.teams = taken;
    }

    /// Reads the layers of repositories whose protected branch has moved.
    async fn repositories(&self, state: &mut State, forge: &EmbeddedForge) -> Result<bool> {
        let mut changed = false;
        for repository in forge.repositories().await? {
            let repo = repository.name.clone();
            let branch = repository.default_branch.clone();
            let trace =
                read::Fingerprint::of(&branch_files(&self.forge_dir, &repo, branch.as_str()));
            if state.repositories.get(&repo).is_some_and(|known| known.trace == trace) {
                continue;
            }
            let Some(head) = forge.branch(&repo, &branch).await? else { continue };
            let known = state.repositories.get(&repo).map(|known| known.head.clone());
            if known.as_ref() == Some(&head) {
                if let Some(known) = state.repositories.get_mut(&repo) {
                    known.trace = trace;
                }
                continue;
            }
            let layer = layers::RepositoryLayer::read(forge, &repo, head, trace).await;
            // none before and none now: nothing to put in force
            changed |= layer.says_something()
                || state
                    .repositories
                    .get(&repo)
                    .is_some_and(layers::RepositoryLayer::says_something);
            state.repositories.insert(repo, layer);
        }
        Ok(changed)
    }

    /// Keeps the policy up to date until the server ends.
    pub(crate) async fn watch(
        self: Arc<Self>,
        forge: Arc<EmbeddedForge>,
        warden: Arc<Warden>,
        store: Store,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(GLANCE) => {}
            }
            if let Err(error) = self.refresh(&forge, &warden, &store).await {
                tracing::error!(%error, "the policy could not be brought up to date; the last one stays in force");
            }
        }
    }
}

fn same_team(one: &Layer, other: &Layer) -> bool {
    matches!((one, other), (Layer::Team { name, .. }, Layer::Team { name: other, .. }) if name == other)
}

/// Notices a clock that went back while the platform runs.
fn look_at_the_clock(state: &mut State) {
    let now = Timestamp::now();
    if now < state.latest - organisation::CLOCKS_DIFFER {
        // The first time it is noticed, and not again each minute.
        let (alerts, latest) = (&mut state.alerts, state.latest);
        alerts.entry("clock".to_owned()).or_insert_with(|| organisation::went_back(now, latest));
    }
    state.latest = state.latest.max(now);
}

/// The files that tell of a branch's move.
fn branch_files(forge: &Path, repo: &RepoName, branch: &str) -> Vec<PathBuf> {
    let git = forge.join(format!("{repo}.git"));
    vec![git.join("refs/heads").join(branch), git.join("packed-refs")]
}

/// Records a policy that came into force, and what was refused, once for each.
async fn announce(warden: &Warden, store: &Store, alerts: &[Refused]) -> Result<()> {
    let policy = warden.policy();
    let query = bailiwick_store::Query::default().named(&["policy_loaded", "policy_refused"]);
    let known = store.entries(query).await?;
    let facts_of = |entry: &bailiwick_model::event::Entry| match &entry.event {
        Event::Fact(fact) => Some(fact.as_ref().clone()),
        Event::Decided(_) | Event::Finished(_) => None,
    };
    let past: Vec<Fact> = known.iter().filter_map(facts_of).collect();
    let mut facts = Vec::new();
    let last = past.iter().rev().find_map(|fact| match fact {
        Fact::PolicyLoaded { digest, .. } => Some(*digest),
        _ => None,
    });
    if last != Some(policy.digest()) {
        let source = Payload::from(read::text_of(&policy));
        facts.push(Fact::PolicyLoaded { digest: policy.digest(), source });
    }
    for alert in alerts {
        let last = past.iter().rev().find_map(|fact| match fact {
            Fact::PolicyRefused { layer, faults, .. } if *layer == alert.layer => {
                Some(faults.clone())
            }
            _ => None,
        });
        if last.as_ref() != Some(&alert.faults) {
            facts.push(Fact::PolicyRefused {
                layer: alert.layer.clone(),
                code: alert.code.clone(),
                faults: alert.faults.clone(),
                in_force: policy.digest(),
            });
        }
    }
    if !facts.is_empty() {
        warden
            .record(facts)
            .await
            .map_err(bailiwick_engine::EngineError::from)
            .map_err(Told::from)?;
    }
    Ok(())
}

/// A commit that a layer was read from, for errors.
pub(crate) fn short(head: &Oid) -> String {
    head.as_str().chars().take(12).collect()
}
