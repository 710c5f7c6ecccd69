//! Measures the rules on a labelled corpus.
//!
//! `corpus DIR [NAME=LIST]... [--list fp|fn CATEGORY]`: `DIR` holds an `expectedresults*.csv` with a
//! line `name,category,true|false,cwe` for each test, and a source file for each name. Prints rates
//! for each category and for each half: even numbers were looked at while the rules were written,
//! odd ones were not. `LIST` holds another tool's findings, a line `path,cwe` for each.
//!
//! `corpus --speed DIR`: scans every source file below, without labels: bytes for each second of
//! processor time, findings by rule, and why files were not judged.
//!
//! `corpus --findings DIR`: every finding in the files below, a line for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_sast::{Finding, Language, Scanner, Sources};

/// Weaknesses that the labels and the rules number differently.
fn same_weakness(rule: u32, label: u32) -> bool {
    const KIN: &[&[u32]] = &[
        &[22, 23, 36, 73],
        &[78, 77, 88],
        &[79, 80],
        &[94, 95, 96],
        &[328, 327, 916],
        &[330, 338],
        &[614, 1004],
        &[643, 91],
        &[611, 776, 827],
    ];
    rule == label || KIN.iter().any(|kin| kin.contains(&rule) && kin.contains(&label))
}

struct Tree(HashMap<String, Vec<u8>>);

impl Sources for Tree {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).cloned()
    }
}

fn walk(root: &Path, directory: &Path, found: &mut HashMap<String, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_symlink() || path.ends_with(".git") || path.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if Language::of_path(&path.to_string_lossy()).is_some()
            && let (Ok(bytes), Ok(short)) = (std::fs::read(&path), path.strip_prefix(root))
        {
            found.insert(short.to_string_lossy().replace('\\', "/"), bytes);
        }
    }
}

#[derive(Default, Clone, Copy)]
struct Counts {
    hit: u32,
    missed: u32,
    alarm: u32,
    quiet: u32,
}

impl Counts {
    fn add(&mut self, bad: bool, found: bool) {
        match (bad, found) {
            (true, true) => self.hit += 1,
            (true, false) => self.missed += 1,
            (false, true) => self.alarm += 1,
            (false, false) => self.quiet += 1,
        }
    }

    fn row(&self, name: &str) -> String {
        let rate = |part: u32, other: u32| {
            if part + other == 0 { 0.0 } else { f64::from(part) / f64::from(part + other) }
        };
        let (tpr, fpr) = (rate(self.hit, self.missed), rate(self.alarm, self.quiet));
        format!(
            "{name:<18} {:>4}/{:<4} {:>4}/{:<4}  TPR {tpr:.3}  FPR {fpr:.3}  Youden {:.3}",
            self.hit,
            self.hit + self.missed,
            self.alarm,
            self.alarm + self.quiet,
            tpr - fpr
        )
    }

    fn youden(&self) -> (f64, f64) {
        let rate = |part: u32, other: u32| f64::from(part) / f64::from((part + other).max(1));
        (rate(self.hit, self.missed), rate(self.alarm, self.quiet))
    }
}

struct Label {
    name: String,
    category: String,
    bad: bool,
    cwe: u32,
}

#[expect(clippy::expect_used, reason = "a measurement ends at the first thing that is amiss")]
fn labels(corpus: &Path) -> Vec<Label> {
    let entries = std::fs::read_dir(corpus).expect("the corpus can be read");
    let file: PathBuf = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("expectedresults") && name.ends_with(".csv")
        })
        .expect("the corpus has an expectedresults*.csv");
    let text = std::fs::read_to_string(file).expect("the labels can be read");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split(',').map(str::trim);
            Some(Label {
                name: fields.next()?.to_owned(),
                category: fields.next()?.to_owned(),
                bad: fields.next()? == "true",
                cwe: fields.next()?.parse().ok()?,
            })
        })
        .collect()
}

#[expect(clippy::expect_used, reason = "a measurement ends at the first thing that is amiss")]
/// Findings as `file stem -> weaknesses`, from another tool's list of `path,cwe` lines.
fn from_list(path: &str) -> HashMap<String, BTreeSet<u32>> {
    let mut found: HashMap<String, BTreeSet<u32>> = HashMap::new();
    for line in std::fs::read_to_string(path).expect("the list can be read").lines() {
        if let Some((file, cwe)) = line.rsplit_once(',')
            && let Ok(cwe) = cwe.trim().parse()
        {
            found.entry(stem(file)).or_default().insert(cwe);
        }
    }
    found
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Processor time of this process so far, its ended threads included.
fn processor_time() -> Duration {
    // the 14th and 15th field, counted after the name in brackets: user and system, in ticks of 10 ms
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// How fast sources are scanned that nobody has labelled, and what is found in them.
#[expect(clippy::expect_used, reason = "a measurement ends at the first thing that is amiss")]
#[expect(clippy::print_stdout, reason = "a measurement prints its table")]
fn speed(directory: &Path, show: Option<&str>) {
    let scanner = Scanner::bundled().expect("the bundled rules can be used");
    let mut files = HashMap::new();
    walk(directory, directory, &mut files);
    let tree = Tree(files);
    let mut by_language: BTreeMap<Language, Vec<(&String, &Vec<u8>)>> = BTreeMap::new();
    for (path, content) in &tree.0 {
        if let Some(language) = Language::of_path(path) {
            by_language.entry(language).or_default().push((path, content));
        }
    }
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    let mut unread: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut all_bytes, mut all_took) = (0, Duration::ZERO);
    for (language, files) in by_language {
        let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
        let before = processor_time();
        let each = files.iter().map(|(path, content)| (path.as_str(), content.as_slice()));
        scanner.scan_each(each, &tree, |path, scan| {
            if let Some(reason) = scan.unread {
                *unread.entry(reason.code()).or_default() += 1;
            }
            for finding in scan.findings {
                if show == Some(finding.rule.as_str()) {
                    println!("{path}:{} {}", finding.line, finding.excerpt);
                }
                *rules.entry(finding.rule).or_default() += 1;
            }
            ControlFlow::Continue(())
        });
        let took = processor_time().saturating_sub(before);
        row(&format!("{language:?}"), files.len(), bytes, took);
        all_bytes += bytes;
        all_took += took;
    }
    row("together", tree.0.len(), all_bytes, all_took);
    println!("findings: {rules:?}");
    println!("not judged wholly: {unread:?}");
}

#[expect(clippy::print_stdout, reason = "a measurement prints its table")]
fn row(name: &str, files: usize, bytes: usize, took: Duration) {
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{name}: {files} files, {megabytes:.1} MB in {:.2} s of processor time, {:.1} MB/s",
        took.as_secs_f64(),
        megabytes / took.as_secs_f64().max(0.01)
    );
}

/// Every finding, a line for each, so that two versions can be compared.
#[expect(clippy::expect_used, reason = "a measurement ends at the first thing that is amiss")]
#[expect(clippy::print_stdout, reason = "a measurement prints its table")]
fn findings(directory: &Path) {
    let scanner = Scanner::bundled().expect("the bundled rules can be used");
    let mut files = HashMap::new();
    walk(directory, directory, &mut files);
    let tree = Tree(files);
    let in_order: BTreeMap<&String, &Vec<u8>> = tree.0.iter().collect();
    let each = in_order.into_iter().map(|(path, content)| (path.as_str(), content.as_slice()));
    scanner.scan_each(each, &tree, |path, scan| {
        if let Some(reason) = scan.unread {
            println!("{path}: {}", reason.code());
        }
        for finding in scan.findings {
            let Finding { rule, line, from_line, excerpt } = finding;
            println!("{path}:{line} {rule} {from_line:?} {excerpt}");
        }
        ControlFlow::Continue(())
    });
}

#[expect(clippy::expect_used, reason = "a measurement ends at the first thing that is amiss")]
#[expect(clippy::print_stdout, reason = "a measurement prints its table")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, directory, ..] = arguments.as_slice()
        && first == "--speed"
    {
        speed(Path::new(directory), arguments.get(2).map(String::as_str));
        return;
    }
    if let [first, directory] = arguments.as_slice()
        && first == "--findings"
    {
        findings(Path::new(directory));
        return;
    }
    let corpus = PathBuf::from(arguments.first().expect("usage: corpus DIR [NAME=LIST]..."));
    let show = arguments.iter().position(|a| a == "--list").map(|at| {
        (
            arguments.get(at + 1).cloned().unwrap_or_default(),
            arguments.get(at + 2).cloned().unwrap_or_default(),
        )
    });
    let scanner = Scanner::bundled().expect("the bundled rules can be used");
    let mut files = HashMap::new();
    walk(&corpus, &corpus, &mut files);
    let tree = Tree(files);
    let labels = labels(&corpus);
    let before = processor_time();
    let mut ours: HashMap<String, BTreeSet<u32>> = HashMap::new();
    let wanted: BTreeSet<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    let (mut bytes, mut unread) = (0_usize, 0_usize);
    let each = tree.0.iter().filter(|(path, _)| wanted.contains(stem(path).as_str()));
    let each = each.map(|(path, content)| (path.as_str(), content.as_slice()));
    scanner.scan_each(each, &tree, |path, scan| {
        bytes += tree.0.get(path).map_or(0, Vec::len);
        unread += usize::from(scan.unread.is_some());
        let cwes = scan.findings.iter().filter_map(|f| scanner.rule(&f.rule)).map(|rule| rule.cwe);
        ours.entry(stem(path)).or_default().extend(cwes);
        ControlFlow::Continue(())
    });
    let took = processor_time().saturating_sub(before);
    println!(
        "{} files, {bytes} bytes, {:.1} s of processor time, {:.2} MB/s on one core, {unread} not judged wholly",
        ours.len(),
        took.as_secs_f64(),
        bytes as f64 / 1e6 / took.as_secs_f64().max(0.01)
    );
    if let Some((what, category)) = &show {
        for label in labels.iter().filter(|label| label.category == *category) {
            let found = ours
                .get(&label.name)
                .is_some_and(|cwes| cwes.iter().any(|cwe| same_weakness(*cwe, label.cwe)));
            if (what == "fp" && found && !label.bad) || (what == "fn" && !found && label.bad) {
                println!("{}", label.name);
            }
        }
        return;
    }
    let mut tools = vec![("bailiwick".to_owned(), ours)];
    for peer in arguments.iter().skip(1) {
        if let Some((name, list)) = peer.split_once('=') {
            tools.push((name.to_owned(), from_list(list)));
        }
    }
    for (tool, found) in &tools {
        println!("\n== {tool}");
        for half in ["even (tuned on)", "odd (reported)", "all"] {
            let mut by_category: BTreeMap<&str, Counts> = BTreeMap::new();
            for label in &labels {
                let digits: String = label.name.chars().filter(char::is_ascii_digit).collect();
                let even = digits.parse::<u64>().unwrap_or(0) % 2 == 0;
                if (half.starts_with("even") && !even) || (half.starts_with("odd") && even) {
                    continue;
                }
                let hit = found
                    .get(&label.name)
                    .is_some_and(|cwes| cwes.iter().any(|cwe| same_weakness(*cwe, label.cwe)));
                by_category.entry(&label.category).or_default().add(label.bad, hit);
            }
            println!("-- {half}");
            let mut total = Counts::default();
            let (mut tpr, mut fpr) = (0.0, 0.0);
            for (category, counts) in &by_category {
                println!("{}", counts.row(category));
                total.hit += counts.hit;
                total.missed += counts.missed;
                total.alarm += counts.alarm;
                total.quiet += counts.quiet;
                let (t, f) = counts.youden();
                tpr += t;
                fpr += f;
            }
            let n = by_category.len().max(1) as f64;
            println!("{}", total.row("all cases"));
            println!(
                "mean of categories                      TPR {:.3}  FPR {:.3}  Youden {:.3}",
                tpr / n,
                fpr / n,
                (tpr - fpr) / n
            );
        }
    }
}
