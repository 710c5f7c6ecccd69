//! Gate `sast`: the change brings no new weakness into source files.

use crate::content_gate::{ContentGate, FilePair, Hit, Input, Inspected, Tree, only_new};
use crate::rule::{Effect, Rule};
use bailiwick_model::evidence;
use bailiwick_sast::{Confidence, Finding, Language, Scan, Scanner, Severity, Sources, Unread};
use std::borrow::Cow;
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
        let mut files = 0_usize;
        for pair in &input.change.pairs {
            if Language::of_path(&pair.path).is_none() {
                continue;
            }
            if input.is_late() {
                inspected.doubts.push("the time was up before all files were read".to_owned());
                break;
            }
            files += 1;
            inspect_file(scanner, input, pair, &mut inspected);
        }
        inspected.doubts.extend(input.change.unread.iter().cloned());
        inspected.looked_at = format!("{files} source file{}", if files == 1 { "" } else { "s" });
        inspected
    }
}

fn inspect_file(scanner: &Scanner, input: &Input, pair: &FilePair, inspected: &mut Inspected) {
    let Some(after) = &pair.after else { return };
    let head = scanner.scan_among(&pair.path, after, &TreeSources(&*input.head));
    if let Some(reason) = head.unread {
        inspected.doubts.push(format!("`{}`: {}", pair.path, explained(reason)));
    }
    if head.findings.is_empty() {
        return;
    }
    // the side before is followed into the files of the base: what a changed function of another
    // file lets through now is new in the file that calls it
    let base = pair
        .before
        .as_ref()
        .map(|before| scanner.scan_among(pair.path_before(), before, &TreeSources(&*input.base)))
        .unwrap_or_default();
    inspected
        .hits
        .extend(only_new(&hits(scanner, &pair.path, &base), hits(scanner, &pair.path, &head)));
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
