//! Gate `analysers`: what external tools that speak SARIF find in the change and not in its base.
//!
//! Which tools run, how, and what their findings mean is said by the organisation or the protected
//! branch. A change's own settings of a tool are taken away before it runs, and what its source says
//! about not being reported is not listened to. A tool that hangs, fails, prints something else or
//! too much has shown nothing: inconclusive, which blocks.

mod compare;
mod settings;

pub use settings::{Analyser, BadAnalyser};

use crate::checkout::{Checkout, CommandRefusal, Meaning, Reported};
use crate::content_gate::{Hit, Inspected, conclude};
use crate::gate::{Gate, GateContext, switched_off};
use crate::rule::{Effect, Rule};
use crate::sarif::read::{SarifLog, SarifRule, read};
use crate::workbench::{Keeps, Overlaid, Side, side_of};
use async_trait::async_trait;
use bailiwick_model::evidence::{Evidence, GateReport, Level, Severity};
use bailiwick_model::id::Oid;
use bailiwick_model::path::WorkPath;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Where a checkout lies inside a cage.
const ROOT: &str = "/workspace";

/// Who says which tools run.
#[derive(Debug, Clone)]
enum Said {
    /// `[[settings.analysers.tool]]` on the protected branch.
    ByRepository,
    /// The organisation; no repository can switch these off.
    ByOrganisation(Vec<Analyser>),
}

/// Runs external tools that speak SARIF on base and head.
#[derive(Debug, Clone)]
pub struct AnalysersGate {
    said: Said,
}

impl AnalysersGate {
    /// The tools that the protected branch names.
    pub fn of_repository() -> Self {
        Self { said: Said::ByRepository }
    }

    /// The tools of the organisation.
    pub fn of_organisation(tools: Vec<Analyser>) -> Self {
        Self { said: Said::ByOrganisation(tools) }
    }

    fn tools(&self, context: &GateContext<'_>) -> Result<Vec<Analyser>, String> {
        match &self.said {
            Said::ByOrganisation(tools) => Ok(tools.clone()),
            Said::ByRepository => settings::of_repository(&context.rules.gates),
        }
    }
}

/// What the tools said so far.
#[derive(Default)]
struct Gathered {
    inspected: Inspected,
    rules: BTreeMap<String, Rule>,
    evidence: Vec<Evidence>,
    ran: Vec<String>,
}

#[async_trait]
impl Gate for AnalysersGate {
    fn name(&self) -> &'static str {
        match self.said {
            Said::ByRepository => "analysers",
            Said::ByOrganisation(_) => "organisation-analysers",
        }
    }

    fn purpose(&self) -> &'static str {
        match self.said {
            Said::ByRepository => {
                "external tools that speak SARIF, as the protected branch names them, before and after"
            }
            Said::ByOrganisation(_) => {
                "external tools that speak SARIF, as the organisation names them, before and after"
            }
        }
    }

    async fn run(&self, context: &GateContext<'_>) -> GateReport {
        let mut settings = context.rules.gates.clone();
        match self.said {
            Said::ByRepository => {
                if let Some(report) = switched_off(self, context) {
                    return report;
                }
            }
            Said::ByOrganisation(_) => settings.off.clear(),
        }
        let mut gathered = Gathered::default();
        match self.tools(context) {
            Err(reason) => gathered.inspected.doubts.push(reason),
            Ok(tools) => {
                for tool in &tools {
                    self.run_tool(tool, context, &mut gathered).await;
                }
                gathered.inspected.looked_at = if tools.is_empty() {
                    "nothing: no tool is named".to_owned()
                } else {
                    gathered.ran.join(", ")
                };
            }
        }
        let Gathered { inspected, rules, evidence, .. } = gathered;
        let rules = rules.into_values().collect();
        conclude(self.name(), rules, inspected, evidence, (&settings, context.now))
    }
}

impl AnalysersGate {
    async fn run_tool(&self, tool: &Analyser, context: &GateContext<'_>, into: &mut Gathered) {
        let mut doubt = |reason: String| {
            into.inspected.doubts.push(format!("what `{}` finds: {reason}", tool.name));
        };
        // both sides with the settings of the base, and nothing of the change's own
        let files: Vec<Overlaid> =
            side_of(context.change, Side::Before, |path| tool.is_set_by(path))
                .into_iter()
                .chain(tool.own_files())
                .collect();
        let base = context.base.commit().clone();
        let head = context.head.commit().clone();
        let before = one_side(tool, context, &base, tool.own_files()).await;
        let after = one_side(tool, context, &head, files).await;
        let mut logs = Vec::new();
        for (name, side) in [("before", before), ("after", after)] {
            match side {
                Ok((checkout, reported)) => {
                    let shown = format!("{} {name}", tool.name);
                    into.evidence.push(checkout.evidence(
                        &shown,
                        &tool.command,
                        &reported.result,
                        None,
                    ));
                    match log_of(tool, &reported) {
                        Ok(log) => logs.push(log),
                        // on the base alone nothing can be compared either
                        Err(reason) => return doubt(format!("{name} the change, {reason}")),
                    }
                }
                Err(refusal) => return doubt(format!("{name} the change, {refusal}")),
            }
        }
        let [before, after] = logs.as_slice() else {
            return doubt("it did not run twice".to_owned());
        };
        let known: BTreeSet<&String> = before.doubts.iter().collect();
        for new in after.doubts.iter().filter(|one| !known.contains(one)) {
            doubt(new.clone());
        }
        into.ran.extend(after.tools.iter().cloned());
        for result in compare::new_results(context.change, before, after) {
            let id = rule_id(self.name(), tool, &result.rule);
            let said = after.rules.get(&result.rule);
            let rule = rule(id.clone(), tool, said, result.level);
            let known = into.rules.entry(id.clone()).or_insert_with(|| rule.clone());
            // a tool can give two results of one rule different levels: the stricter holds for both
            if rule.effect > known.effect {
                *known = rule;
            }
            let suppressed =
                if result.suppressed { " (the source asks not to report it)" } else { "" };
            into.inspected.hits.push(Hit {
                rule: Cow::Owned(id),
                message: format!(
                    "{}: {}{suppressed}",
                    tool.name,
                    bailiwick_scan::redact(&result.message).text
                ),
                anchor: compare::anchor(context.change, result),
                path: result.path.clone(),
                line: result.line,
                fingerprint: None,
            });
        }
    }
}

async fn one_side(
    tool: &Analyser,
    context: &GateContext<'_>,
    commit: &Oid,
    files: Vec<Overlaid>,
) -> Result<(Checkout, Reported), CommandRefusal> {
    let checkout = context.bench.compose("gate-analyser", commit, files, Keeps::Reports).await?;
    let timeout_ms = tool.timeout_seconds.saturating_mul(1000);
    let reported = checkout
        .run_for_report(&tool.command, &WorkPath::root(), tool.report.as_ref(), timeout_ms)
        .await?;
    Ok((checkout, reported))
}

/// The log that a run made, or why it shows nothing.
fn log_of(tool: &Analyser, reported: &Reported) -> Result<SarifLog, String> {
    let code = match reported.result.meaning() {
        Meaning::Succeeded => 0,
        Meaning::Failed { code } => code,
        Meaning::Nothing { reason } => return Err(reason),
    };
    let text = reported.report.as_ref().map_err(Clone::clone)?;
    if !tool.exit_codes.contains(&code) {
        return Err(format!("it ended with exit code {code}: {}", first_line(text)));
    }
    read(text, ROOT).map_err(|error| format!("{error}: {}", first_line(text)))
}

fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("(nothing)");
    line.trim().chars().filter(|c| !c.is_control()).take(120).collect()
}

/// `GATE/TOOL/RULE`; a tool's own names may hold anything.
fn rule_id(gate: &str, tool: &Analyser, rule: &str) -> String {
    let plain: String = rule
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-_/@".contains(c) { c } else { '-' })
        .take(160)
        .collect();
    format!("{gate}/{}/{plain}", tool.name)
}

fn rule(id: String, tool: &Analyser, said: Option<&SarifRule>, level: Level) -> Rule {
    let or = |text: Option<&String>, usual: String| {
        Cow::Owned(text.filter(|text| !text.is_empty()).cloned().unwrap_or(usual))
    };
    let title: Cow<'static, str> =
        or(said.map(|said| &said.title), format!("finding of {}", tool.name));
    Rule {
        id: Cow::Owned(id),
        severity: said.and_then(|said| said.severity).unwrap_or(match level {
            Level::Note => Severity::Low,
            Level::Warning => Severity::Medium,
            Level::Error => Severity::High,
        }),
        cwe: said.and_then(|said| said.cwe),
        effect: if tool.blocks.is_some_and(|from| level >= from.level()) {
            Effect::Blocks
        } else if tool.asks.is_some_and(|from| level >= from.level()) {
            Effect::AsksPerson
        } else {
            Effect::Informs
        },
        why: or(said.map(|said| &said.why), title.clone().into_owned()),
        fix: or(said.map(|said| &said.fix), format!("see what {} says of its rule", tool.name)),
        title,
    }
}
