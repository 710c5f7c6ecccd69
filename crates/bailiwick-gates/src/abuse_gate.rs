//! Gate `abuse`: a program whose interface a change touches is misused, and must stand it.
//!
//! Where the protected branch says how the program is started and what is known to work, requests
//! and inputs are made of it by a library of cases for each kind of weakness (`abuse/`): what is not
//! valid, what is meant for an interpreter, without credentials, twice, too much. They are sent in
//! the sandbox, to the program as it was and as the change makes it. What it could not stand before
//! is not new.

mod judge;
mod library;
mod script;
mod settings;

use crate::checkout::Meaning;
use crate::content_gate::{Hit, Inspected, conclude};
use crate::gate::{Gate, GateContext, switched_off};
use crate::path_class::{PathClass, classify};
use crate::rule::Rule;
use crate::workbench::{Keeps, Overlaid};
use async_trait::async_trait;
use bailiwick_model::evidence::{Evidence, GateReport};
use bailiwick_model::id::Oid;
use bailiwick_model::path::WorkPath;
use globset::GlobSet;
use judge::{Shown, judge};
use library::{Probe, of_endpoint, of_program};
use settings::{Program, Settings};
use std::collections::BTreeSet;

/// Misuses a program that a change touches.
#[derive(Debug, Clone, Copy, Default)]
pub struct AbuseGate;

#[async_trait]
impl Gate for AbuseGate {
    fn name(&self) -> &'static str {
        "abuse"
    }

    fn purpose(&self) -> &'static str {
        "misuse of a touched interface: bad input, no credentials, replay, too much; where the protected branch says how the program is started"
    }

    fn rules(&self) -> Vec<Rule> {
        judge::rules()
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        if let Some(report) = switched_off(self, context) {
            return report;
        }
        let mut evidence = Vec::new();
        let inspected = match context.rules.gates.of::<Settings>(self.name()) {
            Ok(settings) => inspect(context, &settings, &mut evidence).await,
            Err(reason) => Inspected::doubt(reason),
        };
        let by = (&context.rules.gates, context.now);
        conclude(self.name(), self.rules(), inspected, evidence, by)
    }
}

async fn inspect(
    context: &GateContext<'_>,
    settings: &Settings,
    evidence: &mut Vec<Evidence>,
) -> Inspected {
    let globs = match settings.check() {
        Ok(globs) => globs,
        Err(reason) => return Inspected::doubt(reason),
    };
    if settings.says_nothing() {
        return Inspected::looked_at("nothing: no endpoint and no command is named");
    }
    if !touches_interface(context, &globs) {
        return Inspected::looked_at("nothing: the change does not touch the interface");
    }
    let plan = match plan(settings) {
        Ok(plan) => plan,
        Err(reason) => return Inspected::doubt(format!("the misuse: {reason}")),
    };
    let before =
        one_side(context, settings, &plan, ("abuse before", context.base.commit()), evidence).await;
    let after =
        one_side(context, settings, &plan, ("abuse after", context.head.commit()), evidence).await;
    let after = match after {
        Ok(after) => after,
        Err(reason) => return Inspected::doubt(format!("the misuse: {reason}")),
    };
    // a base that can't be started, or has not this interface, has shown nothing that is old
    let old: BTreeSet<(&str, String)> = before
        .map(|before| before.misused.into_iter().map(|one| (one.rule, one.name)).collect())
        .unwrap_or_default();
    let mut inspected =
        Inspected { looked_at: format!("{} misuses", after.judged), ..Inspected::default() };
    inspected.doubts.extend(after.doubts.iter().map(|reason| format!("the misuse: {reason}")));
    for misused in after.misused {
        if !old.contains(&(misused.rule, misused.name.clone())) {
            inspected.hits.push(Hit::in_change(misused.rule, &misused.name, misused.message));
        }
    }
    inspected
}

fn touches_interface(context: &GateContext<'_>, globs: &GlobSet) -> bool {
    let mut paths =
        context.change.pairs.iter().flat_map(|pair| [pair.path.as_str(), pair.path_before()]);
    paths.any(|path| match globs.is_empty() {
        true => classify(path).contains(&PathClass::Source),
        false => globs.is_match(path),
    })
}

/// Everything that is sent: inputs of programs first, then requests.
struct Plan<'a> {
    probes: Vec<Probe>,
    programs: Vec<(usize, &'a Program)>,
}

fn plan(settings: &Settings) -> Result<Plan<'_>, String> {
    let (mut probes, mut programs) = (Vec::new(), Vec::new());
    for program in &settings.command {
        for probe in of_program(program)? {
            programs.push((probes.len(), program));
            probes.push(probe);
        }
    }
    let mut number = 0;
    for endpoint in &settings.endpoint {
        probes.extend(of_endpoint(endpoint, &mut number)?);
    }
    Ok(Plan { probes, programs })
}

async fn one_side(
    context: &GateContext<'_>,
    settings: &Settings,
    plan: &Plan<'_>,
    (name, commit): (&str, &Oid),
    evidence: &mut Vec<Evidence>,
) -> Result<Shown, String> {
    let programs = plan.programs.len();
    let requests: Vec<(usize, bool)> = (0_usize..)
        .zip(&plan.probes)
        .skip(programs)
        .map(|(number, probe)| (number, probe.before.is_some()))
        .collect();
    let folder = script::FOLDER;
    let mut files = vec![Overlaid::file(
        format!("{folder}/run.bash"),
        script::script(settings, &requests, &plan.programs),
    )];
    for (number, probe) in (0_usize..).zip(&plan.probes) {
        files.push(Overlaid::file(format!("{folder}/{number}"), probe.bytes.clone()));
        if let Some(before) = &probe.before {
            files.push(Overlaid::file(format!("{folder}/{number}.before"), before.clone()));
        }
    }
    let checkout = context
        .bench
        .compose("gate-abuse", commit, files, Keeps::Reports)
        .await
        .map_err(|refusal| refusal.to_string())?;
    let command = format!("exec /bin/bash {folder}/run.bash");
    let timeout_ms = settings.timeout_seconds.saturating_mul(1000);
    let result = checkout
        .run(&command, &WorkPath::root(), timeout_ms)
        .await
        .map_err(|refusal| refusal.to_string())?;
    evidence.push(checkout.evidence(name, &command, &result, None));
    match result.meaning() {
        Meaning::Succeeded => Ok(judge(&plan.probes, &script::read(&result.text()), programs)),
        Meaning::Failed { code } => Err(format!("the script ended with exit code {code}")),
        Meaning::Nothing { reason } => Err(reason),
    }
}
