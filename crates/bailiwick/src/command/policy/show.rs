//! `policy show`, `check`, `test`, `diff`.

use anyhow::Result;
use bailiwick_policy::{LintKind, PolicySet, PolicySource, difference, examples, lint_set};
use serde_json::{Value, json};

use super::{as_json, lines, load, read, told};
use crate::arguments::Common;
use crate::command::{Done, Session, configuration};
use crate::policies::read::text_of;
use crate::terminal;

pub(super) async fn show(common: &Common, candidate: Option<String>, cedar: bool) -> Result<Done> {
    if let Some(name) = candidate {
        let set = load(&read(&name)?)?;
        terminal::out(&text(&set, cedar)?);
        return Ok(Done::Yes);
    }
    match Session::open(common).await? {
        Session::Remote(remote) => {
            let status: Value = remote.get("/policy").await?;
            if common.json {
                terminal::out_json(&status);
            } else {
                terminal::out(&heading(&status));
                let key = if cedar { "cedar" } else { "text" };
                terminal::out(status.get(key).and_then(Value::as_str).unwrap_or_default());
            }
        }
        Session::Local { platform, .. } => {
            let set = platform.engine.parts().warden.policy();
            let mut status = serde_json::to_value(platform.policies.status(&set).await)?;
            if common.json {
                if let Some(fields) = status.as_object_mut() {
                    fields.insert("text".to_owned(), text(&set, false)?.into());
                    fields.insert("cedar".to_owned(), text(&set, true)?.into());
                }
                terminal::out_json(&status);
            } else {
                terminal::out(&heading(&status));
                terminal::out(&text(&set, cedar)?);
            }
        }
    }
    Ok(Done::Yes)
}

/// The text of a set, as it was written or as Cedar.
pub(crate) fn text(set: &PolicySet, cedar: bool) -> Result<String> {
    if !cedar {
        return Ok(text_of(set));
    }
    let mut parts = Vec::new();
    for (layer, sources) in set.layers() {
        for source in sources {
            let text = source.cedar().map_err(|errors| told(&errors))?;
            parts.push(format!("// {layer}: {}\n{text}", source.name));
        }
    }
    Ok(parts.join("\n"))
}

/// What is in force, before the text of it; each line a Cedar comment.
fn heading(status: &Value) -> String {
    let word = |value: &Value, key: &str| {
        terminal::safe(value.get(key).and_then(Value::as_str).unwrap_or_default()).to_string()
    };
    let mut lines =
        vec![format!("// policy {} from {}", word(status, "digest"), word(status, "organisation"))];
    for layer in status.get("layers").and_then(Value::as_array).into_iter().flatten() {
        let count = layer.get("rules").and_then(Value::as_u64).unwrap_or_default();
        lines.push(format!("// layer {}: {count} rules", word(layer, "layer")));
    }
    for alert in status.get("alerts").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!(
            "// ALERT {} [{}]: refused, the last good one stays in force",
            word(alert, "layer"),
            word(alert, "code")
        ));
        for fault in alert.get("faults").and_then(Value::as_array).into_iter().flatten() {
            lines.push(format!("//   {}", terminal::safe(fault.as_str().unwrap_or_default())));
        }
    }
    lines.join("\n")
}

pub(super) async fn check(common: &Common, candidates: &[String]) -> Result<Done> {
    if candidates.is_empty() {
        let set = crate::policies::check(&configuration(common)?.policy).await?;
        return Ok(report(common, &set));
    }
    let mut policies: Vec<PolicySource> = Vec::new();
    for name in candidates {
        match crate::policies::read::material(name) {
            Ok(found) => {
                for source in found.policies {
                    if !policies.contains(&source) {
                        policies.push(source);
                    }
                }
            }
            Err(errors) => return Ok(faults(common, &errors)),
        }
    }
    match PolicySet::load(&policies) {
        Ok(set) => Ok(report(common, &set)),
        Err(errors) => Ok(faults(common, &errors)),
    }
}

fn faults(common: &Common, errors: &bailiwick_policy::PolicyErrors) -> Done {
    if common.json {
        terminal::out_json(&json!({"valid": false, "faults": as_json(errors)}));
    } else {
        terminal::out(&format!("{}\nnot valid: nothing of it would be in force", lines(errors)));
    }
    Done::No
}

fn report(common: &Common, set: &PolicySet) -> Done {
    let found = lint_set(set);
    let count = set.rules().count();
    // What may fail can't be published; the rest is for a person to judge.
    let bad = found.iter().any(|lint| lint.kind == LintKind::MayFail);
    if common.json {
        let lints: Vec<Value> = found
            .iter()
            .map(|lint| {
                json!({
                    "code": lint.kind.code(), "rule": lint.rule, "file": lint.file, "line": lint.line,
                    "column": lint.column, "what": lint.what, "why": lint.why, "fix": lint.fix,
                })
            })
            .collect();
        terminal::out_json(
            &json!({"valid": true, "rules": count, "digest": set.digest(), "findings": lints}),
        );
    } else {
        let mut text = String::new();
        for lint in &found {
            text.push_str(&format!(
                "{}:{}:{}: rule `{}` [{}]: {}\n  why: {}\n  fix: {}\n",
                lint.file,
                lint.line,
                lint.column,
                lint.rule,
                lint.kind.code(),
                lint.what,
                lint.why,
                lint.fix
            ));
        }
        text.push_str(&format!("valid: {count} rules, digest {}", set.digest()));
        terminal::out(&text);
    }
    if bad { Done::No } else { Done::Yes }
}

pub(super) fn test(common: &Common, candidates: &[String]) -> Result<Done> {
    let mut total = 0usize;
    let mut missed = Vec::new();
    let mut names = candidates.to_vec();
    if names.is_empty() {
        let config = configuration(common)?.policy;
        names = match (&config.bundle, config.files.as_slice()) {
            (Some(bundle), _) => vec![bundle.display().to_string()],
            (None, []) => vec![config.starter.unwrap_or_else(|| "standard".to_owned())],
            (None, files) => files.iter().map(|file| file.display().to_string()).collect(),
        };
    }
    for name in &names {
        let material = read(name)?;
        let set = load(&material)?;
        for file in &material.examples {
            for example in examples(file).map_err(|errors| told(&errors))? {
                total += 1;
                missed.extend(example.check(&set));
            }
        }
    }
    let failed = missed.len();
    if common.json {
        let list: Vec<Value> = missed
            .iter()
            .map(|one| {
                json!({
                    "name": one.name, "file": one.file, "line": one.line, "expected": one.expected,
                    "found": one.found, "reason": one.reason,
                })
            })
            .collect();
        terminal::out_json(&json!({"examples": total, "missed": list}));
    } else {
        let mut text = String::new();
        for one in &missed {
            text.push_str(&format!(
                "{}:{}: {}\n  expected: {}\n  found:    {}\n",
                one.file, one.line, one.name, one.expected, one.found
            ));
            if !one.reason.is_empty() {
                text.push_str(&format!("  because:  {}\n", terminal::safe(&one.reason)));
            }
        }
        text.push_str(&format!("{} of {total} examples are decided as written", total - failed));
        if total == 0 {
            text.push_str("; there are none: keep them in `NAME.examples.toml` beside the policy");
        }
        terminal::out(&text);
    }
    Ok(if failed == 0 && total > 0 { Done::Yes } else { Done::No })
}

pub(super) fn diff(common: &Common, before: &str, after: &str) -> Result<Done> {
    let (old, new) = (load(&read(before)?)?, load(&read(after)?)?);
    let found = difference(&old, &new);
    if common.json {
        let changed: Vec<Value> = found
            .changed
            .iter()
            .map(|(id, before, after)| json!({"rule": id, "before": before, "after": after}))
            .collect();
        terminal::out_json(
            &json!({"added": found.added, "removed": found.removed, "changed": changed}),
        );
        return Ok(Done::Yes);
    }
    let mut text = String::new();
    let reason = |set: &PolicySet, id: &str| {
        set.rule(id).map(|rule| rule.reason.clone()).unwrap_or_default()
    };
    for id in &found.removed {
        text.push_str(&format!("- {id}: {}\n", reason(&old, id)));
    }
    for id in &found.added {
        text.push_str(&format!("+ {id}: {}\n", reason(&new, id)));
    }
    for (id, before, after) in &found.changed {
        text.push_str(&format!("~ {id}: {}\n", reason(&new, id)));
        for line in before.lines().filter(|line| !after.contains(line.trim())) {
            text.push_str(&format!("    - {line}\n"));
        }
        for line in after.lines().filter(|line| !before.contains(line.trim())) {
            text.push_str(&format!("    + {line}\n"));
        }
    }
    text.push_str(&format!(
        "{} added, {} removed, {} changed",
        found.added.len(),
        found.removed.len(),
        found.changed.len()
    ));
    terminal::out(&text);
    Ok(Done::Yes)
}
