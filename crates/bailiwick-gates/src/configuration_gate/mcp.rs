//! Servers that agents start by themselves (Model Context Protocol).

use crate::content_gate::Hit;
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use serde_json::Value;

pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::blocks(
            "configuration/mcp-unpinned",
            "tool server that is fetched in whatever version there is",
            Severity::High,
            Some(1357),
            [
                "whoever publishes the next version runs code beside the agent, with its files and keys",
                "name an exact version: `name@1.2.3`, or a digest for an image",
            ],
        ),
        Rule::blocks(
            "configuration/mcp-shell",
            "tool server that is started through a shell",
            Severity::High,
            Some(78),
            [
                "a shell runs whatever the line says, downloads and pipes included, and no pin holds it",
                "name the program and its arguments, without a shell",
            ],
        ),
        Rule::asks(
            "configuration/mcp-remote",
            "tool server at a remote address",
            Severity::Medium,
            Some(829),
            [
                "its operator sees what the agent sends, and what it answers the agent reads",
                "use a server that the organisation runs, or have the address approved",
            ],
        ),
    ]
}

pub(super) fn scan(path: &str, text: &str) -> Vec<Hit> {
    let Ok(json) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let mut hits = Vec::new();
    for key in ["mcpServers", "servers", "context_servers", "mcp"] {
        let Some(servers) = json.get(key).and_then(Value::as_object) else { continue };
        for (name, server) in servers {
            let line = line_of(text, name);
            server_hits(path, name, server, line, &mut hits);
        }
    }
    hits
}

fn line_of(text: &str, name: &str) -> u32 {
    let quoted = format!("\"{name}\"");
    super::numbered(text).find(|(_, line)| line.contains(&quoted)).map_or(1, |(number, _)| number)
}

fn server_hits(path: &str, name: &str, server: &Value, line: u32, hits: &mut Vec<Hit>) {
    let command = server.get("command").and_then(Value::as_str).unwrap_or_default();
    let program = command.rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".exe");
    let arguments: Vec<&str> = server
        .get("args")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let shells = ["sh", "bash", "zsh", "dash", "fish", "cmd", "powershell", "pwsh", "env"];
    let whole = format!("{name} {command} {}", arguments.join(" "));
    if shells.contains(&program) || command.contains([';', '|', '&', '`', '$']) {
        let message = format!("tool server `{name}` is started through `{program}`");
        hits.push(Hit::at("configuration/mcp-shell", path, line, &whole, message));
        return;
    }
    if let Some(package) = unpinned(program, &arguments) {
        let message = format!("tool server `{name}` runs `{package}` without an exact version");
        hits.push(Hit::at("configuration/mcp-unpinned", path, line, &whole, message));
    }
    if let Some(url) = server.get("url").or_else(|| server.get("serverUrl")).and_then(Value::as_str)
        && !["://localhost", "://127.0.0.1", "://[::1]"].iter().any(|local| url.contains(local))
    {
        let message = format!("tool server `{name}` is at `{url}`");
        hits.push(Hit::at(
            "configuration/mcp-remote",
            path,
            line,
            &format!("{name} {url}"),
            message,
        ));
    }
}

/// The package that a launcher fetches, if its version is not exact.
fn unpinned<'a>(program: &str, arguments: &[&'a str]) -> Option<&'a str> {
    let launchers = [
        "npx", "bunx", "pnpx", "uvx", "pipx", "docker", "podman", "deno", "pnpm", "yarn", "uv",
        "npm",
    ];
    if !launchers.contains(&program) {
        return None;
    }
    const VERBS: [&str; 7] = ["run", "exec", "dlx", "x", "tool", "--package", "-p"];
    let takes_value = |flag: &str| {
        matches!(flag, "-e" | "-v" | "--env" | "--mount" | "--volume" | "--name" | "--network")
    };
    let mut skip = false;
    let package = arguments.iter().copied().find(|argument| {
        if std::mem::take(&mut skip) {
            return false;
        }
        skip = takes_value(argument);
        !argument.starts_with('-') && !VERBS.contains(argument)
    })?;
    let pinned = match program {
        "docker" | "podman" => package.contains("@sha256:"),
        "uvx" | "pipx" | "uv" => {
            package.contains("==")
                || package.rsplit_once('@').is_some_and(|(_, version)| is_exact(version))
        }
        _ => package
            .get(1..)
            .and_then(|rest| rest.rsplit_once('@'))
            .is_some_and(|(_, version)| is_exact(version)),
    };
    (!pinned).then_some(package)
}

/// `1.2.3`, and not `latest`, `^1` or `1`.
fn is_exact(version: &str) -> bool {
    version.chars().next().is_some_and(|c| c.is_ascii_digit()) && version.matches('.').count() >= 2
}
