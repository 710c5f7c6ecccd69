//! Arguments of tool calls: parsed strictly, once. What does not parse is told to the model and
//! never becomes an action.

use std::collections::BTreeMap;

use bailiwick_model::action::{Command, FileRead, FileWrite, Purpose, ReadMode, WriteMode};
use bailiwick_model::path::WorkPath;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::session::Limits;
use crate::tool::Tool;

const DEFAULT_LINES: u32 = 400;
const MAX_LINES: u32 = 5_000;
const DEFAULT_DEPTH: u32 = 2;
const MAX_DEPTH: u32 = 10;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadArguments {
    /// Path relative to the workspace root.
    path: String,
    /// First line, counted from 1. Default 1.
    first_line: Option<u32>,
    /// How many lines. Default 400, at most 5000.
    line_count: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListArguments {
    /// Directory relative to the workspace root. Default: the root.
    path: Option<String>,
    /// How many levels deep. Default 2, at most 10.
    depth: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchArguments {
    /// Regular expression, matched line by line.
    pattern: String,
    /// File or directory relative to the workspace root. Default: the root.
    path: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditArguments {
    /// Path relative to the workspace root.
    path: String,
    /// The exact text to replace; it must occur exactly once.
    old: String,
    /// The text that comes in its place.
    new: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteArguments {
    /// Path relative to the workspace root.
    path: String,
    /// The whole new content.
    content: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunArguments {
    /// Shell text for /bin/sh -c.
    command: String,
    /// Wall-clock limit in seconds.
    timeout_seconds: Option<u64>,
}

/// A tool call as the action that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Read(FileRead),
    Write(FileWrite),
    Run(Command),
}

/// Turns a call's arguments into an action, or says to the model what is wrong with them.
pub(crate) fn parse(tool: Tool, input: &Value, limits: &Limits) -> Result<Request, String> {
    match tool {
        Tool::Read => {
            let arguments: ReadArguments = typed(tool, input)?;
            let first = in_range("first_line", arguments.first_line.unwrap_or(1), u32::MAX)?;
            let count =
                in_range("line_count", arguments.line_count.unwrap_or(DEFAULT_LINES), MAX_LINES)?;
            let path = path_of(&arguments.path)?;
            Ok(Request::Read(FileRead { path, mode: ReadMode::Lines { first, count } }))
        }
        Tool::List => {
            let arguments: ListArguments = typed(tool, input)?;
            let depth = in_range("depth", arguments.depth.unwrap_or(DEFAULT_DEPTH), MAX_DEPTH)?;
            let path = directory_of(arguments.path.as_deref())?;
            Ok(Request::Read(FileRead { path, mode: ReadMode::List { depth } }))
        }
        Tool::Search => {
            let arguments: SearchArguments = typed(tool, input)?;
            if arguments.pattern.is_empty() {
                return Err("`pattern` is empty: give a regular expression".to_owned());
            }
            let path = directory_of(arguments.path.as_deref())?;
            Ok(Request::Read(FileRead {
                path,
                mode: ReadMode::Search { pattern: arguments.pattern },
            }))
        }
        Tool::Edit => {
            let arguments: EditArguments = typed(tool, input)?;
            if arguments.old.is_empty() {
                return Err("`old` is empty: give the exact text to replace, or use `write` to write the whole file".to_owned());
            }
            if arguments.old == arguments.new {
                return Err("`old` and `new` are the same: nothing would change".to_owned());
            }
            let path = path_of(&arguments.path)?;
            let mode = WriteMode::Edit { old: arguments.old.into(), new: arguments.new.into() };
            Ok(Request::Write(FileWrite { path, mode }))
        }
        Tool::Write => {
            let arguments: WriteArguments = typed(tool, input)?;
            let path = path_of(&arguments.path)?;
            Ok(Request::Write(FileWrite {
                path,
                mode: WriteMode::Whole { content: arguments.content.into() },
            }))
        }
        Tool::Run => {
            let arguments: RunArguments = typed(tool, input)?;
            command_of(arguments, limits).map(Request::Run)
        }
    }
}

fn typed<T: DeserializeOwned>(tool: Tool, input: &Value) -> Result<T, String> {
    T::deserialize(input).map_err(|error| {
        let expected = tool.spec().input_schema;
        format!(
            "the arguments of `{}` are not valid: {error}; they must match this schema: {expected}",
            tool.name()
        )
    })
}

fn in_range(name: &str, value: u32, max: u32) -> Result<u32, String> {
    if value == 0 {
        return Err(format!("`{name}` is 0: it must be at least 1"));
    }
    Ok(value.min(max))
}

fn path_of(text: &str) -> Result<WorkPath, String> {
    let path = directory_of(Some(text))?;
    if path.is_root() {
        return Err(format!("`path` is `{text}`, the workspace itself: give the path of a file"));
    }
    Ok(path)
}

fn directory_of(text: Option<&str>) -> Result<WorkPath, String> {
    text.map_or_else(
        || Ok(WorkPath::root()),
        |text| WorkPath::parse(text).map_err(|error| error.to_string()),
    )
}

fn command_of(arguments: RunArguments, limits: &Limits) -> Result<Command, String> {
    if arguments.command.trim().is_empty() {
        return Err("`command` is empty: give shell text".to_owned());
    }
    if arguments.command.contains('\0') {
        return Err("`command` contains a NUL character, which no command can have".to_owned());
    }
    let timeout_ms = match arguments.timeout_seconds {
        None => limits.command_timeout_ms,
        Some(0) => return Err("`timeout_seconds` is 0: it must be at least 1".to_owned()),
        Some(seconds) => seconds.saturating_mul(1_000).min(limits.max_command_timeout_ms),
    };
    Ok(Command {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), arguments.command],
        cwd: WorkPath::root(),
        env: BTreeMap::new(),
        purpose: Purpose::Tool,
        network: false,
        timeout_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(tool: Tool, input: &Value) -> String {
        match parse(tool, input, &Limits::STANDARD) {
            Ok(Request::Read(read)) => format!("{} {:?}", read.path, read.mode),
            Ok(Request::Write(write)) => format!("{} {:?}", write.path, write.mode),
            Ok(Request::Run(run)) => format!("{:?} {} {}", run.argv, run.timeout_ms, run.network),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn good_arguments_become_actions() {
        for (tool, input, expected) in [
            (Tool::Read, json!({"path": "a.rs"}), "a.rs Lines { first: 1, count: 400 }"),
            (
                Tool::Read,
                json!({"path": "/workspace/a.rs", "first_line": 7, "line_count": 90_000}),
                "a.rs Lines { first: 7, count: 5000 }",
            ),
            (Tool::List, json!({}), ". List { depth: 2 }"),
            (Tool::List, json!({"path": "src", "depth": 99}), "src List { depth: 10 }"),
            (Tool::Search, json!({"pattern": "fn .*"}), r#". Search { pattern: "fn .*" }"#),
            (Tool::Run, json!({"command": "true"}), r#"["/bin/sh", "-c", "true"] 120000 false"#),
            (
                Tool::Run,
                json!({"command": "true", "timeout_seconds": 5}),
                r#"["/bin/sh", "-c", "true"] 5000 false"#,
            ),
            (
                Tool::Run,
                json!({"command": "true", "timeout_seconds": u64::MAX}),
                r#"["/bin/sh", "-c", "true"] 900000 false"#,
            ),
        ] {
            assert_eq!(said(tool, &input), expected, "{tool:?} {input}");
        }
        assert!(said(Tool::Write, &json!({"path": "a", "content": ""})).starts_with("a Whole"));
        assert!(
            said(Tool::Edit, &json!({"path": "a", "old": "x", "new": ""})).starts_with("a Edit")
        );
    }

    #[test]
    fn bad_arguments_say_what_is_expected() {
        for (tool, input, part) in [
            (Tool::Read, json!({}), "missing field `path`"),
            (Tool::Read, json!({"path": 1}), "invalid type: integer `1`, expected a string"),
            (
                Tool::Read,
                json!({"path": "a", "lines": 3}),
                "unknown field `lines`, expected one of `path`, `first_line`, `line_count`",
            ),
            (Tool::Read, json!({"path": "a", "first_line": "3"}), "expected u32"),
            (Tool::Read, json!({"path": "a", "first_line": -3}), "expected u32"),
            (Tool::Read, json!({"path": "a", "first_line": 0}), "at least 1"),
            (Tool::Read, json!({"path": "../a"}), "without `..`"),
            (Tool::Read, json!({"path": "/etc/passwd"}), "relative to the workspace"),
            (Tool::Read, json!({"path": "."}), "the path of a file"),
            (Tool::List, json!({"depth": 1.5}), "expected u32"),
            (Tool::Search, json!({"pattern": ""}), "`pattern` is empty"),
            (Tool::Edit, json!({"path": "a", "old": "", "new": "x"}), "`old` is empty"),
            (Tool::Edit, json!({"path": "a", "old": "x", "new": "x"}), "nothing would change"),
            (Tool::Write, json!({"path": "a"}), "missing field `content`"),
            (Tool::Write, json!({"path": "a", "content": {"x": 1}}), "expected a string"),
            (Tool::Run, json!({"command": " \n"}), "`command` is empty"),
            (Tool::Run, json!({"command": "a\0b"}), "NUL"),
            (Tool::Run, json!({"command": "a", "timeout_seconds": 0}), "at least 1"),
            (Tool::Run, json!({"command": ["ls"]}), "expected a string"),
            (Tool::Run, json!({"command": "a", "network": true}), "unknown field `network`"),
        ] {
            let said = said(tool, &input);
            assert!(said.starts_with("error: ") && said.contains(part), "{tool:?} {input}: {said}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_argument_text_panics_or_asks_for_the_network(text in ".{0,40}", number in proptest::num::i64::ANY) {
            for tool in Tool::ALL {
                for input in [json!(text), json!({"path": text, "command": text, "depth": number}), json!({"command": text}), json!({"path": text})] {
                    if let Ok(Request::Run(command)) = parse(tool, &input, &Limits::STANDARD) {
                        proptest::prop_assert!(!command.network);
                        proptest::prop_assert_eq!(command.shell_text(), Some(text.as_str()));
                    }
                }
            }
        }
    }
}
