//! Pipelines and images.

use super::numbered;
use crate::content_gate::Hit;
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::blocks(
            "configuration/ci-target",
            "pipeline that runs a stranger's change with the repository's rights",
            Severity::Critical,
            Some(829),
            [
                "`pull_request_target` and `workflow_run` have secrets and a token that may write, and can be \
                 made to run what a pull request brings",
                "use `pull_request`; if it must be, never check out the pull request in it",
            ],
        ),
        Rule::blocks(
            "configuration/ci-unpinned",
            "action that is not pinned to a commit",
            Severity::High,
            Some(1357),
            [
                "a tag or branch can be moved to other code, which then runs with the pipeline's secrets",
                "name the full commit: `uses: owner/action@0123…cdef # v1.2.3`",
            ],
        ),
        Rule::blocks(
            "configuration/ci-permissions",
            "pipeline with all permissions",
            Severity::High,
            Some(250),
            [
                "whatever runs in the pipeline can change the repository, its releases and its settings",
                "give `permissions: contents: read`, and single ones more to the job that needs them",
            ],
        ),
        Rule::blocks(
            "configuration/ci-injection",
            "text of a stranger in a pipeline's script",
            Severity::Critical,
            Some(78),
            [
                "titles, bodies and branch names are put into the script as they are, and run",
                "pass the text through an environment variable: `env: TITLE: ${{ … }}`, then `\"$TITLE\"`",
            ],
        ),
        Rule::asks(
            "configuration/ci-secrets",
            "new use of a secret in a pipeline",
            Severity::Medium,
            Some(522),
            [
                "every step of the job, and everything it downloads, can read the secret",
                "give it to the one step that needs it, from a protected environment",
            ],
        ),
        Rule::asks(
            "configuration/download-and-run",
            "runs what it downloads",
            Severity::High,
            Some(494),
            [
                "what is run is whatever the server sends at that moment",
                "download a fixed version, compare its checksum, then run it",
            ],
        ),
        Rule::asks(
            "configuration/image-unpinned",
            "base image without a fixed version",
            Severity::Medium,
            Some(1357),
            [
                "the same definition gives another image tomorrow",
                "name a digest: `FROM name:1.2@sha256:…`",
            ],
        ),
        Rule::blocks(
            "configuration/image-privileged",
            "container with the host's rights",
            Severity::High,
            Some(250),
            [
                "a privileged container, or one that holds the runtime's socket, is the host",
                "give the one capability that is needed, and no socket",
            ],
        ),
    ]
}

pub(super) fn workflow(path: &str, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    // whether the lines that follow are a script, and how deep it is
    let mut script: Option<usize> = None;
    for (number, line) in numbered(text) {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with('#') || code.is_empty() {
            continue;
        }
        let item = code.trim_start_matches("- ");
        let inline = script.is_some_and(|depth| indent > depth);
        if !inline {
            script = None;
        }
        if item.starts_with("run:") || item.starts_with("script:") {
            // as deep as the key, not as the dash before it
            script = Some(line.len() - item.len());
        }
        let mut add = |rule: &'static str, message: String| {
            hits.push(Hit::at(rule, path, number, line, message));
        };
        let name = item.trim_end_matches(':').trim_matches(['"', '\'']);
        if matches!(name, "pull_request_target" | "workflow_run")
            || (item.starts_with("on:") && item.contains("pull_request_target"))
        {
            add("configuration/ci-target", format!("`{name}` runs with the repository's rights"));
        }
        if let Some(used) = item.strip_prefix("uses:") {
            let used = used.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            let pinned = used.starts_with("./")
                || used.contains("@sha256:")
                || used.rsplit_once('@').is_some_and(|(_, revision)| {
                    revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
                });
            if !pinned {
                add("configuration/ci-unpinned", format!("`{used}` is not pinned to a commit"));
            }
        }
        if item.starts_with("permissions:") && item.contains("write-all") {
            add("configuration/ci-permissions", "all permissions to write".to_owned());
        }
        if (script.is_some() || inline) && is_strangers(line) {
            add("configuration/ci-injection", "text of a stranger stands in a script".to_owned());
        }
        if line.contains("secrets.")
            && line.contains("${{")
            && !line.contains("secrets.GITHUB_TOKEN")
            || item == "secrets: inherit"
        {
            add("configuration/ci-secrets", "a secret is used".to_owned());
        }
        if is_download_and_run(line) {
            add("configuration/download-and-run", "runs what it downloads".to_owned());
        }
    }
    hits
}

/// Whether a line puts something that anybody can choose into a script.
fn is_strangers(line: &str) -> bool {
    const CHOSEN: [&str; 9] = [
        ".title",
        ".body",
        ".head_ref",
        ".head.ref",
        ".head.label",
        ".message",
        ".email",
        ".name }}",
        "github.head_ref",
    ];
    line.contains("${{")
        && line.contains("github.")
        && (line.contains("github.event.") || line.contains("github.head_ref"))
        && CHOSEN.iter().any(|chosen| line.contains(chosen))
}

fn is_download_and_run(line: &str) -> bool {
    let fetches =
        ["curl ", "wget ", "iwr ", "Invoke-WebRequest"].iter().any(|word| line.contains(word));
    let runs =
        ["| sh", "|sh", "| bash", "|bash", "| sudo", "| python", "| iex", "<(curl", "$(curl"]
            .iter()
            .any(|word| line.contains(word));
    fetches && runs
}

pub(super) fn image(path: &str, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut stages: Vec<String> = vec!["scratch".to_owned()];
    for (number, line) in numbered(text) {
        let code = line.trim();
        if code.starts_with('#') {
            continue;
        }
        let mut add = |rule: &'static str, message: String| {
            hits.push(Hit::at(rule, path, number, line, message));
        };
        let mut words = code.split_whitespace();
        let verb = words.next().unwrap_or_default().to_lowercase();
        let words: Vec<&str> = words.collect();
        if verb == "from" || verb == "image:" {
            let image =
                words.iter().find(|word| !word.starts_with("--")).copied().unwrap_or_default();
            if let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case("as")) {
                stages.extend(words.get(at + 1).map(|name| name.to_lowercase()));
            }
            let tag = image.rsplit('/').next().unwrap_or_default();
            let fixed = image.contains("@sha256:")
                || tag.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest")
                || image.starts_with('$')
                || stages.contains(&image.to_lowercase());
            if !image.is_empty() && !fixed {
                add("configuration/image-unpinned", format!("`{image}` has no fixed version"));
            }
        }
        if is_download_and_run(line) || (verb == "add" && code.contains("://")) {
            add("configuration/download-and-run", "runs or takes in what it downloads".to_owned());
        }
        if code.contains("privileged: true")
            || code.contains("/var/run/docker.sock")
            || code.contains("--security=insecure")
        {
            add("configuration/image-privileged", "has the host's rights".to_owned());
        }
    }
    hits
}
