//! Codex (npm `@openai/codex`), headless.

use std::path::Path;

use bailiwick_gateway::inbound::Protocol;
use bailiwick_model::action::AgentProgram;
use bailiwick_model::chat::Block;
use serde_json::{Value, json};

use super::package::{in_package, machine};
use super::told::{called, lines, text};
use super::{
    About, Adapter, Assignment, Located, ProgramError, Report, ReportedStep, TOKEN_VARIABLE,
};

const ABOUT: About = About {
    kind: "codex",
    title: "Codex",
    tested_version: "0.169.0",
    protocol: Protocol::Responses,
    package: "@openai/codex",
    needs_node: false,
};

/// The adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Codex;

impl Adapter for Codex {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn locate(&self, directory: &Path) -> Result<Located, ProgramError> {
        let machine = machine();
        let package = format!("{}-{machine}", ABOUT.package);
        let file = format!("vendor/{}-unknown-linux-musl/bin/codex", std::env::consts::ARCH);
        let mut located = in_package(&ABOUT, directory, &package, &file)?;
        // The package for a machine has it in its version.
        if let Some(version) = located.version.strip_suffix(&format!("-{machine}")) {
            located.version = version.to_owned();
        }
        Ok(located)
    }

    fn start(&self, assignment: &Assignment) -> AgentProgram {
        let provider = format!(
            "model_providers.bailiwick={{name=\"bailiwick\",base_url=\"http://127.0.0.1:{}/v1\",env_key=\"{TOKEN_VARIABLE}\",wire_api=\"responses\",request_max_retries=1,stream_max_retries=1}}",
            assignment.door
        );
        let settings = [
            "model_provider=bailiwick",
            &provider,
            "analytics.enabled=false",
            "check_for_update_on_startup=false",
            // The repository's instructions come from its protected branch, not from the change.
            "project_doc_max_bytes=0",
        ];
        let mut argv = vec![
            assignment.program.as_str(),
            "exec",
            "--json",
            "--skip-git-repo-check",
            // The cage is the permission; there is nobody to ask.
            "--dangerously-bypass-approvals-and-sandbox",
        ];
        argv.extend(settings.iter().flat_map(|setting| ["-c", setting]));
        argv.extend(["-m", &assignment.model, "-"]);
        // Its home is the cage's, which it wants outside the temporary directory.
        assignment.command(argv, [(TOKEN_VARIABLE, assignment.token.clone())])
    }

    fn read(&self, stdout: &[u8]) -> Report {
        let mut report = Report::default();
        let mut failure = String::new();
        for line in lines(stdout, &mut report.unread) {
            match text(&line, "type") {
                Some("item.completed") => {
                    let Some(item) = line.get("item") else { continue };
                    if text(item, "type") == Some("agent_message") {
                        report.summary = text(item, "text").unwrap_or_default().to_owned();
                    }
                    report.steps.extend(step(item));
                }
                Some("turn.failed" | "error") => {
                    let error = line.get("error").unwrap_or(&line);
                    failure = text(error, "message").unwrap_or_default().to_owned();
                }
                _ => {}
            }
        }
        if report.summary.is_empty() {
            report.summary = failure;
        }
        report
    }
}

fn step(item: &Value) -> Option<ReportedStep> {
    let id = text(item, "id").unwrap_or_default().to_owned();
    let step = |tool: &str, input: Value, answer: String, is_error: bool| ReportedStep {
        reply: vec![called(&id, tool, input)],
        results: vec![(id.clone(), tool.to_owned(), answer, is_error)],
    };
    match text(item, "type")? {
        "agent_message" => Some(ReportedStep {
            reply: vec![Block::Text { text: text(item, "text")?.to_owned() }],
            results: Vec::new(),
        }),
        "command_execution" => {
            let command = json!({ "command": item.get("command") });
            let output = text(item, "aggregated_output").unwrap_or_default().to_owned();
            let failed = item.get("exit_code").and_then(Value::as_i64) != Some(0);
            Some(step("exec_command", command, output, failed))
        }
        "file_change" => {
            let failed = text(item, "status") != Some("completed");
            let changes = json!({ "changes": item.get("changes") });
            Some(step("apply_patch", changes, String::new(), failed))
        }
        _ => None,
    }
}
