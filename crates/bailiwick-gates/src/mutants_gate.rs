//! Gate `mutants`: tests notice when a changed line is wrong.
//!
//! Only where the protected branch asks for it: each mutant is a run of the tests. A sample of small
//! changes of meaning on the lines of the change is made, always the same for the same change; each
//! is run on its own. One that the tests let live asks a person, since it may mean the same.

use crate::change::Change;
use crate::checkout::{Checkout, Meaning, quoted};
use crate::content_gate::{FilePair, Hit, Inspected, conclude};
use crate::gate::{Gate, GateContext, switched_off};
use crate::path_class::{PathClass, classify};
use crate::rule::Rule;
use crate::runner::TestOutput;
use crate::tests_gate::detect::{Detection, detect};
use crate::tests_gate::judge::{RunResult, Said, said};
use crate::workbench::{Keeps, Overlaid};
use async_trait::async_trait;
use bailiwick_model::evidence::{Evidence, GateReport, Severity};
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::Digest;
use bailiwick_sast::{Mutant, mutants};
use serde::Deserialize;

const SURVIVED: &str = "mutants/survived";
/// Where the mutants lie in a checkout.
const FOLDER: &str = ".bailiwick-mutants";
/// Most mutants that a repository can ask for.
const MOST_SAMPLED: usize = 200;

/// Runs the tests on mutants of changed lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct MutantsGate;

/// `[settings.mutants]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// How many mutants are run at most; none when 0.
    sample: usize,
    /// The command line of the tests; that of the gate `tests` when absent.
    command: Option<String>,
    /// Where it is run.
    directory: Option<WorkPath>,
    /// For how many seconds a mutant is run at most.
    timeout_seconds: u64,
    /// For how many seconds mutants are begun at most.
    total_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sample: 0, command: None, directory: None, timeout_seconds: 300, total_seconds: 900 }
    }
}

#[async_trait]
impl Gate for MutantsGate {
    fn name(&self) -> &'static str {
        "mutants"
    }

    fn purpose(&self) -> &'static str {
        "small errors put into changed lines, which tests must notice; where the protected branch asks for it"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule::asks(
            SURVIVED,
            "changed line that could be wrong without a test noticing",
            Severity::Low,
            Some(1164),
            [
                "the tests run it and do not look at what it does",
                "assert what the line decides; or see that both mean the same",
            ],
        )]
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

/// A mutant of a file of the change.
struct Placed<'a> {
    pair: &'a FilePair,
    mutant: Mutant,
    text: String,
}

async fn inspect(
    context: &GateContext<'_>,
    settings: &Settings,
    evidence: &mut Vec<Evidence>,
) -> Inspected {
    let mut inspected = Inspected::default();
    if settings.sample == 0 {
        inspected.looked_at = "nothing: no sample is asked for".to_owned();
        return inspected;
    }
    if settings.sample > MOST_SAMPLED
        || settings.timeout_seconds == 0
        || settings.total_seconds == 0
    {
        inspected.doubts.push(format!(
            "`[settings.mutants]`: `sample` is 0 to {MOST_SAMPLED}, the times are at least 1"
        ));
        return inspected;
    }
    let (all, doubts) = candidates(context.change);
    inspected.doubts = doubts;
    let found = all.len();
    let chosen = sample(all, settings.sample);
    if chosen.is_empty() {
        inspected.looked_at = "nothing: the changed lines have nothing to exchange".to_owned();
        return inspected;
    }
    let Some((command, directory)) = command(context, settings) else {
        inspected.doubts.push(
            "the mutants: no one test command is known; name it as `[tests]` with `command = \"...\"` in \
             `.bailiwick/gates.toml` on the protected branch"
                .to_owned(),
        );
        return inspected;
    };
    let composed = context
        .bench
        .compose("gate-mutants", context.head.commit(), files(&chosen), Keeps::Usual)
        .await;
    let checkout = match composed {
        Ok(checkout) => checkout,
        Err(refusal) => {
            inspected.doubts.push(format!("the mutants: {refusal}"));
            return inspected;
        }
    };
    let bench = Bench { checkout: &checkout, command: &command, directory: &directory, settings };
    run_all(&bench, &chosen, found, evidence, &mut inspected).await;
    inspected
}

/// Every mutant of the change's lines, and what could not be read.
fn candidates(change: &Change) -> (Vec<Placed<'_>>, Vec<String>) {
    let (mut all, mut doubts) = (Vec::new(), Vec::new());
    for pair in &change.pairs {
        let classes = classify(&pair.path);
        let Some(after) = pair.after.as_ref().filter(|_| classes.contains(&PathClass::Source))
        else {
            continue;
        };
        match mutants(&pair.path, after, |line| pair.adds_line(line)) {
            Ok(found) => {
                let source = pair.text_after().unwrap_or_default();
                all.extend(found.into_iter().filter_map(|mutant| {
                    let text = mutant.apply(&source)?;
                    Some(Placed { pair, mutant, text })
                }));
            }
            Err(reason) => doubts.push(format!("mutants of `{}`: {reason}", pair.path)),
        }
    }
    (all, doubts)
}

/// Always the same ones for the same change, spread over it, and those of one line one after
/// another rather than all at once.
fn sample(all: Vec<Placed<'_>>, wanted: usize) -> Vec<Placed<'_>> {
    let mut seen: std::collections::BTreeMap<(String, u32), u32> =
        std::collections::BTreeMap::new();
    let mut ordered: Vec<(u32, Digest, Placed<'_>)> = all
        .into_iter()
        .map(|placed| {
            let nth = seen.entry((placed.pair.path.clone(), placed.mutant.line)).or_default();
            *nth += 1;
            let key = format!("{}\0{}\0{}", placed.pair.path, placed.mutant.at, placed.mutant.new);
            (*nth, Digest::of(key.as_bytes()), placed)
        })
        .collect();
    ordered.sort_by_key(|(nth, digest, _)| (*nth, digest.to_string()));
    ordered.into_iter().take(wanted).map(|(_, _, placed)| placed).collect()
}

fn command(context: &GateContext<'_>, settings: &Settings) -> Option<(String, WorkPath)> {
    let told = context.rules.tests.as_ref();
    let directory = settings.directory.clone().or_else(|| told.map(|told| told.directory.clone()));
    let command = settings.command.clone().or_else(|| told.map(|told| told.command.clone()));
    if let Some(command) = command {
        return Some((command, directory.unwrap_or_else(WorkPath::root)));
    }
    let found = match (detect(context.base.files()), detect(context.head.files())) {
        (Detection::Found(found), _) | (Detection::Nothing, Detection::Found(found)) => found,
        (Detection::Nothing | Detection::TooMany { .. }, _) => return None,
    };
    match <[_; 1]>::try_from(found) {
        Ok([only]) => Some((only.command, only.directory)),
        Err(_) => None,
    }
}

/// Each mutant's file as `N`, and as it was as `N.original`.
fn files(chosen: &[Placed<'_>]) -> Vec<Overlaid> {
    (0_usize..)
        .zip(chosen)
        .flat_map(|(number, placed)| {
            let original =
                placed.pair.after.as_ref().map(|bytes| bytes.to_vec()).unwrap_or_default();
            [
                Overlaid::file(format!("{FOLDER}/{number}"), placed.text.clone()),
                Overlaid::file(format!("{FOLDER}/{number}.original"), original),
            ]
        })
        .collect()
}

struct Bench<'a> {
    checkout: &'a Checkout,
    command: &'a str,
    directory: &'a WorkPath,
    settings: &'a Settings,
}

/// What became of a mutant.
enum Fate {
    Killed,
    Survived,
    NoProgram,
}

async fn run_all(
    bench: &Bench<'_>,
    chosen: &[Placed<'_>],
    found: usize,
    evidence: &mut Vec<Evidence>,
    inspected: &mut Inspected,
) {
    // without a mutant the tests must pass, or their failing would say nothing
    match bench.run("", "tests without a mutant", evidence).await {
        Ok((Said::Passed, _)) => {}
        Ok((Said::Failed { code }, _)) => {
            let reason = format!("the mutants: the tests fail without one, with exit code {code}");
            return inspected.doubts.push(reason);
        }
        Ok((Said::Nothing { reason }, _)) | Err(reason) => {
            return inspected.doubts.push(format!("the mutants: {reason}"));
        }
    }
    let (mut killed, mut no_program, mut not_begun) = (0_usize, 0_usize, 0_usize);
    let mut spent_ms = 0_u64;
    let mut restore = String::new();
    for (number, placed) in (0_usize..).zip(chosen) {
        if spent_ms > bench.settings.total_seconds.saturating_mul(1000) {
            not_begun += 1;
            continue;
        }
        let path = quoted(&placed.pair.path);
        let change = format!("{restore}cp -- {FOLDER}/{number} {path} || exit 126\n");
        restore = format!("cp -- {FOLDER}/{number}.original {path} || exit 126\n");
        let fate = match bench.run(&change, &shown(placed), evidence).await {
            Ok((said, duration_ms)) => {
                spent_ms = spent_ms.saturating_add(duration_ms);
                bench.fate(&said, evidence)
            }
            Err(reason) => Err(reason),
        };
        match fate {
            Ok(Fate::Killed) => killed += 1,
            Ok(Fate::NoProgram) => no_program += 1,
            Ok(Fate::Survived) => inspected.hits.push(survivor(placed)),
            Err(reason) => {
                return inspected.doubts.push(format!("the mutant {}: {reason}", shown(placed)));
            }
        }
    }
    let ran = chosen.len() - not_begun - no_program;
    inspected.looked_at = format!("{ran} of {found} mutants, {killed} of them noticed");
    if no_program > 0 {
        inspected.looked_at.push_str(&format!("; {no_program} did not build"));
    }
    if not_begun > 0 {
        inspected.looked_at.push_str(&format!("; {not_begun} not begun, since the time was up"));
    }
}

impl Bench<'_> {
    /// Runs the tests after `change`, a piece of shell text.
    async fn run(
        &self,
        change: &str,
        name: &str,
        evidence: &mut Vec<Evidence>,
    ) -> Result<(Said, u64), String> {
        let directory = quoted(self.directory.as_str());
        // Python tells a compiled file from another by the second and the size
        let text = format!(
            "{change}cd -- {directory} || exit 126\nexport PYTHONDONTWRITEBYTECODE=1\n( {}\n)",
            self.command
        );
        let timeout_ms = self.settings.timeout_seconds.saturating_mul(1000);
        let result = self
            .checkout
            .run(&text, &WorkPath::root(), timeout_ms)
            .await
            .map_err(|refusal| refusal.to_string())?;
        let read = RunResult::new(&result);
        evidence.push(self.checkout.evidence(name, &text, &result, read.output.counts));
        // a mutant that does not end has been noticed
        if read.ran_out_of_time() && !change.is_empty() {
            return Ok((Said::Failed { code: 124 }, result.duration_ms));
        }
        if let Meaning::Nothing { reason } = result.meaning() {
            return Err(reason);
        }
        Ok((said(&Ok(read)), result.duration_ms))
    }

    /// What the run that was recorded last says of its mutant.
    fn fate(&self, said: &Said, evidence: &[Evidence]) -> Result<Fate, String> {
        match said {
            Said::Passed => Ok(Fate::Survived),
            Said::Nothing { reason } => Err(reason.clone()),
            Said::Failed { .. } => {
                let log = evidence.last().and_then(|run| run.log.text()).unwrap_or_default();
                Ok(if builds(&log) { Fate::Killed } else { Fate::NoProgram })
            }
        }
    }
}

/// Whether a failed run is one of tests, and not of a compiler.
fn builds(log: &str) -> bool {
    let output = TestOutput::parse(log);
    let ran = !output.failed.is_empty() || output.counts.is_some_and(|counts| counts.failed > 0);
    let compiler =
        ["error: could not compile", "[build failed]", "COMPILATION ERROR", "SyntaxError"];
    ran || !compiler.iter().any(|sign| log.contains(sign))
}

fn shown(placed: &Placed<'_>) -> String {
    let new = if placed.mutant.new.is_empty() { "nothing" } else { placed.mutant.new.as_str() };
    format!(
        "`{}` → `{new}` in `{}`, line {}",
        placed.mutant.old, placed.pair.path, placed.mutant.line
    )
}

fn survivor(placed: &Placed<'_>) -> Hit {
    let source = placed.pair.text_after().unwrap_or_default();
    let at = usize::try_from(placed.mutant.line).unwrap_or(usize::MAX).saturating_sub(1);
    let line = source.lines().nth(at).unwrap_or_default();
    let message = format!("no test notices {}", shown(placed));
    let mut hit = Hit::at(SURVIVED, &placed.pair.path, placed.mutant.line, line, message);
    hit.anchor = format!("{} {}→{}", hit.anchor, placed.mutant.old, placed.mutant.new);
    hit
}
