//! All gates. A new gate is one line here.

use crate::abuse_gate::AbuseGate;
use crate::acceptance_gate::AcceptanceGate;
use crate::analysers_gate::{Analyser, AnalysersGate};
use crate::configuration_gate::ConfigurationGate;
use crate::content_gate::ContentGate;
use crate::coverage_gate::CoverageGate;
use crate::dependencies_gate::{DependenciesGate, SlopsquatGate};
use crate::gate::Gate;
use crate::hidden_gate::HiddenTextGate;
use crate::integrity_gate::TestIntegrityGate;
use crate::mutants_gate::MutantsGate;
use crate::new_tests_gate::NewTestsGate;
use crate::quality_gate::QualityGate;
use crate::sast_gate::SastGate;
use crate::secrets_gate::SecretsGate;
use crate::settings::GateSettings;
use crate::tests_gate::TestsGate;
use bailiwick_deps::{Advisories, PackageIndex};
use bailiwick_model::subject::{Context, Subject};
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
    /// Indexes that are asked over the network, in the name of whoever judges.
    pub remote: Option<Arc<dyn RemoteIndex>>,
    /// The organisation's external tools that speak SARIF.
    pub analysers: Vec<Analyser>,
}

/// An index that is asked over the network. Each question is an action of somebody.
pub trait RemoteIndex: Send + Sync + std::fmt::Debug {
    /// The index as this subject asks it in these circumstances. What `local` knows is not asked
    /// for. Its answers block, and may not be asked for on a thread of an async runtime.
    fn asked_by(
        &self,
        subject: Subject,
        context: Context,
        local: Option<Arc<dyn PackageIndex>>,
    ) -> Arc<dyn PackageIndex>;
}

impl Sources {
    /// The same, with what is asked over the network asked in this name.
    #[must_use]
    pub fn asked_by(&self, subject: Subject, context: Context) -> Self {
        let mut sources = self.clone();
        if let Some(remote) = &self.remote {
            sources.index = Some(remote.asked_by(subject, context, self.index.clone()));
        }
        sources
    }
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

/// All gates that run something in a sandbox, in the order in which they run.
pub fn sandbox_gates(sources: &Sources) -> Vec<Box<dyn Gate>> {
    let mut gates: Vec<Box<dyn Gate>> = vec![
        Box::new(TestsGate),
        Box::new(AcceptanceGate),
        Box::new(NewTestsGate),
        Box::new(CoverageGate),
        Box::new(MutantsGate),
        Box::new(AbuseGate),
        Box::new(AnalysersGate::of_repository()),
    ];
    if !sources.analysers.is_empty() {
        gates.push(Box::new(AnalysersGate::of_organisation(sources.analysers.clone())));
    }
    gates
}

/// Makes the rules of every gate ready, which takes about a tenth of a second once in a process:
/// for whoever has the time before the first gate runs.
pub fn make_ready() {
    let sources = Sources::default();
    for gate in content_gates(&sources) {
        drop(gate.rules());
    }
    for gate in sandbox_gates(&sources) {
        drop(gate.rules());
    }
}

/// Whether the settings speak only of gates and rules that there are: one that is mistyped would
/// be silently without effect.
pub fn check_settings(
    settings: &GateSettings,
    gates: &[Arc<dyn ContentGate>],
) -> Result<(), String> {
    let others = sandbox_gates(&Sources::default());
    // tests and acceptance checks are what a change is judged by: nobody switches them off
    let others: Vec<&Box<dyn Gate>> = others
        .iter()
        .filter(|gate| gate.name() != TestsGate.name() && gate.name() != AcceptanceGate.name())
        .collect();
    let names: BTreeSet<&str> =
        gates.iter().map(|gate| gate.name()).chain(others.iter().map(|gate| gate.name())).collect();
    let rules: BTreeSet<String> = gates
        .iter()
        .flat_map(|gate| gate.rules())
        .chain(others.iter().flat_map(|gate| gate.rules()))
        .map(|rule| rule.id.into_owned())
        .collect();
    let is_known = |off: &String| {
        names.contains(off.as_str())
            || rules.contains(off)
            // the rules of external tools are known only once they ran
            || off.starts_with("analysers/")
    };
    if let Some(off) = settings.off.iter().find(|off| !is_known(off)) {
        return Err(format!("`off` names `{off}`, which is no gate and no rule"));
    }
    match settings.tables.keys().find(|name| !names.contains(name.as_str())) {
        Some(name) => Err(format!("`[settings.{name}]` names no gate")),
        None => Ok(()),
    }
}
