//! `OpenCode` (npm `opencode-ai`), headless.

use std::path::Path;

use bailiwick_gateway::inbound::Protocol;
use bailiwick_model::action::AgentProgram;
use bailiwick_model::chat::Block;
use serde_json::{Value, json};

use super::package::{in_package, machine};
use super::told::{called, last_words, lines, text};
use super::{
    About, Adapter, Assignment, Located, ProgramError, Report, ReportedStep, TOKEN_VARIABLE,
};

const ABOUT: About = About {
    kind: "opencode",
    title: "OpenCode",
    tested_version: "1.18.33",
    protocol: Protocol::Chat,
    package: "opencode-ai",
    needs_node: false,
};

/// The name of the door among its providers.
const PROVIDER: &str = "bailiwick";
/// How much of a conversation it keeps before it makes it shorter, in tokens.
const CONTEXT_TOKENS: u32 = 200_000;

/// The adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenCode;

impl Adapter for OpenCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn locate(&self, directory: &Path) -> Result<Located, ProgramError> {
        // A program of its own. Of those for this kind of machine, the one that wants the least of
        // the processor.
        let baseline = if std::env::consts::ARCH == "x86_64" { "-baseline" } else { "" };
        let package = format!("opencode-{}{baseline}", machine());
        in_package(&ABOUT, directory, &package, "bin/opencode")
    }

    fn start(&self, assignment: &Assignment) -> AgentProgram {
        let model = format!("{PROVIDER}/{}", assignment.model);
        let argv = [
            assignment.program.as_str(),
            "run",
            "--format",
            "json",
            // No plugins of others, and no call for a title.
            "--pure",
            "--title",
            "task",
            "--model",
            &model,
        ];
        let limit = json!({ "context": CONTEXT_TOKENS, "output": assignment.max_output_tokens });
        let config = json!({
            "enabled_providers": [PROVIDER],
            "provider": { PROVIDER: {
                "npm": "@ai-sdk/openai-compatible",
                "name": PROVIDER,
                "options": {
                    "baseURL": format!("http://127.0.0.1:{}/v1", assignment.door),
                    "apiKey": format!("{{env:{TOKEN_VARIABLE}}}"),
                },
                "models": { assignment.model.as_str(): { "limit": limit } },
            } },
            "small_model": model,
            "agent": { "build": { "steps": assignment.max_turns } },
            // The cage is the permission; there is nobody to ask.
            "permission": { "*": "allow", "webfetch": "deny", "websearch": "deny" },
            "share": "disabled",
            "autoupdate": false,
            // It would keep a history of the workspace of its own, and fetch and run tools.
            "snapshot": false,
            "lsp": false,
            "formatter": false,
        });
        let env = [
            (TOKEN_VARIABLE, assignment.token.clone()),
            ("OPENCODE_CONFIG_CONTENT", config.to_string()),
            // The repository's own settings and instructions are what agents wrote: not read.
            ("OPENCODE_DISABLE_PROJECT_CONFIG", "1".to_owned()),
            ("OPENCODE_DISABLE_CLAUDE_CODE", "1".to_owned()),
            ("OPENCODE_DISABLE_EXTERNAL_SKILLS", "1".to_owned()),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1".to_owned()),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1".to_owned()),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".to_owned()),
        ];
        assignment.command(argv, env)
    }

    fn read(&self, stdout: &[u8]) -> Report {
        let mut report = Report::default();
        let mut failure = String::new();
        let mut step = ReportedStep::default();
        for line in lines(stdout, &mut report.unread) {
            let part = line.get("part").unwrap_or(&Value::Null);
            match text(&line, "type") {
                Some("step_start") => report.steps.push(std::mem::take(&mut step)),
                Some("text") => {
                    let Some(said) = text(part, "text") else { continue };
                    step.reply.push(Block::Text { text: said.to_owned() });
                }
                Some("tool_use") => tool(part, &mut step),
                Some("error") => {
                    let error = line.get("error").unwrap_or(&Value::Null);
                    let told = error.get("data").and_then(|data| text(data, "message"));
                    failure = told.or_else(|| text(error, "name")).unwrap_or_default().to_owned();
                }
                _ => {}
            }
        }
        report.steps.push(step);
        report.steps.retain(|step| !step.reply.is_empty());
        report.summary = last_words(&report.steps);
        if report.summary.is_empty() {
            report.summary = failure;
        }
        report
    }
}

/// A call that is over, with what came of it.
fn tool(part: &Value, step: &mut ReportedStep) {
    let (Some(id), Some(name)) = (text(part, "callID"), text(part, "tool")) else { return };
    let state = part.get("state").unwrap_or(&Value::Null);
    let is_error = text(state, "status") != Some("completed");
    let answer = text(state, if is_error { "error" } else { "output" }).unwrap_or_default();
    step.reply.push(called(id, name, state.get("input").cloned().unwrap_or(Value::Null)));
    step.results.push((id.to_owned(), name.to_owned(), answer.to_owned(), is_error));
}
