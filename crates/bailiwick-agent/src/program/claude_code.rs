//! Claude Code (npm `@anthropic-ai/claude-code`), headless.

use std::path::Path;

use bailiwick_gateway::inbound::Protocol;
use bailiwick_model::action::AgentProgram;

use super::package::{in_package, machine};
use super::told::messages;
use super::{About, Adapter, Assignment, Located, ProgramError, Report};

const ABOUT: About = About {
    kind: "claude-code",
    title: "Claude Code",
    tested_version: "2.1.331",
    protocol: Protocol::Anthropic,
    package: "@anthropic-ai/claude-code",
    needs_node: false,
};

/// The adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClaudeCode;

impl Adapter for ClaudeCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn locate(&self, directory: &Path) -> Result<Located, ProgramError> {
        // A program of its own since version 2.1; nothing needs Node.js to run it.
        let package = format!("{}-{}", ABOUT.package, machine());
        in_package(&ABOUT, directory, &package, "claude")
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
        assignment.command(argv, env)
    }

    fn read(&self, stdout: &[u8]) -> Report {
        messages(stdout)
    }
}
