//! `policy publish`: checks, proves, tests and signs a directory as a bundle.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use bailiwick_ledger::{LogKey, Note};
use bailiwick_policy::{
    Bundle, Heading, Lint, LintKind, Proof, examples, lint_set, manifest, write,
};
use jiff::Timestamp;
use serde_json::json;

use super::{load, prove, read, told};
use crate::arguments::{Common, PublishArguments};
use crate::command::{Done, Told};
use crate::terminal;

pub(super) async fn publish(common: &Common, arguments: &PublishArguments) -> Result<Done> {
    let material = read(&arguments.directory)?;
    let set = load(&material)?;
    let stop = |code: &str, message: String, hint: &str| Told {
        code: code.to_owned(),
        message,
        hint: hint.to_owned(),
    };
    let lints = lint_set(&set);
    let mut prover = prove::prover(common, arguments.solver.as_deref()).await?;
    let found = prover.may_fail(&set).await;
    // what is found here by its form alone, a solver may still prove never to fail
    let fails = |rule: &str| found.as_ref().is_none_or(|rules| rules.iter().any(|one| one == rule));
    let may_fail = |lint: &&Lint| lint.kind == LintKind::MayFail && fails(&lint.rule);
    if let Some(lint) = lints.iter().find(may_fail) {
        let message = format!(
            "{}:{}:{}: rule `{}`: {}",
            lint.file, lint.line, lint.column, lint.rule, lint.what
        );
        return Err(stop("policy.bundle_may_fail", message, &lint.fix).into());
    }
    if let Some(rule) = found.as_ref().and_then(|rules| rules.first()) {
        let message = format!("rule `{rule}`: the solver does not prove that it never fails");
        let hint = "compare numbers instead of computing with them";
        return Err(stop("policy.bundle_may_fail", message, hint).into());
    }
    let findings = prove::all(&mut prover, &set).await?;
    let unproved: Vec<String> =
        findings.iter().filter(|one| one.proof != Proof::Proved).map(prove::line).collect();
    let broken = findings.iter().any(|one| matches!(one.proof, Proof::Refuted { .. }));
    if broken || (!unproved.is_empty() && !arguments.unproved) {
        return Err(stop(
            "policy.bundle_breaks_invariant",
            unproved.join("\n"),
            "put the rules back that keep it; an invariant that only a solver can prove is published with `--unproved` where there is none",
        )
        .into());
    }
    let mut count = 0usize;
    for file in &material.examples {
        for example in examples(file).map_err(|errors| told(&errors))? {
            count += 1;
            if let Some(missed) = example.check(&set) {
                let message = format!(
                    "{}:{}: the example `{}` is decided otherwise: expected {}, found {}",
                    missed.file, missed.line, missed.name, missed.expected, missed.found
                );
                return Err(stop(
                    "policy.example_missed",
                    message,
                    "correct the policy, or the example",
                )
                .into());
            }
        }
    }
    let expires = match &arguments.expires {
        Some(text) => Some(
            text.parse::<Timestamp>()
                .map_err(|error| {
                    stop(
                        "policy.not_a_time",
                        format!("`{text}`: {error}"),
                        "write `2027-01-31T00:00:00Z`",
                    )
                })?
                .to_string(),
        ),
        None => None,
    };
    let shown = arguments.out.display().to_string();
    let before = fs::read(&arguments.out).ok().and_then(|bytes| Bundle::parse(&shown, &bytes).ok());
    let serial = arguments
        .serial
        .unwrap_or_else(|| before.map_or(1, |bundle| bundle.serial.saturating_add(1)));
    let heading = Heading {
        name: arguments.name.clone(),
        serial,
        created: Timestamp::now().to_string(),
        expires,
    };
    let text = manifest(&heading, &material.files).map_err(|errors| told(&errors))?;
    let key = LogKey::load(&arguments.key)?;
    let bundle =
        write(&Note::sign(&text, &key).to_text(), &material.files).map_err(anyhow::Error::msg)?;
    // What is written is what a server will read.
    Bundle::parse(&shown, bundle.as_bytes()).context("the bundle that was made is not valid")?;
    let new = arguments.out.with_extension("new");
    let mut file =
        fs::File::create(&new).with_context(|| format!("cannot write `{}`", new.display()))?;
    file.write_all(bundle.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &arguments.out).with_context(|| format!("cannot write `{shown}`"))?;
    if common.json {
        terminal::out_json(&json!({
            "bundle": shown, "name": heading.name, "serial": serial, "rules": set.rules().count(),
            "examples": count, "digest": set.digest(), "unproved": unproved,
            "solver": prover.name(), "trouble": prover.trouble,
            "findings": lints.len(), "trusted_key": key.verifier().to_string(),
        }));
    } else {
        let by = prover.name().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut text = format!(
            "published `{}` serial {serial} to {shown}: {} rules, {count} examples, {} of {} invariants proved{by}\ndigest {}\nsigned by {}",
            heading.name,
            set.rules().count(),
            findings.len() - unproved.len(),
            findings.len(),
            set.digest(),
            key.verifier()
        );
        for line in unproved.iter().chain(&prove::note(&prover)) {
            text.push_str(&format!("\n{line}"));
        }
        terminal::out(&text);
    }
    Ok(Done::Yes)
}
