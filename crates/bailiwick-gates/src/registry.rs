//! All gates that read content. A new gate is one line here.

use crate::configuration_gate::ConfigurationGate;
use crate::content_gate::ContentGate;
use crate::dependencies_gate::{DependenciesGate, SlopsquatGate};
use crate::hidden_gate::HiddenTextGate;
use crate::integrity_gate::TestIntegrityGate;
use crate::quality_gate::QualityGate;
use crate::sast_gate::SastGate;
use crate::secrets_gate::SecretsGate;
use crate::settings::GateSettings;
use bailiwick_deps::{Advisories, PackageIndex};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What gates need from outside and can't get by themselves, since nothing here reaches the
/// network: snapshots and indexes.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Known vulnerabilities; without them `dependencies` is inconclusive where it needs them.
    pub advisories: Option<Arc<Advisories>>,
    /// Which package names exist; without it `slopsquat` is inconclusive where it needs it.
    pub index: Option<Arc<dyn PackageIndex>>,
}

/// All content gates, in the order in which they are shown.
pub fn content_gates(sources: &Sources) -> Vec<Arc<dyn ContentGate>> {
    vec![
        Arc::new(SecretsGate),
        Arc::new(HiddenTextGate),
        Arc::new(ConfigurationGate),
        Arc::new(TestIntegrityGate),
        Arc::new(QualityGate),
        Arc::new(SastGate),
        Arc::new(DependenciesGate::new(sources.clone())),
        Arc::new(SlopsquatGate::new(sources.clone())),
    ]
}

/// Whether the settings speak only of gates and rules that there are: one that is mistyped would
/// be silently without effect.
pub fn check_settings(
    settings: &GateSettings,
    gates: &[Arc<dyn ContentGate>],
) -> Result<(), String> {
    let names: BTreeSet<&str> = gates.iter().map(|gate| gate.name()).collect();
    let rules: BTreeSet<String> =
        gates.iter().flat_map(|gate| gate.rules()).map(|rule| rule.id.into_owned()).collect();
    if let Some(off) =
        settings.off.iter().find(|off| !names.contains(off.as_str()) && !rules.contains(*off))
    {
        return Err(format!("`off` names `{off}`, which is no gate and no rule"));
    }
    match settings.tables.keys().find(|name| !names.contains(name.as_str())) {
        Some(name) => Err(format!("`[settings.{name}]` names no gate")),
        None => Ok(()),
    }
}
