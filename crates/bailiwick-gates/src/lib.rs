#![forbid(unsafe_code)]
//! Deterministic checks of a change, outside of the agent that made it.
//!
//! A [`Gate`] looks at one change and says pass, fail or *inconclusive*; the last one blocks like a
//! failure, since a gate that could not run has shown nothing. What gates go by (which tests to
//! run, which findings to ignore) comes from the protected branch ([`ProtectedRules`]), never from
//! the change itself. Commands run on a clean checkout, only with a permit of the warden
//! ([`WardenRunner`] is the one way), and every run becomes evidence.
//!
//! Reading runner output, detecting tests, judging, scoring risk are pure functions over data, so
//! that they are tested with files.
//!
//! Deliberately absent: the agent, the model gateway, the store, the forge.

mod abuse_gate;
mod acceptance_gate;
mod analysers_gate;
mod change;
mod checkout;
mod codeowners;
mod configuration_gate;
mod content_gate;
mod coverage_gate;
mod dependencies_gate;
mod gate;
mod hidden_gate;
mod integrity_gate;
mod mutants_gate;
mod new_tests_gate;
mod protected_rules;
mod quality_gate;
mod registry;
mod rule;
mod sast_gate;
mod scope_gate;
mod secrets_gate;
mod settings;
mod tests_gate;
mod workbench;

pub mod coverage;
pub mod path_class;
pub mod risk;
pub mod runner;
pub mod sarif;

pub use abuse_gate::AbuseGate;
pub use acceptance_gate::AcceptanceGate;
pub use analysers_gate::{Analyser, AnalysersGate, BadAnalyser};
pub use change::{Change, ChangeText, TouchedContent};
pub use checkout::{Checkout, CommandRefusal, CommandResult, CommandRunner, WardenRunner};
pub use codeowners::CodeOwners;
pub use configuration_gate::ConfigurationGate;
pub use content_gate::{
    ContentGate, EmptyTree, FilePair, GitTree, Hit, Input, Inspected, LineRange, MapTree, Tree,
    judge_content,
};
pub use coverage_gate::CoverageGate;
pub use dependencies_gate::{DependenciesGate, SlopsquatGate};
pub use gate::{Gate, GateContext, run_all, verdict};
pub use hidden_gate::HiddenTextGate;
pub use integrity_gate::TestIntegrityGate;
pub use mutants_gate::MutantsGate;
pub use new_tests_gate::NewTestsGate;
pub use protected_rules::{ProtectedRules, RulesError, TestSettings};
pub use quality_gate::{CHURN, QualityGate};
pub use registry::{
    RemoteIndex, Sources, check_settings, content_gates, make_ready, sandbox_gates,
};
pub use rule::{Effect, Rule};
pub use sast_gate::SastGate;
pub use scope_gate::{SCOPE_GATE, outside_scope, scope_report, scope_rules};
pub use secrets_gate::{SecretsGate, new_secrets};
pub use settings::{GateSettings, Suppression};
pub use tests_gate::TestsGate;
pub use tests_gate::detect::{Detection, ProjectFiles, TestCommand, detect};
pub use tests_gate::judge::{RunResult, judge};
pub use workbench::{Keeps, Overlaid, Workbench};
