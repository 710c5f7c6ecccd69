//! Measures the secrets engine on a corpus whose folders are its labels: a file below `valid/`
//! holds a secret, one below `invalid/` or `benign/` holds none.
//!
//! Half of the files, by a hash of their path, is for tuning; what is reported is the other half.
//! `--list` names the files that were judged wrongly, of the tuning half only.

use bailiwick_scan::{RuleSet, find_secrets_in};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    hits: u32,
    missed: u32,
    false_alarms: u32,
    quiet: u32,
}

impl Counts {
    fn add(&mut self, labelled: bool, found: bool) {
        let field = match (labelled, found) {
            (true, true) => &mut self.hits,
            (true, false) => &mut self.missed,
            (false, true) => &mut self.false_alarms,
            (false, false) => &mut self.quiet,
        };
        *field += 1;
    }

    fn row(&self, name: &str) -> String {
        let share = |part: u32, rest: u32| f64::from(part) / f64::from((part + rest).max(1));
        let precision = share(self.hits, self.false_alarms);
        let recall = share(self.hits, self.missed);
        let f1 = f64::from(2 * self.hits)
            / f64::from((2 * self.hits + self.missed + self.false_alarms).max(1));
        format!(
            "| {name} | {} | {} | {} | {} | {precision:.2} | {recall:.2} | {f1:.3} |\n",
            self.hits, self.missed, self.false_alarms, self.quiet
        )
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != ".git" {
            files(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement speaks on standard output")]
fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name the corpus")?);
    let list = arguments.next().is_some_and(|argument| argument == "--list");
    let set = RuleSet::with_own("")?;
    let mut paths = Vec::new();
    files(&folder, &mut paths)?;
    paths.sort();

    let mut halves: [BTreeMap<String, Counts>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let mut wrong = String::new();
    for path in &paths {
        let relative = path.strip_prefix(&folder)?.to_string_lossy().into_owned();
        let parts: Vec<&str> = relative.split('/').collect();
        let labelled = match parts.iter().find(|part| ["valid", "invalid", "benign"].contains(part))
        {
            Some(label) => *label == "valid",
            None => continue,
        };
        let half = usize::from(
            Sha256::digest(relative.as_bytes()).first().is_some_and(|byte| byte & 1 == 1),
        );
        let found = find_secrets_in(&set, &relative, &std::fs::read(path)?);
        let category = parts.first().map(|part| (*part).to_owned()).unwrap_or_default();
        let Some(half_counts) = halves.get_mut(half) else { continue };
        half_counts.entry(category).or_default().add(labelled, !found.is_empty());
        if half == 0 && labelled == found.is_empty() {
            let rules: Vec<&str> = found.iter().map(|found| found.rule.as_ref()).collect();
            wrong.push_str(&format!("{relative} {}\n", rules.join(" ")));
        }
    }
    if list {
        println!("{wrong}");
    }
    let mut output = String::new();
    for (name, half) in ["tuned on", "reported on"].iter().zip(&halves) {
        output.push_str(&format!(
            "\n| {name} | hits | missed | false alarms | quiet | precision | recall | F1 |\n|---|---|---|---|---|---|---|---|\n"
        ));
        let mut all = Counts::default();
        for (category, counts) in half {
            output.push_str(&counts.row(category));
            all.hits += counts.hits;
            all.missed += counts.missed;
            all.false_alarms += counts.false_alarms;
            all.quiet += counts.quiet;
        }
        output.push_str(&all.row("**all**"));
    }
    println!("{output}");
    let judged: usize = halves.iter().map(BTreeMap::len).sum();
    if judged == 0 {
        return Err("the corpus has no file below `valid`, `invalid` or `benign`".into());
    }
    Ok(ExitCode::SUCCESS)
}
