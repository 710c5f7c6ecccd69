//! Gates `dependencies` and `slopsquat`: what a change does to what the project depends on.
//!
//! Everything they know is in `bailiwick-deps`; here its findings become those of gates.

use crate::content_gate::{ContentGate, Hit, Input, Inspected, Tree};
use crate::registry::Sources;
use crate::rule::{Effect, Rule};
use bailiwick_deps::{
    Decides, Ecosystem, FileKind, Files, Inputs, PackageIndex, Policy, Report, Topic, check,
    sbom_changes,
};
use bailiwick_model::evidence::Severity;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Where both gates have their settings.
const SETTINGS: &str = "dependencies";
/// How many files are read by one process.
const AT_ONCE: usize = 64;
/// The rule that tells what changed.
const CHANGED: &str = "dependencies/changed";

/// Manifests and lock files: tampering, sources, advisories, licences.
#[derive(Debug, Clone, Default)]
pub struct DependenciesGate {
    sources: Sources,
}

/// Names of added packages: do they exist, how old, how used, near which known name.
#[derive(Debug, Clone, Default)]
pub struct SlopsquatGate {
    sources: Sources,
}

impl DependenciesGate {
    /// The gate with its mirror of advisories.
    pub fn new(sources: Sources) -> Self {
        Self { sources }
    }
}

impl SlopsquatGate {
    /// The gate with its index of names.
    pub fn new(sources: Sources) -> Self {
        Self { sources }
    }
}

impl ContentGate for DependenciesGate {
    fn name(&self) -> &'static str {
        "dependencies"
    }

    fn purpose(&self) -> &'static str {
        "manifests and lock files: tampering, sources, known vulnerabilities, licences, install scripts"
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = rules_of(Topic::Dependencies);
        rules.push(Rule::informs(
            CHANGED,
            "a package was added, removed or changed",
            [
                "what a project depends on runs with all its rights",
                "nothing to do: it is told so that it is seen",
            ],
        ));
        rules
    }

    fn inspect(&self, input: &Input) -> Inspected {
        inspect(input, &self.sources, Topic::Dependencies, |report| {
            report
                .changes
                .iter()
                .map(|change| {
                    let anchor = format!("{} {:?}", change.name, change.after);
                    let text = sbom_changes(std::slice::from_ref(change));
                    Hit::in_file(CHANGED, &change.path, &anchor, text)
                })
                .collect()
        })
    }
}

impl ContentGate for SlopsquatGate {
    fn name(&self) -> &'static str {
        "slopsquat"
    }

    fn purpose(&self) -> &'static str {
        "names of added packages: whether they exist, how old and used they are, what they look like"
    }

    fn rules(&self) -> Vec<Rule> {
        rules_of(Topic::Names)
    }

    fn inspect(&self, input: &Input) -> Inspected {
        inspect(input, &self.sources, Topic::Names, |_| Vec::new())
    }
}

fn topic_of(rule: bailiwick_deps::Rule) -> Topic {
    if rule.is_about_names() { Topic::Names } else { Topic::Dependencies }
}

fn rules_of(topic: Topic) -> Vec<Rule> {
    bailiwick_deps::Rule::ALL
        .into_iter()
        .filter(|rule| topic_of(*rule) == topic)
        .map(|rule| {
            let text = rule.text();
            let (gate, name) = text.id.split_once('/').unwrap_or(("", text.id));
            let about = if gate == "slopsquat" { "added name: " } else { "" };
            Rule {
                id: Cow::Borrowed(text.id),
                title: Cow::Owned(format!("{about}{}", name.replace('-', " "))),
                severity: match text.severity {
                    bailiwick_deps::Severity::Low => Severity::Low,
                    bailiwick_deps::Severity::Medium => Severity::Medium,
                    bailiwick_deps::Severity::High => Severity::High,
                    bailiwick_deps::Severity::Critical => Severity::Critical,
                },
                cwe: Some(u32::from(text.cwe)),
                effect: match text.decides {
                    Decides::Block => Effect::Blocks,
                    Decides::Ask => Effect::AsksPerson,
                },
                why: Cow::Borrowed(text.why),
                fix: Cow::Borrowed(text.fix),
            }
        })
        .collect()
}

fn inspect(
    input: &Input,
    sources: &Sources,
    topic: Topic,
    told: impl Fn(&Report) -> Vec<Hit>,
) -> Inspected {
    let mut inspected = Inspected::default();
    let policy: Result<Policy, String> = input
        .settings
        .of::<Policy>(SETTINGS)
        .and_then(|policy| policy.checked().map_err(|error| error.to_string()));
    let (policy, (base, head)) = match (policy, files(input)) {
        (Ok(policy), Ok(Some(files))) => (policy, files),
        (Ok(_), Ok(None)) => {
            "no manifest and no lock file".clone_into(&mut inspected.looked_at);
            return inspected;
        }
        (Err(reason), _) | (_, Err(reason)) => {
            inspected.doubts.push(reason);
            return inspected;
        }
    };
    let report = check(&Inputs {
        base: &base,
        head: &head,
        policy: &policy,
        advisories: sources.advisories.as_deref(),
        index: sources.index.as_deref().map(|index| index as &dyn PackageIndex),
        now: input.now,
        off: &BTreeSet::new(),
    });
    for found in report.findings.iter().filter(|found| topic_of(found.rule) == topic) {
        inspected.hits.push(Hit {
            rule: Cow::Borrowed(found.rule.text().id),
            message: found.message.clone(),
            path: Some(found.path.clone()),
            line: found.line,
            anchor: found.subject.clone(),
            fingerprint: None,
        });
    }
    inspected.hits.extend(told(&report));
    let about = |all: &[(Topic, String)]| -> Vec<String> {
        all.iter().filter(|(one, _)| *one == topic).map(|(_, text)| text.clone()).collect()
    };
    inspected.doubts.extend(about(&report.inconclusive));
    let mut looked_at = vec![format!("{} changed packages", report.changes.len())];
    looked_at.extend(about(&report.notes));
    inspected.looked_at = looked_at.join("; ");
    inspected
}

/// The files of both sides that speak of dependencies, of the ecosystems that the change touches;
/// none if it touches none.
fn files(input: &Input) -> Result<Option<(Files, Files)>, String> {
    let mut touched: BTreeSet<Ecosystem> = BTreeSet::new();
    let mut before: BTreeMap<&str, Option<&[u8]>> = BTreeMap::new();
    let mut after: BTreeMap<&str, Option<&[u8]>> = BTreeMap::new();
    for pair in &input.change.pairs {
        for (path, gone, content, side) in [
            (pair.path_before(), pair.is_new(), &pair.before, &mut before),
            (pair.path.as_str(), pair.is_gone(), &pair.after, &mut after),
        ] {
            if let Some(kind) = FileKind::of(path).filter(|_| !gone) {
                touched.insert(kind.ecosystem());
                side.insert(path, content.as_deref());
            }
        }
    }
    if touched.is_empty() {
        return Ok(None);
    }
    let base = side(input, input.base.as_ref(), &touched, &before)?;
    let head = side(input, input.head.as_ref(), &touched, &after)?;
    Ok(Some((base, head)))
}

fn side(
    input: &Input,
    tree: &dyn Tree,
    touched: &BTreeSet<Ecosystem>,
    known: &BTreeMap<&str, Option<&[u8]>>,
) -> Result<Files, String> {
    let mut files = Files::new();
    let mut wanted = Vec::new();
    for path in tree.paths()? {
        if !FileKind::of(&path).is_some_and(|kind| touched.contains(&kind.ecosystem())) {
            continue;
        }
        match known.get(path.as_str()) {
            Some(Some(content)) => {
                files.insert(path, content.to_vec());
            }
            // a link, a submodule, or more than is read
            Some(None) => return Err(format!("`{path}` is no file that can be read")),
            None => wanted.push(path),
        }
    }
    for some in wanted.chunks(AT_ONCE) {
        if input.is_late() {
            return Err("the time was up before all manifests and lock files were read".to_owned());
        }
        match tree.read_many(some) {
            Ok(contents) => files.extend(contents),
            // what is too much together is read one by one
            Err(_) => {
                for path in some {
                    let content = tree.read(path)?;
                    files.extend(content.map(|content| (path.clone(), content)));
                }
            }
        }
    }
    // a link where a lock file should be is in no list of files
    if let Some(path) = known.keys().find(|path| !files.contains_key(**path)) {
        return Err(format!("`{path}` is no regular file"));
    }
    Ok(files)
}
