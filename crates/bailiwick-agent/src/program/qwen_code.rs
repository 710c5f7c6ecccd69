//! Qwen Code (npm `@qwen-code/qwen-code`), headless.

use std::path::Path;

use bailiwick_gateway::inbound::Protocol;
use bailiwick_model::action::AgentProgram;

use super::package::for_node;
use super::told::messages;
use super::{About, Adapter, Assignment, Located, ProgramError, Report};

const ABOUT: About = About {
    kind: "qwen-code",
    title: "Qwen Code",
    tested_version: "0.24.4",
    protocol: Protocol::Chat,
    package: "@qwen-code/qwen-code",
    needs_node: true,
};

const SCRIPT: &str = "cli.js";

/// The adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QwenCode;

impl Adapter for QwenCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn locate(&self, directory: &Path) -> Result<Located, ProgramError> {
        for_node(&ABOUT, directory, SCRIPT)
    }

    fn start(&self, assignment: &Assignment) -> AgentProgram {
        let script = format!("{}/{}/{SCRIPT}", assignment.home, ABOUT.package);
        let turns = assignment.max_turns.to_string();
        let argv = [
            assignment.program.as_str(),
            &script,
            "--auth-type",
            "openai",
            "--model",
            &assignment.model,
            "--output-format",
            "stream-json",
            // The cage is the permission; there is nobody to ask.
            "--approval-mode",
            "yolo",
            // The repository's own settings, instructions, hooks and servers are what agents wrote:
            // not read.
            "--safe-mode",
            "--exclude-tools",
            "web_fetch",
            "--chat-recording=false",
            "--max-session-turns",
            &turns,
        ];
        let env = [
            ("OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", assignment.door)),
            ("OPENAI_API_KEY", assignment.token.clone()),
            ("QWEN_TELEMETRY_ENABLED", "0".to_owned()),
            ("QWEN_USAGE_STATISTICS_ENABLED", "0".to_owned()),
            ("QWEN_CODE_SUPPRESS_YOLO_WARNING", "1".to_owned()),
            // What is set aside for a call is what its reply may have.
            ("QWEN_CODE_MAX_OUTPUT_TOKENS", assignment.max_output_tokens.to_string()),
        ];
        assignment.command(argv, env)
    }

    fn read(&self, stdout: &[u8]) -> Report {
        messages(stdout)
    }
}
