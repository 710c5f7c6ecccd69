//! Development verbs. `cargo xtask test` is the one command that runs every test; `.ci/run` calls
//! the same verbs.

mod corpus;
mod fuzz;
mod metadata;
mod outcome;
mod tidy;
mod tools;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["tidy"] => tidy::run(),
        ["fmt"] => verbs::format(),
        ["lint"] => verbs::lint(),
        ["docs"] => verbs::docs(),
        ["test", "escape", rest @ ..] => verbs::escape(rest),
        ["test", rest @ ..] => verbs::test(rest),
        ["corpus", kind @ ("secrets" | "unicode"), rest @ ..] => verbs::corpus(kind, rest),
        ["screenshots", folder] => verbs::screenshots(folder),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["deny"] => fuzz::deny(),
        ["bench"] => verbs::bench(),
        ["corpus", rest @ ..] => corpus::run(rest),
        ["ci"] => verbs::ci(),
        _ => Err(anyhow::anyhow!(
            "usage: cargo xtask tidy | fmt | lint | docs | test [--full | escape | tiers] | screenshots FOLDER | fuzz | deny | bench | corpus | ci"
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            verbs::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
