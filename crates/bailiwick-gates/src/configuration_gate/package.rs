//! What installations, editors and git run.

use super::numbered;
use crate::content_gate::Hit;
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use serde_json::Value;

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::blocks(
            "configuration/install-script",
            "script that runs when the package is installed",
            Severity::High,
            Some(506),
            [
                "it runs on every machine that installs the package, before anybody has looked at it",
                "do it in the build, or name it so that people call it themselves",
            ],
        ),
        Rule::asks(
            "configuration/package-script",
            "script of a package changed",
            Severity::Low,
            Some(829),
            [
                "tests, linters and releases are run through these names",
                "see that the script still does what its name says",
            ],
        ),
        Rule::blocks(
            "configuration/runs-on-open",
            "task that runs when a folder is opened",
            Severity::High,
            Some(506),
            [
                "whoever opens the repository runs it, without being asked again",
                "take `runOn: folderOpen` out: people can start the task themselves",
            ],
        ),
        Rule::asks(
            "configuration/hides-from-review",
            "attribute that keeps files out of review",
            Severity::Medium,
            Some(1007),
            [
                "code hosts fold such files away, and differences are not shown",
                "take the attribute out, or let the owners confirm that the files are generated",
            ],
        ),
        Rule::blocks(
            "configuration/git-runs",
            "git setting that runs a program",
            Severity::High,
            Some(78),
            [
                "a filter, hook path or pager of a repository runs on the machine of whoever checks it out",
                "take the setting out of the repository",
            ],
        ),
    ]
}

/// Scripts that package managers run by themselves.
const LIFECYCLE: [&str; 8] = [
    "preinstall",
    "install",
    "postinstall",
    "prepare",
    "prepublish",
    "preprepare",
    "postprepare",
    "dependencies",
];

pub(super) fn scan(path: &str, text: &str) -> Vec<Hit> {
    let Ok(json) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let Some(scripts) = json.get("scripts").and_then(Value::as_object) else { return Vec::new() };
    scripts
        .iter()
        .filter_map(|(name, script)| {
            let script = script.as_str()?;
            let quoted = format!("\"{name}\"");
            let line =
                numbered(text).find(|(_, line)| line.contains(&quoted)).map_or(1, |(line, _)| line);
            let rule = if LIFECYCLE.contains(&name.as_str()) {
                "configuration/install-script"
            } else {
                "configuration/package-script"
            };
            Some(Hit::at(
                rule,
                path,
                line,
                &format!("{name} {script}"),
                format!("script `{name}`: `{script}`"),
            ))
        })
        .collect()
}

pub(super) fn editor(path: &str, text: &str) -> Vec<Hit> {
    numbered(text)
        .filter(|(_, line)| {
            let flat: String = line.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
            flat.contains("runOn:folderOpen")
                || flat.contains("task.allowAutomaticTasks:on")
                || flat.contains("postCreateCommand:")
                || flat.contains("initializeCommand:")
                || flat.contains("postStartCommand:")
        })
        .map(|(number, line)| {
            let message = "runs when the folder is opened".to_owned();
            Hit::at("configuration/runs-on-open", path, number, line, message)
        })
        .collect()
}

pub(super) fn git(path: &str, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, line) in numbered(text) {
        let lower = line.trim().to_lowercase();
        if lower.starts_with('#') {
            continue;
        }
        if path.ends_with(".gitattributes")
            && ["linguist-generated", "linguist-vendored", " -diff", " binary"]
                .iter()
                .any(|word| lower.contains(word))
        {
            let message = "keeps files out of review".to_owned();
            hits.push(Hit::at("configuration/hides-from-review", path, number, line, message));
        }
        let runs = [
            "hookspath",
            "fsmonitor",
            "sshcommand",
            "editor =",
            "pager =",
            "smudge",
            "clean =",
            "process =",
        ]
        .iter()
        .any(|word| lower.contains(word))
            || (lower.starts_with("url =") && lower.contains("ext::"))
            || (path.ends_with(".gitattributes")
                && lower.contains("filter=")
                && !lower.contains("filter=lfs"))
            || (path.ends_with(".gitmodules") && lower.starts_with("update = !"));
        if runs && !path.ends_with(".yaml") && !path.ends_with(".yml") && path.contains(".git") {
            let message = "runs a program when git acts".to_owned();
            hits.push(Hit::at("configuration/git-runs", path, number, line, message));
        }
    }
    hits
}
