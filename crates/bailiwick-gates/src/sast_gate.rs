//! Gate `sast`: the change brings no new weakness into source files.

use crate::content_gate::{ContentGate, FilePair, Hit, Input, Inspected, Tree, only_new};
use crate::rule::{Effect, Rule};
use bailiwick_model::evidence;
use bailiwick_sast::{Confidence, Finding, Language, Scan, Scanner, Severity, Sources, Unread};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::LazyLock;

/// The bundled rules, made ready once. That they can be is what `bailiwick-sast`'s tests show.
static SCANNER: LazyLock<Result<Scanner, String>> =
    LazyLock::new(|| Scanner::bundled().map_err(|error| error.to_string()));

/// Scans both sides of each touched source file, each among the files of its own tree, and keeps
/// what the side before did not have.
#[derive(Debug, Clone, Copy, Default)]
pub struct SastGate;

impl ContentGate for SastGate {
    fn name(&self) -> &'static str {
        "sast"
    }

    fn purpose(&self) -> &'static str {
        "weaknesses in touched source files: injection, broken cryptography, missing protection"
    }

    fn rules(&self) -> Vec<Rule> {
        let rules = SCANNER.as_ref().map(Scanner::rules).unwrap_or_default();
        rules
            .iter()
            .map(|rule| Rule {
                id: Cow::Owned(format!("sast/{}", rule.id)),
                title: Cow::Borrowed(rule.title.as_str()),
                severity: match rule.severity {
                    Severity::Low => evidence::Severity::Low,
                    Severity::Medium => evidence::Severity::Medium,
                    Severity::High => evidence::Severity::High,
                    Severity::Critical => evidence::Severity::Critical,
                },
                cwe: Some(rule.cwe),
                effect: match rule.confidence {
                    Confidence::Deterministic => Effect::Blocks,
                    Confidence::Heuristic => Effect::AsksPerson,
                },
                why: Cow::Borrowed(rule.why.as_str()),
                fix: Cow::Borrowed(rule.fix.as_str()),
            })
            .collect()
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let mut inspected = Inspected::default();
        let scanner = match &*SCANNER {
            Ok(scanner) => scanner,
            Err(reason) => {
                inspected.doubts.push(format!("the rules can't be used: {reason}"));
                return inspected;
            }
        };
        // files of one tree together: what many of them import is read once
        let heads: Vec<Side<'_>> = sources(input)
            .filter_map(|pair| Some((pair, pair.path.as_str(), pair.after.as_deref()?)))
            .collect();
        let heads = scan(scanner, input, &heads, &*input.head, &mut inspected);
        // the side before is followed into the files of the base: what a changed function of another
        // file lets through now is new in the file that calls it
        let bases: Vec<Side<'_>> = heads
            .iter()
            .filter(|(_, scan)| !scan.findings.is_empty())
            .filter_map(|(pair, _)| Some((*pair, pair.path_before(), pair.before.as_deref()?)))
            .collect();
        let bases = scan(scanner, input, &bases, &*input.base, &mut inspected);
        for (pair, head) in &heads {
            if let Some(reason) = head.unread {
                inspected.doubts.push(format!("`{}`: {}", pair.path, explained(reason)));
            }
            let base = bases.iter().find(|(other, _)| std::ptr::eq(*other, *pair));
            let base = base.map(|(_, scan)| hits(scanner, &pair.path, scan)).unwrap_or_default();
            inspected.hits.extend(only_new(&base, hits(scanner, &pair.path, head)));
        }
        let files = sources(input).count();
        inspected.doubts.extend(input.change.unread.iter().cloned());
        inspected.looked_at = format!("{files} source file{}", if files == 1 { "" } else { "s" });
        inspected
    }
}

/// A touched file with the path and the content of one side.
type Side<'a> = (&'a FilePair, &'a str, &'a [u8]);

fn sources(input: &Input) -> impl Iterator<Item = &FilePair> {
    input.change.pairs.iter().filter(|pair| Language::of_path(&pair.path).is_some())
}

/// Scans files of one side; a doubt if the time was up before.
fn scan<'a>(
    scanner: &Scanner,
    input: &Input,
    sides: &[Side<'a>],
    tree: &dyn Tree,
    inspected: &mut Inspected,
) -> Vec<(&'a FilePair, Scan)> {
    let mut scans = Vec::with_capacity(sides.len());
    let mut pairs = sides.iter().map(|(pair, ..)| *pair);
    let files = sides.iter().map(|(_, path, bytes)| (*path, *bytes));
    scanner.scan_each(files, &TreeSources(tree), |_, scan| {
        scans.extend(pairs.next().map(|pair| (pair, scan)));
        if input.is_late() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if scans.len() < sides.len() {
        inspected.doubts.push("the time was up before all files were read".to_owned());
    }
    scans
}

fn hits(scanner: &Scanner, path: &str, scan: &Scan) -> Vec<Hit> {
    scan.findings.iter().map(|finding| hit(scanner, path, finding)).collect()
}

fn hit(scanner: &Scanner, path: &str, finding: &Finding) -> Hit {
    let title = scanner.rule(&finding.rule).map_or("weakness", |rule| rule.title.as_str());
    let origin = match finding.from_line {
        Some(line) if line != finding.line => format!(", which comes in on line {line}"),
        Some(_) | None => String::new(),
    };
    let excerpt = bailiwick_scan::redact(&finding.excerpt).text;
    Hit {
        rule: Cow::Owned(format!("sast/{}", finding.rule)),
        message: format!("{title}{origin}: `{excerpt}`"),
        path: Some(path.to_owned()),
        line: Some(finding.line),
        anchor: finding.excerpt.split_whitespace().collect::<Vec<_>>().join(" "),
        fingerprint: None,
    }
}

fn explained(reason: Unread) -> String {
    let hint = match reason {
        Unread::TooLarge | Unread::Minified => {
            "; keep generated files out of the repository, or accept the change by a person"
        }
        Unread::NotText => "; store it in UTF-8",
        Unread::ParseBudget | Unread::TooDeep | Unread::AnalysisBudget => {
            "; split the file or the function"
        }
        Unread::Unparsable => "; check the name's ending and the syntax",
        Unread::Failed => "; report this as a defect",
    };
    format!("{reason}{hint}")
}

/// A tree as the source of the files that a file imports.
struct TreeSources<'a>(&'a dyn Tree);

impl Sources for TreeSources<'_> {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        // a file that can't be read is followed no further; taint then goes through its calls
        self.0.read(path).ok().flatten()
    }
}
