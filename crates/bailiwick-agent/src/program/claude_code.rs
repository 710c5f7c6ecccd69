//! Claude Code (npm `@anthropic-ai/claude-code`), headless.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_gateway::inbound::Protocol;
use bailiwick_model::action::AgentProgram;
use bailiwick_model::chat::Block;
use serde_json::Value;

use super::{Adapter, Assignment, Located, ProgramError, Report, ReportedStep};

const KIND: &str = "claude-code";
const PACKAGE: &str = "@anthropic-ai/claude-code";
const TESTED: &str = "2.1.331";

/// The adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClaudeCode;

/// The part of a package's name that says the machine.
pub(super) fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    }
}

/// Finds a program in the package that npm installed below `directory`, or in the directory itself.
pub(super) fn in_package(
    kind: &'static str,
    directory: &Path,
    package: &str,
    file: &str,
    install: String,
) -> Result<Located, ProgramError> {
    let packed = directory.join("node_modules").join(package);
    let found = [packed.as_path(), directory].into_iter().find(|place| place.join(file).is_file());
    let Some(found) = found else {
        return Err(ProgramError::Missing { kind, path: packed.join(file), install });
    };
    let described = found.join("package.json");
    let version = std::fs::read(&described)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .and_then(|package| package.get("version")?.as_str().map(str::to_owned))
        .ok_or(ProgramError::NoVersion { kind, path: described })?;
    let directory = std::fs::canonicalize(found).unwrap_or_else(|_| found.to_owned());
    Ok(Located { directory, file: file.to_owned(), version })
}

impl Adapter for ClaudeCode {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn title(&self) -> &'static str {
        "Claude Code"
    }

    fn tested_version(&self) -> &'static str {
        TESTED
    }

    fn protocol(&self) -> Protocol {
        Protocol::Anthropic
    }

    fn package(&self) -> &'static str {
        PACKAGE
    }

    fn locate(&self, directory: &Path) -> Result<Located, ProgramError> {
        // A program of its own since version 2.1; nothing needs Node.js to run it.
        let package = format!("{PACKAGE}-{}", machine());
        in_package(KIND, directory, &package, "claude", self.install_hint())
    }

    fn start(&self, assignment: &Assignment) -> AgentProgram {
        let turns = assignment.max_turns.to_string();
        let argv = [
            assignment.program.as_str(),
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            // The cage is the permission; there is nobody to ask.
            "--dangerously-skip-permissions",
            // The repository's own settings and servers are what agents wrote: not read.
            "--setting-sources",
            "user",
            "--strict-mcp-config",
            "--disallowedTools",
            "WebFetch,WebSearch",
            "--max-turns",
            &turns,
            "--model",
            &assignment.model,
        ];
        let env = [
            ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{}", assignment.door)),
            ("ANTHROPIC_API_KEY", assignment.token.clone()),
            ("ANTHROPIC_SMALL_FAST_MODEL", assignment.model.clone()),
            // It refuses to skip its own questions as root unless told that it is caged.
            ("IS_SANDBOX", "1".to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
            ("DISABLE_TELEMETRY", "1".to_owned()),
            ("DISABLE_ERROR_REPORTING", "1".to_owned()),
            // What is set aside for a call is what its reply may have.
            ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", assignment.max_output_tokens.to_string()),
            // The gateway has retried already what is worth it.
            ("CLAUDE_CODE_MAX_RETRIES", "2".to_owned()),
        ];
        AgentProgram {
            version: assignment.version.clone(),
            argv: argv.map(str::to_owned).to_vec(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            door: assignment.door,
            timeout_ms: assignment.timeout_ms,
        }
    }

    fn read(&self, stdout: &[u8]) -> Report {
        let mut report = Report::default();
        let mut messages: Vec<String> = Vec::new();
        let mut tools: BTreeMap<String, String> = BTreeMap::new();
        for line in stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = serde_json::from_slice::<Value>(line) else {
                report.unread = report.unread.saturating_add(1);
                continue;
            };
            let message = line.get("message");
            match text(&line, "type") {
                Some("assistant") => {
                    // One message comes in several lines, a block in each.
                    let id = message.and_then(|message| text(message, "id")).unwrap_or_default();
                    if messages.last().is_none_or(|last| last != id) {
                        messages.push(id.to_owned());
                        report.steps.push(ReportedStep::default());
                    }
                    let Some(step) = report.steps.last_mut() else { continue };
                    for block in content(message) {
                        let Some(block) = read_block(block) else { continue };
                        if let Block::ToolUse { id, name, .. } = &block {
                            tools.insert(id.clone(), name.clone());
                        }
                        step.reply.push(block);
                    }
                }
                Some("user") => {
                    let Some(step) = report.steps.last_mut() else { continue };
                    for block in content(message) {
                        if text(block, "type") != Some("tool_result") {
                            continue;
                        }
                        let id = text(block, "tool_use_id").unwrap_or_default().to_owned();
                        let tool = tools.get(&id).cloned().unwrap_or_default();
                        let is_error =
                            block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
                        step.results.push((id, tool, answer(block.get("content")), is_error));
                    }
                }
                Some("result") => {
                    report.summary = text(&line, "result").unwrap_or_default().to_owned();
                }
                _ => {}
            }
        }
        if report.summary.is_empty() {
            let last = report.steps.iter().rev().flat_map(|step| step.reply.iter().rev());
            let said = last.filter_map(|block| match block {
                Block::Text { text } => Some(text.clone()),
                _ => None,
            });
            report.summary = said.into_iter().next().unwrap_or_default();
        }
        report
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

fn content(message: Option<&Value>) -> impl Iterator<Item = &Value> {
    message
        .and_then(|message| message.get("content"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn read_block(block: &Value) -> Option<Block> {
    match text(block, "type") {
        Some("text") => Some(Block::Text { text: text(block, "text")?.to_owned() }),
        Some("tool_use") => Some(Block::ToolUse {
            id: text(block, "id")?.to_owned(),
            name: text(block, "name")?.to_owned(),
            input: block.get("input").cloned().unwrap_or(Value::Null),
            invalid_input: None,
        }),
        _ => None,
    }
}

fn answer(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| text(block, "text")).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
