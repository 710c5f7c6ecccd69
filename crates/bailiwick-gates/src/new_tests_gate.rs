//! Gate `new-tests`: tests that a change brings must fail without the rest of it.
//!
//! The change's test files are laid over the base, and the tests run there. A new test that passes
//! says nothing about the change. Tests that stand in a source file (Rust's `#[cfg(test)]`) are put
//! into the base's source.

mod judge;
mod splice;

use crate::checkout::{Checkout, CommandRefusal};
use crate::content_gate::{FilePair, Hit, Inspected, conclude};
use crate::gate::{Gate, GateContext, switched_off};
use crate::integrity_gate::test_names;
use crate::path_class::{PathClass, classify};
use crate::rule::{Effect, Rule};
use crate::tests_gate::detect::{Detection, TestCommand, detect};
use crate::tests_gate::judge::RunResult;
use crate::workbench::{Keeps, Overlaid, Side, side_of};
use async_trait::async_trait;
use bailiwick_model::evidence::{Evidence, GateReport, Severity};
use bailiwick_model::path::WorkPath;
use judge::{OnBase, on_base};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Runs a change's new tests on its base.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewTestsGate;

/// `[settings.new-tests]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The command line; that of the gate `tests` when absent.
    command: Option<String>,
    /// Where it is run.
    directory: Option<WorkPath>,
    /// Longest time, in seconds.
    timeout_seconds: Option<u64>,
    /// What tests that pass on the base do.
    effect: OwnEffect,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OwnEffect {
    #[default]
    Block,
    Ask,
}

const PASS_BEFORE: &str = "new-tests/pass-before";
const UNSEEN: &str = "new-tests/unseen";
const SOME_PASS_BEFORE: &str = "new-tests/some-pass-before";

#[async_trait]
impl Gate for NewTestsGate {
    fn name(&self) -> &'static str {
        "new-tests"
    }

    fn purpose(&self) -> &'static str {
        "new tests must fail on the base: what passes there shows nothing of the change"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![
            Rule::blocks(
                PASS_BEFORE,
                "new tests that pass without the change",
                Severity::Medium,
                Some(1164),
                [
                    "they would pass if the change were taken back: they show nothing of it",
                    "test what the change does: a test of it fails on the base",
                ],
            ),
            Rule::asks(
                UNSEEN,
                "new tests that nobody sees fail without the change",
                Severity::Low,
                Some(1164),
                [
                    "the test command succeeds on the base with the new tests in it, and prints nothing that says which ran",
                    "let the command print what its tests do, or see by hand that the new ones fail without the change",
                ],
            ),
            Rule::informs(
                SOME_PASS_BEFORE,
                "new test that passes without the change, beside others that fail",
                [
                    "by itself it shows nothing of the change",
                    "nothing need be done when it holds what was there before",
                ],
            ),
        ]
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        if let Some(report) = switched_off(self, context) {
            return report;
        }
        let mut evidence = Vec::new();
        let (inspected, effect) = match context.rules.gates.of::<Settings>(self.name()) {
            Ok(settings) => {
                let effect = settings.effect;
                (inspect(context, settings, &mut evidence).await, effect)
            }
            Err(reason) => (Inspected::doubt(reason), OwnEffect::Block),
        };
        let mut rules = self.rules();
        if let (OwnEffect::Ask, Some(rule)) = (effect, rules.first_mut()) {
            rule.effect = Effect::AsksPerson;
        }
        conclude(self.name(), rules, inspected, evidence, (&context.rules.gates, context.now))
    }
}

fn is_test(path: &str) -> bool {
    classify(path).contains(&PathClass::Test)
}

fn is_code(path: &str) -> bool {
    classify(path).contains(&PathClass::Source)
}

async fn inspect(
    context: &GateContext<'_>,
    settings: Settings,
    evidence: &mut Vec<Evidence>,
) -> Inspected {
    let pairs = &context.change.pairs;
    if !pairs.iter().any(|pair| is_code(&pair.path) && changes_more_than_tests(pair)) {
        return Inspected::looked_at("nothing: the change touches no code but tests");
    }
    let new = new_tests(pairs);
    if new.is_empty() {
        return Inspected::looked_at(
            "nothing: the change brings no new test that can run on the base",
        );
    }
    let commands = match commands(context, settings) {
        Ok(commands) => commands,
        Err(reason) => return Inspected::doubt(reason),
    };
    let mut files = side_of(context.change, Side::After, is_test);
    files.extend(spliced(pairs));
    let composed =
        context.bench.compose("gate-new-tests", context.base.commit(), files, Keeps::Usual).await;
    let mut inspected = Inspected::default();
    let mut ran = Vec::new();
    for command in &commands {
        let run = match &composed {
            Ok(checkout) => run(checkout, command, evidence).await,
            Err(refusal) => Err(refusal.clone()),
        };
        ran.push(run);
    }
    let names: BTreeSet<String> = new.keys().cloned().collect();
    let files: BTreeSet<&str> = new.values().map(String::as_str).collect();
    inspected.looked_at = format!("{} new tests on the base", names.len());
    let hit = |rule: &'static str, name: &String| {
        let path = new.get(name).map(String::as_str).unwrap_or_default();
        let message = format!("new test `{name}` passes without the change");
        Hit { rule: Cow::Borrowed(rule), ..Hit::in_file(PASS_BEFORE, path, name, message) }
    };
    match on_base(&names, &files, &ran) {
        OnBase::Unknown { reason } => {
            inspected.doubts.push(format!("the new tests on the base: {reason}"));
        }
        OnBase::Unseen => {
            let name = names.first().cloned().unwrap_or_default();
            inspected.hits.push(Hit {
                message: "the tests succeed without the change, and do not say which they ran"
                    .to_owned(),
                ..hit(UNSEEN, &name)
            });
        }
        OnBase::AllPass => inspected.hits.extend(names.iter().map(|name| hit(PASS_BEFORE, name))),
        OnBase::Fail { passing } => {
            inspected.hits.extend(passing.iter().map(|name| hit(SOME_PASS_BEFORE, name)));
        }
    }
    inspected
}

/// Whether a source file changes outside of the tests that stand in it.
fn changes_more_than_tests(pair: &FilePair) -> bool {
    let (Some(before), Some(after)) = (pair.text_before(), pair.text_after()) else { return true };
    !pair.path.ends_with(".rs") || splice::without_tests(&before) != splice::without_tests(&after)
}

/// The tests that the change brings and that can be run on the base, each with its file.
fn new_tests(pairs: &[FilePair]) -> BTreeMap<String, String> {
    let old: BTreeSet<String> =
        pairs.iter().filter_map(FilePair::text_before).flat_map(|text| test_names(&text)).collect();
    let mut new = BTreeMap::new();
    for pair in pairs {
        let Some(after) = pair.text_after() else { continue };
        let runnable = if is_test(&pair.path) {
            after
        } else if pair.path.ends_with(".rs") && !pair.is_new() {
            splice::tests_of(&after)
        } else {
            // what stands in a new source file has no base to fail on
            continue;
        };
        for name in test_names(&runnable).difference(&old) {
            new.entry(name.clone()).or_insert_with(|| pair.path.clone());
        }
    }
    new
}

/// The base's source files with the change's tests in them.
fn spliced(pairs: &[FilePair]) -> Vec<Overlaid> {
    pairs
        .iter()
        .filter(|pair| pair.path.ends_with(".rs") && !is_test(&pair.path))
        .filter_map(|pair| {
            let text = splice::splice(&pair.text_before()?, &pair.text_after()?)?;
            Some(Overlaid::file(pair.path_before(), text))
        })
        .collect()
}

/// How the tests are run: as the gate's settings say, as the gate `tests` is told, or as it detects.
fn commands(context: &GateContext<'_>, settings: Settings) -> Result<Vec<TestCommand>, String> {
    let told = context.rules.tests.as_ref();
    let seconds =
        settings.timeout_seconds.or_else(|| told.map(|told| told.timeout_seconds)).unwrap_or(1800);
    let directory = settings.directory.or_else(|| told.map(|told| told.directory.clone()));
    if let Some(command) = settings.command.or_else(|| told.map(|told| told.command.clone())) {
        return Ok(vec![TestCommand {
            command,
            directory: directory.unwrap_or_else(WorkPath::root),
            timeout_ms: seconds.saturating_mul(1000),
            because: String::new(),
        }]);
    }
    // the base's own way first, as for the gate `tests`
    let found = match (detect(context.base.files()), detect(context.head.files())) {
        (Detection::Found(commands), _) | (Detection::Nothing, Detection::Found(commands)) => {
            commands
        }
        (Detection::Nothing | Detection::TooMany { .. }, _) => {
            return Err(
                "how the new tests are run: name the command in `.bailiwick/gates.toml` on \
                        the protected branch, as `[tests]` with `command = \"...\"`"
                    .to_owned(),
            );
        }
    };
    Ok(found.into_iter().map(verbose).collect())
}

/// The same command, telling which tests pass.
fn verbose(mut command: TestCommand) -> TestCommand {
    if command.command == "python3 -m pytest" {
        command.command.push_str(" -v");
    }
    command
}

async fn run(
    checkout: &Checkout,
    command: &TestCommand,
    evidence: &mut Vec<Evidence>,
) -> Result<RunResult, CommandRefusal> {
    let result = checkout.run(&command.command, &command.directory, command.timeout_ms).await?;
    let read = RunResult::new(&result);
    let counts = read.output.counts;
    evidence.push(checkout.evidence("new tests on the base", &command.command, &result, counts));
    Ok(read)
}
