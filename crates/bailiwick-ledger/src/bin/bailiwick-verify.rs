#![forbid(unsafe_code)]
//! `bailiwick-verify DIR [--key VKEY] [--checkpoint FILE] [--json]`: the offline verifier as a
//! program of its own, so that an auditor needs nothing of the platform.
//!
//! Exit status: 0 the ledger is sound, 1 there are problems, 2 it was called wrongly.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailiwick_ledger::{Report, Trust, verify};

const USAGE: &str = "usage: bailiwick-verify DIR [--key VKEY] [--checkpoint FILE] [--json]";

/// How the report is written.
enum Format {
    Text,
    Json,
}

struct Arguments {
    dir: PathBuf,
    trust: Trust,
    format: Format,
}

#[expect(clippy::print_stderr, reason = "a command line program says there how to call it")]
fn main() -> ExitCode {
    let arguments = match parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("bailiwick-verify: {what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let report = verify(&arguments.dir, &arguments.trust);
    print(&arguments, &report);
    ExitCode::from(if report.ok() { 0 } else { 1 })
}

fn parse(mut words: impl Iterator<Item = std::ffi::OsString>) -> Result<Arguments, String> {
    let mut dir = None;
    let mut trust = Trust::default();
    let mut format = Format::Text;
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--json") => format = Format::Json,
            Some("--key") => {
                let key = words.next().ok_or("`--key` needs a verifier key")?;
                let key = key.to_string_lossy().into_owned();
                trust.key = Some(key.parse().map_err(|error| format!("`{key}`: {error}"))?);
            }
            Some("--checkpoint") => {
                let path = PathBuf::from(words.next().ok_or("`--checkpoint` needs a file")?);
                trust.checkpoint = Some(read(&path)?);
            }
            Some(option) if option.starts_with('-') => {
                return Err(format!("there is no option `{option}`"));
            }
            _ if dir.is_some() => return Err("there is more than one directory".to_owned()),
            _ => dir = Some(PathBuf::from(word)),
        }
    }
    let dir = dir.ok_or("the directory of the ledger is missing")?;
    Ok(Arguments { dir, trust, format })
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(arguments: &Arguments, report: &Report) {
    match arguments.format {
        Format::Json => println!("{:#}", serde_json::json!(report)),
        Format::Text => {
            for problem in &report.problems {
                println!("problem: {problem}");
            }
            if report.stopped_early {
                println!("problem: there are more; the rest was not looked at");
            }
            println!("entries: {}", report.entries);
            println!("root:    {}", report.root);
            if let Some(key) = &report.key {
                println!("key:     {key}");
            }
            println!("trust:   {}", report.trusted);
            let verdict = if report.ok() { "sound" } else { "NOT SOUND" };
            println!("ledger:  {verdict}");
        }
    }
}
